// The profile null model: sequences whose positions are drawn independently from the training probes' nucleotide
// frequencies [Koo 2021, Methods: Global importance analysis].
#ifndef RB_GIA_NULL_PROFILE_H_
#define RB_GIA_NULL_PROFILE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace rb {

// [length][kProfileThresholds] (kernels/profile_draws.h). profile: [length][4] frequencies of A, C, G, U; each
// position's need not add up to exactly 1. InvalidArgument: a profile of another size, negative or without any mass at
// a position.
absl::StatusOr<std::vector<uint64_t>> ProfileThresholds(std::span<const float> profile, int length);

// `n` full-length sequences (never padded, no structure tracks) of a profile as above. Sequence i is a function of
// (profile, key, i) alone, so that more sequences extend fewer; those numbered first to first + n - 1 are drawn. Key:
// DeriveKey(seed, Purpose::kNullModel, id). InvalidArgument as above.
absl::StatusOr<Sequences> DrawProfileNulls(std::span<const float> profile, int length, int64_t n, uint64_t key,
                                           int64_t first = 0);

}  // namespace rb

#endif  // RB_GIA_NULL_PROFILE_H_
