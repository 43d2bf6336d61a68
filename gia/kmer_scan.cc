#include "gia/kmer_scan.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

absl::Status CheckOptions(const ScorerGeometry& g, const KmerScanOptions& o) {
  if (o.k < 1 || o.k > kMaxKmer) {
    return absl::InvalidArgumentError(absl::StrCat("k is ", o.k, "; expected 1 to ", kMaxKmer));
  }
  if (o.position < 0 || o.position > g.length - o.k) {
    return absl::InvalidArgumentError(absl::StrCat("a ", o.k, "-mer at position ", o.position, " does not fit ",
                                                   g.length, " positions; expected 0 to ", g.length - o.k));
  }
  return absl::OkStatus();
}

// The sequences without padding at positions [begin, end).
Sequences WithBasesAt(const Sequences& nulls, int begin, int end) {
  Sequences kept;
  kept.length = nulls.length;
  const int words = PackedWords(nulls.length);
  for (int64_t i = 0; i < nulls.size(); ++i) {
    const int width = nulls.widths[i], left = LeftPadding(nulls.length, width);
    if (begin < left || end > left + width) continue;
    kept.widths.push_back(nulls.widths[i]);
    kept.bases.insert(kept.bases.end(), nulls.packed(i), nulls.packed(i) + words);
  }
  return kept;
}

}  // namespace

absl::StatusOr<std::vector<KmerEffect>> ScanKmers(const Predictor& predictor, const Sequences& all_nulls,
                                                  const KmerScanOptions& options) {
  RB_RETURN_IF_ERROR(CheckOptions(predictor.geometry(), options));
  const Sequences nulls = WithBasesAt(all_nulls, options.position, options.position + options.k);
  const int64_t n = nulls.size(), kmers = int64_t{1} << (2 * options.k);
  if (n == 0) {
    return absl::InvalidArgumentError(absl::StrCat("no null sequence has bases at positions ", options.position, " to ",
                                                   options.position + options.k - 1, "; expected longer sequences"));
  }
  // Draws have bases everywhere.
  RB_CHECK(options.drawn == nullptr || n == all_nulls.size());
  RB_ASSIGN_OR_RETURN(const KmerScan found,
                      predictor.ScanKmers(nulls, options.k, options.position, options.drawn, options.progress));
  std::vector<KmerEffect> effects(static_cast<size_t>(kmers));
  for (int64_t rank = 0; rank < kmers; ++rank) {
    const int32_t m = found.order[rank];
    KmerEffect& effect = effects[rank];
    for (int i = 0; i < options.k; ++i) effect.kmer += "ACGU"[KmerCode(m, options.k, i)];
    effect.effect = found.effects[m].mean;
    effect.n = n;
    const double count = static_cast<double>(n);
    effect.se = std::sqrt(found.effects[m].squares / (count - 1) / count);  // 0 / 0 with one sequence: NaN
  }
  return effects;
}

}  // namespace rb
