// End of the residual module on the CPU (kernels/residual_pool.h). One task a chunk; one pass over y and the skip input
// (31.5 KB a sequence at C = 96, L = 41 in fp32), backward one pass over y. Limit: dropout bits forward (about 40 %),
// then L2 reads.
#include "kernels/residual_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/residual_pool_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/gradient-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {

template <class T>
struct PoolScratch {
  Affine<T> norm, skip_affine;
  T* skip;              // [L][C] activation of the skip input
  uint32_t* pool_bits;  // keep bits behind the pooling
};

template <class T>
PoolScratch<T> CarvePoolScratch(const ResidualPoolForwardArgs<T>& a, Parallel& parallel, int thread) {
  using C = ScratchCarver;
  const int64_t size = static_cast<int64_t>(a.length) * a.channels, words = a.length * (a.channels / kPanel) + 2;
  ScratchCarver carver(parallel, thread, 4 * C::Bytes<T>(a.channels) + C::Bytes<T>(size) + C::Bytes<uint32_t>(words));
  PoolScratch<T> s;
  s.norm = {carver.Take<T>(a.channels), carver.Take<T>(a.channels)};
  s.skip_affine = {carver.Take<T>(a.channels), carver.Take<T>(a.channels)};
  s.skip = carver.Take<T>(size);
  s.pool_bits = carver.Take<uint32_t>(words);
  return s;
}

// One sequence: y, skip activation and keep bits (in `mask`) -> p, mask = positive and kept.
template <class T>
HWY_INLINE void PoolSequence(const ResidualPoolForwardArgs<T>& a, const PoolScratch<T>& s, const T* y, uint32_t* mask,
                             T* p) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d)), panels = a.channels / kPanel, pools = a.length / a.pool;
  const auto zero = hn::Zero(d);
  const auto factor = hn::Set(
      d, static_cast<T>(DropoutScale(a.rate_before) * DropoutScale(a.rate_after) / static_cast<double>(a.pool)));
  constexpr int kVectors = kPanel / static_cast<int>(hn::MaxLanes(Tag<T>()));
  for (int q = 0; q < pools; ++q) {
    for (int c = 0; c < a.channels; c += kPanel) {
      Vec<T> sum[kVectors];
      for (int v = 0; v < kVectors; ++v) sum[v] = zero;
      for (int l = q * a.pool; l < (q + 1) * a.pool; ++l) {
        const int64_t at = static_cast<int64_t>(l) * a.channels + c;
        uint32_t& word = mask[l * panels + c / kPanel];
        const uint32_t kept = word;
        uint32_t positive = 0;
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const int o = v * lanes;
          const auto normed =
              hn::MulAdd(hn::Load(d, y + at + o), hn::Load(d, s.norm.scale + c + o), hn::Load(d, s.norm.shift + c + o));
          const auto value = hn::Add(normed, hn::Load(d, s.skip + at + o));
          const auto keep = hn::And(hn::Gt(value, zero), MaskOfBits(d, kept >> o));
          positive |= BitsOfMask(d, keep) << o;
          sum[v] = hn::Add(sum[v], hn::IfThenElseZero(keep, value));
        }
        word = positive;
      }
      const uint32_t kept = s.pool_bits[q * panels + c / kPanel];
      for (int v = 0; v < kVectors; ++v) {
        hn::Store(hn::IfThenElseZero(MaskOfBits(d, kept >> (v * lanes)), hn::Mul(sum[v], factor)), d,
                  p + static_cast<int64_t>(q) * a.channels + c + v * lanes);
      }
    }
  }
}

template <class T>
void ResidualPoolForwardImpl(const ResidualPoolForwardArgs<T>& a, Parallel& parallel) {
  const int64_t size = static_cast<int64_t>(a.length) * a.channels;
  const int words = static_cast<int>(size / kPanel), pools = a.length / a.pool,
            pool_words = pools * (a.channels / kPanel), covered = pool_words * a.pool;
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const StepState& state = a.models.state[slot];
    if (state.rows == 0) return;
    const PoolScratch<T> s = CarvePoolScratch(a, parallel, thread);
    MakeAffine(a.mean[slot], a.rstd[slot], a.gamma[slot], a.beta[slot], T(1), a.channels, s.norm);
    const Prologue<T>& skip = a.skip_prologue;
    MakeAffine(skip.mean[slot], skip.rstd[slot], skip.gamma[slot], skip.beta[slot],
               static_cast<T>(DropoutScale(skip.dropout_rate)), a.channels, s.skip_affine);
    for (int n = ChunkBegin(state.rows, chunk); n < ChunkBegin(state.rows, chunk + 1); ++n) {
      uint32_t* mask = a.mask[slot] + static_cast<int64_t>(n) * words;
      uint32_t* pool_mask = a.pool_mask[slot] + static_cast<int64_t>(n) * pool_words;
      DropoutWords(state.dropout_key, state.step, a.layer_before, static_cast<uint32_t>(n * size), words,
                   DropoutThreshold(a.rate_before), s.pool_bits);
      std::memcpy(mask, s.pool_bits, covered * sizeof(uint32_t));
      DropoutWords(state.dropout_key, state.step, a.layer_after, static_cast<uint32_t>(n * pools * a.channels),
                   pool_words, DropoutThreshold(a.rate_after), s.pool_bits);
      std::memcpy(pool_mask, s.pool_bits, pool_words * sizeof(uint32_t));
      Reactivate(a.skip[slot] + n * size, a.length, a.channels, s.skip_affine,
                 skip.mask[slot] + static_cast<int64_t>(n) * words, s.skip);
      PoolSequence(a, s, a.y[slot] + n * size, mask, a.p[slot] + static_cast<int64_t>(n) * pools * a.channels);
    }
  });
}

// dp of one sequence times all its factors, in place.
template <class T>
HWY_INLINE void ScalePoolGrad(const ResidualPoolBackwardArgs<T>& a, const uint32_t* pool_mask, T* dp) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto factor = hn::Set(
      d, static_cast<T>(DropoutScale(a.rate_before) * DropoutScale(a.rate_after) / static_cast<double>(a.pool)));
  for (int i = 0; i < a.length / a.pool * a.channels; i += lanes) {
    const auto keep = MaskOfBits(d, pool_mask[i / kPanel] >> (i % kPanel));
    hn::Store(hn::IfThenElseZero(keep, hn::Mul(hn::Load(d, dp + i), factor)), d, dp + i);
  }
}

template <class T>
void ResidualPoolBackwardImpl(const ResidualPoolBackwardArgs<T>& a, Parallel& parallel) {
  const int64_t size = static_cast<int64_t>(a.length) * a.channels;
  const int words = static_cast<int>(size / kPanel), pools = a.length / a.pool,
            pool_words = pools * (a.channels / kPanel);
  parallel.Run(static_cast<int64_t>(a.models.count) * kBatchChunks, [&](int64_t task, int thread) {
    const int slot = a.models.live[task / kBatchChunks], chunk = static_cast<int>(task % kBatchChunks);
    const int rows = a.models.state[slot].rows;
    if (rows == 0) return;
    ScratchCarver carver(parallel, thread, ScratchCarver::Bytes<T>(size));
    T* dz = carver.Take<T>(size);
    T* sums = a.chunk_sums[slot] + static_cast<int64_t>(chunk) * 2 * a.channels;
    std::fill(sums, sums + 2 * a.channels, T(0));
    for (int n = ChunkBegin(rows, chunk); n < ChunkBegin(rows, chunk + 1); ++n) {
      T* dp = a.dp[slot] + static_cast<int64_t>(n) * pools * a.channels;
      ScalePoolGrad(a, a.pool_mask[slot] + static_cast<int64_t>(n) * pool_words, dp);
      ExpandPoolGrad(dp, a.mask[slot] + static_cast<int64_t>(n) * words, a.length, a.pool, a.channels, dz);
      AddNormGradSums(dz, a.y[slot] + n * size, pools * a.pool, a.channels, a.mean[slot], a.rstd[slot], sums);
    }
  });
}

RB_CPU_TARGET(ResidualPoolForward, ResidualPoolForwardArgs)
RB_CPU_TARGET(ResidualPoolBackward, ResidualPoolBackwardArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(ResidualPoolForward, ResidualPoolForwardArgs)
RB_CPU_OPERATOR(ResidualPoolBackward, ResidualPoolBackwardArgs)
}  // namespace rb::cpu
#endif
