#include "model/folding.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "model/parameter_table.h"

namespace rb {
namespace {

// Tensors begin at multiples of 128 bytes.
class Layout {
 public:
  int64_t Take(int64_t values) {
    const int64_t at = size_;
    size_ += (values + 31) / 32 * 32;
    return at;
  }
  int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

FoldNormLayer LayerOf(const ParameterTable& table, const std::string& name, Layout& layout) {
  const TensorSpec& weight = table.at(name + ".weight");
  const int channels = static_cast<int>(weight.shape.back());
  FoldNormLayer layer;
  layer.weight = weight.offset;
  layer.gamma = table.at(name + ".norm.gamma").offset;
  layer.beta = table.at(name + ".norm.beta").offset;
  layer.mean = table.at(name + ".norm.mean").offset;
  layer.variance = table.at(name + ".norm.variance").offset;
  layer.folded_weight = layout.Take(weight.size);
  layer.folded_bias = layout.Take(channels);
  layer.weights = weight.size;
  layer.channels = channels;
  return layer;
}

}  // namespace

Folding FoldingOf(const Shape& shape) {
  const ParameterTable table(shape);
  Layout layout;
  Folding folding;
  const auto add = [&](const std::string& name, int64_t& weight, int64_t& bias) {
    folding.layers.push_back(LayerOf(table, name, layout));
    weight = folding.layers.back().folded_weight;
    bias = folding.layers.back().folded_bias;
  };
  FoldedOffsets& to = folding.offsets;
  add("embed", to.embed, to.embed_bias);
  for (int i = 0; i < shape.residual_layers; ++i) add(absl::StrCat("conv", i + 1), to.conv[i], to.conv_bias[i]);
  add("dense", to.dense, to.dense_bias);
  // The last layer has no batch norm: its weights and its bias, which follow them, are copied.
  const TensorSpec& head = table.at("head.weight");
  FoldNormLayer copy;
  copy.weight = head.offset;
  copy.folded_weight = to.head = layout.Take(head.size);
  copy.weights = head.size;
  folding.layers.push_back(copy);
  folding.size = layout.size();
  return folding;
}

}  // namespace rb
