// Who is told what kernels do, while they run (counting.h is one). Without an observer the emulation only looks whether
// there is one. With one, a launch runs on one OS thread, block after block.
#ifndef RB_KERNELS_EMULATED_OBSERVER_H_
#define RB_KERNELS_EMULATED_OBSERVER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/emulated/scheduler.h"

// Functions of the emulation that move a kernel's data in its stead: an observer hears of them by a call of its own,
// not as the loads and stores that they are made of on the host.
#if defined(RB_COUNTED)
#define RB_UNCOUNTED __attribute__((no_sanitize_thread, noinline))
#else
#define RB_UNCOUNTED
#endif
// In such a function: the place that calls it.
#define RB_CALLER reinterpret_cast<uintptr_t>(__builtin_return_address(0))

namespace rb::emu {

struct Thread;

class Observer {
 public:
  virtual ~Observer() = default;
  // kernel: the address of the kernel's function.
  virtual void LaunchBegins(const void* kernel, const LaunchConfig& config) = 0;
  virtual void LaunchEnds(const Counters& counters) = 0;
  // All lanes of this thread's warp are at one point: what they did so far comes before all that they do next.
  virtual void WarpMeets(const Thread& thread) = 0;
  // All threads of the blocks that run have ended.
  virtual void BlocksEnd() = 0;
  // The current lane's load or store of up to 16 bytes, by the instruction at `place`.
  virtual void Access(const void* address, uint32_t bytes, bool is_write, uintptr_t place) = 0;
  // One ldmatrix of the current thread's warp: 8 rows of 16 bytes for each matrix.
  virtual void MatrixRows(const void* const* rows, int matrices, uintptr_t place) = 0;
  // The current lane's asynchronous copy of 16 bytes; from null: zeros.
  virtual void Copies(const void* to, const void* from, uintptr_t place) = 0;
};
extern Observer* observer;  // null, or set while no launch runs

// Memory that stands for the device's: what an observer takes for global memory. Whoever allocates it says so.
struct GlobalRange {
  uintptr_t begin, end;
};
void AddGlobal(const void* memory, size_t bytes);
void RemoveGlobal(const void* memory);
std::vector<GlobalRange> GlobalRanges();  // by address

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_OBSERVER_H_
