// Moments of local effects: the mean is a global importance, the squares its spread.
#ifndef RB_KERNELS_EFFECT_MOMENTS_H_
#define RB_KERNELS_EFFECT_MOMENTS_H_

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

}  // namespace rb

#endif  // RB_KERNELS_EFFECT_MOMENTS_H_
