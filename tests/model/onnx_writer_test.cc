// Exported graphs: what ONNX's own checker says of them, and what they predict.
#include "model/onnx_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/predictor.h"
#include "model/protobuf_writer.h"
#include "tests/model/naive_network.h"
#include "tests/model/onnx_evaluator.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

struct Case {
  std::string name;
  Shape shape;
  Preset preset = Preset::kPaper;
};

std::vector<Case> Cases() {
  std::vector<Case> cases = {{"paper", kPaperShape},
                             {"published", kPublishedShape, Preset::kPublished},
                             {"published, 9 channels, 39 nt", kPublishedShape, Preset::kPublished},
                             {"6 channels", test::ToyShape(41, 2)},
                             {"classification, 9 channels", test::ToyShape(41, 5)},
                             {"other widths and dilations", test::ToyShape(37)},
                             {"one layer, one pool", test::ToyShape(16)}};
  cases[2].shape.structure = 5;
  cases[2].shape.length = 39;
  cases[3].shape.pool = 10;
  cases[4].shape.classification = true;
  cases[5].shape.width = 5;
  cases[5].shape.first_width = 7;
  cases[5].shape.residual_layers = 2;
  cases[5].shape.dilations[0] = 3;
  cases[5].shape.dilations[1] = 11;  // taps that never fall inside the sequence's middle
  cases[5].shape.dilations[2] = 0;
  cases[5].shape.filters = 64;
  cases[6].shape.residual_layers = 1;
  cases[6].shape.dilations[1] = cases[6].shape.dilations[2] = 0;
  cases[6].shape.pool = 16;
  return cases;
}

ModelFile ModelOf(const Case& c) {
  ModelFile model;
  model.config = PresetConfig(c.preset);
  model.config.shape = c.shape;
  model.experiment = "EXP \u00e91";
  model.transform.kind = TransformKind::kLog;
  model.transform.mean = 0.1;
  if (c.shape.structure > 0)
    model.structure_source = test::ToyDataset(1, 1, 20, c.shape.structure).sequences.TrackSource();
  model.parameters = test::RandomParameters(c.shape, 17);
  return model;
}

onnx::ModelProto Exported(const ModelFile& model) {
  const absl::StatusOr<std::string> bytes = OnnxModel(model);
  onnx::ModelProto proto;
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  if (bytes.ok()) ExpectEqual(proto.ParseFromString(*bytes), true, "protobuf reads it");
  return proto;
}

// [N][1] as "Nx1"
std::string DimsText(const onnx::ValueInfoProto& value) {
  std::string text;
  for (const auto& dim : value.type().tensor_type().shape().dim()) {
    text += (text.empty() ? "" : "x") + (dim.has_dim_value() ? std::to_string(dim.dim_value()) : dim.dim_param());
  }
  return text;
}

TEST(OnnxModel, PassesTheChecker) {
  for (const Case& c : Cases()) {
    onnx::ModelProto proto = Exported(ModelOf(c));
    EXPECT_NO_THROW(onnx::checker::check_model(proto)) << c.name;
    ExpectEqual(proto.ir_version(), kOnnxIrVersion, c.name);
    ASSERT_EQ(proto.opset_import_size(), 1);
    ExpectEqual(proto.opset_import(0).version(), kOnnxOpset, c.name);
    ASSERT_TRUE(proto.graph().input_size() == 1 && proto.graph().output_size() == 1);
    const std::string input = "Nx" + std::to_string(c.shape.length) + "x" + std::to_string(c.shape.channels());
    ExpectEqual(DimsText(proto.graph().input(0)), input, c.name);
    // What ONNX finds by itself: types and shapes agree, strictly, and the output's is what the graph makes.
    proto.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
    const onnx::ShapeInferenceOptions strict(true, 1);
    EXPECT_NO_THROW(onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(), strict)) << c.name;
    ExpectEqual(DimsText(proto.graph().output(0)), "Nx1", c.name);
    std::map<std::string, std::string> shapes;
    for (const auto& value : proto.graph().value_info()) shapes[value.name()] = DimsText(value);
    ExpectEqual(shapes["flatten"], "Nx" + std::to_string(c.shape.flat()), c.name);
  }
}

TEST(OnnxModel, PredictsWhatTheModelPredicts) {
  ThreadPool pool(2);
  const auto backend = MakeCpuBackend<float>(pool);
  for (const Case& c : Cases()) {
    const ModelFile model = ModelOf(c);
    const onnx::ModelProto proto = Exported(model);
    const int rows = 12;
    const Dataset d = test::ToyDataset(rows, 1, c.shape.length, c.shape.structure);
    const test::NaiveNetwork exact(c.shape, model.parameters, false), size(c.shape, model.parameters, true);
    test::OnnxTensor input({rows, c.shape.length, c.shape.channels()});
    input.values.clear();
    for (int i = 0; i < rows; ++i) {
      for (const auto& position : exact.Input(d.sequences, i)) {
        input.values.insert(input.values.end(), position.begin(), position.end());
      }
    }
    const auto predictor = Predictor::Create(model, Precision::kFp32, *backend);
    ASSERT_TRUE(predictor.ok()) << predictor.status();
    const std::vector<float> predictions = predictor->Predict(d.sequences).value();
    const test::OnnxTensor output = test::OnnxEvaluator(proto).Run(input);
    ASSERT_EQ(output.dims, (std::vector<int64_t>{rows, 1})) << c.name;
    // The evaluator and the oracle both sum in double, in other orders.
    const double terms = c.shape.first_width * c.shape.channels() +
                         c.shape.residual_layers * (c.shape.width * c.shape.filters + 2) + c.shape.pool +
                         c.shape.flat() + c.shape.hidden + 12;
    for (int i = 0; i < rows; ++i) {
      const std::string what = c.name + ", row " + std::to_string(i);
      ExpectWithin(output.values[i], exact.Score(d.sequences, i),
                   2 * terms * std::ldexp(1.0, -53) * size.Score(d.sequences, i), what + " (exactly)");
      ExpectWithin(output.values[i], predictions[i], 1e-5, what);
    }
  }
}

TEST(OnnxModel, HoldsEveryParameterAndTheMetadata) {
  for (const Case& c : Cases()) {
    const ModelFile model = ModelOf(c);
    const onnx::ModelProto proto = Exported(model);
    std::set<std::string> names, expected = {"head.bias"};
    int64_t values = 0;
    for (const auto& tensor : proto.graph().initializer()) {
      names.insert(tensor.name());
      int64_t size = 1;
      for (const int64_t extent : tensor.dims()) size *= extent;
      values += size;
    }
    const ParameterTable table(c.shape);
    for (const TensorSpec& spec : table.tensors()) expected.insert(spec.name);
    ExpectEqual(names, expected, c.name);
    ExpectEqual(values, table.count(), c.name);
    std::map<std::string, std::string> found;
    for (const auto& pair : proto.metadata_props()) found[pair.key()] = pair.value();
    for (const auto& [key, value] : SettingsOf(model.config)) ExpectEqual(found[key], value, key);
    ExpectEqual(found["experiment"], model.experiment);
    ExpectEqual(found["target.mean"], std::string("0.1"));
    ExpectEqual(found["version"], std::string(RB_VERSION));
    ExpectEqual(found.count("checksum"), size_t{0});
    ExpectEqual(OnnxModel(model).value() == OnnxModel(model).value(), true, "equal models, equal bytes");
  }
}

std::string Hex(const ProtobufMessage& message) {
  std::string text;
  for (const unsigned char c : message.bytes()) {
    text.push_back("0123456789abcdef"[c >> 4]);
    text.push_back("0123456789abcdef"[c & 15]);
  }
  return text;
}

// The examples of protobuf.dev/programming-guides/encoding, and what a reader makes of the ends of the ranges.
TEST(ProtobufMessage, WritesTheWireFormat) {
  ProtobufMessage number, text, inner, negative, doubled, far;
  number.Int(1, 150);
  ExpectEqual(Hex(number), "089601");
  text.Bytes(2, "testing");
  ExpectEqual(Hex(text), "120774657374696e67");
  inner.Message(3, number);
  ExpectEqual(Hex(inner), "1a03089601");
  negative.Int(1, -2);
  ExpectEqual(Hex(negative), "08feffffffffffffffff01");
  doubled.Double(1, 1.5);
  ExpectEqual(Hex(doubled), "09000000000000f83f");
  far.Int(20, 0);
  ExpectEqual(Hex(far), "a00100");

  ProtobufMessage message;
  message.Bytes(1, std::string(1000, 'x'));
  message.Float(2, -0.1f);
  message.Int(3, std::numeric_limits<int64_t>::min());
  for (const int64_t value : {int64_t{0}, int64_t{127}, int64_t{128}, std::numeric_limits<int64_t>::max()}) {
    message.Int(8, value);
  }
  onnx::AttributeProto read;
  ASSERT_TRUE(read.ParseFromString(message.bytes()));
  ExpectEqual(read.name(), std::string(1000, 'x'));
  ExpectEqual(read.f(), -0.1f);
  ExpectEqual(read.i(), std::numeric_limits<int64_t>::min());
  ExpectEqual(std::vector<int64_t>(read.ints().begin(), read.ints().end()),
              std::vector<int64_t>{0, 127, 128, std::numeric_limits<int64_t>::max()});
}

}  // namespace
}  // namespace rb
