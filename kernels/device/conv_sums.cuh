// The convolution's arithmetic on tiles in shared memory (kernels/device/conv_tile.cuh): for 128 rows x kTile columns
//
//   sum over taps and depths of  operand[row + shift of the tap][depth] * weight[depth][column].
//
// Tensor cores: warps 4 x 2, each 32 rows x kTile/2 columns. A step of 32 bytes of depth (16 bf16, 8 tf32) loads 1 KB
// of rows and, at kTile 96, 1.5 KB of weights for 12 products: 213 bytes a product where shared memory moves 192 in the
// time of one at mma.sync's rate (1.5 clocks, 4 tensor cores). 64 x 48 would load 149, but leaves 4 warps to 128 rows.
// fp32: 16 x 16 threads, 8 rows x 6 columns a thread; 56 clocks of shared memory for 48 of multiply-adds.
#ifndef RB_KERNELS_DEVICE_CONV_SUMS_CUH_
#define RB_KERNELS_DEVICE_CONV_SUMS_CUH_

#include "kernels/device/conv_tile.cuh"

namespace rb::device {

// Where a row is in its sequence; kNowhere: behind the tile's last row, so that every tap finds zeros.
inline constexpr int kNowhere = -(1 << 24);
__device__ inline int PositionOf(int row, int rows, int length) { return row < rows ? row % length : kNowhere; }
// The row that a tap reads there.
__device__ inline int TapRow(int row, int position, int shift, int length, int zero_row) {
  return static_cast<unsigned>(position + shift) < static_cast<unsigned>(length) ? row + shift : zero_row;
}

// Which thread of the block this is, asked anew by each step of a kernel: the addresses that follow from it would
// otherwise stay in registers from step to step, beside 156 sums.
struct LaneAndWarp {
  int lane, warp;
  __device__ static LaneAndWarp Now() {
    const int thread = ThreadNow();
    return {thread % kWarp, thread / kWarp};
  }
};

__device__ inline void MmaStep(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], BFloat16) {
  Mma16816(d, a, b);
}
__device__ inline void MmaStep(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], uint32_t) {
  Mma1688(d, a, b);
}

// ------------------------------------------------------------------------------------------- convolution, mma

template <class Math, int kTile>
class MmaConvSums {
 public:
  using Operand = typename Math::Operand;
  using Shape = ConvTile<Math, kTile>;

  // Rows [first, first + kConvRows) of a tile of `rows`.
  __device__ void Start(int first, int rows, int length) {
    const LaneAndWarp at = LaneAndWarp::Now();
    active_ = first + Row0(at) < rows;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      row_[m] = first + Row0(at) + 16 * m + at.lane % 16;
      position_[m] = PositionOf(row_[m], rows, length);
#pragma unroll
      for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sum_[m][n][i] = 0;
      }
    }
  }

  __device__ void Add(const Operand* operands, int shift, int length, int zero_row, const Operand* weights) {
    if (!active_) return;
    const LaneAndWarp at = LaneAndWarp::Now();
    const unsigned char* from[2];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      from[m] = reinterpret_cast<const unsigned char*>(operands) +
                TapRow(row_[m], position_[m], shift, length, zero_row) * Shape::kPitchBytes + at.lane / 16 * 16;
    }
#pragma unroll
    for (int step = 0; step < kTile * kOperandBytes / 32; ++step) {
      uint32_t a[2][4], b[kColumnTiles][2];
#pragma unroll
      for (int m = 0; m < 2; ++m) LdMatrix4(a[m], from[m] + 32 * step);
      LoadWeights(weights, at, step, b);
#pragma unroll
      for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
        for (int m = 0; m < 2; ++m) MmaStep(sum_[m][n], a[m], b[n], Operand());
      }
    }
  }

  // at_row(row of the 128) -> context, then at_pair(context, column, value, value of column + 1).
  template <class Row, class Pair>
  __device__ void ForEach(const Row& at_row, const Pair& at_pair) const {
    if (!active_) return;
    const LaneAndWarp at = LaneAndWarp::Now();
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const auto context = at_row(Row0(at) + 16 * m + 8 * half + at.lane / 4);
#pragma unroll
        for (int n = 0; n < kColumnTiles; ++n) {
          at_pair(context, Column0(at) + 8 * n + at.lane % 4 * 2, sum_[m][n][2 * half], sum_[m][n][2 * half + 1]);
        }
      }
    }
  }

 private:
  static constexpr int kColumnTiles = kTile / 16;  // of 8 columns
  static constexpr int kOperandBytes = static_cast<int>(sizeof(Operand));

  __device__ static int Row0(LaneAndWarp at) { return at.warp / 2 * 32; }
  __device__ static int Column0(LaneAndWarp at) { return at.warp % 2 * (kTile / 2); }

  __device__ static void LoadWeights(const Operand* weights, LaneAndWarp at, int step, uint32_t (&b)[kColumnTiles][2]) {
    if constexpr (kOperandBytes == 2) {  // two tiles of 8 columns at a time, transposed on the way
      const Operand* from = weights + (16 * step + at.lane % 16) * Shape::kWeightPitch + Column0(at) + at.lane / 16 * 8;
#pragma unroll
      for (int n = 0; n < kColumnTiles; n += 2) {
        uint32_t both[4];
        LdMatrix4Trans(both, from + 8 * n);
        b[n][0] = both[0], b[n][1] = both[1], b[n + 1][0] = both[2], b[n + 1][1] = both[3];
      }
    } else {
      const Operand* from = weights + (8 * step + at.lane % 4) * Shape::kWeightPitch + Column0(at) + at.lane / 4;
#pragma unroll
      for (int n = 0; n < kColumnTiles; ++n) {
        b[n][0] = from[8 * n];
        b[n][1] = from[8 * n + 4 * Shape::kWeightPitch];
      }
    }
  }

  bool active_ = false;
  int row_[2], position_[2];
  float sum_[2][kColumnTiles][4];
};

// ------------------------------------------------------------------------------------------ convolution, fp32

// Thread (r, c) has rows r + 16 i and columns 2c + 32 j, 2c + 1 + 32 j: 16-byte loads of rows broadcast within a warp
// (its two rows lie 4 banks apart), 8-byte loads of weights are side by side.
template <int kTile>
class FmaConvSums {
 public:
  using Shape = ConvTile<Fp32Math, kTile>;

  __device__ void Start(int first, int rows, int length) {
    first_ = first + ThreadNow() / 16;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      position_[i] = PositionOf(first_ + 16 * i, rows, length);
#pragma unroll
      for (int j = 0; j < kColumns; ++j) sum_[i][j] = 0;
    }
  }

  __device__ void Add(const float* operands, int shift, int length, int zero_row, const float* weights) {
    int at[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      at[i] = TapRow(first_ + 16 * i, position_[i], shift, length, zero_row) * Shape::kPitch;
    const float* weight = weights + ThreadNow() % 16 * 2;
#pragma unroll 2
    for (int d = 0; d < kTile; d += 4) {
      float a[kRows][4];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const float4 four = *reinterpret_cast<const float4*>(operands + at[i] + d);
        a[i][0] = four.x, a[i][1] = four.y, a[i][2] = four.z, a[i][3] = four.w;
      }
#pragma unroll
      for (int u = 0; u < 4; ++u, weight += Shape::kWeightPitch) {
        float w[kColumns];
#pragma unroll
        for (int j = 0; j < kColumns; j += 2) {
          const float2 two = *reinterpret_cast<const float2*>(weight + 16 * j);
          w[j] = two.x, w[j + 1] = two.y;
        }
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
#pragma unroll
          for (int j = 0; j < kColumns; ++j) sum_[i][j] = fmaf(a[i][u], w[j], sum_[i][j]);
        }
      }
    }
  }

  template <class Row, class Pair>
  __device__ void ForEach(const Row& at_row, const Pair& at_pair) const {
    const int thread = ThreadNow();
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const auto context = at_row(thread / 16 + 16 * i);
#pragma unroll
      for (int j = 0; j < kColumns; j += 2) at_pair(context, thread % 16 * 2 + 16 * j, sum_[i][j], sum_[i][j + 1]);
    }
  }

 private:
  static constexpr int kRows = kConvRows / 16, kColumns = kTile / 16;
  int first_ = 0, position_[kRows];
  float sum_[kRows][kColumns];
};

template <class Math, int kTile>
struct ConvSumsOf {
  using Type = MmaConvSums<Math, kTile>;
};
template <int kTile>
struct ConvSumsOf<Fp32Math, kTile> {
  using Type = FmaConvSums<kTile>;
};
template <class Math, int kTile>
using ConvSums = typename ConvSumsOf<Math, kTile>::Type;

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_CONV_SUMS_CUH_
