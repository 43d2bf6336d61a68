#include "bench/device_ceilings.h"

#include <cublas_v2.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "bench/device_memory.h"
#include "engine/check.h"

namespace rb::bench {
namespace {

constexpr int kSize = 8192;  // of the square matrices
constexpr size_t kCopy = size_t{1} << 30;

absl::Status CublasStatus(cublasStatus_t status) {
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuBLAS: ", cublasGetStatusString(status)));
}

// Seconds of one call: the median of seven stretches of `calls`, behind one that is not timed.
absl::StatusOr<double> MedianSeconds(cudaStream_t stream, int calls, const std::function<absl::Status()>& call) {
  cudaEvent_t events[2];
  for (cudaEvent_t& event : events) RB_RETURN_IF_ERROR(CudaStatus(cudaEventCreate(&event), "creating an event"));
  std::vector<double> seconds;
  for (int stretch = 0; stretch < 8; ++stretch) {
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(events[0], stream), "recording an event"));
    for (int i = 0; i < calls; ++i) RB_RETURN_IF_ERROR(call());
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventRecord(events[1], stream), "recording an event"));
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventSynchronize(events[1]), "waiting for the device"));
    float ms = 0;
    RB_RETURN_IF_ERROR(CudaStatus(cudaEventElapsedTime(&ms, events[0], events[1]), "reading events"));
    if (stretch > 0) seconds.push_back(ms * 1e-3 / calls);
  }
  for (cudaEvent_t event : events) cudaEventDestroy(event);
  std::nth_element(seconds.begin(), seconds.begin() + 3, seconds.end());
  return seconds[3];
}

// FLOP a second of one square product.
absl::StatusOr<double> Products(cublasHandle_t handle, cudaStream_t stream, const DeviceMemory& memory,
                                cudaDataType_t type, cublasComputeType_t compute, int calls) {
  const size_t matrix = size_t{kSize} * kSize * 4;
  char* const base = static_cast<char*>(memory.data());
  const float one = 1, zero = 0;
  RB_ASSIGN_OR_RETURN(const double seconds, MedianSeconds(stream, calls, [&] {
                        return CublasStatus(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, kSize, kSize, kSize, &one,
                                                         base, type, kSize, base + matrix, type, kSize, &zero,
                                                         base + 2 * matrix, type, kSize, compute, CUBLAS_GEMM_DEFAULT));
                      }));
  return 2.0 * kSize * kSize * kSize / seconds;
}

absl::Status Measure(cublasHandle_t handle, cudaStream_t stream, Ceilings& ceilings) {
  RB_RETURN_IF_ERROR(CublasStatus(cublasSetStream(handle, stream)));
  DeviceMemory memory;
  RB_RETURN_IF_ERROR(memory.Reserve(2 * kCopy));
  char* const base = static_cast<char*>(memory.data());
  RB_ASSIGN_OR_RETURN(const double copy, MedianSeconds(stream, 4, [&] {
                        return CudaStatus(cudaMemcpyAsync(base + kCopy, base, kCopy, cudaMemcpyDeviceToDevice, stream),
                                          "copying");
                      }));
  ceilings.copy = 2.0 * kCopy / copy;
  RB_ASSIGN_OR_RETURN(ceilings.bf16, Products(handle, stream, memory, CUDA_R_16BF, CUBLAS_COMPUTE_32F, 10));
  RB_ASSIGN_OR_RETURN(ceilings.tf32, Products(handle, stream, memory, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, 5));
  RB_ASSIGN_OR_RETURN(ceilings.fp32, Products(handle, stream, memory, CUDA_R_32F, CUBLAS_COMPUTE_32F, 1));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DeviceFacts> ReadDeviceFacts(int device) {
  RB_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(device), "choosing the device"));
  cudaDeviceProp properties;
  RB_RETURN_IF_ERROR(CudaStatus(cudaGetDeviceProperties(&properties, device), "reading its properties"));
  DeviceFacts facts;
  facts.name = properties.name;
  facts.major = properties.major, facts.minor = properties.minor;
  facts.multiprocessors = properties.multiProcessorCount;
  facts.l2_bytes = properties.l2CacheSize;
  facts.memory_bytes = static_cast<double>(properties.totalGlobalMem);
  int khz = 0;
  if (cudaDeviceGetAttribute(&khz, cudaDevAttrClockRate, device) == cudaSuccess) facts.clock_mhz = khz * 1e-3;
  if (cudaDeviceGetAttribute(&khz, cudaDevAttrMemoryClockRate, device) == cudaSuccess)
    facts.memory_clock_mhz = khz * 1e-3;
  size_t free = 0, total = 0;
  RB_RETURN_IF_ERROR(CudaStatus(cudaMemGetInfo(&free, &total), "asking for its memory"));
  facts.free_bytes = static_cast<double>(free);
  RB_RETURN_IF_ERROR(CudaStatus(cudaDriverGetVersion(&facts.driver), "asking for the driver's version"));
  RB_RETURN_IF_ERROR(CudaStatus(cudaRuntimeGetVersion(&facts.runtime), "asking for the runtime's version"));
  return facts;
}

absl::StatusOr<Ceilings> MeasureCeilings(int device) {
  RB_RETURN_IF_ERROR(CudaStatus(cudaSetDevice(device), "choosing the device"));
  cudaStream_t stream = nullptr;
  RB_RETURN_IF_ERROR(CudaStatus(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream"));
  cublasHandle_t handle = nullptr;
  absl::Status status = CublasStatus(cublasCreate(&handle));
  Ceilings ceilings;
  if (status.ok()) status = Measure(handle, stream, ceilings);
  if (handle != nullptr) cublasDestroy(handle);
  cudaStreamDestroy(stream);
  if (!status.ok()) return status;
  return ceilings;
}

}  // namespace rb::bench
