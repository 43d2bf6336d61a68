// Marks functions that run on the host and on a CUDA device, and the bit casts both have.
#ifndef RB_KERNELS_HOST_DEVICE_H_
#define RB_KERNELS_HOST_DEVICE_H_

#include <bit>
#include <cstdint>

#if defined(__CUDACC__)
#define RB_HOST_DEVICE __host__ __device__
#else
#define RB_HOST_DEVICE
#endif

namespace rb {

RB_HOST_DEVICE inline uint32_t BitsOf(float value) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(value);
#else
  return std::bit_cast<uint32_t>(value);
#endif
}

RB_HOST_DEVICE inline float FloatOf(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

}  // namespace rb

#endif  // RB_KERNELS_HOST_DEVICE_H_
