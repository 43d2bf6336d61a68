// What the host asks of a CUDA device beside launches: texts of errors, and what tests need.
#include <cuda_runtime.h>

#include "kernels/device.h"

namespace rb::cuda {

const char* DeviceErrorText(DeviceError error) {
  return error.code < 0 ? "this operator does not exist for these arguments"
                        : cudaGetErrorString(static_cast<cudaError_t>(error.code));
}

int DeviceCount() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

DeviceError Synchronize() { return {static_cast<int>(cudaDeviceSynchronize())}; }

void* AllocateMapped(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaHostAlloc(&memory, bytes == 0 ? 1 : bytes, cudaHostAllocPortable | cudaHostAllocMapped);
  return error == cudaSuccess ? memory : nullptr;
}

void FreeMapped(void* memory) { cudaFreeHost(memory); }

}  // namespace rb::cuda
