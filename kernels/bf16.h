// bfloat16 as bits: the upper half of a float. Rounding is to nearest, ties to even, as the processors' instructions
// do.
#ifndef RB_KERNELS_BF16_H_
#define RB_KERNELS_BF16_H_

#include <cstdint>

#include "kernels/host_device.h"

namespace rb {

// Finite values and infinities; a NaN stays a NaN. (The AVX-512 instruction also flushes subnormal floats to zero; the
// networks here have no weight that small to whose value that could matter: 2^-126.)
RB_HOST_DEVICE inline uint16_t FloatToBf16(float value) {
  const uint32_t bits = BitsOf(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

RB_HOST_DEVICE inline float Bf16ToFloat(uint16_t bits) { return FloatOf(static_cast<uint32_t>(bits) << 16); }

// A stored bf16 value: two bytes, read as float, made from float by rounding. Activations of the bf16 precision are
// arrays of it; arithmetic is never done in it.
struct BFloat16 {
  uint16_t bits;

  BFloat16() = default;
  RB_HOST_DEVICE explicit BFloat16(float value) : bits(FloatToBf16(value)) {}
  RB_HOST_DEVICE operator float() const { return Bf16ToFloat(bits); }
};

}  // namespace rb

#endif  // RB_KERNELS_BF16_H_
