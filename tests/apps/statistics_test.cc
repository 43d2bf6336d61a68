// Wilcoxon's test against published and hand-enumerated values; means; text of numbers and tables.
#include "apps/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "apps/command.h"
#include "apps/text.h"
#include "tests/support/comparisons.h"

namespace rb::apps {
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

TEST(SummaryTest, MeanAndPopulationSd) {
  const std::vector<double> v = {2, 4, 4, 4, 5, 5, 7, 9};
  ExpectEqual(Mean(v), 5.0);
  ExpectEqual(PopulationSd(v), 2.0);
  ExpectEqual(std::isnan(Mean({})), true);
}

TEST(TextTest, Numbers) {
  ExpectEqual(Grouped(0), std::string("0"));
  ExpectEqual(Grouped(999), std::string("999"));
  ExpectEqual(Grouped(1000), std::string("1,000"));
  ExpectEqual(Grouped(-1234567), std::string("-1,234,567"));
  ExpectEqual(Duration(0.84), std::string("0.8 s"));
  ExpectEqual(Duration(59.4), std::string("59 s"));
  ExpectEqual(Duration(200), std::string("3 min 20 s"));
  ExpectEqual(Duration(7500), std::string("2 h 5 min"));
  ExpectEqual(Duration(-1), std::string("?"));
  ExpectEqual(Bytes(1536), std::string("1.5 KiB"));
  ExpectEqual(Shortest(0.1f), std::string("0.1"));
  ExpectEqual(Shortest(std::nan("")), std::string("nan"));
  ExpectEqual(AlignedTable({{"a", "n"}, {"long", "12"}}), std::string("a      n\nlong  12\n"));
}

TEST(CommandTest, QuotedLineAndNearest) {
  const Invocation call{"train", {"residualbind", "train", "--out", "my run", "--note", "it's"}};
  ExpectEqual(call.Line(), std::string("residualbind train --out 'my run' --note 'it'\\''s'"));
  const std::vector<std::string> names = {"train", "predict"};
  ExpectEqual(Nearest("trian", names), std::string("train"));
  ExpectEqual(Nearest("xyz", names), std::string(""));
  ExpectEqual(ExitCode(UsageError("x")), 2);
  ExpectEqual(ExitCode(absl::InternalError("x")), 1);
  ExpectEqual(ExitCode(absl::OkStatus()), 0);
}

}  // namespace
}  // namespace rb::apps
