#include "model/predictor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "data/split.h"
#include "engine/check.h"
#include "kernels/metrics.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

// One layer of the folded network from a weight tensor whose last axis is the output channel and the batch norm behind
// it.
class LayerFolder {
 public:
  LayerFolder(const ParameterTable& table, const float* parameters) : table_(table), parameters_(parameters) {}

  void Fold(const std::string& layer, std::vector<float>* weight, std::vector<float>* bias) const {
    const TensorSpec& spec = table_.at(layer + ".weight");
    const int64_t channels = spec.shape.back();
    const float *gamma = At(layer, "gamma"), *beta = At(layer, "beta");
    const float *mean = At(layer, "mean"), *variance = At(layer, "variance");
    std::vector<double> scale(static_cast<size_t>(channels));
    bias->resize(scale.size());
    for (int64_t o = 0; o < channels; ++o) {
      scale[o] = gamma[o] / std::sqrt(static_cast<double>(variance[o]) + static_cast<double>(kBatchNormEpsilon));
      (*bias)[o] = static_cast<float>(beta[o] - mean[o] * scale[o]);
    }
    weight->resize(static_cast<size_t>(spec.size));
    const float* w = parameters_ + spec.offset;
    for (int64_t i = 0; i < spec.size; ++i) (*weight)[i] = static_cast<float>(w[i] * scale[i % channels]);
  }

 private:
  const float* At(const std::string& layer, const char* name) const {
    return parameters_ + table_.at(absl::StrCat(layer, ".norm.", name)).offset;
  }

  const ParameterTable& table_;
  const float* parameters_;
};

// The experiment's place in the data set.
absl::StatusOr<int64_t> FindExperiment(const ModelFile& model, const Dataset& dataset) {
  const int64_t index = dataset.Find(model.experiment);
  if (index >= 0) return index;
  return absl::NotFoundError(absl::StrCat("experiment '", model.experiment, "' is not in the data set, which has ",
                                          dataset.experiments.size(), " experiments"));
}

}  // namespace

FoldedWeights FoldedModel::Weights() const {
  FoldedWeights w;
  w.embed = embed.data();
  w.embed_bias = embed_bias.data();
  for (size_t i = 0; i < conv.size(); ++i) {
    w.conv[i] = conv[i].data();
    w.conv_bias[i] = conv_bias[i].data();
  }
  w.dense = dense.data();
  w.dense_bias = dense_bias.data();
  w.head = head.data();
  return w;
}

FoldedModel FoldBatchNorm(const Shape& shape, const float* parameters) {
  const ParameterTable table(shape);
  const LayerFolder folder(table, parameters);
  FoldedModel folded;
  folded.geometry = GeometryOf(shape);
  folder.Fold("embed", &folded.embed, &folded.embed_bias);
  folded.conv.resize(static_cast<size_t>(shape.residual_layers));
  folded.conv_bias.resize(folded.conv.size());
  for (size_t i = 0; i < folded.conv.size(); ++i) {
    folder.Fold(absl::StrCat("conv", i + 1), &folded.conv[i], &folded.conv_bias[i]);
  }
  folder.Fold("dense", &folded.dense, &folded.dense_bias);
  const TensorSpec& head = table.at("head.weight");
  folded.head.assign(parameters + head.offset, parameters + head.offset + head.size);
  return folded;
}

absl::StatusOr<Predictor> Predictor::Create(const ModelFile& model, Precision precision, Backend<float>& backend) {
  const Shape& shape = model.config.shape;
  RB_RETURN_IF_ERROR(ValidateShape(shape));
  RB_CHECK(model.parameters.size() == static_cast<size_t>(ParameterTable(shape).storage()));
  const FoldedModel folded = FoldBatchNorm(shape, model.parameters.data());
  Predictor predictor;
  predictor.geometry_ = folded.geometry;
  RB_ASSIGN_OR_RETURN(predictor.scorer_, backend.NewScorer(folded.geometry, folded.Weights(), precision));
  return predictor;
}

absl::StatusOr<std::vector<float>> Predictor::Predict(const Sequences& sequences, std::span<const int32_t> rows) const {
  if (sequences.length != geometry_.length || sequences.structure_channels != geometry_.structure) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sequences have ", sequences.length, " positions and ", sequences.structure_channels,
                     " structure channels; the model expects ", geometry_.length, " and ", geometry_.structure));
  }
  const int64_t size = sequences.size();
  RB_CHECK(sequences.bases.size() == static_cast<size_t>(size * PackedWords(sequences.length)));
  RB_CHECK(sequences.tracks.size() == static_cast<size_t>(size * sequences.length * sequences.structure_channels));
  for (const int32_t row : rows) {
    if (row >= 0 && row < size) continue;
    return absl::InvalidArgumentError(absl::StrCat("row ", row, " is outside the ", size, " sequences"));
  }
  const int64_t n = rows.empty() ? size : static_cast<int64_t>(rows.size());
  std::vector<float> out(static_cast<size_t>(n));
  if (n == 0) return out;
  const float* tracks = sequences.tracks.empty() ? nullptr : sequences.tracks.data();
  const int32_t* indices = rows.empty() ? nullptr : rows.data();
  RB_RETURN_IF_ERROR(scorer_->Score(sequences.bases.data(), tracks, indices, n, out.data()));
  return out;
}

absl::StatusOr<std::vector<float>> TransformedTargets(const ModelFile& model, const Dataset& dataset,
                                                      int64_t experiment, const std::vector<int32_t>& rows) {
  const std::span<const float> raw = dataset.target(experiment);
  std::vector<float> values(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) values[i] = raw[static_cast<size_t>(rows[i])];
  if (dataset.transformed || model.transform.kind == TransformKind::kNone) return values;
  Transform transform = model.transform;
  if (model.config.preset == Preset::kPublished) {
    const auto fitted = FitTransform(model.transform.kind, model.config.preset, values, values);
    if (!fitted.ok()) {
      return absl::Status(fitted.status().code(),
                          absl::StrCat("experiment '", model.experiment, "', fitting the targets of ", rows.size(),
                                       " rows: ", fitted.status().message()));
    }
    transform = *fitted;
  }
  for (float& v : values) v = static_cast<float>(transform.Apply(v));
  return values;
}

absl::StatusOr<Evaluation> Evaluate(const ModelFile& model, const Predictor& predictor, const Dataset& dataset,
                                    const std::vector<int32_t>& rows) {
  RB_ASSIGN_OR_RETURN(const int64_t experiment, FindExperiment(model, dataset));
  const std::vector<int32_t> present = PresentRows(rows, dataset.target(experiment));
  Evaluation result;
  result.experiment = model.experiment;
  result.n = static_cast<int64_t>(present.size());
  result.pearson = result.spearman = result.mse = std::numeric_limits<double>::quiet_NaN();
  result.auroc = result.aupr = std::numeric_limits<double>::quiet_NaN();
  // No rows must not read as "all sequences".
  if (present.empty()) return result;
  RB_ASSIGN_OR_RETURN(const std::vector<float> y, TransformedTargets(model, dataset, experiment, present));
  RB_ASSIGN_OR_RETURN(const std::vector<float> f, predictor.Predict(dataset.sequences, present));
  result.pearson = cpu::Pearson(f.data(), y.data(), result.n);
  result.spearman = cpu::Spearman(f.data(), y.data(), result.n);
  result.mse = cpu::MeanSquaredError(f.data(), y.data(), result.n);
  if (model.config.shape.classification) {
    result.auroc = cpu::AreaUnderRoc(f.data(), y.data(), result.n);
    result.aupr = cpu::AreaUnderPrecisionRecall(f.data(), y.data(), result.n);
  }
  return result;
}

}  // namespace rb
