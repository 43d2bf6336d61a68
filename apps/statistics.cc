#include "apps/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace rb::apps {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMostExact = 25;

// P(W <= w) under the null for n untied ranks: counts subsets of {1..n} by their sum.
double ExactLowerTail(int64_t n, int64_t w) {
  std::vector<double> subsets(static_cast<size_t>(n * (n + 1) / 2 + 1), 0.0);
  subsets[0] = 1;
  for (int64_t rank = 1; rank <= n; ++rank) {
    for (int64_t sum = static_cast<int64_t>(subsets.size()) - 1; sum >= rank; --sum)
      subsets[sum] += subsets[sum - rank];
  }
  double count = 0;
  for (int64_t sum = 0; sum <= w; ++sum) count += subsets[sum];
  return std::ldexp(count, -static_cast<int>(n));
}

}  // namespace

double Mean(std::span<const double> values) {
  if (values.empty()) return kNan;
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double PopulationSd(std::span<const double> values) {
  const double mean = Mean(values);
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return values.empty() ? kNan : std::sqrt(sum / static_cast<double>(values.size()));
}

Wilcoxon WilcoxonSignedRank(std::span<const double> differences) {
  std::vector<double> d;
  for (const double x : differences) {
    if (x != 0) d.push_back(x);
  }
  Wilcoxon result;
  result.n = static_cast<int64_t>(d.size());
  result.p = kNan;
  if (d.empty() || std::any_of(d.begin(), d.end(), [](double x) { return std::isnan(x); })) return result;
  std::sort(d.begin(), d.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  double ties = 0;  // sum of t^3 - t over groups of equal magnitude
  for (size_t i = 0; i < d.size();) {
    size_t end = i;
    while (end < d.size() && std::abs(d[end]) == std::abs(d[i])) ++end;
    const double t = static_cast<double>(end - i), rank = (static_cast<double>(i + end) + 1) / 2;
    for (; i < end; ++i) (d[i] > 0 ? result.positive : result.negative) += rank;
    ties += t * t * t - t;
  }
  const double lower = std::min(result.positive, result.negative), n = static_cast<double>(result.n);
  if (result.n <= kMostExact && ties == 0) {
    result.exact = true;
    result.p = std::min(1.0, 2 * ExactLowerTail(result.n, std::llround(lower)));
    return result;
  }
  const double mean = n * (n + 1) / 4, variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48;
  const double z = std::max(0.0, mean - lower - 0.5) / std::sqrt(variance);
  result.p = variance > 0 ? std::min(1.0, std::erfc(z / std::sqrt(2.0))) : 1.0;
  return result;
}

}  // namespace rb::apps
