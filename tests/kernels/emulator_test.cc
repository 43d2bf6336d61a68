// The emulation itself: each kind of defect is caught, by the emulation or by a sanitizer on top of it; order, workers,
// streams and counters. What a right kernel computes on it: dialect_test.cc.
#include "kernels/emulated/emulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/kernels/emulator_kernels.h"
#include "tests/support/comparisons.h"

namespace rb::test {
namespace {

using dialect::Defect;
using dialect::kDefectThreads;
using dialect::emu::DefectArgs;

enum Build { kPlain, kAsan, kTsan };
#if defined(RB_ASAN)
constexpr Build kBuild = kAsan;
#elif defined(RB_TSAN)
constexpr Build kBuild = kTsan;
#else
constexpr Build kBuild = kPlain;
#endif

// How a defect shows in one kind of build.
struct Outcome {
  enum Kind { kError, kNan, kDeath, kUnseen } kind;
  const char* text = "";  // a regular expression for the launch's error or the sanitizer's report; or where it is seen
};
Outcome Error(const char* text) { return {Outcome::kError, text}; }
Outcome Nan() { return {Outcome::kNan}; }
Outcome Report(const char* text) { return {Outcome::kDeath, text}; }
Outcome Race() { return Report("ThreadSanitizer: data race"); }
Outcome Only(const char* where) { return {Outcome::kUnseen, where}; }

struct DefectCase {
  const char* name;
  Defect defect;
  Outcome outcomes[3];  // by Build
  int blocks = 1;
  bool cluster = false;
};
DefectCase Everywhere(const char* name, Defect defect, Outcome outcome, bool cluster = false) {
  return {name, defect, {outcome, outcome, outcome}, cluster ? 2 : 1, cluster};
}
DefectCase ThreadSanitizerOnly(const char* name, Defect defect, int blocks = 1) {
  const Outcome unseen = Only("only the thread sanitizer sees this (preset tsan)");
  return {name, defect, {unseen, unseen, Race()}, blocks};
}
DefectCase AddressSanitizerOnly(const char* name, Defect defect, const char* text) {
  const Outcome unseen = Only("only the address and undefined-behaviour sanitizers see this (preset asan)");
  return {name, defect, {unseen, Report(text), unseen}};
}

const DefectCase kDefects[] = {
    Everywhere("MissingDependencyWait", Defect::kMissingDependencyWait,
               Error("left the kernel without DependencyWait")),
    // Barriers.
    {"MissingBarrier", Defect::kMissingBarrier, {Nan(), Nan(), Race()}},
    Everywhere("BarrierOfSomeThreads", Defect::kBarrierOfSomeThreads,
               Error("left the kernel while others wait in __syncthreads at .*emulator_kernels.cc:[0-9]+")),
    Everywhere(
        "BarriersInTwoPlaces", Defect::kBarriersInTwoPlaces,
        Error("divergent barrier: others wait at .*emulator_kernels.cc:[0-9]+ .*at .*emulator_kernels.cc:[0-9]+")),
    Everywhere("BarrierBehindEarlyReturn", Defect::kBarrierBehindEarlyReturn,
               Error("early return of some threads.*emulator_kernels.cc:[0-9]+")),
    Everywhere("NamedBarrierCountsDiffer", Defect::kNamedBarrierCountsDiffer,
               Error("waits for 96 threads here and 128")),
    Everywhere("NamedBarrierWaitsForever", Defect::kNamedBarrierWaitsForever,
               Error("deadlock: 32 of 128 threads.*32 in BlockBarrier at .*emulator_kernels.cc:[0-9]+")),
    Everywhere("NamedBarrierZero", Defect::kNamedBarrierZero, Error("barrier 0 is __syncthreads")),
    Everywhere("NamedBarrierOfPartOfAWarp", Defect::kNamedBarrierOfPartOfAWarp, Error("48 threads, not whole warps")),
    Everywhere("NamedBarrierOfHalfWarps", Defect::kNamedBarrierOfHalfWarps, Error("64 threads, but of parts of warps")),
    ThreadSanitizerOnly("WriteAfterRead", Defect::kWriteAfterRead),
    // Memory.
    {"SharedOverrunWrite",
     Defect::kSharedOverrunWrite,
     {Error("wrote past the end of its shared variable of 512 bytes"), Report("use-after-poison"),
      Error("wrote past the end of its shared variable")}},
    {"SharedOverrunRead", Defect::kSharedOverrunRead, {Nan(), Report("use-after-poison"), Nan()}},
    {"DynamicOverrunWrite",
     Defect::kDynamicOverrunWrite,
     {Error("wrote past the end of its dynamic shared memory"), Report("use-after-poison"),
      Error("wrote past the end of its dynamic shared memory")}},
    Everywhere("UninitialisedShared", Defect::kUninitialisedShared, Nan()),
    Everywhere("TooMuchStaticShared", Defect::kTooMuchStaticShared, Error("static shared memory")),
    AddressSanitizerOnly("GlobalOverrun", Defect::kGlobalOverrun, "heap-buffer-overflow"),
    AddressSanitizerOnly("IntegerOverflow", Defect::kIntegerOverflow, "signed integer overflow"),
    ThreadSanitizerOnly("BlocksWriteTheSame", Defect::kBlocksWriteTheSame, 2),
    ThreadSanitizerOnly("BlocksWriteTheSameBehindBarrier", Defect::kBlocksWriteTheSameBehindBarrier, 2),
    ThreadSanitizerOnly("RelaxedTicket", Defect::kRelaxedTicket, 3),
    // Asynchronous copies and ldmatrix.
    Everywhere("MissingCopyWait", Defect::kMissingCopyWait, Nan()),
    Everywhere("MissingCopyCommit", Defect::kMissingCopyCommit, Nan()),
    {"MissingBarrierBehindCopy", Defect::kMissingBarrierBehindCopy, {Nan(), Nan(), Race()}},
    ThreadSanitizerOnly("CopyOverRead", Defect::kCopyOverRead),
    Everywhere("MisalignedCopy", Defect::kMisalignedCopy, Error("CpAsync16: to is not 16-byte aligned")),
    Everywhere("CopyToGlobal", Defect::kCopyToGlobal, Error("CpAsync16: to is not in this block's shared memory")),
    Everywhere("MisalignedMatrixRow", Defect::kMisalignedMatrixRow, Error("row is not 16-byte aligned")),
    Everywhere("MatrixRowInGlobal", Defect::kMatrixRowInGlobal, Error("row is not in shared memory")),
    {"MissingBarrierBeforeMatrix", Defect::kMissingBarrierBeforeMatrix, {Nan(), Nan(), Race()}},
    // Warps.
    Everywhere("HalfTheLanesShuffle", Defect::kHalfTheLanesShuffle,
               Error("deadlock: 64 of 128 threads.* in __shfl_xor_sync at .*emulator_kernels.cc:[0-9]+")),
    Everywhere("ShuffleFromOutsideMask", Defect::kShuffleFromOutsideMask,
               Error("reads a lane that is not in the mask")),
    Everywhere("ShufflesInTwoPlaces", Defect::kShufflesInTwoPlaces, Error("divergent warp operation")),
    Everywhere("CallerOutsideMask", Defect::kCallerOutsideMask, Error("lane 0 calls but is not in mask 0000fffe")),
    ThreadSanitizerOnly("ShuffleAsFence", Defect::kShuffleAsFence),
    // Clusters.
    Everywhere("ClusterRankOutOfRange", Defect::kClusterRankOutOfRange, Error("rank 2 in a cluster of 2"), true),
    {"ClusterReadBehindItsEnd", Defect::kClusterReadBehindItsEnd, {Nan(), Report("use-after-poison"), Nan()}, 2, true},
};

// Memory of exactly the size that kernels may touch.
struct Data {
  std::vector<float> x = std::vector<float>(kDefectThreads), y = std::vector<float>(kDefectThreads);
  int counter = 0;
  Data() {
    for (int i = 0; i < kDefectThreads; ++i) x[i] = static_cast<float>(i + 1);
  }
  DeviceError Run(Defect defect, int blocks = 1, bool cluster = false) {
    const DefectArgs args{defect, x.data(), y.data(), &counter};
    return cluster ? dialect::emu::RunDefectInCluster(args, blocks, {}) : dialect::emu::RunDefect(args, blocks, {});
  }
};

// Options for one test.
class WithOptions {
 public:
  WithOptions() : before_(emu::options()) {}
  ~WithOptions() { emu::options() = before_; }

 private:
  const emu::Options before_;
};

class Caught : public testing::TestWithParam<DefectCase> {};

TEST_P(Caught, Defect) {
  const DefectCase& c = GetParam();
  const Outcome& outcome = c.outcomes[kBuild];
  Data data;
  switch (outcome.kind) {
    case Outcome::kError: {
      const DeviceError error = data.Run(c.defect, c.blocks, c.cluster);
      ASSERT_TRUE(error);
      EXPECT_THAT(emu::DeviceErrorText(error), testing::ContainsRegex(outcome.text));
      break;
    }
    case Outcome::kNan: {
      const DeviceError error = data.Run(c.defect, c.blocks, c.cluster);
      ASSERT_FALSE(error) << emu::DeviceErrorText(error);
      EXPECT_TRUE(std::any_of(data.y.begin(), data.y.end(), [](float y) { return std::isnan(y); }));
      break;
    }
    case Outcome::kDeath:
      GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process of its own: forks of TSan's see nothing
      EXPECT_EXIT(
          {
            (void)data.Run(c.defect, c.blocks, c.cluster);
            std::exit(0);
          },
          [](int status) { return status != 0; }, outcome.text);
      break;
    case Outcome::kUnseen:
      GTEST_SKIP() << outcome.text;
  }
  CountComparisons();
}

INSTANTIATE_TEST_SUITE_P(Emulator, Caught, testing::ValuesIn(kDefects),
                         [](const testing::TestParamInfo<DefectCase>& info) { return info.param.name; });

TEST(Emulator, RightKernelsPass) {
  const WithOptions restore;
  for (const unsigned seed : {0u, 1u, 2u}) {
    emu::options().seed = seed;
    Data reversed, exchanged, cluster;
    ASSERT_FALSE(reversed.Run(Defect::kNone));
    ASSERT_FALSE(exchanged.Run(Defect::kWarpExchange));
    ASSERT_FALSE(cluster.Run(Defect::kNone, 2, true));
    for (int i = 0; i < kDefectThreads; ++i) {
      ExpectEqual(reversed.y[i], reversed.x[kDefectThreads - 1 - i]);
      ExpectEqual(exchanged.y[i], exchanged.x[i ^ 2] * 2);
      ExpectEqual(cluster.y[i], cluster.x[i]);
    }
  }
}

TEST(Emulator, LaunchesThatADeviceRefusesFail) {
  using Shape = dialect::emu::LaunchShape;
  const struct {
    Shape shape;
    const char* text;
  } cases[] = {
      {{.block_x = 1025}, "a block of 1025 x 1 x 1 threads; expected 1 to 1024"},
      {{.block_x = 32, .block_y = 33}, "a block of 32 x 33"},
      {{.block_x = 0}, "a block of 0"},
      {{.grid_x = 0}, "a grid of 0"},
      {{.grid_y = 65536}, "a grid of 1 x 65536"},
      {{.shared = (227 << 10) + 1}, "232449 bytes of dynamic shared memory; expected at most 232448"},
      {{.grid_x = 5, .cluster = 2}, "clusters of 2 blocks in a grid of 5"},
      {{.grid_x = 16, .cluster = 16}, "clusters of 16"},
  };
  for (const auto& c : cases) {
    const DeviceError error = dialect::emu::RunShape(c.shape, {});
    ASSERT_TRUE(error) << c.text;
    EXPECT_THAT(emu::DeviceErrorText(error), testing::HasSubstr(c.text));
    CountComparisons();
  }
  for (const Shape& shape :
       {Shape{.block_x = 1024}, Shape{.grid_x = 3, .shared = 227 << 10}, Shape{.grid_x = 8, .cluster = 8}}) {
    const DeviceError error = dialect::emu::RunShape(shape, {});
    EXPECT_FALSE(error) << emu::DeviceErrorText(error);
  }
  EXPECT_THAT(emu::DeviceErrorText({-1}), testing::HasSubstr("does not exist"));
}

TEST(Emulator, WorksAgainAfterAFailure) {
  for (int repeat = 0; repeat < 3; ++repeat) {
    Data bad, good;
    EXPECT_TRUE(bad.Run(Defect::kBarrierOfSomeThreads));
    EXPECT_TRUE(bad.Run(Defect::kHalfTheLanesShuffle));
    EXPECT_FALSE(good.Run(Defect::kNone));
    for (int i = 0; i < kDefectThreads; ++i) ExpectEqual(good.y[i], good.x[kDefectThreads - 1 - i]);
  }
}

std::vector<int> OrderOf(unsigned seed) {
  constexpr int kBlocks = 4;
  emu::options().seed = seed;
  std::vector<int> order(kBlocks * kDefectThreads, -1);
  int counter = 0;
  EXPECT_FALSE(dialect::emu::Order(order.data(), &counter, kBlocks, {}));
  return order;
}

TEST(Emulator, SeedsAreOrders) {
  const WithOptions restore;
  const std::vector<int> in_order = OrderOf(0), first = OrderOf(1), again = OrderOf(1), second = OrderOf(2);
  EXPECT_TRUE(std::is_sorted(in_order.begin(), in_order.end()));
  EXPECT_EQ(first, again);
  EXPECT_NE(first, second);
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  for (std::vector<int> order : {in_order, first, second}) {
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < order.size(); ++i) ExpectEqual(order[i], static_cast<int>(i));
  }
}

TEST(Emulator, BlocksRunOnSeveralThreads) {
  const WithOptions restore;
  emu::options().workers = 2;
  constexpr int kBlocks = 50;
  std::vector<int> order(kBlocks * kDefectThreads, -1);
  int counter = 0;
  ASSERT_FALSE(dialect::emu::Order(order.data(), &counter, kBlocks, {}));
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < order.size(); ++i) ExpectEqual(order[i], static_cast<int>(i));
  Data bad;
  const DeviceError error = bad.Run(Defect::kNamedBarrierWaitsForever, kBlocks);
  ASSERT_TRUE(error);
  EXPECT_THAT(emu::DeviceErrorText(error), testing::HasSubstr("deadlock"));
}

TEST(Emulator, HostThreadsLaunchAtOnce) {
  Data data[2];
  std::vector<std::thread> threads;
  for (Data& d : data) {
    threads.emplace_back([&d] {
      for (int repeat = 0; repeat < 3; ++repeat) EXPECT_FALSE(d.Run(Defect::kNone));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (Data& d : data) {
    for (int i = 0; i < kDefectThreads; ++i) ExpectEqual(d.y[i], d.x[kDefectThreads - 1 - i]);
  }
}

TEST(Emulator, StreamsRecordAndReplay) {
  Data data;
  emu::Stream stream;
  DeviceRun run;
  run.stream = &stream;
  const auto add = [&](float scale) { return dialect::emu::ScaleAndAdd(data.x.data(), data.y.data(), scale, run); };
  ASSERT_FALSE(add(1));  // at once
  for (int i = 0; i < kDefectThreads; ++i) ExpectEqual(data.y[i], data.x[i]);

  stream.BeginCapture();
  EXPECT_TRUE(stream.capturing());
  ASSERT_FALSE(add(10));
  ASSERT_FALSE(add(100));
  ASSERT_FALSE(stream.Enqueue([&] {
    data.y[0] = 0;
    return DeviceError{};
  }));
  EXPECT_TRUE(dialect::emu::RunShape({.block_x = 2000}, run)) << "refused when recorded";
  const emu::Graph graph = stream.EndCapture();
  EXPECT_EQ(graph.size(), 3u);
  for (int i = 0; i < kDefectThreads; ++i) ExpectEqual(data.y[i], data.x[i], "recorded, not run");

  for (int repeat = 1; repeat <= 2; ++repeat) {
    ASSERT_FALSE(stream.Replay(graph));
    ExpectEqual(data.y[0], 0.0f);
    for (int i = 1; i < kDefectThreads; ++i)
      ExpectEqual(data.y[i], (1 + 110.0f * static_cast<float>(repeat)) * data.x[i]);
  }
}

TEST(Emulator, ReplayStopsAtTheFirstError) {
  Data data;
  emu::Stream stream;
  stream.BeginCapture();
  int ran = 0;
  ASSERT_FALSE(stream.Enqueue([&] { return ++ran, DeviceError{}; }));
  ASSERT_FALSE(stream.Enqueue([&] { return ++ran, DeviceError{7}; }));
  ASSERT_FALSE(stream.Enqueue([&] { return ++ran, DeviceError{}; }));
  const emu::Graph graph = stream.EndCapture();
  ExpectEqual(stream.Replay(graph).code, 7);
  ExpectEqual(ran, 2);
}

TEST(Emulator, CountersCount) {
  emu::ResetCounters();
  Data data;
  ASSERT_FALSE(data.Run(Defect::kNone, 1));
  ASSERT_FALSE(data.Run(Defect::kWarpExchange, 1));
  const emu::Counters counters = emu::counters();
  ExpectEqual(counters.launches, uint64_t{2});
  ExpectEqual(counters.blocks, uint64_t{2});
  ExpectEqual(counters.threads, uint64_t{2 * kDefectThreads});
  ExpectEqual(counters.barriers, uint64_t{1});
  ExpectEqual(counters.warp_operations, uint64_t{3 * kDefectThreads / 32});
  ExpectEqual(counters.switches, uint64_t{2 * kDefectThreads + 4 * kDefectThreads});
  ExpectEqual(counters.mma, uint64_t{0});
}

}  // namespace
}  // namespace rb::test
