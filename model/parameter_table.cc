#include "model/parameter_table.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "kernels/common.h"

namespace rb {
namespace {

// 32 values of 4 bytes: every tensor starts on a 128-byte line.
constexpr int64_t kAlign = 32;
constexpr int64_t Aligned(int64_t values) { return (values + kAlign - 1) / kAlign * kAlign; }

TensorSpec Weight(std::string name, std::vector<int64_t> shape, int64_t fan_in, int64_t fan_out, int chunks) {
  TensorSpec spec;
  spec.name = std::move(name);
  spec.shape = std::move(shape);
  spec.init = Init::kGlorotUniform;
  spec.fan_in = fan_in;
  spec.fan_out = fan_out;
  spec.gradient_chunks = chunks;
  return spec;
}

}  // namespace

ParameterTable::ParameterTable(const Shape& shape) {
  const int64_t filters = shape.filters, hidden = shape.hidden, width = shape.width, first = shape.first_width;
  Add(Weight("embed.weight", {first, shape.channels(), filters}, first * shape.channels(), first * filters,
             kBatchChunks));
  AddNorm("embed", shape.filters);
  for (int i = 1; i <= shape.residual_layers; ++i) {
    const std::string layer = absl::StrCat("conv", i);
    Add(Weight(layer + ".weight", {width, filters, filters}, width * filters, width * filters, kBatchChunks));
    AddNorm(layer, shape.filters);
  }
  Add(Weight("dense.weight", {shape.flat(), hidden}, shape.flat(), hidden, 1));
  AddNorm("dense", shape.hidden);
  TensorSpec head = Weight("head.weight", {hidden + 1}, hidden, 1, kBatchChunks);
  head.biases = 1;
  Add(std::move(head));
}

void ParameterTable::Add(TensorSpec spec) {
  spec.size = 1;
  for (const int64_t extent : spec.shape) spec.size *= extent;
  spec.offset = storage_;
  storage_ += Aligned(spec.size);
  if (spec.trained) {
    spec.gradient_offset = gradient_storage_;
    gradient_storage_ += spec.gradient_stride() * spec.gradient_chunks;
  }
  tensors_.push_back(std::move(spec));
}

void ParameterTable::AddNorm(const std::string& layer, int channels) {
  const struct {
    const char* name;
    Init init;
    bool trained;
  } rows[] = {{".norm.gamma", Init::kOnes, true},
              {".norm.beta", Init::kZeros, true},
              {".norm.mean", Init::kZeros, false},
              {".norm.variance", Init::kOnes, false}};
  for (const auto& row : rows) {
    TensorSpec spec;
    spec.name = layer + row.name;
    spec.shape = {channels};
    spec.init = row.init;
    spec.trained = row.trained;
    Add(std::move(spec));
  }
}

const TensorSpec& ParameterTable::at(std::string_view name) const {
  for (const TensorSpec& spec : tensors_) {
    if (spec.name == name) return spec;
  }
  std::fprintf(stderr, "no tensor is named %.*s\n", static_cast<int>(name.size()), name.data());
  RB_CHECK(false);
  std::abort();
}

int64_t ParameterTable::count() const {
  int64_t n = 0;
  for (const TensorSpec& spec : tensors_) n += spec.size;
  return n;
}

int64_t ParameterTable::trained_count() const {
  int64_t n = 0;
  for (const TensorSpec& spec : tensors_) n += spec.trained ? spec.size : 0;
  return n;
}

std::vector<GradientSegment> ParameterTable::Segments() const {
  std::vector<GradientSegment> segments;
  for (const TensorSpec& spec : tensors_) {
    if (!spec.trained) continue;
    segments.push_back({spec.offset, spec.size, spec.gradient_offset, spec.gradient_stride(), spec.gradient_chunks});
  }
  return segments;
}

}  // namespace rb
