// Dilated convolution, same padding, no bias.
//
//   y[n,l,o] = sum_k sum_c a[n, l + (k-h)*D, c] * w[k,c,o],   h = (K-1)/2, rows outside [0, L) are zero,
// a = the input behind an optional prologue (batch norm, ReLU, dropout). Every output accumulates tap-major, then
// channel, by fused multiply-add, whatever the tile.
#ifndef RB_KERNELS_DILATED_CONV_H_
#define RB_KERNELS_DILATED_CONV_H_

#include "kernels/batch_norm.h"
#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"
#include "kernels/residual_pool.h"

namespace rb {

struct DilatedConvGeometry {
  int length = 0;                                                          // L
  int in = 0, out = 0;                                                     // C, O: multiples of kPanel
  int width = 0;                                                           // K, odd
  int dilation = 1;                                                        // D
  int batch = 0;                                                           // most rows a batch can have
  RB_HOST_DEVICE int reach() const { return (width - 1) / 2 * dilation; }  // rows of zero padding on either side
  RB_HOST_DEVICE int64_t weights() const { return static_cast<int64_t>(width) * in * out; }
};

// Overwrites y[N][L][O], the prologue's mask and moments[chunk][2][O].
template <class T, class A = T>
struct DilatedConvForwardArgs {
  Models models;
  DilatedConvGeometry geometry;
  PerModel<const A> x;  // [N][L][C], raw
  Prologue<T> prologue;
  PerModel<const T> w;  // [K][C][O]
  PerModel<T> packed;   // workspace, geometry.weights() values
  PerModel<A> y;
  PerModel<T> moments;  // may be null
};

// One pass: rebuilds dy from dz (or from `pool`, when given) and y, then
//   da[n,l,c] = sum_k sum_o dy[n, l-(k-h)*D, o] * w[k,c,o]  (+ skip's gradient, when given)
//   dz_in = mask ? da * dropout scale : 0  -> dx; chunk_sums of dz_in and dz_in*xhat_in for the input's batch norm
//   dw[chunk][k,c,o] = sum over the chunk's rows of a * dy, a rebuilt from x and the prologue's mask.
// dx may be the same memory as dz (on the device: where DilatedConvInPlace). Without a prologue dx = da and chunk_sums
// is not written.
template <class T, class A = T>
struct DilatedConvBackwardArgs {
  Models models;
  DilatedConvGeometry geometry;
  PerModel<const A> dz;  // [N][L][O]; unused when pool is given
  PoolGrad<T> pool;
  PerModel<const A> y;  // [N][L][O], this layer's output
  NormGrad<T> norm;
  PerModel<const T> w;
  PerModel<T> packed;      // workspace, geometry.weights() values
  PerModel<const A> x;     // [N][L][C], raw input
  Prologue<T> prologue;    // mask is read
  PoolGrad<T> skip;        // gradient that reaches the input beside this layer
  PerModel<A> dx;          // [N][L][C]; null: weight gradient only
  PerModel<T> chunk_sums;  // [chunk][2][C]
  PerModel<T> dw;          // null: data gradient only
  int64_t dw_chunk_stride = 0;
};

namespace cpu {
template <class T>
void DilatedConvForward(const DilatedConvForwardArgs<T>& args, Parallel& parallel);
template <class T>
void DilatedConvBackward(const DilatedConvBackwardArgs<T>& args, Parallel& parallel);
}  // namespace cpu

// Whether the device can have dx in the memory of dz. Channels beyond 96, and long sequences of many, are cut over
// blocks that would read what others have overwritten: they need memory of their own, and are refused without it.
namespace cuda {
bool DilatedConvInPlace(const DilatedConvGeometry& geometry, Precision precision);
}
namespace emu {
bool DilatedConvInPlace(const DilatedConvGeometry& geometry, Precision precision);
}
RB_DEVICE_STORING_OPERATOR(DilatedConvForward, DilatedConvForwardArgs)
RB_DEVICE_STORING_OPERATOR(DilatedConvBackward, DilatedConvBackwardArgs)

}  // namespace rb

#endif  // RB_KERNELS_DILATED_CONV_H_
