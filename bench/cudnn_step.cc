#include "bench/cudnn_step.h"

#include <vector>

#include "bench/cublas_peer.h"
#include "bench/cudnn_convolution.h"
#include "engine/check.h"
#include "model/flops.h"

namespace rb::bench {
namespace {

using ActivationDescriptor =
    Described<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor>;
using DropoutDescriptor =
    Described<cudnnDropoutDescriptor_t, cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor>;
using PoolingDescriptor =
    Described<cudnnPoolingDescriptor_t, cudnnCreatePoolingDescriptor, cudnnDestroyPoolingDescriptor>;

constexpr cudnnBatchNormMode_t kNormMode = CUDNN_BATCHNORM_SPATIAL;
const float kOne = 1, kZero = 0;

// Batch norm, ReLU and dropout on tensors of one size: (batch, channels, 1, length).
class Elementwise {
 public:
  absl::Status Prepare(cudnnHandle_t handle, const CudnnNumbers& numbers, cudnnTensorFormat_t format, int batch,
                       int channels, int length, float dropout) {
    handle_ = handle;
    channels_ = channels;
    bytes_ = numbers.bytes * batch * channels * length;
    RB_RETURN_IF_ERROR(CudnnStatus(
        cudnnSetTensor4dDescriptor(tensor_, format, numbers.type, batch, channels, 1, length), "describing a tensor"));
    RB_RETURN_IF_ERROR(CudnnStatus(cudnnDeriveBNTensorDescriptor(norm_, tensor_, kNormMode), "describing batch norm"));
    RB_RETURN_IF_ERROR(CudnnStatus(
        cudnnSetActivationDescriptor(relu_, CUDNN_ACTIVATION_RELU, CUDNN_NOT_PROPAGATE_NAN, 0), "describing ReLU"));
    size_t states = 0;
    RB_RETURN_IF_ERROR(CudnnStatus(cudnnDropoutGetStatesSize(handle, &states), "asking for dropout's state"));
    RB_RETURN_IF_ERROR(states_.Reserve(states));
    RB_RETURN_IF_ERROR(CudnnStatus(cudnnSetDropoutDescriptor(dropout_, handle, dropout, states_.data(), states, 1),
                                   "describing dropout"));
    return CudnnStatus(cudnnDropoutGetReserveSpaceSize(tensor_, &reserve_), "asking for dropout's memory");
  }
  cudnnTensorDescriptor_t tensor() const { return tensor_; }
  size_t bytes() const { return bytes_; }
  size_t reserve() const { return reserve_; }
  // Scale, bias, running mean and variance, saved mean and 1/sd, gradients of scale and bias.
  size_t parameters() const { return sizeof(float) * 8 * static_cast<size_t>(channels_); }

  absl::Status Norm(const DeviceMemory& p, void* x, void* y) const {
    return CudnnStatus(
        cudnnBatchNormalizationForwardTraining(handle_, kNormMode, &kOne, &kZero, tensor_, x, tensor_, y, norm_,
                                               At(p, 0), At(p, 1), 0.01, At(p, 2), At(p, 3), 1e-3, At(p, 4), At(p, 5)),
        "batch norm");
  }
  absl::Status NormBackward(const DeviceMemory& p, void* x, void* dy, void* dx) const {
    return CudnnStatus(
        cudnnBatchNormalizationBackward(handle_, kNormMode, &kOne, &kZero, &kOne, &kZero, tensor_, x, tensor_, dy,
                                        tensor_, dx, norm_, At(p, 0), At(p, 6), At(p, 7), 1e-3, At(p, 4), At(p, 5)),
        "batch norm, backward");
  }
  absl::Status Relu(void* x) const {
    return CudnnStatus(cudnnActivationForward(handle_, relu_, &kOne, tensor_, x, &kZero, tensor_, x), "ReLU");
  }
  absl::Status ReluBackward(void* y, void* dy, void* dx) const {
    return CudnnStatus(
        cudnnActivationBackward(handle_, relu_, &kOne, tensor_, y, tensor_, dy, tensor_, y, &kZero, tensor_, dx),
        "ReLU, backward");
  }
  absl::Status Dropout(void* x, void* y, const DeviceMemory& kept) const {
    return CudnnStatus(cudnnDropoutForward(handle_, dropout_, tensor_, x, tensor_, y, kept.data(), reserve_),
                       "dropout");
  }
  absl::Status DropoutBackward(void* dy, void* dx, const DeviceMemory& kept) const {
    return CudnnStatus(cudnnDropoutBackward(handle_, dropout_, tensor_, dy, tensor_, dx, kept.data(), reserve_),
                       "dropout, backward");
  }
  absl::Status Add(void* from, void* to) const {
    return CudnnStatus(cudnnAddTensor(handle_, &kOne, tensor_, from, &kOne, tensor_, to), "addition");
  }

 private:
  float* At(const DeviceMemory& parameters, int i) const {
    return static_cast<float*>(parameters.data()) + i * channels_;
  }

  cudnnHandle_t handle_ = nullptr;
  int channels_ = 0;
  size_t bytes_ = 0, reserve_ = 0;
  TensorDescriptor tensor_, norm_;
  ActivationDescriptor relu_;
  DropoutDescriptor dropout_;
  DeviceMemory states_;
};

// A convolution and what follows it: raw = conv(input), act = relu(norm(raw)), out = dropout(act).
struct Layer {
  std::unique_ptr<CudnnConvolution> convolution;
  DeviceMemory weights, gradient, norm, raw, act, out, kept;
};

class UnfusedStep : public Peer {
 public:
  static absl::StatusOr<UnfusedStep*> Of(Workbench& bench) {
    return bench.peer<UnfusedStep>([&bench] { return Create(bench); });
  }
  absl::Status Forward();
  absl::Status DenseForward();
  absl::Status DenseBackward();
  absl::Status Backward();
  const std::string& layout() const { return layout_; }

 private:
  static absl::StatusOr<std::unique_ptr<UnfusedStep>> Create(Workbench& bench);
  absl::Status Allocate(Workbench& bench, cudnnTensorFormat_t format);
  // Milliseconds of all convolutions' passes.
  absl::StatusOr<float> Find(Workbench& bench, Arrangement arrangement);
  absl::Status Convolve(size_t i, Pass pass, void* x, void* y) {
    Layer& l = *layers_[i];
    void* const w = pass == Pass::kBackwardFilter ? l.gradient.data() : l.weights.data();
    return l.convolution->Run(pass, {x, w, y}, workspace_);
  }
  void* Input(size_t i) { return i == 0 ? onehot_.data() : layers_[i - 1]->out.data(); }

  CudnnPeer* cudnn_ = nullptr;
  CudnnNumbers numbers_{Precision::kFp32};
  std::string layout_;
  std::vector<std::unique_ptr<Layer>> layers_;
  Elementwise wide_, dense_;
  TensorDescriptor pooled_shape_;
  PoolingDescriptor pooling_;
  DeviceMemory onehot_, d_, e_, skip_, pooled_, z_, h_, g_, dense_norm_, dense_kept_, workspace_;
};

absl::StatusOr<std::unique_ptr<UnfusedStep>> UnfusedStep::Create(Workbench& bench) {
  auto step = std::make_unique<UnfusedStep>();
  step->numbers_ = CudnnNumbers(bench.precision());
  RB_ASSIGN_OR_RETURN(step->cudnn_, CudnnPeer::Of(bench));
  RB_RETURN_IF_ERROR(step->Allocate(bench, CUDNN_TENSOR_NHWC));  // sizes are the same in both
  const absl::StatusOr<float> nchw = step->Find(bench, Arrangement::kGroupsNchw);
  const absl::StatusOr<float> nhwc = step->Find(bench, Arrangement::kGroupsNhwc);
  if (!nchw.ok() && !nhwc.ok()) return nhwc.status();
  const bool last = nhwc.ok() && (!nchw.ok() || *nhwc < *nchw);
  step->layout_ = last ? "grouped NHWC" : "grouped NCHW";
  if (!last) {
    RB_RETURN_IF_ERROR(step->Allocate(bench, CUDNN_TENSOR_NCHW));
    RB_RETURN_IF_ERROR(step->Find(bench, Arrangement::kGroupsNchw).status());
  }
  return step;
}

absl::Status UnfusedStep::Allocate(Workbench& bench, cudnnTensorFormat_t format) {
  const DeviceOptions& o = bench.options();
  const Shape& s = o.shape;
  const int models = bench.models();
  const cudnnHandle_t handle = cudnn_->handle();
  RB_RETURN_IF_ERROR(wide_.Prepare(handle, numbers_, format, o.batch, models * s.filters, s.length, s.dropout_inner));
  RB_RETURN_IF_ERROR(dense_.Prepare(handle, numbers_, format, o.batch, models * s.hidden, 1, s.dropout_dense));
  RB_RETURN_IF_ERROR(CudnnStatus(
      cudnnSetTensor4dDescriptor(pooled_shape_, format, numbers_.type, o.batch, models * s.filters, 1, s.pools()),
      "describing pooled values"));
  RB_RETURN_IF_ERROR(CudnnStatus(cudnnSetPooling2dDescriptor(pooling_, CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING,
                                                             CUDNN_NOT_PROPAGATE_NAN, 1, s.pool, 0, 0, 1, s.pool),
                                 "describing pooling"));
  layers_.resize(static_cast<size_t>(s.residual_layers) + 1);
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i] == nullptr) layers_[i] = std::make_unique<Layer>();
    Layer& l = *layers_[i];
    const size_t weights =
        numbers_.bytes * models * s.filters * (i == 0 ? s.first_width * s.channels() : s.width * s.filters);
    for (DeviceMemory* memory : {&l.weights, &l.gradient}) RB_RETURN_IF_ERROR(memory->Reserve(weights));
    for (DeviceMemory* memory : {&l.raw, &l.act, &l.out}) RB_RETURN_IF_ERROR(memory->Reserve(wide_.bytes()));
    RB_RETURN_IF_ERROR(l.norm.Reserve(wide_.parameters()));
    RB_RETURN_IF_ERROR(l.kept.Reserve(wide_.reserve()));
  }
  RB_RETURN_IF_ERROR(onehot_.Reserve(numbers_.bytes * models * o.batch * s.length * s.channels()));
  for (DeviceMemory* memory : {&d_, &e_, &skip_, &pooled_}) RB_RETURN_IF_ERROR(memory->Reserve(wide_.bytes()));
  for (DeviceMemory* memory : {&z_, &h_, &g_}) RB_RETURN_IF_ERROR(memory->Reserve(dense_.bytes()));
  RB_RETURN_IF_ERROR(dense_norm_.Reserve(dense_.parameters()));
  RB_RETURN_IF_ERROR(dense_kept_.Reserve(dense_.reserve()));
  return workspace_.Reserve(kCudnnWorkspace);
}

absl::StatusOr<float> UnfusedStep::Find(Workbench& bench, Arrangement arrangement) {
  const DeviceOptions& o = bench.options();
  const Shape& s = o.shape;
  float sum = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& l = *layers_[i];
    const bool first = i == 0;
    const CudnnConvolution::Layer layer = {bench.models(),
                                           o.batch,
                                           s.length,
                                           first ? s.channels() : s.filters,
                                           s.filters,
                                           first ? s.first_width : s.width,
                                           first ? 1 : s.dilations[i - 1]};
    RB_ASSIGN_OR_RETURN(l.convolution, CudnnConvolution::Create(cudnn_->handle(), numbers_, layer, arrangement));
    for (const Pass pass : {Pass::kForward, Pass::kBackwardData, Pass::kBackwardFilter}) {
      if (first && pass == Pass::kBackwardData) continue;
      RB_ASSIGN_OR_RETURN(const float ms,
                          l.convolution->Find(pass, {Input(i), l.gradient.data(), l.raw.data()}, workspace_));
      sum += ms;
    }
  }
  return sum;
}

absl::Status UnfusedStep::Forward() {
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& l = *layers_[i];
    RB_RETURN_IF_ERROR(Convolve(i, Pass::kForward, Input(i), l.raw.data()));
    RB_RETURN_IF_ERROR(wide_.Norm(l.norm, l.raw.data(), l.act.data()));
    if (i + 1 == layers_.size()) RB_RETURN_IF_ERROR(wide_.Add(layers_[0]->out.data(), l.act.data()));
    RB_RETURN_IF_ERROR(wide_.Relu(l.act.data()));
    RB_RETURN_IF_ERROR(wide_.Dropout(l.act.data(), l.out.data(), l.kept));
  }
  return CudnnStatus(cudnnPoolingForward(cudnn_->handle(), pooling_, &kOne, wide_.tensor(), layers_.back()->out.data(),
                                         &kZero, pooled_shape_, pooled_.data()),
                     "pooling");
}

absl::Status UnfusedStep::DenseForward() {
  RB_RETURN_IF_ERROR(dense_.Norm(dense_norm_, z_.data(), h_.data()));
  RB_RETURN_IF_ERROR(dense_.Relu(h_.data()));
  return dense_.Dropout(h_.data(), g_.data(), dense_kept_);
}

absl::Status UnfusedStep::DenseBackward() {
  RB_RETURN_IF_ERROR(dense_.DropoutBackward(z_.data(), g_.data(), dense_kept_));
  RB_RETURN_IF_ERROR(dense_.ReluBackward(h_.data(), g_.data(), g_.data()));
  return dense_.NormBackward(dense_norm_, z_.data(), g_.data(), h_.data());
}

absl::Status UnfusedStep::Backward() {
  Layer& last = *layers_.back();
  void *const d = d_.data(), *const e = e_.data();
  RB_RETURN_IF_ERROR(
      CudnnStatus(cudnnPoolingBackward(cudnn_->handle(), pooling_, &kOne, pooled_shape_, pooled_.data(), pooled_shape_,
                                       pooled_.data(), wide_.tensor(), last.out.data(), &kZero, wide_.tensor(), d),
                  "pooling, backward"));
  RB_RETURN_IF_ERROR(wide_.DropoutBackward(d, e, last.kept));
  RB_RETURN_IF_ERROR(wide_.ReluBackward(last.act.data(), e, skip_.data()));
  for (size_t i = layers_.size() - 1; i > 0; --i) {
    Layer &l = *layers_[i], &below = *layers_[i - 1];
    void* const dz = i + 1 == layers_.size() ? skip_.data() : d;
    RB_RETURN_IF_ERROR(wide_.NormBackward(l.norm, l.raw.data(), dz, e));
    RB_RETURN_IF_ERROR(Convolve(i, Pass::kBackwardFilter, Input(i), e));
    RB_RETURN_IF_ERROR(Convolve(i, Pass::kBackwardData, d, e));
    if (i == 1) RB_RETURN_IF_ERROR(wide_.Add(skip_.data(), d));
    RB_RETURN_IF_ERROR(wide_.DropoutBackward(d, e, below.kept));
    RB_RETURN_IF_ERROR(wide_.ReluBackward(below.act.data(), e, d));
  }
  RB_RETURN_IF_ERROR(wide_.NormBackward(layers_[0]->norm, layers_[0]->raw.data(), d, e));
  return Convolve(0, Pass::kBackwardFilter, onehot_.data(), e);
}

template <class A>
absl::Status Queue(Workbench& bench, int set) {
  RB_ASSIGN_OR_RETURN(UnfusedStep* const step, UnfusedStep::Of(bench));
  RB_ASSIGN_OR_RETURN(CublasPeer<A>* const cublas, CublasPeer<A>::Of(bench));
  RB_ASSIGN_OR_RETURN(OperatorBed<A>* const bed, bench.operators<A>());
  RB_ASSIGN_OR_RETURN(const OperatorSet<A>* const s, bed->set(set));
  RB_RETURN_IF_ERROR(step->Forward());
  RB_RETURN_IF_ERROR(cublas->Run(bench, CublasPeer<A>::Product::kDenseForward, set));
  RB_RETURN_IF_ERROR(step->DenseForward());
  RB_RETURN_IF_ERROR(step->DenseBackward());
  RB_RETURN_IF_ERROR(cublas->Run(bench, CublasPeer<A>::Product::kDenseBackward, set));
  RB_RETURN_IF_ERROR(step->Backward());
  return bed->backend().Adam({bed->models(0, bench.models()), bed->segments(), bed->num_segments(), 0.9f, 0.999f, 1e-7f,
                              s->gradients, s->parameters, s->m, s->v});
}

}  // namespace

DeviceRow UnfusedStepRow(const DeviceOptions& options, Precision precision, int models) {
  DeviceRow row;
  row.name = absl::StrCat("TrainStep/", PrecisionName(precision), "/M", models, "/cudnn");
  row.precision = precision;
  row.models = models;
  row.sequences = static_cast<double>(options.batch) * models;
  row.flops = row.sequences * TrainingFlops(options.shape);
  row.queue = precision == Precision::kBf16 ? Queue<BFloat16> : Queue<float>;
  row.note = [](Workbench& bench) -> std::string {
    const auto step = UnfusedStep::Of(bench);
    return step.ok() ? (*step)->layout() : "";
  };
  return row;
}

}  // namespace rb::bench
