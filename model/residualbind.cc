#include "model/residualbind.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "engine/check.h"

namespace rb {
namespace {

// Dropout's layer numbers, part of the random counter: fixed for ever, or old seeds would draw other masks.
enum DropoutLayer : uint32_t {
  kDropFirst = 0,
  kDropInner = 1 /* + layer - 1 */,
  kDropBeforePool = 64,
  kDropAfterPool,
  kDropDense
};

}  // namespace

// Index: 0 layer 1, i residual convolution i, residual_layers + 1 the dense layer.
template <class T, class A>
struct ResidualBind<T, A>::Norm {
  PerModel<T> gamma, beta, running_mean, running_variance, mean, rstd, sums;
  NormGrad<T> grad() const { return {mean, rstd, gamma, sums}; }
};

template <class T, class A>
ResidualBind<T, A>::ResidualBind(const Shape& shape, int batch, const Input& input, Backend<T, A>& backend)
    : shape_(shape),
      table_(shape),
      segments_(table_.Segments()),
      batch_(batch),
      input_(input),
      backend_(backend),
      arena_(backend.NewArena()) {}

template <class T, class A>
absl::StatusOr<std::unique_ptr<ResidualBind<T, A>>> ResidualBind<T, A>::Create(const Shape& shape, int models,
                                                                               int batch, const Input& input,
                                                                               Backend<T, A>& backend) {
  RB_RETURN_IF_ERROR(ValidateShape(shape));
  if (models < 1 || batch < 1) return absl::InvalidArgumentError("models and batch must be at least 1");
  // Random counters hold element/8 of a batch in 32 bits.
  if (static_cast<int64_t>(batch) * shape.length * shape.filters >= int64_t{1} << 32) {
    return absl::InvalidArgumentError(absl::StrCat("batch ", batch, " is too large for length ", shape.length));
  }
  std::unique_ptr<ResidualBind> net(new ResidualBind(shape, batch, input, backend));
  RB_RETURN_IF_ERROR(net->Allocate(models));
  return net;
}

template <class T, class A>
absl::Status ResidualBind<T, A>::Allocate(int models) {
  const int64_t n = batch_, full = n * shape_.length * shape_.filters, flat = n * shape_.flat(),
                hidden = n * shape_.hidden;
  const int64_t widest = std::max(shape_.filters, shape_.hidden), norms = shape_.residual_layers + 2;
  norm_stride_ = 4 * widest;  // mean, rstd and two sums of one batch norm
  models_ = models;
  models_per_pass_ = std::min(models, backend_.ModelsPerPass(models));
  const auto own = [&](auto& tensor, int64_t count, const char* purpose) -> absl::Status {
    using Value = std::remove_pointer_t<decltype(tensor.base)>;
    RB_ASSIGN_OR_RETURN(tensor, arena_->template AllocatePerModel<Value>(models, count, purpose));
    return absl::OkStatus();
  };
  // Memory of one pass: with one model a pass every slot finds the same place (stride 0).
  const auto shared = [&](auto& tensor, int64_t count, const char* purpose) -> absl::Status {
    if (models_per_pass_ > 1) return own(tensor, count, purpose);
    using Value = std::remove_pointer_t<decltype(tensor.base)>;
    RB_ASSIGN_OR_RETURN(tensor, arena_->template AllocatePerModel<Value>(1, count, purpose));
    tensor.stride = 0;
    return absl::OkStatus();
  };
  RB_RETURN_IF_ERROR(own(parameters_, table_.storage(), "parameters"));
  RB_RETURN_IF_ERROR(own(m_, table_.storage(), "Adam's first moments"));
  RB_RETURN_IF_ERROR(own(v_, table_.storage(), "Adam's second moments"));
  RB_RETURN_IF_ERROR(own(rows_, n, "mini-batch rows"));
  RB_RETURN_IF_ERROR(own(targets_, n, "mini-batch targets"));
  RB_RETURN_IF_ERROR(own(out_, n, "predictions"));
  RB_RETURN_IF_ERROR(own(loss_, kBatchChunks, "losses"));
  RB_RETURN_IF_ERROR(shared(gradients_, table_.gradient_storage(), "gradients"));
  y_.resize(shape_.residual_layers + 1);
  mask_.resize(shape_.residual_layers);
  for (auto& y : y_) RB_RETURN_IF_ERROR(shared(y, full, "activations"));
  for (auto& mask : mask_) RB_RETURN_IF_ERROR(shared(mask, full / kPanel, "dropout masks"));
  RB_RETURN_IF_ERROR(shared(pool_in_mask_, full / kPanel, "dropout masks"));
  RB_RETURN_IF_ERROR(shared(pool_out_mask_, flat / kPanel, "dropout masks"));
  RB_RETURN_IF_ERROR(shared(dz_[0], full, "activation gradients"));
  dz_[1] = dz_[0];
  if (!backend_.ConvolvesInPlace(shape_.filters)) RB_RETURN_IF_ERROR(shared(dz_[1], full, "activation gradients"));
  RB_RETURN_IF_ERROR(shared(p_, flat, "pooled activations"));
  RB_RETURN_IF_ERROR(shared(dp_, flat, "pooled gradients"));
  RB_RETURN_IF_ERROR(shared(z_, hidden, "dense activations"));
  RB_RETURN_IF_ERROR(shared(dh_, hidden, "dense gradients"));
  RB_RETURN_IF_ERROR(shared(moments_, kBatchChunks * 2 * widest, "batch-norm moments"));
  RB_RETURN_IF_ERROR(shared(chunk_sums_, kBatchChunks * 2 * widest, "batch-norm sums"));
  RB_RETURN_IF_ERROR(shared(statistics_, norms * norm_stride_, "batch-norm statistics"));
  const int64_t conv = static_cast<int64_t>(shape_.width) * shape_.filters * shape_.filters;
  const int64_t dense = static_cast<int64_t>(shape_.flat()) * shape_.hidden;
  RB_RETURN_IF_ERROR(shared(packed_, std::max(conv, dense), "packed weights"));
  RB_ASSIGN_OR_RETURN(GradientSegment * segments, arena_->template Allocate<GradientSegment>(
                                                      static_cast<int64_t>(segments_.size()), "gradient table"));
  RB_RETURN_IF_ERROR(backend_.Upload(segments, segments_.data(), segments_.size() * sizeof(GradientSegment)));
  machine_segments_ = segments;
  return absl::OkStatus();
}

template <class T, class A>
PerModel<T> ResidualBind<T, A>::Parameter(const std::string& name) const {
  return parameters_.Offset(table_.at(name).offset);
}

template <class T, class A>
PerModel<T> ResidualBind<T, A>::Gradient(const std::string& name) const {
  return gradients_.Offset(table_.at(name).gradient_offset);
}

template <class T, class A>
typename ResidualBind<T, A>::Norm ResidualBind<T, A>::NormOf(int index) const {
  const std::string layer = LayerName(index);
  const int64_t widest = norm_stride_ / 4, at = index * norm_stride_;
  Norm norm = {Parameter(layer + ".norm.gamma"),    Parameter(layer + ".norm.beta"), Parameter(layer + ".norm.mean"),
               Parameter(layer + ".norm.variance"), statistics_.Offset(at),          statistics_.Offset(at + widest),
               statistics_.Offset(at + 2 * widest)};
  if (frozen_) norm.mean = norm.running_mean;
  return norm;
}

template <class T, class A>
std::string ResidualBind<T, A>::LayerName(int index) const {
  if (index == 0) return "embed";
  return index <= shape_.residual_layers ? absl::StrCat("conv", index) : "dense";
}

// How layer i's output (0: layer 1) enters the next convolution.
template <class T, class A>
Prologue<T> ResidualBind<T, A>::PrologueOf(int i) const {
  const Norm norm = NormOf(i);
  return {norm.mean,
          norm.rstd,
          norm.gamma,
          norm.beta,
          i == 0 ? shape_.dropout_first : shape_.dropout_inner,
          i == 0 ? kDropFirst : kDropInner + i - 1,
          mask_[i]};
}

template <class T, class A>
absl::Status ResidualBind<T, A>::FinalizeNorm(const Models& models, int index, int channels, int positions) {
  if (frozen_) return absl::OkStatus();
  const Norm norm = NormOf(index);
  return backend_.BatchNormFinalize({models, channels, positions, T(kBatchNormEpsilon), T(kBatchNormMomentum), moments_,
                                     norm.mean, norm.rstd, norm.running_mean, norm.running_variance});
}

template <class T, class A>
absl::Status ResidualBind<T, A>::FinalizeNormGrad(const Models& models, int index, int channels) {
  if (frozen_) return absl::OkStatus();
  const std::string layer = LayerName(index);
  return backend_.BatchNormGradFinalize({models, channels, chunk_sums_, NormOf(index).sums,
                                         Gradient(layer + ".norm.gamma"), Gradient(layer + ".norm.beta")});
}

template <class T, class A>
EmbedConvGeometry ResidualBind<T, A>::EmbedGeometry() const {
  return {shape_.length, shape_.structure, shape_.filters, shape_.first_width, batch_, input_.bases, input_.tracks};
}

template <class T, class A>
DilatedConvGeometry ResidualBind<T, A>::ConvGeometry(int layer) const {
  return {shape_.length, shape_.filters, shape_.filters, shape_.width, shape_.dilations[layer - 1], batch_};
}

template <class T, class A>
absl::Status ResidualBind<T, A>::Forward(const Models& models) {
  RB_CHECK(models.count <= models_per_pass_);
  const Shape& s = shape_;
  const int last = s.residual_layers, dense = last + 1;
  // "(1) convolutional layer", batch norm
  RB_RETURN_IF_ERROR(
      backend_.EmbedConvForward({models, EmbedGeometry(), rows_, Parameter("embed.weight"), y_[0], moments_}));
  RB_RETURN_IF_ERROR(FinalizeNorm(models, 0, s.filters, s.length));
  // "(2) dilated residual module": each convolution takes its input through batch norm, ReLU and dropout
  for (int i = 1; i <= last; ++i) {
    RB_RETURN_IF_ERROR(backend_.DilatedConvForward({models, ConvGeometry(i), y_[i - 1], PrologueOf(i - 1),
                                                    Parameter(LayerName(i) + ".weight"), packed_, y_[i], moments_}));
    RB_RETURN_IF_ERROR(FinalizeNorm(models, i, s.filters, s.length));
  }
  // "added to the inputs of the dilated residual module", ReLU, "(3) mean-pooling layer"
  const Norm end = NormOf(last);
  RB_RETURN_IF_ERROR(backend_.ResidualPoolForward({models, s.length, s.filters, s.pool, batch_, y_[last], end.mean,
                                                   end.rstd, end.gamma, end.beta, y_[0], PrologueOf(0),
                                                   s.dropout_before_pool, s.dropout_after_pool, kDropBeforePool,
                                                   kDropAfterPool, pool_in_mask_, pool_out_mask_, p_}));
  // "(4) fully-connected hidden layer", batch norm
  RB_RETURN_IF_ERROR(backend_.DenseForward(
      {models, s.flat(), s.hidden, batch_, p_, Parameter("dense.weight"), packed_, z_, moments_}));
  RB_RETURN_IF_ERROR(FinalizeNorm(models, dense, s.hidden, 1));
  // ReLU, dropout, "(5) fully-connected output layer", loss and its gradient
  const Norm top = NormOf(dense);
  return backend_.HeadForwardBackward({models,
                                       s.hidden,
                                       batch_,
                                       s.classification ? Loss::kCrossEntropy : Loss::kSquaredError,
                                       z_,
                                       top.mean,
                                       top.rstd,
                                       top.gamma,
                                       top.beta,
                                       s.dropout_dense,
                                       kDropDense,
                                       Parameter("head.weight"),
                                       targets_,
                                       out_,
                                       dh_,
                                       chunk_sums_,
                                       Gradient("head.weight"),
                                       table_.at("head.weight").gradient_stride(),
                                       loss_,
                                       output_gradient_});
}

template <class T, class A>
absl::Status ResidualBind<T, A>::Backward(const Models& models) {
  const Shape& s = shape_;
  const int last = s.residual_layers, dense = last + 1;
  RB_RETURN_IF_ERROR(FinalizeNormGrad(models, dense, s.hidden));
  RB_RETURN_IF_ERROR(backend_.DenseBackward({models, s.flat(), s.hidden, batch_, dh_, z_, NormOf(dense).grad(), p_,
                                             Parameter("dense.weight"), packed_, dp_, WeightGradient("dense.weight")}));
  const Norm end = NormOf(last);
  RB_RETURN_IF_ERROR(backend_.ResidualPoolBackward({models, s.length, s.filters, s.pool, batch_, y_[last], end.mean,
                                                    end.rstd, s.dropout_before_pool, s.dropout_after_pool,
                                                    pool_in_mask_, pool_out_mask_, dp_, chunk_sums_}));
  RB_RETURN_IF_ERROR(FinalizeNormGrad(models, last, s.filters));
  // The gradient behind the pooling enters twice: through the last convolution and through the skip connection.
  const PoolGrad<T> pooled = {dp_, pool_in_mask_, s.pool};
  for (int i = last; i >= 1; --i) {
    const std::string weight = LayerName(i) + ".weight";
    RB_RETURN_IF_ERROR(backend_.DilatedConvBackward(
        {models, ConvGeometry(i), dz_[i % 2], i == last ? pooled : PoolGrad<T>{}, y_[i], NormOf(i).grad(),
         Parameter(weight), packed_, y_[i - 1], PrologueOf(i - 1), i == 1 ? pooled : PoolGrad<T>{}, dz_[(i - 1) % 2],
         chunk_sums_, WeightGradient(weight), table_.at(weight).gradient_stride()}));
    RB_RETURN_IF_ERROR(FinalizeNormGrad(models, i - 1, s.filters));
  }
  return frozen_ ? absl::OkStatus() : backend_.EmbedConvBackward(EmbedBackward(models));
}

template <class T, class A>
EmbedConvBackwardArgs<T, A> ResidualBind<T, A>::EmbedBackward(const Models& models) const {
  const Norm first = NormOf(0);
  return {models,
          EmbedGeometry(),
          rows_,
          dz_[0],
          y_[0],
          first.mean,
          first.rstd,
          first.gamma,
          first.sums,
          Gradient("embed.weight"),
          table_.at("embed.weight").gradient_stride()};
}

template <class T, class A>
absl::Status ResidualBind<T, A>::InputGradient(const Models& models, PerModel<T> dx) {
  return backend_.EmbedConvInputGrad({EmbedBackward(models), Parameter("embed.weight"), dx});
}

// The operators stay those of training. Sums of gradients that are zero take the terms through a batch's statistics out
// of every operator's formula (kernels/embed_conv.h): dy = gamma*rstd*dz is left.
template <class T, class A>
absl::Status ResidualBind<T, A>::FreezeBatchNorm() {
  RB_CHECK(models_ == 1);
  std::vector<T> values(static_cast<size_t>(norm_stride_ / 4)), zeros(2 * values.size());
  for (int i = 0; i <= shape_.residual_layers + 1; ++i) {
    const Norm norm = NormOf(i);
    const size_t channels = static_cast<size_t>(i <= shape_.residual_layers ? shape_.filters : shape_.hidden);
    RB_RETURN_IF_ERROR(backend_.Download(values.data(), norm.running_variance[0], channels * sizeof(T)));
    for (T& v : values) v = static_cast<T>(1 / std::sqrt(static_cast<double>(v) + double{kBatchNormEpsilon}));
    RB_RETURN_IF_ERROR(backend_.Upload(norm.rstd[0], values.data(), channels * sizeof(T)));
    RB_RETURN_IF_ERROR(backend_.Upload(norm.sums[0], zeros.data(), zeros.size() * sizeof(T)));
  }
  moments_ = {};  // forward operators leave them out
  frozen_ = output_gradient_ = true;
  return absl::OkStatus();
}

template <class T, class A>
absl::Status ResidualBind<T, A>::Differentiate(const Models& models, PerModel<T> dx) {
  RB_CHECK(frozen_);
  RB_RETURN_IF_ERROR(Forward(models));
  RB_RETURN_IF_ERROR(Backward(models));
  return InputGradient(models, dx);
}

template <class T, class A>
absl::Status ResidualBind<T, A>::Update(const Models& models) {
  return backend_.Adam({models, machine_segments_, static_cast<int>(segments_.size()), T(0.9), T(0.999), T(1e-7),
                        gradients_, parameters_, m_, v_});
}

template <class T, class A>
absl::Status ResidualBind<T, A>::Step(const Models& models) {
  for (int first = 0; first < models.count; first += models_per_pass_) {
    const Models pass = {models.state, models.live + first, std::min(models_per_pass_, models.count - first)};
    RB_RETURN_IF_ERROR(Forward(pass));
    RB_RETURN_IF_ERROR(Backward(pass));
    RB_RETURN_IF_ERROR(Update(pass));
  }
  return absl::OkStatus();
}

template <class T, class A>
absl::Status ResidualBind<T, A>::Train(const Models& models, const BatchSource& source) {
  RB_RETURN_IF_ERROR(backend_.Gather({models, source.training_rows, source.num_rows, source.targets, rows_, targets_}));
  return Step(models);
}

absl::StatusOr<std::unique_ptr<Network<float>>> NewNetwork(const Shape& shape, int models, int batch,
                                                           const NetworkInput& input, Machine& machine) {
  if (auto* backend = dynamic_cast<Backend<float, BFloat16>*>(&machine)) {
    return ResidualBind<float, BFloat16>::Create(shape, models, batch, input, *backend);
  }
  auto* backend = dynamic_cast<Backend<float>*>(&machine);
  RB_CHECK(backend != nullptr);
  return ResidualBind<float>::Create(shape, models, batch, input, *backend);
}

template class ResidualBind<float>;
template class ResidualBind<float, BFloat16>;
template class ResidualBind<double>;

}  // namespace rb
