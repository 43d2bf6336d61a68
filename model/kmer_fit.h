// Ridge regression of scores on k-mer counts.
//
// Minimises |y - b - X w|^2 + penalty |w|^2 over w and b, X being the counts [rows][4^k]. With centred columns
// (X'X + penalty I) w = X'y; it is solved by conjugate gradients [Hestenes and Stiefel 1952], to a residual of 1e-10 of
// the right side. A probe holds few k-mers, so that a step costs two passes over the probes; X'X itself, 2 GB at k = 7,
// is never made.
#ifndef RB_MODEL_KMER_FIT_H_
#define RB_MODEL_KMER_FIT_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/parallel.h"
#include "model/baseline.h"

namespace rb {

inline constexpr int kMinRegressionKmer = 1, kMaxRegressionKmer = 8;

// Half decades from 10,000 to 0.03. Counts are not scaled and transformed scores have variance 1, so that a penalty
// means the same for any number of probes: the variance of the noise over that of the weights.
std::span<const double> KmerPenalties();

struct KmerTrial {
  double penalty = 0;
  int iterations = 0;
  double residual = 0;  // |right side - left side| / |right side|
  double valid_pearson = 0;
};
struct KmerFit {
  Baseline model;
  std::vector<KmerTrial> trials;  // one a penalty, in the order given
  size_t best = 0;                // which of them the model is: the highest validation Pearson, of equal ones the first
};

// penalties: positive. Results do not depend on the number of threads. InvalidArgument: no training probe with a k-mer
// of known letters, predictions that are the same for all validation probes under every penalty.
absl::StatusOr<KmerFit> FitKmers(const BaselineData& data, int k, std::span<const double> penalties,
                                 Parallel& parallel);

}  // namespace rb

#endif  // RB_MODEL_KMER_FIT_H_
