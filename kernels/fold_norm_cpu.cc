// Folding batch norm on the CPU (kernels/fold_norm.h): once a validation, a task a model.
#include "kernels/fold_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace rb::cpu {
namespace {

void FoldLayer(const FoldNormLayer& layer, double epsilon, const float* parameters, float* folded) {
  const float* w = parameters + layer.weight;
  float* to = folded + layer.folded_weight;
  if (layer.channels == 0) {
    std::copy_n(w, layer.weights, to);
    return;
  }
  std::vector<double> scale(static_cast<size_t>(layer.channels));
  for (int o = 0; o < layer.channels; ++o) {
    scale[o] = parameters[layer.gamma + o] / std::sqrt(static_cast<double>(parameters[layer.variance + o]) + epsilon);
    const double shift = parameters[layer.mean + o] * scale[o];
    folded[layer.folded_bias + o] = static_cast<float>(parameters[layer.beta + o] - shift);
  }
  for (int64_t i = 0; i < layer.weights; ++i) to[i] = static_cast<float>(w[i] * scale[i % layer.channels]);
}

void FoldModel(const FoldNormArgs<float>& a, int slot) {
  for (int i = 0; i < a.num_layers; ++i) {
    FoldLayer(a.layers[i], static_cast<double>(a.epsilon), a.parameters[slot], a.folded[slot]);
  }
}

}  // namespace

template <>
void FoldNorm<float>(const FoldNormArgs<float>& a, Parallel& parallel) {
  parallel.Run(a.count, [&](int64_t i, int) { FoldModel(a, a.live[i]); });
}
template <>
void FoldNorm<float>(const FoldNormArgs<float>& a) {
  for (int i = 0; i < a.count; ++i) FoldModel(a, a.live[i]);
}

}  // namespace rb::cpu
