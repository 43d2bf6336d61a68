// Inference in double, layer by layer and unfused, written from the paper's list: the oracle for folding and scoring.
#ifndef RB_TESTS_MODEL_NAIVE_NETWORK_H_
#define RB_TESTS_MODEL_NAIVE_NETWORK_H_

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/parameter_table.h"

namespace rb::test {

// Batch norm stays apart from the weights. With `magnitude` every term counts by its absolute value and ReLU lets all
// through: the sum of |x||w| that bounds what rounding can do.
class NaiveNetwork {
 public:
  NaiveNetwork(const Shape& shape, const std::vector<float>& parameters, bool magnitude)
      : s_(shape), table_(shape), p_(parameters), magnitude_(magnitude) {}

  using Plane = std::vector<std::vector<double>>;

  // The input channels [L][4+S] of one sequence.
  Plane Input(const Sequences& sequences, int64_t row) const {
    Plane x(s_.length, std::vector<double>(s_.channels(), 0.0));
    for (int l = 0; l < s_.length; ++l) {
      const uint8_t base = BaseAt(sequences.packed(row), s_.length, l);
      if (base != kUnknownBase) x[l][base] = 1;
      for (int c = 0; c < s_.structure; ++c) x[l][4 + c] = sequences.tracks[(row * s_.length + l) * s_.structure + c];
    }
    return x;
  }

  double Score(const Sequences& sequences, int64_t row) const { return Score(Input(sequences, row)); }

  double Score(const Plane& x) const {
    const int length = s_.length, filters = s_.filters;
    nearest_kink_ = std::numeric_limits<double>::infinity();
    const auto first = Relu(Norm("embed", Conv("embed", x, s_.first_width, 1)));
    auto a = first;
    for (int i = 1; i <= s_.residual_layers; ++i) {
      const std::string layer = "conv" + std::to_string(i);
      a = Norm(layer, Conv(layer, a, s_.width, s_.dilations[i - 1]));
      if (i < s_.residual_layers) a = Relu(a);
    }
    for (int l = 0; l < length; ++l) {
      for (int c = 0; c < filters; ++c) a[l][c] += first[l][c];
    }
    a = Relu(a);
    std::vector<std::vector<double>> flat(1);
    for (int q = 0; q < length / s_.pool; ++q) {
      for (int c = 0; c < filters; ++c) {
        double sum = 0;
        for (int l = q * s_.pool; l < (q + 1) * s_.pool; ++l) sum += a[l][c];
        flat[0].push_back(sum / s_.pool);
      }
    }
    const auto h = Relu(Norm("dense", Conv("dense", flat, 1, 1)))[0];
    const float* head = At("head.weight");
    double out = Term(head[s_.hidden]);
    for (int o = 0; o < s_.hidden; ++o) out += Term(h[o] * head[o]);
    return s_.classification && !magnitude_ ? 1 / (1 + std::exp(-out)) : out;
  }

  // Of the last Score: the smallest magnitude that a ReLU was given.
  double nearest_kink() const { return nearest_kink_; }

 private:
  const float* At(const std::string& name) const { return p_.data() + table_.at(name).offset; }
  double Term(double v) const { return magnitude_ ? std::abs(v) : v; }

  Plane Conv(const std::string& layer, const Plane& x, int width, int dilation) const {
    const float* w = At(layer + ".weight");
    const int in = static_cast<int>(x[0].size()), out = static_cast<int>(table_.at(layer + ".weight").shape.back());
    Plane y(x.size(), std::vector<double>(out, 0.0));
    for (int l = 0; l < static_cast<int>(x.size()); ++l) {
      for (int k = 0; k < width; ++k) {
        const int from = l + (k - (width - 1) / 2) * dilation;
        if (from < 0 || from >= static_cast<int>(x.size())) continue;
        for (int c = 0; c < in; ++c) {
          for (int o = 0; o < out; ++o) y[l][o] += Term(x[from][c] * w[(k * in + c) * out + o]);
        }
      }
    }
    return y;
  }

  Plane Norm(const std::string& layer, Plane x) const {
    const float *gamma = At(layer + ".norm.gamma"), *beta = At(layer + ".norm.beta");
    const float *mean = At(layer + ".norm.mean"), *variance = At(layer + ".norm.variance");
    for (auto& row : x) {
      for (size_t c = 0; c < row.size(); ++c) {
        const double scale = gamma[c] / std::sqrt(static_cast<double>(variance[c]) + kBatchNormEpsilon);
        row[c] = Term(row[c] * scale) + Term(mean[c] * -scale) + Term(beta[c]);
      }
    }
    return x;
  }

  Plane Relu(Plane x) const {
    for (auto& row : x) {
      for (double& v : row) {
        nearest_kink_ = std::min(nearest_kink_, std::abs(v));
        v = std::max(v, 0.0);
      }
    }
    return x;
  }

  Shape s_;
  ParameterTable table_;
  const std::vector<float>& p_;
  bool magnitude_;
  mutable double nearest_kink_ = 0;
};

// Parameters as of a trained model: random batch norms, about a tenth of the gammas negative.
inline std::vector<float> RandomParameters(const Shape& shape, uint64_t seed) {
  const ParameterTable table(shape);
  std::vector<float> values(static_cast<size_t>(table.storage()));
  InitializeParameters(table, seed, 1, values.data());
  PhiloxStream random(seed);
  for (const TensorSpec& t : table.tensors()) {
    for (int64_t i = 0; i < t.size; ++i) {
      float& v = values[t.offset + i];
      const double u = random.Uniform();
      if (t.name.ends_with("gamma")) v = static_cast<float>(u < 0.1 ? -0.5 - u : 0.5 + u);
      if (t.name.ends_with("beta") || t.name.ends_with("mean")) v = static_cast<float>(u - 0.5);
      if (t.name.ends_with("variance")) v = static_cast<float>(0.05 + 2 * u);
      if (t.name == "head.weight" && i == t.size - 1) v = 0.3f;
    }
  }
  return values;
}

}  // namespace rb::test

#endif  // RB_TESTS_MODEL_NAIVE_NETWORK_H_
