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
  for (const char* const letters : {"GGGGCGAAAGCCCC", "AAAAAAAAAAAAAAAAAAAAAAAA", "GGGNNNNNCCC", "A"}) {
    sequences.AppendCentred(letters);
  }
  return sequences;
}

TEST(StructureTracks, OfEveryBaseAndOfNoPadding) {
  const auto factors = std::make_unique<FoldFactors>(MakeFoldFactors(Turner1999()));
  ThreadPool pool(2);
  const auto machine = MakeCpuBackend<float>(pool);
  const auto folder = machine->NewFolder(kLength, *factors).value();
  Sequences two = TestSequences(), five = two;
  ASSERT_TRUE(AddStructureTracks(2, *folder, kTurner1999, two).ok());
  ASSERT_TRUE(AddStructureTracks(5, *folder, kTurner1999, five).ok());
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
  ExpectEqual(AddStructureTracks(3, *folder, kTurner1999, sequences).code(), absl::StatusCode::kInvalidArgument);
  Sequences none;
  none.length = kLength;
  ExpectEqual(AddStructureTracks(5, *folder, kTurner1999, none).ok(), true);
  Sequences wide;
  wide.length = 256;
  wide.bases.resize(PackedWords(256));
  wide.widths.push_back(201);
  const absl::Status refused = AddStructureTracks(2, *machine->NewFolder(256, *factors).value(), kTurner1999, wide);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("201 bases"));
}

TEST(StructureTracks, TwoOfFive) {
  ThreadPool pool(1);
  const auto machine = MakeCpuBackend<float>(pool);
  const auto folder = machine->NewFolder(kLength, Turner1999Factors()).value();
  Sequences two = TestSequences(), five = two;
  ASSERT_TRUE(AddStructureTracks(2, *folder, kTurner1999, two).ok());
  ASSERT_TRUE(AddStructureTracks(5, *folder, kTurner1999, five).ok());
  PairedAndUnpaired(five);
  ExpectEqual(five.structure_channels, 2);
  ExpectEqual(five.tracks, two.tracks);
  ExpectEqual(five.structure_source, std::string(kTurner1999));
}

TEST(EnergiesOf, TheModelsOwnOrTheUsersWhereItHasNone) {
  const EnergySet turner{kTurner1999, nullptr}, other{"energies-0123456789abcdef", nullptr};
  ModelFile model;
  model.experiment = "EXP1";
  const auto name = [&](const char* source, const EnergySet* chosen) {
    model.structure_source = source;
    const auto found = EnergiesOf(model, chosen);
    if (found.ok()) return (*found)->name;
    ExpectEqual(found.status().code(), absl::StatusCode::kFailedPrecondition);
    return std::string(found.status().message());
  };
  ExpectEqual(name(kTurner1999, nullptr), turner.name);
  ExpectEqual(name(kTurner1999, &turner), turner.name);
  ExpectEqual(name(other.name.c_str(), &other), other.name);
  ExpectEqual(name(kGivenProfiles, &turner), turner.name);
  ExpectEqual(name(kGivenProfiles, &other), other.name);
  EXPECT_THAT(name(kTurner1999, &other), HasSubstr("EXP1 was trained on structure folded with turner1999, not"));
  EXPECT_THAT(name(other.name.c_str(), &turner), HasSubstr("not turner1999"));
  EXPECT_THAT(name(other.name.c_str(), nullptr), HasSubstr("--energy FILE"));
  EXPECT_THAT(name(kGivenProfiles, nullptr), HasSubstr("--energy turner1999"));
}

}  // namespace
}  // namespace rb
