// Copies from global to shared memory that run ahead of their use.
#ifndef RB_KERNELS_DEVICE_SCORER_RING_CUH_
#define RB_KERNELS_DEVICE_SCORER_RING_CUH_

#include "kernels/device/dialect.h"
#include "kernels/device/scorer_layout.h"

namespace rb::device::scorer {

// Starts copying `bytes`, a multiple of 16, with all of the block's threads.
__device__ inline void CopyAsync(unsigned char* to, const unsigned char* from, int bytes) {
  for (int at = 16 * static_cast<int>(threadIdx.x); at < bytes; at += 16 * kThreads) CpAsync16(to + at, from + at);
}
template <int kBytes>
__device__ inline void CopyAsync(unsigned char* to, const unsigned char* from) {
  const int thread = 16 * static_cast<int>(threadIdx.x);
#pragma unroll
  for (int at = 0; at < kBytes; at += 16 * kThreads) {
    if (at + 16 * kThreads <= kBytes || at + thread < kBytes) CpAsync16(to + at + thread, from + at + thread);
  }
}

// A row of slices that lie one behind the other in global memory, gone through again and again; each is copied
// kStages - 1 calls before it is used.
template <int kStages, int kSliceBytes>
class SliceRing {
 public:
  // Nothing of an earlier Start may be under way.
  __device__ void Start(const unsigned char* from, int bytes, unsigned char* slots) {
    copied_ = slot_ = 0;
#pragma unroll
    for (int stage = 0; stage + 1 < kStages; ++stage) Copy(from, bytes, slots, stage);
  }
  // The next slice; arguments as for Start. A barrier of the whole block: what threads wrote to shared memory before is
  // visible behind it, and the slice of the call before is used up.
  __device__ const unsigned char* Next(const unsigned char* from, int bytes, unsigned char* slots) {
    CpAsyncWait<kStages - 2>();
    __syncthreads();
    const int used = slot_;
    Copy(from, bytes, slots, used == 0 ? kStages - 1 : used - 1);
    slot_ = used + 1 == kStages ? 0 : used + 1;
    return slots + used * kSliceBytes;
  }

 private:
  __device__ void Copy(const unsigned char* from, int bytes, unsigned char* slots, int slot) {
    CopyAsync<kSliceBytes>(slots + slot * kSliceBytes, from + copied_);
    CpAsyncCommit();
    copied_ = copied_ + kSliceBytes == bytes ? 0 : copied_ + kSliceBytes;
  }

  int copied_ = 0;  // where the next slice to copy begins
  int slot_ = 0;    // that of the next slice to use
};

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_RING_CUH_
