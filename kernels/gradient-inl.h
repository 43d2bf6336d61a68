// What the backward operators share: gradients behind a batch norm and behind the pooling, weight gradients. Included
// once per vector target (Highway's scheme).
#if defined(RB_KERNELS_GRADIENT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RB_KERNELS_GRADIENT_INL_H_
#undef RB_KERNELS_GRADIENT_INL_H_
#else
#define RB_KERNELS_GRADIENT_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/batch_norm.h"
#include "kernels/common.h"
#include "kernels/lanes-inl.h"
#include "kernels/residual_pool.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ------------------------------------------------------------------------------------ gradients behind batch norm

// dy = scale * dz + slope * y + offset, the batch-norm gradient gathered into one expression per channel:
//   scale = gamma*rstd, slope = -scale*rstd*s1/count, offset = scale*(mean*rstd*s1 - s0)/count.
template <class T>
struct NormGradAffine {
  T* scale;
  T* slope;
  T* offset;
};

template <class T>
HWY_INLINE void MakeNormGrad(const NormGrad<T>& norm, int model, int channels, int64_t count, NormGradAffine<T> out) {
  const T *mean = norm.mean[model], *rstd = norm.rstd[model], *gamma = norm.gamma[model], *sums = norm.sums[model];
  const T inverse = T(1) / static_cast<T>(count);
  for (int c = 0; c < channels; ++c) {
    const T scale = gamma[c] * rstd[c], s0 = sums[c] * inverse, s1 = sums[channels + c] * inverse * rstd[c];
    out.scale[c] = scale;
    out.slope[c] = -scale * s1;
    out.offset[c] = scale * (mean[c] * s1 - s0);
  }
}

template <class T>
HWY_INLINE void ApplyNormGrad(const T* dz, const T* y, int rows, int channels, NormGradAffine<T> a, T* dy) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < channels; c += lanes, dz += lanes, y += lanes, dy += lanes) {
      const auto rest = hn::MulAdd(hn::Load(d, y), hn::Load(d, a.slope + c), hn::Load(d, a.offset + c));
      hn::Store(hn::MulAdd(hn::Load(d, dz), hn::Load(d, a.scale + c), rest), d, dy);
    }
  }
}

// The gradient behind the pooling of one sequence, out[L][C] (PoolGrad in residual_pool.h).
template <class T>
HWY_INLINE void ExpandPoolGrad(const T* dp, const uint32_t* bits, int length, int pool, int channels, T* out) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const int covered = length / pool * pool;
  for (int l = 0; l < covered; ++l) {
    const T* from = dp + static_cast<int64_t>(l / pool) * channels;
    for (int c = 0; c < channels; c += kPanel, ++bits) {
      for (int v = 0; v < kPanel; v += lanes, out += lanes) {
        hn::Store(hn::IfThenElseZero(MaskOfBits(d, *bits >> v), hn::Load(d, from + c + v)), d, out);
      }
    }
  }
  std::fill(out, out + static_cast<int64_t>(length - covered) * channels, T(0));
}

// sums[0][c] += dz, sums[1][c] += dz * xhat over rows; xhat = (x - mean) * rstd.
template <class T>
HWY_INLINE void AddNormGradSums(const T* dz, const T* x, int rows, int channels, const T* mean, const T* rstd,
                                T* sums) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  ForChannelBlocks<T>(channels, [&](auto vectors, int c) HWY_ATTR {
    constexpr int kVectors = decltype(vectors)::value;
    Vec<T> s0[kVectors], s1[kVectors], m[kVectors], r[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      s0[v] = hn::Load(d, sums + c + v * lanes);
      s1[v] = hn::Load(d, sums + channels + c + v * lanes);
      m[v] = hn::Load(d, mean + c + v * lanes);
      r[v] = hn::Load(d, rstd + c + v * lanes);
    }
    for (int64_t i = c; i < static_cast<int64_t>(rows) * channels; i += channels) {
#pragma GCC unroll 6
      for (int v = 0; v < kVectors; ++v) {
        const auto g = hn::Load(d, dz + i + v * lanes);
        s0[v] = hn::Add(s0[v], g);
        s1[v] = hn::MulAdd(g, hn::Mul(hn::Sub(hn::Load(d, x + i + v * lanes), m[v]), r[v]), s1[v]);
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(s0[v], d, sums + c + v * lanes);
      hn::Store(s1[v], d, sums + channels + c + v * lanes);
    }
  });
}

// --------------------------------------------------------------------------------------------- weight gradients

#if HWY_TARGET <= HWY_AVX3
inline constexpr int kGradRows = 12;  // 24 accumulators + 2 of dy + 1 broadcast, and 96 = 8 * 12
#else
inline constexpr int kGradRows = 6;
#endif

// One block of a weight gradient: acc[i] += sum over n rows of x[row][i] * dy[row][two vectors].
template <int kRows, class T>
HWY_INLINE void AccumulateOuter(const T* x, int64_t x_stride, const T* dy, int64_t dy_stride, int n,
                                Vec<T> (&acc)[kRows][2]) {
  const Tag<T> d;
  const size_t lanes = hn::Lanes(d);
  for (int r = 0; r < n; ++r, x += x_stride, dy += dy_stride) {
    const Vec<T> g0 = hn::Load(d, dy), g1 = hn::Load(d, dy + lanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const Vec<T> b = hn::Set(d, x[i]);
      acc[i][0] = hn::MulAdd(b, g0, acc[i][0]);
      acc[i][1] = hn::MulAdd(b, g1, acc[i][1]);
    }
  }
}

// dw[i][o] (row stride `outputs`) for i in [0, channels) and all o: (fresh ? 0 : dw) + x^T dy over `blocks` runs of n
// rows; runs start at x + b * x_run and dy + b * dy_run.
template <class T>
HWY_INLINE void OuterProduct(const T* x, int64_t x_stride, int64_t x_run, const T* dy, int64_t dy_stride,
                             int64_t dy_run, int n, int blocks, int channels, int outputs, bool fresh, T* dw) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d)), block = 2 * lanes;
  for (int o = 0; o < outputs; o += block) {
    const int tiles = (channels + kGradRows - 1) / kGradRows;
    for (int t = 0, c = 0; t < tiles; ++t) {
      const int size = channels / tiles + (t < channels % tiles ? 1 : 0);
      WithRows<kGradRows>(size, [&](auto constant) HWY_ATTR {
        constexpr int kRows = decltype(constant)::value;
        Vec<T> acc[kRows][2];
        T* to = dw + static_cast<int64_t>(c) * outputs + o;
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          acc[i][0] = fresh ? hn::Zero(d) : hn::Load(d, to + static_cast<int64_t>(i) * outputs);
          acc[i][1] = fresh ? hn::Zero(d) : hn::Load(d, to + static_cast<int64_t>(i) * outputs + lanes);
        }
        for (int b = 0; b < blocks; ++b)
          AccumulateOuter(x + b * x_run + c, x_stride, dy + b * dy_run + o, dy_stride, n, acc);
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          hn::Store(acc[i][0], d, to + static_cast<int64_t>(i) * outputs);
          hn::Store(acc[i][1], d, to + static_cast<int64_t>(i) * outputs + lanes);
        }
      });
      c += size;
    }
  }
}

// w[K][C][O] -> packed[C/kPanel][K][O][kPanel] with taps reversed: the weights of the data gradient, a convolution of
// dy.
template <class T>
void PackTransposed(const T* w, int taps, int in, int out, T* packed) {
  for (int panel = 0; panel < in / kPanel; ++panel) {
    for (int t = 0; t < taps; ++t) {
      const T* from = w + (static_cast<int64_t>(taps - 1 - t) * in + panel * kPanel) * out;
      for (int o0 = 0; o0 < out; o0 += 16) {  // 16 outputs at a time: whole cache lines are read
        for (int c = 0; c < kPanel; ++c) {
          for (int o = o0; o < o0 + 16; ++o)
            packed[static_cast<int64_t>(o) * kPanel + c] = from[static_cast<int64_t>(c) * out + o];
        }
      }
      packed += static_cast<int64_t>(out) * kPanel;
    }
  }
}

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // RB_KERNELS_GRADIENT_INL_H_
