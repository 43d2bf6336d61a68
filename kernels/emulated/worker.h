// One OS thread of the emulation: runs one cluster of blocks after another, each CUDA thread on its fiber. A block
// reuses everything of the one before; under TSan all is new, or it would take the accesses of two blocks for ordered.
#ifndef RB_KERNELS_EMULATED_WORKER_H_
#define RB_KERNELS_EMULATED_WORKER_H_

#include <memory>
#include <string>
#include <vector>

#include "kernels/emulated/fiber.h"
#include "kernels/emulated/scheduler.h"

namespace rb::emu {

class Worker;
struct Block;
struct Warp;

struct Thread : ThreadContext {
  enum class State { kRunning, kWaiting, kDone };
  State state = State::kDone;
  Worker* worker = nullptr;
  Block* block = nullptr;
  Warp* warp = nullptr;
  size_t fiber = 0;            // number among the worker's
  Thread* next = nullptr;      // in the barrier's list
  const char* what = nullptr;  // it waits for, and where
  Where where;
};

// Objects by whose addresses TSan orders accesses: those who meet use one, the next meeting another. A thread that
// leaves late must not learn what early ones did behind it.
struct Meeting {
  char sync[4];
  unsigned phase = 0;
  char* Now() { return &sync[phase % 4]; }
};

// Nothing here allocates while fibers run: memory that one thread's fiber allocates and another's frees is a race to
// TSan.
struct BarrierState {
  Thread *first = nullptr, *last = nullptr;  // who waits, a list
  unsigned waiting = 0, expected = 0;
  const char* what = nullptr;
  Where where;
  Meeting meeting;
};

struct Warp {
  static constexpr int kOperations = 8;  // of disjoint masks at once
  struct Operation {
    unsigned arrived = 0;
    Lanes lanes;
    const char* what = nullptr;
    Where where;
    Meeting meeting;
  };
  Operation operations[kOperations];
  Thread* threads[32] = {};
};

// Where things lie in the shared memory of each block of a launch: dynamic memory first, then variables in the order in
// which threads first asked for them, a margin of poison behind each.
struct SharedLayout {
  struct Variable {
    const void* key;  // null: the dynamic memory
    size_t begin, bytes;
  };
  static constexpr int kVariables = 64;
  Variable variables[kVariables];
  int count = 0;
  size_t end = 0;  // behind the last margin
  size_t static_bytes = 0;
};

struct Block : BlockContext {
  static constexpr int kBarriers = 16;
  Block();
  ~Block();

  unsigned char* shared = nullptr;  // all poison while no block runs; null: no memory
  BarrierState barriers[kBarriers];
  std::vector<Warp> warps;
  unsigned threads = 0, alive = 0;
};

class Worker {
 public:
  Worker() : fibers_(&RunThread, this) {}

  // Before the clusters of one launch. `number` tells the workers of a launch apart.
  void Begin(const LaunchConfig& config, const std::function<void()>& body, const Options& options, unsigned number);
  // The cluster whose first block has this index. Not empty: what went wrong; the launch is over.
  const std::string& RunCluster(unsigned first_block);
  // After the last cluster: later launches come after all that this one did.
  void End();
  Counters& counters() { return counters_; }

  // For the kernels' side (scheduler.cc).
  void Wait(Thread& thread);
  void Wake(Thread& thread);
  void Release(BarrierState& barrier);
  // Offset of the variable; a new one is added. 0: no room.
  size_t VariableOffset(const void* key, size_t bytes, size_t align);
  const SharedLayout& layout() const { return layout_; }
  void Error(const Thread& thread, const Where& where, const char* text);
  bool failed() const { return !error_.empty(); }
  [[noreturn]] void Stop() {
    for (;;) fibers_.Suspend();
  }
  unsigned cluster_threads() const { return config_.block.x * config_.block.y * config_.block.z * config_.cluster; }
  unsigned cluster_blocks() const { return config_.cluster; }
  Block& block(unsigned rank) { return *blocks_[rank]; }
  BarrierState& cluster_barrier() { return *cluster_barrier_; }

 private:
  static void RunThread(void*);
  void Forget();
  bool SetUp(unsigned first_block);
  void SetUpBlock(Block& block, unsigned index, unsigned rank);
  size_t AddVariable(const void* key, size_t bytes, size_t align);
  void Schedule();
  void Leave(Thread& thread);
  void FinishBlock(Block& block);
  void ReportDeadlock();
  uint32_t Random(uint32_t below);

  LaunchConfig config_;
  const std::function<void()>* body_ = nullptr;
  Options options_;
  Fibers fibers_;
  SharedLayout layout_;
  std::vector<std::unique_ptr<Block>> blocks_;    // by rank; as many as the largest cluster so far had
  std::vector<std::unique_ptr<Thread>> threads_;  // of all blocks, by rank
  std::unique_ptr<BarrierState> cluster_barrier_;
  std::vector<Thread*> ready_, running_;
  unsigned left_ = 0;  // threads whose kernel has not returned
  uint64_t random_ = 1;
  std::string error_;
  Counters counters_;
};

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_WORKER_H_
