#include "gia/pwm_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "gia/kmer_scan.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

constexpr double kTrim = 0.5;         // share of the weight that an outer column needs
constexpr double kPseudocount = 0.1;  // of all weight

double Total(const std::array<double, 4>& column) { return std::accumulate(column.begin(), column.end(), 0.0); }

// Shares of the letters in the training probes; as if each had been seen once more.
std::array<double, 4> Composition(const BaselineData& data) {
  std::array<double, 4> counts = {1, 1, 1, 1};
  for (const int32_t row : data.train) {
    for (int p = 0; p < data.sequences.length; ++p) {
      const uint8_t base = BaseAt(data.sequences.packed(row), data.sequences.length, p);
      if (base != kUnknownBase) ++counts[base];
    }
  }
  const double all = Total(counts);
  for (double& count : counts) count /= all;
  return counts;
}

// The `width` columns next to each other with the most weight, of equal ones the first.
void Narrow(int width, std::vector<std::array<double, 4>>& sums) {
  if (width == 0 || std::ssize(sums) <= width) return;
  size_t best = 0;
  double most = -1;
  for (size_t first = 0; first + width <= sums.size(); ++first) {
    double weight = 0;
    for (int c = 0; c < width; ++c) weight += Total(sums[first + c]);
    if (weight > most) most = weight, best = first;
  }
  sums = std::vector(sums.begin() + best, sums.begin() + best + width);
}

// The line from the matrix's scores to the targets, by least squares on the training part.
absl::Status FitLine(const BaselineData& data, Baseline& model) {
  const int64_t n = std::ssize(data.train);
  std::vector<float> scores(static_cast<size_t>(n));
  model.intercept = 0, model.slope = 1;
  RB_RETURN_IF_ERROR(NewBaselineScorer(model, data.sequences.length)
                         ->Score(data.sequences.bases.data(), nullptr, data.train.data(), n, scores.data()));
  const auto mean = [&](std::span<const float> v) { return std::accumulate(v.begin(), v.end(), 0.0) / n; };
  const double x_mean = mean(scores), y_mean = mean(data.train_targets);
  double xx = 0, xy = 0;
  for (int64_t i = 0; i < n; ++i) {
    xx += (scores[i] - x_mean) * (scores[i] - x_mean);
    xy += (scores[i] - x_mean) * (data.train_targets[i] - y_mean);
  }
  const double slope = xx > 0 ? xy / xx : 0;
  model.slope = static_cast<float>(slope);
  model.intercept = static_cast<float>(y_mean - slope * x_mean);
  return absl::OkStatus();
}

}  // namespace

std::vector<WeightedSequence> KmerZScores(const BaselineData& data, int k) {
  const size_t kmers = size_t{1} << (2 * k);
  std::vector<double> sums(kmers, 0.0);
  std::vector<int64_t> probes(kmers, 0);
  std::vector<int32_t> numbers(static_cast<size_t>(data.sequences.length));
  const double n = static_cast<double>(data.train.size());
  const double mean = std::accumulate(data.train_targets.begin(), data.train_targets.end(), 0.0) / n;
  double squares = 0;
  for (size_t i = 0; i < data.train.size(); ++i) {
    const double above = data.train_targets[i] - mean;
    squares += above * above;
    const int count = KmersOf(data.sequences.packed(data.train[i]), data.sequences.length, k, numbers.data());
    std::sort(numbers.begin(), numbers.begin() + count);
    const auto end = std::unique(numbers.begin(), numbers.begin() + count);
    for (auto kmer = numbers.begin(); kmer != end; ++kmer) {
      sums[*kmer] += above;
      ++probes[*kmer];
    }
  }
  const double sd = std::sqrt(squares / n);
  std::vector<WeightedSequence> scored;
  for (size_t m = 0; m < kmers && sd > 0; ++m) {
    if (probes[m] == 0) continue;
    scored.push_back(
        {KmerLetters(static_cast<int64_t>(m), k), sums[m] / std::sqrt(static_cast<double>(probes[m])) / sd});
  }
  return scored;
}

std::vector<float> LogOdds(const AlignmentMotif& motif, double total, const std::array<double, 4>& background) {
  std::vector<float> odds;
  const double added = kPseudocount * total;
  for (const auto& column : motif.sums) {
    const double all = Total(column) + added;
    for (int b = 0; b < 4; ++b) {
      const double p = (column[b] + added * background[b]) / all;
      odds.push_back(static_cast<float>(std::log(p / background[b])));
    }
  }
  return odds;
}

absl::StatusOr<PwmFit> FitPwm(const BaselineData& data, const PwmFitOptions& options) {
  RB_CHECK(options.k >= kMinPwmKmer && options.k <= kMaxPwmKmer && !options.tops.empty());
  std::vector<WeightedSequence> kmers = KmerZScores(data, options.k);
  std::stable_sort(kmers.begin(), kmers.end(), [](const auto& a, const auto& b) { return a.weight > b.weight; });
  std::erase_if(kmers, [](const WeightedSequence& kmer) { return !(kmer.weight > 0); });
  if (kmers.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("no ", options.k, "-mer's probes score above the mean of ",
                                                   data.train.size(), " training probes; expected scores that differ"));
  }
  const std::array<double, 4> background = Composition(data);
  PwmFit fit;
  double best = -2;
  for (const int asked : options.tops) {
    // As many as there are: of short k-mers fewer stand out than the greater numbers ask for.
    const int top = static_cast<int>(std::min(kmers.size(), static_cast<size_t>(asked)));
    const auto same = [&](const PwmTrial& trial) { return trial.top == top; };
    if (std::any_of(fit.trials.begin(), fit.trials.end(), same)) continue;
    const std::span<const WeightedSequence> strongest(kmers.data(), static_cast<size_t>(top));
    AlignmentOptions align;
    align.top = 0;
    align.trim = options.width == 0 ? kTrim : 0;
    RB_ASSIGN_OR_RETURN(AlignmentMotif motif, AlignKmers(strongest, align));
    Narrow(options.width, motif.sums);
    double total = 0;
    for (const WeightedSequence& kmer : strongest) total += kmer.weight;
    Baseline model;
    model.kind = ModelKind::kPwm;
    model.k = options.k;
    model.top = top;
    model.scan = options.scan;
    model.weights = LogOdds(motif, total, background);
    RB_RETURN_IF_ERROR(FitLine(data, model));
    PwmTrial& trial = fit.trials.emplace_back();
    trial = {top, model.width(), model.slope, 0};
    RB_ASSIGN_OR_RETURN(trial.valid_pearson, ValidPearson(model, data));
    if (!(trial.valid_pearson > best)) continue;
    best = trial.valid_pearson;
    fit.best = fit.trials.size() - 1;
    fit.model = std::move(model);
  }
  if (fit.model.kind == ModelKind::kPwm) return fit;
  return absl::InvalidArgumentError(
      absl::StrCat("the matrix scores all validation probes alike; expected probes with windows of ",
                   fit.trials[0].width, " known letters"));
}

}  // namespace rb
