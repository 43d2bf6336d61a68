// How operators are launched on a CUDA device, or on its emulation (kernels/device/dialect.h): the same source compiled
// twice, namespaces rb::cuda and rb::emu, each operator one function
//
//   DeviceError DenseForward(const DenseForwardArgs<float>& args, const DeviceRun& run);
//
// All pointers in args are the device's. Models.count is the host's upper bound: the lists live[0 .. count) name
// different slots, those with state.rows == 0 are idle and nothing of theirs is read or written.
#ifndef RB_KERNELS_DEVICE_H_
#define RB_KERNELS_DEVICE_H_

#include <cstddef>

#include "kernels/bf16.h"
#include "kernels/precision.h"

namespace rb {

struct DeviceRun {
  void* stream = nullptr;  // cudaStream_t; the emulation's streams are of engine/device_runtime.h
  // Arithmetic of matrix products: fp32 by fused multiply-adds, tf32 and bf16 on tensor cores; sums are fp32 always.
  // Operators whose activations are BFloat16 take kBf16 only.
  Precision precision = Precision::kFp32;
};

// 0 is success. A failed launch, or, in the emulation, a failed kernel (its message: DeviceErrorText).
struct [[nodiscard]] DeviceError {
  int code = 0;
  explicit operator bool() const { return code != 0; }
};

namespace cuda {
const char* DeviceErrorText(DeviceError error);
int DeviceCount();  // 0 without a driver
// For tests: waits for all launches; host memory that the device reaches by the same address (null: none left).
DeviceError Synchronize();
void* AllocateMapped(size_t bytes);
void FreeMapped(void* memory);
}  // namespace cuda
namespace emu {
const char* DeviceErrorText(DeviceError error);
}

// Declares an operator on both machines; the second form with activations stored as float or as BFloat16.
#define RB_DEVICE_OPERATOR(Name, Args)                             \
  namespace cuda {                                                 \
  DeviceError Name(const Args<float>& args, const DeviceRun& run); \
  }                                                                \
  namespace emu {                                                  \
  DeviceError Name(const Args<float>& args, const DeviceRun& run); \
  }
#define RB_DEVICE_STORING_OPERATOR(Name, Args)                               \
  RB_DEVICE_OPERATOR(Name, Args)                                             \
  namespace cuda {                                                           \
  DeviceError Name(const Args<float, BFloat16>& args, const DeviceRun& run); \
  }                                                                          \
  namespace emu {                                                            \
  DeviceError Name(const Args<float, BFloat16>& args, const DeviceRun& run); \
  }

}  // namespace rb

#endif  // RB_KERNELS_DEVICE_H_
