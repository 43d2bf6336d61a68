#include "tests/kernels/counting_kernels.h"

#include "kernels/device/dialect.h"

namespace rb::dialect::emu {
namespace {

// One lane's share; `t` counts over the whole grid.
template <Access kAccess>
__device__ void Global(const CountedArgs& args, int t) {
  const float* const in = args.in;
  float* const out = args.out;
  if constexpr (kAccess == Access::kCopy) out[t] = in[t];
  if constexpr (kAccess == Access::kStride2) out[t] = in[2 * t];
  if constexpr (kAccess == Access::kBroadcast) out[t] = in[0];
  if constexpr (kAccess == Access::kMisaligned) out[t] = in[t + 1];
  if constexpr (kAccess == Access::kCopy8) {
    reinterpret_cast<float2*>(out)[t] = reinterpret_cast<const float2*>(in)[t];
  }
  if constexpr (kAccess == Access::kCopy16) {
    const float4 v = reinterpret_cast<const float4*>(in)[t];
    reinterpret_cast<float4*>(out)[t] = make_float4(v.x + 1, v.y + 1, v.z + 1, v.w + 1);
  }
  if constexpr (kAccess == Access::kMake16) {
    reinterpret_cast<float4*>(out)[t] = make_float4(1, 2, 3, static_cast<float>(t));
  }
  if constexpr (kAccess == Access::kOddLanes) {
    if (t % 2) out[t] = in[t];
  }
  if constexpr (kAccess == Access::kShuffles) {
    float sum = 0;
    for (int i = 0; i < 3; ++i) sum += __shfl_xor_sync(kAllLanes, in[32 * i + t], 1);
    out[t] = sum;
  }
  if constexpr (kAccess == Access::kTriangle) {
    float sum = 0;
    for (int i = 0; i <= t; ++i) sum += in[i];
    out[t] = sum;
  }
  // In round i lanes below i skip; a meeting of the warp in each round keeps the others' rounds apart.
  if constexpr (kAccess == Access::kSkippedRounds) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      if (t >= i) sum += in[64 * i + t];
      __syncwarp();
    }
    out[t] = sum;
  }
  if constexpr (kAccess == Access::kAtomic) atomicAdd(reinterpret_cast<int*>(out) + t, 1);
}

template <int kPitch>
__device__ void Columns(const CountedArgs& args, int t) {
  RB_SHARED(tile, float[32][kPitch]);
  for (int row = 0; row < 32; ++row) tile[row][t] = args.in[32 * row + t];
  __syncwarp();
  float sum = 0;
  for (int c = 0; c < 32; ++c) sum += tile[t][c];
  args.out[t] = sum;
}

// A lane stores and loads one T every kApart elements.
template <class T, int kApart>
__device__ void Elements(const CountedArgs& args, int t) {
  RB_SHARED(tile, T[64]);
  tile[kApart * t] = reinterpret_cast<const T*>(args.in)[t];
  __syncwarp();
  reinterpret_cast<T*>(args.out)[t] = tile[kApart * (31 - t)];
}

__device__ void Asynchronous(const CountedArgs& args, int t, bool zeros) {
  RB_SHARED(tile, float[128]);
  CpAsync16Zero(tile + 4 * t, args.in + 4 * t, !zeros || t % 2 == 0);
  CpAsyncCommit();
  CpAsyncWait<0>();
  __syncwarp();
  for (int i = 0; i < 4; ++i) args.out[32 * i + t] = tile[32 * i + t];
}

template <int kPitch>  // bytes from row to row
__device__ void Matrices(const CountedArgs& args, int t) {
  RB_SHARED(tile, unsigned char[32 * kPitch]);
  for (int i = t; i < 32 * kPitch / 4; i += 32) reinterpret_cast<uint32_t*>(tile)[i] = static_cast<uint32_t>(i);
  __syncwarp();
  uint32_t r[4];
  LdMatrix4(r, tile + kPitch * t);
  args.out[t] = static_cast<float>(r[0] + r[1] + r[2] + r[3]);
}

// Warp 0 writes what warp 1 reads behind a barrier.
__device__ void TwoWarps(const CountedArgs& args, int t) {
  RB_SHARED(tile, float[32]);
  if (t < 32) tile[t] = args.in[t];
  __syncthreads();
  if (t >= 32) args.out[t] = tile[t - 32];
}

template <Access kAccess>
__global__ void Kernel(CountedArgs args) {
  DependencyWait();
  const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  Global<kAccess>(args, t);
  if constexpr (kAccess == Access::kColumn32) Columns<32>(args, t);
  if constexpr (kAccess == Access::kColumn33) Columns<33>(args, t);
  if constexpr (kAccess == Access::kShared2) Elements<unsigned short, 1>(args, t);
  if constexpr (kAccess == Access::kShared8) Elements<float2, 1>(args, t);
  if constexpr (kAccess == Access::kShared8Apart) Elements<float2, 2>(args, t);
  if constexpr (kAccess == Access::kShared16) Elements<float4, 1>(args, t);
  if constexpr (kAccess == Access::kShared16Apart) Elements<float4, 2>(args, t);
  if constexpr (kAccess == Access::kAsynchronous) Asynchronous(args, t, false);
  if constexpr (kAccess == Access::kAsynchronousZeros) Asynchronous(args, t, true);
  if constexpr (kAccess == Access::kMatrices16) Matrices<16>(args, t);
  if constexpr (kAccess == Access::kMatrices128) Matrices<128>(args, t);
  if constexpr (kAccess == Access::kMatrices144) Matrices<144>(args, t);
  if constexpr (kAccess == Access::kTwoWarps) TwoWarps(args, t);
  if constexpr (kAccess == Access::kSharedBroadcast) {
    RB_SHARED(value, float);
    if (t == 0) value = args.in[0];
    __syncwarp();
    args.out[t] = value;
  }
}

template <Access... kAccesses>
DeviceError CountOneOf(Access access, const CountedArgs& args, const LaunchConfig& config) {
  DeviceError error{-1};
  ((access == kAccesses ? void(error = Launch(config, Kernel<kAccesses>, args)) : void()), ...);
  return error;
}

}  // namespace

DeviceError Count(Access access, const CountedArgs& args, int blocks, int threads) {
  using enum Access;
  return CountOneOf<kCopy, kStride2, kBroadcast, kMisaligned, kCopy8, kCopy16, kMake16, kOddLanes, kShuffles, kTriangle,
                    kSkippedRounds, kAtomic, kColumn32, kColumn33, kSharedBroadcast, kShared2, kShared8, kShared8Apart,
                    kShared16, kShared16Apart, kAsynchronous, kAsynchronousZeros, kMatrices16, kMatrices128,
                    kMatrices144, kTwoWarps>(
      access, args, {dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0, nullptr});
}

}  // namespace rb::dialect::emu
