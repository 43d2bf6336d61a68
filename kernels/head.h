// The last layer and the loss: h = dropout(relu(batch_norm(z))), out = h . w + bias.
//
//   squared error: loss = mean_n (out - t)^2;  sigmoid cross-entropy: loss = mean_n [softplus(out) - t * out].
// The batch's mean divides by its true number of rows.
#ifndef RB_KERNELS_HEAD_H_
#define RB_KERNELS_HEAD_H_

#include "kernels/batch_norm.h"
#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

enum class Loss { kSquaredError, kCrossEntropy };

// Overwrites out[N], dh[N][C] (gradient behind the batch norm), chunk_sums[chunk][2][C], dw[chunk][C + 1] (bias last)
// and loss[chunk] (each chunk's part of the batch mean, double).
template <class T>
struct HeadArgs {
  Models models;
  int channels = 0, batch = 0;
  Loss loss_kind = Loss::kSquaredError;
  PerModel<const T> z;                        // [N][C]
  PerModel<const T> mean, rstd, gamma, beta;  // [C]
  float dropout_rate = 0;
  uint32_t dropout_layer = 0;
  PerModel<const T> w;        // [C + 1], bias last
  PerModel<const T> targets;  // [N]
  PerModel<T> out;
  PerModel<T> dh;
  PerModel<T> chunk_sums;
  PerModel<T> dw;
  int64_t dw_chunk_stride = 0;
  PerModel<double> loss;
  // When true the gradient is that of the prediction itself (d out / d ..: 1 a row) instead of the loss: saliency.
  bool output_gradient = false;
};

namespace cpu {
template <class T>
void HeadForwardBackward(const HeadArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_OPERATOR(HeadForwardBackward, HeadArgs)

}  // namespace rb

#endif  // RB_KERNELS_HEAD_H_
