// Moments of local effects: the mean is a global importance, the squares its spread.
#ifndef RB_KERNELS_EFFECT_MOMENTS_H_
#define RB_KERNELS_EFFECT_MOMENTS_H_

#include <cstdint>

#include "kernels/host_device.h"

namespace rb {

// Of a known number of values: their mean and the sum of squared deviations from it.
struct EffectMoments {
  double mean = 0, squares = 0;
};

// Of `n` values of moments `a` and, behind them, `m` of moments `b` [Chan et al. 1979]; m > 0.
RB_HOST_DEVICE inline EffectMoments MergeMoments(const EffectMoments& a, double n, const EffectMoments& b, double m) {
  const double delta = b.mean - a.mean, all = n + m;
  return {a.mean + delta * m / all, a.squares + b.squares + delta * delta * n * m / all};
}

// Of with[i * stride] - without[i], i in [0, count); count > 0.
inline EffectMoments MomentsOfDifferences(const float* with, int64_t stride, const float* without, int64_t count) {
  EffectMoments moments;
  for (int64_t i = 0; i < count; ++i) moments.mean += static_cast<double>(with[i * stride]) - without[i];
  moments.mean /= static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    const double d = static_cast<double>(with[i * stride]) - without[i] - moments.mean;
    moments.squares += d * d;
  }
  return moments;
}

// effects[m] of `before` values, and behind them those of `count` more: [count][kmers] with, [count] without.
inline void AddEffects(const float* with, const float* without, int64_t count, int64_t kmers, int64_t before,
                       EffectMoments* effects) {
  for (int64_t m = 0; m < kmers; ++m) {
    const EffectMoments chunk = MomentsOfDifferences(with + m, kmers, without, count);
    effects[m] =
        before == 0 ? chunk : MergeMoments(effects[m], static_cast<double>(before), chunk, static_cast<double>(count));
  }
}

// Sequences whose moments are taken together on the host.
inline constexpr int64_t kEffectChunk = 32;

}  // namespace rb

#endif  // RB_KERNELS_EFFECT_MOMENTS_H_
