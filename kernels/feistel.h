// A keyed permutation of [0, n), evaluated one index at a time: no sort, no memory, the same on every machine.
//
// A balanced Feistel network over 2b bits (2^2b >= n) of eight rounds; results at or beyond n walk on along their cycle
// until they fall inside, which keeps the map a bijection of [0, n).
#ifndef RB_KERNELS_FEISTEL_H_
#define RB_KERNELS_FEISTEL_H_

#include <cstdint>

#include "kernels/philox.h"

namespace rb {

class FeistelPermutation {
 public:
  // n >= 1.
  RB_HOST_DEVICE constexpr FeistelPermutation(uint32_t n, uint64_t key) : n_(n), key_(key) {
    while ((uint64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
  }

  // i in [0, n) -> its image in [0, n).
  RB_HOST_DEVICE constexpr uint32_t operator()(uint32_t i) const {
    do {
      i = Round8(i);
    } while (i >= n_);
    return i;
  }

 private:
  RB_HOST_DEVICE constexpr uint32_t Round8(uint32_t x) const {
    const uint32_t mask = static_cast<uint32_t>((uint64_t{1} << half_bits_) - 1);
    uint32_t left = x >> half_bits_, right = x & mask;
    for (uint32_t round = 0; round < 8; ++round) {
      const uint32_t f = static_cast<uint32_t>(MixBits(key_ ^ (static_cast<uint64_t>(round) << 32 | right))) & mask;
      const uint32_t next = left ^ f;
      left = right;
      right = next;
    }
    return left << half_bits_ | right;
  }

  uint32_t n_;
  uint64_t key_;
  int half_bits_ = 1;
};

}  // namespace rb

#endif  // RB_KERNELS_FEISTEL_H_
