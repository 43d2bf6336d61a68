// The table of tensors and initial values.
#include "model/parameter_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "kernels/common.h"
#include "kernels/philox.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

TEST(ParameterTable, CountsOfThePaper) {
  ExpectEqual(ParameterTable(kPaperShape).count(), int64_t{188289});
  ExpectEqual(ParameterTable(kPaperShape).trained_count(), int64_t{187009});
  ExpectEqual(ParameterTable(kPublishedShape).count(), int64_t{216321});
  ExpectEqual(ParameterTable(kPublishedShape).trained_count(), int64_t{214849});
}

TEST(ParameterTable, OrderAndNames) {
  const ParameterTable table(kPaperShape);
  std::vector<std::string> names;
  for (const TensorSpec& t : table.tensors()) names.push_back(t.name);
  std::vector<std::string> expected;
  for (const char* layer : {"embed", "conv1", "conv2", "conv3", "dense"}) {
    for (const char* tensor : {".weight", ".norm.gamma", ".norm.beta", ".norm.mean", ".norm.variance"}) {
      expected.push_back(std::string(layer) + tensor);
    }
  }
  expected.push_back("head.weight");
  ExpectEqual(names == expected, true);
  Shape with_structure = kPaperShape;
  with_structure.structure = 5;
  ExpectEqual(ParameterTable(with_structure).at("embed.weight").shape == std::vector<int64_t>{11, 9, 96}, true);
  ExpectEqual(table.at("conv2.weight").shape == std::vector<int64_t>{3, 96, 96}, true);
  ExpectEqual(table.at("dense.weight").shape == std::vector<int64_t>{384, 256}, true);
  ExpectEqual(table.at("head.weight").shape == std::vector<int64_t>{257}, true);
}

// No two tensors, and no two gradient chunks, may share a value or a 128-byte line.
TEST(ParameterTable, PlacesAreAlignedAndDisjoint) {
  for (const Shape& shape : {kPaperShape, kPublishedShape}) {
    const ParameterTable table(shape);
    int64_t end = 0, gradient_end = 0;
    for (const TensorSpec& t : table.tensors()) {
      ExpectEqual(t.offset % 32, int64_t{0}, t.name);
      ExpectEqual(t.offset >= end, true, t.name);
      end = t.offset + t.size;
      const bool statistic = t.name.ends_with(".mean") || t.name.ends_with(".variance");
      ExpectEqual(t.trained, !statistic, t.name);
      if (!t.trained) continue;
      ExpectEqual(t.gradient_offset % 32, int64_t{0}, t.name);
      ExpectEqual(t.gradient_stride() % 32, int64_t{0}, t.name);
      ExpectEqual(t.gradient_offset >= gradient_end, true, t.name);
      gradient_end = t.gradient_offset + (t.gradient_chunks - 1) * t.gradient_stride() + t.size;
      const bool by_chunk = t.name.ends_with(".weight") && t.name != "dense.weight";
      ExpectEqual(t.gradient_chunks, by_chunk ? kBatchChunks : 1, t.name);
    }
    ExpectEqual(end <= table.storage() && table.storage() % 32 == 0, true);
    ExpectEqual(gradient_end <= table.gradient_storage(), true);
  }
}

TEST(ParameterTable, SegmentsCoverTheTrainedTensors) {
  const ParameterTable table(kPaperShape);
  const auto segments = table.Segments();
  int64_t values = 0;
  size_t next = 0;
  for (const TensorSpec& t : table.tensors()) {
    if (!t.trained) continue;
    const GradientSegment& s = segments[next++];
    ExpectEqual(s.offset, t.offset, t.name);
    ExpectEqual(s.size, t.size, t.name);
    ExpectEqual(s.gradient_offset, t.gradient_offset, t.name);
    ExpectEqual(s.chunk_stride, t.gradient_stride(), t.name);
    ExpectEqual(s.chunks, t.gradient_chunks, t.name);
    values += s.size;
  }
  ExpectEqual(next, segments.size());
  ExpectEqual(values, table.trained_count());
}

std::vector<float> Initial(const Shape& shape, uint64_t seed, uint64_t id) {
  const ParameterTable table(shape);
  std::vector<float> values(static_cast<size_t>(table.storage()), NAN);
  InitializeParameters(table, seed, id, values.data());
  return values;
}

TEST(Initialize, GlorotLimitsAndConstants) {
  const ParameterTable table(kPaperShape);
  const std::vector<float> values = Initial(kPaperShape, 1, 2);
  for (const TensorSpec& t : table.tensors()) {
    const float* v = values.data() + t.offset;
    if (!t.name.ends_with(".weight")) {
      const float expected = t.name.ends_with("gamma") || t.name.ends_with("variance") ? 1.0f : 0.0f;
      ExpectEqual(std::all_of(v, v + t.size, [&](float x) { return x == expected; }), true, t.name);
      continue;
    }
    // fans: taps * channels in, taps * channels out.
    const int64_t taps = t.shape.size() == 3 ? t.shape[0] : 1;
    const bool head = t.name == "head.weight";
    const double in = head ? 256 : taps * t.shape[t.shape.size() - 2];
    const double out = head ? 1 : taps * t.shape.back();
    const double limit = std::sqrt(6 / (in + out));
    const int64_t n = head ? 256 : t.size;
    double sum = 0, squares = 0, most = 0;
    for (int64_t i = 0; i < n; ++i) {
      sum += v[i];
      squares += static_cast<double>(v[i]) * v[i];
      most = std::max(most, std::abs(static_cast<double>(v[i])));
    }
    // Uniform in +-limit: sd limit/sqrt(3); five standard errors of the mean and of the mean square.
    ExpectWithin(sum / n, 0, 5 * limit / std::sqrt(3.0 * n), t.name);
    ExpectWithin(squares / n, limit * limit / 3, 5 * limit * limit * std::sqrt(4.0 / 45 / n), t.name);
    ExpectEqual(most <= limit * (1 + 1e-7) && most > 0.9 * limit, true, t.name);
  }
  ExpectEqual(values[table.at("head.weight").offset + 256], 0.0f);
  ExpectEqual(std::none_of(values.begin(), values.end(), [](float x) { return std::isnan(x); }), true);
}

// Pinned: the values are part of what a seed means.
TEST(Initialize, IsPhiloxOfTensorAndElement) {
  const ParameterTable table(kPaperShape);
  const std::vector<float> values = Initial(kPaperShape, 3, 4);
  const uint64_t key = DeriveKey(3, Purpose::kInit, 4);
  const double limit = std::sqrt(6.0 / (288 + 288));
  const TensorSpec& conv = table.at("conv1.weight");  // tensor number 5
  for (const int64_t e : {0, 1, 5, 1234, 27647}) {
    const double unit = (Philox(key, e / 4, 5, 0, 0).word[e % 4] + 0.5) / 4294967296.0;
    ExpectEqual(values[conv.offset + e], static_cast<float>((2 * unit - 1) * limit));
  }
}

TEST(Initialize, DependsOnSeedAndModelAlone) {
  const std::vector<float> a = Initial(kPaperShape, 1, 2), b = Initial(kPaperShape, 1, 2);
  test::ExpectSameBits<float>(a, b, "same seed");
  ExpectEqual(a == Initial(kPaperShape, 2, 2), false);
  ExpectEqual(a == Initial(kPaperShape, 1, 3), false);
}

}  // namespace
}  // namespace rb
