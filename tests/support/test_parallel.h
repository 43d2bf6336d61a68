// The Parallel of the tests: real threads, tasks in a shuffled order, and scratch that is exactly as large as asked and
// poisoned on every request, so that a read of anything not written, or past the end, shows (as NaN, or under ASan).
#ifndef RB_TESTS_SUPPORT_TEST_PARALLEL_H_
#define RB_TESTS_SUPPORT_TEST_PARALLEL_H_

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/parallel.h"

namespace rb::test {

class TestParallel : public Parallel {
 public:
  // threads >= 1. reverse: tasks are handed out last first.
  explicit TestParallel(int threads = 1, bool reverse = false) : scratch_(threads), reverse_(reverse) {}

  int num_threads() const override { return static_cast<int>(scratch_.size()); }

  void Run(int64_t tasks, TaskRef f) override {
    std::atomic<int64_t> next{0};
    const auto work = [&](int thread) {
      for (int64_t i = next++; i < tasks; i = next++) f(reverse_ ? tasks - 1 - i : i, thread);
    };
    std::vector<std::thread> helpers;
    for (int t = 1; t < num_threads(); ++t) helpers.emplace_back(work, t);
    work(0);
    for (std::thread& helper : helpers) helper.join();
  }

  void* Scratch(int thread, size_t bytes) override {
    Area& area = scratch_[thread];
    if (area.bytes != bytes || !area.memory) {
      void* memory = nullptr;
      if (posix_memalign(&memory, 4096, bytes) != 0) std::abort();
      area.memory.reset(static_cast<unsigned char*>(memory));
      area.bytes = bytes;
    }
    constexpr uint32_t kPoison = 0xFFD5FFD5u;  // NaN as double, float and bf16; no plausible bit mask either
    for (size_t i = 0; i + sizeof kPoison <= bytes; i += sizeof kPoison) {
      std::memcpy(area.memory.get() + i, &kPoison, sizeof kPoison);
    }
    return area.memory.get();
  }

 private:
  struct Free {
    void operator()(unsigned char* p) const { std::free(p); }
  };
  struct Area {
    std::unique_ptr<unsigned char, Free> memory;
    size_t bytes = 0;
  };
  std::vector<Area> scratch_;
  bool reverse_;
};

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_TEST_PARALLEL_H_
