// The host emulation of CUDA's execution model (docs/emulator.md), as seen by who launches on it:
// options, counters, streams that record. Kernels see it through kernels/device/dialect.h.
//
// One fiber per CUDA thread; blocks (clusters of blocks) in turn, or spread over OS threads; order seeded; shared
// memory poisoned. A launch returns when it is done. What a kernel does wrong in a way that is noticed here (divergent
// barriers, lanes that miss a shuffle, misaligned asynchronous copies ...) ends the launch with an error, whose text
// DeviceErrorText gives on the thread that launched.
#ifndef RB_KERNELS_EMULATED_EMULATOR_H_
#define RB_KERNELS_EMULATED_EMULATOR_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/device.h"

namespace rb::emu {

// Read by every launch when it begins; change them only while none runs.
struct Options {
  unsigned seed = 0;              // order of blocks and threads; 0: in order
  int workers = 1;                // OS threads that blocks are spread over
  bool defer_copies = true;       // CpAsync16 writes at the wait, not before
  int shared_memory = 227 << 10;  // SharedMemoryLimit(): 163 KB makes launchers choose as for compute capability 8.0
};
Options& options();

// What launches did since ResetCounters, summed over all of them.
struct Counters {
  uint64_t launches = 0;
  uint64_t blocks = 0;
  uint64_t threads = 0;
  uint64_t barriers = 0;         // of blocks, warp groups and clusters, each once for all who meet
  uint64_t warp_operations = 0;  // shuffles, votes, __syncwarp, mma, ldmatrix: once a warp
  uint64_t mma = 0;              // of these, matrix products, once a warp
  uint64_t copies = 0;           // 16-byte asynchronous copies
  uint64_t switches = 0;         // of fibers, the emulation's own cost

  Counters& operator+=(const Counters& more);
};
Counters counters();
void ResetCounters();

// What a stream recorded: kernels with their arguments by value, in order.
class Graph {
 public:
  size_t size() const { return work_.size(); }

 private:
  friend class Stream;
  std::vector<std::function<DeviceError()>> work_;
};

// LaunchConfig::stream and DeviceRun::stream point to one, or to null: launches run at once. So does a stream, unless
// it captures.
class Stream {
 public:
  void BeginCapture();
  Graph EndCapture();
  bool capturing() const { return capturing_; }
  // Runs what the graph holds; stops at the first error.
  DeviceError Replay(const Graph& graph);
  // One piece of work in the stream's order: run at once, or recorded. For copies and fills beside the kernels.
  DeviceError Enqueue(std::function<DeviceError()> work);

 private:
  Graph recorded_;
  bool capturing_ = false;
};

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_EMULATOR_H_
