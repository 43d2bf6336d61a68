// Counting on the emulated device (kernels/emulated/counting.h): accesses that can be counted by hand.
#include "kernels/emulated/counting.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/emulated/warp_request.h"
#include "tests/kernels/counting_kernels.h"
#include "tests/support/comparisons.h"

namespace rb::test {
namespace {

using dialect::Access;
using dialect::kInputs;
using emu::KernelCounts;

// Device memory of its own address range, known to the emulation or not.
class Memory {
 public:
  explicit Memory(bool known) : known_(known), data_(static_cast<float*>(std::aligned_alloc(128, kInputs * 4))) {
    std::iota(data_, data_ + kInputs, 0.0f);
    if (known_) emu::AddGlobal(data_, kInputs * 4);
  }
  ~Memory() {
    if (known_) emu::RemoveGlobal(data_);
    std::free(data_);
  }
  float* data() { return data_; }

 private:
  bool known_;
  float* data_;
};

class CountingTest : public testing::Test {
 protected:
  KernelCounts Run(Access access, int blocks = 1, int threads = 32) {
    counting_.Reset();
    const DeviceError error = dialect::emu::Count(access, {in_.data(), out_.data()}, blocks, threads);
    ExpectEqual(error.code, 0, error ? emu::DeviceErrorText(error) : "");
    const std::vector<KernelCounts> counts = counting_.counts();
    ExpectEqual(counts.size(), size_t{1}, "kernels");
    return counts.empty() ? KernelCounts{} : counts[0];
  }
  static void Expect(const emu::GlobalCounts& c, uint64_t requests, uint64_t bytes, uint64_t sectors, uint64_t lines,
                     uint64_t touched) {
    ExpectEqual(c.requests, requests, "requests");
    ExpectEqual(c.bytes, bytes, "bytes");
    ExpectEqual(c.sectors, sectors, "sectors");
    ExpectEqual(c.lines, lines, "lines");
    ExpectEqual(c.touched, touched, "bytes touched");
  }
  static void Expect(const emu::SharedCounts& c, uint64_t requests, uint64_t wavefronts, uint64_t ideal) {
    ExpectEqual(c.requests, requests, "requests");
    ExpectEqual(c.wavefronts, wavefronts, "wavefronts");
    ExpectEqual(c.ideal, ideal, "wavefronts without conflicts");
  }

  Memory in_{true}, out_{true};
  emu::Counting counting_;
};

TEST_F(CountingTest, Copy) {
  const KernelCounts c = Run(Access::kCopy, 4, 64);
  Expect(c.read, 8, 1024, 32, 8, 1024);
  Expect(c.written, 8, 1024, 32, 8, 1024);
  Expect(c.loads, 0, 0, 0);
  Expect(c.stores, 0, 0, 0);
  ExpectEqual(c.work.launches, uint64_t{1});
  ExpectEqual(c.work.blocks, uint64_t{4});
  ExpectEqual(c.work.threads, uint64_t{256});
  ExpectEqual(c.block_threads, 64u);
  for (int i = 0; i < 256; ++i) ExpectEqual(out_.data()[i], in_.data()[i]);
}

TEST_F(CountingTest, Stride2) { Expect(Run(Access::kStride2).read, 1, 128, 8, 2, 128); }
TEST_F(CountingTest, Broadcast) { Expect(Run(Access::kBroadcast).read, 1, 128, 1, 1, 4); }
TEST_F(CountingTest, Misaligned) { Expect(Run(Access::kMisaligned).read, 1, 128, 5, 2, 128); }

TEST_F(CountingTest, VectorsAreOneRequest) {
  for (const Access access : {Access::kCopy8, Access::kCopy16, Access::kMake16}) {
    const uint64_t bytes = access == Access::kCopy8 ? 256 : 512;
    const KernelCounts c = Run(access);
    if (access != Access::kMake16) Expect(c.read, 1, bytes, bytes / 32, bytes / 128, bytes);
    Expect(c.written, 1, bytes, bytes / 32, bytes / 128, bytes);
  }
}

TEST_F(CountingTest, OddLanes) { Expect(Run(Access::kOddLanes).read, 1, 64, 4, 1, 64); }

TEST_F(CountingTest, RoundsOfALoopAreRequests) {
  Expect(Run(Access::kShuffles).read, 3, 384, 12, 3, 384);
  Expect(Run(Access::kTriangle).read, 32, 32 * 33 / 2 * 4, 32, 32, 128);
  // 32, 31, 30 and 29 lanes: the first sector stays, with fewer bytes.
  Expect(Run(Access::kSkippedRounds).read, 4, 4 * (32 + 31 + 30 + 29), 16, 4, 4 * (32 + 31 + 30 + 29));
}

TEST_F(CountingTest, AtomicsReadAndWrite) {
  const KernelCounts c = Run(Access::kAtomic);
  Expect(c.read, 1, 128, 4, 1, 128);
  Expect(c.written, 1, 128, 4, 1, 128);
}

TEST_F(CountingTest, ColumnsOfATile) {
  const KernelCounts plain = Run(Access::kColumn32);
  Expect(plain.stores, 32, 32, 32);
  Expect(plain.loads, 32, 1024, 32);
  const KernelCounts padded = Run(Access::kColumn33);
  Expect(padded.stores, 32, 32, 32);
  Expect(padded.loads, 32, 32, 32);
  ExpectEqual(out_.data()[1], 32.0f * 32 + 31 * 16, "sum of row 1");
}

TEST_F(CountingTest, PlacesTellWhatTheyCost) {
  const auto costly = [](const KernelCounts& c) {
    std::vector<emu::PlaceCounts> places;
    for (const emu::PlaceCounts& p : c.places) {
      if (p.taken > p.ideal) places.push_back(p);
    }
    return places;
  };
  const std::vector<emu::PlaceCounts> column = costly(Run(Access::kColumn32));
  ASSERT_EQ(column.size(), 1u);
  ExpectEqual(column[0].kind, emu::PlaceCounts::kLoads);
  ExpectEqual(column[0].requests, uint64_t{32});
  ExpectEqual(column[0].taken, uint64_t{1024});
  ExpectEqual(column[0].ideal, uint64_t{32});
  ExpectEqual(costly(Run(Access::kColumn33)).size(), size_t{0});
  const std::vector<emu::PlaceCounts> rows = costly(Run(Access::kMatrices128));
  ASSERT_EQ(rows.size(), 1u);
  ExpectEqual(rows[0].kind, emu::PlaceCounts::kMatrices);
  ExpectEqual(rows[0].taken, uint64_t{32});
  const std::vector<emu::PlaceCounts> stride = costly(Run(Access::kStride2));
  ASSERT_EQ(stride.size(), 1u);
  ExpectEqual(stride[0].kind, emu::PlaceCounts::kRead);
  ExpectEqual(stride[0].taken, uint64_t{8});
  ExpectEqual(stride[0].ideal, uint64_t{4});
}

TEST_F(CountingTest, SharedBroadcast) {
  const KernelCounts c = Run(Access::kSharedBroadcast);
  Expect(c.loads, 1, 1, 1);
  Expect(c.stores, 1, 1, 1);
}

TEST_F(CountingTest, SharedVectors) {
  const struct {
    Access access;
    uint64_t wavefronts, ideal;
  } cases[] = {{Access::kShared2, 1, 1},
               {Access::kShared8, 2, 2},
               {Access::kShared8Apart, 4, 2},
               {Access::kShared16, 4, 4},
               {Access::kShared16Apart, 8, 4}};
  for (const auto& one : cases) {
    const KernelCounts c = Run(one.access);
    Expect(c.stores, 1, one.wavefronts, one.ideal);
    Expect(c.loads, 1, one.wavefronts, one.ideal);
  }
}

TEST_F(CountingTest, AsynchronousCopies) {
  const KernelCounts all = Run(Access::kAsynchronous);
  Expect(all.read, 1, 512, 16, 4, 512);
  Expect(all.stores, 1, 4, 4);
  Expect(all.loads, 4, 4, 4);
  ExpectEqual(all.work.copies, uint64_t{32});
  const KernelCounts half = Run(Access::kAsynchronousZeros);
  Expect(half.read, 1, 256, 16, 4, 256);
  Expect(half.stores, 1, 4, 4);
}

TEST_F(CountingTest, MatrixRows) {
  const struct {
    Access access;
    uint64_t wavefronts;
  } cases[] = {{Access::kMatrices16, 4}, {Access::kMatrices128, 32}, {Access::kMatrices144, 4}};
  for (const auto& one : cases) {
    const KernelCounts c = Run(one.access);
    Expect(c.matrices, 1, one.wavefronts, 4);
    Expect(c.loads, 0, 0, 0);
  }
}

TEST_F(CountingTest, WarpsAreCountedApart) {
  const KernelCounts c = Run(Access::kTwoWarps, 1, 64);
  Expect(c.stores, 1, 1, 1);
  Expect(c.loads, 1, 1, 1);
  Expect(c.read, 1, 128, 4, 1, 128);
  ExpectEqual(c.work.barriers, uint64_t{1});
}

TEST_F(CountingTest, LaunchesAddUpUntilReset) {
  counting_.Reset();
  for (int i = 0; i < 3; ++i) {
    ExpectEqual(dialect::emu::Count(Access::kCopy, {in_.data(), out_.data()}, 1, 32).code, 0);
    ExpectEqual(dialect::emu::Count(Access::kBroadcast, {in_.data(), out_.data()}, 1, 32).code, 0);
  }
  const std::vector<KernelCounts> counts = counting_.counts();
  ASSERT_EQ(counts.size(), 2u);
  Expect(counts[0].read, 3, 384, 12, 3, 384);
  Expect(counts[1].read, 3, 384, 3, 3, 12);
  ExpectEqual(counts[0].work.launches, uint64_t{3});
  ExpectEqual(counts[0].kernel != counts[1].kernel, true, "kernels are told apart");
  counting_.Reset();
  ExpectEqual(counting_.counts().size(), size_t{0});
}

TEST(Counting, OnlyMemoryOfTheDevice) {
  Memory in(false), out(true);
  emu::Counting counting;
  ExpectEqual(dialect::emu::Count(Access::kCopy, {in.data(), out.data()}, 1, 32).code, 0);
  const std::vector<KernelCounts> counts = counting.counts();
  ASSERT_EQ(counts.size(), 1u);
  ExpectEqual(counts[0].read.bytes, uint64_t{0});
  ExpectEqual(counts[0].written.bytes, uint64_t{128});
}

TEST(Counting, WithoutAnObserverKernelsRun) {
  Memory in(true), out(true);
  ExpectEqual(dialect::emu::Count(Access::kStride2, {in.data(), out.data()}, 1, 32).code, 0);
  ExpectEqual(out.data()[31], 62.0f);
}

// The rules by themselves: a request of one, of none, and of lanes across two sectors.
TEST(WarpRequest, Edges) {
  emu::WarpRequest request;
  request.bytes = 4;
  ExpectEqual(emu::UnitsTouched(request, 32), 0);
  ExpectEqual(emu::WavefrontsOf(request).taken, 0);
  request.lanes = 1u << 31;
  request.address[31] = 30;
  ExpectEqual(emu::UnitsTouched(request, 32), 2);
  ExpectEqual(emu::WavefrontsOf(request).taken, 1);
  request.lanes = 3;
  request.address[0] = 0, request.address[1] = 128;
  ExpectEqual(emu::WavefrontsOf(request).taken, 2);
  request.bytes = 8;  // lanes 0 and 16: different halves
  request.lanes = 1u | 1u << 16;
  request.address[16] = 128;
  ExpectEqual(emu::WavefrontsOf(request).taken, 2);
  ExpectEqual(emu::WavefrontsOf(request).ideal, 2);
}

}  // namespace
}  // namespace rb::test
