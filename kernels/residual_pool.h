// End of the residual module: add the skip input, ReLU, dropout, mean pool (size = stride, valid).
//
//   v = batch_norm(y) + a,  a = skip activation;  r = dropout(relu(v));  p[n,q,c] = dropout'(mean over q's positions of
//   r)
// The paper's preset drops before the pooling, the published one after it; either rate may be 0.
#ifndef RB_KERNELS_RESIDUAL_POOL_H_
#define RB_KERNELS_RESIDUAL_POOL_H_

#include "kernels/batch_norm.h"
#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

// Overwrites p[N][pools][C] (pools = L / pool; trailing positions drop out, their mask is left alone),
// mask[N][L][C/32] (v > 0 and kept) and pool_mask[N][pools][C/32] (kept after pooling).
template <class T, class A = T>
struct ResidualPoolForwardArgs {
  Models models;
  int length = 0, channels = 0, pool = 0, batch = 0;
  PerModel<const A> y;                        // [N][L][C], output of the module's last convolution
  PerModel<const T> mean, rstd, gamma, beta;  // its batch norm
  PerModel<const A> skip;                     // [N][L][C], the raw tensor behind `skip_prologue`
  Prologue<T> skip_prologue;                  // mask is read: the activation is rebuilt, not drawn again
  float rate_before = 0, rate_after = 0;
  uint32_t layer_before = 0, layer_after = 0;
  PerModel<uint32_t> mask, pool_mask;
  PerModel<T> p;
};

// The gradient behind the pooling, expanded where it is needed: dz[n,l,c] = mask bit ? dp[n, l/pool, c] : 0, and 0 for
// positions that no pool covers. dp carries every factor (1/pool, dropout scales, pool mask) after
// ResidualPoolBackward.
template <class T>
struct PoolGrad {
  PerModel<const T> dp;           // [N][pools][C]; null: absent
  PerModel<const uint32_t> mask;  // [N][L][C/32]
  int pool = 0;
};

// Scales dp in place and overwrites chunk_sums[chunk][2][C] of dz and dz*xhat over the last convolution's batch norm.
template <class T, class A = T>
struct ResidualPoolBackwardArgs {
  Models models;
  int length = 0, channels = 0, pool = 0, batch = 0;
  PerModel<const A> y;
  PerModel<const T> mean, rstd;
  float rate_before = 0, rate_after = 0;
  PerModel<const uint32_t> mask, pool_mask;
  PerModel<T> dp;
  PerModel<T> chunk_sums;
};

namespace cpu {
template <class T>
void ResidualPoolForward(const ResidualPoolForwardArgs<T>& args, Parallel& parallel);
template <class T>
void ResidualPoolBackward(const ResidualPoolBackwardArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_STORING_OPERATOR(ResidualPoolForward, ResidualPoolForwardArgs)
RB_DEVICE_STORING_OPERATOR(ResidualPoolBackward, ResidualPoolBackwardArgs)

}  // namespace rb

#endif  // RB_KERNELS_RESIDUAL_POOL_H_
