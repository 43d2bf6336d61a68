// One table of all tensors of a model. Parameters, gradients, Adam's moments, checkpoint, model file and gradient test
// all iterate it; a layer exists by having rows here.
#ifndef RB_MODEL_PARAMETER_TABLE_H_
#define RB_MODEL_PARAMETER_TABLE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/adam.h"
#include "model/shape.h"

namespace rb {

enum class Init { kZeros, kOnes, kGlorotUniform };

struct TensorSpec {
  std::string name;  // "conv1.weight", "conv1.norm.gamma", ...
  std::vector<int64_t> shape;
  Init init = Init::kZeros;
  int64_t fan_in = 0, fan_out = 0;  // Glorot: K*Cin, K*Cout
  int64_t biases = 0;               // trailing elements that start at zero (head.weight carries its bias)
  bool trained = true;              // false: batch norm's running statistics
  int64_t size = 0;                 // product of shape
  int64_t offset = 0;               // in the model's contiguous range of values
  int64_t gradient_offset = 0;      // trained tensors: in the gradient buffer
  int gradient_chunks = 1;          // partial sums kept beside each other, gradient_stride() apart
  int64_t gradient_stride() const { return (size + 31) / 32 * 32; }
};

class ParameterTable {
 public:
  explicit ParameterTable(const Shape& shape);
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  const TensorSpec& at(std::string_view name) const;  // programming error when absent
  int64_t storage() const { return storage_; }        // values one model takes, alignment included
  int64_t gradient_storage() const { return gradient_storage_; }
  int64_t count() const;  // parameters, as the paper counts them (running statistics included)
  int64_t trained_count() const;
  std::vector<GradientSegment> Segments() const;  // for Adam

 private:
  void Add(TensorSpec spec);
  void AddNorm(const std::string& layer, int channels);
  std::vector<TensorSpec> tensors_;
  int64_t storage_ = 0, gradient_storage_ = 0;
};

// Keras' initialisation: Glorot uniform, limit sqrt(6 / (fan_in + fan_out)), from Philox under DeriveKey(seed, kInit,
// model_id); the same values on every machine. values[table.storage()].
void InitializeParameters(const ParameterTable& table, uint64_t seed, uint64_t model_id, float* values);

}  // namespace rb

#endif  // RB_MODEL_PARAMETER_TABLE_H_
