// The host's way through a scan of all k-mers: chunks of sequences, moments added up in their order.
#ifndef RB_ENGINE_HOST_KMER_SCAN_H_
#define RB_ENGINE_HOST_KMER_SCAN_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "engine/check.h"
#include "engine/machine.h"
#include "engine/rank_effects.h"

namespace rb {

// without: predictions of the args.n sequences. score(first, count, with): predictions [count][4^k] of sequences first
// .. first + count under every k-mer; at most 8 MB of 6-mers' at a time.
template <class Score>
absl::Status ScanOnHost(const KmerScanArgs& args, const std::vector<float>& without, const Score& score) {
  const int64_t kmers = int64_t{1} << (2 * args.k);
  std::vector<float> with(static_cast<size_t>(std::min(kEffectChunk, args.n) * kmers));
  for (int64_t first = 0; first < args.n; first += kEffectChunk) {
    const int64_t count = std::min(kEffectChunk, args.n - first);
    if (first > 0 && args.progress) args.progress(static_cast<double>(first) / static_cast<double>(args.n));
    RB_RETURN_IF_ERROR(score(first, count, with.data()));
    AddEffects(with.data(), without.data() + first, count, kmers, first, args.effects);
  }
  cpu::RankEffects({args.effects, static_cast<int32_t>(kmers), args.order});
  return absl::OkStatus();
}

}  // namespace rb

#endif  // RB_ENGINE_HOST_KMER_SCAN_H_
