// Small kernels that use the kernel dialect (kernels/device/dialect.h) function by function, for dialect_test.cc. All
// pointers are the machine's.
#ifndef RB_TESTS_KERNELS_DIALECT_KERNELS_H_
#define RB_TESTS_KERNELS_DIALECT_KERNELS_H_

#include <cstdint>

#include "kernels/device.h"

namespace rb::dialect {

inline constexpr int kShuffleRows = 4, kVoteRows = 4;
inline constexpr int kStageValues = 512;   // of DialectStages: a stage, 128 threads x 16 bytes
inline constexpr int kClusterBlocks = 4;   // of DialectClusterSum
inline constexpr int kBlockThreads = 128;  // of most kernels here

#define RB_DIALECT_LAUNCHERS                                                                                           \
  /* d = c + a b, row-major: (16 x 16)(16 x 8) rounded to bf16, (16 x 8)(8 x 8) rounded to tf32. */                    \
  DeviceError MmaBf16(const float* a, const float* b, const float* c, float* d, const DeviceRun& run);                 \
  DeviceError MmaTf32(const float* a, const float* b, const float* c, float* d, const DeviceRun& run);                 \
  /* d = a b, (16 x 16)(16 x 8) bf16, row-major, through shared memory and ldmatrix. */                                \
  DeviceError MmaShared(const uint16_t* a, const uint16_t* b, float* d, const DeviceRun& run);                         \
  /* What lane i gets of the 32 x 8 tile: out[form][i][register]; forms x4, x4.trans, x2, x2.trans. */                 \
  DeviceError LoadMatrices(const uint16_t* tile, uint32_t* out, const DeviceRun& run);                                 \
  /* tf32[i] of x[i]; packed[i] of x[i] and x[i + 1 mod n]. */                                                         \
  DeviceError Round(const float* x, uint32_t* tf32, uint32_t* packed, int n, const DeviceRun& run);                    \
  /* to[i] = 2 from[i] for i < valid, else 0; `stages` stages of kStageValues, three in flight; valid % 4 == 0. */     \
  DeviceError Stages(const float* from, float* to, int stages, int valid, const DeviceRun& run);                       \
  /* sums[cluster] of the values of its kClusterBlocks blocks, 128 each. */                                            \
  DeviceError ClusterSum(const int* x, int* sums, int clusters, const DeviceRun& run);                                 \
  /* One warp: out[kShuffleRows][32] of shfl from 5, xor 3, down 3, up 3. */                                           \
  DeviceError Shuffles(const int* x, int* out, int width, const DeviceRun& run);                                       \
  /* One warp: ballot, any, all of x < 0, and the ballot among lanes of the same x % 2. */                             \
  DeviceError Votes(const int* x, unsigned* out, const DeviceRun& run);                                                \
  /* Two halves of a block of 128 exchange values, each by a barrier of its own, then with each other. */              \
  DeviceError NamedBarriers(const int* x, int* out, const DeviceRun& run);                                             \
  /* A grid of 3 x 2 x 2 blocks of 5 x 3 x 2 threads: out[i] = i. */                                                   \
  DeviceError Indexes(int* out, const DeviceRun& run);                                                                 \
  /* total = sum of x[128 blocks] by the block that comes last; counter is zero before and after. */                   \
  DeviceError LastBlock(const float* x, float* partial, int* counter, float* total, int blocks, const DeviceRun& run); \
  /* histogram[16] of x & 15, and the greatest x. */                                                                   \
  DeviceError Atomics(const int* x, int* histogram, int* greatest, int n, const DeviceRun& run);                       \
  /* y[column][row] = x[row][column], in tiles of dynamic shared memory. */                                            \
  DeviceError Transpose(const float* x, float* y, int rows, int columns, const DeviceRun& run);

namespace cuda {
RB_DIALECT_LAUNCHERS
}
namespace emu {
RB_DIALECT_LAUNCHERS
}

}  // namespace rb::dialect

#endif  // RB_TESTS_KERNELS_DIALECT_KERNELS_H_
