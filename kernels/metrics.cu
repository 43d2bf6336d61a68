// Pearson correlation and mean squared error of many models on the device (kernels/metrics.h): one block a model, in
// double, two passes over the pairs as on the CPU, so that a large offset costs no digits.
//
// A thread takes every kThreads-th pair; sums then meet in a fixed tree, so a result depends on the pairs and their
// number only. Bytes a pair: 16 in all (the second pass mostly from the cache); about 12 double operations. Limit:
// latency of one block's loads; models side by side hide it.
#include "kernels/metrics.h"

#include <cmath>

#include "kernels/device/dialect.h"

namespace rb {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;

struct Sums {
  double a, b, c;
};

// Sums of all threads, the same for every thread. `shared`: one of each warp.
__device__ Sums SumOfBlock(Sums sums, Sums* shared) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
  for (int bit = kWarp / 2; bit > 0; bit /= 2) {
    sums.a += __shfl_xor_sync(kAllLanes, sums.a, bit);
    sums.b += __shfl_xor_sync(kAllLanes, sums.b, bit);
    sums.c += __shfl_xor_sync(kAllLanes, sums.c, bit);
  }
  __syncthreads();  // the last sums have been read
  if (threadIdx.x % kWarp == 0) shared[warp] = sums;
  __syncthreads();
  Sums total = {0, 0, 0};
  for (int w = 0; w < kWarps; ++w) {
    total.a += shared[w].a;
    total.b += shared[w].b;
    total.c += shared[w].c;
  }
  return total;
}

// Whether any thread says yes.
__device__ bool AnyOfBlock(bool mine, int* flag) {
  __syncthreads();
  if (threadIdx.x == 0) *flag = 0;
  __syncthreads();
  if (__any_sync(kAllLanes, mine) && threadIdx.x % kWarp == 0) atomicMax(flag, 1);
  __syncthreads();
  return *flag != 0;
}

__global__ void __launch_bounds__(kThreads) PairMetricsOfModel(PairMetricsArgs<float> a) {
  RB_SHARED(shared, Sums[kWarps]);
  RB_SHARED(flag, int);
  DependencyWait();
  const int slot = a.live[blockIdx.x], n = a.num_rows[slot];
  const float* const x = a.x[slot];
  const float* const y = a.y[slot];
  const int first = static_cast<int>(threadIdx.x);
  Sums sums = {0, 0, 0};
  bool x_varies = false, y_varies = false, nan = false;
#pragma unroll 4
  for (int i = first; i < n; i += kThreads) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sums.a += x[i];
    sums.b += y[i];
    sums.c += d * d;
    x_varies |= x[i] != x[0];
    y_varies |= y[i] != y[0];
    nan |= x[i] != x[i] || y[i] != y[i];
  }
  const Sums total = SumOfBlock(sums, shared);
  const bool any_x = AnyOfBlock(x_varies, &flag), any_y = AnyOfBlock(y_varies, &flag), any_nan = AnyOfBlock(nan, &flag);
  const double undefined = std::nan(""), mean_x = total.a / n, mean_y = total.b / n;
  sums = {0, 0, 0};
#pragma unroll 4
  for (int i = first; i < n; i += kThreads) {
    const double dx = x[i] - mean_x, dy = y[i] - mean_y;
    sums.a += dx * dx;
    sums.b += dy * dy;
    sums.c += dx * dy;
  }
  const Sums centred = SumOfBlock(sums, shared);
  if (threadIdx.x != 0) return;
  a.squared_error[slot] = n < 1 ? undefined : total.c / n;
  const double r = centred.c / sqrt(centred.a * centred.b);
  a.pearson[slot] = n < 2 || any_nan || !any_x || !any_y ? undefined : r > 1 ? 1.0 : r < -1 ? -1.0 : r;
}

}  // namespace

namespace RB_MACHINE {

DeviceError PairMetrics(const PairMetricsArgs<float>& args, const DeviceRun& run) {
  if (args.count == 0) return {};
  return Launch({dim3(static_cast<unsigned>(args.count)), dim3(kThreads), 0, run.stream}, PairMetricsOfModel, args);
}

}  // namespace RB_MACHINE
}  // namespace rb
