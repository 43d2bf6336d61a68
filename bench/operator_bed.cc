#include "bench/operator_bed.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>

#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/upload.h"

namespace rb::bench {
namespace {

constexpr size_t kPoolValues = size_t{1} << 22;  // a prime stride through it keeps tensors different

}  // namespace

template <class A>
absl::StatusOr<std::unique_ptr<OperatorBed<A>>> OperatorBed<A>::Create(const Shape& shape, int models, int batch,
                                                                       Machine& machine) {
  std::unique_ptr<OperatorBed> bed(new OperatorBed(shape, models, batch, machine));
  bed->backend_ = dynamic_cast<Backend<float, A>*>(&machine);
  RB_CHECK(bed->backend_ != nullptr);
  RB_RETURN_IF_ERROR(bed->Prepare());
  return bed;
}

template <class A>
absl::Status OperatorBed<A>::Prepare() {
  PhiloxStream random(DeriveKey(3, Purpose::kSimulate, 0));
  pool_bits_.resize(kPoolValues);
  pool_.resize(kPoolValues);
  pool_bf16_.resize(kPoolValues);
  for (size_t i = 0; i < kPoolValues; ++i) {
    pool_bits_[i] = random.Next();
    pool_[i] = static_cast<float>(pool_bits_[i] >> 8) * 0x1p-23f - 1;
    pool_bf16_[i] = FloatToBf16(pool_[i]);
  }
  const int words = PackedWords(shape_.length);
  std::vector<uint32_t> bases(static_cast<size_t>(batch_) * words);
  std::vector<uint8_t> codes(static_cast<size_t>(shape_.length));
  for (int n = 0; n < batch_; ++n) {
    for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(4));
    PackBases(codes.data(), shape_.length, &bases[static_cast<size_t>(n) * words]);
  }
  const std::vector<float> tracks(static_cast<size_t>(batch_ * shape_.length * shape_.structure), 0.5f);
  std::vector<StepState> states(static_cast<size_t>(models_));
  std::vector<int32_t> live(states.size());
  std::iota(live.begin(), live.end(), 0);
  for (int m = 0; m < models_; ++m) {
    states[m].dropout_key = DeriveKey(3, Purpose::kDropout, m);
    states[m].step = 17;
    states[m].rows = batch_;
    states[m].adam_alpha = 1e-5f;
  }
  const std::vector<GradientSegment> segments = table_.Segments();
  num_segments_ = static_cast<int>(segments.size());
  RB_ASSIGN_OR_RETURN(bases_, UploadNew(machine_, *arena_, bases, "packed bases"));
  RB_ASSIGN_OR_RETURN(tracks_, UploadNew(machine_, *arena_, tracks, "structure tracks"));
  RB_ASSIGN_OR_RETURN(states_, UploadNew(machine_, *arena_, states, "step states"));
  RB_ASSIGN_OR_RETURN(live_, UploadNew(machine_, *arena_, live, "live models"));
  RB_ASSIGN_OR_RETURN(segments_, UploadNew(machine_, *arena_, segments, "gradient table"));
  return absl::OkStatus();
}

template <class A>
template <class V>
absl::Status OperatorBed<A>::Fill(PerModel<V>& tensor, int64_t count, const char* purpose) {
  RB_ASSIGN_OR_RETURN(tensor, arena_->template AllocatePerModel<V>(models_, count, purpose));
  const char* source = reinterpret_cast<const char*>(pool_.data());
  if constexpr (std::is_same_v<V, BFloat16>) source = reinterpret_cast<const char*>(pool_bf16_.data());
  if constexpr (std::is_same_v<V, uint32_t>) source = reinterpret_cast<const char*>(pool_bits_.data());
  char* to = reinterpret_cast<char*>(tensor.base);
  size_t left = static_cast<size_t>(tensor.stride) * static_cast<size_t>(models_) * sizeof(V);
  while (left > 0) {
    at_ = (at_ + 1000003 * 32) % (kPoolValues / 2);
    const size_t piece = std::min(left, kPoolValues / 2 * sizeof(V));
    RB_RETURN_IF_ERROR(machine_.Upload(to, source + at_ * sizeof(V), piece));
    to += piece, left -= piece;
  }
  return absl::OkStatus();
}

template <class A>
template <class V>
absl::StatusOr<PerModel<V>> OperatorBed<A>::Filled(int64_t count, const char* purpose) {
  PerModel<V> tensor;
  RB_RETURN_IF_ERROR(Fill(tensor, count, purpose));
  return tensor;
}

template <class A>
absl::Status OperatorBed<A>::Allocate(OperatorSet<A>& s) {
  const int64_t n = batch_, full = n * shape_.length * shape_.filters, flat = n * shape_.flat(),
                hidden = n * shape_.hidden;
  const int64_t conv = int64_t{shape_.width} * shape_.filters * shape_.filters;
  const int64_t embed = int64_t{shape_.first_width} * shape_.channels() * shape_.filters;
  const int64_t dense = int64_t{shape_.flat()} * shape_.hidden;
  const int64_t weights = std::max({conv, embed, dense, int64_t{shape_.hidden} + 1});
  for (auto* tensor : {&s.x, &s.y, &s.dz, &s.dx}) RB_RETURN_IF_ERROR(Fill(*tensor, full, "activations"));
  for (auto* mask : {&s.mask, &s.pool_mask}) RB_RETURN_IF_ERROR(Fill(*mask, full / kPanel, "masks"));
  RB_RETURN_IF_ERROR(Fill(s.pool_out_mask, flat / kPanel, "masks"));
  for (auto* tensor : {&s.p, &s.dp, &s.dp_scaled}) RB_RETURN_IF_ERROR(Fill(*tensor, flat, "pooled activations"));
  for (auto* tensor : {&s.z, &s.dh, &s.dh_out}) RB_RETURN_IF_ERROR(Fill(*tensor, hidden, "dense activations"));
  for (auto* tensor : {&s.out, &s.targets}) RB_RETURN_IF_ERROR(Fill(*tensor, n, "targets"));
  RB_RETURN_IF_ERROR(Fill(s.w, weights, "weights"));
  RB_RETURN_IF_ERROR(Fill(s.packed, weights, "packed weights"));
  const int64_t chunked = std::max(conv, std::max(embed, int64_t{shape_.hidden} + 32));
  RB_RETURN_IF_ERROR(Fill(s.dw, std::max(kBatchChunks * chunked, dense), "weight gradients"));
  for (auto* sums : {&s.moments, &s.sums})
    RB_RETURN_IF_ERROR(Fill(*sums, kBatchChunks * 2 * widest(), "batch-norm sums"));
  RB_RETURN_IF_ERROR(Fill(s.input_gradient, n * shape_.length * shape_.channels(), "input gradients"));
  for (auto* tensor : {&s.parameters, &s.m, &s.v}) RB_RETURN_IF_ERROR(Fill(*tensor, table_.storage(), "parameters"));
  RB_RETURN_IF_ERROR(Fill(s.gradients, table_.gradient_storage(), "gradients"));
  RB_ASSIGN_OR_RETURN(s.losses, arena_->template AllocatePerModel<double>(models_, kBatchChunks, "losses"));
  // mean ~ 0, rstd ~ 1, gamma ~ 1, beta ~ 0, sums ~ 0: activations keep their size however often an operator runs.
  RB_ASSIGN_OR_RETURN(s.statistics,
                      arena_->template AllocatePerModel<float>(models_, 6 * widest(), "batch-norm statistics"));
  std::vector<float> statistics(static_cast<size_t>(6 * widest()), 0.01f);
  std::fill_n(statistics.begin() + widest(), 2 * widest(), 1.0f);
  std::vector<int32_t> rows(static_cast<size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> squares(static_cast<size_t>(table_.storage()));  // Adam's v is never negative
  for (size_t i = 0; i < squares.size(); ++i) squares[i] = std::fabs(pool_[i % kPoolValues]);
  RB_ASSIGN_OR_RETURN(s.rows, arena_->template AllocatePerModel<int32_t>(models_, n, "rows"));
  for (int m = 0; m < models_; ++m) {
    RB_RETURN_IF_ERROR(UploadAll(machine_, s.rows[m], rows));
    RB_RETURN_IF_ERROR(UploadAll(machine_, s.statistics[m], statistics));
    RB_RETURN_IF_ERROR(UploadAll(machine_, s.v[m], squares));
  }
  return absl::OkStatus();
}

template <class A>
absl::StatusOr<const OperatorSet<A>*> OperatorBed<A>::set(int i) {
  while (static_cast<int>(sets_.size()) <= i) {
    auto next = std::make_unique<OperatorSet<A>>();
    RB_RETURN_IF_ERROR(Allocate(*next));
    sets_.push_back(std::move(next));
  }
  return sets_[i].get();
}

template <class A>
Prologue<float> OperatorBed<A>::prologue(const OperatorSet<A>& s) const {
  const int64_t w = widest();
  return {s.statistics,
          s.statistics.Offset(w),
          s.statistics.Offset(2 * w),
          s.statistics.Offset(3 * w),
          shape_.dropout_inner,
          1,
          s.mask};
}

template <class A>
NormGrad<float> OperatorBed<A>::norm(const OperatorSet<A>& s) const {
  const int64_t w = widest();
  return {s.statistics, s.statistics.Offset(w), s.statistics.Offset(2 * w), s.statistics.Offset(4 * w)};
}

template <class A>
EmbedConvGeometry OperatorBed<A>::embed() const {
  return {shape_.length, shape_.structure, shape_.filters, shape_.first_width, batch_, bases_, tracks_};
}

template <class A>
DilatedConvGeometry OperatorBed<A>::conv(int dilation) const {
  return {shape_.length, shape_.filters, shape_.filters, shape_.width, dilation, batch_};
}

template class OperatorBed<float>;
template class OperatorBed<BFloat16>;
template absl::StatusOr<PerModel<float>> OperatorBed<float>::Filled(int64_t, const char*);
template absl::StatusOr<PerModel<BFloat16>> OperatorBed<BFloat16>::Filled(int64_t, const char*);
template absl::StatusOr<PerModel<float>> OperatorBed<BFloat16>::Filled(int64_t, const char*);

}  // namespace rb::bench
