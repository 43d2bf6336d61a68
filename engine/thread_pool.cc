#include "engine/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "engine/check.h"

namespace rb {
namespace {

// Turns on flush-to-zero and denormals-are-zero while it lives.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#endif
};

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Waits between two operators of one training step are a few microseconds; longer ones are not worth a busy core.
constexpr int kSpins = 4000;

// Sets a flag back, whatever ends the block.
struct Finally {
  bool* flag;
  ~Finally() { *flag = false; }
};

struct alignas(64) Range {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

struct ScratchArea {
  void* memory = nullptr;
  size_t bytes = 0;
  ~ScratchArea() { std::free(memory); }
};

}  // namespace

struct ThreadPool::Impl {
  explicit Impl(int n) : ranges(n), scratch(n) {
    try {
      for (int i = 1; i < n; ++i) threads.emplace_back([this, i] { Loop(i); });
    } catch (...) {  // no further thread: those that run already must end before what they look at does
      Stop();
      throw;
    }
  }
  ~Impl() { Stop(); }

  void Stop() {
    stop = true;
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  // Own range first, then what is left of the others'. Nothing is thrown out of a thread: Run throws it when all are
  // done, for the job is its caller's.
  void Work(int thread) {
    const int n = static_cast<int>(ranges.size());
    try {
      for (int i = 0; i < n; ++i) {
        Range& range = ranges[(thread + i) % n];
        for (int64_t task; (task = range.next.fetch_add(1, std::memory_order_relaxed)) < range.end;)
          (*job)(task, thread);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_mutex);
      if (failure == nullptr) failure = std::current_exception();
    }
  }

  void Loop(int thread) {
    FlushDenormals flush;
    uint32_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && generation.load(std::memory_order_acquire) == seen; ++spin) Pause();
      generation.wait(seen, std::memory_order_acquire);
      seen = generation.load(std::memory_order_acquire);
      if (stop) return;
      Work(thread);
      if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_one();
    }
  }

  std::vector<Range> ranges;
  std::vector<ScratchArea> scratch;
  const TaskRef* job = nullptr;
  std::mutex failure_mutex;
  std::exception_ptr failure;  // the first of a Run
  std::atomic<uint32_t> generation{0};
  std::atomic<int> busy{0};
  bool stop = false;
  bool running = false;
  std::vector<std::thread> threads;  // started last: they look at all the rest
};

ThreadPool::ThreadPool(int threads) {
  const int n = threads > 0 ? threads : UsableProcessors();
  impl_ = std::make_unique<Impl>(n);
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::num_threads() const { return static_cast<int>(impl_->ranges.size()); }

void ThreadPool::Run(int64_t tasks, TaskRef f) {
  RB_CHECK(!impl_->running);
  impl_->running = true;
  const Finally not_running{&impl_->running};
  FlushDenormals flush;
  const int n = num_threads();
  if (n == 1 || tasks <= 1) {
    for (int64_t task = 0; task < tasks; ++task) f(task, 0);
    return;
  }
  for (int i = 0; i < n; ++i) {
    impl_->ranges[i].next.store(tasks * i / n, std::memory_order_relaxed);
    impl_->ranges[i].end = tasks * (i + 1) / n;
  }
  impl_->job = &f;
  impl_->busy.store(n - 1, std::memory_order_relaxed);
  impl_->generation.fetch_add(1, std::memory_order_release);
  impl_->generation.notify_all();
  impl_->Work(0);
  for (int spin = 0; spin < kSpins && impl_->busy.load(std::memory_order_acquire) != 0; ++spin) Pause();
  for (int left; (left = impl_->busy.load(std::memory_order_acquire)) != 0;) impl_->busy.wait(left);
  if (impl_->failure != nullptr) std::rethrow_exception(std::exchange(impl_->failure, nullptr));
}

void* ThreadPool::Scratch(int thread, size_t bytes) {
  ScratchArea& area = impl_->scratch[thread];
  if (area.bytes < bytes) {
    std::free(std::exchange(area.memory, nullptr));
    area.bytes = 0;
    const size_t pages = (bytes + 4095) / 4096 * 4096;
    area.memory = std::aligned_alloc(4096, pages);
    if (area.memory == nullptr) throw std::bad_alloc();
    area.bytes = pages;
  }
  return area.memory;
}

int UsableProcessors() {
  cpu_set_t set;
  int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                      : static_cast<int>(std::thread::hardware_concurrency());
  // cgroup v2: "quota period" or "max period", microseconds.
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (file >> quota >> period && quota != "max" && period > 0) {
    const double limit = std::strtod(quota.c_str(), nullptr) / period;
    if (limit > 0) n = std::min(n, static_cast<int>(std::ceil(limit)));
  }
  return std::max(n, 1);
}

}  // namespace rb
