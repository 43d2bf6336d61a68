// Arithmetic of matrix products. Accumulation, batch-norm statistics, master weights and Adam are always fp32.
#ifndef RB_KERNELS_PRECISION_H_
#define RB_KERNELS_PRECISION_H_

namespace rb {

enum class Precision { kFp32, kTf32, kBf16 };

}  // namespace rb

#endif  // RB_KERNELS_PRECISION_H_
