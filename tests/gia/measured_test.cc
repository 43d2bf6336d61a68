// Effects straight from measurements, against counts by hand.
#include "gia/measured.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/packed_bases.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

constexpr int kLength = 8;

Sequences Pack(const std::vector<std::string>& texts) {
  Sequences sequences;
  sequences.length = kLength;
  for (const std::string& text : texts) {
    std::vector<uint8_t> codes;
    for (const char c : text) {
      const size_t code = std::string("ACGU").find(c);
      codes.push_back(code == std::string::npos ? kUnknownBase : static_cast<uint8_t>(code));
    }
    sequences.bases.resize(sequences.bases.size() + PackedWords(kLength));
    PackBases(codes.data(), kLength, sequences.bases.data() + sequences.bases.size() - PackedWords(kLength));
    sequences.widths.push_back(kLength);
  }
  return sequences;
}

const std::vector<std::string> kProbes = {"AACGUAAA", "AACGAAAA", "CGUAAACG", "AACNUAAA",
                                          "UUUUUUUU", "GACGUCGU", "--CGUA--"};
const std::vector<float> kScores = {4, 1, 2, 9, -3, 5, std::numeric_limits<float>::quiet_NaN()};

MeasuredEffect Measure(const std::string& pattern, bool anywhere, int64_t min_carriers = 1) {
  const auto embedding = ParseEmbedding(pattern, kLength);
  EXPECT_TRUE(embedding.ok()) << embedding.status();
  const auto effect = MeasurePattern(*embedding, anywhere, Pack(kProbes), kScores, min_carriers);
  EXPECT_TRUE(effect.ok()) << effect.status();
  return *effect;
}

TEST(Measured, AtItsPlaceAndAnywhere) {
  const double mean = (4 + 1 + 2 + 9 - 3 + 5) / 6.0;
  const MeasuredEffect at = Measure("CGU@2", false);  // probes 0 and 5; 6 has no score, 3 an N
  ExpectEqual(at.carriers, int64_t{2});
  ExpectWithin(at.summary.mean, 4.5 - mean, 1e-12);
  ExpectWithin(at.summary.sd, std::sqrt(0.5), 1e-12);
  const MeasuredEffect anywhere = Measure("CGU@2", true);  // and 2
  ExpectEqual(anywhere.carriers, int64_t{3});
  ExpectWithin(anywhere.summary.mean, 11 / 3.0 - mean, 1e-12);
  const MeasuredEffect iupac = Measure("CGW@2", false);  // A or U: and 1
  ExpectEqual(iupac.carriers, int64_t{3});
  ExpectEqual(Measure("CG@2+CGU@5", false).carriers, int64_t{1});
  ExpectEqual(Measure("N@3", false).carriers, int64_t{5});  // an unknown base carries nothing
  ExpectEqual(Measure("GU@6", true).carriers, int64_t{3});  // at the very end too
}

TEST(Measured, TooFewCarriersTellNothing) {
  const MeasuredEffect effect = Measure("CGU@2", false, 3);
  ExpectEqual(effect.carriers, int64_t{2});
  ExpectEqual(std::isnan(effect.summary.mean) && std::isnan(effect.summary.ci_low), true);
  ExpectEqual(std::isnan(Measure("CGU@2", false, 2).summary.mean), false);
}

TEST(Measured, Refusals) {
  const Sequences probes = Pack(kProbes);
  const auto refused = [&](const Embedding& pattern, bool anywhere, std::span<const float> scores) {
    ExpectEqual(MeasurePattern(pattern, anywhere, probes, scores, 1).status().code(),
                absl::StatusCode::kInvalidArgument, pattern.text);
  };
  refused(*ParseEmbedding("A@1+C@3", kLength), true, kScores);
  refused(*ParseEmbedding("stem@0-1:6-7", kLength), false, kScores);
  refused(*ParseEmbedding("A@1", 9), false, kScores);
  refused(*ParseEmbedding("A@1", kLength), false,
          std::vector<float>(kScores.size(), std::numeric_limits<float>::quiet_NaN()));
}

}  // namespace
}  // namespace rb
