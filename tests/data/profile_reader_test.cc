// Structure profiles as text.
#include "data/profile_reader.h"

#include <string>
#include <vector>

#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

// ACG and GU in 6 positions.
Sequences TwoSequences(bool named) {
  Sequences sequences;
  sequences.length = 6;
  sequences.AppendCentred("ACG");
  sequences.AppendCentred("GU");
  if (named) sequences.ids = {"first", "second"};
  return sequences;
}

constexpr char kFive[] =
    ">first some words\n0.5 0 1\n0.25\t0.5 0\n0.25 0.5 0\n0 0 0\n0 0 0\n\n>second\n0 0\n0 0\n0 0\n1 0.5\n0 0.5\n";

absl::Status Read(const std::string& text, int channels, Sequences& sequences) {
  const TemporaryFolder folder;
  return AddGivenTracks(folder.Write("p.txt", text), channels, sequences);
}

TEST(Profiles, FiveRowsBecomeTracks) {
  for (const bool named : {true, false}) {
    for (const auto& pack : {+[](std::string_view t) { return std::string(t); }, test::Gzip, test::Xz}) {
      Sequences sequences = TwoSequences(named);
      ASSERT_TRUE(Read(pack(kFive), 0, sequences).ok());
      ExpectEqual(sequences.structure_channels, 5);
      ExpectEqual(sequences.structure_source, std::string(kGivenProfiles));
      std::vector<float> expected(2 * 6 * 5, 0.0f);
      const float acg[] = {0.5f, 0.25f, 0.25f, 0, 0, 0, 0.5f, 0.5f, 0, 0, 1, 0, 0, 0, 0};
      const float gu[] = {0, 0, 0, 1, 0, 0, 0, 0, 0.5f, 0.5f};
      std::copy(std::begin(acg), std::end(acg), expected.begin() + 1 * 5);        // left padding 1
      std::copy(std::begin(gu), std::end(gu), expected.begin() + 6 * 5 + 2 * 5);  // and 2
      ExpectEqual(sequences.tracks, expected);
    }
  }
}

TEST(Profiles, PairedAndUnpaired) {
  const std::string four = ">ACG\n0.5 0 1\n0.25 0.5 0\n0.25 0.5 0\n0 0 0\n>GT\n0 0\n0 0\n0 0\n1 1\n";
  const std::string two = ">\n0.5 0 1\n0.5 1 0\n>\n0 0\n1 1\n";
  const std::vector<float> expected = {0, 0, 0.5f, 0.5f, 0, 1, 1, 0, 0, 0, 0, 0,  //
                                       0, 0, 0,    0,    0, 1, 0, 1, 0, 0, 0, 0};
  for (const auto& [text, channels] : {std::pair(std::string(kFive), 2), {four, 0}, {four, 2}, {two, 0}, {two, 2}}) {
    Sequences sequences = TwoSequences(false);
    ASSERT_TRUE(Read(text, channels, sequences).ok()) << text;
    ExpectEqual(sequences.structure_channels, 2);
    ExpectEqual(sequences.tracks, expected, text);
  }
}

TEST(Profiles, Refusals) {
  const std::string five = kFive;
  const auto with = [&](const std::string& old, const std::string& now) {
    std::string text = five;
    text.replace(text.find(old), old.size(), now);
    return text;
  };
  struct Case {
    std::string text;
    int channels;
    bool named;
    std::vector<std::string> fragments;
  };
  const Case cases[] = {
      {"", 0, false, {":1:1:", "0 records", "expected 2"}},
      {"0 0 0\n", 0, false, {":1:1:", "'>'"}},
      {with(">second", ">third"), 0, true, {":8:2:", "third", "sequence 2, second"}},
      {with(">first", ">ACC"), 0, false, {":1:2:", "ACC", "sequence 1"}},
      {with("0.5 0 1", "0.5 0"), 0, false, {":2:", "2 values", "3, one a base"}},
      {with("0.5 0 1", "0.5 0 1 0"), 0, false, {":2:", "4 values"}},
      {with("0.5 0 1", "0.5 x 1"), 0, false, {":2:5:", "'x'", "a probability"}},
      {with("0.5 0 1", "0.5 nan 1"), 0, false, {":2:5:", "a probability"}},
      {with("0.5 0 1", "0.5 1.1 1"), 0, false, {":2:5:", "1.1"}},
      {with("0.5 0 1", "0.2 0 1"), 0, false, {"add up to 1", "0.7 at base 1"}},
      {with("0 0 0\n0 0 0\n\n", "\n"), 0, false, {"3 rows for sequence 1"}},
      {">\n1 1 1\n0 0 0\n>\n1 1\n0 0\n", 5, false, {"2 rows", "5 (P H I M E)"}},
      {five + ">more\n1\n0\n", 0, false, {":14:1:", "more", "the end behind 2 records"}},
      {five + "0 0\n", 0, false, {":14:1:", "the end behind 2 records"}},
      {five.substr(0, five.find(">second")), 0, false, {"the end behind 1 records", "expected 2"}},
  };
  for (const Case& c : cases) {
    Sequences sequences = TwoSequences(c.named);
    ExpectError(Read(c.text, c.channels, sequences), StatusCode::kInvalidArgument, c.fragments);
    ExpectEqual(sequences.structure_channels, 0, c.text);
  }
  Sequences sequences = TwoSequences(false);
  ExpectEqual(AddGivenTracks("/none/p.txt", 0, sequences).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace rb
