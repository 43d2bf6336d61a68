// Runs ONNX graphs node by node in double, from the operators' published definitions
// (https://github.com/onnx/onnx/blob/v1.12.0/docs/Operators.md) and nothing of our network: an oracle for exported
// models.
#ifndef RB_TESTS_MODEL_ONNX_EVALUATOR_H_
#define RB_TESTS_MODEL_ONNX_EVALUATOR_H_

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace rb::test {

struct OnnxTensor {
  std::vector<int64_t> dims;
  std::vector<double> values;  // row-major

  OnnxTensor() = default;
  explicit OnnxTensor(std::vector<int64_t> extents) : dims(std::move(extents)) {
    values.assign(static_cast<size_t>(Rows(0)), 0.0);
  }
  // Product of the extents from axis `from` on.
  int64_t Rows(size_t from) const {
    return std::accumulate(dims.begin() + static_cast<int64_t>(from), dims.end(), int64_t{1}, std::multiplies<>());
  }
};

// Throws std::runtime_error for what it does not know: a test of something else must not pass for lack of it.
class OnnxEvaluator {
 public:
  explicit OnnxEvaluator(const onnx::ModelProto& model) : graph_(model.graph()) {
    for (const auto& tensor : graph_.initializer()) {
      Demand(tensor.data_type() == onnx::TensorProto::FLOAT, "float initializers");
      OnnxTensor& t = initial_[tensor.name()] = OnnxTensor({tensor.dims().begin(), tensor.dims().end()});
      std::vector<float> values(t.values.size());
      Demand(tensor.raw_data().size() == values.size() * sizeof(float), "raw data of the tensor's size");
      std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
      t.values.assign(values.begin(), values.end());
    }
  }

  // The graph's only output for its only input.
  OnnxTensor Run(OnnxTensor input) {
    std::map<std::string, OnnxTensor> tensors = initial_;
    Demand(graph_.input_size() == 1 && graph_.output_size() == 1, "one input and one output");
    tensors[graph_.input(0).name()] = std::move(input);
    for (const auto& node : graph_.node()) {
      node_ = &node;
      inputs_.clear();
      for (const auto& name : node.input()) {
        Demand(tensors.count(name) == 1, "inputs that come before");
        inputs_.push_back(&tensors.at(name));
      }
      Demand(node.output_size() == 1 && tensors.count(node.output(0)) == 0, "one new output a node");
      OnnxTensor result = Apply();
      tensors[node.output(0)] = std::move(result);
    }
    return tensors.at(graph_.output(0).name());
  }

 private:
  void Demand(bool ok, const std::string& what) const {
    const std::string name = node_ == nullptr ? "graph" : node_->name() + " (" + node_->op_type() + ")";
    if (!ok) throw std::runtime_error(name + ": expected " + what);
  }

  const onnx::AttributeProto* Attribute(const char* name) const {
    for (const auto& attribute : node_->attribute()) {
      if (attribute.name() == name) return &attribute;
    }
    return nullptr;
  }
  int64_t Int(const char* name, int64_t absent) const {
    const auto* attribute = Attribute(name);
    return attribute == nullptr ? absent : attribute->i();
  }
  double Float(const char* name, double absent) const {
    const auto* attribute = Attribute(name);
    return attribute == nullptr ? absent : static_cast<double>(attribute->f());
  }
  std::vector<int64_t> Ints(const char* name, std::vector<int64_t> absent) const {
    const auto* attribute = Attribute(name);
    if (attribute == nullptr) return absent;
    return {attribute->ints().begin(), attribute->ints().end()};
  }
  void OnlyAttributes(const std::vector<std::string>& known) const {
    for (const auto& attribute : node_->attribute()) {
      Demand(std::find(known.begin(), known.end(), attribute.name()) != known.end(),
             "no attribute " + attribute.name());
    }
  }

  OnnxTensor Apply() const {
    const std::string& type = node_->op_type();
    if (type == "Conv") return Conv();
    if (type == "BatchNormalization") return BatchNormalization();
    if (type == "AveragePool") return AveragePool();
    if (type == "Transpose") return Transpose();
    if (type == "Flatten") return Flatten();
    if (type == "Add") return Add();
    if (type == "MatMul" || type == "Gemm") return Product();
    if (type == "Relu") return Map([](double x) { return std::max(x, 0.0); });
    if (type == "Sigmoid") return Map([](double x) { return 1 / (1 + std::exp(-x)); });
    Demand(false, "an operator that is known");
    return {};
  }

  OnnxTensor Map(double (*f)(double)) const {
    OnlyAttributes({});
    OnnxTensor y = *inputs_.at(0);
    std::transform(y.values.begin(), y.values.end(), y.values.begin(), f);
    return y;
  }

  OnnxTensor Add() const {
    OnlyAttributes({});
    OnnxTensor y = *inputs_.at(0);
    Demand(y.dims == inputs_.at(1)->dims, "equal shapes");
    for (size_t i = 0; i < y.values.size(); ++i) y.values[i] += inputs_[1]->values[i];
    return y;
  }

  // X[N][C][L], W[M][C][K]; one group, one axis.
  OnnxTensor Conv() const {
    OnlyAttributes({"kernel_shape", "dilations", "pads", "strides"});
    const OnnxTensor &x = *inputs_.at(0), &w = *inputs_.at(1);
    Demand(x.dims.size() == 3 && w.dims.size() == 3 && x.dims[1] == w.dims[1] && inputs_.size() == 2,
           "matching [N][C][L]");
    const int64_t channels = x.dims[1], length = x.dims[2], taps = w.dims[2];
    Demand(Ints("kernel_shape", {taps}) == std::vector<int64_t>{taps}, "the kernel's own width");
    const int64_t dilation = Ints("dilations", {1}).at(0), stride = Ints("strides", {1}).at(0);
    const std::vector<int64_t> pads = Ints("pads", {0, 0});
    OnnxTensor y({x.dims[0], w.dims[0], (length + pads.at(0) + pads.at(1) - dilation * (taps - 1) - 1) / stride + 1});
    for (size_t at = 0; at < y.values.size(); ++at) {
      const auto i = static_cast<int64_t>(at);
      const int64_t out = i % y.dims[2], m = i / y.dims[2] % y.dims[1], n = i / y.dims[2] / y.dims[1];
      for (int64_t k = 0; k < taps; ++k) {
        const int64_t l = out * stride - pads[0] + k * dilation;
        for (int64_t c = 0; c < channels && l >= 0 && l < length; ++c) {
          y.values[at] += x.values[(n * channels + c) * length + l] * w.values[(m * channels + c) * taps + k];
        }
      }
    }
    return y;
  }

  OnnxTensor BatchNormalization() const {
    OnlyAttributes({"epsilon", "momentum", "training_mode"});
    Demand(Int("training_mode", 0) == 0 && inputs_.size() == 5, "inference");
    OnnxTensor y = *inputs_[0];
    const int64_t channels = y.dims.at(1), inner = y.Rows(2);
    for (int i = 1; i < 5; ++i) Demand(inputs_[i]->dims == std::vector<int64_t>{channels}, "a value a channel");
    for (size_t at = 0; at < y.values.size(); ++at) {
      const auto c = static_cast<size_t>(static_cast<int64_t>(at) / inner % channels);
      y.values[at] = (y.values[at] - inputs_[3]->values[c]) /
                         std::sqrt(inputs_[4]->values[c] + Float("epsilon", 1e-5)) * inputs_[1]->values[c] +
                     inputs_[2]->values[c];
    }
    return y;
  }

  OnnxTensor AveragePool() const {
    OnlyAttributes({"kernel_shape", "strides"});
    const OnnxTensor& x = *inputs_.at(0);
    Demand(x.dims.size() == 3, "[N][C][L]");
    const int64_t width = Ints("kernel_shape", {}).at(0), stride = Ints("strides", {1}).at(0), length = x.dims[2];
    OnnxTensor y({x.dims[0], x.dims[1], (length - width) / stride + 1});
    for (size_t at = 0; at < y.values.size(); ++at) {
      const int64_t row = static_cast<int64_t>(at) / y.dims[2], out = static_cast<int64_t>(at) % y.dims[2];
      for (int64_t l = out * stride; l < out * stride + width; ++l) y.values[at] += x.values[row * length + l] / width;
    }
    return y;
  }

  OnnxTensor Transpose() const {
    OnlyAttributes({"perm"});
    const OnnxTensor& x = *inputs_.at(0);
    const std::vector<int64_t> order = Ints("perm", {});
    Demand(order.size() == x.dims.size(), "a permutation of the axes");
    std::vector<int64_t> dims;
    for (const int64_t axis : order) dims.push_back(x.dims.at(axis));
    OnnxTensor y(dims);
    for (size_t at = 0; at < y.values.size(); ++at) {
      int64_t rest = static_cast<int64_t>(at), from = 0;
      for (size_t i = order.size(); i-- > 0; rest /= dims[i]) {
        from += rest % dims[i] * x.Rows(static_cast<size_t>(order[i]) + 1);
      }
      y.values[at] = x.values[from];
    }
    return y;
  }

  OnnxTensor Flatten() const {
    OnlyAttributes({"axis"});
    OnnxTensor y = *inputs_.at(0);
    const int64_t inner = y.Rows(static_cast<size_t>(Int("axis", 1)));
    y.dims = {static_cast<int64_t>(y.values.size()) / inner, inner};
    return y;
  }

  // A * B, plus C where there is one (Gemm; a value a column).
  OnnxTensor Product() const {
    OnlyAttributes({});
    const OnnxTensor &a = *inputs_.at(0), &b = *inputs_.at(1);
    Demand(a.dims.size() == 2 && b.dims.size() == 2 && a.dims[1] == b.dims[0], "matrices that match");
    OnnxTensor y({a.dims[0], b.dims[1]});
    const int64_t columns = y.dims[1], terms = a.dims[1];
    if (inputs_.size() > 2) Demand(inputs_[2]->dims == std::vector<int64_t>{columns}, "a bias a column");
    for (int64_t i = 0; i < y.dims[0]; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        double sum = inputs_.size() > 2 ? inputs_[2]->values[j] : 0;
        for (int64_t k = 0; k < terms; ++k) sum += a.values[i * terms + k] * b.values[k * columns + j];
        y.values[i * columns + j] = sum;
      }
    }
    return y;
  }

  const onnx::GraphProto& graph_;
  std::map<std::string, OnnxTensor> initial_;
  const onnx::NodeProto* node_ = nullptr;
  std::vector<const OnnxTensor*> inputs_;
};

}  // namespace rb::test

#endif  // RB_TESTS_MODEL_ONNX_EVALUATOR_H_
