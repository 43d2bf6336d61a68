// Adam [Kingma & Ba 2015] in the form Keras uses:
//   m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g^2;  p -= alpha * m / (sqrt(v) + eps),  alpha from StepState::adam_alpha.
// g is the sum of a tensor's gradient chunks, in chunk order.
#ifndef RB_KERNELS_ADAM_H_
#define RB_KERNELS_ADAM_H_

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

// One tensor's place: parameters [offset, offset + size), gradients at gradient_offset + chunk * chunk_stride.
struct GradientSegment {
  int64_t offset = 0;
  int64_t size = 0;
  int64_t gradient_offset = 0;
  int64_t chunk_stride = 0;
  int chunks = 1;
};

template <class T>
struct AdamArgs {
  Models models;
  const GradientSegment* segments = nullptr;
  int num_segments = 0;
  T beta1 = T(0.9), beta2 = T(0.999), epsilon = T(1e-7);
  PerModel<const T> gradients;
  PerModel<T> parameters, m, v;
};

namespace cpu {
// Models with zero rows in this step are left alone.
template <class T>
void Adam(const AdamArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_OPERATOR(Adam, AdamArgs)

}  // namespace rb

#endif  // RB_KERNELS_ADAM_H_
