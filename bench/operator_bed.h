// Tensors for every operator of the network, for all models at once, filled with random values; several sets of them,
// so that a benchmark can take inputs that are not in a cache.
#ifndef RB_BENCH_OPERATOR_BED_H_
#define RB_BENCH_OPERATOR_BED_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/backend.h"
#include "engine/check.h"
#include "model/parameter_table.h"
#include "model/shape.h"

namespace rb::bench {

// One set. Names as in model/residualbind.h; w is wide enough for any layer's weights, dw for any layer's gradient.
template <class A>
struct OperatorSet {
  PerModel<A> x, y, dz, dx;
  PerModel<uint32_t> mask, pool_mask, pool_out_mask;
  PerModel<float> p, dp, dp_scaled, z, dh, dh_out, out, targets;  // dp_scaled: changed in place by its operator
  PerModel<int32_t> rows;
  PerModel<float> w, packed, dw, moments, sums, statistics;
  PerModel<double> losses;
  PerModel<float> parameters, m, v, gradients;
  PerModel<float> input_gradient;
};

template <class A>
class OperatorBed {
 public:
  static absl::StatusOr<std::unique_ptr<OperatorBed>> Create(const Shape& shape, int models, int batch,
                                                             Machine& machine);

  Backend<float, A>& backend() { return *backend_; }
  const Shape& shape() const { return shape_; }
  const ParameterTable& table() const { return table_; }
  int batch() const { return batch_; }
  Models models(int first, int count) const { return {states_, live_ + first, count}; }
  const uint32_t* bases() const { return bases_; }
  const float* tracks() const { return tracks_; }
  // Set number i; allocated and filled when it is asked for the first time.
  absl::StatusOr<const OperatorSet<A>*> set(int i);
  // Random values for a peer's tensor: uniform in [-1, 1).
  template <class V>
  absl::StatusOr<PerModel<V>> Filled(int64_t count, const char* purpose);

  // Arguments as the network makes them.
  Prologue<float> prologue(const OperatorSet<A>& s) const;
  NormGrad<float> norm(const OperatorSet<A>& s) const;
  PoolGrad<float> pool(const OperatorSet<A>& s) const { return {s.dp, s.pool_mask, shape_.pool}; }
  EmbedConvGeometry embed() const;
  DilatedConvGeometry conv(int dilation) const;
  const GradientSegment* segments() const { return segments_; }
  int num_segments() const { return num_segments_; }

  // Bytes of one model's tensors, for counting traffic.
  static double TensorBytes(const Shape& s, int batch) { return double(sizeof(A)) * batch * s.length * s.filters; }
  static double MaskBytes(const Shape& s, int batch) { return batch / 8.0 * s.length * s.filters; }

 private:
  OperatorBed(const Shape& shape, int models, int batch, Machine& machine)
      : shape_(shape), table_(shape), models_(models), batch_(batch), machine_(machine), arena_(machine.NewArena()) {}
  absl::Status Prepare();
  absl::Status Allocate(OperatorSet<A>& set);
  template <class V>
  absl::Status Fill(PerModel<V>& tensor, int64_t count, const char* purpose);
  int64_t widest() const { return std::max(shape_.filters, shape_.hidden); }

  Shape shape_;
  ParameterTable table_;
  int models_, batch_;
  Machine& machine_;
  std::unique_ptr<Arena> arena_;
  Backend<float, A>* backend_ = nullptr;
  std::vector<uint32_t> pool_bits_;  // random bits that fills are cut from,
  std::vector<float> pool_;          // as values in [-1, 1)
  std::vector<uint16_t> pool_bf16_;  // and those rounded
  size_t at_ = 0;
  uint32_t* bases_ = nullptr;
  float* tracks_ = nullptr;
  StepState* states_ = nullptr;
  int32_t* live_ = nullptr;
  GradientSegment* segments_ = nullptr;
  int num_segments_ = 0;
  std::vector<std::unique_ptr<OperatorSet<A>>> sets_;
};

extern template class OperatorBed<float>;
extern template class OperatorBed<BFloat16>;

}  // namespace rb::bench

#endif  // RB_BENCH_OPERATOR_BED_H_
