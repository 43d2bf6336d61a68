// Control patterns: what a pattern's effect is compared with, letters in another order or other letters of the same GC
// content.
#ifndef RB_GIA_CONTROLS_H_
#define RB_GIA_CONTROLS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rb {

// Both: `count` patterns in RNA letters, never the pattern itself, uniformly drawn and distinct as long as there are
// others; then every other one may come a second time, and so on. More controls extend fewer. key:
// DeriveKey(seed, Purpose::kPattern, id). InvalidArgument: an empty pattern, a letter that is none (with its column), a
// count below 1 or above kMaxControls, no pattern that differs.

inline constexpr int64_t kMaxControls = 10'000;

// Permutations of the letters (IUPAC).
absl::StatusOr<std::vector<std::string>> ScrambledControls(std::string_view pattern, int64_t count, uint64_t key);

// Any letters with as many G or C as the pattern (A, C, G, U only) in any places.
absl::StatusOr<std::vector<std::string>> MatchedGcControls(std::string_view pattern, int64_t count, uint64_t key);

}  // namespace rb

#endif  // RB_GIA_CONTROLS_H_
