// The threads behind the CPU operators.
#ifndef RB_ENGINE_THREAD_POOL_H_
#define RB_ENGINE_THREAD_POOL_H_

#include <memory>

#include "kernels/parallel.h"

namespace rb {

// A fixed set of threads (the caller is thread 0). Tasks are dealt as contiguous ranges, a thread that runs out takes
// from the others' ranges. Waiting threads spin for a moment, then sleep, so an idle pool costs nothing and a short
// operator does not pay a wake-up. Denormals are flushed to zero in the pool's threads and, while Run is active, in the
// caller.
class ThreadPool : public Parallel {
 public:
  // threads >= 1; 0 takes the number of processors this process may use.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool() override;
  int num_threads() const override;
  void Run(int64_t tasks, TaskRef f) override;  // one Run at a time
  void* Scratch(int thread, size_t bytes) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Processors this process may run on (affinity and cgroup quota considered), at least 1.
int UsableProcessors();

}  // namespace rb

#endif  // RB_ENGINE_THREAD_POOL_H_
