// Train / validation / test rows (docs/numerics.md).
#ifndef RB_DATA_SPLIT_H_
#define RB_DATA_SPLIT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace rb {

struct Split {
  std::vector<int32_t> train, valid, test;  // probe rows, ascending
  int64_t max_probes = 0;                   // of which `train` is a seeded subset; 0: it is the whole part
};

// Files that fix the split keep it. Otherwise set A goes 90/10 by ONE seeded permutation of all set-A rows (Feistel,
// key DeriveKey(seed, kSplit, 0)), the first floor(fraction * n) of it validation, drawn before missing values are
// dropped and so the same for every experiment; set B is the test set. Data without a set B ("score sequence" lines)
// take the next floor(0.1 * n) of the permutation as test set. InvalidArgument when a part would be empty (validation
// may be, under valid_fraction 0) or the fraction is outside [0, 1).
absl::StatusOr<Split> MakeSplit(const Dataset& dataset, uint64_t seed, double valid_fraction = 0.1);

// The rows of `rows` whose target is present.
std::vector<int32_t> PresentRows(const std::vector<int32_t>& rows, std::span<const float> target);

// Nucleotide frequencies by position over the training rows that cover a position: [length][4]; positions that no probe
// covers take the overall composition (an N counts nowhere). This is the profile null model of GIA; it is stored in the
// model file.
std::vector<float> NucleotideProfile(const Sequences& sequences, const std::vector<int32_t>& rows);

}  // namespace rb

#endif  // RB_DATA_SPLIT_H_
