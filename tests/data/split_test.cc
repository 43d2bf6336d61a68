// Splits and the profile.
#include "data/split.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "data/readers.h"
#include "kernels/feistel.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::ExpectWithin;

// n probes; every third is in set B.
Dataset Folds(int n, bool with_b = true) {
  Dataset dataset;
  for (int i = 0; i < n; ++i) dataset.folds.push_back(with_b && i % 3 == 0 ? Fold::kB : Fold::kA);
  return dataset;
}

TEST(Split, CoversEveryProbeOnceAndKeepsSetBForTest) {
  for (const int n : {30, 31, 100, 12345}) {
    const Dataset dataset = Folds(n);
    const Split split = MakeSplit(dataset, 7).value();
    const size_t set_a = static_cast<size_t>(std::count(dataset.folds.begin(), dataset.folds.end(), Fold::kA));
    ExpectEqual(split.valid.size(), static_cast<size_t>(std::floor(0.1 * static_cast<double>(set_a))));
    ExpectEqual(split.train.size() + split.valid.size(), set_a);
    std::vector<int32_t> all;
    for (const auto* rows : {&split.train, &split.valid, &split.test}) {
      ExpectEqual(std::is_sorted(rows->begin(), rows->end()), true);
      all.insert(all.end(), rows->begin(), rows->end());
    }
    std::sort(all.begin(), all.end());
    std::vector<int32_t> expected(n);
    std::iota(expected.begin(), expected.end(), 0);
    ExpectEqual(all, expected);
    for (const int32_t row : split.test) ExpectEqual(dataset.folds[row], Fold::kB);
  }
}

TEST(Split, ValidationIsTheHeadOfOnePermutationOfSetA) {
  const Dataset dataset = Folds(1000);
  std::vector<int32_t> set_a;
  for (int i = 0; i < 1000; ++i) {
    if (dataset.folds[i] == Fold::kA) set_a.push_back(i);
  }
  const uint32_t n = static_cast<uint32_t>(set_a.size());
  const FeistelPermutation permutation(n, DeriveKey(9, Purpose::kSplit, 0));
  const Split split = MakeSplit(dataset, 9).value();
  std::vector<int32_t> expected;
  for (uint32_t i = 0; i < n / 10; ++i) expected.push_back(set_a[permutation(i)]);
  std::sort(expected.begin(), expected.end());
  ExpectEqual(split.valid, expected);
  ExpectEqual(MakeSplit(dataset, 9).value().valid, split.valid);
  ExpectEqual(MakeSplit(dataset, 10).value().valid == split.valid, false);
}

TEST(Split, IsTheSameForEveryExperimentWhateverIsMissing) {
  Dataset dataset = Folds(300);
  const Split bare = MakeSplit(dataset, 1).value();
  dataset.experiments = {"a", "b"};
  dataset.targets.assign(600, 1.0f);
  for (int i = 0; i < 300; i += 2) dataset.targets[300 + i] = std::numeric_limits<float>::quiet_NaN();
  dataset.sequences.widths.assign(300, 41);
  const Split split = MakeSplit(dataset, 1).value();
  ExpectEqual(split.train, bare.train);
  ExpectEqual(split.valid, bare.valid);
  ExpectEqual(PresentRows(split.train, dataset.target(0)), split.train);
  const std::vector<int32_t> present = PresentRows(split.train, dataset.target(1));
  std::vector<int32_t> odd;
  for (const int32_t row : split.train) {
    if (row % 2 == 1) odd.push_back(row);
  }
  ExpectEqual(present, odd);
}

TEST(Split, WithoutSetBATenthBecomesTheTest) {
  const Split split = MakeSplit(Folds(207, false), 4).value();
  ExpectEqual(split.valid.size(), size_t{20});
  ExpectEqual(split.test.size(), size_t{20});
  ExpectEqual(split.train.size(), size_t{167});
  std::set<int32_t> all(split.train.begin(), split.train.end());
  all.insert(split.valid.begin(), split.valid.end());
  all.insert(split.test.begin(), split.test.end());
  ExpectEqual(all.size(), size_t{207});
}

TEST(Split, FilesThatFixTheSplitKeepIt) {
  Dataset dataset;
  dataset.parts = {Part::kTest, Part::kTrain, Part::kValid, Part::kTrain};
  const Split split = MakeSplit(dataset, 5).value();
  ExpectEqual(split.train, std::vector<int32_t>({1, 3}));
  ExpectEqual(split.valid, std::vector<int32_t>({2}));
  ExpectEqual(split.test, std::vector<int32_t>({0}));
}

TEST(Split, RefusesTooFewProbes) {
  ExpectError(MakeSplit(Folds(12), 0), StatusCode::kInvalidArgument, {"found 8 probes of set A", "0 for validation"});
  ExpectError(MakeSplit(Folds(0), 0), StatusCode::kInvalidArgument, {"found 0 probes"});
  ExpectError(MakeSplit(Folds(30), 0, 1.0), StatusCode::kInvalidArgument, {"fraction 1", "expected 0 or more"});
  ExpectError(MakeSplit(Folds(30), 0, std::nan("")), StatusCode::kInvalidArgument, {"fraction"});
  ExpectEqual(MakeSplit(Folds(30), 0, 0.0).value().valid.empty(), true);
}

TEST(Profile, CountsCoveredPositionsAndFillsTheRestWithTheOverallComposition) {
  Sequences sequences;
  sequences.length = 5;
  const size_t words = static_cast<size_t>(PackedWords(5));
  for (const char* bases : {"AC", "GCU", "ANU", "UUUUU"}) {
    sequences.bases.resize(sequences.bases.size() + words);
    PackCentred(bases, 5, sequences.bases.data() + sequences.bases.size() - words);
    sequences.widths.push_back(static_cast<uint16_t>(std::string(bases).size()));
  }
  // Rows 0-2 centred: .AC.. / .GCU. / .ANU. ; row 3 is left out.
  const std::vector<float> profile = NucleotideProfile(sequences, {0, 1, 2});
  const double expected[5][4] = {{2.0 / 7, 2.0 / 7, 1.0 / 7, 2.0 / 7},  // nobody: 2 A, 2 C, 1 G, 2 U
                                 {2.0 / 3, 0, 1.0 / 3, 0},
                                 {0, 1, 0, 0},
                                 {0, 0, 0, 1},
                                 {2.0 / 7, 2.0 / 7, 1.0 / 7, 2.0 / 7}};
  ASSERT_EQ(profile.size(), size_t{20});
  for (int p = 0; p < 5; ++p) {
    for (int c = 0; c < 4; ++c) ExpectWithin(profile[p * 4 + c], expected[p][c], 1e-7);  // one float rounding
  }
  for (const float f : NucleotideProfile(sequences, {})) ExpectEqual(f, 0.25f);
}

}  // namespace
}  // namespace rb
