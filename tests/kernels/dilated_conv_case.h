// The operators of kernels/dilated_conv.h as cases for the operator bed: inputs, run, comparison with plain loops.
#ifndef RB_TESTS_KERNELS_DILATED_CONV_CASE_H_
#define RB_TESTS_KERNELS_DILATED_CONV_CASE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/dilated_conv.h"
#include "tests/support/operator_bed.h"
#include "tests/support/operator_inputs.h"
#include "tests/support/oracle.h"
#include "tests/support/tolerance.h"

namespace rb::test::conv {

using oracle::Field;
using oracle::Values;

inline constexpr float kNoPrologue = -1;

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

// What a machine's precision adds to the bounds of plain fp32. Operands made inside (a, dy) are rounded to the format
// of the product: relative u = 2^-8 (bf16) or 2^-11 (tf32), once for each such factor of a term; weights are in it
// already (Fill::kRounded). Stored bf16 values are rounded once more. Tensor cores may truncate where a sum would
// round: twice the depth.
class Rounding {
 public:
  Rounding() = default;
  Rounding(const TestMachine& machine)
      : on_cpu_(machine.is_cpu()),
        operand_(on_cpu_ || machine.precision() == Precision::kFp32 ? 0
                 : machine.precision() == Precision::kTf32          ? std::ldexp(1.0, -11)
                                                                    : kBf16Roundoff) {}
  bool on_cpu() const { return on_cpu_; }

  // `got` against `want`, made of terms with `factors` such operands.
  template <class S>
  void Expect(std::span<S> got, const Field& want, double depth, int factors, Fill fill,
              const std::string& what) const {
    constexpr bool kStored = std::is_same_v<std::remove_const_t<S>, BFloat16>;
    const double growth = std::pow(1 + operand_, factors) * (kStored ? 1 + kBf16Roundoff : 1) - 1;
    if (operand_ > 0) depth *= 2 * (1 + growth);
    if (!kStored || fill != Fill::kInteger) return oracle::ExpectField(got, want, depth, fill, what, 1, growth);
    // Whole numbers that are exact but for the rounding of the stored value.
    Values stored(want.v);
    for (size_t i = 0; i < stored.size(); ++i) {
      ASSERT_LT(want.m[i], 16777216) << what << ": not an exact case";
      stored[i] = Bf16ToFloat(FloatToBf16(static_cast<float>(stored[i])));
    }
    ExpectAllWithin<double, double, double>(oracle::Doubles(got.first(stored.size())), stored, Values(stored.size()),
                                            what);
  }

 private:
  bool on_cpu_ = true;
  double operand_ = 0;
};

// T: arithmetic and parameters; A: stored activations.
template <class T, class A = T>
class Forward {
 public:
  Forward(const ModelSet& models, const ConvCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), batch_(models.batch()) {
    x_ = DrawnValues<A>(models, int64_t{batch_} * shape.length * shape.in, 1, fill);
    w_ = DrawnWeights<T>(models, shape.geometry(1).weights(), 2, fill);
    packed_ = Tensor<T>(models.slots(), shape.geometry(1).weights());
    if (shape.rate != kNoPrologue) prologue_ = {models, shape.in, shape.length, shape.rate, 3, 10, fill};
  }
  PrologueInputs<T>& prologue() { return prologue_; }
  const ModelSet& models() const { return models_; }

  void Prepare() {
    y_ = Tensor<A>(models_.slots(), int64_t{batch_} * shape_.length * shape_.out);
    if (shape_.norm) moments_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.out);
    if (prologue_) prologue_.mask.Fill(kPoisonMask);
  }
  void Run(const TestMachine& machine) {
    DilatedConvForwardArgs<T, A> args;
    args.models = models_.models();
    args.geometry = shape_.geometry(batch_);
    args.x = x_;
    if (prologue_) args.prologue = prologue_.view();
    args.w = w_;
    args.packed = packed_;
    args.y = y_;
    args.moments = moments_;
    rounding_ = {machine};
    RB_RUN(machine, DilatedConvForward, args);
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
    rounding_.Expect(y_[slot], y, kActivationDepth + shape_.width * shape_.in + 1, 1, fill_, "y");
    if (moments_) {
      const Values stored = RowsOf(y_, slot, static_cast<int64_t>(y.size()));
      if (rounding_.on_cpu()) {
        oracle::ExpectMoments(moments_[slot], stored, rows, shape_.length, shape_.out, 1, "moments");
      } else {
        CheckDeviceMoments(slot, stored, rows);
      }
    }
  }

 private:
  // A thread merges its rows of every 128, at most 128/10 of them, 128 after 128; then the threads', at most 32, merge:
  // in tolerance.h's terms blocks of 13 values, whose |y| no mean exceeds the largest of, and a block more for the
  // second level's share of S1.
  void CheckDeviceMoments(int slot, const Values& y, int rows) {
    const size_t row = static_cast<size_t>(shape_.length) * shape_.out;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const oracle::Moments want = oracle::MomentsOf(y, shape_.out, begin * row, end * row);
      const int passes = shape_.length >= 128 ? (end - begin) * ((shape_.length + 127) / 128)
                                              : (end - begin + 128 / shape_.length - 1) / (128 / shape_.length);
      Values mean_bound(shape_.out), m2_bound(shape_.out), largest(shape_.out);
      for (size_t i = begin * row; i < end * row; ++i)
        largest[i % shape_.out] = std::max(largest[i % shape_.out], std::abs(y[i]));
      for (int c = 0; c < shape_.out; ++c) {
        mean_bound[c] = MeanBound<T>(13, passes + 33, largest[c]);
        m2_bound[c] = M2Bound<T>(13, passes + 33, want.count, want.m2[c], want.s1[c], largest[c]);
      }
      const auto part = moments_[slot].subspan(chunk * 2 * shape_.out, 2 * shape_.out);
      ExpectAllWithin<double, double, double>(oracle::Doubles(part.first(shape_.out)), want.mean, mean_bound, "mean");
      ExpectAllWithin<double, double, double>(oracle::Doubles(part.last(shape_.out)), want.m2, m2_bound, "M2");
    }
  }

  ModelSet models_;
  ConvCase shape_;
  Fill fill_;
  int batch_;
  Rounding rounding_;
  Tensor<A> x_, y_;
  Tensor<T> w_, packed_, moments_;
  PrologueInputs<T> prologue_;
};

template <class T, class A = T>
class Backward {
 public:
  Backward(const ModelSet& models, const ConvCase& shape, Fill fill)
      : models_(models), shape_(shape), fill_(fill), batch_(models.batch()) {
    const int64_t in = int64_t{batch_} * shape.length * shape.in, out = int64_t{batch_} * shape.length * shape.out;
    x_ = DrawnValues<A>(models, in, 1, fill);
    w_ = DrawnWeights<T>(models, shape.geometry(1).weights(), 2, fill);
    packed_ = Tensor<T>(models.slots(), shape.geometry(1).weights());
    if (shape.pool == 0) dz_in_ = DrawnValues<A>(models, out, 3, fill);
    if (shape.pool > 0) pool_ = {models, shape.length, shape.out, shape.pool, 4, fill};
    if (shape.skip > 0) skip_ = {models, shape.length, shape.in, shape.skip, 6, fill};
    if (shape.norm) y_ = DrawnValues<A>(models, out, 8, fill, 1);
    if (shape.norm) norm_ = {models, shape.out, shape.length, 20, fill};
    if (shape.rate == kNoPrologue) return;
    prologue_ = {models, shape.in, shape.length, shape.rate, 3, 10, fill};
    for (int slot = 0; slot < models.slots(); ++slot) prologue_.WriteMask(ActivationOf(slot), slot);
  }
  const ModelSet& models() const { return models_; }

  void Prepare() {
    if (dz_in_) {
      dz_ = Tensor<A>(models_.slots(), dz_in_.count());
      dz_.CopyFrom(dz_in_);
    }
    if (shape_.dx) dx_ = shape_.alias ? dz_ : Tensor<A>(models_.slots(), x_.count());
    if (shape_.dx && prologue_) sums_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.in);
    if (shape_.dw) dw_ = Tensor<T>(models_.slots(), kBatchChunks * DwStride());
  }
  void Run(const TestMachine& machine) {
    DilatedConvBackwardArgs<T, A> args;
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
    rounding_ = {machine};
    RB_RUN(machine, DilatedConvBackward, args);
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
    rounding_.Expect(dx_[slot], dx, depth, 1, fill_, "dx");
    if (!prologue_) return;
    const Field stored(RowsOf(dx_, slot, static_cast<int64_t>(dx.size())));  // sums are of these
    const size_t row = static_cast<size_t>(shape_.length) * shape_.in;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const Field sums = oracle::NormGradSums(stored, RowsOfX(slot), prologue_.norm.norm(slot), begin * row, end * row);
      oracle::ExpectField(sums_[slot].subspan(chunk * sums.size(), sums.size()), sums,
                          kXhatDepth + (end - begin) * shape_.length, fill_, "chunk_sums");
    }
  }
  void CheckWeightGrad(int slot, const Field& dy) {
    const int rows = models_.rows(slot);
    const Field a = prologue_ ? ActivationOf(slot).a : Field(RowsOfX(slot));
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
      const int begin = oracle::FirstRow(rows, chunk), end = oracle::FirstRow(rows, chunk + 1);
      const Field dw = oracle::ConvWeightGrad(shape_.oracle(), a, dy, begin, end);
      const std::span<T> got = dw_[slot].subspan(chunk * DwStride(), DwStride());
      rounding_.Expect(got, dw, kActivationDepth + kNormGradDepth + 1 + (end - begin) * shape_.length, 2, fill_, "dw");
      for (size_t i = dw.size(); i < got.size(); ++i) ExpectEqual(std::isnan(got[i]), true, "gap between chunks of dw");
    }
  }

  ModelSet models_;
  ConvCase shape_;
  Fill fill_;
  int batch_;
  Rounding rounding_;
  Tensor<A> x_, dz_in_, dz_, y_, dx_;
  Tensor<T> w_, packed_, sums_, dw_;
  PoolGradInputs<T> pool_, skip_;
  NormInputs<T> norm_;
  PrologueInputs<T> prologue_;
};

inline testing::Message NameOf(const ConvCase& c) {
  return testing::Message() << "L" << c.length << " C" << c.in << " O" << c.out << " K" << c.width << " D" << c.dilation
                            << " rate " << c.rate << (c.norm ? " norm" : "") << " pool " << c.pool << " skip "
                            << c.skip;
}

}  // namespace rb::test::conv

#endif  // RB_TESTS_KERNELS_DILATED_CONV_CASE_H_
