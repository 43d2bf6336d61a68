// In-silico mutagenesis: what single and pairs of substitutions do to a prediction [Koo 2021, Methods].
#ifndef RB_GIA_ISM_H_
#define RB_GIA_ISM_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace rb {

// Predictions of all sequences, in their order; one must not depend on the others. Structure tracks come as those of
// the wild type: a scorer that wants the mutants' own has to fold them.
using SequenceScorer = std::function<absl::StatusOr<std::vector<float>>(const Sequences&)>;

// Sequences that are scored at once by default: bounds the memory (a few MB without structure tracks).
inline constexpr int64_t kIsmBlock = 1 << 14;

// Substitutions at one position. Wild types are scored once a sequence, identity mutants never.
struct SingleMutants {
  int length = 0;           // L
  std::vector<float> wild;  // [N] predictions of the sequences themselves
  // [N][L][4] f(mutant) - f(wild) in float. 0 at the wild type's letter and at unknown or padded positions, which are
  // never mutated (as are their one-hot inputs).
  std::vector<float> effects;
};
// At most `block` sequences are scored and held at a time. InvalidArgument: block < 1; errors of the scorer; Internal
// when it returns another number of predictions.
absl::StatusOr<SingleMutants> MutateSingles(const Sequences& sequences, const SequenceScorer& scorer,
                                            int64_t block = kIsmBlock);

// Number of position pairs i < j, and the place of one among them: (0,1), (0,2) .. (0,L-1), (1,2) ..
constexpr int64_t NumPairs(int length) { return int64_t{length} * (length - 1) / 2; }
constexpr int64_t PairIndex(int i, int j, int length) { return int64_t{i} * (2 * length - i - 1) / 2 + (j - i - 1); }

// Substitutions at two positions of one sequence at once: 9 for each pair of known positions.
struct DoubleMutants {
  int length = 0;  // L
  float wild = 0;
  std::vector<uint8_t> letters;  // [L] the sequence: 0..3, or kUnknownBase
  // [NumPairs(L)][4][4] f(letter a at i, letter b at j) - f(wild). 0 where a or b is the wild type's letter (those are
  // single mutants or the wild type) or a position is unknown.
  std::vector<float> effects;
};
// Of sequence `row`. Memory beside the result, and errors: as MutateSingles; InvalidArgument for a row out of range.
absl::StatusOr<DoubleMutants> MutatePairs(const Sequences& sequences, int64_t row, const SequenceScorer& scorer,
                                          int64_t block = kIsmBlock);

// How much two positions matter together: for each pair the L2 norm over its 9 mutants of
// (effect of both) - (effect of i's substitution alone) - (effect of j's alone); [L][L], symmetric, 0 on the diagonal
// and where a position is unknown. `singles`: the [L][4] map of the same sequence.
std::vector<double> PairInteractions(const DoubleMutants& pairs, std::span<const float> singles);

// Height of the wild type's letter in a logo, from [L][4] maps of one sequence.
enum class LogoHeight {
  kNorm,     // paper: sqrt(sum over letters of effect^2)
  kSquares,  // published, of ISM: sum over letters of effect^2
};
// [N][L] heights of [N][L][4] maps. (Given raw effects with the wild type's own instead of differences, kNorm is the
// published height of mutagenesis logos.)
std::vector<double> LogoHeights(std::span<const float> effects, LogoHeight rule);

}  // namespace rb

#endif  // RB_GIA_ISM_H_
