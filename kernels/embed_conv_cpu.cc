// Layer 1 on the CPU (kernels/embed_conv.h).
//
// Mapping: a task is one chunk of one model's batch. A tap of a known base is one row of w (a look-up), so a sequence
// costs K*L rows of C additions (11*41*96 = 43 k, against 1.5 M multiply-adds of the dense form); w (17 KB) stays in
// L1. Bytes a sequence: 20 in, 15.7 KB out. Limit: L1 loads.
#include "kernels/embed_conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/embed_conv_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/gradient-inl.h"
#include "kernels/lanes-inl.h"
#include "kernels/packed_bases.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {

// y[l][block of kVectors vectors] for one sequence. Taps in order; within a tap the base, then the tracks.
template <int kVectors, class T>
HWY_INLINE void EmbedRow(const EmbedConvGeometry& g, const uint8_t* codes, const float* tracks, const T* w, int l,
                         int o, T* y) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const int half = g.width / 2, channels = 4 + g.structure;
  Vec<T> acc[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) acc[v] = hn::Zero(d);
  for (int k = std::max(0, half - l); k < std::min(g.width, g.length + half - l); ++k) {
    const int p = l + k - half;
    const T* tap = w + static_cast<int64_t>(k) * channels * g.filters + o;
    if (codes[p] != kUnknownBase) {
      const T* row = tap + static_cast<int64_t>(codes[p]) * g.filters;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[v] = hn::Add(acc[v], hn::Load(d, row + v * lanes));
    }
    for (int s = 0; s < g.structure; ++s) {
      const auto value = hn::Set(d, static_cast<T>(tracks[p * g.structure + s]));
      const T* row = tap + static_cast<int64_t>(4 + s) * g.filters;
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) acc[v] = hn::MulAdd(value, hn::Load(d, row + v * lanes), acc[v]);
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) hn::Store(acc[v], d, y + o + v * lanes);
}

template <class T>
HWY_INLINE void EmbedSequence(const EmbedConvGeometry& g, const uint8_t* codes, const float* tracks, const T* w, T* y) {
  for (int l = 0; l < g.length; ++l, y += g.filters) {
    ForChannelBlocks<T>(g.filters, [&](auto vectors, int o)
                                       HWY_ATTR { EmbedRow<decltype(vectors)::value>(g, codes, tracks, w, l, o, y); });
  }
}

HWY_INLINE const float* TracksOf(const EmbedConvGeometry& g, int64_t sequence) {
  return g.structure == 0 ? nullptr : g.tracks + sequence * g.length * g.structure;
}

template <class T>
void EmbedConvForwardImpl(const EmbedConvForwardArgs<T>& a, Parallel& parallel) {
  const EmbedConvGeometry& g = a.geometry;
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const int rows = a.models.state[slot].rows;
    if (rows == 0) return;
    ScratchCarver carver(parallel, thread, ScratchCarver::Bytes<uint8_t>(g.length));
    uint8_t* codes = carver.Take<uint8_t>(g.length);
    T* mean = a.moments ? a.moments[slot] + static_cast<int64_t>(chunk) * 2 * g.filters : nullptr;
    if (mean) std::fill(mean, mean + 2 * g.filters, T(0));
    const int begin = ChunkBegin(rows, chunk), end = ChunkBegin(rows, chunk + 1);
    for (int n = begin; n < end; ++n) {
      const int64_t sequence = a.rows[slot][n];
      UnpackBases(g.bases + sequence * PackedWords(g.length), g.length, codes);
      T* y = a.y[slot] + static_cast<int64_t>(n) * g.length * g.filters;
      EmbedSequence(g, codes, TracksOf(g, sequence), a.w[slot], y);
      if (mean) {
        AddMoments(y, g.filters, g.length, g.filters, static_cast<int64_t>(n - begin) * g.length, mean,
                   mean + g.filters);
      }
    }
  });
}

// dy of one row of layer 1 -> scratch, through the batch norm when there is one.
template <class T>
HWY_INLINE const T* RebuildEmbedDy(const EmbedConvBackwardArgs<T>& a, int slot, int n, NormGradAffine<T> grad, T* dy) {
  const EmbedConvGeometry& g = a.geometry;
  const int64_t at = static_cast<int64_t>(n) * g.length * g.filters;
  if (!a.mean) return a.dz[slot] + at;
  ApplyNormGrad(a.dz[slot] + at, a.y[slot] + at, g.length, g.filters, grad, dy);
  return dy;
}

template <class T>
struct EmbedScratch {
  uint8_t* codes;
  uint16_t* positions;
  T* dy;
  NormGradAffine<T> grad;
};

template <class T>
EmbedScratch<T> CarveEmbedScratch(const EmbedConvBackwardArgs<T>& a, int slot, Parallel& parallel, int thread) {
  using C = ScratchCarver;
  const EmbedConvGeometry& g = a.geometry;
  const int64_t size = static_cast<int64_t>(g.length) * g.filters;
  ScratchCarver carver(
      parallel, thread,
      C::Bytes<uint8_t>(g.length) + C::Bytes<uint16_t>(g.length + 1) + C::Bytes<T>(size) + 3 * C::Bytes<T>(g.filters));
  EmbedScratch<T> s;
  s.codes = carver.Take<uint8_t>(g.length);
  s.positions = carver.Take<uint16_t>(g.length + 1);
  s.dy = carver.Take<T>(size);
  s.grad = {carver.Take<T>(g.filters), carver.Take<T>(g.filters), carver.Take<T>(g.filters)};
  if (a.mean) {
    const NormGrad<T> norm = {a.mean, a.rstd, a.gamma, a.sums};
    MakeNormGrad(norm, slot, g.filters, static_cast<int64_t>(a.models.state[slot].rows) * g.length, s.grad);
  }
  return s;
}

// Positions of a sequence, by base: positions[first[b] .. first[b + 1]) ascending, unknown ones left out.
struct PositionsByBase {
  uint16_t* positions;
  int first[5];
};

HWY_INLINE void SortByBase(const uint8_t* codes, int length, PositionsByBase& out) {
  int n = 0;
  for (int base = 0; base < 4; ++base) {
    out.first[base] = n;
    for (int p = 0; p < length; ++p) {
      out.positions[n] = static_cast<uint16_t>(p);
      n += codes[p] == base;
    }
  }
  out.first[4] = n;
}

// dw of one tap: each base's row += the sum of dy over that base's positions, summed in registers first; then the
// tracks.
template <class T>
HWY_INLINE void AddTapGradient(const EmbedConvGeometry& g, const PositionsByBase& sorted, const float* tracks,
                               const T* dy, int shift, T* tap) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  ForChannelBlocks<T>(g.filters, [&](auto vectors, int c) HWY_ATTR {
    constexpr int kVectors = decltype(vectors)::value;
    Vec<T> acc[kVectors];
    for (int row = 0; row < 4 + g.structure; ++row) {
      T* to = tap + static_cast<int64_t>(row) * g.filters + c;
      for (int v = 0; v < kVectors; ++v) acc[v] = hn::Load(d, to + v * lanes);
      const int begin = row < 4 ? sorted.first[row] : 0, end = row < 4 ? sorted.first[row + 1] : g.length;
      for (int i = begin; i < end; ++i) {
        const int p = row < 4 ? sorted.positions[i] : i, l = p - shift;
        if (l < 0 || l >= g.length) continue;
        const T* from = dy + static_cast<int64_t>(l) * g.filters + c;
        if (row < 4) {
#pragma GCC unroll 6
          for (int v = 0; v < kVectors; ++v) acc[v] = hn::Add(acc[v], hn::Load(d, from + v * lanes));
        } else {
          const auto factor = hn::Set(d, static_cast<T>(tracks[p * g.structure + row - 4]));
#pragma GCC unroll 6
          for (int v = 0; v < kVectors; ++v) acc[v] = hn::MulAdd(factor, hn::Load(d, from + v * lanes), acc[v]);
        }
      }
      for (int v = 0; v < kVectors; ++v) hn::Store(acc[v], d, to + v * lanes);
    }
  });
}

template <class T>
void EmbedConvBackwardImpl(const EmbedConvBackwardArgs<T>& a, Parallel& parallel) {
  const EmbedConvGeometry& g = a.geometry;
  const int64_t tap = static_cast<int64_t>(4 + g.structure) * g.filters;
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const int rows = a.models.state[slot].rows;
    if (rows == 0) return;
    const EmbedScratch<T> s = CarveEmbedScratch(a, slot, parallel, thread);
    PositionsByBase sorted = {s.positions, {}};
    T* dw = a.dw[slot] + chunk * a.dw_chunk_stride;
    std::fill_n(dw, g.width * tap, T(0));
    for (int n = ChunkBegin(rows, chunk); n < ChunkBegin(rows, chunk + 1); ++n) {
      const int64_t sequence = a.rows[slot][n];
      UnpackBases(g.bases + sequence * PackedWords(g.length), g.length, s.codes);
      SortByBase(s.codes, g.length, sorted);
      const T* dy = RebuildEmbedDy(a, slot, n, s.grad, s.dy);
      for (int k = 0; k < g.width; ++k)
        AddTapGradient(g, sorted, TracksOf(g, sequence), dy, k - g.width / 2, dw + k * tap);
    }
  });
}

template <class T>
void EmbedConvInputGradImpl(const EmbedConvInputGradArgs<T>& args, Parallel& parallel) {
  const EmbedConvBackwardArgs<T>& a = args.backward;
  const EmbedConvGeometry& g = a.geometry;
  const int half = g.width / 2, channels = 4 + g.structure;
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const int rows = a.models.state[slot].rows;
    if (rows == 0) return;
    const EmbedScratch<T> s = CarveEmbedScratch(a, slot, parallel, thread);
    for (int n = ChunkBegin(rows, chunk); n < ChunkBegin(rows, chunk + 1); ++n) {
      const T* dy = RebuildEmbedDy(a, slot, n, s.grad, s.dy);
      T* dx = args.dx[slot] + static_cast<int64_t>(n) * g.length * channels;
      for (int p = 0; p < g.length; ++p) {
        for (int c = 0; c < channels; ++c) {
          T sum = 0;
          for (int k = 0; k < g.width; ++k) {
            const int l = p - k + half;
            if (l < 0 || l >= g.length) continue;
            sum += Dot(dy + static_cast<int64_t>(l) * g.filters,
                       args.w[slot] + (static_cast<int64_t>(k) * channels + c) * g.filters, g.filters);
          }
          dx[p * channels + c] = sum;
        }
      }
    }
  });
}

RB_CPU_TARGET(EmbedConvForward, EmbedConvForwardArgs)
RB_CPU_TARGET(EmbedConvBackward, EmbedConvBackwardArgs)
RB_CPU_TARGET(EmbedConvInputGrad, EmbedConvInputGradArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(EmbedConvForward, EmbedConvForwardArgs)
RB_CPU_OPERATOR(EmbedConvBackward, EmbedConvBackwardArgs)
RB_CPU_OPERATOR(EmbedConvInputGrad, EmbedConvInputGradArgs)
}  // namespace rb::cpu
#endif
