// Weights as Keras' save_weights stores them in HDF5 (the authors' model files), read and written.
//
// Keras 2: the attribute layer_names of the file (of /model_weights in a file by `save`) lists the layers in the
// model's order, each layer's group has an attribute weight_names, and values lie at /<layer>/<weight name>; lists of
// more than 64 KB are split over layer_names0, layer_names1, .. Keras 3: /layers/<layer>/vars/0, 1, ..; layers of a
// kind are numbered in the model's order [keras/src/legacy/saving/legacy_h5_format.py, keras/src/saving/saving_lib.py].
#ifndef RB_MODEL_KERAS_FILE_H_
#define RB_MODEL_KERAS_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model_file.h"

namespace rb {

struct KerasTensor {
  std::string name;            // as the layer's list has it: "conv1d/kernel:0"; the number in Keras 3
  std::string where;           // "FILE:/LAYER/NAME", for messages
  std::vector<int64_t> shape;  // 1 to 3 axes
  std::vector<float> values;   // all finite
};

struct KerasLayer {
  std::string where;  // "FILE:/LAYER"
  std::vector<KerasTensor> weights;
};

// The layers that have weights; of one kind they are in the model's order. NotFound without the file; InvalidArgument
// naming file and weight: no HDF5, no such lists, a weight that is missing, no numbers, of more than three axes, too
// large or not finite.
absl::StatusOr<std::vector<KerasLayer>> ReadKerasWeights(const std::string& path);

// The bytes of a file as Keras 2 writes it, for load_weights into a network of the same layers (dropout and the like
// carry no weights). A function of the parameters alone.
absl::StatusOr<std::string> KerasWeightsFile(const ModelFile& model);

}  // namespace rb

#endif  // RB_MODEL_KERAS_FILE_H_
