// Folding, predictions and evaluation against unfused inference in double.
#include "model/predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "kernels/metrics.h"
#include "model/structure_tracks.h"
#include "tests/model/naive_network.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;
using test::NaiveNetwork;
using ::testing::HasSubstr;

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes = {test::ToyShape(20), test::ToyShape(41, 2), test::ToyShape(37, 5)};
  shapes[1].pool = 10;
  shapes[1].residual_layers = 4;
  shapes[1].dilations[3] = 8;
  shapes[1].classification = true;
  shapes[2].residual_layers = 1;
  shapes[2].filters = 64;
  return shapes;
}

// A model whose batch norms do nothing and whose weights are the folded ones, biases as betas: naive inference of it is
// inference of the folded network.
std::vector<float> Unfolded(const Shape& shape, const Folding& folding, const std::vector<float>& folded) {
  const ParameterTable table(shape);
  std::vector<float> p(static_cast<size_t>(table.storage()), 0.0f);
  for (const FoldNormLayer& layer : folding.layers) {
    std::copy_n(folded.begin() + layer.folded_weight, layer.weights, p.begin() + layer.weight);
    if (layer.channels == 0) continue;
    std::copy_n(folded.begin() + layer.folded_bias, layer.channels, p.begin() + layer.beta);
    // 1 / sqrt(variance + epsilon) within 2^-24 of 1.
    std::fill_n(p.begin() + layer.variance, layer.channels, 1.0f - kBatchNormEpsilon);
    std::fill_n(p.begin() + layer.gamma, layer.channels, 1.0f);
  }
  return p;
}

TEST(FoldBatchNorm, EqualsUnfusedInference) {
  for (const Shape& shape : Shapes()) {
    const Dataset d = test::ToyDataset(40, 1, shape.length, shape.structure);
    const std::vector<float> parameters = test::RandomParameters(shape, 11);
    const Folding folding = FoldingOf(shape);
    const std::vector<float> folded = FoldBatchNorm(folding, parameters);
    const std::vector<float> unfolded = Unfolded(shape, folding, folded);
    const NaiveNetwork exact(shape, parameters, false), other(shape, unfolded, false), size(shape, parameters, true);
    // Weights and biases of each normalised layer are rounded once (2^-24 of each term), and the stand-in batch norms
    // are within another 2^-24 of the identity.
    const double relative = 2.0 * (shape.residual_layers + 2) * std::ldexp(1.0, -24) * 1.001;
    for (int64_t i = 0; i < d.num_probes(); ++i) {
      ExpectWithin(exact.Score(d.sequences, i), other.Score(d.sequences, i), relative * size.Score(d.sequences, i));
    }
    // Every weight and bias of the network is folded or copied, none twice.
    const FoldedWeights weights = folding.offsets.At(folded.data(), shape.residual_layers);
    std::vector<const float*> places = {weights.embed, weights.embed_bias, weights.dense, weights.dense_bias,
                                        weights.head};
    for (int i = 0; i < shape.residual_layers; ++i) {
      places.push_back(weights.conv[i]);
      places.push_back(weights.conv_bias[i]);
    }
    ExpectEqual(std::set<const float*>(places.begin(), places.end()).size(), 2 * folding.layers.size() - 1);
  }
}

ModelFile RandomModel(const Shape& shape, uint64_t seed = 11) {
  ModelFile model;
  model.config.shape = shape;
  model.experiment = "EXP1";
  model.parameters = test::RandomParameters(shape, seed);
  return model;
}

TEST(Predictor, EqualsUnfusedInference) {
  ThreadPool pool(2);
  const auto backend = MakeCpuBackend<float>(pool);
  for (const Shape& shape : Shapes()) {
    const Dataset d = test::ToyDataset(40, 1, shape.length, shape.structure);
    const ModelFile model = RandomModel(shape);
    const auto predictor = Predictor::Create(model, Precision::kFp32, *backend);
    ASSERT_TRUE(predictor.ok()) << predictor.status();
    const auto f = predictor->Predict(d.sequences);
    ASSERT_TRUE(f.ok()) << f.status();
    const NaiveNetwork exact(shape, model.parameters, false), size(shape, model.parameters, true);
    // n terms of a sum round at most n times; each layer's weights were rounded once before.
    const double terms = shape.first_width * shape.channels() +
                         shape.residual_layers * (shape.width * shape.filters + 2) + shape.pool + shape.flat() +
                         shape.hidden + 12;
    for (int64_t i = 0; i < d.num_probes(); ++i) {
      ExpectWithin(f->at(i), exact.Score(d.sequences, i), terms * std::ldexp(1.0, -24) * size.Score(d.sequences, i));
    }
  }
}

TEST(Predictor, RowsAndThreadsDoNotMatter) {
  const Shape shape = test::ToyShape(20);
  const Dataset d = test::ToyDataset(101, 1);
  const ModelFile model = RandomModel(shape);
  ThreadPool one(1), three(3);
  const auto a = MakeCpuBackend<float>(one), b = MakeCpuBackend<float>(three);
  const auto pa = Predictor::Create(model, Precision::kFp32, *a), pb = Predictor::Create(model, Precision::kFp32, *b);
  ASSERT_TRUE(pa.ok() && pb.ok());
  const std::vector<float> all = pa->Predict(d.sequences).value();
  test::ExpectSameBits<float>(all, pb->Predict(d.sequences).value(), "threads");
  const std::vector<int32_t> rows = {100, 3, 3, 57, 0};
  const std::vector<float> some = pb->Predict(d.sequences, rows).value();
  for (size_t i = 0; i < rows.size(); ++i) ExpectEqual(some[i], all[rows[i]]);
}

// Five tracks serve networks that take two of them, or none.
TEST(Predictor, FewerTracks) {
  ThreadPool pool(1);
  const auto backend = MakeCpuBackend<float>(pool);
  const Sequences five = test::ToyDataset(7, 1, 20, 5).sequences;
  Sequences two = five, none = five;
  PairedAndUnpaired(two);
  none.DropTracks();
  const std::vector<int32_t> rows = {6, 0, 3};
  for (const Sequences& own : {two, none}) {
    const auto predictor =
        Predictor::Create(RandomModel(test::ToyShape(20, own.structure_channels)), Precision::kFp32, *backend);
    ASSERT_TRUE(predictor.ok());
    test::ExpectSameBits<float>(predictor->Predict(five).value(), predictor->Predict(own).value(), "all");
    test::ExpectSameBits<float>(predictor->Predict(five, rows).value(), predictor->Predict(own, rows).value(), "rows");
  }
}

TEST(Predictor, Refusals) {
  ThreadPool pool(1);
  const auto backend = MakeCpuBackend<float>(pool);
  const auto predictor = Predictor::Create(RandomModel(test::ToyShape(20)), Precision::kFp32, *backend);
  ASSERT_TRUE(predictor.ok());
  ExpectEqual(predictor->Predict(test::ToyDataset(5, 1, 21).sequences).status().code(),
              absl::StatusCode::kInvalidArgument);
  // Tracks that do not serve: 2 for a network that takes 5.
  const auto five = Predictor::Create(RandomModel(test::ToyShape(20, 5)), Precision::kFp32, *backend);
  ASSERT_TRUE(five.ok());
  ExpectEqual(five->Predict(test::ToyDataset(5, 1, 20, 2).sequences).status().code(),
              absl::StatusCode::kInvalidArgument);
  const Dataset d = test::ToyDataset(5, 1);
  for (const int32_t row : {-1, 5}) {
    const auto f = predictor->Predict(d.sequences, std::vector<int32_t>{0, row});
    EXPECT_THAT(std::string(f.status().message()), HasSubstr("row " + std::to_string(row)));
    ExpectEqual(f.ok(), false);
  }
  Sequences none;
  none.length = 20;
  ExpectEqual(predictor->Predict(none).value().empty(), true);
  ExpectEqual(Predictor::Create(RandomModel(test::ToyShape(20)), Precision::kTf32, *backend).ok(), false);
  ModelFile bad = RandomModel(test::ToyShape(20));
  bad.config.shape.pool = 0;
  ExpectEqual(Predictor::Create(bad, Precision::kFp32, *backend).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TransformedTargets, PaperUsesTheModelsConstants) {
  const Dataset d = test::ToyDataset(50, 2);
  ModelFile model = RandomModel(test::ToyShape(20));
  model.transform = {TransformKind::kLog, 1.0, 0, 0.25, 2.0};
  const std::vector<int32_t> rows = {4, 9, 1, 33};
  const std::vector<float> y = TransformedTargets(model, d, 1, rows).value();
  for (size_t i = 0; i < rows.size(); ++i) {
    const float raw = d.target(1)[rows[i]];
    if (std::isnan(raw)) {
      ExpectEqual(std::isnan(y[i]), true);
    } else {
      ExpectWithin(y[i], (std::log(raw - 1.0 + 1) - 0.25) / 2, 1e-6);
    }
  }
  Dataset done = d;
  done.transformed = true;
  const std::vector<float> kept = TransformedTargets(model, done, 0, rows).value();
  for (size_t i = 0; i < rows.size(); ++i) {
    ExpectEqual(std::memcmp(&kept[i], &d.target(0)[rows[i]], sizeof(float)), 0);
  }
}

TEST(TransformedTargets, PublishedFitsEachSplitByItself) {
  const Dataset d = test::ToyDataset(60, 1);
  ModelFile model = RandomModel(test::ToyShape(20));
  model.config.preset = Preset::kPublished;
  for (const TransformKind kind : {TransformKind::kLog, TransformKind::kClip}) {
    model.transform = {kind, -100, 100, 100, 100};  // must not be used
    std::vector<int32_t> rows(30);
    std::iota(rows.begin(), rows.end(), 10);
    const std::vector<float> y = TransformedTargets(model, d, 0, rows).value();
    double sum = 0, squares = 0, n = 0;
    for (const float v : y) {
      if (std::isnan(v)) continue;
      sum += v, squares += v * v, ++n;
    }
    ExpectWithin(sum / n, 0, 1e-6);  // z-scored over these rows
    ExpectWithin(squares / n, 1, 1e-5);
  }
  const auto few = TransformedTargets(model, d, 0, {0});
  ExpectEqual(few.ok(), false);
  EXPECT_THAT(std::string(few.status().message()), HasSubstr("EXP1"));
}

TEST(Evaluate, DropsMissingTargets) {
  ThreadPool pool(1);
  const auto backend = MakeCpuBackend<float>(pool);
  const Dataset d = test::ToyDataset(80, 2);
  ModelFile model = RandomModel(test::ToyShape(20));
  model.experiment = "EXP2";
  model.transform.kind = TransformKind::kNone;
  const auto predictor = Predictor::Create(model, Precision::kFp32, *backend);
  ASSERT_TRUE(predictor.ok());
  std::vector<int32_t> rows(70);
  std::iota(rows.begin(), rows.end(), 0);
  const auto result = Evaluate(model, *predictor, d, rows);
  ASSERT_TRUE(result.ok()) << result.status();
  std::vector<float> f, y;
  for (const int32_t row : rows) {
    if (std::isnan(d.target(1)[row])) continue;
    f.push_back(predictor->Predict(d.sequences, std::vector<int32_t>{row}).value()[0]);
    y.push_back(d.target(1)[row]);
  }
  const int64_t n = static_cast<int64_t>(f.size());
  EXPECT_LT(n, 70);
  ExpectEqual(result->n, n);
  ExpectEqual(result->pearson, cpu::Pearson(f.data(), y.data(), n));
  ExpectEqual(result->spearman, cpu::Spearman(f.data(), y.data(), n));
  ExpectEqual(result->mse, cpu::MeanSquaredError(f.data(), y.data(), n));
  ExpectEqual(std::isnan(result->auroc) && std::isnan(result->aupr), true);
  const auto none = Evaluate(model, *predictor, d, {});
  ExpectEqual(none->n, int64_t{0});
  ExpectEqual(std::isnan(none->pearson), true);
  model.experiment = "EXP9";
  ExpectEqual(Evaluate(model, *predictor, d, rows).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rb
