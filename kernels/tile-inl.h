// The register tile behind every matrix product of the CPU path. Included once per vector target (Highway's scheme).
//
// A tile is kTileRows rows by two vectors of outputs: 14 x 2 accumulators of AVX-512's 32 registers (28 + 2 weights + 1
// broadcast), 6 x 2 of AVX2's 16 (12 + 2 + 1). A step over one input channel costs kRows broadcasts, two weight loads
// and 2 * kRows multiply-adds, so the loads (16 at two a cycle) hide behind the 28 multiply-adds. Weights are packed
// [panel of kPanel outputs][tap][channel][kPanel], so a tile reads them as one stream. Every output adds up tap-major,
// then channel, in one chain of fused multiply-adds: the same bits for every tile shape.
#if defined(RB_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RB_KERNELS_TILE_INL_H_
#undef RB_KERNELS_TILE_INL_H_
#else
#define RB_KERNELS_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/common.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that two vectors never exceed a panel.
template <class T>
using Tag = hn::CappedTag<T, 16>;
template <class T>
using Vec = hn::Vec<Tag<T>>;

#if HWY_TARGET <= HWY_AVX3
inline constexpr int kTileRows = 14;
#else
inline constexpr int kTileRows = 6;
#endif

// acc[r] += x[r][c] * w[c] for rows [kLo, kHi) and all c in [0, channels): w advances kPanel a channel.
template <int kLo, int kHi, int kRows, class T>
HWY_INLINE void AccumulateTap(const T* HWY_RESTRICT x, int64_t row_stride, int channels, const T* HWY_RESTRICT w,
                              Vec<T> (&acc)[kRows][2]) {
  const Tag<T> d;
  const size_t lanes = hn::Lanes(d);
  for (int c = 0; c < channels; ++c, w += kPanel) {
    const Vec<T> w0 = hn::Load(d, w), w1 = hn::Load(d, w + lanes);
#pragma GCC unroll 16
    for (int r = kLo; r < kHi; ++r) {
      const Vec<T> b = hn::Set(d, x[r * row_stride + c]);
      acc[r][0] = hn::MulAdd(b, w0, acc[r][0]);
      acc[r][1] = hn::MulAdd(b, w1, acc[r][1]);
    }
  }
}

// One tile of a same-padded convolution: taps * channels inputs a row, tap t reading rows shifted by (t -
// taps/2)*dilation. kSkipFirst rows at the top see zero padding through tap 0, kSkipLast rows at the bottom through tap
// 2 (three taps only); they skip those products, which changes no bit because the padding is zero.
template <int kRows, int kSkipFirst, int kSkipLast, class T, class Epilogue>
HWY_INLINE void ConvTile(const T* x, int channels, int taps, int dilation, const T* w, const Epilogue& epilogue) {
  const Tag<T> d;
  Vec<T> acc[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = hn::Zero(d);
  const int64_t step = static_cast<int64_t>(dilation) * channels, tap_size = static_cast<int64_t>(channels) * kPanel;
  if constexpr (kSkipFirst + kSkipLast > 0) {
    AccumulateTap<kSkipFirst, kRows>(x - step, channels, channels, w, acc);
    AccumulateTap<0, kRows>(x, channels, channels, w + tap_size, acc);
    AccumulateTap<0, kRows - kSkipLast>(x + step, channels, channels, w + 2 * tap_size, acc);
  } else {
    for (int t = 0; t < taps; ++t) {
      AccumulateTap<0, kRows>(x + (t - taps / 2) * step, channels, channels, w + t * tap_size, acc);
    }
  }
  epilogue(acc);
}

// Which rows a convolution computes, and how far its taps reach.
struct ConvRows {
  int length = 0;          // rows of the sequence; rows outside [0, length) are zero in memory
  int begin = 0, end = 0;  // rows to compute
  int channels = 0, outputs = 0, taps = 0, dilation = 0;
};

template <int kRows, class T, class Epilogue>
HWY_INLINE void ConvTileAt(const ConvRows& g, int row, const T* x, const T* w, const Epilogue& epilogue) {
  if constexpr (kRows >= kTileRows - 1) {
    if (g.taps == 3) {
      const int first = g.dilation - row, last = row + kRows + g.dilation - g.length;
      if (first > 0 && last <= 0) {
        if (first == 1) return ConvTile<kRows, 1, 0>(x, g.channels, 3, g.dilation, w, epilogue);
        if (first == 2) return ConvTile<kRows, 2, 0>(x, g.channels, 3, g.dilation, w, epilogue);
        if (first == 4) return ConvTile<kRows, 4, 0>(x, g.channels, 3, g.dilation, w, epilogue);
        if constexpr (kRows > 8) {
          if (first == 8) return ConvTile<kRows, 8, 0>(x, g.channels, 3, g.dilation, w, epilogue);
        }
      }
      if (last > 0 && first <= 0) {
        if (last == 1) return ConvTile<kRows, 0, 1>(x, g.channels, 3, g.dilation, w, epilogue);
        if (last == 2) return ConvTile<kRows, 0, 2>(x, g.channels, 3, g.dilation, w, epilogue);
        if (last == 4) return ConvTile<kRows, 0, 4>(x, g.channels, 3, g.dilation, w, epilogue);
        if constexpr (kRows > 8) {
          if (last == 8) return ConvTile<kRows, 0, 8>(x, g.channels, 3, g.dilation, w, epilogue);
        }
      }
    }
  }
  ConvTile<kRows, 0, 0>(x, g.channels, g.taps, g.dilation, w, epilogue);
}

// Calls f(integral_constant<rows>) for a run-time number of rows in [1, kTileRows].
template <int kRows = kTileRows, class F>
HWY_INLINE void WithRows(int rows, const F& f) {
  if (rows == kRows) return f(std::integral_constant<int, kRows>());
  if constexpr (kRows > 1) WithRows<kRows - 1>(rows, f);
}

// Splits [begin, end) into the fewest tiles, sizes differing by at most one (41 rows: 14, 14, 13), and calls f(row,
// rows).
template <class F>
HWY_INLINE void ForEachTile(int begin, int end, const F& f) {
  const int rows = end - begin;
  const int tiles = (rows + kTileRows - 1) / kTileRows;
  for (int t = 0, row = begin; t < tiles; ++t) {
    const int n = rows / tiles + (t < rows % tiles ? 1 : 0);
    f(row, n);
    row += n;
  }
}

// One sequence through one convolution. x points at row 0 of [length][channels] with taps/2*dilation rows of zeros on
// either side; packed is [outputs/kPanel][taps][channels][kPanel]. epilogue(row, output, acc) receives finished tiles:
// acc[r][v] holds outputs [output + v*lanes, ..+lanes) of row row + r.
template <class T, class Epilogue>
HWY_INLINE void ConvSequence(const ConvRows& g, const T* x, const T* packed, const Epilogue& epilogue) {
  const int block = 2 * static_cast<int>(hn::Lanes(Tag<T>()));
  const int64_t panel_size = static_cast<int64_t>(g.taps) * g.channels * kPanel;
  for (int panel = 0; panel < g.outputs / kPanel; ++panel) {
    for (int sub = 0; sub < kPanel; sub += block) {
      const T* w = packed + panel * panel_size + sub;
      ForEachTile(g.begin, g.end, [&](int row, int rows) {
        WithRows(rows, [&](auto constant) {
          constexpr int kRows = decltype(constant)::value;
          ConvTileAt<kRows>(g, row, x + static_cast<int64_t>(row) * g.channels, w,
                            [&](Vec<T>(&acc)[kRows][2]) { epilogue(row, panel * kPanel + sub, acc); });
        });
      });
    }
  }
}

// rows x channels (row stride given) times packed [outputs/kPanel][channels][kPanel]: a convolution of one tap whose
// rows need not be dense. Same epilogue.
template <class T, class Epilogue>
HWY_INLINE void MatrixProduct(const T* x, int64_t row_stride, int rows, int channels, const T* packed, int outputs,
                              const Epilogue& epilogue) {
  const Tag<T> d;
  const int block = 2 * static_cast<int>(hn::Lanes(d));
  for (int panel = 0; panel < outputs / kPanel; ++panel) {
    for (int sub = 0; sub < kPanel; sub += block) {
      const T* w = packed + static_cast<int64_t>(panel) * channels * kPanel + sub;
      ForEachTile(0, rows, [&](int row, int n) {
        WithRows(n, [&](auto constant) {
          constexpr int kRows = decltype(constant)::value;
          Vec<T> acc[kRows][2];
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = hn::Zero(d);
          AccumulateTap<0, kRows>(x + row * row_stride, row_stride, channels, w, acc);
          epilogue(row, panel * kPanel + sub, acc);
        });
      });
    }
  }
}

// w[taps][channels][outputs] -> packed[outputs/kPanel][taps][channels][kPanel].
template <class T>
void PackPanels(const T* w, int taps_times_channels, int outputs, T* packed) {
  for (int panel = 0; panel < outputs / kPanel; ++panel) {
    const T* from = w + panel * kPanel;
    for (int i = 0; i < taps_times_channels; ++i, from += outputs, packed += kPanel) {
      std::memcpy(packed, from, kPanel * sizeof(T));
    }
  }
}

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // RB_KERNELS_TILE_INL_H_
