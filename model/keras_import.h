// Models from Keras' weights.
#ifndef RB_MODEL_KERAS_IMPORT_H_
#define RB_MODEL_KERAS_IMPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/transform.h"
#include "model/keras_file.h"
#include "model/model_file.h"

namespace rb {

// In ModelFile::extra of a model whose target transform nobody told; it then cannot be compared with raw scores.
inline constexpr char kUnknownTransform[] = "target.unknown";

// What weights do not say.
struct KerasChoices {
  std::string experiment;
  std::optional<Preset> preset;        // else published with four residual convolutions, paper with any other number
  std::vector<int> dilations;          // else 1, 2, 4, ..
  std::optional<int> pool;             // else 10
  std::optional<int> length;           // else 41 or 39 where it fits the dense layer, or pools * pool
  std::optional<bool> classification;  // a sigmoid behind the last layer; else false
};

// Layers are told by their shapes, and of one kind they are in the network's order: convolutions [tap, in, out], the
// dense layer [position*filters + channel, hidden], the output [hidden, 1], and a batch norm behind each but the last.
// A bias before a batch norm goes into its moving mean; a batch norm without gamma or beta has ones or zeros. The
// model has no profile, no transform (kUnknownTransform says so of regression) and no record of its training; structure
// is kGivenProfiles. InvalidArgument names the weight and its shape, or what `file` lacks.
absl::StatusOr<ModelFile> ModelFromKeras(const std::vector<KerasLayer>& layers, const KerasChoices& choices,
                                         const std::string& file);

}  // namespace rb

#endif  // RB_MODEL_KERAS_IMPORT_H_
