// Kernels whose accesses are known, for counting_test.cc; compiled to be counted.
#ifndef RB_TESTS_KERNELS_COUNTING_KERNELS_H_
#define RB_TESTS_KERNELS_COUNTING_KERNELS_H_

#include "kernels/device.h"

namespace rb::dialect {

inline constexpr int kInputs = 4096;  // floats that `in` has; `out` has room for as many

enum class Access {
  // Global memory.
  kCopy,
  kStride2,
  kBroadcast,
  kMisaligned,
  kCopy8,
  kCopy16,
  kMake16,  // writes of vectors that were never in memory
  kOddLanes,
  kShuffles,
  kTriangle,  // lane t goes round t + 1 times
  kSkippedRounds,
  kAtomic,
  // Shared memory.
  kColumn32,
  kColumn33,
  kSharedBroadcast,
  kShared2,
  kShared8,
  kShared8Apart,
  kShared16,
  kShared16Apart,
  kAsynchronous,
  kAsynchronousZeros,
  kMatrices16,  // rows 16, 128 and 144 bytes apart
  kMatrices128,
  kMatrices144,
  kTwoWarps,
};

namespace emu {

struct CountedArgs {
  const float* in;
  float* out;
};
DeviceError Count(Access access, const CountedArgs& args, int blocks, int threads);

}  // namespace emu
}  // namespace rb::dialect

#endif  // RB_TESTS_KERNELS_COUNTING_KERNELS_H_
