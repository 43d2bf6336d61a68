// Comparing a motif with the motifs of a file, after Tomtom [Gupta et al. 2007, Genome Biology 8:R24].
//
// Query Q and target T are laid over each other at every offset that leaves enough columns above each other. The score
// of an overlap is the sum of its columns' scores s(Q_i, T_j):
//
//   Pearson:    correlation of the two columns' four probabilities (0 where a column is uniform);
//   Euclidean:  -sqrt(sum over letters of (Q_i - T_j)^2).
//
// p value of an offset whose overlap holds the query columns i .. i+m-1 and scores S: P(S_i + .. + S_(i+m-1) >= S),
// where the S_i are independent and each has the distribution of s(Q_i, c) over all columns c of all targets. Scores
// are cut into `bins` equal steps between the smallest and largest s of the query with any target column, and the
// distribution of the sum is the convolution of those of its columns; the observed score is binned in the same way, so
// that no rounding takes it across its own step. Of a target's n offsets (both strands together) the smallest p counts,
// and is corrected for having been chosen: p = 1 - (1 - p_min)^n. E = p * number of targets; q by Benjamini and
// Hochberg over the targets (Tomtom's own are Storey's, with an estimate of the share of true nulls).
#ifndef RB_GIA_MOTIF_MATCH_H_
#define RB_GIA_MOTIF_MATCH_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "gia/pwm.h"

namespace rb {

enum class ColumnScore { kPearson, kEuclidean };

struct MatchOptions {
  ColumnScore score = ColumnScore::kPearson;
  int min_overlap = 4;              // columns; a motif that is shorter has to lie within the other entirely
  bool reverse_complement = false;  // compare with the targets' other strands too: for DNA
  int bins = 100;                   // 10 to 1000
};

// The best place of the query on one target.
struct MotifMatch {
  int target = 0;        // index into the targets
  int offset = 0;        // target position (of the reversed target when `reverse`) under the query's first column
  int overlap = 0;       // columns
  bool reverse = false;  // the target's reverse complement matches better
  double score = 0;      // sum of column scores, not binned
  double p = 0;          // corrected for the number of offsets
  double e = 0;          // p * number of targets
  double q = 0;
};

// s(a, b) as above.
double ScoreColumns(const std::array<double, 4>& a, const std::array<double, 4>& b, ColumnScore score);

// Columns that a query or target may have.
inline constexpr int kMaxMatchColumns = 100;

// One match a target, in the targets' order. Equally good places: the longer overlap, then the forward strand, then the
// offset nearest 0, then the left one. For q query columns: time grows with q^3 bins^2 and with q * target columns,
// memory with q^2 bins. InvalidArgument: no targets, motifs of no or more than kMaxMatchColumns columns, columns that
// are not finite, options outside their ranges.
absl::StatusOr<std::vector<MotifMatch>> MatchMotif(const Pwm& query, std::span<const Pwm> targets,
                                                   const MatchOptions& options);

}  // namespace rb

#endif  // RB_GIA_MOTIF_MATCH_H_
