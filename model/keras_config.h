// The network that `save` of Keras describes beside its weights (attribute model_config, JSON).
#ifndef RB_MODEL_KERAS_CONFIG_H_
#define RB_MODEL_KERAS_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "model/keras_import.h"

namespace rb {

// Fills dilations, pool, length and classification where `choices` leave them open; nothing in files by save_weights,
// which have no description. InvalidArgument naming file and layer where it tells of what this network has not: layers
// of other classes, a batch norm's epsilon other than 1e-3, convolutions with strides, without padding or with an
// activation before their batch norm, other pooling, other activations.
absl::Status ReadKerasConfig(const std::string& path, KerasChoices& choices);

}  // namespace rb

#endif  // RB_MODEL_KERAS_CONFIG_H_
