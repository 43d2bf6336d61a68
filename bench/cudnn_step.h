// A training step as a sequence of cuDNN calls, one a layer, nothing fused: convolution, batch norm, ReLU, dropout,
// addition, pooling, forward and backward; the dense layer's products by cuBLAS, and our Adam. All models are one
// grouped network, in the tensor layout whose convolutions are faster. Left out: gathering the batch, making the
// one-hot input, the head and the loss.
#ifndef RB_BENCH_CUDNN_STEP_H_
#define RB_BENCH_CUDNN_STEP_H_

#include "bench/device_row.h"

namespace rb::bench {

DeviceRow UnfusedStepRow(const DeviceOptions& options, Precision precision, int models);

}  // namespace rb::bench

#endif  // RB_BENCH_CUDNN_STEP_H_
