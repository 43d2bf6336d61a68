// kernels/dense.h against plain loops (a convolution of one position and one tap, for the oracle).
#include "kernels/dense.h"

#include <gtest/gtest.h>

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
  DenseForwardArgs<T> args() const {
    return {models_.models(), shape_.in, shape_.out, models_.batch(), x_, w_, packed_, z_, moments_};
  }
  std::span<const T> moments(int slot) const { return moments_[slot]; }
  void Run(const TestMachine& machine) {
    const DenseForwardArgs<T> args = this->args();
    RB_RUN(machine, DenseForward, args);
    precision_ = machine.precision();
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
    oracle::ExpectField(z_[slot], z, ProductDepth(precision_, shape_.in + 1), fill_, "z", 1, roundoff());
    if (!moments_) return;
    oracle::ExpectMoments(moments_[slot], RowsOf(z_, slot, static_cast<int64_t>(z.size())), rows, 1, shape_.out, rows,
                          "moments");
  }

 private:
  // Of two operands; rounded inputs stay as they are.
  double roundoff() const { return fill_ == Fill::kRandom ? 2.01 * OperandRoundoff(precision_) : 0; }

  ModelSet models_;
  DenseCase shape_;
  Fill fill_;
  Precision precision_ = Precision::kFp32;
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
  void Run(const TestMachine& machine) {
    DenseBackwardArgs<T> args;
    args.models = models_.models();
    args.in = shape_.in, args.out = shape_.out, args.batch = models_.batch();
    args.dh = dh_, args.z = z_;
    if (norm_) args.norm = norm_.grad();
    args.x = x_, args.w = w_, args.packed = packed_;
    args.dx = dx_, args.dw = dw_;
    RB_RUN(machine, DenseBackward, args);
    precision_ = machine.precision();
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
      const double depth = kNormGradDepth + ProductDepth(precision_, shape_.out + 1);
      oracle::ExpectField(dx_[slot], dx, depth, fill_, "dx", 1, roundoff());
    }
    if (dw_) {
      const Field x(RowsOf(x_, slot, int64_t{rows} * shape_.in));
      const Field dw = oracle::ConvWeightGrad(shape_.oracle(), x, dy, 0, rows);
      const double depth = kNormGradDepth + ProductDepth(precision_, rows + 1);
      oracle::ExpectField(dw_[slot], dw, depth, fill_, "dw", 1, roundoff());
    }
  }

 private:
  // Rounded inputs stay as they are, a gradient through the batch norm does not.
  double roundoff() const {
    const int rounded = fill_ == Fill::kRandom ? 2 : norm_ ? 1 : 0;
    return 1.01 * rounded * OperandRoundoff(precision_);
  }

  ModelSet models_;
  DenseCase shape_;
  Fill fill_;
  Precision precision_ = Precision::kFp32;
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

constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32, Precision::kBf16};

// Exact integers, inputs that every precision holds, and inputs that are rounded on the way.
template <template <class> class Case>
void CheckOn(const TestMachine& machine, const ModelSet& models, const DenseCase& shape) {
  SCOPED_TRACE(testing::Message() << machine.name() << ": K" << shape.in << " O" << shape.out << " rows "
                                  << models.batch());
  for (const Fill fill : {Fill::kInteger, Fill::kRounded, Fill::kRandom}) {
    SCOPED_TRACE(fill == Fill::kInteger ? "integers" : fill == Fill::kRounded ? "rounded" : "random");
    Case<float> c(models, shape, fill);
    RunAndCheck(c, machine);
  }
}

TEST(DenseOnDevice, TinyEqualsPlainLoops) {
  for (const Precision precision : kPrecisions) {
    for (const TestMachine& machine : EmulatedMachines(precision)) {
      CheckOn<Forward>(machine, IdleModel(), {32, 32});
      CheckOn<Backward>(machine, IdleModel(), {32, 32});
    }
  }
}

// Tiles that are partly filled in each direction, more than one tile in each, and whole batches of the paper's shape.
TEST(DenseOnDevice, EqualsPlainLoops) {
  const std::pair<ModelSet, DenseCase> cases[] = {{ThreeModels(), {160, 96}},
                                                  {ModelSet({100, 64}, {1, 0}), {384, 256}},
                                                  {ModelSet({118, 129}, {0, 1}), {64, 160, false}},
                                                  {OneModel(128), {32, 288}}};
  for (const Precision precision : kPrecisions) {
    const TestMachine machine = TestMachine::Emulated(precision, 3);
    for (const auto& [models, shape] : cases) {
      CheckOn<Forward>(machine, models, shape);
      CheckOn<Backward>(machine, models, shape);
    }
  }
}

TEST(DenseOnDevice, PlainVariants) {
  for (const bool norm : {false, true}) {
    const TestMachine machine = TestMachine::Emulated();
    CheckOn<Backward>(machine, ThreeModels(), {.norm = norm, .dw = false});
    CheckOn<Backward>(machine, ThreeModels(), {.norm = norm, .dx = false});
    CheckOn<Backward>(machine, ThreeModels(), {.norm = norm, .dx = false, .dw = false});
  }
  CheckOn<Forward>(TestMachine::Emulated(), ThreeModels(), {.norm = false});
}

// Chunks of more than 128 rows: moments in a launch of their own.
TEST(DenseOnDevice, LargeBatch) {
  for (const Precision precision : kPrecisions) {
    CheckOn<Forward>(TestMachine::Emulated(precision), ModelSet({1030, 9}, {1, 0}), {32, 32});
    CheckOn<Backward>(TestMachine::Emulated(precision), OneModel(300), {32, 32});
  }
}

// The moments of any z, by themselves: the bits that the product leaves.
TEST(DenseOnDevice, MomentsAlone) {
  const ModelSet models({33, 100, 0, 5}, {2, 3, 1, 0});
  const DenseCase shape = {64, 160};
  Forward<float> c(models, shape, Fill::kRandom);
  RunAndCheck(c, TestMachine::Emulated());
  const Tensor<float> moments(models.slots(), kBatchChunks * 2 * shape.out);
  DenseForwardArgs<float> args = c.args();
  args.moments = moments;
  ASSERT_FALSE(emu::DenseMoments(args, {}));
  for (int slot = 0; slot < models.slots(); ++slot) {
    const std::span<const float> left = c.moments(slot), right = moments[slot];
    ExpectSameBits(left, right, "moments");
  }
}

TEST(DenseOnDevice, SameBitsInAnyCompany) {
  const ModelSet models({33, 100, 0, 8}, {2, 3, 1, 0});
  for (const Precision precision : kPrecisions) {
    ExpectSameOnDevice<Forward<float>>(models, precision, DenseCase{96, 160}, Fill::kRandom);
    ExpectSameOnDevice<Backward<float>>(models, precision, DenseCase{96, 160}, Fill::kRandom);
  }
}

}  // namespace
}  // namespace rb::test
