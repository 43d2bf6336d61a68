// Gradient saliency against central differences of unfused inference in double, whose inputs may move by a little.
#include "model/saliency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/check_machine.h"
#include "engine/thread_pool.h"
#include "tests/model/naive_network.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_machine.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectSameBits;
using test::ExpectWithin;
using test::NaiveNetwork;
using ::testing::HasSubstr;

// Within one piece of the piecewise linear network central differences have rounding errors only, of some 1e-15 /
// kStep.
constexpr double kStep = 1e-7;
// Sequences that come nearer to a kink are left out: neither rounding in float nor a step may cross it.
constexpr double kKinkMargin = 1e-5;
constexpr int kSamples = 12;  // entries of a sequence that are tried, beside its largest

ModelFile RandomModel(const Shape& shape) {
  ModelFile model;
  model.config.shape = shape;
  model.experiment = "EXP1";
  model.parameters = test::RandomParameters(shape, 11);
  return model;
}

// Sequences with padding, each of the odd ones with an N.
Sequences SomeSequences(int n, const Shape& shape) {
  Sequences s = test::ToyDataset(n, 1, shape.length, shape.structure).sequences;
  std::vector<uint8_t> codes(static_cast<size_t>(shape.length));
  for (int i = 1; i < n; i += 2) {
    uint32_t* packed = s.bases.data() + i * PackedWords(shape.length);
    UnpackBases(packed, shape.length, codes.data());
    codes[static_cast<size_t>(8 + i % 5)] = kUnknownBase;
    PackBases(codes.data(), shape.length, packed);
  }
  return s;
}

std::vector<float> GradientsOn(Machine& machine, const ModelFile& model, const Sequences& sequences, int block = 0) {
  const auto saliency = Saliency::Create(model, machine, block);
  EXPECT_TRUE(saliency.ok()) << saliency.status();
  if (!saliency.ok()) return {};
  auto gradients = (*saliency)->Gradients(sequences);
  EXPECT_TRUE(gradients.ok()) << gradients.status();
  return gradients.ok() ? *std::move(gradients) : std::vector<float>();
}

double Largest(std::span<const float> values) {
  double most = 0;
  for (const float v : values) most = std::max(most, std::abs(static_cast<double>(v)));
  return most;
}

double CentralDifference(const NaiveNetwork& network, NaiveNetwork::Plane x, int64_t entry) {
  double& value = x[entry / std::ssize(x[0])][entry % std::ssize(x[0])];
  const double at = value;
  value = at + kStep;
  const double up = network.Score(x);
  value = at - kStep;
  return (up - network.Score(x)) / (2 * kStep);
}

// Float against double: every layer's sums round at some 1e-7 of their magnitudes, which here exceed the largest
// gradient by less than a hundred.
constexpr double kTolerance = 1e-5;

void CompareWithDifferences(const Shape& shape, Machine& machine, int n, double tolerance) {
  const ModelFile model = RandomModel(shape);
  const Sequences sequences = SomeSequences(n, shape);
  const std::vector<float> gradients = GradientsOn(machine, model, sequences);
  const int64_t values = int64_t{shape.length} * shape.channels();
  ASSERT_EQ(std::ssize(gradients), n * values);
  const NaiveNetwork exact(shape, model.parameters, false);
  PhiloxStream random(99);
  int compared = 0;
  for (int i = 0; i < n; ++i) {
    const NaiveNetwork::Plane x = exact.Input(sequences, i);
    exact.Score(x);
    if (exact.nearest_kink() < kKinkMargin) continue;
    ++compared;
    const std::span<const float> own = std::span(gradients).subspan(i * values, values);
    const double scale = Largest(own);
    ASSERT_GT(scale, 1e-6) << "sequence " << i << ": the gradient is zero";
    std::vector<int64_t> entries = {0};  // a padded position, in most sequences
    for (int k = 1; k < kSamples; ++k) entries.push_back(random.Below(static_cast<uint32_t>(values)));
    entries.push_back(std::max_element(own.begin(), own.end()) - own.begin());
    for (const int64_t entry : entries) {
      const std::string what = "sequence " + std::to_string(i) + ", entry " + std::to_string(entry);
      ExpectWithin(own[entry], CentralDifference(exact, x, entry), tolerance * scale, what);
    }
  }
  EXPECT_GE(2 * compared, n) << "most sequences lie next to a kink";
}

Shape WithLength(Shape shape, int length) {
  shape.length = length;
  return shape;
}

Shape Labels(Shape shape) {
  shape.classification = true;
  return shape;
}

struct Case {
  const char* name;
  Shape shape;
};

class SaliencyTest : public testing::TestWithParam<Case> {};

TEST_P(SaliencyTest, EqualsCentralDifferences) {
  ThreadPool pool(2);
  CompareWithDifferences(GetParam().shape, *MakeCpuBackend<float>(pool), 6, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SaliencyTest,
                         testing::Values(Case{"paper", kPaperShape}, Case{"published", kPublishedShape},
                                         Case{"paper_classification", Labels(kPaperShape)},
                                         Case{"published_58", WithLength(kPublishedShape, 58)},
                                         Case{"structure", test::ToyShape(41, 2)},
                                         Case{"toy_classification", Labels(test::ToyShape(37, 5))}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Saliency, ThreadsBlocksAndCompanyDoNotMatter) {
  for (const Shape& shape : {Labels(test::ToyShape(20)), test::ToyShape(41, 2)}) {
    const ModelFile model = RandomModel(shape);
    const Sequences sequences = SomeSequences(45, shape);
    ThreadPool one(1), three(3);
    const auto a = MakeCpuBackend<float>(one), b = MakeCpuBackend<float>(three);
    const std::vector<float> all = GradientsOn(*a, model, sequences);
    ExpectSameBits<float>(all, GradientsOn(*b, model, sequences), "threads");
    for (const int block : {1, 7, 1 << 30}) {
      ExpectSameBits<float>(all, GradientsOn(*b, model, sequences, block), "blocks of " + std::to_string(block));
    }
  }
}

// The network's dropout, and what a batch before left behind, have no part in it.
TEST(Saliency, IsOfInference) {
  ModelFile model = RandomModel(test::ToyShape());
  const Sequences sequences = SomeSequences(20, model.config.shape);
  ThreadPool pool(2);
  const auto machine = MakeCpuBackend<float>(pool);
  const auto saliency = Saliency::Create(model, *machine);
  ASSERT_TRUE(saliency.ok()) << saliency.status();
  const std::vector<float> first = (*saliency)->Gradients(sequences).value();
  ExpectSameBits<float>(first, (*saliency)->Gradients(sequences).value(), "a second time");
  Shape& shape = model.config.shape;
  shape.dropout_first = shape.dropout_inner = shape.dropout_after_pool = 0.4f;
  ExpectSameBits<float>(first, GradientsOn(*machine, model, sequences), "another dropout");
}

TEST(Saliency, Refusals) {
  ThreadPool pool(1);
  const auto machine = MakeCpuBackend<float>(pool);
  const auto saliency = Saliency::Create(RandomModel(test::ToyShape(20, 5)), *machine);
  ASSERT_TRUE(saliency.ok());
  for (const Sequences& other : {SomeSequences(5, test::ToyShape(21, 5)), SomeSequences(5, test::ToyShape(20, 2))}) {
    const absl::Status status = (*saliency)->Gradients(other).status();
    ExpectEqual(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("the model expects 20 and 5"));
  }
  Sequences none;
  none.length = 20;
  none.structure_channels = 5;
  ExpectEqual((*saliency)->Gradients(none).value().empty(), true);
  ModelFile bad = RandomModel(test::ToyShape(20));
  bad.config.shape.dropout_dense = 2;
  ExpectEqual(Saliency::Create(bad, *machine).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Saliency, OnADevice) {
  const Shape shape = Labels(test::ToyShape(37, 2));
  const auto machine = test::DeviceMachine(Precision::kFp32);
  ASSERT_NE(machine, nullptr);
  CompareWithDifferences(shape, *machine, 6, kTolerance);
  const ModelFile model = RandomModel(shape);
  const Sequences sequences = SomeSequences(11, shape);
  ExpectSameBits<float>(GradientsOn(*machine, model, sequences), GradientsOn(*machine, model, sequences, 3), "blocks");
}

// Every operator of a pass against the CPU's, in what the device multiplies with; three positions lie in no pool.
TEST(Saliency, EveryOperatorAgreesWithTheCpu) {
  const ModelFile model = RandomModel(test::ToyShape(23));
  const Sequences sequences = SomeSequences(20, model.config.shape);
  for (const Precision precision : {Precision::kFp32, Precision::kTf32, Precision::kBf16}) {
    ThreadPool pool(1);
    const auto machine = MakeCheckMachine(pool, test::DeviceMachine(precision), precision);
    ExpectEqual(GradientsOn(*machine, model, sequences, 9).size(), size_t{20 * 23 * 4});
  }
}

}  // namespace
}  // namespace rb
