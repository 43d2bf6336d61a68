// The threads behind the CPU operators.
#ifndef RB_ENGINE_THREAD_POOL_H_
#define RB_ENGINE_THREAD_POOL_H_

#include <memory>

#include "kernels/parallel.h"

namespace rb {

// A fixed set of threads (the caller is thread 0). Tasks are dealt as contiguous ranges, a thread that runs out takes
// from the others' ranges. Waiting threads spin for a moment, then sleep, so an idle pool costs nothing and a short
// operator does not pay a wake-up. Denormals are flushed to zero in the pool's threads and, while Run is active, in the
// caller. What a task throws (std::bad_alloc) is thrown by Run, once all threads are done; other tasks may run or not.
class ThreadPool : public Parallel {
 public:
  // threads >= 1; 0: as many as this process may use processors. Throws std::system_error when one cannot start.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool() override;
  int num_threads() const override;
  void Run(int64_t tasks, TaskRef f) override;       // one Run at a time
  void* Scratch(int thread, size_t bytes) override;  // throws std::bad_alloc

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Processors this process may run on (affinity and cgroup quota considered), at least 1.
int UsableProcessors();

}  // namespace rb

#endif  // RB_ENGINE_THREAD_POOL_H_
