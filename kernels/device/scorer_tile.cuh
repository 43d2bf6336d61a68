// Matrix products of one warp for the scorer: sums of 16 kM rows x 8 kN columns, in tensor-core fragments, and in fp32
// as multiply-adds of lanes that hold the very same elements, so that everything around a product is written once.
//
// Lane (g, t) = (lane / 4, lane % 4) holds rows 16 m + 8 h + g, columns 8 n + 2 t and the next one. Left operands
// (activations) come from shared memory by ldmatrix, from the overlapping rows of layer 1's input, or, for the dense
// layer, as whole fragments from global memory. Right operands (weights) are packed in fragment order
// (scorer_layout.h): a 16-byte load a lane brings two fragments.
#ifndef RB_KERNELS_DEVICE_SCORER_TILE_CUH_
#define RB_KERNELS_DEVICE_SCORER_TILE_CUH_

#include "kernels/device/dialect.h"
#include "kernels/device/scorer_layout.h"
#include "kernels/device/scorer_source.cuh"

namespace rb::device::scorer {

template <Precision kPrecision>
inline constexpr bool kOnTensorCores = kPrecision != Precision::kFp32;
// Bytes of a row that one step covers.
template <Precision kPrecision>
inline constexpr int kStepBytes = StepDepth(kPrecision) * StoredBytes(kPrecision);

template <Precision kPrecision, int kM, int kN>
struct WarpSums {
  float value[kM][kN][4];

  // bias: of the lane's columns 0, 8, 16, ... and the ones behind.
  __device__ void Set(const float* bias) {
    const int t = threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < kN; ++n) {
      const float2 b = *reinterpret_cast<const float2*>(bias + 8 * n + 2 * t);
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        value[m][n][0] = value[m][n][2] = b.x;
        value[m][n][1] = value[m][n][3] = b.y;
      }
    }
  }
  // f(pair, row, column, sum, sum of the next column); `pair` counts from 0 to kPairs and is a constant in unrolled
  // code.
  static constexpr int kPairs = kM * kN * 2;
  template <class F>
  __device__ void ForEachPair(const F& f) const {
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
#pragma unroll
        for (int n = 0; n < kN; ++n) {
          f((m * 2 + h) * kN + n, 16 * m + 8 * h + lane / 4, 8 * n + 2 * (lane % 4), value[m][n][2 * h],
            value[m][n][2 * h + 1]);
        }
      }
    }
  }
};

// One step's left operand. Registers [m][2 j + h]: the h-th eight rows, the j-th half of the step's depths. fp32: row
// [2 m + h], the step's four depths.
template <Precision kPrecision, int kM>
struct Left {
  static constexpr bool kMma = kOnTensorCores<kPrecision>;
  static constexpr int kAddresses = kMma ? kM : 2 * kM;  // rows whose addresses a lane gives
  std::conditional_t<kMma, uint32_t[kM][4], float[2 * kM][4]> r;

  // The i-th row whose address the lane gives, and the byte within the step that it points to.
  __device__ static int Row(int i) {
    const int lane = threadIdx.x % kWarp;
    return kMma ? 16 * i + lane % 16 : 8 * i + lane / 4;
  }
  __device__ static int Byte() { return kMma ? threadIdx.x % kWarp / 16 * 16 : 0; }

  // address(i): where the i-th row's step lies in shared memory.
  template <class F>
  __device__ void Load(const F& address) {
#pragma unroll
    for (int i = 0; i < kAddresses; ++i) {
      if constexpr (kMma) {
        LdMatrix4(r[i], address(i));
      } else {
        const float4 v = *reinterpret_cast<const float4*>(address(i));
        r[i][0] = v.x, r[i][1] = v.y, r[i][2] = v.z, r[i][3] = v.w;
      }
    }
  }

  // Rows that are ranges of one array: row 16 m + 8 h + g begins at from[2 m + h], an even number.
  __device__ void LoadRanges(const Stored<kPrecision>* values, const int (&from)[2 * kM], int step) {
    const int t = threadIdx.x % 4;
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const Stored<kPrecision>* row = values + from[2 * m + h] + step * StepDepth(kPrecision);
        if constexpr (kPrecision == Precision::kFp32) {
#pragma unroll
          for (int d = 0; d < 4; ++d) r[2 * m + h][d] = row[d];
        } else {
#pragma unroll
          for (int j = 0; j < 2; ++j) {
            if constexpr (kPrecision == Precision::kTf32) {
              r[m][2 * j + h] = BitsOf(row[4 * j + t]);
            } else {
              r[m][2 * j + h] = *reinterpret_cast<const uint32_t*>(row + 8 * j + 2 * t);
            }
          }
        }
      }
    }
  }

  // A matrix stored by StoreFragments, of `depths` columns.
  __device__ void LoadFragments(const void* fragments, int depths, int step) {
    const int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int m = 0; m < kM; ++m) {
      if constexpr (kMma) {
        const int steps = depths / StepDepth(kPrecision);
        const uint4 v = static_cast<const uint4*>(fragments)[(static_cast<int64_t>(m) * steps + step) * kWarp + lane];
        r[m][0] = v.x, r[m][1] = v.y, r[m][2] = v.z, r[m][3] = v.w;
      } else {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const float* row =
              static_cast<const float*>(fragments) + static_cast<int64_t>(16 * m + 8 * h + lane / 4) * depths;
          const float4 v = *reinterpret_cast<const float4*>(row + 4 * step);
          r[2 * m + h][0] = v.x, r[2 * m + h][1] = v.y, r[2 * m + h][2] = v.z, r[2 * m + h][3] = v.w;
        }
      }
    }
  }
};

// Stores elements (row, depth) and (row, depth + 1), depth even, where Left::LoadFragments looks for them.
template <Precision kPrecision>
__device__ inline void StoreFragments(void* fragments, int depths, int row, int depth, float low, float high) {
  constexpr int kDepth = StepDepth(kPrecision);
  if constexpr (kPrecision == Precision::kFp32) {
    *reinterpret_cast<float2*>(static_cast<float*>(fragments) + static_cast<int64_t>(row) * depths + depth) =
        make_float2(low, high);
  } else {
    const int g = row % 8, h = row / 8 % 2, j = depth % kDepth / (kDepth / 2), d = depth % (kDepth / 2);
    const int64_t block = static_cast<int64_t>(row / 16) * (depths / kDepth) + depth / kDepth;
    uint32_t* at = static_cast<uint32_t*>(fragments) + block * kWarp * 4 + 2 * j + h;
    if constexpr (kPrecision == Precision::kBf16) {
      at[(4 * g + d / 2) * 4] = PackBf16(low, high);
    } else {
      at[(4 * g + d) * 4] = ToTf32(low);
      at[(4 * g + d + 1) * 4] = ToTf32(high);
    }
  }
}

// One step's right operand of a warp whose columns are the `block`-th 8 kN of `columns`.
template <Precision kPrecision, int kN>
struct Right {
  static constexpr bool kMma = kOnTensorCores<kPrecision>;
  struct Rows {
    const float* from;
    int pitch;
  };
  std::conditional_t<kMma, uint32_t[kN][2], Rows> r;

  __device__ void Load(const unsigned char* step, int columns, int block) {
    const int lane = threadIdx.x % kWarp;
    if constexpr (kMma) {
      const uint4* from = reinterpret_cast<const uint4*>(step) + block * (kN / 2 * kWarp) + lane;
#pragma unroll
      for (int n = 0; n < kN; n += 2) {
        const uint4 v = from[n / 2 * kWarp];
        r[n][0] = v.x, r[n][1] = v.y, r[n + 1][0] = v.z, r[n + 1][1] = v.w;
      }
    } else {  // read row by row when they are multiplied
      r = {reinterpret_cast<const float*>(step) + (block * 4 + lane % 4) * 2 * kN, columns};
    }
  }
};

template <Precision kPrecision>
__device__ inline void Mma(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (kPrecision == Precision::kBf16) {
    Mma16816(sum, a, b);
  } else {
    Mma1688(sum, a, b);
  }
}

template <Precision kPrecision, int kM, int kN>
__device__ inline void Multiply(const Left<kPrecision, kM>& a, const Right<kPrecision, kN>& b,
                                WarpSums<kPrecision, kM, kN>& sums) {
  if constexpr (kOnTensorCores<kPrecision>) {
#pragma unroll
    for (int n = 0; n < kN; ++n) {
#pragma unroll
      for (int m = 0; m < kM; ++m) Mma<kPrecision>(sums.value[m][n], a.r[m], b.r[n]);
    }
  } else {
#pragma unroll
    for (int d = 0; d < 4; ++d) {
#pragma unroll
      for (int n = 0; n < kN; n += 2) {
        const float4 w = *reinterpret_cast<const float4*>(b.r.from + d * b.r.pitch + 2 * n);
#pragma unroll
        for (int i = 0; i < 2 * kM; ++i) {
          float(&low)[4] = sums.value[i / 2][n];
          float(&high)[4] = sums.value[i / 2][n + 1];
          const int h = i % 2 * 2;
          low[h] = fmaf(a.r[i][d], w.x, low[h]);
          low[h + 1] = fmaf(a.r[i][d], w.y, low[h + 1]);
          high[h] = fmaf(a.r[i][d], w.z, high[h]);
          high[h + 1] = fmaf(a.r[i][d], w.w, high[h + 1]);
        }
      }
    }
  }
}

// kSteps steps on end. left(operand, step) loads activations, weights(step) is where the step's weights lie (see
// Right::Load). kAhead: each step's operands are loaded before the step before is multiplied.
template <int kSteps, bool kAhead, Precision kPrecision, int kM, int kN, class LoadLeft, class WeightsOf>
__device__ inline void MultiplySteps(WarpSums<kPrecision, kM, kN>& sums, const LoadLeft& left, const WeightsOf& weights,
                                     int columns, int block) {
  constexpr int kBuffers = kAhead ? 2 : 1;
  Left<kPrecision, kM> a[kBuffers];
  Right<kPrecision, kN> b[kBuffers];
  [[maybe_unused]] constexpr int kUnrolled =
      kOnTensorCores<kPrecision> ? kSteps + kBuffers : 2;  // a step in fp32 is 3 KB of code
#pragma unroll kUnrolled
  for (int step = 1 - kBuffers; step < kSteps; ++step) {
    const int next = step + kBuffers - 1;
    if (next < kSteps) {
      left(a[next % kBuffers], next);
      b[next % kBuffers].Load(weights(next), columns, block);
    }
    if (step >= 0) Multiply(a[step % kBuffers], b[step % kBuffers], sums);
  }
}

// ---------------------------------------------------------------------------------------------- activation planes

// Rows of kChannels values in shared memory. A row's 16-byte units are permuted by exclusive or with the row's number,
// so that the eight rows of an ldmatrix meet 32 different banks.
template <Precision kPrecision, int kChannels>
struct Plane {
  static constexpr int kRowBytes = kChannels * StoredBytes(kPrecision);
  static constexpr int kPermuted = kRowBytes % 128 == 0 ? 128 : 64;  // bytes among which units change places
  // Zeros that stand for rows beyond a sequence, with room for the bank of the row that they stand for.
  static constexpr int kZeroBytes = RoundUp(kRowBytes + 64, 128);
  static_assert(kRowBytes % 64 == 0);
  unsigned char* shared;  // the block's shared memory
  int begin;              // where in it the plane lies, a multiple of 128
  int zeros;              // and kZeroBytes of zeros

  __device__ static int Permutation(int row) { return kPermuted == 128 ? (row & 7) << 4 : (row >> 1 & 3) << 4; }
  __device__ unsigned char* At(int row, int channel) const {
    return shared + begin + row * kRowBytes + (channel * StoredBytes(kPrecision) ^ Permutation(row));
  }

  // Where row `row` begins as its units see it: At(row, channel) is In(RowAt(row), bytes of the channel).
  __device__ int RowAt(int row) const { return begin + row * kRowBytes + Permutation(row); }
  // Row `row` as steps go through it, from byte `byte` of each step on: zeros in the same banks unless it is `inside`.
  __device__ int RowAt(int row, int byte, bool inside) const {
    const int at = row * kRowBytes;
    return (inside ? begin + at : zeros + (at & 64)) + (Permutation(row) ^ byte);
  }
  // Where byte `at` of a row lies, a step's or a pair's: rows begin at multiples of kPermuted.
  __device__ unsigned char* In(int row, int at) const {
    return shared + (row ^ (at & (kPermuted - 1))) + (at & ~(kPermuted - 1));
  }
};

// Two neighbouring activations as they are stored, and back.
template <Precision kPrecision>
struct StoredPair {
  using Bits = std::conditional_t<kPrecision == Precision::kBf16, uint32_t, float2>;
  Bits bits;

  __device__ static StoredPair Round(float low, float high) {
    if constexpr (kPrecision == Precision::kBf16) return {PackBf16(low, high)};
    if constexpr (kPrecision == Precision::kTf32) return {make_float2(FloatOf(ToTf32(low)), FloatOf(ToTf32(high)))};
    if constexpr (kPrecision == Precision::kFp32) return {make_float2(low, high)};
  }
  __device__ static StoredPair Load(const void* from) { return {*static_cast<const Bits*>(from)}; }
  __device__ void Store(void* to) const { *static_cast<Bits*>(to) = bits; }
  __device__ float low() const {
    if constexpr (kPrecision == Precision::kBf16) {
      return FloatOf(bits << 16);
    } else {
      return bits.x;
    }
  }
  __device__ float high() const {
    if constexpr (kPrecision == Precision::kBf16) {
      return FloatOf(bits & 0xFFFF0000u);
    } else {
      return bits.y;
    }
  }
};

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_TILE_CUH_
