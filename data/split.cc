// Draws the split and measures the training data's composition.
#include "data/split.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/text.h"
#include "kernels/feistel.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"

namespace rb {
namespace {

// Data without a set B: this much of set A becomes the test set.
constexpr double kTestFraction = 0.1;

Split SplitByParts(const std::vector<Part>& parts) {
  Split split;
  for (size_t i = 0; i < parts.size(); ++i) {
    std::vector<int32_t>& rows = parts[i] == Part::kTrain   ? split.train
                                 : parts[i] == Part::kValid ? split.valid
                                                            : split.test;
    rows.push_back(static_cast<int32_t>(i));
  }
  return split;
}

}  // namespace

absl::StatusOr<Split> MakeSplit(const Dataset& dataset, uint64_t seed, double valid_fraction) {
  if (!dataset.parts.empty()) return SplitByParts(dataset.parts);
  if (!(valid_fraction >= 0 && valid_fraction < 1)) {
    return absl::InvalidArgumentError(
        Concat("validation fraction ", valid_fraction, " is out of range; expected 0 or more and less than 1"));
  }
  Split split;
  std::vector<int32_t> set_a;
  for (size_t i = 0; i < dataset.folds.size(); ++i) {
    (dataset.folds[i] == Fold::kA ? set_a : split.test).push_back(static_cast<int32_t>(i));
  }
  const size_t n = set_a.size();
  const size_t valid = static_cast<size_t>(std::floor(valid_fraction * static_cast<double>(n)));
  const bool draw_test = split.test.empty();
  const size_t test = draw_test ? static_cast<size_t>(std::floor(kTestFraction * static_cast<double>(n))) : 0;
  if (valid + test >= n || (valid == 0 && valid_fraction > 0) || (draw_test && test == 0)) {
    return absl::InvalidArgumentError(
        Concat("found ", n, " probes of set A, which leaves ", n - std::min(n, valid + test), " for training, ", valid,
               " for validation and ", draw_test ? test : split.test.size(), " for test; expected some of each"));
  }
  const FeistelPermutation permutation(static_cast<uint32_t>(n), DeriveKey(seed, Purpose::kSplit, 0));
  for (size_t i = 0; i < n; ++i) {
    const int32_t row = set_a[permutation(static_cast<uint32_t>(i))];
    (i < valid ? split.valid : i < valid + test ? split.test : split.train).push_back(row);
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.valid.begin(), split.valid.end());
  std::sort(split.test.begin(), split.test.end());
  return split;
}

std::vector<int32_t> PresentRows(const std::vector<int32_t>& rows, std::span<const float> target) {
  std::vector<int32_t> present;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(present),
               [&](int32_t row) { return !std::isnan(target[static_cast<size_t>(row)]); });
  return present;
}

std::vector<float> NucleotideProfile(const Sequences& sequences, const std::vector<int32_t>& rows) {
  const int length = sequences.length;
  std::vector<std::array<int64_t, 4>> counts(static_cast<size_t>(length));
  std::array<int64_t, 4> overall{};
  for (const int32_t row : rows) {
    for (int p = 0; p < length; ++p) {
      const uint8_t base = BaseAt(sequences.packed(row), length, p);
      if (base == kUnknownBase) continue;
      ++counts[p][base];
      ++overall[base];
    }
  }
  // No base anywhere: as if each letter had been seen once.
  if (overall == std::array<int64_t, 4>{}) overall = {1, 1, 1, 1};
  std::vector<float> profile;
  for (const auto& here : counts) {
    const bool covered = here != std::array<int64_t, 4>{};
    const std::array<int64_t, 4>& from = covered ? here : overall;
    const double total = static_cast<double>(from[0] + from[1] + from[2] + from[3]);
    for (const int64_t count : from) profile.push_back(static_cast<float>(static_cast<double>(count) / total));
  }
  return profile;
}

}  // namespace rb
