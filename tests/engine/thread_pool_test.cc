// The thread pool runs every task once, whatever the numbers; scratch areas are aligned and private.
#include "engine/thread_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/backend.h"
#include "engine/exceptions.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    test::ExpectEqual(pool.num_threads(), threads);
    for (int round = 0; round < 200; ++round) {
      const int tasks = round % 37;
      std::vector<std::atomic<int>> runs(tasks);
      pool.Run(tasks, [&](int64_t task, int thread) {
        EXPECT_LT(thread, threads);
        ++runs[task];
      });
      for (const auto& count : runs) test::ExpectEqual(count.load(), 1);
    }
  }
}

TEST(ThreadPool, WakesAfterSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    usleep(20000);  // long enough for the workers to leave their spin
    std::atomic<int64_t> sum{0};
    pool.Run(1000, [&](int64_t task, int) { sum += task; });
    test::ExpectEqual(sum.load(), int64_t{499500});
  }
}

TEST(ThreadPool, ScratchIsAlignedPrivateAndGrows) {
  ThreadPool pool(2);
  for (const size_t bytes : {size_t{100}, size_t{10000}, size_t{1} << 20}) {
    auto* a = static_cast<unsigned char*>(pool.Scratch(0, bytes));
    auto* b = static_cast<unsigned char*>(pool.Scratch(1, bytes));
    test::ExpectEqual(reinterpret_cast<uintptr_t>(a) % 4096, uintptr_t{0});
    std::fill(a, a + bytes, 1);
    std::fill(b, b + bytes, 2);
    test::ExpectEqual(int{a[0]} + a[bytes - 1], 2);
    test::ExpectEqual(int{b[0]} + b[bytes - 1], 4);
  }
}

TEST(ThreadPool, FlushesDenormalsOnlyWhileRunning) {
#if defined(__x86_64__)
  ThreadPool pool(2);
  const volatile float tiny = 1e-38f;
  std::vector<float> inside(64, 1);
  pool.Run(64, [&](int64_t task, int) { inside[task] = tiny * 0.01f; });
  for (const float value : inside) test::ExpectEqual(value, 0.0f);
  const volatile float outside = tiny * 0.01f;
  test::ExpectEqual(outside > 0, true);
#else
  GTEST_SKIP() << "denormals are flushed on x86-64 only";
#endif
}

TEST(ThreadPool, ThrowsWhatATaskThrewAndGoesOn) {
  ThreadPool pool(3);
  for (int round = 0; round < 50; ++round) {
    for (const int bad : {-1, 0, 17, 63}) {  // in any thread; all of them; none
      std::atomic<int> runs{0};
      const auto task = [&](int64_t t, int) {
        ++runs;
        if (t == bad || bad == 17) throw std::bad_alloc();
      };
      if (bad < 0) {
        pool.Run(64, task);
        test::ExpectEqual(runs.load(), 64);
      } else {
        EXPECT_THROW(pool.Run(64, task), std::bad_alloc);
        test::ExpectEqual(runs.load() >= 1, true);
      }
    }
    EXPECT_THROW(pool.Run(1, [](int64_t, int) { throw std::bad_alloc(); }), std::bad_alloc);
  }
  EXPECT_THROW(pool.Scratch(0, size_t{1} << 60), std::bad_alloc);
  test::ExpectEqual(pool.Scratch(0, 100) != nullptr, true);
}

TEST(Exceptions, AreStatuses) {
  const auto status = [](const std::function<void()>& f) {
    try {
      f();
    } catch (...) {
      return StatusOfException();
    }
    return absl::OkStatus();
  };
  const std::vector<std::pair<std::function<void()>, std::string>> cases = {
      {[] { throw std::bad_alloc(); }, "RESOURCE_EXHAUSTED: out of memory; expected more free memory"},
      {[] { throw std::system_error(EAGAIN, std::generic_category()); },
       "RESOURCE_EXHAUSTED: out of memory or threads: another thread cannot be started; expected fewer --threads, or "
       "more free memory"},
      {[] { throw std::runtime_error("odd"); }, "INTERNAL: odd"},
      {[] { throw 3; }, "INTERNAL: an exception of no known kind"},
  };
  for (const auto& [thrower, expected] : cases) test::ExpectEqual(status(thrower).ToString(), expected);
}

TEST(UsableProcessors, IsPositive) { test::ExpectEqual(UsableProcessors() >= 1, true); }

TEST(CpuArena, ZeroedAlignedAndCounted) {
  ThreadPool pool(1);
  const auto backend = MakeCpuBackend<float>(pool);
  const auto arena = backend->NewArena();
  for (const int64_t count : {1, 33, 5000, 1 << 20}) {
    auto block = arena->AllocatePerModel<float>(3, count, "test");
    ASSERT_TRUE(block.ok()) << block.status();
    for (int m = 0; m < 3; ++m) {
      test::ExpectEqual(reinterpret_cast<uintptr_t>((*block)[m]) % 128, uintptr_t{0});
      test::ExpectEqual((*block)[m][count - 1], 0.0f);
    }
  }
  test::ExpectEqual(arena->allocated() > (3u << 22), true);
}

TEST(CpuArena, RefusesWhatNoMachineHas) {
  ThreadPool pool(1);
  const auto arena = MakeCpuBackend<float>(pool)->NewArena();
  const auto block = arena->AllocateBytes(size_t{1} << 60, "a test");
  ASSERT_FALSE(block.ok());
  test::ExpectEqual(block.status().code(), absl::StatusCode::kResourceExhausted);
  test::ExpectEqual(block.status().message().find("a test") != std::string_view::npos, true);
}

}  // namespace
}  // namespace rb
