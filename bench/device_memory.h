// Device memory outside a machine's arenas, for copies and ceilings.
#ifndef RB_BENCH_DEVICE_MEMORY_H_
#define RB_BENCH_DEVICE_MEMORY_H_

#include <cuda_runtime.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace rb::bench {

inline absl::Status CudaStatus(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("CUDA, ", what, ": ", cudaGetErrorString(error)));
}

// Random bytes: memory of zeros moves and multiplies faster than real values do.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory() { Free(); }
  // Anew when it is smaller than that; what it held goes. Waits for the device.
  absl::Status Reserve(size_t bytes);
  void Free();
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace rb::bench

#endif  // RB_BENCH_DEVICE_MEMORY_H_
