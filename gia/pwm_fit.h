// A position weight matrix made from measured scores, as RNAcompete makes its motifs: the k-mers whose probes stand out
// most, aligned [Ray et al. 2013, Methods: the ten highest 7-mers].
#ifndef RB_GIA_PWM_FIT_H_
#define RB_GIA_PWM_FIT_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "gia/alignment_motif.h"
#include "model/baseline.h"

namespace rb {

inline constexpr int kMinPwmKmer = 3, kMaxPwmKmer = 8;

struct PwmFitOptions {
  int k = 7;  // kMinPwmKmer to kMaxPwmKmer
  // Columns at most: those next to each other that most of the k-mers' weight is on. 0: the outer ones that less than
  // half of the weight is on are cut.
  int width = 0;
  WindowScan scan = WindowScan::kBest;
  std::vector<int> tops = {10, 20, 50, 100, 200, 500};  // how many k-mers to align; validation decides
};

struct PwmTrial {
  int top = 0, width = 0;  // k-mers that were aligned; columns
  double slope = 0;        // of the line from scores of the matrix to targets
  double valid_pearson = 0;
};
struct PwmFit {
  Baseline model;
  std::vector<PwmTrial> trials;  // by options.tops; of those that come to the same k-mers one
  size_t best = 0;               // the highest validation Pearson, of equal ones the first
};

// z of every k-mer that a training probe has, in alphabetical order: (mean score of the probes with it - mean) / (sd /
// sqrt(number of these probes)), mean and sd (population) being those of all training probes. A probe counts once.
// Empty when all scores are equal.
std::vector<WeightedSequence> KmerZScores(const BaselineData& data, int k);

// log(p / background): p has the shares of the letters in the column's weight and, as a tenth of all weight, the
// background.
std::vector<float> LogOdds(const AlignmentMotif& motif, double total, const std::array<double, 4>& background);

// InvalidArgument: training scores that do not differ, no k-mer above the mean, predictions that are the same for all
// validation probes.
absl::StatusOr<PwmFit> FitPwm(const BaselineData& data, const PwmFitOptions& options);

}  // namespace rb

#endif  // RB_GIA_PWM_FIT_H_
