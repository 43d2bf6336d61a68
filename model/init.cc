// Initial values of a model: the same bits on every machine, for any number of models side by side.
#include <algorithm>
#include <cmath>

#include "kernels/philox.h"
#include "model/parameter_table.h"

namespace rb {
namespace {

// Element e of tensor t takes word e % 4 of Philox(key; e / 4, t): a pure function of (key, t, e). The 32 bits become a
// point strictly inside (-limit, limit), in double, rounded once.
void FillGlorot(const TensorSpec& spec, uint32_t tensor, uint64_t key, float* values) {
  const double limit = std::sqrt(6.0 / static_cast<double>(spec.fan_in + spec.fan_out));
  for (int64_t e = 0; e < spec.size - spec.biases; e += 4) {
    const PhiloxBlock block =
        Philox(key, static_cast<uint32_t>(e / 4), tensor, static_cast<uint32_t>((e / 4) >> 32), 0);
    const int64_t n = std::min<int64_t>(4, spec.size - spec.biases - e);
    for (int64_t i = 0; i < n; ++i) {
      const double unit = (static_cast<double>(block.word[i]) + 0.5) * (1.0 / 4294967296.0);
      values[e + i] = static_cast<float>((2.0 * unit - 1.0) * limit);
    }
  }
}

}  // namespace

void InitializeParameters(const ParameterTable& table, uint64_t seed, uint64_t model_id, float* values) {
  const uint64_t key = DeriveKey(seed, Purpose::kInit, model_id);
  std::fill(values, values + table.storage(), 0.0f);
  uint32_t tensor = 0;
  for (const TensorSpec& spec : table.tensors()) {
    float* out = values + spec.offset;
    if (spec.init == Init::kOnes) std::fill(out, out + spec.size, 1.0f);
    if (spec.init == Init::kGlorotUniform) FillGlorot(spec, tensor, key, out);
    ++tensor;
  }
}

}  // namespace rb
