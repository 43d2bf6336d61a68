// Batch norm [Ioffe & Szegedy 2015], cut where the whole batch must be known.
//
// Forward: producers emit (mean, M2) per chunk; BatchNormFinalize merges them in chunk order (Chan's update, never
// E[x^2] - E[x]^2) and updates the running statistics. The affine map itself is the consumers' prologue.
// Backward: producers emit per-chunk sums of dz and dz*xhat; BatchNormGradFinalize adds them in chunk order, which also
// is dbeta and dgamma.
#ifndef RB_KERNELS_BATCH_NORM_H_
#define RB_KERNELS_BATCH_NORM_H_

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

// moments[chunk][2][C] -> mean[C], rstd[C] = 1/sqrt(M2/count + epsilon); running = momentum*running +
// (1-momentum)*batch, with the population variance (Keras). count = rows * positions. Models with zero rows are left
// alone.
template <class T>
struct BatchNormFinalizeArgs {
  Models models;
  int channels = 0;
  int positions = 1;  // values a row contributes to each channel
  T epsilon = T(1e-3), momentum = T(0.99);
  PerModel<const T> moments;
  PerModel<T> mean, rstd;
  PerModel<T> running_mean, running_variance;  // may be null
};

// chunk_sums[chunk][2][C] -> sums[2][C], dbeta[C] = sums[0], dgamma[C] = sums[1].
template <class T>
struct BatchNormGradFinalizeArgs {
  Models models;
  int channels = 0;
  PerModel<const T> chunk_sums;
  PerModel<T> sums, dgamma, dbeta;
};

// How a consumer takes its input x: a = dropout(relu(gamma * (x - mean) * rstd + beta)). Null mean: a = x.
// Dropout keeps an element when its 16 bits >= round(rate * 65536) and scales kept ones by 65536 / (65536 - threshold);
// bits come from Philox(dropout_key; element/8, layer, step) with element = (n*L + l)*C + c: eight channels a call,
// channel 2j and 2j+1 of the eight from the low and high half of word j.
template <class T>
struct Prologue {
  PerModel<const T> mean, rstd, gamma, beta;  // [C]
  float dropout_rate = 0;
  uint32_t dropout_layer = 0;
  PerModel<uint32_t> mask;  // [N][L][C/32], bit = (activation > 0 and kept): forward writes it, backward reads it
};

// How a consumer rebuilds dy from dz behind a batch norm; see EmbedConvBackwardArgs for the formula.
template <class T>
struct NormGrad {
  PerModel<const T> mean, rstd, gamma;  // [C]; null mean: dy = dz
  PerModel<const T> sums;               // [2][C]
};

// A prologue by itself, for studies of fusion: a[N][positions][C] and the prologue's mask from x[N][positions][C].
template <class T, class A = T>
struct BatchNormApplyArgs {
  Models models;
  int channels = 0, positions = 1;
  PerModel<const A> x;
  Prologue<T> prologue;
  PerModel<A> a;
};

namespace cpu {
template <class T>
void BatchNormApply(const BatchNormApplyArgs<T>& args, Parallel& parallel);
template <class T>
void BatchNormFinalize(const BatchNormFinalizeArgs<T>& args, Parallel& parallel);
template <class T>
void BatchNormGradFinalize(const BatchNormGradFinalizeArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_STORING_OPERATOR(BatchNormApply, BatchNormApplyArgs)
RB_DEVICE_OPERATOR(BatchNormFinalize, BatchNormFinalizeArgs)
RB_DEVICE_OPERATOR(BatchNormGradFinalize, BatchNormGradFinalizeArgs)

// 65536 * rate, rounded: elements whose 16 bits are below it are dropped.
RB_HOST_DEVICE constexpr uint32_t DropoutThreshold(float rate) { return static_cast<uint32_t>(rate * 65536.0f + 0.5f); }
RB_HOST_DEVICE constexpr double DropoutScale(float rate) { return 65536.0 / (65536.0 - DropoutThreshold(rate)); }

}  // namespace rb

#endif  // RB_KERNELS_BATCH_NORM_H_
