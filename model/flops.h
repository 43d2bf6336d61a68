// Arithmetic of the network, two FLOPs a multiply-add, counted as the kernels do it: layer 1 is a look-up (one addition
// a known tap and channel), zero taps of dilated convolutions are not counted.
#ifndef RB_MODEL_FLOPS_H_
#define RB_MODEL_FLOPS_H_

#include <algorithm>

#include "model/shape.h"

namespace rb {

// Row-taps of a same-padded convolution that fall inside the sequence.
inline double RowTaps(int length, int width, int dilation) {
  double rows = 0;
  for (int k = 0; k < width; ++k) rows += std::max(0, length - std::abs(k - width / 2) * dilation);
  return rows;
}

inline double LookupFlops(const Shape& s) {
  return RowTaps(s.length, s.first_width, 1) * s.filters * (1 + 2.0 * s.structure);
}

inline double ConvFlops(const Shape& s) {
  double flops = 0;
  for (int i = 0; i < s.residual_layers; ++i)
    flops += RowTaps(s.length, s.width, s.dilations[i]) * 2.0 * s.filters * s.filters;
  return flops;
}

inline double DenseFlops(const Shape& s) { return 2.0 * s.flat() * s.hidden + 2.0 * s.hidden; }

// One sequence, forward and backward: beside the forward pass, data and weight gradients of every convolution and dense
// layer and the weight gradient of layer 1.
inline double TrainingFlops(const Shape& s) {
  return static_cast<double>(FlopsPerSequence(GeometryOf(s))) + LookupFlops(s) + 2 * ConvFlops(s) + 2 * DenseFlops(s);
}

}  // namespace rb

#endif  // RB_MODEL_FLOPS_H_
