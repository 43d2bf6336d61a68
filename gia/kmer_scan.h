// Global importance of every k-mer at one place [Koo 2021, Methods: Global importance analysis]: the mean change of the
// prediction when the k-mer is embedded in sequences of the null model.
#ifndef RB_GIA_KMER_SCAN_H_
#define RB_GIA_KMER_SCAN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "kernels/profile_draws.h"
#include "model/predictor.h"

namespace rb {

struct KmerScanOptions {
  int k = 6;          // 1 to kMaxKmer
  int position = 17;  // 0-based start
  // What the null sequences were drawn from, if that is so (NullSet::drawn).
  const DrawnSequences* drawn = nullptr;
  std::function<void(double share)> progress = {};  // told now and then how much is done
};

struct KmerEffect {
  std::string kmer;   // RNA letters
  double effect = 0;  // mean over the null sequences of f(with) - f(without), in the predictions' scale
  double se = 0;      // its standard error: sd (n - 1) / sqrt(n); NaN with a single null sequence
  int64_t n = 0;      // null sequences
};

// Place of a k-mer (RNA letters) in alphabetical order, and the k-mer at a place.
int64_t KmerNumber(std::string_view kmer);
std::string KmerLetters(int64_t number, int k);

// All 4^k k-mers, strongest first (ties by letters), in the null sequences that have bases where the k-mer goes: those
// with padding there are left out. InvalidArgument: a pattern that does not fit the length, or no
// sequence that is left.
absl::StatusOr<std::vector<KmerEffect>> ScanKmers(const Predictor& predictor, const Sequences& nulls,
                                                  const KmerScanOptions& options);

}  // namespace rb

#endif  // RB_GIA_KMER_SCAN_H_
