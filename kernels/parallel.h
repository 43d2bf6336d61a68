// How CPU operators spread work over threads. The engine's thread pool implements it; tests may use SerialParallel.
#ifndef RB_KERNELS_PARALLEL_H_
#define RB_KERNELS_PARALLEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace rb {

// A non-owning reference to a callable void(int64_t task, int thread). Valid while the callable lives.
class TaskRef {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, TaskRef>>>
  TaskRef(F&& f)  // NOLINT: implicit on purpose, so that a lambda can be passed
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* object, int64_t task, int thread) {
          (*static_cast<std::remove_reference_t<F>*>(object))(task, thread);
        }) {}
  void operator()(int64_t task, int thread) const { call_(object_, task, thread); }

 private:
  void* object_;
  void (*call_)(void*, int64_t, int);
};

class Parallel {
 public:
  virtual ~Parallel() = default;
  virtual int num_threads() const = 0;
  // Runs f(task, thread) for every task in [0, tasks) and returns when all are done. Which thread runs which task is
  // not fixed; a task must write only what belongs to it.
  virtual void Run(int64_t tasks, TaskRef f) = 0;
  // A 4096-byte-aligned area that belongs to `thread` until its task ends; contents are undefined. Grows on demand.
  virtual void* Scratch(int thread, size_t bytes) = 0;
};

}  // namespace rb

#endif  // RB_KERNELS_PARALLEL_H_
