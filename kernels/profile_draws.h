// Bases of the profile null model, drawn alike on every machine (gia/null_profile.h makes the thresholds).
//
// A position's base is chosen by 53 random bits, a function of (key, number of the sequence, position) alone: it is the
// number of thresholds that they reach. Thresholds are whole numbers, so no machine rounds.
#ifndef RB_KERNELS_PROFILE_DRAWS_H_
#define RB_KERNELS_PROFILE_DRAWS_H_

#include <cstdint>
#include <vector>

#include "kernels/common.h"
#include "kernels/philox.h"

namespace rb {

inline constexpr int kProfileThresholds = 3;  // of each position: C, G and U begin there
inline constexpr uint64_t kProfileUnit = uint64_t{1} << 53;

// 0 to kProfileUnit - 1; the bits of PhiloxStream(key, sequence)'s Uniform number `position`.
RB_HOST_DEVICE constexpr uint64_t ProfileBits(uint64_t key, uint64_t sequence, int position) {
  const PhiloxBlock block = Philox(key, static_cast<uint32_t>(position / 2), 0, static_cast<uint32_t>(sequence),
                                   static_cast<uint32_t>(sequence >> 32));
  const uint32_t high = position % 2 == 0 ? block.word[0] : block.word[2];
  const uint32_t low = position % 2 == 0 ? block.word[1] : block.word[3];
  return static_cast<uint64_t>(high >> 5) << 26 | low >> 6;
}

// 0..3. thresholds: of the position, ascending.
RB_HOST_DEVICE constexpr int ProfileBase(const uint64_t* thresholds, uint64_t bits) {
  int base = 0;
  for (int b = 0; b < kProfileThresholds; ++b) base += bits >= thresholds[b] ? 1 : 0;
  return base;
}

// What a machine may draw sequences from by itself: draws first, first + 1, ..
struct DrawnSequences {
  std::vector<uint64_t> thresholds;  // [L][kProfileThresholds]
  uint64_t key = 0, first = 0;
};

// The same on a device, for many models.
struct ProfileDraws {
  PerModel<const uint64_t> thresholds;  // by slot: [L][kProfileThresholds]
  const uint64_t* keys = nullptr;       // by slot
  uint64_t first = 0;
};

}  // namespace rb

#endif  // RB_KERNELS_PROFILE_DRAWS_H_
