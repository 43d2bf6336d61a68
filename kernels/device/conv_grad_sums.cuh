// The convolution's weight gradient on tiles in shared memory (kernels/device/conv_tile.cuh): for three taps and kTile
// x kTile weights
//
//   sum over rows of  a[row + shift of the tap][channel] * dy[row][column].
//
// Tensor cores: warps 2 x 4; the three taps' channels are six groups of kTile/2, three to a warp, times kTile/4 columns
// of dy: 9 x 3 products a step at kTile 96, 108 sums a thread, 199 bytes of shared memory a product (192 in the time of
// one). fp32: 16 x 16 threads, 3 taps x 6 x 6 sums a thread; 24 clocks of shared memory a row for 27 of multiply-adds.
#ifndef RB_KERNELS_DEVICE_CONV_GRAD_SUMS_CUH_
#define RB_KERNELS_DEVICE_CONV_GRAD_SUMS_CUH_

#include "kernels/device/conv_sums.cuh"
#include "kernels/device/conv_tile.cuh"

namespace rb::device {

// What a weight gradient's sums run over. Tap j of the three is read at shift + j * step; bit j of `live`: it is in the
// filter and meets its sequence at all.
struct GradRows {
  int rows, length, zero_row, shift, step;
  unsigned live;
};

template <class Math, int kTile>
class MmaGradSums {
 public:
  using Operand = typename Math::Operand;
  using Shape = ConvTile<Math, kTile>;

  __device__ void Add(const Operand* a, const Operand* dy, const GradRows& g) {
    if constexpr (sizeof(Operand) == 2) {
      AddBf16(a, dy, g);
    } else {
      AddTf32(a, dy, g);
    }
  }

  // to[tap][i][j] of `taps` taps, taps and rows `tap_pitch` and `pitch` values apart.
  __device__ void Store(int taps, int64_t tap_pitch, int pitch, float* to) const {
    const Place at;
#pragma unroll
    for (int s = 0; s < 3; ++s) {
      if (at.tap(s) >= taps) continue;
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          float* const row = to + at.tap(s) * tap_pitch +
                             static_cast<int64_t>(at.channel(s) + 16 * m + 8 * half + at.lane / 4) * pitch +
                             at.column0() + at.lane % 4 * 2;
#pragma unroll
          for (int n = 0; n < kTiles; ++n) StorePair(sum_[s][m][n][2 * half], sum_[s][m][n][2 * half + 1], row + 8 * n);
        }
      }
    }
  }

 private:
  static constexpr int kTiles = kTile / 32;  // of 16 channels in a group, of 8 columns in a warp's quarter
  // A warp's three groups of channels, and its quarter of the columns.
  struct Place : LaneAndWarp {
    __device__ Place() : LaneAndWarp(LaneAndWarp::Now()) {}
    __device__ int tap(int s) const { return (3 * (warp / 4) + s) / 2; }
    __device__ int channel(int s) const { return (3 * (warp / 4) + s) % 2 * (kTile / 2); }
    __device__ int column0() const { return warp % 4 * (kTile / 4); }
  };

  // Steps of 16 rows; both operands are transposed on their way from shared memory.
  __device__ void AddBf16(const Operand* a, const Operand* dy, const GradRows& g) {
    const Place at;
    const int a_lane = at.lane % 8 + at.lane / 16 * 8, a_column = at.lane / 8 % 2 * 8;
    int position = a_lane % g.length;
    for (int first = 0; first < g.rows; first += 16) {
      const int dy_row = first + at.lane % 16 < g.rows ? first + at.lane % 16 : g.zero_row;
      const Operand* const dy_from = dy + dy_row * Shape::kPitch + at.column0();
      uint32_t b[kTiles][2];
      if constexpr (kTiles >= 2) {
        uint32_t both[4];
        LdMatrix4Trans(both, dy_from + at.lane / 16 * 8);
        b[0][0] = both[0], b[0][1] = both[1], b[1][0] = both[2], b[1][1] = both[3];
      }
      if constexpr (kTiles % 2 == 1) LdMatrix2Trans(b[kTiles - 1], dy_from + 8 * (kTiles - 1));
      const int row = first + a_lane, where = row < g.rows ? position : kNowhere;
#pragma unroll
      for (int s = 0; s < 3; ++s) {
        if ((g.live >> at.tap(s) & 1u) == 0) continue;
        const Operand* const a_from =
            a + TapRow(row, where, g.shift + at.tap(s) * g.step, g.length, g.zero_row) * Shape::kPitch + at.channel(s) +
            a_column;
#pragma unroll
        for (int m = 0; m < kTiles; ++m) {
          uint32_t x[4];
          LdMatrix4Trans(x, a_from + 16 * m);
#pragma unroll
          for (int n = 0; n < kTiles; ++n) Mma16816(sum_[s][m][n], x, b[n]);
        }
      }
      position += 16;
      if (position >= g.length) position -= g.length;
    }
  }

  // Steps of 8 rows. Lane (g, t) takes rows 2t and 2t + 1 for the products' depths t and t + 4, in both operands: rows
  // 2t at columns g are then on different banks.
  __device__ void AddTf32(const Operand* a, const Operand* dy, const GradRows& g) {
    const Place at;
    const int t = at.lane % 4, column = at.lane / 4;
    int even = 2 * t % g.length, odd = (2 * t + 1) % g.length;
    for (int first = 0; first < g.rows; first += 8) {
      const int row[2] = {first + 2 * t, first + 2 * t + 1};
      const int where[2] = {row[0] < g.rows ? even : kNowhere, row[1] < g.rows ? odd : kNowhere};
      uint32_t b[kTiles][2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const Operand* const from =
            dy + (row[i] < g.rows ? row[i] : g.zero_row) * Shape::kPitch + at.column0() + column;
#pragma unroll
        for (int n = 0; n < kTiles; ++n) b[n][i] = from[8 * n];
      }
#pragma unroll
      for (int s = 0; s < 3; ++s) {
        if ((g.live >> at.tap(s) & 1u) == 0) continue;
        const int shift = g.shift + at.tap(s) * g.step;
        const Operand* from[2];
#pragma unroll
        for (int i = 0; i < 2; ++i)
          from[i] = a + TapRow(row[i], where[i], shift, g.length, g.zero_row) * Shape::kPitch + at.channel(s) + column;
#pragma unroll
        for (int m = 0; m < kTiles; ++m) {
          const uint32_t x[4] = {from[0][16 * m], from[0][16 * m + 8], from[1][16 * m], from[1][16 * m + 8]};
#pragma unroll
          for (int n = 0; n < kTiles; ++n) Mma1688(sum_[s][m][n], x, b[n]);
        }
      }
      even += 8, odd += 8;
      if (even >= g.length) even -= g.length;
      if (odd >= g.length) odd -= g.length;
    }
  }

  float sum_[3][kTiles][kTiles][4] = {};
};

// ------------------------------------------------------------------------------------- weight gradient, fp32

// Thread (i, j) has channels 2i + 32 m and columns 2j + 32 n (and the next of either) of all three taps. All threads
// are at the same row: a tap that leaves its sequence is a branch of the whole block.
template <int kTile>
class FmaGradSums {
 public:
  using Shape = ConvTile<Fp32Math, kTile>;

  __device__ void Add(const float* a, const float* dy, const GradRows& g) {
    const int thread = ThreadNow();
    const float* const a_from = a + thread / 16 * 2;
    const float* const dy_from = dy + thread % 16 * 2;
    int position = 0;
    for (int row = 0; row < g.rows; ++row) {
      float b[kValues];
      LoadPairs(dy_from + row * Shape::kPitch, b);
#pragma unroll
      for (int s = 0; s < 3; ++s) {
        const int shift = g.shift + s * g.step;
        if ((g.live >> s & 1u) == 0 || static_cast<unsigned>(position + shift) >= static_cast<unsigned>(g.length)) {
          continue;
        }
        float x[kValues];
        LoadPairs(a_from + (row + shift) * Shape::kPitch, x);
#pragma unroll
        for (int m = 0; m < kValues; ++m) {
#pragma unroll
          for (int n = 0; n < kValues; ++n) sum_[s][m][n] = fmaf(x[m], b[n], sum_[s][m][n]);
        }
      }
      if (++position == g.length) position = 0;
    }
  }

  __device__ void Store(int taps, int64_t tap_pitch, int pitch, float* to) const {
    const int thread = ThreadNow();
#pragma unroll
    for (int s = 0; s < 3; ++s) {
      if (s >= taps) continue;
#pragma unroll
      for (int m = 0; m < kValues; ++m) {
        float* const row =
            to + s * tap_pitch + static_cast<int64_t>(thread / 16 * 2 + 32 * (m / 2) + m % 2) * pitch + thread % 16 * 2;
#pragma unroll
        for (int n = 0; n < kValues; n += 2) StorePair(sum_[s][m][n], sum_[s][m][n + 1], row + 16 * n);
      }
    }
  }

 private:
  static constexpr int kValues = kTile / 16;
  __device__ static void LoadPairs(const float* from, float (&out)[kValues]) {
#pragma unroll
    for (int n = 0; n < kValues; n += 2) {
      const float2 two = *reinterpret_cast<const float2*>(from + 16 * n);
      out[n] = two.x, out[n + 1] = two.y;
    }
  }

  float sum_[3][kValues][kValues] = {};
};

template <class Math, int kTile>
struct GradSumsOf {
  using Type = MmaGradSums<Math, kTile>;
};
template <int kTile>
struct GradSumsOf<Fp32Math, kTile> {
  using Type = FmaGradSums<kTile>;
};
template <class Math, int kTile>
using GradSums = typename GradSumsOf<Math, kTile>::Type;

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_CONV_GRAD_SUMS_CUH_
