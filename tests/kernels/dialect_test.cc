// The kernel dialect, function by function (dialect_kernels.cu): on the emulation in several orders of threads and
// blocks, and, where there is one, on a device by the same expectations. Hence what the emulation promises is what a
// device does.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/philox.h"
#include "tests/kernels/dialect_kernels.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_memory.h"
#include "tests/support/machines.h"

namespace rb::test {
namespace {

using dialect::kBlockThreads;
using dialect::kClusterBlocks;
using dialect::kShuffleRows;
using dialect::kStageValues;
using dialect::kVoteRows;

DeviceVector<float> RandomFloats(size_t n, uint64_t key) {
  DeviceVector<float> values(n);
  PhiloxStream stream(key);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(2 * stream.Uniform() - 1);
  return values;
}
DeviceVector<int> RandomInts(size_t n, int below, uint64_t key) {
  DeviceVector<int> values(n);
  PhiloxStream stream(key);
  for (size_t i = 0; i < n; ++i) {
    values[i] = static_cast<int>(stream.Below(static_cast<uint32_t>(2 * below))) - below;
  }
  return values;
}

class Dialect : public testing::TestWithParam<TestMachine> {
 protected:
  template <class OnEmulation, class OnDevice>
  void Run(const OnEmulation& on_emulation, const OnDevice& on_device) {
    GetParam().Run([](Parallel&) { ADD_FAILURE() << "not on the CPU"; }, on_emulation, on_device);
  }
};

#if defined(RB_HAVE_CUDA)
#define RUN(Name, ...)                                                            \
  Run([&](const DeviceRun& run) { return dialect::emu::Name(__VA_ARGS__, run); }, \
      [&](const DeviceRun& run) { return dialect::cuda::Name(__VA_ARGS__, run); })
#else
#define RUN(Name, ...)                                                            \
  Run([&](const DeviceRun& run) { return dialect::emu::Name(__VA_ARGS__, run); }, \
      [&](const DeviceRun&) { return DeviceError{-1}; })
#endif

// (16 x depth)(depth x 8) of small integers: exact in every order and precision.
void ExpectProduct(DeviceVector<float>& a, DeviceVector<float>& b, DeviceVector<float>& c, DeviceVector<float>& d,
                   int depth) {
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float sum = c[row * 8 + column];
      for (int k = 0; k < depth; ++k) sum += a[row * depth + k] * b[k * 8 + column];
      ExpectEqual(d[row * 8 + column], sum, std::to_string(row) + ", " + std::to_string(column));
    }
  }
}
DeviceVector<float> SmallIntegers(size_t n, uint64_t key) {
  DeviceVector<int> integers = RandomInts(n, 8, key);
  DeviceVector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(integers[i]);
  return values;
}

TEST_P(Dialect, MmaOfBf16IsTheProduct) {
  DeviceVector<float> a = SmallIntegers(256, 1), b = SmallIntegers(128, 2), c = SmallIntegers(128, 3), d(128, NAN);
  RUN(MmaBf16, a.data(), b.data(), c.data(), d.data());
  ExpectProduct(a, b, c, d, 16);
}

TEST_P(Dialect, MmaOfTf32IsTheProduct) {
  DeviceVector<float> a = SmallIntegers(128, 4), b = SmallIntegers(64, 5), c = SmallIntegers(128, 6), d(128, NAN);
  RUN(MmaTf32, a.data(), b.data(), c.data(), d.data());
  ExpectProduct(a, b, c, d, 8);
}

TEST_P(Dialect, MatricesLoadedFromSharedMemoryAreFragments) {
  DeviceVector<float> a = SmallIntegers(256, 7), b = SmallIntegers(128, 8), c(128, 0.0f), d(128, NAN);
  DeviceVector<uint16_t> a16(256), b16(128);
  for (int i = 0; i < 256; ++i) a16[i] = FloatToBf16(a[i]);
  for (int i = 0; i < 128; ++i) b16[i] = FloatToBf16(b[i]);
  RUN(MmaShared, a16.data(), b16.data(), d.data());
  ExpectProduct(a, b, c, d, 16);
}

TEST_P(Dialect, LdMatrixDealsRowsOrColumns) {
  DeviceVector<uint16_t> tile(32 * 8);
  for (int i = 0; i < 256; ++i) tile[i] = static_cast<uint16_t>(0x100 + i);
  DeviceVector<uint32_t> out(4 * 32 * 4, 7);
  RUN(LoadMatrices, tile.data(), out.data());
  for (int form = 0; form < 4; ++form) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int r = 0; r < 4; ++r) {
        const bool trans = form % 2 == 1;
        const auto at = [&](int i) -> uint32_t {
          const int row = trans ? lane % 4 * 2 + i : lane / 4, column = trans ? lane / 4 : lane % 4 * 2 + i;
          return tile[(r * 8 + row) * 8 + column];
        };
        const uint32_t expected = form >= 2 && r >= 2 ? 0 : at(0) | at(1) << 16;
        ExpectEqual(out[(form * 32 + lane) * 4 + r], expected, std::to_string(form) + " " + std::to_string(lane));
      }
    }
  }
}

// To the format whose significand has `bits` bits behind the point, by double arithmetic; half away from zero, or half
// to even.
float Rounded(float x, int bits, bool to_even) {
  if (!std::isfinite(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), -126);
  const double unit = std::ldexp(1.0, exponent - bits), quotient = static_cast<double>(x) / unit;
  const double rounded = to_even ? std::nearbyint(quotient) : std::round(quotient);
  const double value = rounded * unit;
  return std::abs(value) >= std::ldexp(1.0, 128)
             ? std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(value))
             : static_cast<float>(value);
}

TEST_P(Dialect, RoundingIsThatOfTheFormats) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> cases = {0.0f, -0.0f, kInfinity, -kInfinity,  std::numeric_limits<float>::max(),
                              1.0f, -1.0f, 0x1p-126f, -0x1.8p-126f};
  for (const uint32_t low : {0x0FFFu, 0x1000u, 0x1001u, 0x3000u, 0x7FFFu, 0x8000u, 0x8001u, 0x18000u}) {
    for (const uint32_t high : {0x3F800000u, 0xBF900000u, 0x00800000u, 0x7F7E0000u, 0x40FE0000u}) {
      cases.push_back(std::bit_cast<float>(high + low));  // ties, and just beside them
    }
  }
  PhiloxStream stream(9);
  while (cases.size() < 300) {
    cases.push_back(std::ldexp(static_cast<float>(stream.Uniform() - 0.5), static_cast<int>(stream.Below(80)) - 40));
  }
  const int n = static_cast<int>(cases.size());
  DeviceVector<float> x(n);
  std::copy(cases.begin(), cases.end(), x.data());
  DeviceVector<uint32_t> tf32(n, 1), packed(n, 1);
  RUN(Round, x.data(), tf32.data(), packed.data(), n);
  for (int i = 0; i < n; ++i) {
    ExpectEqual(tf32[i], std::bit_cast<uint32_t>(Rounded(x[i], 10, false)), "tf32 of " + std::to_string(x[i]));
    const uint32_t low = std::bit_cast<uint32_t>(Rounded(x[i], 7, true)) >> 16;
    const uint32_t high = std::bit_cast<uint32_t>(Rounded(x[(i + 1) % n], 7, true)) & 0xFFFF0000u;
    ExpectEqual(packed[i], low | high, "bf16 of " + std::to_string(x[i]));
  }
}

TEST_P(Dialect, AsynchronousCopiesArriveByTheirWait) {
  constexpr int kStages = 7, kCount = kStages * kStageValues;
  DeviceVector<float> from = RandomFloats(kCount, 10);
  for (const int valid : {kCount, kCount - kStageValues / 2, 4}) {
    DeviceVector<float> to(kCount, NAN);
    RUN(Stages, from.data(), to.data(), kStages, valid);
    for (int i = 0; i < kCount; ++i) ExpectEqual(to[i], i < valid ? 2 * from[i] : 0.0f, std::to_string(i));
  }
}

TEST_P(Dialect, BlocksOfAClusterReadEachOther) {
  constexpr int kClusters = 3, kEach = kClusterBlocks * kBlockThreads;
  DeviceVector<int> x = RandomInts(kClusters * kEach, 1000, 11), sums(kClusters, -1);
  RUN(ClusterSum, x.data(), sums.data(), kClusters);
  for (int i = 0; i < kClusters; ++i) {
    ExpectEqual(sums[i], std::accumulate(x.data() + i * kEach, x.data() + (i + 1) * kEach, 0));
  }
}

TEST_P(Dialect, ShufflesStayInTheirWidth) {
  DeviceVector<int> x = RandomInts(32, 1000, 12);
  for (const int width : {32, 16, 8, 4, 2}) {
    DeviceVector<int> out(kShuffleRows * 32, -1);
    RUN(Shuffles, x.data(), out.data(), width);
    for (int lane = 0; lane < 32; ++lane) {
      const int begin = lane / width * width, at = lane - begin;
      const std::string where = "width " + std::to_string(width) + " lane " + std::to_string(lane);
      ExpectEqual(out[0 * 32 + lane], x[begin + 5 % width], "shfl " + where);
      // xor may read an earlier group, not a later one.
      ExpectEqual(out[1 * 32 + lane], x[(lane ^ 3) < begin + width ? lane ^ 3 : lane], "xor " + where);
      ExpectEqual(out[2 * 32 + lane], x[at + 3 < width ? lane + 3 : lane], "down " + where);
      ExpectEqual(out[3 * 32 + lane], x[at >= 3 ? lane - 3 : lane], "up " + where);
    }
  }
}

TEST_P(Dialect, VotesCountTheMaskOnly) {
  DeviceVector<int> x = RandomInts(32, 1000, 13);
  DeviceVector<unsigned> out(kVoteRows * 32, 0);
  RUN(Votes, x.data(), out.data());
  unsigned negative = 0, odd = 0;
  for (int lane = 0; lane < 32; ++lane) {
    negative |= static_cast<unsigned>(x[lane] < 0) << lane;
    odd |= static_cast<unsigned>(x[lane] & 1) << lane;
  }
  for (int lane = 0; lane < 32; ++lane) {
    ExpectEqual(out[0 * 32 + lane], negative);
    ExpectEqual(out[1 * 32 + lane], static_cast<unsigned>(negative != 0));
    ExpectEqual(out[2 * 32 + lane], static_cast<unsigned>(negative == ~0u));
    ExpectEqual(out[3 * 32 + lane], negative & ((x[lane] & 1) ? odd : ~odd));
  }
}

TEST_P(Dialect, NamedBarriersJoinTheirThreads) {
  DeviceVector<int> x = RandomInts(kBlockThreads, 1000, 14), out(kBlockThreads, -1);
  RUN(NamedBarriers, x.data(), out.data());
  for (int t = 0; t < kBlockThreads; ++t) {
    const int other = (t + 64) % kBlockThreads, half = other / 64;
    ExpectEqual(out[t], x[half * 64 + 63 - other % 64] + half, std::to_string(t));
  }
}

TEST_P(Dialect, IndexesCoverGridAndBlock) {
  constexpr int kCount = 3 * 2 * 2 * 5 * 3 * 2;
  DeviceVector<int> out(kCount, -1);
  RUN(Indexes, out.data());
  for (int i = 0; i < kCount; ++i) ExpectEqual(out[i], i);
}

TEST_P(Dialect, TheLastBlockSeesAllOthers) {
  constexpr int kBlocks = 9;
  DeviceVector<float> x = SmallIntegers(kBlocks * kBlockThreads, 15), partial(kBlocks, NAN), total(1, NAN);
  DeviceVector<int> counter(1, 0);
  for (int repeat = 0; repeat < 2; ++repeat) {
    RUN(LastBlock, x.data(), partial.data(), counter.data(), total.data(), kBlocks);
    ExpectEqual(total[0], std::accumulate(x.data(), x.data() + kBlocks * kBlockThreads, 0.0f));
    ExpectEqual(counter[0], 0);
  }
}

TEST_P(Dialect, AtomicsLoseNothing) {
  constexpr int kCount = 1000;
  DeviceVector<int> x = RandomInts(kCount, 1000, 16), histogram(16, 0), greatest(1, std::numeric_limits<int>::min());
  RUN(Atomics, x.data(), histogram.data(), greatest.data(), kCount);
  for (int bin = 0; bin < 16; ++bin) {
    const auto count = std::count_if(x.data(), x.data() + kCount, [&](int value) { return (value & 15) == bin; });
    ExpectEqual(histogram[bin], static_cast<int>(count));
  }
  ExpectEqual(greatest[0], *std::max_element(x.data(), x.data() + kCount));
}

TEST_P(Dialect, TransposeThroughDynamicSharedMemory) {
  constexpr int kRows = 70, kColumns = 45;
  DeviceVector<float> x = RandomFloats(kRows * kColumns, 17), y(kRows * kColumns, NAN);
  RUN(Transpose, x.data(), y.data(), kRows, kColumns);
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column) {
      ExpectEqual(y[column * kRows + row], x[row * kColumns + column]);
    }
  }
}

std::string NameOf(const testing::TestParamInfo<TestMachine>& info) {
  std::string name = std::to_string(info.index) + " " + info.param.name();  // a real device has no seed
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Emulated, Dialect,
                         testing::Values(TestMachine::Emulated(Precision::kFp32, 0),
                                         TestMachine::Emulated(Precision::kFp32, 1),
                                         TestMachine::Emulated(Precision::kFp32, 2)),
                         NameOf);

}  // namespace
}  // namespace rb::test
