// Batch norm's whole-batch steps on the CPU (kernels/batch_norm.h): a few hundred values a model, one task a model.
#include "kernels/batch_norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/lanes-inl.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {

// Chan's merge of the chunks' (mean, M2) in chunk order; empty chunks are skipped.
template <class T>
void FinalizeModel(const BatchNormFinalizeArgs<T>& a, int slot) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d)), rows = a.models.state[slot].rows;
  const T total = static_cast<T>(static_cast<int64_t>(rows) * a.positions);
  const auto one = hn::Set(d, T(1)), momentum = hn::Set(d, a.momentum), rest = hn::Set(d, T(1) - a.momentum);
  for (int c = 0; c < a.channels; c += lanes) {
    auto mean = hn::Zero(d), m2 = hn::Zero(d);
    int64_t count = 0;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int64_t n = static_cast<int64_t>(ChunkBegin(rows, chunk + 1) - ChunkBegin(rows, chunk)) * a.positions;
      if (n == 0) continue;
      const T* from = a.moments[slot] + static_cast<int64_t>(chunk) * 2 * a.channels + c;
      const auto delta = hn::Sub(hn::Load(d, from), mean);
      const T weight = static_cast<T>(n) / static_cast<T>(count + n);
      mean = hn::MulAdd(delta, hn::Set(d, weight), mean);
      const auto cross = hn::Mul(hn::Mul(delta, delta), hn::Set(d, static_cast<T>(count) * weight));
      m2 = hn::Add(hn::Add(m2, hn::Load(d, from + a.channels)), cross);
      count += n;
    }
    const auto variance = hn::Div(m2, hn::Set(d, total));
    hn::Store(mean, d, a.mean[slot] + c);
    hn::Store(hn::Div(one, hn::Sqrt(hn::Add(variance, hn::Set(d, a.epsilon)))), d, a.rstd[slot] + c);
    if (!a.running_mean) continue;
    T *rm = a.running_mean[slot] + c, *rv = a.running_variance[slot] + c;
    hn::Store(hn::MulAdd(hn::Load(d, rm), momentum, hn::Mul(mean, rest)), d, rm);
    hn::Store(hn::MulAdd(hn::Load(d, rv), momentum, hn::Mul(variance, rest)), d, rv);
  }
}

template <class T>
void BatchNormFinalizeImpl(const BatchNormFinalizeArgs<T>& a, Parallel& parallel) {
  parallel.Run(a.models.count, [&](int64_t i, int) {
    const int slot = a.models.live[i];
    if (a.models.state[slot].rows > 0) FinalizeModel(a, slot);
  });
}

template <class T>
void BatchNormGradFinalizeImpl(const BatchNormGradFinalizeArgs<T>& a, Parallel& parallel) {
  parallel.Run(a.models.count, [&](int64_t i, int) {
    const Tag<T> d;
    const int lanes = static_cast<int>(hn::Lanes(d)), slot = a.models.live[i];
    if (a.models.state[slot].rows == 0) return;
    for (int c = 0; c < 2 * a.channels; c += lanes) {
      auto sum = hn::Zero(d);
      for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
        sum = hn::Add(sum, hn::Load(d, a.chunk_sums[slot] + static_cast<int64_t>(chunk) * 2 * a.channels + c));
      }
      hn::Store(sum, d, a.sums[slot] + c);
      hn::Store(sum, d, c < a.channels ? a.dbeta[slot] + c : a.dgamma[slot] + (c - a.channels));
    }
  });
}

template <class T>
void BatchNormApplyImpl(const BatchNormApplyArgs<T>& a, Parallel& parallel) {
  using C = ScratchCarver;
  const int64_t size = static_cast<int64_t>(a.positions) * a.channels;
  const int words = static_cast<int>(size / kPanel);
  const Prologue<T>& p = a.prologue;
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const StepState& state = a.models.state[slot];
    if (state.rows == 0) return;
    ScratchCarver carver(parallel, thread, 2 * C::Bytes<T>(a.channels) + C::Bytes<uint32_t>(words + 2));
    const Affine<T> affine = {carver.Take<T>(a.channels), carver.Take<T>(a.channels)};
    uint32_t* bits = carver.Take<uint32_t>(words + 2);
    MakeAffine(p.mean[slot], p.rstd[slot], p.gamma[slot], p.beta[slot], static_cast<T>(DropoutScale(p.dropout_rate)),
               a.channels, affine);
    for (int n = ChunkBegin(state.rows, chunk); n < ChunkBegin(state.rows, chunk + 1); ++n) {
      DropoutWords(state.dropout_key, state.step, p.dropout_layer, static_cast<uint32_t>(n * size), words,
                   DropoutThreshold(p.dropout_rate), bits);
      Activate(a.x[slot] + n * size, a.positions, a.channels, affine, bits, a.a[slot] + n * size);
      std::memcpy(p.mask[slot] + static_cast<int64_t>(n) * words, bits, words * sizeof(uint32_t));
    }
  });
}

RB_CPU_TARGET(BatchNormApply, BatchNormApplyArgs)
RB_CPU_TARGET(BatchNormFinalize, BatchNormFinalizeArgs)
RB_CPU_TARGET(BatchNormGradFinalize, BatchNormGradFinalizeArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(BatchNormApply, BatchNormApplyArgs)
RB_CPU_OPERATOR(BatchNormFinalize, BatchNormFinalizeArgs)
RB_CPU_OPERATOR(BatchNormGradFinalize, BatchNormGradFinalizeArgs)
}  // namespace rb::cpu
#endif
