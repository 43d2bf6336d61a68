// Metrics against their definitions, written as O(n^2) loops, and against values worked out by hand.
#include "kernels/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/comparisons.h"
#include "tests/support/machines.h"
#include "tests/support/operator_bed.h"
#include "tests/support/test_parallel.h"
#include "tests/support/tolerance.h"

namespace rb {
namespace {

using test::CountComparisons;
using test::EmulatedMachines;
using test::ExpectEqual;
using test::ExpectWithin;
using test::TestMachine;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// Both sides compute in double, sums of at most a few hundred values of order one: n * eps with a factor for the ratio.
constexpr double kBound = 1e-12;

using Values = std::vector<float>;

double PearsonByDefinition(const std::vector<double>& x, const std::vector<double>& y) {
  // Over pairs: sum_{i<j} (xi-xj)(yi-yj) = n * covariance sum; no means anywhere.
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      xx += (x[i] - x[j]) * (x[i] - x[j]);
      yy += (y[i] - y[j]) * (y[i] - y[j]);
      xy += (x[i] - x[j]) * (y[i] - y[j]);
    }
  }
  return xy / std::sqrt(xx * yy);
}

std::vector<double> RanksByDefinition(const Values& x) {
  std::vector<double> ranks;
  for (const float a : x) {
    double rank = 0.5;
    for (const float b : x) rank += b < a ? 1 : b == a ? 0.5 : 0;
    ranks.push_back(rank);
  }
  return ranks;
}

double RocByDefinition(const Values& scores, const Values& labels) {
  double won = 0, pairs = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    for (size_t j = 0; j < scores.size(); ++j) {
      if (labels[i] < 0.5f || labels[j] >= 0.5f) continue;
      won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
      ++pairs;
    }
  }
  return won / pairs;
}

// Mean over positives of the precision at that positive's score as the threshold.
double PrecisionByDefinition(const Values& scores, const Values& labels) {
  double sum = 0, positives = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (labels[i] < 0.5f) continue;
    double hits = 0, called = 0;
    for (size_t j = 0; j < scores.size(); ++j) {
      if (scores[j] < scores[i]) continue;
      ++called;
      hits += labels[j] >= 0.5f ? 1 : 0;
    }
    sum += hits / called;
    ++positives;
  }
  return sum / positives;
}

void ExpectNan(double value) {
  CountComparisons();
  EXPECT_TRUE(std::isnan(value)) << value;
}

// Values on a grid of `levels`, so that small counts tie often; levels 0: continuous.
Values Random(std::mt19937& random, int n, int levels) {
  Values x(n);
  std::normal_distribution<float> normal;
  for (float& v : x) v = levels == 0 ? normal(random) : static_cast<float>(random() % levels);
  return x;
}

TEST(Metrics, EqualTheirDefinitions) {
  std::mt19937 random(1);
  for (const int levels : {0, 2, 5, 40}) {
    for (const int n : {2, 3, 10, 101, 300}) {
      Values x = Random(random, n, levels), y = Random(random, n, levels), labels = Random(random, n, 2);
      x[0] = -1, x[1] = 41, y[0] = 7, y[1] = -2, labels[0] = 1, labels[1] = 0;  // nothing constant
      for (int i = 2; i < n; ++i) y[i] += 0.5f * x[i];
      const std::vector<double> dx(x.begin(), x.end()), dy(y.begin(), y.end());
      ExpectWithin(cpu::Pearson(x.data(), y.data(), n), PearsonByDefinition(dx, dy), kBound, "Pearson");
      ExpectWithin(cpu::Spearman(x.data(), y.data(), n),
                   PearsonByDefinition(RanksByDefinition(x), RanksByDefinition(y)), kBound, "Spearman");
      double squares = 0;
      for (int i = 0; i < n; ++i) squares += std::pow(dx[i] - dy[i], 2);
      ExpectWithin(cpu::MeanSquaredError(x.data(), y.data(), n), squares / n, kBound * squares / n, "MSE");
      ExpectWithin(cpu::AreaUnderRoc(x.data(), labels.data(), n), RocByDefinition(x, labels), kBound, "AUROC");
      ExpectWithin(cpu::AreaUnderPrecisionRecall(x.data(), labels.data(), n), PrecisionByDefinition(x, labels), kBound,
                   "AUPR");
    }
  }
}

TEST(Metrics, KnownValues) {
  const Values x = {1, 2, 3, 4}, up = {10, 20, 30, 40}, down = {4, 3, 2, 1}, curved = {1, 8, 27, 64};
  ExpectEqual(cpu::Pearson(x.data(), up.data(), 4), 1.0);
  ExpectEqual(cpu::Pearson(x.data(), down.data(), 4), -1.0);
  ExpectEqual(cpu::Spearman(x.data(), curved.data(), 4), 1.0);
  ExpectEqual(cpu::MeanSquaredError(x.data(), down.data(), 4), 5.0);
  // Ranks of {1, 2, 2, 3} are {1, 2.5, 2.5, 4}: 4.5 / sqrt(5 * 4.5) against 1..4.
  const Values tied = {1, 2, 2, 3};
  ExpectWithin(cpu::Spearman(x.data(), tied.data(), 4), 4.5 / std::sqrt(22.5), kBound);
  // The scores of scikit-learn's manual: AUROC 0.75, average precision 0.8333.
  const Values scores = {0.1f, 0.4f, 0.35f, 0.8f}, labels = {0, 0, 1, 1};
  ExpectEqual(cpu::AreaUnderRoc(scores.data(), labels.data(), 4), 0.75);
  ExpectWithin(cpu::AreaUnderPrecisionRecall(scores.data(), labels.data(), 4), 5.0 / 6, kBound);
  // All scores equal: half of the pairs, and precision = share of positives.
  const Values equal = {2, 2, 2, 2}, one = {0, 1, 0, 0};
  ExpectEqual(cpu::AreaUnderRoc(equal.data(), one.data(), 4), 0.5);
  ExpectEqual(cpu::AreaUnderPrecisionRecall(equal.data(), one.data(), 4), 0.25);
}

// A mean a million times the spread: one-pass formulas lose every digit here.
TEST(Metrics, LargeOffset) {
  std::mt19937 random(2);
  Values x = Random(random, 200, 100), y = Random(random, 200, 100);
  const double expected = cpu::Pearson(x.data(), y.data(), 200);
  for (float& v : x) v += 8388608.0f;  // 2^23: integers stay exact
  ExpectWithin(cpu::Pearson(x.data(), y.data(), 200), expected, 1e-9, "offset");
}

TEST(Metrics, UndefinedIsNan) {
  const Values x = {1, 2, 3}, constant = {0.1f, 0.1f, 0.1f}, bad = {1, kNan, 3}, zeros = {0, 0, 0}, ones = {1, 1, 1},
               mixed = {0, 1, 0}, bad_label = {0, kNan, 1};
  for (const int n : {0, 1}) {
    ExpectNan(cpu::Pearson(x.data(), mixed.data(), n));
    ExpectNan(cpu::Spearman(x.data(), mixed.data(), n));
    ExpectNan(cpu::AreaUnderRoc(x.data(), mixed.data(), n));
    ExpectNan(cpu::AreaUnderPrecisionRecall(x.data(), mixed.data(), n));
  }
  ExpectNan(cpu::MeanSquaredError(x.data(), x.data(), 0));
  for (const auto correlation : {cpu::Pearson, cpu::Spearman}) {
    ExpectNan(correlation(x.data(), constant.data(), 3));
    ExpectNan(correlation(constant.data(), x.data(), 3));
    ExpectNan(correlation(bad.data(), x.data(), 3));
    ExpectNan(correlation(x.data(), bad.data(), 3));
  }
  ExpectNan(cpu::MeanSquaredError(bad.data(), x.data(), 3));
  for (const auto area : {cpu::AreaUnderRoc, cpu::AreaUnderPrecisionRecall}) {
    ExpectNan(area(x.data(), zeros.data(), 3));
    ExpectNan(area(x.data(), ones.data(), 3));
    ExpectNan(area(bad.data(), mixed.data(), 3));
    ExpectNan(area(x.data(), bad_label.data(), 3));
  }
}

// Both metrics of many models in one call: slots 1 .. count, the last first; slot 0 is not listed.
struct PairMetricsCase {
  PairMetricsCase(const std::vector<Values>& x, const std::vector<Values>& y) {
    int slots = static_cast<int>(x.size()) + 1;
    size_t most = 1;
    for (const Values& values : x) most = std::max(most, values.size());
    x_ = test::Tensor<float>(slots, static_cast<int64_t>(most));
    y_ = test::Tensor<float>(slots, static_cast<int64_t>(most));
    pearson = test::Tensor<double>(1, slots), squared_error = test::Tensor<double>(1, slots);
    num_rows.assign(slots, 2);
    for (int slot = 1; slot < slots; ++slot) {
      num_rows[slot] = static_cast<int32_t>(x[slot - 1].size());
      std::copy(x[slot - 1].begin(), x[slot - 1].end(), x_[slot].begin());
      std::copy(y[slot - 1].begin(), y[slot - 1].end(), y_[slot].begin());
      live.insert(live.begin(), slot);
    }
  }
  void Run(const TestMachine& machine) {
    const PairMetricsArgs<float> args = {live.data(),       static_cast<int>(live.size()), num_rows.data(), x_, y_,
                                         pearson.view()[0], squared_error.view()[0]};
    RB_RUN(machine, PairMetrics, args);
    ExpectNan(pearson[0][0]);  // as poisoned
    ExpectNan(squared_error[0][0]);
  }
  test::DeviceVector<int32_t> live, num_rows;
  test::Tensor<float> x_, y_;
  test::Tensor<double> pearson, squared_error;
};

// How far two computations of Pearson in double may lie apart: products and sums at depth n + 8, of sums of |dx dy|
// that Cauchy bounds by sqrt(xx yy) in the numerator and both sums below; and means that are wrong by delta, which add
// n delta^2 to each sum.
double PearsonBound(const Values& x, const Values& y) {
  const double n = static_cast<double>(x.size());
  double bound = 4 * test::SumBound<double>(n + 8, 1);
  for (const Values* values : {&x, &y}) {
    double mean = 0, mean_abs = 0, squares = 0;
    for (const float v : *values) mean += v / n, mean_abs += std::abs(v) / n;
    for (const float v : *values) squares += (v - mean) * (v - mean);
    bound += n * std::pow(test::SumBound<double>(n + 2, mean_abs), 2) / squares;
  }
  return 2 * bound;
}

TEST(PairMetricsOnDevice, TinyEqualsTheProcessor) {
  std::mt19937 random(3);
  std::vector<Values> x, y;
  for (const int n : {2, 3, 31, 32, 33, 511, 512, 513, 3000}) {
    x.push_back(Random(random, n, 0)), y.push_back(Random(random, n, 0));
    for (int i = 0; i < n; ++i) y.back()[i] += 0.5f * x.back()[i];
  }
  for (float& v : x.back()) v += 1000.0f;
  for (const TestMachine& machine : EmulatedMachines()) {
    PairMetricsCase metrics(x, y);
    metrics.Run(machine);
    for (size_t i = 0; i < x.size(); ++i) {
      const int64_t n = static_cast<int64_t>(x[i].size());
      const double error = cpu::MeanSquaredError(x[i].data(), y[i].data(), n);
      ExpectWithin(metrics.pearson[0][i + 1], cpu::Pearson(x[i].data(), y[i].data(), n), PearsonBound(x[i], y[i]),
                   "Pearson");
      ExpectWithin(metrics.squared_error[0][i + 1], error,
                   2 * test::SumBound<double>(static_cast<double>(n) + 4, error), "MSE");
    }
  }
}

// Small integers in a power of two of pairs: no sum is rounded, so both machines give the same bits.
TEST(PairMetricsOnDevice, ExactSums) {
  std::mt19937 random(4);
  std::vector<Values> x, y;
  for (const int n : {2, 64, 1024}) {
    x.push_back(Random(random, n, 9)), y.push_back(Random(random, n, 9));
    x.back()[0] = -1, y.back()[0] = -2;  // nothing constant
  }
  PairMetricsCase here(x, y), there(x, y), alone({x[1]}, {y[1]});
  test::TestParallel parallel;
  here.Run(parallel);
  there.Run(TestMachine::Emulated());
  alone.Run(TestMachine::Emulated());
  for (int slot = 1; slot <= 3; ++slot) {
    ExpectEqual(there.pearson[0][slot], here.pearson[0][slot]);
    ExpectEqual(there.squared_error[0][slot], here.squared_error[0][slot]);
  }
  ExpectEqual(alone.pearson[0][1], there.pearson[0][2], "alone");
}

TEST(PairMetricsOnDevice, UndefinedIsNan) {
  const Values ramp = {1, 2, 3}, constant = {0.1f, 0.1f, 0.1f}, bad = {1, kNan, 3}, one = {1}, none;
  const std::vector<Values> x = {ramp, constant, ramp, bad, ramp, one, none, constant},
                            y = {constant, ramp, bad, ramp, ramp, one, none, constant};
  test::TestParallel parallel;
  for (const TestMachine& machine : {TestMachine(parallel), TestMachine::Emulated()}) {
    PairMetricsCase metrics(x, y);
    metrics.Run(machine);
    for (const int slot : {1, 2, 3, 4, 6, 7, 8}) ExpectNan(metrics.pearson[0][slot]);
    for (const int slot : {3, 4, 7}) ExpectNan(metrics.squared_error[0][slot]);
    ExpectEqual(metrics.pearson[0][5], 1.0);
    for (const int slot : {5, 6, 8}) ExpectEqual(metrics.squared_error[0][slot], 0.0);
  }
}

}  // namespace
}  // namespace rb
