#include "bench/device_memory.h"

#include <algorithm>
#include <vector>

#include "engine/check.h"
#include "kernels/philox.h"

namespace rb::bench {
namespace {

// Random values that are numbers in every format: bf16 pairs (and so fp32) with exponents around 1.
std::vector<uint32_t> RandomWords(size_t count) {
  std::vector<uint32_t> words(count);
  PhiloxStream random(11);
  for (uint32_t& word : words) word = (random.Next() & 0x80ff80ffu) | 0x3f003f00u;
  return words;
}

}  // namespace

absl::Status DeviceMemory::Reserve(size_t bytes) {
  if (bytes <= bytes_) return absl::OkStatus();
  Free();
  RB_RETURN_IF_ERROR(CudaStatus(cudaMalloc(&data_, bytes), "allocating memory"));
  bytes_ = bytes;
  static const std::vector<uint32_t>& words = *new std::vector<uint32_t>(RandomWords(size_t{1} << 22));
  const size_t piece = words.size() * sizeof(uint32_t);
  char* const to = static_cast<char*>(data_);
  RB_RETURN_IF_ERROR(
      CudaStatus(cudaMemcpy(to, words.data(), std::min(piece, bytes), cudaMemcpyHostToDevice), "filling"));
  for (size_t at = piece; at < bytes; at += piece) {
    RB_RETURN_IF_ERROR(
        CudaStatus(cudaMemcpy(to + at, to, std::min(piece, bytes - at), cudaMemcpyDeviceToDevice), "filling"));
  }
  return CudaStatus(cudaDeviceSynchronize(), "filling");
}

void DeviceMemory::Free() {
  if (data_ != nullptr) cudaFree(data_);
  data_ = nullptr;
  bytes_ = 0;
}

}  // namespace rb::bench
