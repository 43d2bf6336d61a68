// Tests of statistics against published and enumerated values, closed forms and straightforward sums.
#include "gia/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "gia/distributions.h"
#include "kernels/philox.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

// Two-sided p by going through all 2^n signs.
double EnumeratedP(const std::vector<double>& d) {
  std::vector<double> magnitude;
  for (const double x : d) magnitude.push_back(std::abs(x));
  const int n = static_cast<int>(d.size());
  std::vector<int> rank(d.size());
  double observed = 0;
  for (int i = 0; i < n; ++i) {
    rank[i] = 1 + static_cast<int>(
                      std::count_if(magnitude.begin(), magnitude.end(), [&](double m) { return m < magnitude[i]; }));
    if (d[i] > 0) observed += rank[i];
  }
  const double total = n * (n + 1) / 2.0, lower = std::min(observed, total - observed);
  int64_t extreme = 0;
  for (uint32_t signs = 0; signs < (1u << n); ++signs) {
    int sum = 0;
    for (int i = 0; i < n; ++i) sum += (signs >> i & 1u) ? rank[i] : 0;
    extreme += sum <= lower || sum >= total - lower;
  }
  return std::min(1.0, static_cast<double>(extreme) / std::ldexp(1.0, n));
}

TEST(WilcoxonTest, PublishedExamples) {
  // Hollander & Wolfe 1973, p. 29: depression scale of nine patients; W+ = 40, one-sided p = 0.01953.
  const std::vector<double> x = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
  const std::vector<double> y = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
  std::vector<double> d;
  for (size_t i = 0; i < x.size(); ++i) d.push_back(x[i] - y[i]);
  const Wilcoxon depression = WilcoxonSignedRank(d);
  ExpectEqual(depression.positive, 40.0);
  ExpectEqual(depression.negative, 5.0);
  ExpectEqual(depression.exact, true);
  ExpectEqual(depression.p, 0.0390625);
  // Darwin's maize: heights of 15 pairs in eighths of an inch; W- = 24, p = 0.041259765625.
  const std::vector<double> maize = {6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75};
  const Wilcoxon darwin = WilcoxonSignedRank(maize);
  ExpectEqual(darwin.negative, 24.0);
  ExpectEqual(darwin.p, 0.041259765625);
}

TEST(WilcoxonTest, ExactAgainstEnumeration) {
  uint32_t bits = 12345;
  for (int n = 1; n <= 14; ++n) {
    std::vector<double> d;
    for (int i = 0; i < n; ++i) {
      bits = bits * 1664525u + 1013904223u;
      d.push_back((i + 1 + (bits >> 8) % 7 * 0.1) * (bits >> 31 ? 1 : -1));
    }
    const Wilcoxon found = WilcoxonSignedRank(d);
    ExpectEqual(found.exact, true);
    ExpectEqual(found.positive + found.negative, n * (n + 1) / 2.0);
    ExpectWithin(found.p, EnumeratedP(d), 1e-14, "n " + std::to_string(n));
  }
}

TEST(WilcoxonTest, NormalApproximation) {
  // Ties: |d| = 1, 1, 2, 2, 2, 3 with ranks 1.5, 1.5, 4, 4, 4, 6. W- = 5.5, mean 10.5,
  // variance 6*7*13/24 - (6 + 24)/48 = 22.125, z = (10.5 - 5.5 - 0.5)/sqrt(22.125).
  const std::vector<double> tied = {1, -1, 2, 2, -2, 3};
  const Wilcoxon small = WilcoxonSignedRank(tied);
  ExpectEqual(small.exact, false);
  ExpectEqual(small.negative, 5.5);
  ExpectWithin(small.p, std::erfc(4.5 / std::sqrt(22.125) / std::sqrt(2.0)), 1e-15);
  // 26 untied differences, the ten smallest negative: W- = 55, mean 175.5, variance 1550.25.
  std::vector<double> many(26);
  std::iota(many.begin(), many.end(), 1.0);
  for (int i = 0; i < 10; ++i) many[i] = -many[i];
  const Wilcoxon large = WilcoxonSignedRank(many);
  ExpectEqual(large.exact, false);
  ExpectWithin(large.p, std::erfc((175.5 - 55 - 0.5) / std::sqrt(1550.25) / std::sqrt(2.0)), 1e-15);
  // With 25 the exact value is near the approximation: both are right.
  many.pop_back();
  const Wilcoxon edge = WilcoxonSignedRank(many);
  ExpectEqual(edge.exact, true);
  ExpectWithin(edge.p, std::erfc((162.5 - 55 - 0.5) / std::sqrt(25.0 * 26 * 51 / 24) / std::sqrt(2.0)), 2e-3);
}

TEST(WilcoxonTest, Degenerate) {
  ExpectEqual(std::isnan(WilcoxonSignedRank({}).p), true);
  const std::vector<double> zeros = {0, 0}, one = {2}, nan = {1, std::numeric_limits<double>::quiet_NaN()};
  ExpectEqual(std::isnan(WilcoxonSignedRank(zeros).p), true);
  ExpectEqual(WilcoxonSignedRank(one).p, 1.0);
  ExpectEqual(std::isnan(WilcoxonSignedRank(nan).p), true);
  const std::vector<double> balanced = {1, -1};
  ExpectEqual(WilcoxonSignedRank(balanced).p, 1.0);
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> RandomValues(int n, uint64_t stream) {
  PhiloxStream random(77, stream);
  std::vector<double> values;
  for (int i = 0; i < n; ++i) values.push_back(random.Uniform() * std::pow(10.0, random.Below(7)) - 3);
  return values;
}

TEST(ChunkedSumTest, FixedOrderWhateverTheShards) {
  for (const int n : {0, 1, 31, 32, 33, 64, 1000}) {
    const std::vector<double> v = RandomValues(n, n);
    double expected = 0;
    for (int first = 0; first < n; first += 32) {
      double chunk = 0;
      for (int i = first; i < std::min(n, first + 32); ++i) chunk += v[i];
      expected += chunk;
    }
    ExpectEqual(ChunkedSum(v), expected);
    ExpectEqual(ChunkedSum(n, [&](int64_t i) { return v[i]; }), expected);
    for (const int shard : {32, 96, 4096}) {
      std::vector<double> sums;
      for (int first = 0; first < n; first += shard) {
        const std::vector<double> part = ChunkSums(std::span(v).subspan(first, std::min(shard, n - first)));
        sums.insert(sums.end(), part.begin(), part.end());
      }
      ExpectEqual(static_cast<int>(sums.size()), (n + 31) / 32);
      ExpectEqual(AddChunkSums(sums), expected);
    }
  }
  // The order is not that of a plain sum: 33 values show it.
  std::vector<double> v(64, 1.0);
  v[0] = 9007199254740992.0;  // 2^53: adding 1 to it is lost
  ExpectEqual(ChunkedSum(v), 9007199254740992.0 + 32);
}

TEST(SummaryTest, MeanAndSds) {
  const std::vector<double> v = {2, 4, 4, 4, 5, 5, 7, 9}, one = {3};
  ExpectEqual(Mean(v), 5.0);
  ExpectEqual(PopulationSd(v), 2.0);
  ExpectEqual(SampleSd(v), std::sqrt(32.0 / 7));
  ExpectEqual(std::isnan(Mean({})), true);
  ExpectEqual(std::isnan(PopulationSd({})), true);
  ExpectEqual(PopulationSd(one), 0.0);
  ExpectEqual(std::isnan(SampleSd(one)), true);
  ExpectEqual(std::isnan(SampleSd({})), true);
}

TEST(SummaryTest, ConfidenceInterval) {
  // Ten values: t(0.05, 9) = 2.2621571627982055.
  std::vector<double> v(10);
  std::iota(v.begin(), v.end(), 1.0);
  const SampleSummary s = Summarize(v);
  const double se = std::sqrt(82.5 / 9 / 10);
  ExpectEqual(s.n, int64_t{10});
  ExpectEqual(s.mean, 5.5);
  ExpectWithin(s.sd, std::sqrt(82.5 / 9), 1e-15);
  ExpectWithin(s.se, se, 1e-15);
  ExpectWithin(s.ci_low, 5.5 - 2.2621571627982055 * se, 1e-12);
  ExpectWithin(s.ci_high, 5.5 + 2.2621571627982055 * se, 1e-12);
  // 99 %: t(0.01, 9) = 3.2498355415921263.
  ExpectWithin(Summarize(v, 0.99).ci_high, 5.5 + 3.2498355415921263 * se, 1e-12);
  // The interval holds exactly the means that the test does not reject.
  for (double& x : v) x -= s.ci_low;
  ExpectWithin(PairedTTest(v).p, 0.05, 1e-12);
  const std::vector<double> one = {4};
  const SampleSummary single = Summarize(one);
  ExpectEqual(single.mean, 4.0);
  for (const double x : {single.sd, single.se, single.ci_low, single.ci_high}) ExpectEqual(std::isnan(x), true);
  ExpectEqual(std::isnan(Summarize({}).mean), true);
}

TEST(TTestTest, Paired) {
  // Student 1908, additional hours of sleep of ten patients under two drugs: t = 4.0621, df = 9, p = 0.00283289.
  const std::vector<double> d = {1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4};
  const TTest test = PairedTTest(d);
  ExpectEqual(test.n, int64_t{10});
  ExpectEqual(test.df, 9.0);
  ExpectWithin(test.difference, 1.58, 1e-14);
  ExpectWithin(test.t, 4.062127683382037, 1e-12);
  ExpectWithin(test.p, 0.00283289019738427, 1e-14);
  // Two values: df = 1, p = 2 atan(1 / t) / pi.
  const std::vector<double> two = {1, 3};
  ExpectWithin(PairedTTest(two).p, 2 / std::acos(-1.0) * std::atan(0.5), 1e-15);
  std::vector<double> minus = d;
  for (double& x : minus) x = -x;
  ExpectEqual(PairedTTest(minus).t, -test.t);
  ExpectEqual(PairedTTest(minus).p, test.p);
}

TEST(TTestTest, WithoutSpreadOrValues) {
  const std::vector<double> same = {2, 2, 2}, zero = {0, 0}, one = {5}, nan = {1, 2, kNan};
  ExpectEqual(PairedTTest(same).p, 0.0);
  ExpectEqual(std::isinf(PairedTTest(same).t), true);
  ExpectEqual(std::isnan(PairedTTest(zero).p), true);
  ExpectEqual(std::isnan(PairedTTest(one).p), true);
  ExpectEqual(std::isnan(PairedTTest({}).p), true);
  ExpectEqual(std::isnan(PairedTTest(nan).p), true);
  ExpectEqual(WelchTTest(same, zero).p, 0.0);
  ExpectEqual(std::isnan(WelchTTest(same, same).p), true);
  ExpectEqual(std::isnan(WelchTTest(same, one).p), true);
}

TEST(TTestTest, Welch) {
  // Student's sleep data as two independent samples: t = -1.8608, df = 17.776, p = 0.07939.
  const std::vector<double> a = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const std::vector<double> b = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  const TTest test = WelchTTest(a, b);
  ExpectWithin(test.t, -1.860813467486853, 1e-12);
  ExpectWithin(test.df, 17.776473516178495, 1e-11);
  ExpectWithin(test.p, 0.07939414018735819, 1e-13);
  ExpectEqual(test.n, int64_t{20});
  // Sizes that differ: va = 1/3 * ..., by hand. a = {1, 2, 3}: v = 1/3; b = {4, 8}: v = 8/2 = 4.
  const std::vector<double> c = {1, 2, 3}, e = {4, 8};
  const TTest small = WelchTTest(c, e);
  const double v = 1.0 / 3 + 4;
  ExpectWithin(small.t, -4 / std::sqrt(v), 1e-14);
  ExpectWithin(small.df, v * v / (1.0 / 9 / 2 + 16), 1e-13);
  ExpectEqual(small.p, StudentTwoSidedP(small.t, small.df));
}

TEST(BenjaminiHochbergTest, DefinitionAndMissingValues) {
  // Benjamini & Hochberg 1995, section 3.2: of 15 tests four are rejected at q = 0.05.
  const std::vector<double> article = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                                       0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000};
  const std::vector<double> q = BenjaminiHochberg(article);
  ExpectEqual(std::count_if(q.begin(), q.end(), [](double x) { return x <= 0.05; }), std::ptrdiff_t{4});
  ExpectWithin(q[0], 0.0015, 1e-15);
  ExpectWithin(q[5], 0.0298 * 15 / 7, 1e-15);  // its own 0.0278 * 15 / 6 is larger
  ExpectEqual(q[14], 1.0);
  // Any order, ties and NaN, against the definition.
  std::vector<double> p = {0.5, kNan, 0.01, 0.01, 0.04, kNan, 0.9, 0.03, 0.01, 1.0};
  const std::vector<double> found = BenjaminiHochberg(p);
  for (size_t i = 0; i < p.size(); ++i) {
    if (std::isnan(p[i])) {
      ExpectEqual(std::isnan(found[i]), true);
      continue;
    }
    double least = 1;
    for (const double limit : p) {
      if (!(limit >= p[i])) continue;
      const auto below = std::count_if(p.begin(), p.end(), [&](double x) { return x <= limit; });
      least = std::min(least, limit * 8 / static_cast<double>(below));
    }
    ExpectWithin(found[i], least, 1e-16);
  }
  ExpectEqual(BenjaminiHochberg({}).size(), size_t{0});
  const std::vector<double> only = {0.2};
  ExpectEqual(BenjaminiHochberg(only)[0], 0.2);
}

TEST(FitLineTest, ExactAndByHand) {
  const std::vector<double> x = {1, 2, 3, 4}, y = {5, 7, 9, 11}, rough = {6, 5, 7, 10};
  const StraightLine exact = FitLine(x, y);
  ExpectEqual(exact.slope, 2.0);
  ExpectEqual(exact.intercept, 3.0);
  ExpectEqual(exact.r_squared, 1.0);
  ExpectEqual(exact.slope_se, 0.0);
  // Sxx = 5, Sxy = 7, Syy = 14; residual = 14 - 49 / 5 = 4.2.
  const StraightLine line = FitLine(x, rough);
  ExpectWithin(line.slope, 1.4, 1e-15);
  ExpectWithin(line.intercept, 3.5, 1e-15);
  ExpectWithin(line.r_squared, 0.7, 1e-15);
  ExpectWithin(line.slope_se, std::sqrt(4.2 / 2 / 5), 1e-15);
  const std::vector<double> flat = {2, 2, 2, 2}, two_x = {1, 2}, two_y = {3, 5};
  ExpectEqual(std::isnan(FitLine(flat, y).slope), true);
  ExpectEqual(std::isnan(FitLine(flat, y).intercept), true);
  ExpectEqual(FitLine(x, flat).slope, 0.0);
  ExpectEqual(std::isnan(FitLine(x, flat).r_squared), true);
  ExpectEqual(FitLine(two_x, two_y).slope, 2.0);
  ExpectEqual(std::isnan(FitLine(two_x, two_y).slope_se), true);
  ExpectEqual(std::isnan(FitLine({}, {}).slope), true);
}

TEST(PearsonTestTest, ValuesAndEnds) {
  // r^2 = 0.7 (above), n = 4: t^2 = 2 * 0.7 / 0.3, and for df = 2 p = 1 - |r|.
  const std::vector<double> x = {1, 2, 3, 4}, y = {6, 5, 7, 10};
  const Correlation c = PearsonTest(x, y);
  ExpectWithin(c.r, std::sqrt(0.7), 1e-15);
  ExpectWithin(c.p, 1 - std::sqrt(0.7), 1e-14);
  const std::vector<double> minus = {-6, -5, -7, -10};
  ExpectEqual(PearsonTest(x, minus).r, -c.r);
  // Longer series: p as the t statistic says, and the slope's t is the same.
  const std::vector<double> a = RandomValues(50, 1), b = RandomValues(50, 2);
  const Correlation found = PearsonTest(a, b);
  const double t = found.r * std::sqrt(48 / (1 - found.r * found.r));
  ExpectWithin(found.p, StudentTwoSidedP(t, 48), 1e-12);
  const StraightLine line = FitLine(a, b);
  ExpectWithin(line.slope / line.slope_se, t, 1e-10);
  ExpectWithin(line.r_squared, found.r * found.r, 1e-13);
  // Nearly perfect: 1 - r^2 is 1e-18 or so, far below what r can show. y = x + 1e-9 * (1, -1, -1, 1): residual sum of
  // squares 4e-18 against Syy = 5, and p = 1 - |r| = (1 - r^2) / 2.
  const double h = std::ldexp(1.0, -30);
  const std::vector<double> near = {1 + h, 2 - h, 3 - h, 4 + h};
  ExpectWithin(PearsonTest(x, near).p, 4 * h * h / 5 / 2, 1e-9 * h * h);
  ExpectWithin(PearsonTest(x, x).r, 1, 4e-16);
  ExpectEqual(PearsonTest(x, x).p, 0.0);
  const std::vector<double> flat = {2, 2, 2, 2}, two_x = {1, 2}, two_y = {3, 5};
  ExpectEqual(std::isnan(PearsonTest(x, flat).r), true);
  ExpectEqual(std::isnan(PearsonTest(x, flat).p), true);
  ExpectWithin(PearsonTest(two_x, two_y).r, 1, 4e-16);
  ExpectEqual(std::isnan(PearsonTest(two_x, two_y).p), true);
}

TEST(DifferencesTest, InDouble) {
  const std::vector<float> with = {1.0f, 0.1f}, without = {0.1f, 16777216.0f};
  const std::vector<double> d = Differences(with, without);
  ExpectEqual(d[0], 1.0 - static_cast<double>(0.1f));
  ExpectEqual(d[1], static_cast<double>(0.1f) - 16777216.0);
}

}  // namespace
}  // namespace rb
