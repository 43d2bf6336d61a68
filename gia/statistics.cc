#include "gia/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "engine/check.h"
#include "gia/distributions.h"

namespace rb {
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

// sum of (values - mean)^2
double SquaredDeviations(std::span<const double> values, double mean) {
  return ChunkedSum(std::ssize(values), [&](int64_t i) { return (values[i] - mean) * (values[i] - mean); });
}

void FinishTTest(TTest* test) {
  test->t = test->difference / test->se;
  test->p = StudentTwoSidedP(test->t, test->df);
}

// The sums of squares and products behind lines and correlations, after the means are taken off.
struct Moments {
  double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
};

Moments MomentsOf(std::span<const double> x, std::span<const double> y) {
  RB_CHECK(x.size() == y.size());
  Moments m;
  m.mean_x = Mean(x);
  m.mean_y = Mean(y);
  m.xx = SquaredDeviations(x, m.mean_x);
  m.yy = SquaredDeviations(y, m.mean_y);
  m.xy = ChunkedSum(std::ssize(x), [&](int64_t i) { return (x[i] - m.mean_x) * (y[i] - m.mean_y); });
  return m;
}

// Residual sum of squares around the line of `slope`: unlike yy - slope xy it keeps its digits when the fit is good.
double Residuals(std::span<const double> x, std::span<const double> y, const Moments& m, double slope) {
  return ChunkedSum(std::ssize(x), [&](int64_t i) {
    const double residual = (y[i] - m.mean_y) - slope * (x[i] - m.mean_x);
    return residual * residual;
  });
}

}  // namespace

double ChunkedSum(std::span<const double> values) {
  return ChunkedSum(std::ssize(values), [&](int64_t i) { return values[i]; });
}

std::vector<double> ChunkSums(std::span<const double> values) {
  std::vector<double> sums;
  for (size_t first = 0; first < values.size(); first += kSumChunk) {
    const auto chunk = values.subspan(first, std::min<size_t>(kSumChunk, values.size() - first));
    sums.push_back(std::accumulate(chunk.begin(), chunk.end(), 0.0));
  }
  return sums;
}

double AddChunkSums(std::span<const double> sums) { return std::accumulate(sums.begin(), sums.end(), 0.0); }

double Mean(std::span<const double> values) {
  return values.empty() ? kNan : ChunkedSum(values) / static_cast<double>(values.size());
}

double PopulationSd(std::span<const double> values) {
  if (values.empty()) return kNan;
  return std::sqrt(SquaredDeviations(values, Mean(values)) / static_cast<double>(values.size()));
}

double SampleSd(std::span<const double> values) {
  if (values.size() < 2) return kNan;
  return std::sqrt(SquaredDeviations(values, Mean(values)) / static_cast<double>(values.size() - 1));
}

SampleSummary Summarize(std::span<const double> values, double level) {
  SampleSummary s;
  s.n = std::ssize(values);
  s.mean = Mean(values);
  s.sd = SampleSd(values);
  s.se = s.sd / std::sqrt(static_cast<double>(s.n));
  const double half = StudentQuantile(1 - level, static_cast<double>(s.n - 1)) * s.se;
  s.ci_low = s.mean - half;
  s.ci_high = s.mean + half;
  return s;
}

std::vector<double> Differences(std::span<const float> with, std::span<const float> without) {
  RB_CHECK(with.size() == without.size());
  std::vector<double> differences(with.size());
  for (size_t i = 0; i < with.size(); ++i) differences[i] = static_cast<double>(with[i]) - without[i];
  return differences;
}

TTest PairedTTest(std::span<const double> differences) {
  TTest test;
  test.n = std::ssize(differences);
  test.difference = Mean(differences);
  test.se = SampleSd(differences) / std::sqrt(static_cast<double>(test.n));
  test.df = static_cast<double>(test.n - 1);
  FinishTTest(&test);
  return test;
}

TTest WelchTTest(std::span<const double> a, std::span<const double> b) {
  TTest test;
  test.n = std::ssize(a) + std::ssize(b);
  test.difference = Mean(a) - Mean(b);
  const double na = static_cast<double>(a.size()), nb = static_cast<double>(b.size());
  const double sa = SampleSd(a), sb = SampleSd(b), va = sa * sa / na, vb = sb * sb / nb;
  test.se = std::sqrt(va + vb);
  // Without spread every choice of df gives the same p.
  test.df = va + vb == 0 ? na + nb - 2 : (va + vb) * (va + vb) / (va * va / (na - 1) + vb * vb / (nb - 1));
  FinishTTest(&test);
  return test;
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

std::vector<double> BenjaminiHochberg(std::span<const double> p) {
  std::vector<size_t> order;
  for (size_t i = 0; i < p.size(); ++i) {
    if (!std::isnan(p[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> q(p.size(), kNan);
  const double m = static_cast<double>(order.size());
  double least = 1;
  for (size_t k = order.size(); k-- > 0;) {
    least = std::min(least, p[order[k]] * (m / static_cast<double>(k + 1)));  // never below p
    q[order[k]] = least;
  }
  return q;
}

StraightLine FitLine(std::span<const double> x, std::span<const double> y) {
  const Moments m = MomentsOf(x, y);
  StraightLine line;
  line.n = std::ssize(x);
  line.slope = line.n < 2 || m.xx == 0 ? kNan : m.xy / m.xx;
  line.intercept = m.mean_y - line.slope * m.mean_x;
  const double residual = Residuals(x, y, m, line.slope);
  line.r_squared = m.yy == 0 ? kNan : 1 - residual / m.yy;
  line.slope_se = line.n < 3 ? kNan : std::sqrt(residual / static_cast<double>(line.n - 2) / m.xx);
  return line;
}

Correlation PearsonTest(std::span<const double> x, std::span<const double> y) {
  const Moments m = MomentsOf(x, y);
  Correlation c;
  c.n = std::ssize(x);
  c.r = c.p = kNan;
  if (c.n < 2 || m.xx == 0 || m.yy == 0) return c;
  c.r = std::clamp(m.xy / (std::sqrt(m.xx) * std::sqrt(m.yy)), -1.0, 1.0);
  // 1 - r^2 from the residuals: it has its digits also where r is near 1. P(|T| >= |t|) = I_(1 - r^2)((n - 2) / 2,
  // 1/2).
  const double rest = std::min(1.0, Residuals(x, y, m, m.xy / m.xx) / m.yy);
  if (c.n >= 3) c.p = IncompleteBeta(static_cast<double>(c.n - 2) / 2, 0.5, rest, c.r * c.r);
  return c;
}

}  // namespace rb
