// Folding on a device against the CPU's, whatever the order of threads, the blocks and the memory of the triangles.
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "kernels/fold.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_memory.h"
#include "tests/support/machines.h"
#include "tests/support/test_parallel.h"

namespace rb {
namespace {

using test::DeviceVector;
using test::ExpectEqual;
using test::ExpectSameBits;
using test::ExpectWithin;
using test::TestMachine;

struct Folded {
  DeviceVector<float> tracks;
  DeviceVector<double> log_partition;
};

class Sequences {
 public:
  // Widths from 1 to `length`; every fifth has unknown bases, every seventh is of G and C alone: many structures.
  Sequences(int length, int count) : length_(length), widths_(count), bases_(size_t(count) * PackedWords(length)) {
    PhiloxStream random(length);
    std::vector<uint8_t> codes(static_cast<size_t>(length));
    for (int n = 0; n < count; ++n) {
      const int width = n == 0 ? length : n == 1 ? 1 : 1 + static_cast<int>(random.Below(length));
      widths_[n] = static_cast<uint16_t>(width);
      std::fill(codes.begin(), codes.end(), kUnknownBase);
      for (int p = 0; p < width; ++p) {
        const uint32_t base = n % 7 == 0 ? 1 + random.Below(2) : random.Below(4);
        codes[(length - width) / 2 + p] =
            n % 5 == 0 && random.Below(6) == 0 ? kUnknownBase : static_cast<uint8_t>(base);
      }
      PackBases(codes.data(), length, &bases_[size_t(n) * PackedWords(length)]);
    }
    factors_.push_back(MakeFoldFactors(Turner1999()));
  }

  Folded Fold(const TestMachine& machine, int blocks) const {
    const int64_t count = std::ssize(widths_);
    Folded folded = {DeviceVector<float>(static_cast<size_t>(count * length_ * kFoldTracks), NAN),
                     DeviceVector<double>(static_cast<size_t>(count), NAN)};
    DeviceVector<unsigned char> workspace(FoldWorkspaceBytes(length_, blocks));
    FoldArgs<float> args;
    args.factors = factors_.data();
    args.bases = bases_.data();
    args.widths = widths_.data();
    args.count = count;
    args.length = length_;
    args.tracks = folded.tracks.data();
    args.log_partition = folded.log_partition.data();
    args.workspace = workspace.data();
    args.workspace_bytes = workspace.size();
    RB_RUN(machine, Fold, args);
    return folded;
  }

 private:
  int length_;
  DeviceVector<uint16_t> widths_;
  DeviceVector<uint32_t> bases_;
  DeviceVector<FoldFactors> factors_;
};

void ExpectAsOnTheCpu(int length, int count) {
  const Sequences sequences(length, count);
  test::TestParallel parallel(1);
  const Folded expected = sequences.Fold(TestMachine(parallel), 1);
  Folded first;
  for (const unsigned seed : {0u, 1u, 2u}) {
    const TestMachine machine = TestMachine::Emulated(Precision::kFp32, seed);
    const Folded found = sequences.Fold(machine, 1 + static_cast<int>(seed));
    const std::string where = machine.name() + ", " + std::to_string(length) + " positions";
    if (seed == 0) {
      first = found;
      for (size_t i = 0; i < found.tracks.size(); ++i) {
        ExpectWithin(found.tracks[i], expected.tracks[i], 1e-7, where + ", value " + std::to_string(i));
      }
      for (size_t n = 0; n < found.log_partition.size(); ++n) {
        ExpectWithin(found.log_partition[n], expected.log_partition[n], 1e-12 * (1 + expected.log_partition[n]),
                     where + ", sequence " + std::to_string(n));
      }
    }
    ExpectSameBits(std::span<const float>(found.tracks), std::span<const float>(first.tracks), where);
    ExpectSameBits(std::span<const double>(found.log_partition), std::span<const double>(first.log_partition), where);
  }
}

TEST(FoldDevice, IsTheCpus) {
  ExpectAsOnTheCpu(41, 40);
  ExpectAsOnTheCpu(64, 6);
  ExpectAsOnTheCpu(130, 3);  // triangles in the workspace
}

TEST(FoldDevice, TinyIsTheCpus) { ExpectAsOnTheCpu(18, 9); }

TEST(FoldDevice, RefusesAWorkspaceThatIsTooSmall) {
  FoldArgs<float> args;
  args.count = 1;
  args.length = 200;
  args.workspace_bytes = FoldWorkspaceBytes(200, 1) - 1;
  ExpectEqual(emu::Fold(args, {}).code, -1);
}

}  // namespace
}  // namespace rb
