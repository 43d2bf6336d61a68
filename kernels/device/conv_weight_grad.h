// The dilated convolution's weight gradient by itself (kernels/dilated_conv_weight_grad.cu): dw of
// DilatedConvBackwardArgs and nothing else of it. Internal to DilatedConvBackward.
#ifndef RB_KERNELS_DEVICE_CONV_WEIGHT_GRAD_H_
#define RB_KERNELS_DEVICE_CONV_WEIGHT_GRAD_H_

#include "kernels/dilated_conv.h"

namespace rb {

RB_DEVICE_STORING_OPERATOR(DilatedConvWeightGrad, DilatedConvBackwardArgs)

}  // namespace rb

#endif  // RB_KERNELS_DEVICE_CONV_WEIGHT_GRAD_H_
