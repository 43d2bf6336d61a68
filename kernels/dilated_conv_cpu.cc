// Dilated convolution on the CPU (kernels/dilated_conv.h).
//
// Mapping: a task is one chunk of one model's batch; a sequence at a time goes through the register tile of tile-inl.h.
// Bytes a sequence and layer (C = 96, L = 41, fp32): forward reads x and writes y (31.5 KB) plus 0.5 KB of mask;
// backward reads dz, y, x and writes dx (63 KB). FLOPs: forward 2*L*K*C^2 = 2.27 M (zero taps skipped: 2.18 M at
// dilation 2), twice that backward. Limit: multiply-adds; the padded input (18.8 KB) stays in L1, the packed weights
// (110 KB) in L2.
#include "kernels/dilated_conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dilated_conv_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/gradient-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {

// Sequences whose gradient work shares one pass over the weight gradient: 4 * 2 * 18.8 KB of padded input and dy stay
// in L2, and each register block of dw is loaded and stored once per 164 rows.
inline constexpr int kGradSequences = 4;

template <class T>
struct ConvScratch {
  T *padded_x, *padded_dy;  // sequences with zero rows above and below
  T* skip;                  // [L][C]
  Affine<T> affine;
  NormGradAffine<T> grad;
  uint32_t* bits;
};

template <class T>
int64_t PaddedSize(const DilatedConvGeometry& g, int channels) {
  return static_cast<int64_t>(g.length + 2 * g.reach()) * channels;
}

// Zeros the rows above and below each sequence; those between are overwritten for each sequence.
template <class T>
void ZeroMargins(const DilatedConvGeometry& g, int sequences, int channels, T* padded) {
  const int64_t margin = static_cast<int64_t>(g.reach()) * channels;
  for (int i = 0; i < sequences; ++i, padded += PaddedSize<T>(g, channels)) {
    std::fill_n(padded, margin, T(0));
    std::fill_n(padded + margin + static_cast<int64_t>(g.length) * channels, margin, T(0));
  }
}

// x_sequences and dy_sequences: how many padded sequences of either the caller uses.
template <class T>
ConvScratch<T> CarveConvScratch(const DilatedConvGeometry& g, int x_sequences, int dy_sequences, Parallel& parallel,
                                int thread) {
  using C = ScratchCarver;
  const int64_t x = x_sequences * PaddedSize<T>(g, g.in), dy = dy_sequences * PaddedSize<T>(g, g.out);
  const int64_t rows = static_cast<int64_t>(g.length) * g.in, words = g.length * (g.in / kPanel) + 2;
  const size_t bytes = C::Bytes<T>(x) + C::Bytes<T>(dy) + C::Bytes<T>(rows) + 2 * C::Bytes<T>(g.in) +
                       3 * C::Bytes<T>(g.out) + C::Bytes<uint32_t>(words);
  ScratchCarver carver(parallel, thread, bytes);
  ConvScratch<T> s;
  s.padded_x = carver.Take<T>(x);
  s.padded_dy = carver.Take<T>(dy);
  s.skip = carver.Take<T>(rows);
  s.affine = {carver.Take<T>(g.in), carver.Take<T>(g.in)};
  s.grad = {carver.Take<T>(g.out), carver.Take<T>(g.out), carver.Take<T>(g.out)};
  s.bits = carver.Take<uint32_t>(words);
  ZeroMargins(g, x_sequences, g.in, s.padded_x);
  ZeroMargins(g, dy_sequences, g.out, s.padded_dy);
  return s;
}

template <class T>
HWY_INLINE void StartAffine(const Prologue<T>& p, int slot, int channels, Affine<T> affine) {
  MakeAffine(p.mean[slot], p.rstd[slot], p.gamma[slot], p.beta[slot], static_cast<T>(DropoutScale(p.dropout_rate)),
             channels, affine);
}

// ------------------------------------------------------------------------------------------------------ forward

template <class T>
void ForwardChunk(const DilatedConvForwardArgs<T>& a, int slot, int chunk, Parallel& parallel, int thread) {
  const DilatedConvGeometry& g = a.geometry;
  const StepState& state = a.models.state[slot];
  const int begin = ChunkBegin(state.rows, chunk), end = ChunkBegin(state.rows, chunk + 1);
  const ConvScratch<T> s = CarveConvScratch<T>(g, 1, 0, parallel, thread);
  T* x0 = s.padded_x + static_cast<int64_t>(g.reach()) * g.in;
  const int64_t in_size = static_cast<int64_t>(g.length) * g.in, out_size = static_cast<int64_t>(g.length) * g.out;
  const int words = static_cast<int>(in_size / kPanel);
  const ConvRows rows = {g.length, 0, g.length, g.in, g.out, g.width, g.dilation};
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  T* mean = a.moments ? a.moments[slot] + static_cast<int64_t>(chunk) * 2 * g.out : nullptr;
  if (mean) std::fill(mean, mean + 2 * g.out, T(0));
  if (a.prologue.mean) StartAffine(a.prologue, slot, g.in, s.affine);
  for (int n = begin; n < end; ++n) {
    const T* x = a.x[slot] + n * in_size;
    if (a.prologue.mean) {
      DropoutWords(state.dropout_key, state.step, a.prologue.dropout_layer, static_cast<uint32_t>(n * in_size), words,
                   DropoutThreshold(a.prologue.dropout_rate), s.bits);
      Activate(x, g.length, g.in, s.affine, s.bits, x0);
      std::memcpy(a.prologue.mask[slot] + static_cast<int64_t>(n) * words, s.bits, words * sizeof(uint32_t));
    } else {
      std::memcpy(x0, x, in_size * sizeof(T));
    }
    T* y = a.y[slot] + n * out_size;
    ConvSequence(rows, x0, a.packed[slot], [&](int row, int o, auto& acc) HWY_ATTR {
      constexpr int kRows = std::extent_v<std::remove_reference_t<decltype(acc)>>;
      T* to = y + static_cast<int64_t>(row) * g.out + o;
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r, to += g.out) {
        hn::Store(acc[r][0], d, to);
        hn::Store(acc[r][1], d, to + lanes);
      }
    });
    if (mean) AddMoments(y, g.out, g.length, g.out, static_cast<int64_t>(n - begin) * g.length, mean, mean + g.out);
  }
}

template <class T>
void DilatedConvForwardImpl(const DilatedConvForwardArgs<T>& a, Parallel& parallel) {
  const DilatedConvGeometry& g = a.geometry;
  parallel.Run(a.models.count, [&](int64_t i, int) {
    const int slot = a.models.live[i];
    if (a.models.state[slot].rows > 0) PackPanels(a.w[slot], g.width * g.in, g.out, a.packed[slot]);
  });
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks];
    if (a.models.state[slot].rows > 0) ForwardChunk(a, slot, static_cast<int>(task % kBatchChunks), parallel, thread);
  });
}

// ----------------------------------------------------------------------------------------------------- backward

// dy of batch row n into padded row storage.
template <class T>
HWY_INLINE void RebuildDy(const DilatedConvBackwardArgs<T>& a, const ConvScratch<T>& s, int slot, int n, T* dy) {
  const DilatedConvGeometry& g = a.geometry;
  const int64_t size = static_cast<int64_t>(g.length) * g.out;
  const T* dz = nullptr;
  if (a.pool.dp) {
    ExpandPoolGrad(a.pool.dp[slot] + static_cast<int64_t>(n) * (g.length / a.pool.pool) * g.out,
                   a.pool.mask[slot] + n * (size / kPanel), g.length, a.pool.pool, g.out, dy);
    dz = dy;
  } else {
    dz = a.dz[slot] + n * size;
  }
  if (a.norm.mean) {
    ApplyNormGrad(dz, a.y[slot] + n * size, g.length, g.out, s.grad, dy);
  } else if (dz != dy) {
    std::memcpy(dy, dz, size * sizeof(T));
  }
}

// dx of batch row n from its padded dy, with the skip's gradient, the mask and the sums for the input's batch norm.
template <class T>
HWY_INLINE void DataGradient(const DilatedConvBackwardArgs<T>& a, const ConvScratch<T>& s, int slot, int chunk, int n,
                             const T* dy) {
  const DilatedConvGeometry& g = a.geometry;
  const int64_t size = static_cast<int64_t>(g.length) * g.in;
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  if (a.skip.dp) {
    ExpandPoolGrad(a.skip.dp[slot] + static_cast<int64_t>(n) * (g.length / a.skip.pool) * g.in,
                   a.skip.mask[slot] + n * (size / kPanel), g.length, a.skip.pool, g.in, s.skip);
  }
  const bool has_skip = static_cast<bool>(a.skip.dp), has_prologue = static_cast<bool>(a.prologue.mean);
  const auto scale = hn::Set(d, static_cast<T>(DropoutScale(a.prologue.dropout_rate)));
  const int panels = g.in / kPanel;
  const uint32_t* mask = has_prologue ? a.prologue.mask[slot] + n * (size / kPanel) : nullptr;
  T* dx = a.dx[slot] + n * size;
  const ConvRows rows = {g.length, 0, g.length, g.out, g.in, g.width, g.dilation};
  ConvSequence(rows, dy, a.packed[slot], [&](int row, int c, auto& acc) HWY_ATTR {
    constexpr int kRows = std::extent_v<std::remove_reference_t<decltype(acc)>>;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const int64_t at = static_cast<int64_t>(row + r) * g.in + c;
      auto v0 = acc[r][0], v1 = acc[r][1];
      if (has_skip) {
        v0 = hn::Add(v0, hn::Load(d, s.skip + at));
        v1 = hn::Add(v1, hn::Load(d, s.skip + at + lanes));
      }
      if (has_prologue) {
        const uint32_t bits = mask[(row + r) * panels + c / kPanel] >> (c % kPanel);
        v0 = hn::IfThenElseZero(MaskOfBits(d, bits), hn::Mul(v0, scale));
        v1 = hn::IfThenElseZero(MaskOfBits(d, bits >> lanes), hn::Mul(v1, scale));
      }
      hn::Store(v0, d, dx + at);
      hn::Store(v1, d, dx + at + lanes);
    }
  });
  if (has_prologue) {
    AddNormGradSums(dx, a.x[slot] + n * size, g.length, g.in, a.prologue.mean[slot], a.prologue.rstd[slot],
                    a.chunk_sums[slot] + static_cast<int64_t>(chunk) * 2 * g.in);
  }
}

// dw of the chunk += the products of `count` sequences, tap by tap over the rows that the tap reaches.
template <class T>
HWY_INLINE void WeightGradient(const DilatedConvGeometry& g, const T* x, const T* dy, int count, bool fresh, T* dw) {
  const int64_t x_run = PaddedSize<T>(g, g.in), dy_run = PaddedSize<T>(g, g.out);
  for (int t = 0; t < g.width; ++t) {
    const int shift = (t - g.width / 2) * g.dilation;
    const int first = std::min(std::max(0, -shift), g.length),
              last = std::max(first, std::min(g.length, g.length - shift));
    OuterProduct(x + static_cast<int64_t>(first + shift) * g.in, g.in, x_run, dy + static_cast<int64_t>(first) * g.out,
                 g.out, dy_run, last - first, count, g.in, g.out, fresh, dw + static_cast<int64_t>(t) * g.in * g.out);
  }
}

template <class T>
void BackwardChunk(const DilatedConvBackwardArgs<T>& a, int slot, int chunk, Parallel& parallel, int thread) {
  const DilatedConvGeometry& g = a.geometry;
  const int batch = a.models.state[slot].rows;
  const int begin = ChunkBegin(batch, chunk), end = ChunkBegin(batch, chunk + 1);
  const ConvScratch<T> s = CarveConvScratch<T>(g, kGradSequences, kGradSequences, parallel, thread);
  const int64_t in_size = static_cast<int64_t>(g.length) * g.in;
  const int64_t x_run = PaddedSize<T>(g, g.in), dy_run = PaddedSize<T>(g, g.out);
  T *x0 = s.padded_x + static_cast<int64_t>(g.reach()) * g.in,
    *dy0 = s.padded_dy + static_cast<int64_t>(g.reach()) * g.out;
  if (a.norm.mean) MakeNormGrad(a.norm, slot, g.out, static_cast<int64_t>(batch) * g.length, s.grad);
  if (a.prologue.mean) {
    StartAffine(a.prologue, slot, g.in, s.affine);
    if (a.dx) std::fill_n(a.chunk_sums[slot] + static_cast<int64_t>(chunk) * 2 * g.in, 2 * g.in, T(0));
  }
  T* dw = a.dw ? a.dw[slot] + chunk * a.dw_chunk_stride : nullptr;
  if (dw && begin == end) std::fill_n(dw, g.weights(), T(0));
  for (int first = begin; first < end; first += kGradSequences) {
    const int count = std::min(kGradSequences, end - first);
    for (int q = 0; q < count; ++q) {
      const int n = first + q;
      RebuildDy(a, s, slot, n, dy0 + q * dy_run);
      if (dw && a.prologue.mean) {
        Reactivate(a.x[slot] + n * in_size, g.length, g.in, s.affine, a.prologue.mask[slot] + n * (in_size / kPanel),
                   x0 + q * x_run);
      } else if (dw) {
        std::memcpy(x0 + q * x_run, a.x[slot] + n * in_size, in_size * sizeof(T));
      }
      if (a.dx) DataGradient(a, s, slot, chunk, n, dy0 + q * dy_run);
    }
    if (dw) WeightGradient(g, x0, dy0, count, first == begin, dw);
  }
}

template <class T>
void DilatedConvBackwardImpl(const DilatedConvBackwardArgs<T>& a, Parallel& parallel) {
  const DilatedConvGeometry& g = a.geometry;
  if (a.dx) {
    parallel.Run(a.models.count, [&](int64_t i, int) {
      const int slot = a.models.live[i];
      if (a.models.state[slot].rows > 0) PackTransposed(a.w[slot], g.width, g.in, g.out, a.packed[slot]);
    });
  }
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks];
    if (a.models.state[slot].rows > 0) BackwardChunk(a, slot, static_cast<int>(task % kBatchChunks), parallel, thread);
  });
}

RB_CPU_TARGET(DilatedConvForward, DilatedConvForwardArgs)
RB_CPU_TARGET(DilatedConvBackward, DilatedConvBackwardArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(DilatedConvForward, DilatedConvForwardArgs)
RB_CPU_OPERATOR(DilatedConvBackward, DilatedConvBackwardArgs)
}  // namespace rb::cpu
#endif
