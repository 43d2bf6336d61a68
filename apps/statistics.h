// Statistics of paired tables.
#ifndef RB_APPS_STATISTICS_H_
#define RB_APPS_STATISTICS_H_

#include <cstdint>
#include <span>

namespace rb::apps {

// NaN for no values.
double Mean(std::span<const double> values);
// Population standard deviation (ddof 0), as the paper reports it.
double PopulationSd(std::span<const double> values);

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

}  // namespace rb::apps

#endif  // RB_APPS_STATISTICS_H_
