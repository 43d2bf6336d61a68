// kernels/embed_conv.h against the plain convolution of an explicit one-hot tensor, which the operators never form.
#include "kernels/embed_conv.h"

#include <gtest/gtest.h>

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
  std::vector<uint32_t> words_;
  std::vector<float> tracks_;
};

Tensor<int32_t> DrawnRows(const ModelSet& models) {
  return Drawn<int32_t>(models, models.batch(), 5, [](Draws& draws) { return draws.Integer(0, kSequences - 1); });
}

template <class T>
class Forward {
 public:
  Forward(const ModelSet& models, const EmbedCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), sequences_(shape, fill), rows_(DrawnRows(models)) {
    w_ = DrawnValues<T>(models, shape.weights(), 2, fill);
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    y_ = Tensor<T>(models_.slots(), int64_t{models_.batch()} * shape_.length * shape_.filters);
    if (shape_.norm) moments_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.filters);
  }
  void Run(Parallel& parallel) {
    cpu::EmbedConvForward<T>({models_.models(), sequences_.geometry(models_.batch()), rows_, w_, y_, moments_},
                             parallel);
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
    // Terms: one base and S tracks a tap.
    oracle::ExpectField(y_[slot], y, shape_.width * (1 + shape_.structure) + 1, fill_, "y");
    if (!moments_) return;
    oracle::ExpectMoments(moments_[slot], RowsOf(y_, slot, static_cast<int64_t>(y.size())), rows, shape_.length,
                          shape_.filters, 1, "moments");
  }

 private:
  ModelSet models_;
  EmbedCase shape_;
  Fill fill_;
  Sequences sequences_;
  Tensor<int32_t> rows_;
  Tensor<T> w_, y_, moments_;
};

// Both backward operators: the weight gradient and the gradient of the input channels.
template <class T>
class Backward {
 public:
  Backward(const ModelSet& models, const EmbedCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), sequences_(shape, fill), rows_(DrawnRows(models)) {
    const int64_t size = int64_t{models.batch()} * shape.length * shape.filters;
    w_ = DrawnWeights<T>(models, shape.weights(), 2, fill);
    dz_ = DrawnValues<T>(models, size, 3, fill);
    if (!shape.norm) return;
    y_ = DrawnValues<T>(models, size, 4, fill, 1);
    norm_ = {models, shape.filters, shape.length, 20, fill};
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    dw_ = Tensor<T>(models_.slots(), kBatchChunks * DwStride());
    dx_ = Tensor<T>(models_.slots(), int64_t{models_.batch()} * shape_.length * shape_.channels());
  }
  void Run(Parallel& parallel) {
    EmbedConvBackwardArgs<T> args = {models_.models(),
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
    cpu::EmbedConvBackward(args, parallel);
    args.dw = {};
    cpu::EmbedConvInputGrad<T>({args, w_, dx_}, parallel);
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
  Tensor<T> w_, dz_, y_, dw_, dx_;
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

}  // namespace
}  // namespace rb::test
