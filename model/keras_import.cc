#include "model/keras_import.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/dataset.h"
#include "engine/check.h"

namespace rb {
namespace {

// A convolution or dense layer.
struct Affine {
  const KerasTensor* kernel = nullptr;
  const KerasTensor* bias = nullptr;
};
struct Norm {
  std::string where;
  std::array<const KerasTensor*, 4> weights = {};  // by kNormNames; absent gamma and beta are null
};
constexpr std::string_view kNormNames[] = {"gamma", "beta", "moving_mean", "moving_variance"};

struct Network {
  std::vector<Affine> convolutions, dense;
  std::vector<Norm> norms;
};

using Weights = std::vector<const KerasTensor*>;

absl::Status Fault(const std::string& where, const std::string& found, const std::string& expected) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": found ", found, "; expected ", expected));
}

std::string ShapeText(const KerasTensor& tensor) { return absl::StrCat("(", absl::StrJoin(tensor.shape, ", "), ")"); }

// "conv1d/kernel:0" is "conv1d" and "kernel".
std::pair<std::string, std::string> PrefixAndName(const std::string& name) {
  const size_t slash = name.rfind('/'), begin = slash == std::string::npos ? 0 : slash + 1;
  return {name.substr(0, begin), name.substr(begin, name.find(':', begin) - begin)};
}

bool TakeAffine(const Weights& weights, Network& network) {
  Affine layer;
  for (const KerasTensor* tensor : weights) {
    const KerasTensor*& place = tensor->shape.size() == 1 ? layer.bias : layer.kernel;
    if (place != nullptr) return false;
    place = tensor;
  }
  if (layer.kernel == nullptr) return false;
  if (layer.bias != nullptr && layer.bias->shape[0] != layer.kernel->shape.back()) return false;
  (layer.kernel->shape.size() == 3 ? network.convolutions : network.dense).push_back(layer);
  return true;
}

// By their names where all are known, else all four in Keras' order.
bool TakeNorm(const std::string& where, const Weights& weights, Network& network) {
  Norm norm;
  norm.where = where;
  bool named = true;
  for (const KerasTensor* tensor : weights) {
    if (tensor->shape.size() != 1 || tensor->shape != weights[0]->shape) return false;
    const auto at = std::find(std::begin(kNormNames), std::end(kNormNames), PrefixAndName(tensor->name).second);
    named = named && at != std::end(kNormNames) && norm.weights[at - std::begin(kNormNames)] == nullptr;
    if (named) norm.weights[at - std::begin(kNormNames)] = tensor;
  }
  if (!named) {
    if (weights.size() != norm.weights.size()) return false;
    std::copy(weights.begin(), weights.end(), norm.weights.begin());
  }
  if (norm.weights[2] == nullptr || norm.weights[3] == nullptr) return false;
  network.norms.push_back(norm);
  return true;
}

bool Take(const std::string& where, const Weights& weights, Network& network) {
  return TakeAffine(weights, network) || TakeNorm(where, weights, network);
}

// A layer, or a model inside the model: that has its layers' weights one after the other, moving statistics last.
absl::Status TakeLayer(const KerasLayer& layer, Network& network) {
  Weights all;
  for (const KerasTensor& tensor : layer.weights) all.push_back(&tensor);
  if (Take(layer.where, all, network)) return absl::OkStatus();
  std::vector<std::pair<std::string, Weights>> groups;
  for (const KerasTensor* tensor : all) {
    const std::string prefix = PrefixAndName(tensor->name).first;
    auto at = std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.first == prefix; });
    if (at == groups.end()) at = groups.insert(at, {prefix, {}});
    at->second.push_back(tensor);
  }
  for (const auto& [prefix, weights] : groups) {
    if (groups.size() > 1 && Take(absl::StrCat(layer.where, "/", prefix), weights, network)) continue;
    std::vector<std::string> shapes;
    for (const KerasTensor* tensor : weights) shapes.push_back(ShapeText(*tensor));
    return Fault(weights[0]->where, absl::StrCat("a layer of weights ", absl::StrJoin(shapes, " ")),
                 "a kernel and perhaps a bias, or a batch norm's gamma, beta, moving mean and variance");
  }
  return absl::OkStatus();
}

class Importer {
 public:
  Importer(const Network& network, const KerasChoices& choices, const std::string& file)
      : network_(network), choices_(choices), file_(file) {}

  absl::StatusOr<ModelFile> Run() {
    RB_RETURN_IF_ERROR(CheckLayers());
    RB_RETURN_IF_ERROR(MakeShape());
    RB_RETURN_IF_ERROR(CheckKernels());
    table_.emplace(model_.config.shape);
    model_.parameters.assign(static_cast<size_t>(table_->storage()), 0.0f);
    const int convolutions = static_cast<int>(network_.convolutions.size());
    for (int i = 0; i < convolutions; ++i) {
      RB_RETURN_IF_ERROR(CopyLayer(i == 0 ? "embed" : absl::StrCat("conv", i), network_.convolutions[i], i));
    }
    RB_RETURN_IF_ERROR(CopyLayer("dense", network_.dense[0], convolutions));
    float* const head = Values("head.weight");
    const Affine& last = network_.dense[1];
    std::copy(last.kernel->values.begin(), last.kernel->values.end(), head);
    if (last.bias != nullptr) head[model_.config.shape.hidden] = last.bias->values[0];
    model_.experiment = choices_.experiment;
    model_.transform.kind = model_.config.transform = TransformKind::kNone;
    if (model_.config.shape.structure > 0) model_.structure_source = kGivenProfiles;
    model_.best_metric = std::numeric_limits<double>::quiet_NaN();
    model_.extra["imported"] = "keras weights";
    if (!model_.config.shape.classification) model_.extra[kUnknownTransform] = "1";
    return std::move(model_);
  }

 private:
  absl::Status CheckLayers() const {
    const size_t convolutions = network_.convolutions.size(), dense = network_.dense.size();
    const size_t norms = network_.norms.size();
    if (convolutions >= 2 && convolutions <= 1 + kMaxResidualLayers && dense == 2 && norms == convolutions + 1) {
      return absl::OkStatus();
    }
    return Fault(file_,
                 absl::StrCat(convolutions, " convolutions, ", dense, " dense layers and ", norms, " batch norms"),
                 absl::StrCat("2 to ", 1 + kMaxResidualLayers,
                              " convolutions (published: 5, paper: 4), 2 dense layers, and a batch norm behind each "
                              "layer but the last"));
  }

  absl::Status MakeShape() {
    const auto& convolutions = network_.convolutions;
    const int layers = static_cast<int>(convolutions.size()) - 1;
    model_.config = PresetConfig(choices_.preset.value_or(layers == 4 ? Preset::kPublished : Preset::kPaper));
    Shape& shape = model_.config.shape;
    const std::vector<int64_t>&first = convolutions[0].kernel->shape, &second = convolutions[1].kernel->shape;
    if (first[1] != 4 && first[1] != 6 && first[1] != 9) {
      return Fault(convolutions[0].kernel->where, ShapeText(*convolutions[0].kernel),
                   "(taps, 4, 6 or 9 channels, filters)");
    }
    shape.first_width = static_cast<int>(first[0]);
    shape.structure = static_cast<int>(first[1]) - 4;
    shape.filters = static_cast<int>(first[2]);
    shape.width = static_cast<int>(second[0]);
    shape.residual_layers = layers;
    if (!choices_.dilations.empty() && static_cast<int>(choices_.dilations.size()) != layers) {
      return Fault(file_, absl::StrCat(layers, " residual convolutions and ", choices_.dilations.size(), " dilations"),
                   "a dilation for each");
    }
    for (int i = 0; i < kMaxResidualLayers; ++i) {
      shape.dilations[i] = i >= layers ? 0 : choices_.dilations.empty() ? 1 << i : choices_.dilations[i];
    }
    shape.hidden = static_cast<int>(network_.dense[0].kernel->shape[1]);
    shape.pool = choices_.pool.value_or(shape.pool);
    shape.classification = choices_.classification.value_or(false);
    RB_RETURN_IF_ERROR(SetLength(shape));
    const absl::Status valid = ValidateConfig(model_.config);
    if (!valid.ok()) return absl::InvalidArgumentError(absl::StrCat(file_, ": ", valid.message()));
    return absl::OkStatus();
  }

  absl::Status SetLength(Shape& shape) const {
    const KerasTensor& dense = *network_.dense[0].kernel;
    const int64_t rows = dense.shape[0], pools = rows / shape.filters;
    if (pools * shape.filters != rows || pools < 1) {
      return Fault(dense.where, ShapeText(dense),
                   absl::StrCat("rows that are a multiple of ", shape.filters, ", the number of filters"));
    }
    if (shape.pool < 1) return Fault(file_, absl::StrCat("a pool of ", shape.pool), "1 or more");
    for (const int64_t length : choices_.length.has_value() ? std::vector<int64_t>{*choices_.length}
                                                            : std::vector<int64_t>{41, 39, pools * shape.pool}) {
      if (length / shape.pool != pools) continue;
      shape.length = static_cast<int>(std::min<int64_t>(length, std::numeric_limits<int>::max()));
      return absl::OkStatus();
    }
    return Fault(dense.where, absl::StrCat(ShapeText(dense), ", ", pools, " positions after pooling"),
                 absl::StrCat("those of length ", *choices_.length, " and pool ", shape.pool));
  }

  absl::Status CheckKernels() const {
    const Shape& shape = model_.config.shape;
    const std::vector<int64_t> inner = {shape.width, shape.filters, shape.filters}, output = {shape.hidden, 1};
    for (size_t i = 1; i < network_.convolutions.size(); ++i) {
      const KerasTensor& kernel = *network_.convolutions[i].kernel;
      if (kernel.shape != inner) {
        return Fault(kernel.where, ShapeText(kernel), absl::StrCat("(", absl::StrJoin(inner, ", "), ")"));
      }
    }
    const KerasTensor& head = *network_.dense[1].kernel;
    if (head.shape == output) return absl::OkStatus();
    return Fault(head.where, ShapeText(head), absl::StrCat("(", absl::StrJoin(output, ", "), "), one output"));
  }

  float* Values(const std::string& tensor) { return model_.parameters.data() + table_->at(tensor).offset; }

  absl::Status CopyLayer(const std::string& layer, const Affine& affine, int number) {
    const TensorSpec& spec = table_->at(layer + ".weight");
    RB_CHECK(spec.size == std::ssize(affine.kernel->values));
    std::copy(affine.kernel->values.begin(), affine.kernel->values.end(), Values(layer + ".weight"));
    const Norm& norm = network_.norms[number];
    const int64_t channels = table_->at(layer + ".norm.gamma").size;
    if (norm.weights[2]->shape[0] != channels) {
      return Fault(norm.where, absl::StrCat("a batch norm of ", norm.weights[2]->shape[0], " channels"),
                   absl::StrCat(channels, ", those of ", affine.kernel->where));
    }
    static constexpr const char* kOurNames[] = {".norm.gamma", ".norm.beta", ".norm.mean", ".norm.variance"};
    for (int i = 0; i < 4; ++i) {
      float* const out = Values(layer + kOurNames[i]);
      if (norm.weights[i] == nullptr) {
        std::fill_n(out, channels, i == 0 ? 1.0f : 0.0f);
      } else {
        std::copy(norm.weights[i]->values.begin(), norm.weights[i]->values.end(), out);
      }
    }
    const float* const variance = Values(layer + ".norm.variance");
    if (std::any_of(variance, variance + channels, [](float v) { return v < 0; })) {
      return Fault(norm.weights[3]->where, "a negative variance", "0 or more");
    }
    // (x + bias) - mean = x - (mean - bias)
    float* const mean = Values(layer + ".norm.mean");
    for (int64_t c = 0; affine.bias != nullptr && c < channels; ++c) mean[c] -= affine.bias->values[c];
    return absl::OkStatus();
  }

  const Network& network_;
  const KerasChoices& choices_;
  const std::string& file_;
  ModelFile model_;
  std::optional<ParameterTable> table_;
};

}  // namespace

absl::StatusOr<ModelFile> ModelFromKeras(const std::vector<KerasLayer>& layers, const KerasChoices& choices,
                                         const std::string& file) {
  Network network;
  for (const KerasLayer& layer : layers) RB_RETURN_IF_ERROR(TakeLayer(layer, network));
  return Importer(network, choices, file).Run();
}

}  // namespace rb
