// What kernels call, one level below CUDA's names (dialect_emulated.h): who am I, barriers, warp operations, shared
// memory, failure; and how a launch hands a kernel over.
#ifndef RB_KERNELS_EMULATED_SCHEDULER_H_
#define RB_KERNELS_EMULATED_SCHEDULER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <vector>

#include "kernels/device.h"
#include "kernels/emulated/emulator.h"
#include "kernels/emulated/vector_types.h"

namespace rb::emu {

struct LaunchConfig {
  dim3 grid, block;
  size_t shared = 0;  // dynamic, bytes
  void* stream = nullptr;
  unsigned cluster = 1;  // blocks along x
};

// Limits of compute capability 9.0.
inline constexpr unsigned kMaxBlockThreads = 1024;
inline constexpr unsigned kMaxClusterBlocks = 8;  // that every device grants
inline constexpr size_t kMaxSharedBytes = 227 << 10;
inline constexpr size_t kMaxStaticSharedBytes = 48 << 10;

// Runs `body` once for each CUDA thread of the launch, or records that on the stream. `body` is one kernel with its
// arguments, `kernel` the address of its function.
DeviceError LaunchKernel(const LaunchConfig& config, const void* kernel, std::function<void()> body);

struct BlockContext {
  uint3 block_index{};
  dim3 block_size, grid_size;
  unsigned cluster_rank = 0;
  unsigned char* dynamic_shared = nullptr;
};

// Asynchronous copies of one thread, not yet carried out; group g was closed by the g-th commit.
struct PendingCopy {
  void* to;
  const void* from;  // null: zeros
  int group;
};

struct ThreadContext {
  uint3 thread_index{};
  unsigned lane = 0;
  BlockContext* block = nullptr;
  Counters* counters = nullptr;
  std::vector<PendingCopy> copies;
  int copy_groups = 0;  // closed ones
  bool defer_copies = true;
  bool waited = false;  // for the launches before its own
};

extern constinit thread_local ThreadContext* current_thread;
inline ThreadContext* Self() { return current_thread; }

using Where = std::source_location;

// Ends the launch with an error; the text gets block, thread and place.
[[noreturn]] void Fail(const Where& where, const char* format, ...) __attribute__((format(printf, 2, 3)));

// id 0: all threads of the block, from one place in the source. Others: `threads` threads, whole warps.
void Barrier(int id, int threads, const char* what, const Where& where);
void ClusterBarrier(const Where& where);
// The same place in another block's shared memory.
void* ClusterAddress(void* shared, unsigned rank, const Where& where);

// The variable of this block that `key` names. Alignment: max(align, 16) and no better.
void* SharedVariable(const void* key, size_t bytes, size_t align, const Where& where);
// Whether [address, address + bytes) lies in this block's dynamic memory or in one of its variables.
bool InShared(const void* address, size_t bytes);

// Kernels count here, where sanitizers do not look: threads share the counters.
void CountCopy();

// One operation of the lanes in `mask` together. Each gives where its operands lie and where its result goes; the last
// to arrive runs combine for all (lanes outside the mask: null), which returns null, or what is wrong. Orders memory
// accesses between the lanes only if `fence`.
struct Lanes {
  unsigned mask = 0;
  Counters* counters = nullptr;
  const void* in[32] = {};
  void* out[32] = {};
};
using Combine = const char* (*)(const Lanes& lanes);
void WarpOperation(unsigned mask, const void* in, void* out, Combine combine, bool fence, const char* what,
                   const Where& where);

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_SCHEDULER_H_
