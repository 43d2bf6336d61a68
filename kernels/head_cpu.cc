// Last layer, loss and its gradient on the CPU (kernels/head.h): one pass over z (1 KB a sequence), one task a chunk.
#include "kernels/head.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/head_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/gradient-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {

// Loss and d loss / d out of one row, before division by the batch's rows.
struct RowLoss {
  double loss, gradient;
};

inline RowLoss LossOf(Loss kind, double out, double target) {
  if (kind == Loss::kSquaredError) return {(out - target) * (out - target), 2 * (out - target)};
  const double softplus = std::max(out, 0.0) + std::log1p(std::exp(-std::abs(out)));
  return {softplus - target * out, 1 / (1 + std::exp(-out)) - target};
}

// dw += gradient * h and dh = mask ? gradient * w * scale : 0.
template <class T>
HWY_INLINE void HeadGradient(const T* h, const T* w, const uint32_t* bits, T gradient, T scale, int channels, T* dw,
                             T* dh) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto g = hn::Set(d, gradient), gs = hn::Set(d, gradient * scale);
  for (int c = 0; c < channels; c += lanes) {
    hn::Store(hn::MulAdd(g, hn::Load(d, h + c), hn::Load(d, dw + c)), d, dw + c);
    const auto mask = MaskOfBits(d, bits[c / kPanel] >> (c % kPanel));
    hn::Store(hn::IfThenElseZero(mask, hn::Mul(gs, hn::Load(d, w + c))), d, dh + c);
  }
  dw[channels] += gradient;
}

template <class T>
void HeadChunk(const HeadArgs<T>& a, int slot, int chunk, Parallel& parallel, int thread) {
  using C = ScratchCarver;
  const StepState& state = a.models.state[slot];
  const int words = a.channels / kPanel;
  ScratchCarver carver(parallel, thread, 3 * C::Bytes<T>(a.channels) + C::Bytes<uint32_t>(words + 2));
  const Affine<T> affine = {carver.Take<T>(a.channels), carver.Take<T>(a.channels)};
  T* h = carver.Take<T>(a.channels);
  uint32_t* bits = carver.Take<uint32_t>(words + 2);
  const double scale = DropoutScale(a.dropout_rate);
  MakeAffine(a.mean[slot], a.rstd[slot], a.gamma[slot], a.beta[slot], static_cast<T>(scale), a.channels, affine);
  T* sums = a.chunk_sums[slot] + static_cast<int64_t>(chunk) * 2 * a.channels;
  T* dw = a.dw[slot] + chunk * a.dw_chunk_stride;
  std::fill(sums, sums + 2 * a.channels, T(0));
  std::fill(dw, dw + a.channels + 1, T(0));
  double loss = 0;
  for (int n = ChunkBegin(state.rows, chunk); n < ChunkBegin(state.rows, chunk + 1); ++n) {
    const T* z = a.z[slot] + static_cast<int64_t>(n) * a.channels;
    T* dh = a.dh[slot] + static_cast<int64_t>(n) * a.channels;
    DropoutWords(state.dropout_key, state.step, a.dropout_layer, static_cast<uint32_t>(n * a.channels), words,
                 DropoutThreshold(a.dropout_rate), bits);
    Activate(z, 1, a.channels, affine, bits, h);
    const T out = Dot(h, a.w[slot], a.channels) + a.w[slot][a.channels];
    a.out[slot][n] = out;
    const RowLoss row = LossOf(a.loss_kind, static_cast<double>(out), static_cast<double>(a.targets[slot][n]));
    loss += row.loss / state.rows;
    const double gradient = a.output_gradient ? 1.0 : row.gradient / state.rows;
    HeadGradient(h, a.w[slot], bits, static_cast<T>(gradient), static_cast<T>(scale), a.channels, dw, dh);
    AddNormGradSums(dh, z, 1, a.channels, a.mean[slot], a.rstd[slot], sums);
  }
  a.loss[slot][chunk] = loss;
}

template <class T>
void HeadForwardBackwardImpl(const HeadArgs<T>& a, Parallel& parallel) {
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks];
    if (a.models.state[slot].rows > 0) HeadChunk(a, slot, static_cast<int>(task % kBatchChunks), parallel, thread);
  });
}

RB_CPU_TARGET(HeadForwardBackward, HeadArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(HeadForwardBackward, HeadArgs)
}  // namespace rb::cpu
#endif
