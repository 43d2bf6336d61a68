// kernels/embed_conv.h against the plain convolution of an explicit one-hot tensor, which the operators never form.
#include "kernels/embed_conv.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/packed_bases.h"
#include "tests/support/operator_bed.h"
#include "tests/support/operator_inputs.h"
#include "tests/support/oracle.h"
#include "tests/support/tolerance.h"

namespace rb::test {
namespace {

using oracle::Field;
using oracle::Values;

constexpr int kSequences = 37;

struct EmbedCase {
  int length = 41, structure = 0, filters = 32, width = 11;
  bool norm = true;  // forward: moments wanted; backward: dz is behind a batch norm

  int channels() const { return 4 + structure; }
  int weights() const { return width * channels() * filters; }
  oracle::ConvShape oracle() const { return {length, channels(), filters, width, 1}; }
};

// Sequences with unknown bases in the middle and at the end, and their tracks.
class Sequences {
 public:
  Sequences(const EmbedCase& shape, Fill fill) : shape_(shape) {
    Draws draws(0, 77);
    codes_.resize(kSequences * shape.length);
    for (int i = 0; i < kSequences; ++i) {
      const int known = i % 3 == 0 ? shape.length : draws.Integer(0, shape.length);  // the rest is padding
      for (int p = 0; p < shape.length; ++p)
        codes_[i * shape.length + p] = p < known ? draws.Integer(0, 4) : kUnknownBase;
    }
    words_.resize(kSequences * PackedWords(shape.length));
    for (int i = 0; i < kSequences; ++i) {
      PackBases(&codes_[i * shape.length], shape.length, &words_[i * PackedWords(shape.length)]);
    }
    tracks_.resize(kSequences * shape.length * shape.structure);
    for (float& value : tracks_) value = static_cast<float>(draws.Value(fill));
  }
  EmbedConvGeometry geometry(int batch) const {
    return {shape_.length,
            shape_.structure,
            shape_.filters,
            shape_.width,
            batch,
            words_.data(),
            shape_.structure > 0 ? tracks_.data() : nullptr};
  }
  // One row per batch row, one-hot bases beside the tracks.
  Field Input(std::span<const int32_t> rows) const {
    Field x(rows.size() * shape_.length * shape_.channels());
    double* to = x.v.data();
    for (const int32_t row : rows) {
      for (int p = 0; p < shape_.length; ++p, to += shape_.channels()) {
        const int at = row * shape_.length + p;
        if (codes_[at] < 4) to[codes_[at]] = 1;
        for (int s = 0; s < shape_.structure; ++s) to[4 + s] = tracks_[at * shape_.structure + s];
      }
    }
    return Field(x.v);
  }

 private:
  EmbedCase shape_;
  std::vector<uint8_t> codes_;
  DeviceVector<uint32_t> words_;
  DeviceVector<float> tracks_;
};

Tensor<int32_t> DrawnRows(const ModelSet& models) {
  return Drawn<int32_t>(models, models.batch(), 5, [](Draws& draws) { return draws.Integer(0, kSequences - 1); });
}

// Activations stored as A.
template <class T, class A = T>
class Forward {
 public:
  Forward(const ModelSet& models, const EmbedCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), sequences_(shape, fill), rows_(DrawnRows(models)) {
    w_ = DrawnValues<T>(models, shape.weights(), 2, fill);
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    y_ = Tensor<A>(models_.slots(), int64_t{models_.batch()} * shape_.length * shape_.filters);
    if (shape_.norm) moments_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.filters);
  }
  void Run(const TestMachine& machine) {
    const EmbedConvForwardArgs<T, A> args = {models_.models(), sequences_.geometry(models_.batch()), rows_, w_, y_,
                                             moments_};
    RB_RUN(machine, EmbedConvForward, args);
    on_device_ = !machine.is_cpu();
  }
  std::vector<Output> outputs() const {
    std::vector<Output> out = {OutputOf("y", y_, models_, int64_t{shape_.length} * shape_.filters, 0)};
    if (moments_) out.push_back(OutputOf("moments", moments_, models_, 0, moments_.count()));
    return out;
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    const Field x = sequences_.Input(rows_[slot].first(rows));
    const Field y = oracle::Conv(shape_.oracle(), x, oracle::Doubles(w_[slot]), rows);
    // Terms: one base and S tracks a tap; then, perhaps, the rounding to bf16.
    oracle::ExpectField(y_[slot], y, shape_.width * (1 + shape_.structure) + 2, fill_, "y", 1,
                        std::is_same_v<A, BFloat16> ? kBf16Roundoff : 0);
    if (!moments_) return;
    const Values stored = RowsOf(y_, slot, static_cast<int64_t>(y.size()));
    if (on_device_) return ExpectStreamedMoments(moments_[slot], stored, rows);
    oracle::ExpectMoments(moments_[slot], stored, rows, shape_.length, shape_.filters, 1, "moments");
  }

 private:
  // The device's moments are streams of a chunk's rows, dealt to four warps or more.
  void ExpectStreamedMoments(std::span<T> moments, const Values& y, int rows) const {
    const int channels = shape_.filters;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const int64_t row = int64_t{shape_.length} * channels, stream = int64_t{(end - begin + 3) / 4} * shape_.length;
      const oracle::Moments want = oracle::MomentsOf(y, channels, begin * row, end * row);
      const int64_t n = std::max<int64_t>(7, (stream + 3) / 2);
      const int blocks = std::min(end - begin, 8) + 2 + std::bit_width(static_cast<uint64_t>(stream));
      Values y_max(channels), mean_bound(channels), m2_bound(channels);
      for (int64_t i = begin * row; i < end * row; ++i)
        y_max[i % channels] = std::max(y_max[i % channels], std::abs(y[i]));
      for (int c = 0; c < channels; ++c) {
        mean_bound[c] = StreamedMeanBound<T>(n, blocks, y_max[c]);
        m2_bound[c] = StreamedM2Bound<T>(n, blocks, want.count, want.m2[c], want.s1[c], y_max[c]);
      }
      const auto part = moments.subspan(static_cast<size_t>(chunk) * 2 * channels, 2 * channels);
      ExpectAllWithin<double, double, double>(oracle::Doubles(part.first(channels)), want.mean, mean_bound, "mean");
      ExpectAllWithin<double, double, double>(oracle::Doubles(part.last(channels)), want.m2, m2_bound, "M2");
    }
  }
  ModelSet models_;
  EmbedCase shape_;
  Fill fill_;
  Sequences sequences_;
  Tensor<int32_t> rows_;
  Tensor<T> w_, moments_;
  Tensor<A> y_;
  bool on_device_ = false;
};

// Both backward operators: the weight gradient and the gradient of the input channels.
template <class T, class A = T>
class Backward {
 public:
  Backward(const ModelSet& models, const EmbedCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), sequences_(shape, fill), rows_(DrawnRows(models)) {
    const int64_t size = int64_t{models.batch()} * shape.length * shape.filters;
    w_ = DrawnWeights<T>(models, shape.weights(), 2, fill);
    dz_ = DrawnValues<A>(models, size, 3, fill);
    if (!shape.norm) return;
    y_ = DrawnValues<A>(models, size, 4, fill, 1);
    norm_ = {models, shape.filters, shape.length, 20, fill};
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    dw_ = Tensor<T>(models_.slots(), kBatchChunks * DwStride());
    dx_ = Tensor<T>(models_.slots(), int64_t{models_.batch()} * shape_.length * shape_.channels());
  }
  void Run(const TestMachine& machine) {
    const EmbedConvBackwardArgs<T, A> args = {models_.models(),
                                              sequences_.geometry(models_.batch()),
                                              rows_,
                                              dz_,
                                              y_,
                                              norm_.mean,
                                              norm_.rstd,
                                              norm_.gamma,
                                              norm_.sums,
                                              dw_,
                                              DwStride()};
    RB_RUN(machine, EmbedConvBackward, args);
    EmbedConvInputGradArgs<T, A> input_grad = {args, w_, dx_};
    input_grad.backward.dw = {};
    RB_RUN(machine, EmbedConvInputGrad, input_grad);
  }
  std::vector<Output> outputs() const {
    return {OutputOf("dw", dw_, models_, 0, dw_.count()),
            OutputOf("dx", dx_, models_, int64_t{shape_.length} * shape_.channels(), 0)};
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    const int64_t size = int64_t{rows} * shape_.length * shape_.filters;
    Field dy(RowsOf(dz_, slot, size));
    if (norm_) {
      dy = oracle::NormGrad(dy, RowsOf(y_, slot, size), norm_.norm(slot), oracle::Doubles(norm_.sums[slot]),
                            static_cast<double>(rows) * shape_.length);
    }
    const Field dx = oracle::ConvDataGrad(shape_.oracle(), dy, oracle::Doubles(w_[slot]), rows);
    oracle::ExpectField(dx_[slot], dx, kNormGradDepth + 1 + shape_.width * shape_.filters, fill_, "dx");
    const Field x = sequences_.Input(rows_[slot].first(rows));
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const Field dw = oracle::ConvWeightGrad(shape_.oracle(), x, dy, begin, end);
      const std::span<T> got = dw_[slot].subspan(chunk * DwStride(), DwStride());
      oracle::ExpectField(got, dw, kNormGradDepth + 1 + (end - begin) * shape_.length, fill_, "dw");
      for (size_t i = dw.size(); i < got.size(); ++i) ExpectEqual(std::isnan(got[i]), true, "gap between chunks of dw");
    }
  }

 private:
  int64_t DwStride() const { return shape_.weights() + 64; }
  ModelSet models_;
  EmbedCase shape_;
  Fill fill_;
  Sequences sequences_;
  Tensor<int32_t> rows_;
  Tensor<T> w_, dw_, dx_;
  Tensor<A> dz_, y_;
  NormInputs<T> norm_;
};

template <template <class> class Case>
void CheckAll(const ModelSet& models, const EmbedCase& shape) {
  SCOPED_TRACE(testing::Message() << "L" << shape.length << " S" << shape.structure << " O" << shape.filters << " K"
                                  << shape.width << (shape.norm ? " norm" : ""));
  TestParallel parallel;
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    Case<float> in_float(models, shape, fill);
    RunAndCheck(in_float, parallel);
    Case<double> in_double(models, shape, fill);
    RunAndCheck(in_double, parallel);
  }
}

std::vector<EmbedCase> Shapes() {
  return {{16, 0, 96, 11, true},  {20, 2, 32, 19, false}, {41, 5, 96, 11, true},  {41, 0, 128, 3, true},
          {64, 2, 64, 3, false},  {100, 5, 32, 19, true}, {16, 5, 32, 19, true},  {41, 0, 96, 19, false},
          {64, 0, 160, 11, true}, {512, 2, 32, 11, true}, {20, 0, 32, 41, false}, {33, 2, 32, 1, true}};
}

TEST(EmbedConvForward, EqualsPlainLoops) {
  for (const EmbedCase& shape : Shapes()) CheckAll<Forward>(ThreeModels(), shape);
}

TEST(EmbedConvBackward, EqualsPlainLoops) {
  for (const EmbedCase& shape : Shapes()) CheckAll<Backward>(ThreeModels(), shape);
}

TEST(EmbedConv, EveryNumberOfRows) {
  for (const int rows : {1, 7, 8, 9, 100}) {
    CheckAll<Forward>(OneModel(rows), {.length = 16, .structure = 2});
    CheckAll<Backward>(OneModel(rows), {.length = 16, .structure = 2});
  }
  CheckAll<Forward>(IdleModel(), {.length = 20});
  CheckAll<Backward>(IdleModel(), {.length = 16});
}

TEST(EmbedConv, SameBitsInAnyCompany) {
  const EmbedCase shape = {.structure = 2, .filters = 96};
  for (const ModelSet& models : {ThreeModels(), IdleModel(), ModelSet({33, 100, 8}, {2, 1, 0})}) {
    ExpectSameInAnyCompany<Forward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Forward<double>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<double>>(models, shape, Fill::kRandom);
  }
}

TEST(EmbedConv, EveryVectorTarget) {
  ForEachTarget([] {
    for (const EmbedCase& shape :
         {EmbedCase{.length = 16, .structure = 5, .filters = 96}, {.structure = 0, .filters = 64}}) {
      CheckAll<Forward>(ThreeModels(), shape);
      CheckAll<Backward>(ThreeModels(), shape);
    }
  });
}

// bf16 holds the integers of exact cases up to 256: sums over few taps.
template <template <class...> class Case>
void CheckOn(const TestMachine& machine, const ModelSet& models, const EmbedCase& shape) {
  SCOPED_TRACE(testing::Message() << machine.name() << ": L" << shape.length << " S" << shape.structure << " O"
                                  << shape.filters << " K" << shape.width << (shape.norm ? " norm" : ""));
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    if (machine.precision() != Precision::kBf16) {
      Case<float> c(models, shape, fill);
      RunAndCheck(c, machine);
    } else if (fill == Fill::kRandom || shape.width * (2 + 4 * shape.structure) < 256) {
      Case<float, BFloat16> c(models, shape, fill);
      RunAndCheck(c, machine);
    }
  }
}

TEST(EmbedConvOnDevice, TinyEqualsPlainLoops) {
  for (const EmbedCase& shape : {EmbedCase{.length = 16}, {16, 2, 32, 13, true}}) {
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
      CheckOn<Forward>(TestMachine::Emulated(precision, 1), OneModel(9), shape);
      CheckOn<Backward>(TestMachine::Emulated(precision, 1), OneModel(9), shape);
    }
  }
}

TEST(EmbedConvOnDevice, EveryOrderOfThreads) {
  for (const Precision precision : {Precision::kFp32, Precision::kTf32, Precision::kBf16}) {
    for (const TestMachine& machine : EmulatedMachines(precision)) {
      for (const EmbedCase& shape : {EmbedCase{.length = 16}, {16, 2, 32, 13, true}, {17, 5, 32, 3, false}}) {
        CheckOn<Forward>(machine, IdleModel(), shape);
        CheckOn<Backward>(machine, IdleModel(), shape);
      }
    }
  }
}

TEST(EmbedConvOnDevice, EqualsPlainLoops) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const TestMachine machine = TestMachine::Emulated(precision, 1);
    for (const EmbedCase& shape : Shapes()) {
      CheckOn<Forward>(machine, ThreeModels(), shape);
      CheckOn<Backward>(machine, ThreeModels(), shape);
    }
    for (const int rows : {1, 8, 100}) {
      CheckOn<Forward>(machine, OneModel(rows), {.length = 41, .filters = 32});
      CheckOn<Backward>(machine, OneModel(rows), {.length = 41, .filters = 32});
    }
  }
}

TEST(EmbedConvOnDevice, SameBitsInAnyCompany) {
  for (const EmbedCase& shape : {EmbedCase{.structure = 2, .filters = 96}, {20, 0, 32, 19, true}}) {
    ExpectSameOnDevice<Forward<float>>(ThreeModels(), Precision::kFp32, shape, Fill::kRandom);
    ExpectSameOnDevice<Backward<float>>(ThreeModels(), Precision::kFp32, shape, Fill::kRandom);
    ExpectSameOnDevice<Forward<float, BFloat16>>(ThreeModels(), Precision::kBf16, shape, Fill::kRandom);
    ExpectSameOnDevice<Backward<float, BFloat16>>(ThreeModels(), Precision::kBf16, shape, Fill::kRandom);
  }
}

}  // namespace
}  // namespace rb::test
