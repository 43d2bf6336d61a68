// Layer 1: convolution straight from packed bases plus optional structure tracks. The one-hot tensor never exists.
//
//   y[n,l,o] = sum_k  w[k, base(n, l+k-h), o] + sum_s track[n, l+k-h, s] * w[k, 4+s, o],   h = (K-1)/2
// summed over taps that fall inside [0, L); an unknown or padded position contributes nothing from its base.
#ifndef RB_KERNELS_EMBED_CONV_H_
#define RB_KERNELS_EMBED_CONV_H_

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

struct EmbedConvGeometry {
  int length = 0;                   // L
  int structure = 0;                // S, tracks beside the four bases
  int filters = 0;                  // O, a multiple of kPanel
  int width = 0;                    // K, odd
  int batch = 0;                    // most rows a batch can have
  const uint32_t* bases = nullptr;  // [sequences][PackedWords(L)], shared by all models
  const float* tracks = nullptr;    // [sequences][L][S], or null when S == 0
};

// Overwrites y[N][L][O] and moments[chunk][2][O] (mean and M2 over the chunk's rows and positions).
template <class T, class A = T>
struct EmbedConvForwardArgs {
  Models models;
  EmbedConvGeometry geometry;
  PerModel<const int32_t> rows;  // [N] sequence of each batch row
  PerModel<const T> w;           // [K][4+S][O]
  PerModel<A> y;
  PerModel<T> moments;  // may be null
};

// Overwrites dw[chunk][K][4+S][O] (chunk stride: dw_chunk_stride). dy is rebuilt from dz through layer 1's batch norm:
//   dy = gamma*rstd * (dz - sums[0]/count - xhat * sums[1]/count),  xhat = (y - mean)*rstd,  count = rows*L.
template <class T, class A = T>
struct EmbedConvBackwardArgs {
  Models models;
  EmbedConvGeometry geometry;
  PerModel<const int32_t> rows;
  PerModel<const A> dz, y;              // [N][L][O]
  PerModel<const T> mean, rstd, gamma;  // [O]; mean null: dy = dz
  PerModel<const T> sums;               // [2][O]: sum of dz, sum of dz*xhat
  PerModel<T> dw;
  int64_t dw_chunk_stride = 0;
};

// Gradient with respect to the input channels, dx[N][L][4+S] (saliency): same dy as above.
template <class T, class A = T>
struct EmbedConvInputGradArgs {
  EmbedConvBackwardArgs<T, A> backward;  // dw unused
  PerModel<const T> w;                   // [K][4+S][O]
  PerModel<T> dx;
};

namespace cpu {
template <class T>
void EmbedConvForward(const EmbedConvForwardArgs<T>& args, Parallel& parallel);
template <class T>
void EmbedConvBackward(const EmbedConvBackwardArgs<T>& args, Parallel& parallel);
template <class T>
void EmbedConvInputGrad(const EmbedConvInputGradArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_STORING_OPERATOR(EmbedConvForward, EmbedConvForwardArgs)
RB_DEVICE_STORING_OPERATOR(EmbedConvBackward, EmbedConvBackwardArgs)
RB_DEVICE_STORING_OPERATOR(EmbedConvInputGrad, EmbedConvInputGradArgs)

}  // namespace rb

#endif  // RB_KERNELS_EMBED_CONV_H_
