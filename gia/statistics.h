// Statistics of measured effects: summaries, tests, corrections and straight lines.
//
// Everything is in double. Every sum over samples is a ChunkedSum, so that results do not depend on how the samples
// were spread over threads or shards. NaN among the inputs makes results NaN unless said otherwise; so do too few
// values.
#ifndef RB_GIA_STATISTICS_H_
#define RB_GIA_STATISTICS_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace rb {

// --- Sums in a fixed order -------------------------------------------------------------------------------------------

// Terms are added up in index order within chunks of this many, then the chunks' sums in index order.
inline constexpr int64_t kSumChunk = 32;

// sum of term(i), i in [0, n).
template <class Term>
double ChunkedSum(int64_t n, const Term& term) {
  double sum = 0;
  for (int64_t first = 0; first < n; first += kSumChunk) {
    const int64_t end = std::min(n, first + kSumChunk);
    double chunk = 0;
    for (int64_t i = first; i < end; ++i) chunk += term(i);
    sum += chunk;
  }
  return sum;
}
double ChunkedSum(std::span<const double> values);

// The two halves of ChunkedSum, for values that are spread over shards: the sums of the chunks of a shard that begins
// at a multiple of kSumChunk, and the sum of all shards' chunk sums in order. The same bits as ChunkedSum of all
// values.
std::vector<double> ChunkSums(std::span<const double> values);
double AddChunkSums(std::span<const double> sums);

// --- Summaries -------------------------------------------------------------------------------------------------------

// NaN for no values.
double Mean(std::span<const double> values);
// Population standard deviation (ddof 0), as the paper reports it.
double PopulationSd(std::span<const double> values);
// Sample standard deviation (ddof 1); NaN for fewer than two values.
double SampleSd(std::span<const double> values);

struct SampleSummary {
  int64_t n = 0;
  double mean = 0;
  double sd = 0;  // ddof 1
  double se = 0;  // standard error of the mean: sd / sqrt(n)
  // The mean's confidence interval of the given level: mean -+ t(level, n - 1) se by Student.
  double ci_low = 0, ci_high = 0;
};
// 0 < level < 1.
SampleSummary Summarize(std::span<const double> values, double level = 0.95);

// with[i] - without[i] in double. RB_CHECKs equal sizes.
std::vector<double> Differences(std::span<const float> with, std::span<const float> without);

// --- Tests -----------------------------------------------------------------------------------------------------------

// Student's t-tests, two-sided. Without any spread t is infinite and p 0, or both are NaN when the mean is 0 too.
struct TTest {
  int64_t n = 0;          // values (Welch: of both samples)
  double difference = 0;  // mean, or difference of the means
  double se = 0;          // its standard error
  double df = 0;          // degrees of freedom
  double t = 0;           // difference / se
  double p = 0;
};
// Of paired differences against zero, df = n - 1.
TTest PairedTTest(std::span<const double> differences);
// Of a's mean against b's with unequal variances [Welch 1947]: se^2 = va + vb, v = sd^2 / n,
// df = (va + vb)^2 / (va^2 / (na - 1) + vb^2 / (nb - 1)).
TTest WelchTTest(std::span<const double> a, std::span<const double> b);

// Wilcoxon's signed-rank test of paired differences against zero, two-sided. Zero differences are dropped. Exact for at
// most 25 differences without ties; otherwise the normal approximation with tie and continuity correction.
struct Wilcoxon {
  int64_t n = 0;        // differences that are not zero
  double positive = 0;  // sum of the ranks of positive differences
  double negative = 0;
  double p = 1;  // NaN when n == 0
  bool exact = false;
};
Wilcoxon WilcoxonSignedRank(std::span<const double> differences);

// q values [Benjamini & Hochberg 1995]: of the m p values that are not NaN, the k-th smallest gets
// q = min over j >= k of p_(j) m / j, at most 1. NaN stays NaN and is not counted in m. p in [0, 1].
std::vector<double> BenjaminiHochberg(std::span<const double> p);

// --- Two variables ---------------------------------------------------------------------------------------------------

// Least squares y = intercept + slope x.
struct StraightLine {
  int64_t n = 0;
  double intercept = 0, slope = 0;
  double slope_se = 0;   // sqrt(residual sum of squares / (n - 2) / Sxx); NaN for n < 3
  double r_squared = 0;  // 1 - residual / total sum of squares; NaN where y is constant
};
// RB_CHECKs equal sizes. All NaN for n < 2 or constant x.
StraightLine FitLine(std::span<const double> x, std::span<const double> y);

// Pearson's correlation with its two-sided p against r = 0: t = r sqrt((n - 2) / (1 - r^2)), df = n - 2. NaN where x or
// y is constant; p is NaN for n < 3.
struct Correlation {
  int64_t n = 0;
  double r = 0, p = 0;
};
// RB_CHECKs equal sizes.
Correlation PearsonTest(std::span<const double> x, std::span<const double> y);

}  // namespace rb

#endif  // RB_GIA_STATISTICS_H_
