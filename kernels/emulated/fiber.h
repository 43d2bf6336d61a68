// Fibers of one OS thread: many stacks, one of which runs. Boost.Context's assembly switches them (about 5 ns).
#ifndef RB_KERNELS_EMULATED_FIBER_H_
#define RB_KERNELS_EMULATED_FIBER_H_

#include <cstddef>
#include <vector>

namespace rb::emu {

// Who fibers are to TSan. Blocks must not be ordered with each other by having the same threads, but a new identity
// takes 0.8 MiB and a millisecond: so a few sets of them take turns. Blocks that are as many apart as there are sets
// count as ordered; another seed, that is another order of blocks, has others apart.
class TsanIdentities {
 public:
  ~TsanIdentities() { DropAll(); }
  // The next set.
  void Begin(size_t threads);
  void* Get(size_t thread);
  // The set in use is inside kernels and never comes back.
  void DropCurrent();
  void DropAll();

 private:
  std::vector<void*> ring_;
  size_t begin_ = 0, threads_ = 0;  // the set in use
};

class Fibers {
 public:
  // Each fiber runs main(argument) and begins it anew when it is resumed after main's return.
  Fibers(void (*main)(void*), void* argument) : main_(main), argument_(argument) {}
  ~Fibers();
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  // At least `count` fibers, none inside main; the thread that calls is the one that will Resume. False: no memory.
  // Under TSan all stacks are new.
  bool Provide(size_t count);
  // Runs fiber `index` until it suspends or main returns. Not from a fiber.
  void Resume(size_t index);
  // From a fiber: back to who resumed it.
  void Suspend();
  // Gives up all fibers, inside main or not; Provide is due before the next Resume. All they did happens before whoever
  // acquires `released`.
  void Abandon(void* released);

 private:
  struct Fiber {
    void* context = nullptr;
    char* stack = nullptr;
    void* tsan = nullptr;
    void* fake_stack = nullptr;  // ASan's
  };

  bool Allocate(size_t count);
  void Free();
  [[noreturn]] void Begin(void* resumer);

  void (*main_)(void*);
  void* argument_;
  std::vector<Fiber> fibers_;
  char* memory_ = nullptr;  // all stacks, each with a guard page below
  Fiber* current_ = nullptr;
  TsanIdentities identities_;
  void* resumer_ = nullptr;  // context that Suspend goes back to; below, what sanitizers want to know of it
  void* resumer_tsan_ = nullptr;
  void* resumer_fake_stack_ = nullptr;
  const void* resumer_stack_ = nullptr;
  size_t resumer_stack_bytes_ = 0;

  friend struct FiberEntry;
};

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_FIBER_H_
