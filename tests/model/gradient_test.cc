// The engine's whole training pass in double: against an independent oracle, and every gradient against central
// differences. Both presets, 4, 6 and 9 input channels, both losses, full width.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "kernels/packed_bases.h"
#include "model/residualbind.h"
#include "tests/support/comparisons.h"
#include "tests/support/network_oracle.h"

namespace rb {
namespace {

constexpr int kRows = 5;      // fewer rows than chunks, so some chunks are empty
constexpr int kSamples = 16;  // entries tried per tensor, its largest gradient among them

struct Case {
  const char* name;
  Shape shape;
};

class GradientTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    shape_ = GetParam().shape;
    PhiloxStream random(DeriveKey(11, Purpose::kSimulate, 3));
    std::vector<uint8_t> codes(shape_.length);
    for (int n = 0; n < kRows; ++n) {
      for (int l = 0; l < shape_.length; ++l) {
        const bool unknown = l < n || (n == 2 && l == 20);  // padding on the left, one N
        codes[l] = unknown ? kUnknownBase : static_cast<uint8_t>(random.Below(4));
      }
      bases_.resize((n + 1) * PackedWords(shape_.length));
      PackBases(codes.data(), shape_.length, &bases_[n * PackedWords(shape_.length)]);
      for (int l = 0; l < shape_.length; ++l) {
        for (int c = 0; c < 4; ++c) input_.push_back(codes[l] == c ? 1 : 0);
        for (int s = 0; s < shape_.structure; ++s) {
          tracks_.push_back(static_cast<float>(random.Uniform()));
          input_.push_back(static_cast<double>(tracks_.back()));
        }
      }
      targets_.push_back(shape_.classification ? n % 2 : random.Uniform() * 2 - 1);
    }
    auto net = ResidualBind<double>::Create(shape_, 1, kRows,
                                            {bases_.data(), tracks_.empty() ? nullptr : tracks_.data()}, *backend_);
    ASSERT_TRUE(net.ok()) << net.status();
    net_ = *std::move(net);
    double* parameters = net_->parameters()[0];
    InitializeParameters(net_->table(), 5, 6, parameters_f_.data(net_->table().storage()));
    for (int64_t i = 0; i < net_->table().storage(); ++i) parameters[i] = static_cast<double>(parameters_f_.values[i]);
    // Batch norm away from its trivial start.
    for (const TensorSpec& t : net_->table().tensors()) {
      if (!t.trained || t.init == Init::kGlorotUniform) continue;
      for (int64_t i = 0; i < t.size; ++i) parameters[t.offset + i] += 0.4 * (random.Uniform() - 0.5);
    }
    for (int n = 0; n < kRows; ++n) {
      net_->rows()[0][n] = n;
      net_->targets()[0][n] = targets_[n];
    }
    state_ = {.dropout_key = DeriveKey(1, Purpose::kDropout, 2), .step = 41, .rows = kRows};
  }

  Models models() const { return {&state_, &live_, 1}; }

  double Loss() {
    EXPECT_TRUE(net_->Forward(models()).ok());
    double loss = 0;
    for (int c = 0; c < kBatchChunks; ++c) loss += net_->losses()[0][c];
    return loss;
  }

  // Sum of a tensor's gradient chunks.
  std::vector<double> Gradient(const TensorSpec& t) {
    std::vector<double> g(t.size);
    for (int chunk = 0; chunk < t.gradient_chunks; ++chunk) {
      for (int64_t i = 0; i < t.size; ++i)
        g[i] += net_->gradients()[0][t.gradient_offset + chunk * t.gradient_stride() + i];
    }
    return g;
  }

  static std::vector<int64_t> Samples(const std::vector<double>& gradient) {
    PhiloxStream random(99);
    std::vector<int64_t> at;
    for (int i = 1; i < kSamples; ++i) at.push_back(random.Below(static_cast<uint32_t>(gradient.size())));
    at.push_back(std::max_element(gradient.begin(), gradient.end(),
                                  [](double a, double b) { return std::abs(a) < std::abs(b); }) -
                 gradient.begin());
    return at;
  }

  // The error of sampled entries, relative to the largest gradient of the tensor.
  static void ExpectClose(const std::vector<double>& analytic, const std::vector<int64_t>& at,
                          const std::vector<double>& numeric, const std::string& what) {
    double scale = 0;
    for (const double g : analytic) scale = std::max(scale, std::abs(g));
    ASSERT_GT(scale, 1e-9) << what << ": the gradient is zero";
    for (size_t i = 0; i < at.size(); ++i) test::ExpectWithin(analytic[at[i]], numeric[i], 1e-6 * scale, what);
  }

  struct Floats {
    std::vector<float> values;
    float* data(int64_t n) {
      values.resize(n);
      return values.data();
    }
  };

  ThreadPool pool_{2};
  std::unique_ptr<Backend<double>> backend_ = MakeCpuBackend<double>(pool_);
  Shape shape_;
  std::vector<uint32_t> bases_;
  std::vector<float> tracks_;
  std::vector<double> input_, targets_;
  Floats parameters_f_;
  std::unique_ptr<ResidualBind<double>> net_;
  StepState state_;
  int32_t live_ = 0;
};

TEST_P(GradientTest, ForwardEqualsOracle) {
  test::NetworkOracle oracle(shape_, net_->table(), net_->parameters()[0], state_);
  const double expected = oracle.Loss(input_, targets_);
  test::ExpectWithin(Loss(), expected, 1e-11 * std::abs(expected), "loss");
  for (int n = 0; n < kRows; ++n)
    test::ExpectWithin(net_->predictions()[0][n], oracle.predictions()[n], 1e-11, "prediction");
}

TEST_P(GradientTest, EveryParameterTensor) {
  Loss();
  ASSERT_TRUE(net_->Backward(models()).ok());
  std::vector<std::vector<double>> gradients;
  for (const TensorSpec& t : net_->table().tensors())
    gradients.push_back(t.trained ? Gradient(t) : std::vector<double>());
  const double h = 1e-6;
  for (size_t k = 0; k < gradients.size(); ++k) {
    const TensorSpec& t = net_->table().tensors()[k];
    if (!t.trained) continue;
    const std::vector<int64_t> at = Samples(gradients[k]);
    std::vector<double> numeric;
    for (const int64_t i : at) {
      double& value = net_->parameters()[0][t.offset + i];
      const double saved = value;
      value = saved + h;
      const double up = Loss();
      value = saved - h;
      const double down = Loss();
      value = saved;
      numeric.push_back((up - down) / (2 * h));
    }
    ExpectClose(gradients[k], at, numeric, t.name);
  }
}

// Inputs are bases, which cannot move by a little; the oracle's can.
TEST_P(GradientTest, Input) {
  Loss();
  ASSERT_TRUE(net_->Backward(models()).ok());
  std::vector<double> dx(input_.size());
  ASSERT_TRUE(net_->InputGradient(models(), {dx.data(), static_cast<int64_t>(dx.size())}).ok());
  const std::vector<int64_t> at = Samples(dx);
  std::vector<double> numeric;
  const double h = 1e-6;
  test::NetworkOracle oracle(shape_, net_->table(), net_->parameters()[0], state_);
  for (const int64_t i : at) {
    std::vector<double> moved = input_;
    moved[i] += h;
    const double up = oracle.Loss(moved, targets_);
    moved[i] -= 2 * h;
    numeric.push_back((up - oracle.Loss(moved, targets_)) / (2 * h));
  }
  ExpectClose(dx, at, numeric, "input");
}

Shape With(Shape shape, int structure, bool classification = false) {
  shape.structure = structure;
  shape.classification = classification;
  return shape;
}

Shape Odd() {  // nothing at its default
  Shape s;
  s.length = 50, s.structure = 2, s.filters = 64, s.first_width = 7, s.width = 5, s.residual_layers = 2;
  s.dilations[0] = 3, s.dilations[1] = 6, s.pool = 7, s.hidden = 96;
  s.dropout_before_pool = 0.3f, s.dropout_after_pool = 0.25f;
  return s;
}

INSTANTIATE_TEST_SUITE_P(Shapes, GradientTest,
                         testing::Values(Case{"paper4", kPaperShape}, Case{"paper9", With(kPaperShape, 5)},
                                         Case{"published4", kPublishedShape},
                                         Case{"published9", With(kPublishedShape, 5)},
                                         Case{"paper6_classification", With(kPaperShape, 2, true)}, Case{"odd", Odd()}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace rb
