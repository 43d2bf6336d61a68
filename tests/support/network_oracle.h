// ResidualBind's training pass in double, written from the paper's list of layers with plain loops and explicit,
// continuous inputs: the reference that the engine's fused operators are held against end to end.
#ifndef RB_TESTS_SUPPORT_NETWORK_ORACLE_H_
#define RB_TESTS_SUPPORT_NETWORK_ORACLE_H_

#include <cmath>
#include <string>
#include <vector>

#include "kernels/common.h"
#include "kernels/philox.h"
#include "model/parameter_table.h"
#include "model/shape.h"

namespace rb::test {

class NetworkOracle {
 public:
  NetworkOracle(const Shape& shape, const ParameterTable& table, const double* parameters, const StepState& state)
      : shape_(shape), table_(table), parameters_(parameters), state_(state) {}

  // input[N][L][4+S], targets[N] -> mean loss of the batch; predictions() afterwards.
  double Loss(const std::vector<double>& input, const std::vector<double>& targets) {
    const int n = state_.rows, length = shape_.length, c = shape_.filters;
    std::vector<double> y = Conv(input, shape_.channels(), "embed.weight", shape_.first_width, 1);
    const std::vector<double> skip = Dropout(Relu(Norm(y, c, "embed")), shape_.dropout_first, 0);
    std::vector<double> a = skip;
    for (int i = 1; i <= shape_.residual_layers; ++i) {
      const std::string name = "conv" + std::to_string(i);
      y = Norm(Conv(a, c, name + ".weight", shape_.width, shape_.dilations[i - 1]), c, name);
      if (i < shape_.residual_layers) a = Dropout(Relu(y), shape_.dropout_inner, i);
    }
    for (size_t i = 0; i < y.size(); ++i) y[i] += skip[i];
    a = Dropout(Relu(y), shape_.dropout_before_pool, 64);
    std::vector<double> p(static_cast<size_t>(n) * shape_.flat());
    for (int row = 0; row < n; ++row) {
      for (int l = 0; l < shape_.pools() * shape_.pool; ++l) {
        for (int k = 0; k < c; ++k) {
          p[(static_cast<size_t>(row) * shape_.pools() + l / shape_.pool) * c + k] +=
              a[(static_cast<size_t>(row) * length + l) * c + k] / shape_.pool;
        }
      }
    }
    p = Dropout(p, shape_.dropout_after_pool, 65);
    std::vector<double> h = Dense(p, shape_.flat(), shape_.hidden, "dense.weight");
    h = Dropout(Relu(Norm(h, shape_.hidden, "dense")), shape_.dropout_dense, 66);
    return Head(h, targets);
  }
  const std::vector<double>& predictions() const { return predictions_; }

 private:
  const double* Get(const std::string& name) const { return parameters_ + table_.at(name).offset; }

  std::vector<double> Conv(const std::vector<double>& x, int in, const std::string& name, int width,
                           int dilation) const {
    const double* w = Get(name);
    const int length = shape_.length, out = shape_.filters;
    std::vector<double> y(static_cast<size_t>(state_.rows) * length * out);
    for (int n = 0; n < state_.rows; ++n) {
      for (int l = 0; l < length; ++l) {
        for (int k = 0; k < width; ++k) {
          const int from = l + (k - width / 2) * dilation;
          if (from < 0 || from >= length) continue;
          for (int c = 0; c < in; ++c) {
            const double value = x[(static_cast<size_t>(n) * length + from) * in + c];
            for (int o = 0; o < out; ++o) {
              y[(static_cast<size_t>(n) * length + l) * out + o] +=
                  value * w[(static_cast<size_t>(k) * in + c) * out + o];
            }
          }
        }
      }
    }
    return y;
  }

  std::vector<double> Dense(const std::vector<double>& x, int in, int out, const std::string& name) const {
    const double* w = Get(name);
    std::vector<double> y(static_cast<size_t>(state_.rows) * out);
    for (int n = 0; n < state_.rows; ++n) {
      for (int i = 0; i < in; ++i) {
        for (int o = 0; o < out; ++o)
          y[static_cast<size_t>(n) * out + o] +=
              x[static_cast<size_t>(n) * in + i] * w[static_cast<size_t>(i) * out + o];
      }
    }
    return y;
  }

  std::vector<double> Norm(const std::vector<double>& y, int channels, const std::string& layer) const {
    const double *gamma = Get(layer + ".norm.gamma"), *beta = Get(layer + ".norm.beta");
    std::vector<double> z(y.size());
    const size_t rows = y.size() / channels;
    for (int c = 0; c < channels; ++c) {
      double mean = 0, variance = 0;
      for (size_t r = 0; r < rows; ++r) mean += y[r * channels + c] / static_cast<double>(rows);
      for (size_t r = 0; r < rows; ++r) variance += std::pow(y[r * channels + c] - mean, 2) / static_cast<double>(rows);
      for (size_t r = 0; r < rows; ++r) {
        z[r * channels + c] =
            gamma[c] * (y[r * channels + c] - mean) / std::sqrt(variance + static_cast<double>(kBatchNormEpsilon)) +
            beta[c];
      }
    }
    return z;
  }

  static std::vector<double> Relu(std::vector<double> x) {
    for (double& v : x) v = v > 0 ? v : 0;
    return x;
  }

  // Element i is kept when its 16 bits reach round(65536 * rate) (kernels/batch_norm.h).
  std::vector<double> Dropout(std::vector<double> x, float rate, uint32_t layer) const {
    const double threshold = std::floor(65536.0 * static_cast<double>(rate) + 0.5);
    if (threshold == 0) return x;
    for (size_t i = 0; i < x.size(); ++i) {
      const PhiloxBlock block = Philox(state_.dropout_key, static_cast<uint32_t>(i / 8), layer,
                                       static_cast<uint32_t>(state_.step), static_cast<uint32_t>(state_.step >> 32));
      const uint32_t draw = block.word[i % 8 / 2] >> (16 * (i % 2)) & 0xFFFFu;
      x[i] = draw >= threshold ? x[i] * 65536.0 / (65536.0 - threshold) : 0;
    }
    return x;
  }

  double Head(const std::vector<double>& h, const std::vector<double>& targets) {
    const double* w = Get("head.weight");
    predictions_.assign(state_.rows, 0);
    double loss = 0;
    for (int n = 0; n < state_.rows; ++n) {
      double out = w[shape_.hidden];
      for (int c = 0; c < shape_.hidden; ++c) out += h[static_cast<size_t>(n) * shape_.hidden + c] * w[c];
      predictions_[n] = out;
      const double t = targets[n];
      loss += shape_.classification ? std::log1p(std::exp(out)) - t * out : (out - t) * (out - t);
    }
    return loss / state_.rows;
  }

  const Shape& shape_;
  const ParameterTable& table_;
  const double* parameters_;
  StepState state_;
  std::vector<double> predictions_;
};

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_NETWORK_ORACLE_H_
