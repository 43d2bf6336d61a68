// Models as ONNX graphs (https://onnx.ai), for other programs to run.
#ifndef RB_MODEL_ONNX_WRITER_H_
#define RB_MODEL_ONNX_WRITER_H_

#include <string>

#include "absl/status/statusor.h"
#include "model/model_file.h"

namespace rb {

inline constexpr int kOnnxIrVersion = 8;
inline constexpr int kOnnxOpset = 17;

// The bytes of an ONNX file: float32, any number of sequences N at once.
//
// "input" is [N][L][4+S]: one row a position, A C G U and then the structure tracks, zeros at padded and unknown
// positions (Keras' order of axes). "output" is [N][1]: the prediction in the transformed scale, or the probability
// when classification. The graph is the network for inference, layer by layer: batch norms are nodes of their own,
// dropout is absent, and the initializers have the parameter table's names, transposed to what Conv and MatMul take.
// All of a model file's metadata are in metadata_props. Equal models give equal bytes.
//
// InvalidArgument for a model of 2 GiB or more, which no reader of protocol buffers takes.
absl::StatusOr<std::string> OnnxModel(const ModelFile& model);

}  // namespace rb

#endif  // RB_MODEL_ONNX_WRITER_H_
