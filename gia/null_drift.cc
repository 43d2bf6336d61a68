#include "gia/null_drift.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "data/alphabet.h"
#include "data/text.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

constexpr int kKmers = 64;

absl::Status CheckScores(std::string_view side, const Sequences& sequences, std::span<const float> scores) {
  if (sequences.size() == 0) return absl::InvalidArgumentError(Concat("no ", side, " sequences; expected some"));
  if (scores.size() != static_cast<size_t>(sequences.size())) {
    return absl::InvalidArgumentError(
        Concat(scores.size(), " scores of ", side, " sequences; expected one for each of ", sequences.size()));
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isfinite(scores[i])) continue;
    return absl::InvalidArgumentError(
        Concat(side, " sequence ", i, " scores ", scores[i], "; expected a finite score"));
  }
  return absl::OkStatus();
}

void MeanAndSd(std::span<const float> values, double* mean, double* sd) {
  double sum = 0, squares = 0;
  for (const float value : values) sum += value;
  *mean = sum / static_cast<double>(values.size());
  for (const float value : values) squares += (value - *mean) * (value - *mean);
  *sd = std::sqrt(squares / static_cast<double>(values.size() - 1));  // 0 / 0 with one value: NaN
}

double KolmogorovSmirnov(std::span<const float> a, std::span<const float> b) {
  std::vector<float> x(a.begin(), a.end()), y(b.begin(), b.end());
  std::sort(x.begin(), x.end());
  std::sort(y.begin(), y.end());
  double largest = 0;
  for (size_t i = 0, j = 0; i < x.size() && j < y.size();) {
    const float at = std::min(x[i], y[j]);
    while (i < x.size() && x[i] == at) ++i;
    while (j < y.size() && y[j] == at) ++j;
    largest = std::max(largest, std::abs(static_cast<double>(i) / static_cast<double>(x.size()) -
                                         static_cast<double>(j) / static_cast<double>(y.size())));
  }
  return largest;
}

struct KmerCounts {
  std::array<int64_t, kKmers> count{};
  int64_t windows = 0;
};

KmerCounts CountKmers(const Sequences& sequences) {
  KmerCounts result;
  for (int64_t i = 0; i < sequences.size(); ++i) {
    int kmer = 0, known = 0;
    for (int p = 0; p < sequences.length; ++p) {
      const uint8_t base = BaseAt(sequences.packed(i), sequences.length, p);
      known = base == kUnknownBase ? 0 : known + 1;
      kmer = (kmer * 4 + (base & 3)) % kKmers;
      if (known < 3) continue;
      ++result.count[static_cast<size_t>(kmer)];
      ++result.windows;
    }
  }
  return result;
}

absl::Status CompareKmers(const Sequences& nulls, const Sequences& real, NullDrift* drift) {
  const KmerCounts a = CountKmers(nulls), b = CountKmers(real);
  if (a.windows == 0 || b.windows == 0) {
    return absl::InvalidArgumentError(Concat("no three known bases in a row in any ", a.windows == 0 ? "null" : "real",
                                             " sequence; expected some to compare 3-mers"));
  }
  const double windows_a = static_cast<double>(a.windows), windows_b = static_cast<double>(b.windows);
  double sum = 0;
  for (size_t kmer = 0; kmer < kKmers; ++kmer) {
    const double difference =
        static_cast<double>(a.count[kmer]) / windows_a - static_cast<double>(b.count[kmer]) / windows_b;
    sum += std::abs(difference);
    if (kmer > 0 && !(std::abs(difference) > std::abs(drift->largest_difference))) continue;
    drift->largest_difference = difference;
    drift->largest_kmer = {kBaseLetters[kmer / 16], kBaseLetters[kmer / 4 % 4], kBaseLetters[kmer % 4]};
  }
  drift->total_variation = sum / 2;
  // E|a - b| <= sqrt(var(a - b)) <= sqrt(p (1/windows + 1/windows')); by Cauchy and Schwarz the sum over 64 k-mers is
  // at most sqrt(64 ..).
  drift->total_variation_noise = std::sqrt(kKmers * (1 / windows_a + 1 / windows_b)) / 2;
  return absl::OkStatus();
}

}  // namespace

bool NullDrift::drifted() const {
  return ks - ks_noise > kDriftMaxKs || total_variation - total_variation_noise > kDriftMaxTotalVariation;
}

absl::StatusOr<NullDrift> CompareWithReal(const Sequences& nulls, std::span<const float> null_scores,
                                          const Sequences& real, std::span<const float> real_scores) {
  RB_RETURN_IF_ERROR(CheckScores("null", nulls, null_scores));
  RB_RETURN_IF_ERROR(CheckScores("real", real, real_scores));
  NullDrift drift;
  drift.null_sequences = nulls.size();
  drift.real_sequences = real.size();
  MeanAndSd(null_scores, &drift.null_mean, &drift.null_sd);
  MeanAndSd(real_scores, &drift.real_mean, &drift.real_sd);
  drift.ks = KolmogorovSmirnov(null_scores, real_scores);
  drift.ks_noise =
      kDriftKsNoise * std::sqrt(1 / static_cast<double>(nulls.size()) + 1 / static_cast<double>(real.size()));
  RB_RETURN_IF_ERROR(CompareKmers(nulls, real, &drift));
  return drift;
}

std::string FormatDrift(const NullDrift& drift, bool dna) {
  const std::string kmer = InAlphabet(drift.largest_kmer, dna);
  return absl::StrFormat(
      "null against real sequences: %s; scores %.3f +- %.3f (n %d) against %.3f +- %.3f (n %d), "
      "Kolmogorov-Smirnov distance %.3f (at most %.3f)\n"
      "3-mers: total variation %.3f (at most %.3f), largest difference %+.4f at %s",
      drift.drifted() ? "they differ, read effects with care" : "similar", drift.null_mean, drift.null_sd,
      drift.null_sequences, drift.real_mean, drift.real_sd, drift.real_sequences, drift.ks,
      kDriftMaxKs + drift.ks_noise, drift.total_variation, kDriftMaxTotalVariation + drift.total_variation_noise,
      drift.largest_difference, kmer);
}

}  // namespace rb
