// The scorer's bf16 path: AVX512-BF16's dot product of channel pairs, fp32 accumulation. Other machines: HasBf16() is
// false.
//
// Mapping as in scorer_cpu.cc; the register tile is the same 14 x 2 vectors of outputs, each step taking two channels:
// one broadcast of a pair of activations per row, two weight loads, 28 dot products (64 FLOP each). Weights of
// convolutions and of the dense layer are bf16, activations and pooled values are rounded to bf16 where they are
// stored; layer 1's table, every bias, the skip's addition, the pooling's sum and the head are fp32. For the paper's
// network a sequence costs 6.8 MFLOP and moves 7.9 KB a plane, 55 KB of weights a layer, through L1/L2. Limited by the
// two dot-product ports; layer 1 (fp32 adds from a 17 KB table) and the stores' rounding are the rest. Every output is
// one chain of dot products in tap-major order, so tile shapes and neighbours change no bit.
#include "kernels/scorer_internal.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define RB_BF16_POSSIBLE 1
#else
#define RB_BF16_POSSIBLE 0
#endif

#if RB_BF16_POSSIBLE

#include <hwy/base.h>

// GCC 12 takes the undefined pass-through operand of its own intrinsics for a mistake of ours (GCC bug 105593).
#if HWY_COMPILER_GCC_ACTUAL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if HWY_COMPILER_GCC_ACTUAL
#pragma GCC diagnostic pop
#endif

#include <type_traits>

#include "kernels/common.h"

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
namespace rb::cpu {
namespace {

using internal::Network;
using internal::Scratch;

constexpr int kLanes = 16;
constexpr int kTileRows = 14;  // 28 accumulators + 2 weights + 1 broadcast of 32 registers
// Both presets' filters: with row strides known to the compiler a tile needs no spilled addresses (1 % of a sequence).
constexpr int kTunedFilters = 96;

HWY_INLINE __m512bh LoadPairs(const uint16_t* p) { return (__m512bh)_mm512_load_si512(p); }
HWY_INLINE __m512bh BroadcastPair(const uint16_t* p) {
  int pair;
  std::memcpy(&pair, p, sizeof(pair));
  return (__m512bh)_mm512_set1_epi32(pair);
}
HWY_INLINE __m512 Widen(const uint16_t* p) {
  const __m256i bits = _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
// 32 outputs of one row, rounded to nearest even.
HWY_INLINE __m512i Round(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }
// ReLU of rounded values: a negative bf16 is a negative int16. Rounding keeps signs, so it may come first, at half the
// work.
HWY_INLINE __m512i Relu(__m512i rounded) { return _mm512_max_epi16(rounded, _mm512_setzero_si512()); }

// acc[r] += x[r][c..c+1] . w[c..c+1] for rows [kLo, kHi) and all channel pairs.
template <int kLo, int kHi, int kRows>
HWY_INLINE void AccumulateTap(const uint16_t* x, int64_t row_stride, int channels, const uint16_t* w,
                              __m512 (&acc)[kRows][2]) {
  for (int c = 0; c < channels; c += 2, w += 2 * kPanel) {
    const __m512bh w0 = LoadPairs(w), w1 = LoadPairs(w + kPanel);
#pragma GCC unroll 16
    for (int r = kLo; r < kHi; ++r) {
      const __m512bh b = BroadcastPair(x + r * row_stride + c);
      acc[r][0] = _mm512_dpbf16_ps(acc[r][0], b, w0);
      acc[r][1] = _mm512_dpbf16_ps(acc[r][1], b, w1);
    }
  }
}

// What a tile reads and writes beside its rows.
struct Conv {
  int length, channels, taps, dilation;
  const uint16_t* weights;  // of one panel
  const uint16_t* x;        // row 0
  const uint16_t* skip;     // row 0, output 0; null: none
  const float* bias;        // of the panel
  uint16_t* y;              // row 0, first output of the panel
};

// One tile of a same-padded convolution (kChannels 0: any number). As in tile-inl.h, kSkipFirst rows at the top
// (kSkipLast at the bottom) leave out a tap that sees only padding, which changes no bit.
template <int kChannels, int kRows, int kSkipFirst, int kSkipLast>
HWY_NOINLINE void ConvTile(const Conv& g, int row) {
  const int channels = kChannels > 0 ? kChannels : g.channels;
  const __m512 b0 = _mm512_load_ps(g.bias), b1 = _mm512_load_ps(g.bias + kLanes);
  __m512 acc[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    acc[r][0] = b0;
    acc[r][1] = b1;
  }
  const uint16_t* x = g.x + static_cast<int64_t>(row) * channels;
  const int64_t step = static_cast<int64_t>(g.dilation) * channels, tap_size = static_cast<int64_t>(channels) * kPanel;
  if constexpr (kSkipFirst + kSkipLast > 0) {
    AccumulateTap<kSkipFirst, kRows>(x - step, channels, channels, g.weights, acc);
    AccumulateTap<0, kRows>(x, channels, channels, g.weights + tap_size, acc);
    AccumulateTap<0, kRows - kSkipLast>(x + step, channels, channels, g.weights + 2 * tap_size, acc);
  } else {
    for (int t = 0; t < g.taps; ++t) {
      AccumulateTap<0, kRows>(x + (t - g.taps / 2) * step, channels, channels, g.weights + t * tap_size, acc);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const int64_t at = static_cast<int64_t>(row + r) * channels;
    if (g.skip != nullptr) {
      acc[r][0] = _mm512_add_ps(acc[r][0], Widen(g.skip + at));
      acc[r][1] = _mm512_add_ps(acc[r][1], Widen(g.skip + at + kLanes));
    }
    _mm512_store_si512(g.y + at, Relu(Round(acc[r][0], acc[r][1])));
  }
}

// Chooses the tile that leaves out padding, for the dilations of the two presets.
template <int kChannels, int kRows>
HWY_INLINE void ConvTileAt(const Conv& g, int row) {
  if constexpr (kRows >= kTileRows - 1) {
    const int first = g.dilation - row, last = row + kRows + g.dilation - g.length;
    if (g.taps == 3 && first > 0 && last <= 0) {
      if (first == 1) return ConvTile<kChannels, kRows, 1, 0>(g, row);
      if (first == 2) return ConvTile<kChannels, kRows, 2, 0>(g, row);
      if (first == 4) return ConvTile<kChannels, kRows, 4, 0>(g, row);
      if (first == 8) return ConvTile<kChannels, kRows, 8, 0>(g, row);
    }
    if (g.taps == 3 && last > 0 && first <= 0) {
      if (last == 1) return ConvTile<kChannels, kRows, 0, 1>(g, row);
      if (last == 2) return ConvTile<kChannels, kRows, 0, 2>(g, row);
      if (last == 4) return ConvTile<kChannels, kRows, 0, 4>(g, row);
      if (last == 8) return ConvTile<kChannels, kRows, 0, 8>(g, row);
    }
  }
  ConvTile<kChannels, kRows, 0, 0>(g, row);
}

// Calls f.template operator()<rows>() for a run-time number of rows in [1, kTileRows].
template <int kRows = kTileRows, class F>
HWY_INLINE void WithRows(int rows, const F& f) {
  if (rows == kRows) return f(std::integral_constant<int, kRows>());
  if constexpr (kRows > 1) WithRows<kRows - 1>(rows, f);
}

// Splits [begin, end) into the fewest tiles, sizes differing by at most one, and calls f(row, constant of rows).
template <class F>
HWY_INLINE void ForEachTile(int begin, int end, const F& f) {
  const int rows = end - begin, tiles = (rows + kTileRows - 1) / kTileRows;
  for (int t = 0, row = begin; t < tiles; ++t) {
    const int n = rows / tiles + (t < rows % tiles ? 1 : 0);
    WithRows(n, [&](auto constant) { f(row, constant); });
    row += n;
  }
}

template <int kChannels>
void ConvPanels(const Network& net, int i, int begin, int end, Conv conv) {
  const int64_t panel_size = static_cast<int64_t>(conv.taps) * conv.channels * kPanel;
  conv.weights = static_cast<const uint16_t*>(net.conv[i]);
  conv.bias = net.conv_bias[i];
  for (int panel = 0; panel < conv.channels / kPanel; ++panel) {
    ForEachTile(begin, end, [&](int row, auto rows) { ConvTileAt<kChannels, decltype(rows)::value>(conv, row); });
    conv.weights += panel_size;
    conv.bias += kPanel;
    conv.y += kPanel;
    if (conv.skip != nullptr) conv.skip += kPanel;
  }
}

// Rows [begin, end) of residual layer i: x -> y.
void ConvRowsForward(const Network& net, int i, int begin, int end, const uint16_t* x, const uint16_t* skip,
                     uint16_t* y) {
  const ScorerGeometry& g = net.geometry;
  const Conv conv = {g.length, g.filters, g.width, g.dilations[i], nullptr, x, skip, nullptr, y};
  if (g.filters == kTunedFilters) {
    ConvPanels<kTunedFilters>(net, i, begin, end, conv);
  } else {
    ConvPanels<0>(net, i, begin, end, conv);
  }
}

// Layer 1 at rows [row, row + kRows), outputs [output, output + kPairs * 32).
template <bool kTracks, int kRows, int kPairs>
HWY_INLINE void EmbedTile(const Network& net, const Scratch<uint16_t>& s, int row, int output, uint16_t* y) {
  const int channels = net.geometry.filters, tracks = kTracks ? net.geometry.structure : 0;
  constexpr int kVectors = 2 * kPairs;
  __m512 acc[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_load_ps(net.embed_bias + output + v * kLanes);
  }
  const float* table = net.embed + output;
  const float* track_weights = net.tracks + output;
  for (int t = 0; t < net.geometry.first_width; ++t, table += internal::kBaseRows * channels) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const float* w = table + s.base_row[row + r + t];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_add_ps(acc[r][v], _mm512_load_ps(w + v * kLanes));
    }
    for (int j = 0; j < tracks; ++j, track_weights += channels) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m512 x = _mm512_set1_ps(s.tracks[(row + r + t) * tracks + j]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          acc[r][v] = _mm512_fmadd_ps(x, _mm512_load_ps(track_weights + v * kLanes), acc[r][v]);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    uint16_t* to = y + static_cast<int64_t>(row + r) * channels + output;
#pragma GCC unroll 8
    for (int p = 0; p < kPairs; ++p) {
      _mm512_store_si512(to + p * kPanel, Relu(Round(acc[r][2 * p], acc[r][2 * p + 1])));
    }
  }
}

template <bool kTracks, int kPairs>
HWY_INLINE void EmbedColumns(const Network& net, const Scratch<uint16_t>& s, int begin, int end, int output,
                             uint16_t* y) {
  constexpr int kRows = 2;  // 12 sums hide an add's latency; two rows share a track's weights
  int row = begin;
  for (; row + kRows <= end; row += kRows) EmbedTile<kTracks, kRows, kPairs>(net, s, row, output, y);
  if (row < end) EmbedTile<kTracks, 1, kPairs>(net, s, row, output, y);
}

template <bool kTracks>
void EmbedRowsWith(const Network& net, const Scratch<uint16_t>& s, int begin, int end, uint16_t* y) {
  int output = 0;
  for (; output + 3 * kPanel <= net.geometry.filters; output += 3 * kPanel) {
    EmbedColumns<kTracks, 3>(net, s, begin, end, output, y);
  }
  for (; output < net.geometry.filters; output += kPanel) EmbedColumns<kTracks, 1>(net, s, begin, end, output, y);
}

// Rows [begin, end) of layer 1 with bias and ReLU.
void EmbedRows(const Network& net, const Scratch<uint16_t>& s, int begin, int end, uint16_t* y) {
  net.geometry.structure > 0 ? EmbedRowsWith<true>(net, s, begin, end, y) : EmbedRowsWith<false>(net, s, begin, end, y);
}

// Pools [begin, end) of one sequence: mean in fp32, rounded once.
void PoolRows(const Network& net, int begin, int end, const uint16_t* x, uint16_t* pooled) {
  const int channels = net.geometry.filters, size = net.geometry.pool;
  const __m512 scale = _mm512_set1_ps(1.0f / static_cast<float>(size));
  for (int pool = begin; pool < end; ++pool) {
    const uint16_t* from = x + static_cast<int64_t>(pool) * size * channels;
    for (int c = 0; c < channels; c += kPanel) {
      __m512 low = Widen(from + c), high = Widen(from + c + kLanes);
      for (int r = 1; r < size; ++r) {
        low = _mm512_add_ps(low, Widen(from + r * channels + c));
        high = _mm512_add_ps(high, Widen(from + r * channels + c + kLanes));
      }
      _mm512_store_si512(pooled + pool * channels + c, Round(_mm512_mul_ps(low, scale), _mm512_mul_ps(high, scale)));
    }
  }
}

// One tile of the dense layer, folded into the head's partial sums.
template <int kRows>
HWY_NOINLINE void DenseTile(const Network& net, const uint16_t* x, const uint16_t* w, int output, float* sums) {
  __m512 acc[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
  AccumulateTap<0, kRows>(x, net.dense_inputs(), net.dense_inputs(), w, acc);
  const float *bias = net.dense_bias + output, *head = net.head + output;
  const __m512 zero = _mm512_setzero_ps(), b0 = _mm512_load_ps(bias), b1 = _mm512_load_ps(bias + kLanes),
               h0 = _mm512_load_ps(head), h1 = _mm512_load_ps(head + kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* at = sums + r * internal::kMaxLanes;
    const __m512 sum = _mm512_fmadd_ps(_mm512_max_ps(_mm512_add_ps(acc[r][0], b0), zero), h0, _mm512_load_ps(at));
    _mm512_store_ps(at, _mm512_fmadd_ps(_mm512_max_ps(_mm512_add_ps(acc[r][1], b1), zero), h1, sum));
  }
}

void DenseHead(const Network& net, const Scratch<uint16_t>& s, int count, float* out) {
  const int inputs = net.dense_inputs();
  std::fill_n(s.head_sums, count * internal::kMaxLanes, 0.0f);
  const auto* weights = static_cast<const uint16_t*>(net.dense);
  for (int output = 0; output < net.geometry.hidden;
       output += kPanel, weights += static_cast<int64_t>(inputs) * kPanel) {
    ForEachTile(0, count, [&](int row, auto rows) {
      DenseTile<decltype(rows)::value>(net, s.pooled + static_cast<int64_t>(row) * inputs, weights, output,
                                       s.head_sums + row * internal::kMaxLanes);
    });
  }
  for (int i = 0; i < count; ++i) {
    const __m512 sums = _mm512_load_ps(s.head_sums + i * internal::kMaxLanes);
    out[i] = internal::FinishHead(net, _mm512_reduce_add_ps(sums));
  }
}

constexpr internal::Layers<uint16_t> kLayers = {&EmbedRows, &ConvRowsForward, &PoolRows, &DenseHead};

}  // namespace
}  // namespace rb::cpu
HWY_POP_ATTRIBUTES

namespace rb::cpu {

bool HasBf16() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bf16");
}

const internal::Layers<uint16_t>& internal::LayersBf16() { return kLayers; }

}  // namespace rb::cpu

#else  // RB_BF16_POSSIBLE

namespace rb::cpu {
bool HasBf16() { return false; }
const internal::Layers<uint16_t>& internal::LayersBf16() { std::abort(); }
}  // namespace rb::cpu

#endif  // RB_BF16_POSSIBLE
