// Does a null model resemble the real sequences? A model answers about sequences like those it was trained on; nulls
// that score or read differently make its answers extrapolations.
#ifndef RB_GIA_NULL_DRIFT_H_
#define RB_GIA_NULL_DRIFT_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace rb {

// Thresholds of the verdict. They bound the difference itself, not its significance: what chance adds to it at the
// given numbers of sequences is taken off first (see the fields below), so that large sets are not condemned for
// trifles and small ones not for noise.
inline constexpr double kDriftMaxKs = 0.25;  // a quarter of one set's scores would have to move
// A tenth of the 3-mers are others. Of the RNAcompete sets of 2009 and 2013, profile nulls differ by 0.04 to 0.06 and
// mononucleotide shuffles by 0.06 to 0.08.
inline constexpr double kDriftMaxTotalVariation = 0.1;
// 1 % point of the Kolmogorov-Smirnov distance of n and m draws from one distribution: this times sqrt(1/n + 1/m)
// [Smirnov 1948].
inline constexpr double kDriftKsNoise = 1.628;

struct NullDrift {
  int64_t null_sequences = 0, real_sequences = 0;
  double null_mean = 0, null_sd = 0;  // scores; sd with n - 1, NaN for a single sequence
  double real_mean = 0, real_sd = 0;
  double ks = 0;        // largest difference of the two distribution functions, 0 to 1
  double ks_noise = 0;  // kDriftKsNoise sqrt(1/n + 1/m)
  // Frequencies of the 64 3-mers over all windows of three known bases, counted with overlaps.
  double total_variation = 0;        // half the sum of absolute differences, 0 to 1
  double total_variation_noise = 0;  // sqrt(64 (1/windows + 1/windows')) / 2, a bound of what chance adds on average
  double largest_difference = 0;     // null - real, of the largest magnitude
  std::string largest_kmer;          // its RNA letters; the first in order among equals

  // ks - ks_noise > kDriftMaxKs or total_variation - total_variation_noise > kDriftMaxTotalVariation.
  bool drifted() const;
};

// Scores are one a sequence, finite, of the same model. InvalidArgument: no sequences on a side, another number of
// scores, a score that is not finite, or no three known bases in a row on a side.
absl::StatusOr<NullDrift> CompareWithReal(const Sequences& nulls, std::span<const float> null_scores,
                                          const Sequences& real, std::span<const float> real_scores);

// Two lines without a newline at the end: scores with the verdict, 3-mers. `dna` writes T for U.
std::string FormatDrift(const NullDrift& drift, bool dna = false);

}  // namespace rb

#endif  // RB_GIA_NULL_DRIFT_H_
