// Metrics in double over n pairs. NaN when undefined (n < 2, a constant side, one class only) or when an input is NaN.
#ifndef RB_KERNELS_METRICS_H_
#define RB_KERNELS_METRICS_H_

#include <cstdint>

namespace rb::cpu {

double Pearson(const float* x, const float* y, int64_t n);
double Spearman(const float* x, const float* y, int64_t n);  // ties take mean ranks
double MeanSquaredError(const float* x, const float* y, int64_t n);
// scores against labels; a label >= 0.5 is positive.
double AreaUnderRoc(const float* scores, const float* labels, int64_t n);  // ties count half
double AreaUnderPrecisionRecall(const float* scores, const float* labels,
                                int64_t n);  // average precision, ties as one step

}  // namespace rb::cpu

#endif  // RB_KERNELS_METRICS_H_
