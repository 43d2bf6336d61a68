// kernels/residual_pool.h against plain loops.
#include "kernels/residual_pool.h"

#include <gtest/gtest.h>

#include <bit>
#include <span>
#include <utility>
#include <vector>

#include "tests/support/operator_bed.h"
#include "tests/support/operator_inputs.h"
#include "tests/support/oracle.h"
#include "tests/support/tolerance.h"

namespace rb::test {
namespace {

using oracle::Field;
using oracle::Values;

struct PoolCase {
  int length = 41, channels = 32, pool = 10;
  float rate_skip = 0.1f, rate_before = 0.2f, rate_after = 0;

  int pools() const { return length / pool; }
  int64_t size() const { return int64_t{length} * channels; }
  int64_t pooled() const { return int64_t{pools()} * channels; }
};

// Exact cases need powers of two: pools of 2^k positions and rates of one half.
bool Possible(const PoolCase& c, Fill fill) {
  return fill != Fill::kInteger || std::has_single_bit(static_cast<unsigned>(c.pool));
}
float RateFor(float rate, Fill fill) { return rate > 0 && fill == Fill::kInteger ? 0.5f : rate; }

// What pooling does, for one model: v = z + skip, r = dropout(relu(v)), p = dropout'(mean of r).
struct Pooled {
  oracle::Activation r;
  Field p;
  std::vector<uint8_t> kept_after;
};
Pooled Pool(const PoolCase& c, Field v, const StepState& state, int rows, double before, double after) {
  Pooled out;
  out.r = oracle::Activate(std::move(v), state, 64, before);
  out.p = Field(rows * c.pooled());
  for (int n = 0; n < rows; ++n) {
    for (int l = 0; l < c.pools() * c.pool; ++l) {
      for (int k = 0; k < c.channels; ++k) {
        const size_t from = n * c.size() + static_cast<size_t>(l) * c.channels + k;
        const size_t to = n * c.pooled() + static_cast<size_t>(l / c.pool) * c.channels + k;
        out.p.v[to] += out.r.a.v[from] / c.pool;
        out.p.m[to] += out.r.a.m[from] / c.pool;
      }
    }
  }
  for (size_t i = 0; i < out.p.size(); ++i) {
    out.kept_after.push_back(oracle::Kept(state, 65, i, after));
    out.p.v[i] *= out.kept_after[i] ? oracle::KeepScale(after) : 0;
    out.p.m[i] *= out.kept_after[i] ? oracle::KeepScale(after) : 0;
  }
  return out;
}

// y and the skip input stored as A.
template <class T, class A = T>
class Forward {
 public:
  Forward(const ModelSet& models, const PoolCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    before_ = RateFor(shape.rate_before, fill);
    after_ = RateFor(shape.rate_after, fill);
    y_ = DrawnValues<A>(models, models.batch() * shape.size(), 1, fill);
    x_ = DrawnValues<A>(models, models.batch() * shape.size(), 2, fill);
    norm_ = {models, shape.channels, shape.length, 20, fill};
    skip_ = {models, shape.channels, shape.length, RateFor(shape.rate_skip, fill), 0, 30, fill};
    for (int slot = 0; slot < models.slots(); ++slot) skip_.WriteMask(SkipOf(slot), slot);
  }
  void MakeAlwaysPositive() { norm_.MakeAlwaysPositive(); }
  const ModelSet& models() const { return models_; }
  std::span<const uint32_t> mask(int slot) const { return mask_[slot]; }
  void Prepare() {
    p_ = Tensor<T>(models_.slots(), models_.batch() * shape_.pooled());
    mask_ = Tensor<uint32_t>(models_.slots(), models_.batch() * shape_.size() / 32);
    pool_mask_ = Tensor<uint32_t>(models_.slots(), models_.batch() * shape_.pooled() / 32);
  }
  void Run(const TestMachine& machine) {
    ResidualPoolForwardArgs<T, A> args;
    args.models = models_.models();
    args.length = shape_.length, args.channels = shape_.channels, args.pool = shape_.pool, args.batch = models_.batch();
    args.y = y_;
    args.mean = norm_.mean, args.rstd = norm_.rstd, args.gamma = norm_.gamma, args.beta = norm_.beta;
    args.skip = x_;
    args.skip_prologue = skip_.view();
    args.rate_before = before_, args.rate_after = after_;
    args.layer_before = 64, args.layer_after = 65;
    args.mask = mask_, args.pool_mask = pool_mask_;
    args.p = p_;
    RB_RUN(machine, ResidualPoolForward, args);
  }
  std::vector<Output> outputs() const {
    return {OutputOf("p", p_, models_, shape_.pooled(), 0), OutputOf("mask", mask_, models_, shape_.size() / 32, 0),
            OutputOf("pool_mask", pool_mask_, models_, shape_.pooled() / 32, 0)};
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    Field v = oracle::Normalise(RowsOf(y_, slot, rows * shape_.size()), norm_.norm(slot));
    const Field skip = SkipOf(slot).a;
    for (size_t i = 0; i < v.size(); ++i) v.v[i] += skip.v[i], v.m[i] += skip.m[i];
    const Pooled want = Pool(shape_, std::move(v), models_.state(slot), rows, before_, after_);
    const auto covered = [&](size_t i) {
      return static_cast<int64_t>(i) % shape_.size() < shape_.pools() * shape_.pool * shape_.channels;
    };
    oracle::ExpectMask<T>(mask_[slot], want.r, kActivationDepth + 1, fill_, covered, "mask");
    for (size_t i = 0; i < want.kept_after.size(); ++i) {
      ExpectEqual(oracle::BitOf(pool_mask_[slot], i), want.kept_after[i] != 0, "pool_mask");
    }
    oracle::ExpectField(p_[slot], want.p, kActivationDepth + 1 + shape_.pool + kScaleDepth, fill_, "p",
                        1.0 / shape_.pool);
  }

 private:
  oracle::Activation SkipOf(int slot) const {
    return skip_.Activate(RowsOf(x_, slot, models_.rows(slot) * shape_.size()), models_.state(slot), slot);
  }
  ModelSet models_;
  PoolCase shape_;
  Fill fill_;
  float before_, after_;
  Tensor<A> y_, x_;
  Tensor<T> p_;
  Tensor<uint32_t> mask_, pool_mask_;
  NormInputs<T> norm_;
  PrologueInputs<T> skip_;
};

template <class T, class A = T>
class Backward {
 public:
  Backward(const ModelSet& models, const PoolCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    before_ = RateFor(shape.rate_before, fill);
    after_ = RateFor(shape.rate_after, fill);
    y_ = DrawnValues<A>(models, models.batch() * shape.size(), 1, fill);
    norm_ = {models, shape.channels, shape.length, 20, fill};
    incoming_ = {models, shape.length, shape.channels, shape.pool, 2, fill};
    pool_mask_ = Drawn<uint32_t>(models, models.batch() * shape.pooled() / 32, 4,
                                 [](Draws& d) { return d.Integer(0, 0xFFFF) * 65536.0 + d.Integer(0, 0xFFFF); });
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    dp_ = Tensor<T>(models_.slots(), incoming_.dp.count());
    dp_.CopyFrom(incoming_.dp);
    sums_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.channels);
  }
  void Run(const TestMachine& machine) {
    ResidualPoolBackwardArgs<T, A> args;
    args.models = models_.models();
    args.length = shape_.length, args.channels = shape_.channels, args.pool = shape_.pool, args.batch = models_.batch();
    args.y = y_, args.mean = norm_.mean, args.rstd = norm_.rstd;
    args.rate_before = before_, args.rate_after = after_;
    args.mask = incoming_.view().mask;
    args.pool_mask = pool_mask_;
    args.dp = dp_, args.chunk_sums = sums_;
    RB_RUN(machine, ResidualPoolBackward, args);
  }
  std::vector<Output> outputs() const {
    return {OutputOf("dp", dp_, models_, shape_.pooled(), 0), OutputOf("chunk_sums", sums_, models_, 0, sums_.count())};
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    Field dp(RowsOf(incoming_.dp, slot, rows * shape_.pooled()));
    const double factor = oracle::KeepScale(before_) * oracle::KeepScale(after_) / shape_.pool;
    for (size_t i = 0; i < dp.size(); ++i) {
      const double here = oracle::BitOf(pool_mask_[slot], i) ? factor : 0;
      dp.v[i] *= here, dp.m[i] *= here;
    }
    oracle::ExpectField(dp_[slot], dp, kScaleDepth, fill_, "dp", 1.0 / shape_.pool);
    const auto words = incoming_.mask[slot];
    const Field dz = oracle::ExpandPool(dp, rows, shape_.length, shape_.channels, shape_.pool,
                                        [&](size_t i) { return oracle::BitOf(words, i); });
    const Values y = RowsOf(y_, slot, rows * shape_.size());
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const Field sums = oracle::NormGradSums(dz, y, norm_.norm(slot), begin * shape_.size(), end * shape_.size());
      oracle::ExpectField(sums_[slot].subspan(chunk * sums.size(), sums.size()), sums,
                          kScaleDepth + kXhatDepth + (end - begin) * shape_.length, fill_, "chunk_sums",
                          1.0 / shape_.pool);
    }
  }

 private:
  ModelSet models_;
  PoolCase shape_;
  Fill fill_;
  float before_, after_;
  Tensor<A> y_;
  Tensor<T> dp_, sums_;
  Tensor<uint32_t> pool_mask_;
  NormInputs<T> norm_;
  PoolGradInputs<T> incoming_;
};

template <template <class> class Case>
void CheckAll(const ModelSet& models, const PoolCase& shape) {
  SCOPED_TRACE(testing::Message() << "L" << shape.length << " C" << shape.channels << " pool " << shape.pool);
  TestParallel parallel;
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    if (!Possible(shape, fill)) continue;
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    Case<float> in_float(models, shape, fill);
    RunAndCheck(in_float, parallel);
    Case<double> in_double(models, shape, fill);
    RunAndCheck(in_double, parallel);
  }
}

std::vector<PoolCase> Shapes() {
  return {{16, 32, 4, 0.5f, 0.2f, 0},  {20, 64, 10, 0.1f, 0, 0.3f}, {41, 96, 10, 0.1f, 0.5f, 0.5f},
          {41, 96, 8, 0.1f, 0.5f, 0},  {64, 128, 16, 0, 0, 0},      {100, 32, 30, 0.1f, 0.2f, 0.2f},
          {16, 32, 16, 0, 0.5f, 0.5f}, {41, 32, 1, 0.1f, 0.2f, 0},  {512, 32, 32, 0.1f, 0.2f, 0.1f},
          {20, 32, 11, 0.2f, 0.2f, 0}};
}

TEST(ResidualPoolForward, EqualsPlainLoops) {
  for (const PoolCase& shape : Shapes()) CheckAll<Forward>(ThreeModels(), shape);
}

TEST(ResidualPoolBackward, EqualsPlainLoops) {
  for (const PoolCase& shape : Shapes()) CheckAll<Backward>(ThreeModels(), shape);
}

TEST(ResidualPool, EveryNumberOfRows) {
  for (const int rows : {1, 7, 8, 9, 100}) {
    CheckAll<Forward>(OneModel(rows), {.length = 20, .pool = 8, .rate_after = 0.1f});
    CheckAll<Backward>(OneModel(rows), {.length = 20, .pool = 8, .rate_after = 0.1f});
  }
  CheckAll<Forward>(IdleModel(), {.length = 20});
  CheckAll<Backward>(IdleModel(), {.length = 20});
}

TEST(ResidualPool, SameBitsInAnyCompany) {
  const PoolCase shape = {.channels = 96, .rate_after = 0.1f};
  for (const ModelSet& models : {ThreeModels(), IdleModel(), ModelSet({33, 100, 8}, {2, 1, 0})}) {
    ExpectSameInAnyCompany<Forward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Forward<double>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<double>>(models, shape, Fill::kRandom);
  }
}

TEST(ResidualPool, EveryVectorTarget) {
  ForEachTarget([] {
    for (const PoolCase& shape : Shapes()) {
      if (shape.length > 41) continue;
      CheckAll<Forward>(ThreeModels(), shape);
      CheckAll<Backward>(ThreeModels(), shape);
    }
  });
}

template <class Case>
void CheckOn(const TestMachine& machine, const ModelSet& models, const PoolCase& shape) {
  SCOPED_TRACE(testing::Message() << machine.name() << ": L" << shape.length << " C" << shape.channels << " pool "
                                  << shape.pool);
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    if (!Possible(shape, fill)) continue;
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    Case c(models, shape, fill);
    RunAndCheck(c, machine);
  }
}

TEST(ResidualPoolOnDevice, TinyEqualsPlainLoops) {
  for (const PoolCase& shape : {PoolCase{16, 32, 4, 0.5f, 0.2f, 0}, {20, 32, 11, 0.2f, 0, 0.2f}}) {
    for (const TestMachine& machine : EmulatedMachines()) {
      CheckOn<Forward<float>>(machine, IdleModel(), shape);
      CheckOn<Backward<float>>(machine, IdleModel(), shape);
    }
    for (const TestMachine& machine : EmulatedMachines(Precision::kBf16)) {
      CheckOn<Forward<float, BFloat16>>(machine, IdleModel(), shape);
      CheckOn<Backward<float, BFloat16>>(machine, IdleModel(), shape);
    }
  }
}

TEST(ResidualPoolOnDevice, EqualsPlainLoops) {
  std::vector<PoolCase> shapes = Shapes();
  shapes.push_back({16, 1024, 5, 0.1f, 0.2f, 0});
  const TestMachine machine = TestMachine::Emulated(), bf16 = TestMachine::Emulated(Precision::kBf16);
  for (const PoolCase& shape : shapes) {
    CheckOn<Forward<float>>(machine, ThreeModels(), shape);
    CheckOn<Backward<float>>(machine, ThreeModels(), shape);
    CheckOn<Forward<float, BFloat16>>(bf16, ThreeModels(), shape);
    CheckOn<Backward<float, BFloat16>>(bf16, ThreeModels(), shape);
  }
  for (const int rows : {1, 8, 100}) {
    CheckOn<Forward<float>>(machine, OneModel(rows), {});
    CheckOn<Backward<float>>(machine, OneModel(rows), {});
  }
}

TEST(ResidualPoolOnDevice, SameBitsInAnyCompany) {
  const PoolCase shape = {.channels = 96, .rate_after = 0.1f};
  ExpectSameOnDevice<Forward<float>>(ThreeModels(), Precision::kFp32, shape, Fill::kRandom);
  ExpectSameOnDevice<Backward<float>>(ThreeModels(), Precision::kFp32, shape, Fill::kRandom);
  ExpectSameOnDevice<Forward<float, BFloat16>>(ThreeModels(), Precision::kBf16, shape, Fill::kRandom);
  ExpectSameOnDevice<Backward<float, BFloat16>>(ThreeModels(), Precision::kBf16, shape, Fill::kRandom);
}

// The backward formula (expanded pooled gradient, times 1/pool and the dropout scales) against central differences.
TEST(ResidualPoolOracle, GradientIsThatOfTheForward) {
  const PoolCase c = {.length = 7, .channels = 2, .pool = 3};
  const StepState state = {.dropout_key = 5, .step = 1, .rows = 2};
  constexpr double kStep = 1e-6, kBefore = 0.3, kAfter = 0.2;
  Draws draws(0, 1);
  Values v(2 * c.size()), dp(2 * c.pooled());
  for (double& value : v) value = draws.Uniform(-1, 1);
  for (double& value : dp) value = draws.Uniform(-1, 1);
  const auto loss = [&](const Values& at) {
    const Pooled out = Pool(c, Field(at), state, 2, kBefore, kAfter);
    double sum = 0;
    for (size_t i = 0; i < dp.size(); ++i) sum += dp[i] * out.p.v[i];
    return sum;
  };
  const Pooled out = Pool(c, Field(v), state, 2, kBefore, kAfter);
  Field scaled(dp);
  for (size_t i = 0; i < dp.size(); ++i) {
    scaled.v[i] *= out.kept_after[i] ? oracle::KeepScale(kBefore) * oracle::KeepScale(kAfter) / c.pool : 0;
  }
  const Field dz = oracle::ExpandPool(scaled, 2, c.length, c.channels, c.pool, [&](size_t i) { return out.r.on(i); });
  for (size_t i = 0; i < v.size(); ++i) {
    Values up = v, down = v;
    up[i] += kStep, down[i] -= kStep;
    // Piecewise linear: no truncation error away from the kinks, which lie further than kStep from these draws.
    ExpectWithin((loss(up) - loss(down)) / (2 * kStep), dz.v[i], 1e-8, "difference quotient");
  }
}

}  // namespace
}  // namespace rb::test
