// Metrics in double over n pairs. NaN when undefined (n < 2, a constant side, one class only) or when an input is NaN.
#ifndef RB_KERNELS_METRICS_H_
#define RB_KERNELS_METRICS_H_

#include <cstdint>

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

// Pearson correlation and mean squared error of every listed model's pairs, pearson[slot] and squared_error[slot].
template <class T>
struct PairMetricsArgs {
  const int32_t* live = nullptr;  // slots, `count` of them
  int count = 0;
  const int32_t* num_rows = nullptr;  // pairs, by slot
  PerModel<const T> x, y;
  double* pearson = nullptr;
  double* squared_error = nullptr;
};

namespace cpu {

template <class T>
void PairMetrics(const PairMetricsArgs<T>& args, Parallel& parallel);

double Pearson(const float* x, const float* y, int64_t n);
double Spearman(const float* x, const float* y, int64_t n);  // ties take mean ranks
double MeanSquaredError(const float* x, const float* y, int64_t n);
// scores against labels; a label >= 0.5 is positive.
double AreaUnderRoc(const float* scores, const float* labels, int64_t n);  // ties count half
double AreaUnderPrecisionRecall(const float* scores, const float* labels,
                                int64_t n);  // average precision, ties as one step

}  // namespace cpu

RB_DEVICE_OPERATOR(PairMetrics, PairMetricsArgs)

}  // namespace rb

#endif  // RB_KERNELS_METRICS_H_
