#include "model/keras_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "data/hdf5_file.h"
#include "data/text.h"
#include "engine/check.h"

namespace rb {
namespace {

using Json = nlohmann::json;

constexpr char kConfig[] = "model_config";
constexpr int kMaxDepth = 8;  // of models inside models

std::string TextOf(const Json& json, const char* key) {
  const auto at = json.is_object() ? json.find(key) : json.end();
  return at != json.end() && at->is_string() ? at->get<std::string>() : "";
}

// A number, or the first of a list; `absent` when there is none.
double NumberOf(const Json& json, const char* key, double absent) {
  auto at = json.is_object() ? json.find(key) : json.end();
  if (at == json.end()) return absent;
  const Json& value = at->is_array() && !at->empty() ? at->front() : *at;
  return value.is_number() ? value.get<double>() : absent;
}

class Description {
 public:
  explicit Description(const std::string& path) : path_(path) {}

  // The layers of a model, and of models inside it.
  absl::Status ReadModel(const Json& model, int depth = 0) {
    const auto config = model.is_object() ? model.find("config") : model.end();
    if (config == model.end()) return absl::OkStatus();
    const Json& layers = config->is_array() ? *config : config->is_object() ? config->value("layers", Json()) : Json();
    if (!layers.is_array()) return absl::OkStatus();
    for (const Json& layer : layers) {
      RB_RETURN_IF_ERROR(ReadLayer(layer));
      if (depth < kMaxDepth) RB_RETURN_IF_ERROR(ReadModel(layer, depth + 1));
    }
    return absl::OkStatus();
  }

  absl::Status CheckLast() const {
    if (last_ != "relu") return absl::OkStatus();
    return Fault(Concat(path_, ": ", kConfig, ": "), "a ReLU behind the last layer", "linear or sigmoid");
  }

  void Fill(KerasChoices& choices) const {
    if (choices.dilations.empty() && dilations_.size() > 1)
      choices.dilations.assign(dilations_.begin() + 1, dilations_.end());
    if (!choices.pool.has_value() && pool_ > 0) choices.pool = pool_;
    if (!choices.length.has_value() && length_ > 0) choices.length = length_;
    if (!choices.classification.has_value() && !last_.empty()) choices.classification = last_ == "sigmoid";
  }

 private:
  absl::Status ReadLayer(const Json& layer) {
    const std::string kind = TextOf(layer, "class_name");
    const auto at = layer.is_object() ? layer.find("config") : layer.end();
    if (at == layer.end() || !at->is_object()) return absl::OkStatus();
    const Json& config = *at;
    const std::string where = Concat(path_, ": ", kConfig, ", layer ", absl::CHexEscape(TextOf(config, "name")), ": ");
    RB_RETURN_IF_ERROR(CheckKind(kind, config, where));
    if (kind == "InputLayer") ReadInput(config);
    if (kind == "Conv1D") RB_RETURN_IF_ERROR(ReadConvolution(config, where));
    if (kind == "BatchNormalization" && std::abs(NumberOf(config, "epsilon", 1e-3) - kBatchNormEpsilon) > 1e-8) {
      return Fault(where, Concat("epsilon ", NumberOf(config, "epsilon", 0)), "0.001");
    }
    if (kind.find("Pooling") != std::string::npos) RB_RETURN_IF_ERROR(ReadPooling(kind, config, where));
    return ReadActivation(kind, config, where);
  }

  // Layers that this network has, and such as do nothing outside training.
  static absl::Status CheckKind(const std::string& kind, const Json& config, const std::string& where) {
    static constexpr const char* kKnown[] = {"",
                                             "InputLayer",
                                             "Conv1D",
                                             "Dense",
                                             "BatchNormalization",
                                             "Activation",
                                             "ReLU",
                                             "Add",
                                             "Flatten",
                                             "Dropout",
                                             "SpatialDropout1D",
                                             "AlphaDropout",
                                             "GaussianDropout",
                                             "GaussianNoise",
                                             "ActivityRegularization",
                                             "Functional",
                                             "Model",
                                             "Sequential"};
    // a + b of two layers' outputs, as TensorFlow's Keras writes it
    const std::string function = kind == "TFOpLambda" ? TextOf(config, "function") : "";
    if (function == "__operators__.add" || function == "math.add") return absl::OkStatus();
    if (kind == "ReLU") {
      for (const char* key : {"max_value", "negative_slope", "threshold"}) {
        const auto at = config.find(key);
        if (at == config.end() || at->is_null() || NumberOf(config, key, 1) == 0) continue;
        return Fault(where, Concat("a ReLU with ", key, " ", absl::CHexEscape(at->dump())), "one without");
      }
    }
    const bool pooling = kind.find("Pooling") != std::string::npos;  // ReadPooling tells
    if (pooling || std::find(std::begin(kKnown), std::end(kKnown), kind) != std::end(kKnown)) return absl::OkStatus();
    return Fault(where, Concat("a layer ", absl::CHexEscape(function.empty() ? kind : function)),
                 "a layer that this network has");
  }

  // Batch norm lies between every convolution, or the dense layer, and its ReLU, and a sigmoid behind all.
  absl::Status ReadActivation(const std::string& kind, const Json& config, const std::string& where) {
    const bool weights = kind == "Conv1D" || kind == "Dense" || kind == "BatchNormalization";
    if (weights && last_ == "sigmoid") return Fault(where, "a layer behind a sigmoid", "none");
    const auto at = config.find("activation");
    if (kind == "ReLU") last_ = "relu";
    if (at == config.end() || at->is_null()) return absl::OkStatus();
    const std::string activation = TextOf(config, "activation");
    if (activation != "linear" && activation != "relu" && activation != "sigmoid") {
      const std::string found = activation.empty() ? at->dump() : activation;
      return Fault(where, Concat("activation ", absl::CHexEscape(found)), "linear, relu or sigmoid");
    }
    const bool fits = kind == "Conv1D" ? activation == "linear" : kind == "Dense" ? activation != "relu" : true;
    if (!fits) {
      return Fault(where, Concat("activation ", activation, " in a layer ", kind),
                   kind == "Dense" ? "linear or sigmoid" : "linear: batch norm comes before ReLU here");
    }
    last_ = activation;
    return absl::OkStatus();
  }

  // [batch, positions, channels]
  void ReadInput(const Json& config) {
    for (const char* key : {"batch_input_shape", "batch_shape"}) {
      const auto shape = config.find(key);
      if (shape == config.end() || !shape->is_array() || shape->size() != 3) continue;
      length_ = Whole(Json{{"length", (*shape)[1]}}, "length", 0);
    }
  }

  absl::Status ReadConvolution(const Json& config, const std::string& where) {
    const std::string padding = TextOf(config, "padding");
    if (padding != "same") return Fault(where, Concat("padding '", absl::CHexEscape(padding), "'"), "'same'");
    if (Whole(config, "strides", 1) != 1) return Fault(where, Concat("strides ", Whole(config, "strides", 1)), "1");
    const int dilation = Whole(config, "dilation_rate", 1);
    if (dilations_.empty() && dilation != 1) return Fault(where, Concat("dilation ", dilation), "1 in the first one");
    dilations_.push_back(dilation);
    return absl::OkStatus();
  }

  absl::Status ReadPooling(const std::string& kind, const Json& config, const std::string& where) {
    pool_ = Whole(config, "pool_size", 0);
    if (kind == "AveragePooling1D" && pool_ > 0 && Whole(config, "strides", pool_) == pool_) return absl::OkStatus();
    return Fault(where,
                 Concat(absl::CHexEscape(kind), " of size ", pool_, ", stride ", Whole(config, "strides", pool_)),
                 "AveragePooling1D whose stride is its size");
  }

  // -1 for what is no such number.
  static int Whole(const Json& json, const char* key, int absent) {
    const double value = NumberOf(json, key, absent);
    return value >= 0 && value <= 100000 && value == std::floor(value) ? static_cast<int>(value) : -1;
  }

  static absl::Status Fault(const std::string& where, const std::string& found, const std::string& expected) {
    return absl::InvalidArgumentError(Concat(where, "found ", found, "; expected ", expected));
  }

  const std::string& path_;
  std::vector<int> dilations_;
  int pool_ = 0, length_ = 0;
  std::string last_;  // activation of those that come last
};

}  // namespace

absl::Status ReadKerasConfig(const std::string& path, KerasChoices& choices) {
  const Hdf5Quiet quiet;
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.ok()) {
    return absl::InvalidArgumentError(Concat(path, ": found ", Hdf5Reason(), "; expected a readable HDF5 file"));
  }
  if (H5Aexists(file.id(), kConfig) <= 0) return absl::OkStatus();
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> texts,
                      ReadHdf5StringAttribute(file.id(), kConfig, Concat(path, ":/ attribute ", kConfig)));
  const Json model = texts.size() == 1 ? Json::parse(texts[0], nullptr, /*allow_exceptions=*/false) : Json();
  if (!model.is_object()) {
    return absl::InvalidArgumentError(Concat(path, ":/ attribute ", kConfig, ": found no JSON object; expected one"));
  }
  Description description(path);
  RB_RETURN_IF_ERROR(description.ReadModel(model));
  RB_RETURN_IF_ERROR(description.CheckLast());
  description.Fill(choices);
  return absl::OkStatus();
}

}  // namespace rb
