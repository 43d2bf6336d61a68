// Motifs from weighted sequences: position frequency matrices and the k-mer alignment motif [Koo 2021, Methods: k-mer
// alignment motif].
#ifndef RB_GIA_ALIGNMENT_MOTIF_H_
#define RB_GIA_ALIGNMENT_MOTIF_H_

#include <array>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/transform.h"
#include "gia/pwm.h"

namespace rb {

struct WeightedSequence {
  std::string letters;  // A, C, G, U or T, N; either case
  double weight = 0;    // global importance, for k-mers
};

// Bits that a column says beyond a uniform background: 2 + sum p log2 p, 0 to 2 for probabilities.
double InformationContent(const std::array<double, 4>& column);

struct AlignmentMotif {
  Pwm pwm;  // columns add up to 1 (a column without any weight is uniform)
  // The sums behind the columns: paper: weight of the k-mers with a letter at a position; published: the same divided
  // by the total of all weights, as the authors' code returns it.
  std::vector<std::array<double, 4>> sums;
  int offset = 0;  // first column's position, relative to the top k-mer's first letter
};

struct AlignmentOptions {
  Preset preset = Preset::kPaper;
  int top = 10;  // k-mers that take part, strongest first; 0: all
  // Outer columns (on each side up to the first that has more) with less than this share of the total weight are cut.
  // 0 keeps every column that any k-mer covers. paper only.
  double trim = 0;
};
// paper: the ten strongest; published: all.
AlignmentOptions PresetAlignment(Preset preset);

// Aligns the strongest k-mers (ties: first given) to the very strongest by maximum cross-correlation of their one-hot
// letters, i.e. by the number of matching letters, and adds them up with their weights.
//
// paper: shifts -(k-1) .. k-1; of equally good ones the smallest, then the one to the left, so that a k-mer without any
// match stays in place. k-mers whose weight is not positive take no part. Columns: the union of the aligned k-mers.
//
// published: shifts -k .. k-1, of equally good ones the leftmost. When any weight is negative all become
// (w - min) / (max - min) + 0.01. Two faults of the authors' code are kept: the top k-mer itself is added with weight
// zero (though it counts in the total), and the last column that has weight is cut.
//
// InvalidArgument: no k-mers, different lengths, letters other than A, C, G, U, T, weights that are not finite, none
// positive, or nothing left after the faults.
absl::StatusOr<AlignmentMotif> AlignKmers(std::span<const WeightedSequence> kmers, const AlignmentOptions& options);

// The top k-mer motif: the strongest k-mer alone, one letter a column.
absl::StatusOr<Pwm> TopKmerMotif(std::span<const WeightedSequence> kmers);

// Weighted letter frequencies of equally long sequences. `pseudocount` is added to each letter's weight. N counts
// nowhere; a column without weight is uniform. InvalidArgument: no sequences, different lengths, other letters, weights
// or pseudocount that are negative or not finite.
absl::StatusOr<Pwm> FrequencyMatrix(std::span<const WeightedSequence> sequences, double pseudocount = 0);

}  // namespace rb

#endif  // RB_GIA_ALIGNMENT_MOTIF_H_
