// Counts what kernels ask of memory, on the emulated device: bytes, sectors and lines of global memory, wavefronts and
// bank conflicts of shared memory, warp by warp (warp_request.h has the rules).
//
// How: kernels that shall be counted are compiled with -fsanitize=thread (rb_counted() in CMakeLists.txt), by which the
// compiler calls a function for every load and store that may reach memory of others. counting_hooks.cc has these
// functions in place of the sanitizer's library. Every call is looked up by its place in the program; the n-th one of
// each lane at a place, between two points where the whole warp meets, makes one request of the warp. Accesses to
// anything but shared memory and memory given to AddGlobal are the kernel's arguments or its stack, and not counted.
//
// What this cannot see: registers and what spills from them, caches (a byte that comes again from L2 counts as one from
// memory; `touched` bytes count it once), instructions that nvcc merges, splits or drops where g++ does not, and, where
// lanes skip different rounds of a loop, which of their rounds a device would run together.
#ifndef RB_KERNELS_EMULATED_COUNTING_H_
#define RB_KERNELS_EMULATED_COUNTING_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/emulated/emulator.h"
#include "kernels/emulated/observer.h"

namespace rb::emu {

// Requests of warps to global memory, in one direction; atomic changes count as a read and a write.
struct GlobalCounts {
  uint64_t requests = 0;
  uint64_t bytes = 0;    // asked for, lane by lane
  uint64_t sectors = 0;  // of 32 bytes
  uint64_t lines = 0;    // of 128 bytes
  uint64_t touched = 0;  // bytes in 4-byte words that a launch touches at all; sum over launches
};

// Requests of warps to shared memory, in one direction. Conflicts: wavefronts - ideal.
struct SharedCounts {
  uint64_t requests = 0;
  uint64_t wavefronts = 0, ideal = 0;
};

// What one place in a kernel's code costs beyond what it must: shared memory's conflicts, or sectors beyond those that
// the bytes asked for would fill.
struct PlaceCounts {
  enum Kind { kRead, kWritten, kLoads, kStores, kMatrices } kind = kRead;
  uintptr_t place = 0;  // where its call returns to
  uint64_t requests = 0, taken = 0, ideal = 0;
};

// All launches of one kernel.
struct KernelCounts {
  const void* kernel = nullptr;
  unsigned block_threads = 0, shared_bytes = 0;  // the last launch's; shared: dynamic
  Counters work;
  GlobalCounts read, written;
  SharedCounts loads, stores;  // of kernels' own instructions; asynchronous copies are stores too
  SharedCounts matrices;       // ldmatrix
  std::vector<PlaceCounts> places;
};

// An observer from its making to its end; one at a time.
class Counting {
 public:
  Counting();
  ~Counting();
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

  // In the order of the first launches.
  std::vector<KernelCounts> counts() const;
  void Reset();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The current lane's load or store of `bytes` at `address` by the instruction at `place`. Outside kernels: nothing.
void CountAccess(const void* address, uint32_t bytes, bool is_write, uintptr_t place);

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_COUNTING_H_
