// Eight consecutive channels of one position, what a thread of an element-wise kernel holds: one dropout call, one byte
// of a mask, 16 bytes of bf16 or 32 of float.
//
// Blocks are (octets of a position, positions): a thread keeps its channels, neighbours in x read neighbouring memory.
#ifndef RB_KERNELS_DEVICE_OCTET_CUH_
#define RB_KERNELS_DEVICE_OCTET_CUH_

#include "kernels/bf16.h"
#include "kernels/device/dialect.h"
#include "kernels/device/norm.cuh"

namespace rb::device {

inline constexpr int kOctet = 8;

struct Octet {
  float v[kOctet];
};

// Addresses on 32 bytes (float) or 16 (BFloat16).
__device__ inline Octet LoadOctet(const float* from) {
  const float4 a = reinterpret_cast<const float4*>(from)[0], b = reinterpret_cast<const float4*>(from)[1];
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
__device__ inline Octet LoadOctet(const BFloat16* from) {
  const uint4 raw = *reinterpret_cast<const uint4*>(from);
  const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
  Octet out;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    out.v[2 * i] = FloatOf(word[i] << 16);
    out.v[2 * i + 1] = FloatOf(word[i] & 0xFFFF0000u);
  }
  return out;
}
__device__ inline void StoreOctet(const Octet& x, float* to) {
  reinterpret_cast<float4*>(to)[0] = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(x.v[4], x.v[5], x.v[6], x.v[7]);
}
__device__ inline void StoreOctet(const Octet& x, BFloat16* to) {
  *reinterpret_cast<uint4*>(to) = make_uint4(PackBf16(x.v[0], x.v[1]), PackBf16(x.v[2], x.v[3]),
                                             PackBf16(x.v[4], x.v[5]), PackBf16(x.v[6], x.v[7]));
}

// Scales and shifts of a batch norm over `channels` channels, in shared memory [2][channels], by all threads of a block
// of `threads`; a barrier has to follow.
__device__ inline void ShareAffine(const float* mean, const float* rstd, const float* gamma, const float* beta,
                                   int channels, float factor, int thread, int threads, float* shared) {
  for (int c = thread; c < channels; c += threads) {
    const ScaleShift affine = AffineOf(mean, rstd, gamma, beta, c, factor);
    shared[c] = affine.scale;
    shared[channels + c] = affine.shift;
  }
}

// The bytes of mask words: element e of a tensor is bit e % 8 of byte e / 8 (both machines are little-endian).
__device__ inline const uint8_t* MaskBytes(const uint32_t* words) { return reinterpret_cast<const uint8_t*>(words); }
__device__ inline uint8_t* MaskBytes(uint32_t* words) { return reinterpret_cast<uint8_t*>(words); }

// (octets, positions) of a block of at most `most` threads: whole warps where a multiple of the octets allows it.
inline dim3 OctetBlock(int channels, int most) {
  const int octets = channels / kOctet;
  int rows = most / octets > 1 ? most / octets : 1;
  for (int r = rows; r > rows / 2; --r) {
    if (octets * r % kWarp == 0) {
      rows = r;
      break;
    }
  }
  return dim3(static_cast<unsigned>(octets), static_cast<unsigned>(rows));
}

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_OCTET_CUH_
