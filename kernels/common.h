// What every operator's argument struct is made of. Plain data only: both machines take the same structs.
//
// Axis letters, project-wide: M model, N sequence (batch row), L position, C input channel, O output channel, K tap.
#ifndef RB_KERNELS_COMMON_H_
#define RB_KERNELS_COMMON_H_

#include <cstdint>
#include <type_traits>

#include "kernels/host_device.h"

namespace rb {

// Channels are handled 32 at a time: one packed weight panel, one word of a bit mask. Channel counts of convolution and
// dense layers must be multiples of it (model/shape.cc refuses others).
inline constexpr int kPanel = 32;

// A batch is cut into this many chunks whatever the number of models or threads. Each chunk's sums (batch-norm moments,
// weight gradients) are made in row order and chunks are combined in index order, so results never depend on who
// computed what. Eight chunks feed eight threads even when a single model trains.
inline constexpr int kBatchChunks = 8;

// First batch row of a chunk; chunk c covers rows [ChunkBegin(n, c), ChunkBegin(n, c + 1)).
RB_HOST_DEVICE constexpr int ChunkBegin(int rows, int chunk) {
  return static_cast<int>(static_cast<int64_t>(rows) * chunk / kBatchChunks);
}

// A tensor with a leading model axis: model m's values start at base + m * stride (in elements).
template <class T>
struct PerModel {
  T* base = nullptr;
  int64_t stride = 0;

  RB_HOST_DEVICE constexpr T* operator[](int64_t model) const { return base + model * stride; }
  RB_HOST_DEVICE constexpr explicit operator bool() const { return base != nullptr; }
  RB_HOST_DEVICE constexpr PerModel Offset(int64_t elements) const { return {base + elements, stride}; }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) RB_HOST_DEVICE constexpr operator PerModel<U>() const {
    return {base, stride};
  }
};

// One model's part in one training step.
struct StepState {
  uint64_t dropout_key = 0;  // DeriveKey(seed, Purpose::kDropout, model id)
  uint64_t epoch_key = 0;    // key of this epoch's order of training rows
  uint64_t step = 0;         // the model's own count of optimiser steps before this one
  int64_t first = 0;         // place of this batch in the epoch: the rows before it
  int32_t rows = 0;          // rows of this batch; 0: the model sits this step out
  float adam_alpha = 0;      // lr * sqrt(1 - beta2^t) / (1 - beta1^t), t = step + 1
};

// The models that take part: slots live[0 .. count) of every PerModel tensor and of `state`.
struct Models {
  const StepState* state = nullptr;  // by slot
  const int32_t* live = nullptr;
  int count = 0;
};

}  // namespace rb

#endif  // RB_KERNELS_COMMON_H_
