// Ridge regression on k-mer counts against dense normal equations.
#include "model/kmer_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/thread_pool.h"
#include "tests/model/baseline_models.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;
using test::HostileSequences;
using test::kLength;
using test::RandomKmerModel;
using test::Scores;
using test::WindowsOf;
using ::testing::HasSubstr;

struct Problem {
  Sequences sequences;
  std::vector<int32_t> train, valid;
  std::vector<float> train_targets, valid_targets;
  BaselineData data() const { return {sequences, train, valid, train_targets, valid_targets}; }
};

// Targets f(sequence) of all sequences; the last fifth validates.
template <class F>
Problem MakeProblem(const Sequences& sequences, const F& f) {
  Problem p;
  p.sequences = sequences;
  for (int32_t i = 0; i < sequences.size(); ++i) {
    const bool train = i < sequences.size() * 4 / 5;
    (train ? p.train : p.valid).push_back(i);
    (train ? p.train_targets : p.valid_targets).push_back(static_cast<float>(f(i)));
  }
  return p;
}

// Solves a x = b in place by elimination with pivots; a is [n][n].
std::vector<double> SolveDense(std::vector<std::vector<double>> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c + 1; r < n; ++r) pivot = std::abs(a[r][c]) > std::abs(a[pivot][c]) ? r : pivot;
    std::swap(a[c], a[pivot]);
    std::swap(b[c], b[pivot]);
    for (size_t r = c + 1; r < n; ++r) {
      const double factor = a[r][c] / a[c][c];
      for (size_t j = c; j < n && factor != 0; ++j) a[r][j] -= factor * a[c][j];
      b[r] -= factor * b[c];
    }
  }
  for (size_t c = n; c-- > 0;) {
    for (size_t j = c + 1; j < n; ++j) b[c] -= a[c][j] * b[j];
    b[c] /= a[c][c];
  }
  return b;
}

// Weights and, last, the intercept: the normal equations with an unpenalised column of ones.
std::vector<double> DenseRidge(const Problem& p, int k, double penalty) {
  const size_t n = (size_t{1} << (2 * k)) + 1;
  std::vector<std::vector<double>> gram(n, std::vector<double>(n, 0.0));
  std::vector<double> right(n, 0.0);
  for (size_t i = 0; i < p.train.size(); ++i) {
    std::vector<double> x(n, 0.0);
    x[n - 1] = 1;
    for (const auto& window : WindowsOf(p.sequences, p.train[i], k)) ++x[test::Number(window)];
    for (size_t a = 0; a < n; ++a) {
      right[a] += x[a] * p.train_targets[i];
      for (size_t b = 0; b < n; ++b) gram[a][b] += x[a] * x[b];
    }
  }
  for (size_t a = 0; a + 1 < n; ++a) gram[a][a] += penalty;
  return SolveDense(gram, right);
}

// k = 1 and three probes, AA -> 3, C -> 1, G -> 2, penalty 2. Centred counts of A (4/3, -2/3, -2/3), C (-1/3, 2/3,
// -1/3), G (-1/3, -1/3, 2/3), targets (1, -1, 0): the normal equations times three are in whole numbers.
TEST(KmerFit, WholeNumbers) {
  Sequences sequences;
  sequences.length = kLength;
  for (const char* text : {"AA", "C", "G", "A", "C"}) sequences.AppendCentred(text);
  Problem p;
  p.sequences = sequences;
  p.train = {0, 1, 2}, p.train_targets = {3, 1, 2};
  p.valid = {3, 4}, p.valid_targets = {1, 0};
  ThreadPool pool(1);
  const double penalty[] = {2};
  const auto fit = FitKmers(p.data(), 1, penalty, pool);
  ASSERT_TRUE(fit.ok()) << fit.status();
  const std::vector<float>& w = fit->model.weights;
  ExpectWithin(14.0 * w[0] - 2.0 * w[1] - 2.0 * w[2], 6, 1e-5);
  ExpectWithin(-2.0 * w[0] + 8.0 * w[1] - 1.0 * w[2], -3, 1e-5);
  ExpectWithin(-2.0 * w[0] - 1.0 * w[1] + 8.0 * w[2], 0, 1e-5);
  ExpectEqual(w[3], 0.0f, "a k-mer that no probe has");
  ExpectWithin(fit->model.intercept, 2 - (2.0 * w[0] + w[1] + w[2]) / 3, 1e-6);
  ExpectEqual(fit->trials[0].valid_pearson > 0.999, true);
}

TEST(KmerFit, EqualsDenseNormalEquations) {
  const Sequences sequences = HostileSequences(300, 11);
  PhiloxStream random(12);
  const Problem p = MakeProblem(sequences, [&](int32_t i) {
    return static_cast<double>(WindowsOf(sequences, i, 1).size()) * 0.1 + random.Uniform();
  });
  ThreadPool pool(2);
  for (int k = 1; k <= 4; ++k) {
    for (const double penalty : {100.0, 1.0, 0.01}) {
      const auto fit = FitKmers(p.data(), k, std::span(&penalty, 1), pool);
      ASSERT_TRUE(fit.ok()) << fit.status();
      const std::vector<double> expected = DenseRidge(p, k, penalty);
      double largest = 0;
      for (const double w : expected) largest = std::max(largest, std::abs(w));
      for (size_t m = 0; m < fit->model.weights.size(); ++m) {
        ExpectWithin(fit->model.weights[m], expected[m], 2e-7 * largest, "weight");
      }
      ExpectWithin(fit->model.intercept, expected.back(), 2e-7 * largest, "intercept");
      ExpectEqual(fit->trials[0].residual <= 1e-9, true);
    }
  }
}

TEST(KmerFit, FindsPlantedWeightsAndChoosesByValidation) {
  const Sequences sequences = HostileSequences(6000, 13);
  const Baseline truth = RandomKmerModel(2, 14);
  const std::vector<float> clean = Scores(truth, sequences);
  PhiloxStream random(15);
  const Problem p = MakeProblem(sequences, [&](int32_t i) { return clean[i] + 0.1 * (random.Uniform() - 0.5); });
  ThreadPool pool(2);
  const auto fit = FitKmers(p.data(), 2, KmerPenalties(), pool);
  ASSERT_TRUE(fit.ok()) << fit.status();
  ExpectEqual(fit->trials.size(), KmerPenalties().size());
  for (size_t m = 0; m < 16; ++m) ExpectWithin(fit->model.weights[m], truth.weights[m], 0.01);
  ExpectWithin(fit->model.intercept, truth.intercept, 0.02);
  for (size_t i = 0; i < fit->trials.size(); ++i) {
    const KmerTrial &t = fit->trials[i], &best = fit->trials[fit->best];
    ExpectEqual(i < fit->best ? t.valid_pearson < best.valid_pearson : t.valid_pearson <= best.valid_pearson, true);
  }
  ExpectEqual(fit->model.penalty, fit->trials[fit->best].penalty);
}

TEST(KmerFit, ThreadsDoNotMatter) {
  const Sequences sequences = HostileSequences(2000, 16);
  PhiloxStream random(17);
  const Problem p = MakeProblem(sequences, [&](int32_t) { return random.Uniform(); });
  ThreadPool one(1), three(3);
  const auto a = FitKmers(p.data(), 4, KmerPenalties(), one), b = FitKmers(p.data(), 4, KmerPenalties(), three);
  ASSERT_TRUE(a.ok() && b.ok());
  test::ExpectSameBits<float>(a->model.weights, b->model.weights, "weights");
  ExpectEqual(a->model.intercept, b->model.intercept);
  for (size_t i = 0; i < a->trials.size(); ++i) ExpectEqual(a->trials[i].residual, b->trials[i].residual);
}

TEST(KmerFit, Refusals) {
  ThreadPool pool(1);
  const auto message = [&](const Problem& p, int k) {
    const auto fit = FitKmers(p.data(), k, KmerPenalties(), pool);
    ExpectEqual(fit.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(fit.status().message());
  };
  Sequences unknown, one;
  unknown.length = one.length = kLength;
  for (int i = 0; i < 10; ++i) unknown.AppendCentred("ACNGU");
  EXPECT_THAT(message(MakeProblem(unknown, [](int32_t i) { return i; }), 3), HasSubstr("3-mer"));
  // One probe, and constant scores: weights of zero predict nothing.
  one.AppendCentred("ACGU");
  one.AppendCentred("ACGG");
  Problem p = MakeProblem(one, [](int32_t i) { return i; });
  ExpectEqual(p.train.size(), size_t{1});
  EXPECT_THAT(message(p, 2), HasSubstr("every penalty"));
  EXPECT_THAT(message(MakeProblem(HostileSequences(100, 18), [](int32_t) { return 3; }), 2),
              HasSubstr("scores that differ"));
}

}  // namespace
}  // namespace rb
