// Dense layer on the CPU (kernels/dense.h).
//
// Mapping: forward and data gradient, one task a chunk (12 or 13 rows: one register tile); weight gradient, one task a
// slice of input channels over the whole batch. FLOPs a sequence at 384 x 256: 0.2 M each. Limit: reading the packed
// weights (393 KB) from L2 once a chunk.
#include "kernels/dense.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dense_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/gradient-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {

// Input channels whose weight gradient one task owns; a multiple of kGradRows of both vector widths.
inline constexpr int kSlice = 48;

// z = x * packed for `rows` rows.
template <class T>
HWY_INLINE void Product(const T* x, int rows, int in, const T* packed, int out, T* z) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  MatrixProduct(x, in, rows, in, packed, out, [&](int row, int o, auto& acc) HWY_ATTR {
    constexpr int kRows = std::extent_v<std::remove_reference_t<decltype(acc)>>;
    T* to = z + static_cast<int64_t>(row) * out + o;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r, to += out) {
      hn::Store(acc[r][0], d, to);
      hn::Store(acc[r][1], d, to + lanes);
    }
  });
}

template <class T>
void DenseForwardImpl(const DenseForwardArgs<T>& a, Parallel& parallel) {
  parallel.Run(a.models.count, [&](int64_t i, int) {
    const int slot = a.models.live[i];
    if (a.models.state[slot].rows > 0) PackPanels(a.w[slot], a.in, a.out, a.packed[slot]);
  });
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const int rows = a.models.state[slot].rows, begin = ChunkBegin(rows, chunk),
              count = ChunkBegin(rows, chunk + 1) - begin;
    if (rows == 0) return;
    T* mean = a.moments ? a.moments[slot] + static_cast<int64_t>(chunk) * 2 * a.out : nullptr;
    if (mean) std::fill(mean, mean + 2 * a.out, T(0));
    if (count == 0) return;
    T* z = a.z[slot] + static_cast<int64_t>(begin) * a.out;
    Product(a.x[slot] + static_cast<int64_t>(begin) * a.in, count, a.in, a.packed[slot], a.out, z);
    if (mean) AddMoments(z, a.out, count, a.out, 0, mean, mean + a.out);
  });
}

template <class T>
void DenseBackwardImpl(const DenseBackwardArgs<T>& a, Parallel& parallel) {
  if (a.dx) {
    parallel.Run(a.models.count, [&](int64_t i, int) {
      const int slot = a.models.live[i];
      if (a.models.state[slot].rows > 0) PackTransposed(a.w[slot], 1, a.in, a.out, a.packed[slot]);
    });
  }
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const int rows = a.models.state[slot].rows, begin = ChunkBegin(rows, chunk),
              count = ChunkBegin(rows, chunk + 1) - begin;
    if (count == 0) return;
    T* dh = a.dh[slot] + static_cast<int64_t>(begin) * a.out;
    if (a.norm.mean) {
      ScratchCarver carver(parallel, thread, 3 * ScratchCarver::Bytes<T>(a.out));
      const NormGradAffine<T> grad = {carver.Take<T>(a.out), carver.Take<T>(a.out), carver.Take<T>(a.out)};
      MakeNormGrad(a.norm, slot, a.out, rows, grad);
      ApplyNormGrad(dh, a.z[slot] + static_cast<int64_t>(begin) * a.out, count, a.out, grad, dh);
    }
    if (a.dx) Product(dh, count, a.out, a.packed[slot], a.in, a.dx[slot] + static_cast<int64_t>(begin) * a.in);
  });
  if (!a.dw) return;
  const int slices = (a.in + kSlice - 1) / kSlice;
  parallel.Run(static_cast<int64_t>(a.models.count) * slices, [&](int64_t task, int) {
    const int slot = a.models.live[task / slices], first = static_cast<int>(task % slices) * kSlice;
    const int rows = a.models.state[slot].rows, size = std::min(kSlice, a.in - first);
    if (rows == 0) return;
    OuterProduct(a.x[slot] + first, a.in, 0, a.dh[slot], a.out, 0, rows, 1, size, a.out, true,
                 a.dw[slot] + static_cast<int64_t>(first) * a.out);
  });
}

RB_CPU_TARGET(DenseForward, DenseForwardArgs)
RB_CPU_TARGET(DenseBackward, DenseBackwardArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(DenseForward, DenseForwardArgs)
RB_CPU_OPERATOR(DenseBackward, DenseBackwardArgs)
}  // namespace rb::cpu
#endif
