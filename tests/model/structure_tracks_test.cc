#include "model/structure_tracks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "data/readers.h"
#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "kernels/packed_bases.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;
using ::testing::HasSubstr;

constexpr int kLength = 24;

Sequences TestSequences() {
  Sequences sequences;
  sequences.length = kLength;
  for (const std::string& letters : {"GGGGCGAAAGCCCC", "AAAAAAAAAAAAAAAAAAAAAAAA", "GGGNNNNNCCC", "A"}) {
    sequences.bases.resize(sequences.bases.size() + PackedWords(kLength));
    PackCentred(letters, kLength, sequences.bases.data() + sequences.bases.size() - PackedWords(kLength));
    sequences.widths.push_back(static_cast<uint16_t>(letters.size()));
  }
  return sequences;
}

TEST(StructureTracks, OfEveryBaseAndOfNoPadding) {
  const auto factors = std::make_unique<FoldFactors>(MakeFoldFactors(Turner1999()));
  ThreadPool pool(2);
  const auto machine = MakeCpuBackend<float>(pool);
  const auto folder = machine->NewFolder(kLength, *factors).value();
  Sequences two = TestSequences(), five = two;
  ASSERT_TRUE(AddStructureTracks(2, *folder, two).ok());
  ASSERT_TRUE(AddStructureTracks(5, *folder, five).ok());
  ExpectEqual(two.tracks.size(), size_t{4 * kLength * 2});
  ExpectEqual(five.structure_channels, 5);
  for (int n = 0; n < 4; ++n) {
    const int left = LeftPadding(kLength, two.widths[n]);
    for (int p = 0; p < kLength; ++p) {
      const float* const pu = &two.tracks[(n * kLength + p) * 2];
      const float* const all = &five.tracks[(n * kLength + p) * 5];
      const bool inside = p >= left && p < left + two.widths[n];
      const std::string where = std::to_string(n) + ", " + std::to_string(p);
      ExpectWithin(pu[0] + pu[1], inside ? 1 : 0, inside ? 1e-6 : 0, where);
      ExpectWithin(all[0] + all[1] + all[2] + all[3] + all[4], inside ? 1 : 0, inside ? 1e-6 : 0, where);
      ExpectEqual(pu[0], all[0], where);
    }
  }
  const int stem = LeftPadding(kLength, two.widths[0]) + 1;
  ExpectEqual(two.tracks[stem * 2] > 0.9f, true);
  ExpectEqual(two.tracks[kLength * 2], 0.0f);  // A pairs with nothing
  ExpectEqual(two.tracks[kLength * 2 + 1], 1.0f);
}

TEST(StructureTracks, Refusals) {
  const auto factors = std::make_unique<FoldFactors>(MakeFoldFactors(Turner1999()));
  ThreadPool pool(1);
  const auto machine = MakeCpuBackend<float>(pool);
  const auto folder = machine->NewFolder(kLength, *factors).value();
  Sequences sequences = TestSequences();
  ExpectEqual(AddStructureTracks(3, *folder, sequences).code(), absl::StatusCode::kInvalidArgument);
  Sequences none;
  none.length = kLength;
  ExpectEqual(AddStructureTracks(5, *folder, none).ok(), true);
  Sequences wide;
  wide.length = 256;
  wide.bases.resize(PackedWords(256));
  wide.widths.push_back(201);
  const absl::Status refused = AddStructureTracks(2, *machine->NewFolder(256, *factors).value(), wide);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("201 bases"));
}

}  // namespace
}  // namespace rb
