// Kernels with one defect each, and one or two beside them that are right, for emulator_test.cc. The emulation only.
#ifndef RB_TESTS_KERNELS_EMULATOR_KERNELS_H_
#define RB_TESTS_KERNELS_EMULATOR_KERNELS_H_

#include <cstddef>

#include "kernels/device.h"

namespace rb::dialect {

inline constexpr int kDefectThreads = 128;  // of a block
inline constexpr int kSharedFloats = 128;

// All read x and write y, kDefectThreads values each; which defect, the kernels' source tells.
enum class Defect {
  kNone,
  kMissingDependencyWait,
  kMissingBarrier,
  kBarrierOfSomeThreads,
  kBarriersInTwoPlaces,
  kBarrierBehindEarlyReturn,
  kSharedOverrunWrite,
  kSharedOverrunRead,
  kDynamicOverrunWrite,
  kGlobalOverrun,
  kUninitialisedShared,
  kMissingCopyWait,
  kMissingCopyCommit,
  kMissingBarrierBehindCopy,
  kCopyOverRead,
  kMisalignedCopy,
  kCopyToGlobal,
  kMisalignedMatrixRow,
  kMatrixRowInGlobal,
  kMissingBarrierBeforeMatrix,
  kHalfTheLanesShuffle,
  kShuffleFromOutsideMask,
  kShufflesInTwoPlaces,
  kCallerOutsideMask,
  kWriteAfterRead,
  kShuffleAsFence,
  kWarpExchange,  // right: __syncwarp is one
  kIntegerOverflow,
  kBlocksWriteTheSame,
  kBlocksWriteTheSameBehindBarrier,
  kRelaxedTicket,
  kNamedBarrierCountsDiffer,
  kNamedBarrierWaitsForever,
  kNamedBarrierZero,
  kNamedBarrierOfPartOfAWarp,
  kNamedBarrierOfHalfWarps,
  kTooMuchStaticShared,
  kClusterRankOutOfRange,
  kClusterReadBehindItsEnd,
  kMissingClusterSync,
};

namespace emu {

struct DefectArgs {
  Defect defect = Defect::kNone;
  const float* x = nullptr;
  float* y = nullptr;
  int* counter = nullptr;
};
// Blocks of kDefectThreads threads.
DeviceError RunDefect(const DefectArgs& args, int blocks, const DeviceRun& run);
DeviceError RunDefectInCluster(const DefectArgs& args, int blocks, const DeviceRun& run);
// y = x, by a launch of any shape; what is wrong with it is the launch's.
struct LaunchShape {
  unsigned grid_x = 1, grid_y = 1, grid_z = 1, block_x = 1, block_y = 1, block_z = 1;
  size_t shared = 0;
  unsigned cluster = 1;
};
DeviceError RunShape(const LaunchShape& shape, const DeviceRun& run);
// y[i] = scale * x[i] + y[i], 2 blocks.
DeviceError ScaleAndAdd(const float* x, float* y, float scale, const DeviceRun& run);
// order[i]: the i-th thread that ran; counter is 0 before.
DeviceError Order(int* order, int* counter, int blocks, const DeviceRun& run);

}  // namespace emu
}  // namespace rb::dialect

#endif  // RB_TESTS_KERNELS_EMULATOR_KERNELS_H_
