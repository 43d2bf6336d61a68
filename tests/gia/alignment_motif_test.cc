// The k-mer alignment motif against alignments by hand and a slow one-hot oracle; frequency matrices.
#include "gia/alignment_motif.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/philox.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::ExpectWithin;
using Column = std::array<double, 4>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void ExpectColumns(const std::vector<Column>& found, const std::vector<Column>& expected, double bound = 1e-15) {
  ExpectEqual(found.size(), expected.size());
  ASSERT_EQ(found.size(), expected.size());
  for (size_t p = 0; p < found.size(); ++p) {
    for (int b = 0; b < 4; ++b) {
      ExpectWithin(found[p][b], expected[p][b], bound, "column " + std::to_string(p) + " letter " + std::to_string(b));
    }
  }
}

TEST(InformationTest, Bits) {
  ExpectEqual(InformationContent({1, 0, 0, 0}), 2.0);
  ExpectEqual(InformationContent({0.25, 0.25, 0.25, 0.25}), 0.0);
  ExpectEqual(InformationContent({0.5, 0, 0.5, 0}), 1.0);
  ExpectWithin(InformationContent({0.5, 0.25, 0.125, 0.125}), 0.25, 1e-15);
}

TEST(AlignKmersTest, PaperByHand) {
  // GCAUG matches UGCAU in four letters when moved one to the right, AUGCA when moved one to the left.
  const std::vector<WeightedSequence> kmers = {{"GCAUG", 2}, {"UGCAU", 4}, {"augca", 1}, {"CCCCC", -1}};
  const auto motif = AlignKmers(kmers, PresetAlignment(Preset::kPaper));
  ASSERT_TRUE(motif.ok()) << motif.status();
  ExpectEqual(motif->offset, -1);
  ExpectColumns(motif->sums,
                {{1, 0, 0, 0}, {0, 0, 0, 5}, {0, 0, 7, 0}, {0, 7, 0, 0}, {7, 0, 0, 0}, {0, 0, 0, 6}, {0, 0, 2, 0}});
  ExpectColumns(motif->pwm.columns,
                {{1, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0}});
  // A substitution stays in place and shares its column.
  const std::vector<WeightedSequence> pair = {{"UGCAU", 3}, {"AGCAU", 1}};
  const auto shared = AlignKmers(pair, PresetAlignment(Preset::kPaper));
  ExpectColumns(shared->pwm.columns, {{0.25, 0, 0, 0.75}, {0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}});
}

TEST(AlignKmersTest, PaperTies) {
  const auto offsets = [](const std::string& top, const std::string& other) {
    const std::vector<WeightedSequence> kmers = {{top, 2}, {other, 1}};
    const auto motif = AlignKmers(kmers, PresetAlignment(Preset::kPaper));
    return std::make_pair(motif->offset, static_cast<int>(motif->sums.size()));
  };
  ExpectEqual(offsets("AAAA", "CCCC"), std::make_pair(0, 4));   // no match at all: in place
  ExpectEqual(offsets("ACAC", "CACA"), std::make_pair(-1, 5));  // 3 matches at -1 and at 1: left
  ExpectEqual(offsets("AGGA", "ACCA"), std::make_pair(0, 4));
  ExpectEqual(offsets("CAAG", "UUCU"), std::make_pair(-2, 6));  // one match only, at shift -2
  ExpectEqual(offsets("GUUC", "CAAG"), std::make_pair(-3, 7));  // one match at -3 and one at 3
  // Equal weights: the first given is the one to align to.
  const std::vector<WeightedSequence> equal = {{"GGGA", 1}, {"AGGG", 1}};
  ExpectEqual(AlignKmers(equal, PresetAlignment(Preset::kPaper))->offset, -1);
}

TEST(AlignKmersTest, TopTenOnly) {
  std::vector<WeightedSequence> kmers;
  for (int i = 0; i < 12; ++i) kmers.push_back({i < 2 ? "AAAA" : "CCCC", static_cast<double>(i + 1)});
  ExpectColumns({AlignKmers(kmers, PresetAlignment(Preset::kPaper))->sums[0]}, {{0, 75, 0, 0}});
  AlignmentOptions options = PresetAlignment(Preset::kPaper);
  options.top = 0;
  ExpectColumns({AlignKmers(kmers, options)->sums[0]}, {{3, 75, 0, 0}});
  options.top = 1;
  ExpectColumns({AlignKmers(kmers, options)->sums[0]}, {{0, 12, 0, 0}});
}

TEST(AlignKmersTest, TrimmingCutsThinEnds) {
  const std::vector<WeightedSequence> kmers = {{"UGCAU", 8}, {"GCAUG", 1}, {"AUGCA", 3}};
  AlignmentOptions options = PresetAlignment(Preset::kPaper);
  ExpectEqual(AlignKmers(kmers, options)->sums.size(), size_t{7});
  options.trim = 0.25;  // of 12: the last column has 1, the first 3, which is enough
  ExpectEqual(AlignKmers(kmers, options)->offset, -1);
  ExpectEqual(AlignKmers(kmers, options)->sums.size(), size_t{6});
  options.trim = 0.26;
  ExpectEqual(AlignKmers(kmers, options)->offset, 0);
  ExpectEqual(AlignKmers(kmers, options)->sums.size(), size_t{5});
}

// The authors' algorithm as described (three frames of k, the top k-mer in the middle one), with one-hot arrays.
std::vector<Column> PublishedOracle(std::vector<WeightedSequence> kmers) {
  std::stable_sort(kmers.begin(), kmers.end(), [](auto& a, auto& b) { return a.weight > b.weight; });
  const int k = static_cast<int>(kmers[0].letters.size());
  const auto hot = [&](const std::string& letters, int left) {
    std::vector<Column> columns(3 * k, Column{});
    for (int i = 0; i < k; ++i) columns[left + i][std::string("ACGU").find(letters[i])] = 1;
    return columns;
  };
  const double low = kmers.back().weight, high = kmers[0].weight;
  double total = 0;
  for (auto& kmer : kmers) {
    if (low < 0) kmer.weight = (kmer.weight - low) / (high - low) + 0.01;
    total += kmer.weight;
  }
  std::vector<Column> sum(3 * k, Column{});
  const auto base = hot(kmers[0].letters, k);
  for (size_t n = 1; n < kmers.size(); ++n) {
    int best = 0;
    double most = -1;
    for (int left = 0; left < 2 * k; ++left) {
      const auto moved = hot(kmers[n].letters, left);
      double correlation = 0;
      for (int p = 0; p < 3 * k; ++p) {
        for (int b = 0; b < 4; ++b) correlation += base[p][b] * moved[p][b];
      }
      if (correlation > most) most = correlation, best = left;
    }
    const auto moved = hot(kmers[n].letters, best);
    for (int p = 0; p < 3 * k; ++p) {
      for (int b = 0; b < 4; ++b) sum[p][b] += kmers[n].weight * moved[p][b];
    }
  }
  int first = 0, last = 3 * k - 1;
  const auto empty = [&](int p) { return sum[p][0] + sum[p][1] + sum[p][2] + sum[p][3] == 0; };
  while (empty(first)) ++first;
  while (empty(last)) --last;
  std::vector<Column> kept(sum.begin() + first, sum.begin() + last);
  for (Column& column : kept) {
    for (double& x : column) x /= total;
  }
  return kept;
}

TEST(AlignKmersTest, PublishedAgainstTheOracle) {
  PhiloxStream random(5);
  for (const int k : {2, 3, 4, 6}) {
    for (const double lowest : {0.0, -0.7}) {
      std::vector<WeightedSequence> kmers;
      for (int i = 0; i < 1 << (2 * std::min(k, 4)); ++i) {
        std::string letters;
        for (int j = 0; j < k; ++j) letters += "ACGU"[random.Below(4)];
        kmers.push_back({letters, lowest + random.Uniform()});
      }
      const auto motif = AlignKmers(kmers, PresetAlignment(Preset::kPublished));
      ASSERT_TRUE(motif.ok()) << motif.status();
      ExpectColumns(motif->sums, PublishedOracle(kmers), 1e-14);
      for (const Column& column : motif->pwm.columns) {
        ExpectWithin(column[0] + column[1] + column[2] + column[3], 1, 1e-14);
      }
    }
  }
}

TEST(AlignKmersTest, PublishedFaultsByHand) {
  // The top k-mer has no weight but counts in the total; the last column is cut.
  const std::vector<WeightedSequence> kmers = {{"UGC", 3}, {"UGA", 1}};
  const auto motif = AlignKmers(kmers, PresetAlignment(Preset::kPublished));
  ExpectColumns(motif->sums, {{0, 0, 0, 0.25}, {0, 0, 0.25, 0}});
  ExpectEqual(motif->offset, 0);
  // Scaled: weights 1.01 and 0.01. No match: at the far left, and the column next to the top k-mer is the one cut.
  const std::vector<WeightedSequence> negative = {{"AAA", 3}, {"CCC", -1}};
  const auto scaled = AlignKmers(negative, PresetAlignment(Preset::kPublished));
  ExpectEqual(scaled->offset, -3);
  ExpectColumns(scaled->sums, {{0, 0.01 / 1.02, 0, 0}, {0, 0.01 / 1.02, 0, 0}}, 1e-15);
  const std::vector<WeightedSequence> alone = {{"AAA", 3}};
  ExpectError(AlignKmers(alone, PresetAlignment(Preset::kPublished)), StatusCode::kInvalidArgument, {"no column left"});
}

TEST(AlignKmersTest, Refusals) {
  const auto paper = PresetAlignment(Preset::kPaper);
  const auto expect = [](std::vector<WeightedSequence> kmers, AlignmentOptions options, std::string part) {
    ExpectError(AlignKmers(kmers, options), StatusCode::kInvalidArgument, {part, "expected"});
  };
  expect({}, paper, "no letters");
  expect({{"", 1}}, paper, "no letters");
  expect({{"ACG", 1}, {"AC", 1}}, paper, "sequence 2 ('AC') has 2 letters; expected 3");
  expect({{"ACN", 1}}, paper, "the letter 'N'");
  expect({{"AC\n", 1}}, paper, "'\\n'");
  expect({{"AC", kNan}}, paper, "weight nan");
  expect({{"AC", 0}, {"CC", -1}}, paper, "no k-mer of positive weight");
  AlignmentOptions bad = paper;
  bad.top = -1;
  expect({{"AC", 1}}, bad, "top -1");
  bad = paper;
  bad.trim = 1;
  expect({{"AC", 1}}, bad, "trim 1");
  // Published with nothing but one negative weight: 0 / 0.
  expect({{"AC", -1}}, PresetAlignment(Preset::kPublished), "no k-mer of positive weight");
}

TEST(TopKmerTest, OneLetterAColumn) {
  const std::vector<WeightedSequence> kmers = {{"AAA", 1}, {"uTg", 2}, {"CCC", 2}};
  const auto pwm = TopKmerMotif(kmers);
  ExpectEqual(pwm->name, std::string("UUG"));
  ExpectColumns(pwm->columns, {{0, 0, 0, 1}, {0, 0, 0, 1}, {0, 0, 1, 0}});
  ExpectError(TopKmerMotif({}), StatusCode::kInvalidArgument, {"no letters"});
}

TEST(FrequencyMatrixTest, WeightsUnknownsAndPseudocounts) {
  const std::vector<WeightedSequence> sequences = {{"ANNU", 3}, {"CGNu", 1}, {"CCNt", 0}};
  ExpectColumns(FrequencyMatrix(sequences)->columns,
                {{0.75, 0.25, 0, 0}, {0, 0, 1, 0}, {0.25, 0.25, 0.25, 0.25}, {0, 0, 0, 1}});
  ExpectColumns(
      FrequencyMatrix(sequences, 1)->columns,
      {{0.5, 0.25, 0.125, 0.125}, {0.2, 0.2, 0.4, 0.2}, {0.25, 0.25, 0.25, 0.25}, {0.125, 0.125, 0.125, 0.625}});
  const std::vector<WeightedSequence> negative = {{"A", -1}}, bad = {{"AX", 1}};
  ExpectError(FrequencyMatrix(negative), StatusCode::kInvalidArgument, {"weight -1", "expected"});
  ExpectError(FrequencyMatrix(bad), StatusCode::kInvalidArgument, {"'X'", "or N"});
  ExpectError(FrequencyMatrix(sequences, -1), StatusCode::kInvalidArgument, {"pseudocount is -1"});
  ExpectError(FrequencyMatrix({}), StatusCode::kInvalidArgument, {"no letters"});
}

}  // namespace
}  // namespace rb
