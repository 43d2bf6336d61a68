// Dense layer without bias: z[n,o] = sum_k x[n,k] * w[k,o].
#ifndef RB_KERNELS_DENSE_H_
#define RB_KERNELS_DENSE_H_

#include "kernels/batch_norm.h"
#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

// Overwrites z[N][O] and moments[chunk][2][O].
template <class T>
struct DenseForwardArgs {
  Models models;
  int in = 0, out = 0, batch = 0;  // K, O (multiple of kPanel)
  PerModel<const T> x;             // [N][K]
  PerModel<const T> w;             // [K][O]
  PerModel<T> packed;              // workspace of the CPU, K*O values
  PerModel<T> z;
  PerModel<T> moments;  // may be null
};

// dz_pre from dh through the batch norm (in place in dh), then dx[N][K] = dz_pre * w^T and dw[K][O] = x^T * dz_pre.
// dw is owned in slices of K over the whole batch: one chunk, not kBatchChunks.
template <class T>
struct DenseBackwardArgs {
  Models models;
  int in = 0, out = 0, batch = 0;
  PerModel<T> dh;       // [N][O], gradient behind the batch norm; overwritten by the one before it
  PerModel<const T> z;  // [N][O]
  NormGrad<T> norm;
  PerModel<const T> x, w;
  PerModel<T> packed;  // workspace of the CPU, K*O values
  PerModel<T> dx;      // null: weight gradient only
  PerModel<T> dw;      // null: data gradient only; both null: dz_pre only
};

namespace cpu {
template <class T>
void DenseForward(const DenseForwardArgs<T>& args, Parallel& parallel);
template <class T>
void DenseBackward(const DenseBackwardArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_OPERATOR(DenseForward, DenseForwardArgs)
RB_DEVICE_OPERATOR(DenseBackward, DenseBackwardArgs)
// Only the moments, of the z in memory: for products that a library made. The same bits as DenseForward's.
RB_DEVICE_OPERATOR(DenseMoments, DenseForwardArgs)

}  // namespace rb

#endif  // RB_KERNELS_DENSE_H_
