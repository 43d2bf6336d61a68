// kernels/dense.h against plain loops (a convolution of one position and one tap, for the oracle).
#include "kernels/dense.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/operator_bed.h"
#include "tests/support/operator_inputs.h"
#include "tests/support/oracle.h"
#include "tests/support/tolerance.h"

namespace rb::test {
namespace {

using oracle::Field;

struct DenseCase {
  int in = 64, out = 32;
  bool norm = true;  // forward: moments wanted; backward: dh is behind a batch norm
  bool dx = true, dw = true;

  int64_t weights() const { return int64_t{in} * out; }
  oracle::ConvShape oracle() const { return {1, in, out, 1, 1}; }
};

template <class T>
class Forward {
 public:
  Forward(const ModelSet& models, const DenseCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    x_ = DrawnValues<T>(models, int64_t{models.batch()} * shape.in, 1, fill);
    w_ = DrawnWeights<T>(models, shape.weights(), 2, fill);
    packed_ = Tensor<T>(models.slots(), shape.weights());
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    z_ = Tensor<T>(models_.slots(), int64_t{models_.batch()} * shape_.out);
    if (shape_.norm) moments_ = Tensor<T>(models_.slots(), kBatchChunks * 2 * shape_.out);
  }
  void Run(Parallel& parallel) {
    cpu::DenseForward<T>({models_.models(), shape_.in, shape_.out, models_.batch(), x_, w_, packed_, z_, moments_},
                         parallel);
  }
  std::vector<Output> outputs() const {
    std::vector<Output> out = {OutputOf("z", z_, models_, shape_.out, 0),
                               OutputOf("packed", packed_, models_, 0, packed_.count())};
    if (moments_) out.push_back(OutputOf("moments", moments_, models_, 0, moments_.count()));
    return out;
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    const Field x(RowsOf(x_, slot, int64_t{rows} * shape_.in));
    const Field z = oracle::Conv(shape_.oracle(), x, oracle::Doubles(w_[slot]), rows);
    oracle::ExpectField(z_[slot], z, shape_.in + 1, fill_, "z");
    if (!moments_) return;
    oracle::ExpectMoments(moments_[slot], RowsOf(z_, slot, static_cast<int64_t>(z.size())), rows, 1, shape_.out, rows,
                          "moments");
  }

 private:
  ModelSet models_;
  DenseCase shape_;
  Fill fill_;
  Tensor<T> x_, w_, packed_, z_, moments_;
};

template <class T>
class Backward {
 public:
  Backward(const ModelSet& models, const DenseCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    x_ = DrawnValues<T>(models, int64_t{models.batch()} * shape.in, 1, fill);
    w_ = DrawnWeights<T>(models, shape.weights(), 2, fill);
    dh_in_ = DrawnValues<T>(models, int64_t{models.batch()} * shape.out, 3, fill);
    packed_ = Tensor<T>(models.slots(), shape.weights());
    if (!shape.norm) return;
    z_ = DrawnValues<T>(models, int64_t{models.batch()} * shape.out, 4, fill, 1);
    norm_ = {models, shape.out, 1, 20, fill};
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    dh_ = Tensor<T>(models_.slots(), dh_in_.count());
    dh_.CopyFrom(dh_in_);
    if (shape_.dx) dx_ = Tensor<T>(models_.slots(), x_.count());
    if (shape_.dw) dw_ = Tensor<T>(models_.slots(), w_.count());
  }
  void Run(Parallel& parallel) {
    DenseBackwardArgs<T> args;
    args.models = models_.models();
    args.in = shape_.in, args.out = shape_.out, args.batch = models_.batch();
    args.dh = dh_, args.z = z_;
    if (norm_) args.norm = norm_.grad();
    args.x = x_, args.w = w_, args.packed = packed_;
    args.dx = dx_, args.dw = dw_;
    cpu::DenseBackward(args, parallel);
  }
  std::vector<Output> outputs() const {
    std::vector<Output> out = {OutputOf("dh", dh_, models_, norm_ ? shape_.out : 0, 0),
                               OutputOf("packed", packed_, models_, 0, dx_ ? packed_.count() : 0)};
    if (dx_) out.push_back(OutputOf("dx", dx_, models_, shape_.in, 0));
    if (dw_) out.push_back(OutputOf("dw", dw_, models_, 0, dw_.count()));
    return out;
  }
  void Check(int slot) {
    const int rows = models_.rows(slot);
    Field dy(RowsOf(dh_in_, slot, int64_t{rows} * shape_.out));
    if (norm_) {
      dy = oracle::NormGrad(dy, RowsOf(z_, slot, int64_t{rows} * shape_.out), norm_.norm(slot),
                            oracle::Doubles(norm_.sums[slot]), rows);
      oracle::ExpectField(dh_[slot], dy, kNormGradDepth, fill_, "dh");
    }
    if (dx_) {
      const Field dx = oracle::ConvDataGrad(shape_.oracle(), dy, oracle::Doubles(w_[slot]), rows);
      oracle::ExpectField(dx_[slot], dx, kNormGradDepth + shape_.out + 1, fill_, "dx");
    }
    if (dw_) {
      const Field x(RowsOf(x_, slot, int64_t{rows} * shape_.in));
      const Field dw = oracle::ConvWeightGrad(shape_.oracle(), x, dy, 0, rows);
      oracle::ExpectField(dw_[slot], dw, kNormGradDepth + rows + 1, fill_, "dw");
    }
  }

 private:
  ModelSet models_;
  DenseCase shape_;
  Fill fill_;
  Tensor<T> x_, w_, packed_, dh_in_, dh_, z_, dx_, dw_;
  NormInputs<T> norm_;
};

template <template <class> class Case>
void CheckAll(const ModelSet& models, const DenseCase& shape) {
  SCOPED_TRACE(testing::Message() << "K" << shape.in << " O" << shape.out << (shape.norm ? " norm" : ""));
  TestParallel parallel;
  for (const Fill fill : {Fill::kInteger, Fill::kRandom}) {
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : "random");
    Case<float> in_float(models, shape, fill);
    RunAndCheck(in_float, parallel);
    Case<double> in_double(models, shape, fill);
    RunAndCheck(in_double, parallel);
  }
}

std::vector<DenseCase> Shapes() {
  return {{32, 32}, {64, 32}, {96, 96}, {384, 256}, {160, 64, false}, {32, 128}, {960, 32, false}};
}

TEST(DenseForward, EqualsPlainLoops) {
  for (const DenseCase& shape : Shapes()) CheckAll<Forward>(ThreeModels(), shape);
}

TEST(DenseBackward, EqualsPlainLoops) {
  for (const DenseCase& shape : Shapes()) CheckAll<Backward>(ThreeModels(), shape);
}

TEST(DenseBackward, PlainVariants) {
  for (const bool norm : {false, true}) {
    CheckAll<Backward>(ThreeModels(), {.norm = norm, .dw = false});
    CheckAll<Backward>(ThreeModels(), {.norm = norm, .dx = false});
    CheckAll<Backward>(ThreeModels(), {.norm = norm});
  }
}

TEST(Dense, EveryNumberOfRows) {
  for (const int rows : {1, 2, 7, 8, 9, 32, 100, 113, 250}) {
    CheckAll<Forward>(OneModel(rows), {});
    CheckAll<Backward>(OneModel(rows), {});
  }
  CheckAll<Forward>(IdleModel(), {});
  CheckAll<Backward>(IdleModel(), {});
}

TEST(Dense, SameBitsInAnyCompany) {
  const DenseCase shape = {.in = 192, .out = 96};
  for (const ModelSet& models : {ThreeModels(), IdleModel(), ModelSet({33, 100, 8}, {2, 1, 0})}) {
    ExpectSameInAnyCompany<Forward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Forward<double>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<float>>(models, shape, Fill::kRandom);
    ExpectSameInAnyCompany<Backward<double>>(models, shape, Fill::kRandom);
  }
}

TEST(Dense, EveryVectorTarget) {
  ForEachTarget([] {
    for (const DenseCase& shape : {DenseCase{96, 64}, {32, 96, false}}) {
      CheckAll<Forward>(ModelSet({40, 8, 5}, {1, 0, 2}), shape);
      CheckAll<Backward>(ModelSet({40, 8, 5}, {1, 0, 2}), shape);
    }
  });
}

}  // namespace
}  // namespace rb::test
