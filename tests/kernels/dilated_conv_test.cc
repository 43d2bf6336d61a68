// kernels/dilated_conv.h against plain loops: forward and backward, plain and fused.
#include "kernels/dilated_conv.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/dilated_conv_case.h"

namespace rb::test {
namespace {

using namespace conv;  // NOLINT

template <template <class...> class Case>
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
