// kernels/head.h against plain loops: predictions, loss and gradients.
#include "kernels/head.h"

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

struct HeadCase {
  int channels = 32;
  Loss loss = Loss::kSquaredError;
  float rate = 0.5f;
  bool output_gradient = false;
};

// Loss of one row, and its derivative with the magnitude of its terms.
struct RowLoss {
  double loss = 0, gradient = 0, magnitude = 0, loss_magnitude = 0;
};
RowLoss LossOf(Loss kind, double out, double target) {
  RowLoss r;
  if (kind == Loss::kSquaredError) {
    r.loss = r.loss_magnitude = (out - target) * (out - target);
    r.gradient = 2 * (out - target);
    r.magnitude = 2 * (std::abs(out) + std::abs(target));
  } else {
    const double sigmoid = 1 / (1 + std::exp(-out));
    r.loss = std::log(1 + std::exp(out)) - target * out;
    r.loss_magnitude = std::log(1 + std::exp(out)) + std::abs(target * out) + 1;  // + 1: the sum below the logarithm
    r.gradient = sigmoid - target;
    r.magnitude = sigmoid + std::abs(target);
  }
  return r;
}

// h . w + bias for each row.
Field Predict(const Field& h, const Values& w, int rows) {
  const size_t channels = w.size() - 1;
  Field out(rows);
  for (int n = 0; n < rows; ++n) {
    out.v[n] = w[channels];
    out.m[n] = std::abs(w[channels]);
    for (size_t c = 0; c < channels; ++c) {
      out.v[n] += h.v[n * channels + c] * w[c];
      out.m[n] += h.m[n * channels + c] * std::abs(w[c]);
    }
  }
  return out;
}

// d loss / d z of the mean loss from each row's gradient; on(i): the activation passes.
template <class On>
Field HeadDataGrad(const Field& gradient, const Values& w, double scale, const On& on) {
  const size_t channels = w.size() - 1;
  Field dh(gradient.size() * channels);
  for (size_t i = 0; i < dh.size(); ++i) {
    if (!on(i)) continue;
    dh.v[i] = gradient.v[i / channels] * scale * w[i % channels];
    dh.m[i] = gradient.m[i / channels] * scale * std::abs(w[i % channels]);
  }
  return dh;
}

template <class T>
class Head {
 public:
  Head(const ModelSet& models, const HeadCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    z_ = DrawnValues<T>(models, int64_t{models.batch()} * shape.channels, 1, fill);
    w_ = DrawnValues<T>(models, shape.channels + 1, 2, fill, 1);
    targets_ = Drawn<T>(models, models.batch(), 3, [&](Draws& draws) {
      return shape.loss == Loss::kCrossEntropy ? draws.Integer(0, 1) : draws.Value(fill, 3);
    });
    inputs_ = {models, shape.channels, 1, shape.rate, 66, 20, fill};
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    const int64_t size = int64_t{models_.batch()} * shape_.channels;
    out_ = Tensor<T>(models_.slots(), models_.batch());
    dh_ = Tensor<T>(models_.slots(), size);
    sums_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.channels);
    dw_ = Tensor<T>(models_.slots(), kBatchChunks * DwStride());
    loss_ = Tensor<double>(models_.slots(), kBatchChunks);
  }
  void Run(const TestMachine& machine) {
    HeadArgs<T> args;
    args.models = models_.models();
    args.channels = shape_.channels, args.batch = models_.batch();
    args.loss_kind = shape_.loss;
    args.z = z_;
    args.mean = inputs_.norm.mean, args.rstd = inputs_.norm.rstd;
    args.gamma = inputs_.norm.gamma, args.beta = inputs_.norm.beta;
    args.dropout_rate = shape_.rate, args.dropout_layer = 66;
    args.w = w_, args.targets = targets_;
    args.out = out_, args.dh = dh_, args.chunk_sums = sums_, args.dw = dw_;
    args.dw_chunk_stride = DwStride();
    args.loss = loss_;
    args.output_gradient = shape_.output_gradient;
    RB_RUN(machine, HeadForwardBackward, args);
  }
  std::vector<Output> outputs() const {
    return {OutputOf("out", out_, models_, 1, 0), OutputOf("dh", dh_, models_, shape_.channels, 0),
            OutputOf("chunk_sums", sums_, models_, 0, sums_.count()), OutputOf("dw", dw_, models_, 0, dw_.count()),
            OutputOf("loss", loss_, models_, 0, kBatchChunks)};
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    const Values z = RowsOf(z_, slot, int64_t{rows} * shape_.channels), w = oracle::Doubles(w_[slot]);
    const oracle::Activation h = inputs_.Activate(z, models_.state(slot), slot);
    oracle::ExpectField(out_[slot], Predict(h.a, w, rows), kActivationDepth + shape_.channels + 1, fill_, "out");
    // Everything behind is a function of the prediction as stored.
    Field gradient(rows);
    Values row_loss(rows), loss_bound(rows);
    for (int n = 0; n < rows; ++n) {
      const RowLoss r = LossOf(shape_.loss, out_[slot][n], targets_[slot][n]);
      row_loss[n] = r.loss / rows;
      loss_bound[n] = SumBound<double>(kLossDepth + rows, r.loss_magnitude / rows);
      gradient.v[n] = shape_.output_gradient ? 1 : r.gradient / rows;
      gradient.m[n] = shape_.output_gradient ? 1 : r.magnitude / rows;
    }
    const auto on = [&](size_t i) {  // as the operator decided, where rounding may have decided
      const bool sure = fill_ == Fill::kInteger || std::abs(h.z.v[i]) > SumBound<T>(kActivationDepth, h.z.m[i]);
      return sure || !h.kept[i] ? h.on(i) : dh_[slot][i] != 0;
    };
    const Field dh = HeadDataGrad(gradient, w, oracle::KeepScale(shape_.rate), on);
    oracle::ExpectField(dh_[slot], dh, kLossDepth + 1 + kScaleDepth, fill_, "dh", 1.0 / 128);
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      double loss = 0, bound = 0;
      for (int n = begin; n < end; ++n) loss += row_loss[n], bound += loss_bound[n];
      ExpectWithin(loss_[slot][chunk], loss, bound, "loss");
      const Field sums =
          oracle::NormGradSums(dh, z, inputs_.norm.norm(slot), begin * shape_.channels, end * shape_.channels);
      oracle::ExpectField(sums_[slot].subspan(chunk * sums.size(), sums.size()), sums,
                          kLossDepth + 1 + kScaleDepth + kXhatDepth + end - begin, fill_, "chunk_sums", 1.0 / 128);
      CheckWeightGrad(slot, chunk, h.a, gradient, begin, end);
    }
  }

 private:
  int64_t DwStride() const { return shape_.channels + 32; }
  void CheckWeightGrad(int slot, int chunk, const Field& h, const Field& gradient, int begin, int end) {
    Field dw(shape_.channels + 1);
    for (int n = begin; n < end; ++n) {
      for (int c = 0; c <= shape_.channels; ++c) {
        const size_t at = static_cast<size_t>(n) * shape_.channels + c;
        dw.v[c] += gradient.v[n] * (c < shape_.channels ? h.v[at] : 1);
        dw.m[c] += gradient.m[n] * (c < shape_.channels ? h.m[at] : 1);
      }
    }
    const std::span<T> got = dw_[slot].subspan(chunk * DwStride(), DwStride());
    oracle::ExpectField(got, dw, kLossDepth + kActivationDepth + 2 + end - begin, fill_, "dw", 1.0 / 128);
    for (size_t i = dw.size(); i < got.size(); ++i) ExpectEqual(std::isnan(got[i]), true, "gap between chunks of dw");
  }

  ModelSet models_;
  HeadCase shape_;
  Fill fill_;
  Tensor<T> z_, w_, targets_, out_, dh_, sums_, dw_;
  Tensor<double> loss_;
  PrologueInputs<T> inputs_;
};

void CheckAll(const ModelSet& models, HeadCase shape, Fill fill) {
  SCOPED_TRACE(testing::Message() << "C" << shape.channels << " rate " << shape.rate);
  TestParallel parallel;
  Head<float> in_float(models, shape, fill);
  RunAndCheck(in_float, parallel);
  Head<double> in_double(models, shape, fill);
  RunAndCheck(in_double, parallel);
}

// Integers stay exact while the division by the batch's rows is by a power of two.
ModelSet PowersOfTwo() { return ModelSet({8, 4, 2, 1}, {3, 0, 2}); }

void CheckEverything() {
  for (const int channels : {32, 64, 96, 128, 256}) {
    for (const float rate : {0.0f, 0.5f})
      CheckAll(PowersOfTwo(), {channels, Loss::kSquaredError, rate}, Fill::kInteger);
    for (const Loss loss : {Loss::kSquaredError, Loss::kCrossEntropy}) {
      for (const bool output_gradient : {false, true}) {
        CheckAll(ThreeModels(), {channels, loss, 0.2f, output_gradient}, Fill::kRandom);
      }
    }
  }
}

TEST(Head, EqualsPlainLoops) { CheckEverything(); }

TEST(Head, EveryVectorTarget) { ForEachTarget(CheckEverything); }

TEST(Head, EveryNumberOfRows) {
  for (const int rows : {1, 7, 8, 9, 100}) CheckAll(OneModel(rows), {}, Fill::kRandom);
  CheckAll(OneModel(64), {}, Fill::kInteger);
  CheckAll(IdleModel(), {}, Fill::kRandom);
}

TEST(Head, SameBitsInAnyCompany) {
  for (const ModelSet& models : {ThreeModels(), IdleModel(), ModelSet({33, 100, 8}, {2, 1, 0})}) {
    ExpectSameInAnyCompany<Head<float>>(models, HeadCase{96}, Fill::kRandom);
    ExpectSameInAnyCompany<Head<double>>(models, HeadCase{96, Loss::kCrossEntropy}, Fill::kRandom);
  }
}

// Both losses and the prediction's own gradient; one, two and many segments of channels; rows below one a chunk, more
// than a group of them.
void CheckOn(const TestMachine& machine, const ModelSet& models, const HeadCase& shape, Fill fill) {
  SCOPED_TRACE(testing::Message() << machine.name() << ": C" << shape.channels << " rows " << models.batch());
  Head<float> c(models, shape, fill);
  RunAndCheck(c, machine);
}

TEST(HeadOnDevice, TinyEqualsPlainLoops) {
  for (const TestMachine& machine : EmulatedMachines()) {
    CheckOn(machine, PowersOfTwo(), {32, Loss::kSquaredError, 0.5f}, Fill::kInteger);
    CheckOn(machine, IdleModel(), {64, Loss::kCrossEntropy, 0.2f}, Fill::kRandom);
  }
}

TEST(HeadOnDevice, EqualsPlainLoops) {
  for (const TestMachine& machine : EmulatedMachines()) {
    for (const int channels : {96, 256, 288, 1056}) {
      for (const float rate : {0.0f, 0.5f}) {
        CheckOn(machine, PowersOfTwo(), {channels, Loss::kSquaredError, rate}, Fill::kInteger);
      }
      for (const Loss loss : {Loss::kSquaredError, Loss::kCrossEntropy}) {
        for (const bool output_gradient : {false, true}) {
          CheckOn(machine, ThreeModels(), {channels, loss, 0.2f, output_gradient}, Fill::kRandom);
        }
      }
    }
  }
}

TEST(HeadOnDevice, EveryNumberOfRows) {
  const TestMachine machine = TestMachine::Emulated(Precision::kBf16, 4);
  for (const int rows : {1, 7, 8, 9, 100, 128, 300}) CheckOn(machine, OneModel(rows), {}, Fill::kRandom);
  CheckOn(machine, OneModel(64), {}, Fill::kInteger);
  CheckOn(machine, OneModel(100), {256}, Fill::kRandom);
}

TEST(HeadOnDevice, SameBitsInAnyCompany) {
  for (const Loss loss : {Loss::kSquaredError, Loss::kCrossEntropy}) {
    ExpectSameOnDevice<Head<float>>(ModelSet({33, 150, 0, 8}, {2, 3, 1, 0}), Precision::kFp32, HeadCase{96, loss},
                                    Fill::kRandom);
  }
}

// The gradients above against central differences of the mean loss.
TEST(HeadOracle, GradientsAreThoseOfTheForward) {
  constexpr int kRows = 3, kChannels = 4;
  constexpr double kRate = 0.3, kStep = 1e-5;
  const StepState state = {.dropout_key = 3, .step = 9, .rows = kRows};
  Draws draws(0, 1);
  Values z(kRows * kChannels), w(kChannels + 1), targets = {0, 1, 1};
  for (double& v : z) v = draws.Uniform(-1, 1);
  for (double& v : w) v = draws.Uniform(-1, 1);
  for (const Loss kind : {Loss::kSquaredError, Loss::kCrossEntropy}) {
    const auto loss = [&](const Values& z, const Values& w) {
      const Field out = Predict(oracle::Activate(Field(z), state, 0, kRate).a, w, kRows);
      double sum = 0;
      for (int n = 0; n < kRows; ++n) sum += LossOf(kind, out.v[n], targets[n]).loss / kRows;
      return sum;
    };
    const oracle::Activation h = oracle::Activate(Field(z), state, 0, kRate);
    const Field out = Predict(h.a, w, kRows);
    Field gradient(kRows);
    for (int n = 0; n < kRows; ++n) gradient.v[n] = LossOf(kind, out.v[n], targets[n]).gradient / kRows;
    const Field dh = HeadDataGrad(gradient, w, oracle::KeepScale(kRate), [&](size_t i) { return h.on(i); });
    // Truncation: third derivatives below 10 times kStep^2 / 6; rounding: 1e-15 / kStep.
    for (size_t i = 0; i < z.size(); ++i) {
      Values up = z, down = z;
      up[i] += kStep, down[i] -= kStep;
      ExpectWithin((loss(up, w) - loss(down, w)) / (2 * kStep), dh.v[i], 1e-9, "d loss / d z");
    }
    for (size_t c = 0; c < w.size(); ++c) {
      Values up = w, down = w;
      up[c] += kStep, down[c] -= kStep;
      double dw = 0;
      for (int n = 0; n < kRows; ++n) dw += gradient.v[n] * (c < kChannels ? h.a.v[n * kChannels + c] : 1);
      ExpectWithin((loss(z, up) - loss(z, down)) / (2 * kStep), dw, 1e-9, "d loss / d w");
    }
  }
}

}  // namespace
}  // namespace rb::test
