// kernels/batch_norm.h: the whole-batch steps, and the gradient formula that its consumers share.
#include "kernels/batch_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/operator_bed.h"
#include "tests/support/operator_inputs.h"
#include "tests/support/oracle.h"
#include "tests/support/tolerance.h"

namespace rb::test {
namespace {

using oracle::Field;
using oracle::Values;

struct NormCase {
  int channels = 32, positions = 41;
  bool running = true;
  float rate = 0.2f;
};

// Rows of a chunk times positions.
int64_t CountOf(int rows, int chunk, int positions) {
  return int64_t{oracle::FirstRow(rows, chunk + 1) - oracle::FirstRow(rows, chunk)} * positions;
}

template <class T>
class Finalize {
 public:
  Finalize(const ModelSet& models, const NormCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    moments_ = DrawnValues<T>(models, kBatchChunks * 2 * shape.channels, 1, Fill::kRandom);
    for (int slot = 0; slot < models.slots(); ++slot) FillMoments(slot);
    old_mean_ = DrawnValues<T>(models, shape.channels, 2, fill);
    old_variance_ = Drawn<T>(models, shape.channels, 3, [](Draws& draws) { return draws.Uniform(0, 2); });
    epsilon_ = fill == Fill::kInteger ? T(1) : T(1e-3);
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    mean_ = Tensor<T>(models_.slots(), shape_.channels);
    rstd_ = Tensor<T>(models_.slots(), shape_.channels);
    if (!shape_.running) return;
    running_mean_ = Tensor<T>(models_.slots(), shape_.channels);
    running_variance_ = Tensor<T>(models_.slots(), shape_.channels);
    running_mean_.CopyFrom(old_mean_);
    running_variance_.CopyFrom(old_variance_);
  }
  void Run(const TestMachine& machine) {
    BatchNormFinalizeArgs<T> args;
    args.models = models_.models();
    args.channels = shape_.channels, args.positions = shape_.positions;
    args.epsilon = epsilon_;
    args.moments = moments_;
    args.mean = mean_, args.rstd = rstd_;
    args.running_mean = running_mean_, args.running_variance = running_variance_;
    RB_RUN(machine, BatchNormFinalize, args);
  }
  std::vector<Output> outputs() const {
    std::vector<Output> out = {OutputOf("mean", mean_, models_, 0, shape_.channels),
                               OutputOf("rstd", rstd_, models_, 0, shape_.channels)};
    if (!shape_.running) return out;
    out.push_back(OutputOf("running_mean", running_mean_, models_, 0, shape_.channels));
    out.push_back(OutputOf("running_variance", running_variance_, models_, 0, shape_.channels));
    return out;
  }
  void Check(int slot) {
    for (int c = 0; c < shape_.channels; ++c) CheckChannel(slot, c);
  }

 private:
  // Random moments; in integer cases every chunk has the mean c - 16 and the variance 4^(c mod 5) - 1, so that with
  // epsilon 1 rstd is a power of two. What an empty chunk holds must not matter.
  void FillMoments(int slot) {
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int64_t count = CountOf(models_.rows(slot), chunk, shape_.positions);
      for (int c = 0; c < shape_.channels; ++c) {
        T& mean = moments_[slot][(2 * chunk) * shape_.channels + c];
        T& m2 = moments_[slot][(2 * chunk + 1) * shape_.channels + c];
        m2 = static_cast<T>(static_cast<float>(std::abs(m2) * static_cast<double>(count)));
        if (fill_ == Fill::kInteger)
          mean = static_cast<T>(c - 16), m2 = static_cast<T>(count * (std::pow(4, c % 5) - 1));
        if (count == 0) mean = m2 = Poison<T>();
      }
    }
  }
  void CheckChannel(int slot, int c) {
    const int rows = models_.rows(slot);
    const double total = static_cast<double>(rows) * shape_.positions;
    const auto moment = [&](int chunk, int which) -> double {
      return moments_[slot][(2 * chunk + which) * shape_.channels + c];
    };
    double mean = 0, m2 = 0, s1 = 0, mean_abs = 0;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const double n = static_cast<double>(CountOf(rows, chunk, shape_.positions));
      if (n == 0) continue;
      mean += n * moment(chunk, 0) / total;
      mean_abs = std::max(mean_abs, std::abs(moment(chunk, 0)));
    }
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const double n = static_cast<double>(CountOf(rows, chunk, shape_.positions));
      if (n == 0) continue;
      const double delta = moment(chunk, 0) - mean;
      m2 += moment(chunk, 1) + n * delta * delta;
      s1 += n * std::abs(delta);
    }
    const double variance = m2 / total, with_epsilon = variance + static_cast<double>(epsilon_),
                 rstd = 1 / std::sqrt(with_epsilon);
    const bool exact = fill_ == Fill::kInteger;
    const double mean_error = exact ? 0 : MeanBound<T>(0, kBatchChunks, mean_abs);
    const double variance_error =
        exact ? 0
              : M2Bound<T>(0, kBatchChunks, static_cast<int64_t>(total), m2, s1, mean_abs) / total +
                    SumBound<T>(1, variance);
    ExpectWithin(mean_[slot][c], mean, mean_error, "mean");
    ExpectWithin(rstd_[slot][c], rstd, exact ? 0 : RstdBound<T>(rstd, variance_error, with_epsilon), "rstd");
    if (!shape_.running) return;
    const double momentum = static_cast<double>(T(0.99)), rest = 1 - momentum;
    const double old_mean = old_mean_[slot][c], old_variance = old_variance_[slot][c];
    ExpectWithin(running_mean_[slot][c], momentum * old_mean + rest * mean,
                 rest * mean_error + SumBound<T>(3, std::abs(momentum * old_mean) + std::abs(rest * mean)),
                 "running mean");
    ExpectWithin(running_variance_[slot][c], momentum * old_variance + rest * variance,
                 rest * variance_error + SumBound<T>(3, momentum * old_variance + rest * variance), "running variance");
  }

  ModelSet models_;
  NormCase shape_;
  Fill fill_;
  T epsilon_;
  Tensor<T> moments_, mean_, rstd_, old_mean_, old_variance_, running_mean_, running_variance_;
};

template <class T>
class GradFinalize {
 public:
  GradFinalize(const ModelSet& models, const NormCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    chunk_sums_ = DrawnValues<T>(models, kBatchChunks * 2 * shape.channels, 1, fill, 9);
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    sums_ = Tensor<T>(models_.slots(), 2 * shape_.channels);
    dgamma_ = Tensor<T>(models_.slots(), shape_.channels);
    dbeta_ = Tensor<T>(models_.slots(), shape_.channels);
  }
  void Run(const TestMachine& machine) {
    const BatchNormGradFinalizeArgs<T> args = {models_.models(), shape_.channels, chunk_sums_, sums_, dgamma_, dbeta_};
    RB_RUN(machine, BatchNormGradFinalize, args);
  }
  std::vector<Output> outputs() const {
    return {OutputOf("sums", sums_, models_, 0, 2 * shape_.channels),
            OutputOf("dgamma", dgamma_, models_, 0, shape_.channels),
            OutputOf("dbeta", dbeta_, models_, 0, shape_.channels)};
  }
  void Check(int slot) {
    Field sums(2 * shape_.channels);
    for (int i = 0; i < kBatchChunks * 2 * shape_.channels; ++i) {
      sums.v[i % sums.size()] += chunk_sums_[slot][i];
      sums.m[i % sums.size()] += std::abs(chunk_sums_[slot][i]);
    }
    oracle::ExpectField(sums_[slot], sums, kBatchChunks, fill_, "sums");
    for (int c = 0; c < shape_.channels; ++c) {
      ExpectEqual(dbeta_[slot][c], sums_[slot][c], "dbeta");
      ExpectEqual(dgamma_[slot][c], sums_[slot][shape_.channels + c], "dgamma");
    }
  }

 private:
  ModelSet models_;
  NormCase shape_;
  Fill fill_;
  Tensor<T> chunk_sums_, sums_, dgamma_, dbeta_;
};

// The prologue by itself, its input and output stored as A.
template <class T, class A = T>
class Apply {
 public:
  Apply(const ModelSet& models, const NormCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    x_ = DrawnValues<A>(models, models.batch() * size(), 1, fill);
    prologue_ = {models, shape.channels, shape.positions, fill == Fill::kInteger ? 0.5f : shape.rate, 3, 20, fill};
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    a_ = Tensor<A>(models_.slots(), models_.batch() * size());
    prologue_.mask = Tensor<uint32_t>(models_.slots(), models_.batch() * size() / 32);
  }
  void Run(const TestMachine& machine) {
    BatchNormApplyArgs<T, A> args;
    args.models = models_.models();
    args.channels = shape_.channels, args.positions = shape_.positions;
    args.x = x_;
    args.prologue = prologue_.view();
    args.a = a_;
    RB_RUN(machine, BatchNormApply, args);
  }
  std::vector<Output> outputs() const {
    return {OutputOf("a", a_, models_, size(), 0), OutputOf("mask", prologue_.mask, models_, size() / 32, 0)};
  }
  void Check(int slot) {
    const Values x = RowsOf(x_, slot, models_.rows(slot) * size());
    const oracle::Activation want = prologue_.Activate(x, models_.state(slot), slot);
    oracle::ExpectMask<T>(
        prologue_.mask[slot], want, kActivationDepth, fill_, [](size_t) { return true; }, "mask");
    const double roundoff = std::is_same_v<A, BFloat16> ? kBf16Roundoff : 0;
    oracle::ExpectField(a_[slot], want.a, kActivationDepth + 1, fill_, "a", 1, roundoff);
  }

 private:
  int64_t size() const { return int64_t{shape_.positions} * shape_.channels; }
  ModelSet models_;
  NormCase shape_;
  Fill fill_;
  Tensor<A> x_, a_;
  PrologueInputs<T> prologue_;
};

template <template <class> class Case>
void CheckAll(const ModelSet& models, const NormCase& shape, Fill fill) {
  TestParallel parallel;
  Case<float> in_float(models, shape, fill);
  RunAndCheck(in_float, parallel);
  Case<double> in_double(models, shape, fill);
  RunAndCheck(in_double, parallel);
}

void CheckEverything() {
  for (const int channels : {32, 64, 96, 128, 256}) {
    for (const int positions : {1, 16, 41, 512}) {
      CheckAll<Finalize>(ThreeModels(), {channels, positions, true}, Fill::kRandom);
      CheckAll<Finalize>(IdleModel(), {channels, positions, false}, Fill::kRandom);
      for (const int rows : {1, 7, 8, 9, 100}) CheckAll<Finalize>(OneModel(rows), {channels, positions}, Fill::kRandom);
      if (positions == 41) continue;
      for (const int rows : {1, 2, 8, 64}) CheckAll<Finalize>(OneModel(rows), {channels, positions}, Fill::kInteger);
    }
    CheckAll<GradFinalize>(ThreeModels(), {channels}, Fill::kInteger);
    CheckAll<GradFinalize>(IdleModel(), {channels}, Fill::kRandom);
  }
}

TEST(BatchNorm, EqualsPlainLoops) { CheckEverything(); }

TEST(BatchNorm, EveryVectorTarget) { ForEachTarget(CheckEverything); }

TEST(BatchNormApply, EqualsPlainLoops) {
  TestParallel parallel;
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    Apply<float> in_float(ThreeModels(), {96, 41}, fill);
    RunAndCheck(in_float, parallel);
    Apply<double> in_double(IdleModel(), {32, 16}, fill);
    RunAndCheck(in_double, parallel);
  }
}

TEST(BatchNorm, SameBitsInAnyCompany) {
  for (const ModelSet& models : {ThreeModels(), IdleModel()}) {
    ExpectSameInAnyCompany<Finalize<float>>(models, NormCase{96}, Fill::kRandom);
    ExpectSameInAnyCompany<Finalize<double>>(models, NormCase{96}, Fill::kRandom);
    ExpectSameInAnyCompany<GradFinalize<float>>(models, NormCase{96}, Fill::kRandom);
  }
}

template <class Case>
void CheckOn(const TestMachine& machine, const ModelSet& models, const NormCase& shape) {
  SCOPED_TRACE(testing::Message() << machine.name() << ": C" << shape.channels << " L" << shape.positions);
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    Case c(models, shape, fill);
    RunAndCheck(c, machine);
  }
}

TEST(BatchNormOnDevice, TinyEqualsPlainLoops) {
  for (const TestMachine& machine : EmulatedMachines()) {
    for (const int channels : {32, 96, 160}) {
      CheckOn<GradFinalize<float>>(machine, ThreeModels(), {channels});
      CheckOn<GradFinalize<float>>(machine, IdleModel(), {channels});
      for (const int rows : {1, 2, 8, 64}) CheckOn<Finalize<float>>(machine, OneModel(rows), {channels, 16});
    }
    for (const ModelSet& models : {ThreeModels(), IdleModel(), OneModel(7), OneModel(100)}) {
      Finalize<float> random(models, {96, 41, models.batch() != 7}, Fill::kRandom);
      RunAndCheck(random, machine);
    }
    CheckOn<Apply<float>>(machine, IdleModel(), {32, 5});
  }
}

TEST(BatchNormOnDevice, AppliesAsPlainLoops) {
  for (const NormCase& shape : {NormCase{96, 41}, {160, 16, true, 0}, {1024, 2}, {4096, 1}}) {
    for (const ModelSet& models : {ThreeModels(), IdleModel()}) {
      CheckOn<Apply<float>>(TestMachine::Emulated(Precision::kFp32, 1), models, shape);
      CheckOn<Apply<float, BFloat16>>(TestMachine::Emulated(Precision::kBf16, 2), models, shape);
    }
  }
}

TEST(BatchNormOnDevice, SameBitsInAnyCompany) {
  const NormCase shape = {96, 7};
  ExpectSameOnDevice<Finalize<float>>(ThreeModels(), Precision::kFp32, shape, Fill::kRandom);
  ExpectSameOnDevice<GradFinalize<float>>(ThreeModels(), Precision::kFp32, shape, Fill::kRandom);
  ExpectSameOnDevice<Apply<float>>(ThreeModels(), Precision::kFp32, shape, Fill::kRandom);
  ExpectSameOnDevice<Apply<float, BFloat16>>(ThreeModels(), Precision::kBf16, shape, Fill::kRandom);
}

// The formula dy = gamma*rstd*(dz - mean(dz) - xhat*mean(dz*xhat)) against central differences of the whole batch norm,
// statistics included.
TEST(BatchNormOracle, GradientIsThatOfTheForward) {
  constexpr int kChannels = 3, kCount = 10;
  constexpr double kEpsilon = 1e-3, kStep = 1e-5;
  Draws draws(0, 1);
  Values y(kCount * kChannels), r(y.size());
  for (double& v : y) v = draws.Uniform(-1, 1);
  for (double& v : r) v = draws.Uniform(-1, 1);
  oracle::Norm norm = {Values(kChannels), Values(kChannels), {0.7, -1.2, 2}, {0.1, 0.2, -0.3}};
  const auto with_statistics = [&](const Values& at) {
    const oracle::Moments moments = oracle::MomentsOf(at, kChannels, 0, at.size());
    oracle::Norm out = norm;
    for (int c = 0; c < kChannels; ++c) {
      out.mean[c] = moments.mean[c];
      out.rstd[c] = 1 / std::sqrt(moments.m2[c] / kCount + kEpsilon);
    }
    return out;
  };
  const auto loss = [&](const Values& at) {
    const Field z = oracle::Normalise(at, with_statistics(at));
    double sum = 0;
    for (size_t i = 0; i < r.size(); ++i) sum += r[i] * z.v[i];
    return sum;
  };
  norm = with_statistics(y);
  const Field sums = oracle::NormGradSums(Field(r), y, norm, 0, y.size());
  const Field dy = oracle::NormGrad(Field(r), y, norm, sums.v, kCount);
  for (size_t i = 0; i < y.size(); ++i) {
    Values up = y, down = y;
    up[i] += kStep, down[i] -= kStep;
    // Truncation: third derivatives below 100 times kStep^2 / 6; rounding: 1e-15 / kStep.
    ExpectWithin((loss(up) - loss(down)) / (2 * kStep), dy.v[i], 1e-8, "difference quotient");
  }
}

}  // namespace
}  // namespace rb::test
