// kernels/dilated_conv.h against plain loops: forward and backward, plain and fused.
#include "kernels/dilated_conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "tests/support/operator_bed.h"
#include "tests/support/operator_inputs.h"
#include "tests/support/oracle.h"
#include "tests/support/tolerance.h"

namespace rb::test {
namespace {

using oracle::Field;
using oracle::Values;

constexpr float kNoPrologue = -1;

struct ConvCase {
  int length = 41, in = 32, out = 32, width = 3, dilation = 1;
  float rate = 0.5f;  // of the prologue's dropout, or kNoPrologue
  bool norm = true;   // backward: dz is behind a batch norm; forward: moments are wanted
  int pool = 0;       // backward: dz comes from a pooling of this size
  int skip = 0;       // backward: a pooled gradient reaches the input beside this layer
  bool dx = true, dw = true;
  bool alias = false;  // dx in the memory of dz

  oracle::ConvShape oracle() const { return {length, in, out, width, dilation}; }
  DilatedConvGeometry geometry(int batch) const { return {length, in, out, width, dilation, batch}; }
};

template <class T>
class Forward {
 public:
  Forward(const ModelSet& models, const ConvCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), batch_(models.batch()) {
    x_ = DrawnValues<T>(models, int64_t{batch_} * shape.length * shape.in, 1, fill);
    w_ = DrawnWeights<T>(models, shape.geometry(1).weights(), 2, fill);
    packed_ = Tensor<T>(models.slots(), shape.geometry(1).weights());
    if (shape.rate != kNoPrologue) prologue_ = {models, shape.in, shape.length, shape.rate, 3, 10, fill};
  }
  PrologueInputs<T>& prologue() { return prologue_; }
  const ModelSet& models() const { return models_; }

  void Prepare() {
    y_ = Tensor<T>(models_.slots(), int64_t{batch_} * shape_.length * shape_.out);
    if (shape_.norm) moments_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.out);
    if (prologue_) prologue_.mask.Fill(kPoisonMask);
  }
  void Run(Parallel& parallel) {
    DilatedConvForwardArgs<T> args;
    args.models = models_.models();
    args.geometry = shape_.geometry(batch_);
    args.x = x_;
    if (prologue_) args.prologue = prologue_.view();
    args.w = w_;
    args.packed = packed_;
    args.y = y_;
    args.moments = moments_;
    cpu::DilatedConvForward(args, parallel);
  }
  std::vector<Output> outputs() const {
    std::vector<Output> out = {OutputOf("y", y_, models_, int64_t{shape_.length} * shape_.out, 0),
                               OutputOf("packed", packed_, models_, 0, packed_.count())};
    if (moments_) out.push_back(OutputOf("moments", moments_, models_, 0, moments_.count()));
    if (prologue_) out.push_back(OutputOf("mask", prologue_.mask, models_, int64_t{shape_.length} * shape_.in / 32, 0));
    return out;
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    const Values x = RowsOf(x_, slot, int64_t{rows} * shape_.length * shape_.in);
    Field a(x);
    if (prologue_) {
      const oracle::Activation activation = prologue_.Activate(x, models_.state(slot), slot);
      oracle::ExpectMask<T>(
          prologue_.mask[slot], activation, kActivationDepth, fill_, [](size_t) { return true; }, "mask");
      a = activation.a;
    }
    const Field y = oracle::Conv(shape_.oracle(), a, oracle::Doubles(w_[slot]), rows);
    oracle::ExpectField(y_[slot], y, kActivationDepth + shape_.width * shape_.in + 1, fill_, "y");
    if (moments_) {
      oracle::ExpectMoments(moments_[slot], RowsOf(y_, slot, static_cast<int64_t>(y.size())), rows, shape_.length,
                            shape_.out, 1, "moments");
    }
  }

 private:
  ModelSet models_;
  ConvCase shape_;
  Fill fill_;
  int batch_;
  Tensor<T> x_, w_, packed_, y_, moments_;
  PrologueInputs<T> prologue_;
};

template <class T>
class Backward {
 public:
  Backward(const ModelSet& models, const ConvCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), batch_(models.batch()) {
    const int64_t in = int64_t{batch_} * shape.length * shape.in, out = int64_t{batch_} * shape.length * shape.out;
    x_ = DrawnValues<T>(models, in, 1, fill);
    w_ = DrawnWeights<T>(models, shape.geometry(1).weights(), 2, fill);
    packed_ = Tensor<T>(models.slots(), shape.geometry(1).weights());
    if (shape.pool == 0) dz_in_ = DrawnValues<T>(models, out, 3, fill);
    if (shape.pool > 0) pool_ = {models, shape.length, shape.out, shape.pool, 4, fill};
    if (shape.skip > 0) skip_ = {models, shape.length, shape.in, shape.skip, 6, fill};
    if (shape.norm) y_ = DrawnValues<T>(models, out, 8, fill, 1);
    if (shape.norm) norm_ = {models, shape.out, shape.length, 20, fill};
    if (shape.rate == kNoPrologue) return;
    prologue_ = {models, shape.in, shape.length, shape.rate, 3, 10, fill};
    for (int slot = 0; slot < models.slots(); ++slot) prologue_.WriteMask(ActivationOf(slot), slot);
  }
  const ModelSet& models() const { return models_; }

  void Prepare() {
    if (dz_in_) {
      dz_ = Tensor<T>(models_.slots(), dz_in_.count());
      dz_.CopyFrom(dz_in_);
    }
    if (shape_.dx) dx_ = shape_.alias ? dz_ : Tensor<T>(models_.slots(), x_.count());
    if (shape_.dx && prologue_) sums_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.in);
    if (shape_.dw) dw_ = Tensor<T>(models_.slots(), kBatchChunks * DwStride());
  }
  void Run(Parallel& parallel) {
    DilatedConvBackwardArgs<T> args;
    args.models = models_.models();
    args.geometry = shape_.geometry(batch_);
    args.dz = dz_;
    if (pool_) args.pool = pool_.view();
    args.y = y_;
    if (norm_) args.norm = norm_.grad();
    args.w = w_;
    args.packed = packed_;
    args.x = x_;
    if (prologue_) args.prologue = prologue_.view();
    if (skip_) args.skip = skip_.view();
    args.dx = dx_;
    args.chunk_sums = sums_;
    args.dw = dw_;
    args.dw_chunk_stride = DwStride();
    cpu::DilatedConvBackward(args, parallel);
  }
  std::vector<Output> outputs() const {
    std::vector<Output> out = {OutputOf("packed", packed_, models_, 0, shape_.dx ? packed_.count() : 0)};
    if (dx_) out.push_back(OutputOf("dx", dx_, models_, int64_t{shape_.length} * shape_.in, 0));
    if (sums_) out.push_back(OutputOf("chunk_sums", sums_, models_, 0, sums_.count()));
    if (dw_) out.push_back(OutputOf("dw", dw_, models_, 0, dw_.count()));
    return out;
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    const size_t out = static_cast<size_t>(rows) * shape_.length * shape_.out;
    Field dy = pool_ ? pool_.Expand(rows, slot) : Field(RowsOf(dz_in_, slot, out));
    if (norm_) {
      dy = oracle::NormGrad(dy, RowsOf(y_, slot, out), norm_.norm(slot), oracle::Doubles(norm_.sums[slot]),
                            static_cast<double>(rows) * shape_.length);
    }
    if (dx_) CheckDataGrad(slot, dy);
    if (dw_) CheckWeightGrad(slot, dy);
  }

 private:
  int64_t DwStride() const { return shape_.geometry(1).weights() + 64; }  // a gap that must stay as it is
  Values RowsOfX(int slot) const { return RowsOf(x_, slot, int64_t{models_.rows(slot)} * shape_.length * shape_.in); }
  oracle::Activation ActivationOf(int slot) const {
    return prologue_.Activate(RowsOfX(slot), models_.state(slot), slot);
  }

  void CheckDataGrad(int slot, const Field& dy) {
    const int rows = models_.rows(slot);
    Field dx = oracle::ConvDataGrad(shape_.oracle(), dy, oracle::Doubles(w_[slot]), rows);
    const Field skip = skip_ ? skip_.Expand(rows, slot) : Field(dx.size());
    const auto words = prologue_ ? prologue_.mask[slot] : std::span<uint32_t>();
    const double scale = prologue_ ? oracle::KeepScale(shape_.rate) : 1;
    for (size_t i = 0; i < dx.size(); ++i) {
      const double factor = !prologue_ || oracle::BitOf(words, i) ? scale : 0;
      dx.v[i] = (dx.v[i] + skip.v[i]) * factor;
      dx.m[i] = (dx.m[i] + skip.m[i]) * factor;
    }
    const double depth = kNormGradDepth + shape_.width * shape_.out + 2 + kScaleDepth;
    oracle::ExpectField(dx_[slot], dx, depth, fill_, "dx");
    if (!prologue_) return;
    const size_t row = static_cast<size_t>(shape_.length) * shape_.in;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const Field sums = oracle::NormGradSums(dx, RowsOfX(slot), prologue_.norm.norm(slot), begin * row, end * row);
      oracle::ExpectField(sums_[slot].subspan(chunk * sums.size(), sums.size()), sums,
                          depth + kXhatDepth + (end - begin) * shape_.length, fill_, "chunk_sums");
    }
  }
  void CheckWeightGrad(int slot, const Field& dy) {
    const int rows = models_.rows(slot);
    const Field a = prologue_ ? ActivationOf(slot).a : Field(RowsOfX(slot));
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const Field dw = oracle::ConvWeightGrad(shape_.oracle(), a, dy, begin, end);
      const std::span<T> got = dw_[slot].subspan(chunk * DwStride(), DwStride());
      oracle::ExpectField(got, dw, kActivationDepth + kNormGradDepth + 1 + (end - begin) * shape_.length, fill_, "dw");
      for (size_t i = dw.size(); i < got.size(); ++i) ExpectEqual(std::isnan(got[i]), true, "gap between chunks of dw");
    }
  }

  ModelSet models_;
  ConvCase shape_;
  Fill fill_;
  int batch_;
  Tensor<T> x_, w_, packed_, dz_in_, dz_, y_, dx_, sums_, dw_;
  PoolGradInputs<T> pool_, skip_;
  NormInputs<T> norm_;
  PrologueInputs<T> prologue_;
};

testing::Message NameOf(const ConvCase& c) {
  return testing::Message() << "L" << c.length << " C" << c.in << " O" << c.out << " K" << c.width << " D" << c.dilation
                            << " rate " << c.rate << (c.norm ? " norm" : "") << " pool " << c.pool << " skip "
                            << c.skip;
}

template <template <class> class Case>
void CheckAll(const ModelSet& models, const ConvCase& shape) {
  SCOPED_TRACE(NameOf(shape));
  TestParallel parallel;
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    ConvCase here = shape;
    if (fill == Fill::kRandom && here.rate > 0) here.rate = 0.2f;
    Case<float> in_float(models, here, fill);
    RunAndCheck(in_float, parallel);
    Case<double> in_double(models, here, fill);
    RunAndCheck(in_double, parallel);
  }
}

// Lengths, channels, widths and dilations; 4 and 41 beyond the sequence: nothing but padding for the outer taps.
std::vector<ConvCase> Shapes() {
  return {{16, 32, 32, 1, 1}, {16, 32, 64, 3, 1},  {20, 64, 32, 3, 2}, {41, 96, 96, 3, 4},  {41, 32, 128, 5, 1},
          {64, 32, 32, 7, 2}, {100, 32, 32, 3, 8}, {16, 96, 64, 5, 8}, {20, 32, 96, 3, 24}, {41, 64, 64, 3, 2}};
}

TEST(DilatedConvForward, EqualsPlainLoops) {
  for (ConvCase shape : Shapes()) {
    CheckAll<Forward>(ThreeModels(), shape);
    shape.rate = kNoPrologue;
    shape.norm = false;
    CheckAll<Forward>(OneModel(3), shape);
  }
  CheckAll<Forward>(OneModel(2), {.length = 512, .in = 32, .out = 64});
}

TEST(DilatedConvForward, EveryNumberOfRows) {
  for (const int rows : {1, 7, 8, 9, 100}) CheckAll<Forward>(OneModel(rows), {.length = 16, .width = 3, .dilation = 2});
  CheckAll<Forward>(IdleModel(), {.length = 20, .rate = 0});
}

TEST(DilatedConvBackward, EqualsPlainLoops) {
  for (const ConvCase& shape : Shapes()) CheckAll<Backward>(ThreeModels(), shape);
  CheckAll<Backward>(OneModel(2), {.length = 512, .in = 32, .out = 64});
}

TEST(DilatedConvBackward, EveryNumberOfRows) {
  for (const int rows : {1, 7, 8, 9, 100})
    CheckAll<Backward>(OneModel(rows), {.length = 16, .width = 3, .dilation = 2});
  CheckAll<Backward>(IdleModel(), {.length = 16, .rate = 0});
}

TEST(DilatedConvBackward, PlainVariants) {
  for (ConvCase shape : Shapes()) {
    shape.rate = kNoPrologue;
    shape.norm = false;
    CheckAll<Backward>(OneModel(9), shape);
  }
  for (const float rate : {0.5f, kNoPrologue}) {
    for (const bool norm : {false, true}) {
      CheckAll<Backward>(OneModel(9), {.length = 20, .rate = rate, .norm = norm});
      CheckAll<Backward>(OneModel(9), {.length = 20, .rate = rate, .norm = norm, .dw = false});
      CheckAll<Backward>(OneModel(9), {.length = 20, .out = 64, .rate = rate, .norm = norm, .dx = false});
      CheckAll<Backward>(ThreeModels(), {.length = 20, .rate = rate, .norm = norm, .alias = true});
    }
  }
}

TEST(DilatedConvBackward, PooledGradients) {
  for (const int pool : {4, 7, 41}) {
    for (const bool norm : {false, true}) {
      CheckAll<Backward>(ThreeModels(), {.norm = norm, .pool = pool});
      CheckAll<Backward>(ThreeModels(), {.norm = norm, .skip = pool});
    }
    CheckAll<Backward>(ThreeModels(), {.in = 64, .rate = kNoPrologue, .pool = pool, .skip = pool});
  }
}

TEST(DilatedConv, SameBitsInAnyCompany) {
  const ConvCase shape = {.in = 64, .out = 96, .dilation = 2, .rate = 0.2f, .pool = 7, .skip = 7};
  for (const ModelSet& models : {ThreeModels(), IdleModel(), ModelSet({33, 100, 8}, {2, 1, 0})}) {
    ExpectSameInAnyCompany<Forward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Forward<double>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<double>>(models, shape, Fill::kRandom);
  }
}

TEST(DilatedConv, EveryVectorTarget) {
  ForEachTarget([] {
    for (const ConvCase& shape : {ConvCase{16, 32, 96, 3, 1}, {41, 64, 32, 3, 2}, {20, 32, 32, 5, 4}}) {
      CheckAll<Forward>(ThreeModels(), shape);
      CheckAll<Backward>(ThreeModels(), shape);
    }
    CheckAll<Backward>(OneModel(9), {.length = 20, .rate = kNoPrologue, .norm = false, .pool = 4, .skip = 7});
  });
}

// The oracle's own gradients against central differences of its forward.
TEST(DilatedConvOracle, GradientsAreThoseOfTheForward) {
  const oracle::ConvShape s = {.length = 7, .in = 3, .out = 2, .width = 3, .dilation = 2};
  constexpr int kRows = 2;
  constexpr double kStep = 1e-5;
  Draws draws(0, 1);
  const auto drawn = [&](size_t n) {
    Values values(n);
    for (double& v : values) v = draws.Uniform(-1, 1);
    return values;
  };
  const Values x = drawn(kRows * 7 * 3), w = drawn(3 * 3 * 2), r = drawn(kRows * 7 * 2);
  const auto loss = [&](const Values& x, const Values& w) {
    const Field y = oracle::Conv(s, Field(x), w, kRows);
    double sum = 0;
    for (size_t i = 0; i < r.size(); ++i) sum += r[i] * y.v[i];
    return sum;
  };
  const Field dx = oracle::ConvDataGrad(s, Field(r), w, kRows),
              dw = oracle::ConvWeightGrad(s, Field(x), Field(r), 0, kRows);
  // Linear in each argument: the central difference errs by rounding only, below 1e3 * 2^-53 / kStep.
  const auto check = [&](const Values& at, const Field& gradient, const auto& f) {
    for (size_t i = 0; i < at.size(); ++i) {
      Values up = at, down = at;
      up[i] += kStep, down[i] -= kStep;
      ExpectWithin((f(up) - f(down)) / (2 * kStep), gradient.v[i], 1e-8, "difference quotient");
    }
  };
  check(x, dx, [&](const Values& v) { return loss(v, w); });
  check(w, dw, [&](const Values& v) { return loss(x, v); });
}

}  // namespace
}  // namespace rb::test
