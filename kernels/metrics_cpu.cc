// Metrics in double. Correlations in two passes (mean, then centred sums) so that a large offset costs no digits; rank
// metrics by one sort, O(n log n). Limited by that sort: 120,000 probes take about 10 ms.
#include "kernels/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace rb::cpu {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

bool AnyNan(const float* x, int64_t n) {
  return std::any_of(x, x + n, [](float v) { return std::isnan(v); });
}

template <class T>
bool Constant(const T* x, int64_t n) {
  return std::all_of(x, x + n, [&](T v) { return v == x[0]; });
}

template <class T>
double Mean(const T* x, int64_t n) {
  return std::accumulate(x, x + n, 0.0) / static_cast<double>(n);
}

// A constant side is asked for by comparison: its mean may round, and then its variance would not be zero.
template <class T>
double Correlation(const T* x, const T* y, int64_t n) {
  if (n < 2 || Constant(x, n) || Constant(y, n)) return kUndefined;
  const double mean_x = Mean(x, n), mean_y = Mean(y, n);
  double xx = 0, yy = 0, xy = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double dx = x[i] - mean_x, dy = y[i] - mean_y;
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  return std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);  // clamp keeps a NaN; floats cannot overflow the product
}

// Indices by ascending value. The values hold no NaN.
std::vector<int64_t> SortedOrder(const float* x, int64_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [x](int64_t a, int64_t b) { return x[a] < x[b]; });
  return order;
}

// Calls f(begin, end) for every run of equal values in sorted order.
template <class F>
void ForEachTie(const float* x, const std::vector<int64_t>& order, const F& f) {
  const size_t n = order.size();
  for (size_t begin = 0, end; begin < n; begin = end) {
    for (end = begin + 1; end < n && x[order[end]] == x[order[begin]];) ++end;
    f(begin, end);
  }
}

// Ranks from 1; equal values share the mean of their ranks.
std::vector<double> MeanRanks(const float* x, int64_t n) {
  const std::vector<int64_t> order = SortedOrder(x, n);
  std::vector<double> ranks(n);
  ForEachTie(x, order, [&](size_t begin, size_t end) {
    const double rank = 0.5 * static_cast<double>(begin + 1 + end);
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
  });
  return ranks;
}

bool Positive(float label) { return label >= 0.5f; }

// Positives and negatives of one run of equal scores.
struct Tie {
  double positives = 0, negatives = 0;
};

// All runs by ascending score; empty when the metric is undefined.
std::vector<Tie> CountTies(const float* scores, const float* labels, int64_t n) {
  if (n < 2 || AnyNan(scores, n) || AnyNan(labels, n)) return {};
  const int64_t positives = std::count_if(labels, labels + n, Positive);
  if (positives == 0 || positives == n) return {};
  const std::vector<int64_t> order = SortedOrder(scores, n);
  std::vector<Tie> ties;
  ForEachTie(scores, order, [&](size_t begin, size_t end) {
    Tie tie;
    for (size_t i = begin; i < end; ++i) ++(Positive(labels[order[i]]) ? tie.positives : tie.negatives);
    ties.push_back(tie);
  });
  return ties;
}

}  // namespace

double Pearson(const float* x, const float* y, int64_t n) {
  if (AnyNan(x, n) || AnyNan(y, n)) return kUndefined;
  return Correlation(x, y, n);
}

double Spearman(const float* x, const float* y, int64_t n) {
  if (n < 2 || AnyNan(x, n) || AnyNan(y, n)) return kUndefined;
  const std::vector<double> ranks_x = MeanRanks(x, n), ranks_y = MeanRanks(y, n);
  return Correlation(ranks_x.data(), ranks_y.data(), n);
}

// Defined from one pair on.
double MeanSquaredError(const float* x, const float* y, int64_t n) {
  if (n < 1) return kUndefined;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - y[i];
    sum += d * d;
  }
  return sum / static_cast<double>(n);
}

// Fraction of (positive, negative) pairs in which the positive scores higher, ties half.
double AreaUnderRoc(const float* scores, const float* labels, int64_t n) {
  const std::vector<Tie> ties = CountTies(scores, labels, n);
  if (ties.empty()) return kUndefined;
  double pairs = 0, positives = 0, negatives = 0;  // sums of 0.5: exact up to 2^52 pairs
  for (const Tie& tie : ties) {
    pairs += tie.positives * (negatives + 0.5 * tie.negatives);
    positives += tie.positives;
    negatives += tie.negatives;
  }
  return pairs / (positives * negatives);
}

// Sum over thresholds, from the highest score down, of (step in recall) * precision.
double AreaUnderPrecisionRecall(const float* scores, const float* labels, int64_t n) {
  const std::vector<Tie> ties = CountTies(scores, labels, n);
  if (ties.empty()) return kUndefined;
  double sum = 0, positives = 0, called = 0;
  for (auto tie = ties.rbegin(); tie != ties.rend(); ++tie) {
    positives += tie->positives;
    called += tie->positives + tie->negatives;
    sum += tie->positives * (positives / called);
  }
  return sum / positives;
}

template <>
void PairMetrics<float>(const PairMetricsArgs<float>& a, Parallel& parallel) {
  parallel.Run(a.count, [&](int64_t i, int) {
    const int slot = a.live[i];
    a.pearson[slot] = Pearson(a.x[slot], a.y[slot], a.num_rows[slot]);
    a.squared_error[slot] = MeanSquaredError(a.x[slot], a.y[slot], a.num_rows[slot]);
  });
}

}  // namespace rb::cpu
