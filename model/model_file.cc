#include "model/model_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/fold_energies_reader.h"
#include "engine/check.h"
#include "model/exact_text.h"
#include "model/kmer_fit.h"

namespace rb {
namespace {

constexpr char kFormat[] = "residualbind-model";
constexpr char kFormatVersion[] = "1";
constexpr char kProfile[] = "profile";
constexpr char kMaxProbes[] = "max_probes";  // only where training took a subset

// Of models that are no network.
constexpr char kKind[] = "model";
constexpr char kLetters[] = "baseline.k";
constexpr char kPenalty[] = "baseline.penalty";
constexpr char kTop[] = "baseline.top";
constexpr char kScan[] = "baseline.scan";
constexpr char kWeights[] = "weights";   // k-mer model: [4^k]
constexpr char kLogOdds[] = "log_odds";  // matrix: [width, 4]
constexpr char kLine[] = "line";         // intercept, slope
constexpr const char* kBaselineSettings[] = {"preset",         "seed",      "replicate",
                                             "valid_fraction", "transform", "shape.length"};

// Names that ModelFile's own fields take; everything else in the metadata is `extra`.
bool IsOurKey(const std::string& key, const std::map<std::string, std::string>& settings) {
  static constexpr const char* kKeys[] = {"format",      "format_version", "version",     "task",
                                          "experiment",  "epochs",         "best_epoch",  "best_metric",
                                          "target.kind", "target.minimum", "target.clip", "target.mean",
                                          "target.sd",   "structure",      kChecksumKey,  kHeaderChecksumKey,
                                          kKind,         kLetters,         kPenalty,      kTop,
                                          kScan,         kMaxProbes};
  for (const char* ours : kKeys) {
    if (key == ours) return true;
  }
  return settings.contains(key);
}

// head.weight holds its bias as the last value; the file keeps the two apart, as other programs expect them.
struct FileTensor {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset, size;
};
std::vector<FileTensor> FileTensors(const ParameterTable& table) {
  std::vector<FileTensor> tensors;
  for (const TensorSpec& spec : table.tensors()) {
    if (spec.biases == 0) {
      tensors.push_back({spec.name, spec.shape, spec.offset, spec.size});
      continue;
    }
    const int64_t weights = spec.size - spec.biases;
    const std::string layer = spec.name.substr(0, spec.name.rfind('.'));
    tensors.push_back({spec.name, {weights, spec.biases}, spec.offset, weights});
    tensors.push_back({layer + ".bias", {spec.biases}, spec.offset + weights, spec.biases});
  }
  return tensors;
}

class Reader {
 public:
  Reader(const SafeTensors& content, const std::string& name) : content_(content), name_(name) {}

  absl::Status Fault(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(name_, ": ", what));
  }

  absl::Status Text(const char* key, std::string* value) const {
    const auto at = content_.metadata.find(key);
    if (at == content_.metadata.end()) return Fault(absl::StrCat("metadata '", key, "' is missing"));
    *value = at->second;
    return absl::OkStatus();
  }

  template <class T>
  absl::Status Number(const char* key, T* value) const {
    std::string text;
    RB_RETURN_IF_ERROR(Text(key, &text));
    if (ParseExact(text, value)) return absl::OkStatus();
    return Fault(absl::StrCat("metadata '", key, "' is no number"));
  }

  absl::Status Format() const {
    std::string format, version;
    if (!Text("format", &format).ok() || format != kFormat) {
      return Fault("is a safetensors file but not a model of this program");
    }
    RB_RETURN_IF_ERROR(Text("format_version", &version));
    if (version != kFormatVersion) {
      return Fault(
          absl::StrCat("format version '", version.substr(0, 20), "'; this program reads version ", kFormatVersion));
    }
    std::string checksum;
    RB_RETURN_IF_ERROR(Text(kChecksumKey, &checksum));
    return Text(kHeaderChecksumKey, &checksum);
  }

  absl::Status TargetTransform(Transform* transform) const {
    std::string kind;
    RB_RETURN_IF_ERROR(Text("target.kind", &kind));
    const absl::StatusOr<TransformKind> parsed = ParseTransform(kind);
    if (!parsed.ok()) return Fault(std::string(parsed.status().message()));
    transform->kind = *parsed;
    RB_RETURN_IF_ERROR(Number("target.minimum", &transform->minimum));
    RB_RETURN_IF_ERROR(Number("target.clip", &transform->clip));
    RB_RETURN_IF_ERROR(Number("target.mean", &transform->mean));
    RB_RETURN_IF_ERROR(Number("target.sd", &transform->sd));
    if (!std::isfinite(transform->mean) || !(transform->sd > 0) || !std::isfinite(transform->sd)) {
      return Fault("the target transform's mean or sd is no usable number");
    }
    return absl::OkStatus();
  }

  // Copies a tensor of exactly this shape to `out`; all values must be finite.
  absl::Status Values(const std::string& tensor, const std::vector<int64_t>& shape, float* out) const {
    const NamedTensor* found = content_.Find(tensor);
    if (found == nullptr) return Fault(absl::StrCat("tensor '", tensor, "' is missing"));
    if (found->dtype != "F32" || found->shape != shape) {
      return Fault(absl::StrCat("tensor '", tensor, "' is ", found->dtype, " [", absl::StrJoin(found->shape, ", "),
                                "]; expected F32 [", absl::StrJoin(shape, ", "), "]"));
    }
    const std::vector<float> values = ValuesF32(*found);
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i]))
        return Fault(absl::StrCat("tensor '", tensor, "' holds a value that is not finite"));
      if (absl::EndsWith(tensor, ".variance") && values[i] < 0) {
        return Fault(absl::StrCat("tensor '", tensor, "' holds a negative variance"));
      }
      out[i] = values[i];
    }
    return absl::OkStatus();
  }

  // Every tensor of the table, the optional profile, and nothing else. Shapes are compared before memory is taken, so
  // that memory is bounded by the file's size.
  absl::Status Tensors(ModelFile* model) const {
    const Shape& shape = model->config.shape;
    const ParameterTable table(shape);
    std::set<std::string> known = {kProfile};
    const std::vector<FileTensor> tensors = FileTensors(table);
    for (const FileTensor& t : tensors) {
      known.insert(t.name);
      const NamedTensor* found = content_.Find(t.name);
      if (found == nullptr) return Fault(absl::StrCat("tensor '", t.name, "' is missing"));
      if (found->shape != t.shape) {
        return Fault(absl::StrCat("tensor '", t.name, "' has shape [", absl::StrJoin(found->shape, ", "),
                                  "]; expected [", absl::StrJoin(t.shape, ", "), "]"));
      }
    }
    for (const NamedTensor& t : content_.tensors) {
      if (!known.contains(t.name)) return Fault("holds a tensor that is no part of the model");
    }
    model->parameters.assign(static_cast<size_t>(table.storage()), 0.0f);
    for (const FileTensor& t : tensors) {
      RB_RETURN_IF_ERROR(Values(t.name, t.shape, model->parameters.data() + t.offset));
    }
    return Profile(model);
  }

  // Which model it is, and the numbers beside its tensors.
  absl::Status Kind(Baseline* baseline) const {
    if (!content_.metadata.contains(kKind)) return absl::OkStatus();
    std::string text;
    RB_RETURN_IF_ERROR(Text(kKind, &text));
    const std::optional<ModelKind> kind = FindModelKind(text);
    if (!kind.has_value() || *kind == ModelKind::kNetwork) {
      return Fault(absl::StrCat("metadata '", kKind, "' is '", text.substr(0, 20), "'; expected kmer or pwm"));
    }
    baseline->kind = *kind;
    RB_RETURN_IF_ERROR(Number(kLetters, &baseline->k));
    if (baseline->k < kMinRegressionKmer || baseline->k > kMaxRegressionKmer) {
      return Fault(absl::StrCat("metadata '", kLetters, "' is ", baseline->k, "; expected ", kMinRegressionKmer, " to ",
                                kMaxRegressionKmer));
    }
    if (*kind == ModelKind::kKmer) return Number(kPenalty, &baseline->penalty);
    RB_RETURN_IF_ERROR(Number(kTop, &baseline->top));
    RB_RETURN_IF_ERROR(Text(kScan, &text));
    const std::optional<WindowScan> scan = FindWindowScan(text);
    if (!scan.has_value()) {
      return Fault(absl::StrCat("metadata '", kScan, "' is '", text.substr(0, 20), "'; expected best or sum"));
    }
    baseline->scan = *scan;
    return absl::OkStatus();
  }

  // The settings of a model that is no network; others have their defaults.
  absl::StatusOr<TrainConfig> BaselineConfig() const {
    std::map<std::string, std::string> settings = SettingsOf(TrainConfig());
    for (const char* name : kBaselineSettings) {
      const auto at = content_.metadata.find(name);
      if (at == content_.metadata.end()) {
        settings.erase(name);  // which is told then
      } else {
        settings[name] = at->second;
      }
    }
    return ConfigFromSettings(settings);
  }

  absl::Status BaselineTensors(ModelFile* model) const {
    Baseline& baseline = model->baseline;
    const bool kmer = baseline.kind == ModelKind::kKmer;
    const char* const name = kmer ? kWeights : kLogOdds;
    for (const NamedTensor& t : content_.tensors) {
      if (t.name != name && t.name != kLine && t.name != kProfile)
        return Fault("holds a tensor that is no part of the model");
    }
    std::vector<int64_t> shape = {int64_t{1} << (2 * baseline.k)};
    if (!kmer) {
      const NamedTensor* found = content_.Find(name);
      const int64_t width = found == nullptr || found->shape.empty() ? 1 : found->shape[0];
      if (width < 1 || width > model->config.shape.length) {
        return Fault(
            absl::StrCat("tensor '", name, "' has ", width, " columns; expected 1 to ", model->config.shape.length));
      }
      shape = {width, 4};
    }
    baseline.weights.resize(static_cast<size_t>(shape.size() == 1 ? shape[0] : shape[0] * shape[1]));
    RB_RETURN_IF_ERROR(Values(name, shape, baseline.weights.data()));
    float line[2];
    RB_RETURN_IF_ERROR(Values(kLine, {2}, line));
    baseline.intercept = line[0], baseline.slope = line[1];
    return Profile(model);
  }

 private:
  // Which may be absent.
  absl::Status Profile(ModelFile* model) const {
    if (content_.Find(kProfile) == nullptr) return absl::OkStatus();
    const int length = model->config.shape.length;
    model->profile.assign(static_cast<size_t>(length) * 4, 0.0f);
    return Values(kProfile, {length, 4}, model->profile.data());
  }

  const SafeTensors& content_;
  const std::string& name_;
};

}  // namespace

namespace {

// Settings and tensors of a network.
void AddNetwork(const ModelFile& model, const std::map<std::string, std::string>& settings, SafeTensors& content) {
  const ParameterTable table(model.config.shape);
  RB_CHECK(model.parameters.size() == static_cast<size_t>(table.storage()));
  content.metadata.insert(settings.begin(), settings.end());
  RB_CHECK(model.config.shape.structure == 0 || IsStructureSource(model.structure_source));
  if (model.config.shape.structure > 0) content.metadata["structure"] = model.structure_source;
  for (const FileTensor& t : FileTensors(table)) {
    content.tensors.push_back(
        TensorF32(t.name, t.shape, {model.parameters.data() + t.offset, static_cast<size_t>(t.size)}));
  }
}

// And of a model that is none.
void AddBaseline(const ModelFile& model, const std::map<std::string, std::string>& settings, SafeTensors& content) {
  const Baseline& baseline = model.baseline;
  RB_CHECK(model.parameters.empty());
  for (const char* name : kBaselineSettings) content.metadata[name] = settings.at(name);
  content.metadata[kKind] = std::string(ModelKindName(baseline.kind));
  content.metadata[kLetters] = ExactText(baseline.k);
  const int64_t values = std::ssize(baseline.weights);
  if (baseline.kind == ModelKind::kKmer) {
    content.metadata[kPenalty] = ExactText(baseline.penalty);
    content.tensors.push_back(TensorF32(kWeights, {values}, baseline.weights));
  } else {
    content.metadata[kTop] = ExactText(baseline.top);
    content.metadata[kScan] = std::string(WindowScanName(baseline.scan));
    content.tensors.push_back(TensorF32(kLogOdds, {values / 4, 4}, baseline.weights));
  }
  content.tensors.push_back(TensorF32(kLine, {2}, std::vector<float>{baseline.intercept, baseline.slope}));
}

}  // namespace

absl::Status RequireNetwork(const ModelFile& model, const std::string& what) {
  if (IsNetwork(model)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(what, " is for networks; this is a ",
                                                    std::string(ModelKindName(model.baseline.kind)),
                                                    " model of experiment '", model.experiment, "'"));
}

SafeTensors ModelToSafeTensors(const ModelFile& model) {
  SafeTensors content;
  RB_CHECK(model.profile.empty() || model.profile.size() == static_cast<size_t>(model.config.shape.length) * 4);
  const auto settings = SettingsOf(model.config);
  for (const auto& [key, value] : model.extra) {
    RB_CHECK(!IsOurKey(key, settings));
    content.metadata[key] = value;
  }
  if (IsNetwork(model)) {
    AddNetwork(model, settings, content);
  } else {
    AddBaseline(model, settings, content);
  }
  content.metadata["format"] = kFormat;
  content.metadata["format_version"] = std::string(kFormatVersion);
  content.metadata["version"] = RB_VERSION;
  content.metadata["task"] = model.config.shape.classification ? "classification" : "regression";
  content.metadata["experiment"] = model.experiment;
  content.metadata["epochs"] = ExactText(model.epochs);
  content.metadata["best_epoch"] = ExactText(model.best_epoch);
  content.metadata["best_metric"] = ExactText(model.best_metric);
  content.metadata["target.kind"] = std::string(TransformName(model.transform.kind));
  content.metadata["target.minimum"] = ExactText(model.transform.minimum);
  content.metadata["target.clip"] = ExactText(model.transform.clip);
  content.metadata["target.mean"] = ExactText(model.transform.mean);
  content.metadata["target.sd"] = ExactText(model.transform.sd);
  if (model.max_probes > 0) content.metadata[kMaxProbes] = ExactText(model.max_probes);
  if (!model.profile.empty()) {
    content.tensors.push_back(TensorF32(kProfile, {model.config.shape.length, 4}, model.profile));
  }
  return content;
}

absl::Status CheckExperimentName(const std::string& name) {
  const bool plain = std::none_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 0x20 || c == 0x7f || c == '/' || c == '\\' || c == '"';
  });
  if (plain && !name.empty() && name != "." && name != ".." && name.size() <= 200 &&
      nlohmann::json::accept("\"" + name + "\"")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("experiment '", absl::CHexEscape(name),
                   "': its name cannot be a folder's name; expected 1 to 200 bytes of UTF-8 without / \\ \" or control "
                   "characters"));
}

absl::StatusOr<ModelFile> ModelFromSafeTensors(const SafeTensors& content, const std::string& name) {
  const Reader reader(content, name);
  RB_RETURN_IF_ERROR(reader.Format());
  ModelFile model;
  RB_RETURN_IF_ERROR(reader.Kind(&model.baseline));
  const absl::StatusOr<TrainConfig> config =
      IsNetwork(model) ? ConfigFromSettings(content.metadata) : reader.BaselineConfig();
  if (!config.ok()) return reader.Fault(std::string(config.status().message()));
  model.config = *config;
  RB_RETURN_IF_ERROR(reader.Text("experiment", &model.experiment));
  if (!model.experiment.empty() && !CheckExperimentName(model.experiment).ok()) {
    return reader.Fault(std::string(CheckExperimentName(model.experiment).message()));
  }
  RB_RETURN_IF_ERROR(reader.Number("epochs", &model.epochs));
  RB_RETURN_IF_ERROR(reader.Number("best_epoch", &model.best_epoch));
  RB_RETURN_IF_ERROR(reader.Number("best_metric", &model.best_metric));
  RB_RETURN_IF_ERROR(reader.TargetTransform(&model.transform));
  if (content.metadata.contains(kMaxProbes)) {
    RB_RETURN_IF_ERROR(reader.Number(kMaxProbes, &model.max_probes));
    if (model.max_probes < 1) return reader.Fault("metadata 'max_probes' is less than 1; expected a number of probes");
  }
  if (model.config.shape.structure > 0) {
    RB_RETURN_IF_ERROR(reader.Text("structure", &model.structure_source));
    if (!IsStructureSource(model.structure_source)) {
      return reader.Fault("metadata 'structure' names neither an energy set nor given profiles");
    }
  }
  RB_RETURN_IF_ERROR(IsNetwork(model) ? reader.Tensors(&model) : reader.BaselineTensors(&model));
  const auto settings = SettingsOf(model.config);
  for (const auto& [key, value] : content.metadata) {
    if (!IsOurKey(key, settings)) model.extra[key] = value;
  }
  return model;
}

absl::Status WriteModel(const ModelFile& model, const std::string& path) {
  return WriteSafeTensors(ModelToSafeTensors(model), path);
}

absl::StatusOr<ModelFile> ReadModel(const std::string& path) {
  RB_ASSIGN_OR_RETURN(const SafeTensors content, ReadSafeTensors(path));
  return ModelFromSafeTensors(content, path);
}

}  // namespace rb
