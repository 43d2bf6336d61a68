// Folds batch norm into the weights and biases of the layer before it, for inference: w' = w * scale[o],
// bias' = beta - mean * scale, scale = gamma / sqrt(variance + epsilon) per output channel o (the weights' last axis).
// In double, every operation rounded by itself and the results once to float, so that all machines give the same bits.
#ifndef RB_KERNELS_FOLD_NORM_H_
#define RB_KERNELS_FOLD_NORM_H_

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

// Offsets into a model's parameters and into its folded values. channels == 0: no batch norm follows, the weights are
// copied.
struct FoldNormLayer {
  int64_t weight = 0, gamma = 0, beta = 0, mean = 0, variance = 0;
  int64_t folded_weight = 0, folded_bias = 0;
  int64_t weights = 0;  // values of the weight tensor
  int channels = 0;
};

// For slots live[0 .. count): overwrites every layer's folded weight and bias.
template <class T>
struct FoldNormArgs {
  const int32_t* live = nullptr;
  int count = 0;
  const FoldNormLayer* layers = nullptr;
  int num_layers = 0;
  T epsilon = T(1e-3);
  PerModel<const T> parameters;
  PerModel<T> folded;
};

namespace cpu {
template <class T>
void FoldNorm(const FoldNormArgs<T>& args, Parallel& parallel);
// On the calling thread.
template <class T>
void FoldNorm(const FoldNormArgs<T>& args);
}  // namespace cpu

RB_DEVICE_OPERATOR(FoldNorm, FoldNormArgs)

}  // namespace rb

#endif  // RB_KERNELS_FOLD_NORM_H_
