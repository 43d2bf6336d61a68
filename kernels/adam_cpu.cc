// Adam on the CPU (kernels/adam.h). A task is a run of up to kRun values of one tensor of one model.
// Bytes a value: p, m, v read and written (24) plus 4 for each gradient chunk. Limit: L3 reads of the gradient chunks.
#include "kernels/adam.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adam_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {

inline constexpr int64_t kRun = 8192;  // 32 KB a stream: large enough to hide the task's start, small enough to balance

// Values [begin, end) of a segment; whole vectors: storage is padded to 128 bytes and padding gradients stay zero.
template <class T>
void UpdateRun(const AdamArgs<T>& a, int slot, const GradientSegment& segment, int64_t begin, int64_t end) {
  const Tag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto b1 = hn::Set(d, a.beta1), r1 = hn::Set(d, T(1) - a.beta1);
  const auto b2 = hn::Set(d, a.beta2), r2 = hn::Set(d, T(1) - a.beta2);
  const auto alpha = hn::Set(d, static_cast<T>(a.models.state[slot].adam_alpha)), epsilon = hn::Set(d, a.epsilon);
  const T* gradient = a.gradients[slot] + segment.gradient_offset;
  T *p = a.parameters[slot] + segment.offset, *m = a.m[slot] + segment.offset, *v = a.v[slot] + segment.offset;
  for (int64_t i = begin; i < end; i += lanes) {
    auto g = hn::Load(d, gradient + i);
    for (int chunk = 1; chunk < segment.chunks; ++chunk)
      g = hn::Add(g, hn::Load(d, gradient + chunk * segment.chunk_stride + i));
    const auto new_m = hn::MulAdd(b1, hn::Load(d, m + i), hn::Mul(r1, g));
    const auto new_v = hn::MulAdd(b2, hn::Load(d, v + i), hn::Mul(r2, hn::Mul(g, g)));
    hn::Store(new_m, d, m + i);
    hn::Store(new_v, d, v + i);
    const auto step = hn::Div(hn::Mul(alpha, new_m), hn::Add(hn::Sqrt(new_v), epsilon));
    hn::Store(hn::Sub(hn::Load(d, p + i), step), d, p + i);
  }
}

template <class T>
void AdamImpl(const AdamArgs<T>& a, Parallel& parallel) {
  int64_t runs = 0;
  for (int s = 0; s < a.num_segments; ++s) runs += (a.segments[s].size + kRun - 1) / kRun;
  parallel.Run(a.models.count * runs, [&](int64_t task, int) {
    const int slot = a.models.live[task / runs];
    if (a.models.state[slot].rows == 0) return;
    int64_t run = task % runs;
    for (int s = 0; s < a.num_segments; ++s) {
      const int64_t here = (a.segments[s].size + kRun - 1) / kRun;
      if (run < here) {
        return UpdateRun(a, slot, a.segments[s], run * kRun, std::min(a.segments[s].size, (run + 1) * kRun));
      }
      run -= here;
    }
  });
}

RB_CPU_TARGET(Adam, AdamArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(Adam, AdamArgs)
}  // namespace rb::cpu
#endif
