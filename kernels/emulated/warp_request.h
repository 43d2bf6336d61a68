// What one request of a warp costs a device's memories, by rules of arithmetic on its addresses.
//
// Global memory: 32-byte sectors and 128-byte lines that the lanes touch [CUDA C++ Best Practices Guide, "Coalesced
// access to global memory"].
// Shared memory: 32 banks of 4-byte words [CUDA C++ Programming Guide, "Shared memory" of compute capability 5.x and
// later: lanes conflict when they ask for different words of one bank; one word may go to any number of lanes]. 32
// words are 128 bytes, so 8 bytes a lane take the warp in halves and 16 bytes in quarters, and lanes of different parts
// do not conflict; the guide of compute capability 2.x said so for 8 bytes, and profilers show both since. A matrix of
// ldmatrix is such a part of 8 lanes.
#ifndef RB_KERNELS_EMULATED_WARP_REQUEST_H_
#define RB_KERNELS_EMULATED_WARP_REQUEST_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace rb::emu {

// What the lanes in `lanes` ask for by one instruction: `bytes` each, 16 at most.
struct WarpRequest {
  uint32_t lanes = 0;
  uint32_t bytes = 0;
  uintptr_t address[32];
};

// Sorted distinct values of values[0 .. count): how many.
inline int Distinct(uintptr_t* values, int count) {
  if (!std::is_sorted(values, values + count)) std::sort(values, values + count);
  return static_cast<int>(std::unique(values, values + count) - values);
}

// Distinct units of `size` bytes that the request touches.
inline int UnitsTouched(const WarpRequest& request, uintptr_t size) {
  uintptr_t units[64];
  int count = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if ((request.lanes >> lane & 1u) == 0) continue;
    const uintptr_t first = request.address[lane] / size, last = (request.address[lane] + request.bytes - 1) / size;
    units[count++] = first;
    if (last != first) units[count++] = last;
  }
  return Distinct(units, count);
}

// Passes over the banks: `ideal` were no two words of a part in one bank.
struct Wavefronts {
  int taken = 0, ideal = 0;
};
inline Wavefronts WavefrontsOf(const WarpRequest& request) {
  const int part = request.bytes <= 4 ? 32 : request.bytes <= 8 ? 16 : 8;
  Wavefronts sum;
  for (int begin = 0; begin < 32; begin += part) {
    uintptr_t words[64];
    int count = 0;
    for (int lane = begin; lane < begin + part; ++lane) {
      if ((request.lanes >> lane & 1u) == 0) continue;
      const uintptr_t first = request.address[lane] / 4, last = (request.address[lane] + request.bytes - 1) / 4;
      for (uintptr_t word = first; word <= last && count < 64; ++word) words[count++] = word;
    }
    if (count == 0) continue;
    count = Distinct(words, count);
    int of_bank[32] = {}, most = 0;
    for (int i = 0; i < count; ++i) most = std::max(most, ++of_bank[words[i] % 32]);
    sum.taken += most;
    ++sum.ideal;
  }
  return sum;
}

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_WARP_REQUEST_H_
