#include "model/onnx_writer.h"

#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "model/parameter_table.h"
#include "model/protobuf_writer.h"

namespace rb {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are stored as they lie in memory");

// Field numbers and enumerators of onnx.proto (https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto).
namespace field {
enum Model { kIrVersion = 1, kProducer = 2, kProducerVersion = 3, kModelDoc = 6, kGraph = 7, kOpsets = 8, kProps = 14 };
enum Graph { kNodes = 1, kGraphName = 2, kInitializers = 5, kInputs = 11, kOutputs = 12 };
enum Node { kNodeInputs = 1, kNodeOutputs = 2, kNodeName = 3, kOperator = 4, kAttributes = 5 };
enum Attribute { kAttributeName = 1, kFloat = 2, kInt = 3, kInts = 8, kAttributeType = 20 };
enum Tensor { kDims = 1, kDataType = 2, kTensorName = 8, kRawData = 9 };
enum Value { kValueName = 1, kValueType = 2, kValueDoc = 3 };
enum Type { kTensorType = 1, kElementType = 1, kTensorShape = 2, kDim = 1, kDimValue = 1, kDimParameter = 2 };
enum Pair { kKey = 1, kPairValue = 2, kOpsetVersion = 2 };
}  // namespace field
constexpr int kFloat32 = 1;  // TensorProto.FLOAT
enum AttributeType { kFloatAttribute = 1, kIntAttribute = 2, kIntsAttribute = 7 };

constexpr char kInputDoc[] =
    "[N][position][channel]: one-hot A, C, G, U, then the structure tracks if the model takes any (paired, unpaired; "
    "or "
    "paired, hairpin, internal, multi, external); zeros at padded and unknown positions. Shorter sequences are padded "
    "on both sides, floor((positions - length) / 2) on the left.";

// A tensor as ONNX wants it: element (i, j, k) of shape [a][b][c] is source[i * si + j * sj + k * sk].
struct View {
  std::vector<int64_t> shape, strides;
};

std::vector<float> Gather(const float* source, const View& view) {
  int64_t size = 1;
  for (const int64_t extent : view.shape) size *= extent;
  std::vector<float> values(static_cast<size_t>(size));
  std::vector<int64_t> index(view.shape.size(), 0);
  for (float& value : values) {
    int64_t at = 0;
    for (size_t i = 0; i < index.size(); ++i) at += index[i] * view.strides[i];
    value = source[at];
    for (size_t i = index.size(); i-- > 0 && ++index[i] == view.shape[i];) index[i] = 0;
  }
  return values;
}

ProtobufMessage IntsAttribute(const char* name, const std::vector<int64_t>& values) {
  ProtobufMessage attribute;
  attribute.Bytes(field::kAttributeName, name);
  for (const int64_t value : values) attribute.Int(field::kInts, value);
  attribute.Int(field::kAttributeType, kIntsAttribute);
  return attribute;
}

ProtobufMessage IntAttribute(const char* name, int64_t value) {
  ProtobufMessage attribute;
  attribute.Bytes(field::kAttributeName, name);
  attribute.Int(field::kInt, value);
  attribute.Int(field::kAttributeType, kIntAttribute);
  return attribute;
}

ProtobufMessage FloatAttribute(const char* name, float value) {
  ProtobufMessage attribute;
  attribute.Bytes(field::kAttributeName, name);
  attribute.Float(field::kFloat, value);
  attribute.Int(field::kAttributeType, kFloatAttribute);
  return attribute;
}

// A float tensor of N rows; extents behind them.
ProtobufMessage RowsOf(const char* name, const std::vector<int64_t>& extents, const std::string& doc) {
  ProtobufMessage shape, rows, tensor, type, value;
  rows.Bytes(field::kDimParameter, "N");
  shape.Message(field::kDim, rows);
  for (const int64_t extent : extents) {
    ProtobufMessage dim;
    dim.Int(field::kDimValue, extent);
    shape.Message(field::kDim, dim);
  }
  tensor.Int(field::kElementType, kFloat32);
  tensor.Message(field::kTensorShape, shape);
  type.Message(field::kTensorType, tensor);
  value.Bytes(field::kValueName, name);
  value.Message(field::kValueType, type);
  value.Bytes(field::kValueDoc, doc);
  return value;
}

// The graph as it grows. A node has one output, of the node's own name; functions return it.
class GraphBuilder {
 public:
  explicit GraphBuilder(const ModelFile& model)
      : shape_(model.config.shape), table_(shape_), parameters_(model.parameters.data()) {}

  ProtobufMessage Build() {
    const int64_t length = shape_.length, filters = shape_.filters, hidden = shape_.hidden;
    std::string x = Add("input.channels_first", "Transpose", {"input"}, {IntsAttribute("perm", {0, 2, 1})});
    x = Relu("embed", Norm("embed", Conv("embed", x, shape_.first_width, shape_.channels(), 1), filters));
    const std::string skip = x;
    for (int i = 1; i <= shape_.residual_layers; ++i) {
      const std::string layer = absl::StrCat("conv", i);
      x = Norm(layer, Conv(layer, x, shape_.width, filters, shape_.dilations[i - 1]), filters);
      if (i < shape_.residual_layers) x = Relu(layer, x);
    }
    x = Relu("residual", Add("residual.add", "Add", {x, skip}));
    x = Add("pool", "AveragePool", {x},
            {IntsAttribute("kernel_shape", {shape_.pool}), IntsAttribute("strides", {shape_.pool})});
    x = Add("flatten", "Flatten", {x}, {IntAttribute("axis", 1)});
    // Flatten counts channel by channel, the model's rows position by position.
    const int64_t pools = shape_.pools();
    Tensor("dense.weight", "dense.weight", {{filters, pools, hidden}, {hidden, filters * hidden, 1}},
           {filters * pools, hidden});
    x = Relu("dense", Norm("dense", Add("dense.matmul", "MatMul", {x, "dense.weight"}), hidden));
    Tensor("head.weight", "head.weight", {{hidden, 1}, {1, 1}}, {hidden, 1});
    Tensor("head.bias", "head.weight", {{1}, {1}}, {1}, hidden);
    const std::string output = shape_.classification ? "logit" : "output";
    AddNode("head", "Gemm", {x, "head.weight", "head.bias"}, {}, output);
    if (shape_.classification) AddNode("probability", "Sigmoid", {output}, {}, "output");
    graph_.Bytes(field::kGraphName, "residualbind");
    graph_.Message(field::kInputs, RowsOf("input", {length, shape_.channels()}, kInputDoc));
    graph_.Message(field::kOutputs, RowsOf("output", {1},
                                           shape_.classification ? "probability of binding"
                                                                 : "predicted score, in the transformed scale"));
    return std::move(graph_);
  }

 private:
  using Attributes = std::vector<ProtobufMessage>;

  void AddNode(const std::string& name, const char* type, const std::vector<std::string>& inputs,
               const Attributes& attributes, const std::string& output) {
    ProtobufMessage node;
    for (const std::string& input : inputs) node.Bytes(field::kNodeInputs, input);
    node.Bytes(field::kNodeOutputs, output);
    node.Bytes(field::kNodeName, name);
    node.Bytes(field::kOperator, type);
    for (const ProtobufMessage& attribute : attributes) node.Message(field::kAttributes, attribute);
    graph_.Message(field::kNodes, node);
  }

  std::string Add(const std::string& name, const char* type, const std::vector<std::string>& inputs,
                  const Attributes& attributes = {}) {
    AddNode(name, type, inputs, attributes, name);
    return name;
  }

  // The initializer `name` of shape `dims`: the values of the table's tensor `from`, from `first` on, seen as `view`.
  void Tensor(const std::string& name, const std::string& from, const View& view, const std::vector<int64_t>& dims,
              int64_t first = 0) {
    const std::vector<float> values = Gather(parameters_ + table_.at(from).offset + first, view);
    ProtobufMessage tensor;
    for (const int64_t extent : dims) tensor.Int(field::kDims, extent);
    tensor.Int(field::kDataType, kFloat32);
    tensor.Bytes(field::kTensorName, name);
    tensor.Bytes(field::kRawData, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    graph_.Message(field::kInitializers, tensor);
  }

  // [tap][in][out] becomes [out][in][tap]. Padding is told in numbers: readers differ on SAME_UPPER with dilations.
  std::string Conv(const std::string& layer, const std::string& x, int64_t width, int64_t channels, int64_t dilation) {
    const int64_t filters = shape_.filters, pad = dilation * (width / 2);
    const std::string weight = layer + ".weight";
    Tensor(weight, weight, {{filters, channels, width}, {1, filters, channels * filters}}, {filters, channels, width});
    return Add(layer + ".conv", "Conv", {x, weight},
               {IntsAttribute("kernel_shape", {width}), IntsAttribute("dilations", {dilation}),
                IntsAttribute("pads", {pad, pad})});
  }

  std::string Norm(const std::string& layer, const std::string& x, int64_t channels) {
    std::vector<std::string> inputs = {x};
    for (const char* part : {"gamma", "beta", "mean", "variance"}) {
      inputs.push_back(absl::StrCat(layer, ".norm.", part));
      Tensor(inputs.back(), inputs.back(), {{channels}, {1}}, {channels});
    }
    return Add(layer + ".norm", "BatchNormalization", inputs, {FloatAttribute("epsilon", kBatchNormEpsilon)});
  }

  std::string Relu(const std::string& layer, const std::string& x) { return Add(layer + ".relu", "Relu", {x}); }

  const Shape shape_;
  const ParameterTable table_;
  const float* parameters_;
  ProtobufMessage graph_;
};

// A model file's metadata, without what says which container it is.
std::map<std::string, std::string> Metadata(const ModelFile& model) {
  std::map<std::string, std::string> metadata = ModelToSafeTensors(model).metadata;
  for (const char* key : {"format", "format_version", kChecksumKey, kHeaderChecksumKey}) metadata.erase(key);
  return metadata;
}

}  // namespace

absl::StatusOr<std::string> OnnxModel(const ModelFile& model) {
  RB_CHECK(static_cast<int64_t>(model.parameters.size()) == ParameterTable(model.config.shape).storage());
  constexpr size_t kMost = std::numeric_limits<int32_t>::max();
  const size_t values = model.parameters.size() * sizeof(float);
  if (values < kMost) {
    ProtobufMessage proto, opset;
    proto.Int(field::kIrVersion, kOnnxIrVersion);
    proto.Bytes(field::kProducer, "residualbind");
    proto.Bytes(field::kProducerVersion, RB_VERSION);
    proto.Bytes(field::kModelDoc, absl::StrCat("ResidualBind", model.experiment.empty() ? "" : " of ", model.experiment,
                                               ": binding of a protein to RNA. input: ", kInputDoc));
    proto.Message(field::kGraph, GraphBuilder(model).Build());
    opset.Int(field::kOpsetVersion, kOnnxOpset);
    proto.Message(field::kOpsets, opset);
    for (const auto& [key, value] : Metadata(model)) {
      ProtobufMessage pair;
      pair.Bytes(field::kKey, key);
      pair.Bytes(field::kPairValue, value);
      proto.Message(field::kProps, pair);
    }
    if (proto.bytes().size() <= kMost) return proto.bytes();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the model's ", values, " bytes of parameters do not fit in an ONNX file; expected less than 2 GiB"));
}

}  // namespace rb
