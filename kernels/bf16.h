// bfloat16 as bits: the upper half of a float. Rounding is to nearest, ties to even, as the processors' instructions
// do.
#ifndef RB_KERNELS_BF16_H_
#define RB_KERNELS_BF16_H_

#include <bit>
#include <cstdint>

namespace rb {

// Finite values and infinities; a NaN stays a NaN. (The AVX-512 instruction also flushes subnormal floats to zero; the
// networks here have no weight that small to whose value that could matter: 2^-126.)
inline uint16_t FloatToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline float Bf16ToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

}  // namespace rb

#endif  // RB_KERNELS_BF16_H_
