#include "bench/cudnn_convolution.h"

#include <algorithm>

#include "engine/check.h"

namespace rb::bench {
namespace {

constexpr int kMostAlgorithms = 16;
constexpr Arrangement kArrangements[] = {Arrangement::kGroupsNchw, Arrangement::kGroupsNhwc, Arrangement::kLoopNhwc};

void* At(void* base, int64_t bytes) { return static_cast<char*>(base) + bytes; }

}  // namespace

CudnnNumbers::CudnnNumbers(Precision precision) {
  if (precision == Precision::kTf32) math = CUDNN_TENSOR_OP_MATH;
  if (precision == Precision::kBf16) type = CUDNN_DATA_BFLOAT16, math = CUDNN_TENSOR_OP_MATH, bytes = 2;
}

absl::StatusOr<std::unique_ptr<CudnnConvolution>> CudnnConvolution::Create(cudnnHandle_t handle,
                                                                           const CudnnNumbers& numbers,
                                                                           const Layer& layer,
                                                                           Arrangement arrangement) {
  std::unique_ptr<CudnnConvolution> made(new CudnnConvolution(handle, numbers, layer, arrangement));
  RB_RETURN_IF_ERROR(made->Prepare());
  return made;
}

absl::Status CudnnConvolution::Prepare() {
  const Layer& l = layer_;
  const int groups = arrangement_ == Arrangement::kLoopNhwc ? 1 : l.models;
  const cudnnTensorFormat_t format = arrangement_ == Arrangement::kGroupsNchw ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC;
  RB_RETURN_IF_ERROR(CudnnStatus(
      cudnnSetTensor4dDescriptor(x_, format, numbers_.type, l.batch, groups * l.in, 1, l.length), "describing x"));
  RB_RETURN_IF_ERROR(CudnnStatus(
      cudnnSetTensor4dDescriptor(y_, format, numbers_.type, l.batch, groups * l.out, 1, l.length), "describing y"));
  RB_RETURN_IF_ERROR(CudnnStatus(
      cudnnSetFilter4dDescriptor(w_, numbers_.type, format, groups * l.out, l.in, 1, l.width), "describing w"));
  const int reach = (l.width - 1) / 2 * l.dilation;
  for (const ConvolutionDescriptor& convolution : convolution_) {
    RB_RETURN_IF_ERROR(CudnnStatus(cudnnSetConvolution2dDescriptor(convolution, 0, reach, 1, 1, 1, l.dilation,
                                                                   CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                                   "describing a convolution"));
    RB_RETURN_IF_ERROR(CudnnStatus(cudnnSetConvolutionGroupCount(convolution, groups), "setting groups"));
    RB_RETURN_IF_ERROR(CudnnStatus(cudnnSetConvolutionMathType(convolution, numbers_.math), "setting the arithmetic"));
  }
  return absl::OkStatus();
}

// The fastest result that fits the workspace and, in fp32, is fp32.
template <class Perf>
absl::StatusOr<float> CudnnConvolution::Choose(Pass pass, const std::vector<Perf>& found, size_t workspace) {
  for (const Perf& perf : found) {
    if (perf.status != CUDNN_STATUS_SUCCESS || perf.memory > workspace) continue;
    if (numbers_.math == CUDNN_FMA_MATH && perf.mathType != CUDNN_FMA_MATH) continue;
    const int i = static_cast<int>(pass);
    algorithm_[i] = static_cast<int>(perf.algo);
    RB_RETURN_IF_ERROR(
        CudnnStatus(cudnnSetConvolutionMathType(convolution_[i], perf.mathType), "setting the arithmetic"));
    return perf.time * calls();
  }
  return absl::NotFoundError("cuDNN has no algorithm for this convolution");
}

absl::StatusOr<float> CudnnConvolution::Find(Pass pass, const Operands& o, const DeviceMemory& workspace) {
  int count = 0;
  const size_t bytes = workspace.bytes();
  const auto& convolution = convolution_[static_cast<int>(pass)];
  const auto search = [&](auto perf, const auto& call) -> absl::StatusOr<float> {
    std::vector<decltype(perf)> found(kMostAlgorithms);
    RB_RETURN_IF_ERROR(CudnnStatus(call(found.data(), &count), "looking for the fastest algorithm"));
    found.resize(static_cast<size_t>(count));
    return Choose(pass, found, bytes);
  };
  switch (pass) {
    case Pass::kForward:
      return search(cudnnConvolutionFwdAlgoPerf_t{}, [&](auto* found, int* n) {
        return cudnnFindConvolutionForwardAlgorithmEx(handle_, x_, o.x, w_, o.w, convolution, y_, o.y, kMostAlgorithms,
                                                      n, found, workspace.data(), bytes);
      });
    case Pass::kBackwardData:
      return search(cudnnConvolutionBwdDataAlgoPerf_t{}, [&](auto* found, int* n) {
        return cudnnFindConvolutionBackwardDataAlgorithmEx(handle_, w_, o.w, y_, o.y, convolution, x_, o.x,
                                                           kMostAlgorithms, n, found, workspace.data(), bytes);
      });
    case Pass::kBackwardFilter:
      return search(cudnnConvolutionBwdFilterAlgoPerf_t{}, [&](auto* found, int* n) {
        return cudnnFindConvolutionBackwardFilterAlgorithmEx(handle_, x_, o.x, y_, o.y, convolution, w_, o.w,
                                                             kMostAlgorithms, n, found, workspace.data(), bytes);
      });
  }
  return absl::InternalError("no such pass");
}

absl::Status CudnnConvolution::Run(Pass pass, const Operands& operands, const DeviceMemory& workspace) const {
  const float one = 1, zero = 0;
  const int i = static_cast<int>(pass);
  const int64_t size = static_cast<int64_t>(numbers_.bytes);
  for (int call = 0; call < calls(); ++call) {
    // Model after model when each has a call of its own.
    const Operands o = {At(operands.x, call * layer_.inputs() / layer_.models * size),
                        At(operands.w, call * layer_.weights() / layer_.models * size),
                        At(operands.y, call * layer_.outputs() / layer_.models * size)};
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    switch (pass) {
      case Pass::kForward:
        status = cudnnConvolutionForward(handle_, &one, x_, o.x, w_, o.w, convolution_[i],
                                         static_cast<cudnnConvolutionFwdAlgo_t>(algorithm_[i]), workspace.data(),
                                         workspace.bytes(), &zero, y_, o.y);
        break;
      case Pass::kBackwardData:
        status = cudnnConvolutionBackwardData(handle_, &one, w_, o.w, y_, o.y, convolution_[i],
                                              static_cast<cudnnConvolutionBwdDataAlgo_t>(algorithm_[i]),
                                              workspace.data(), workspace.bytes(), &zero, x_, o.x);
        break;
      case Pass::kBackwardFilter:
        status = cudnnConvolutionBackwardFilter(handle_, &one, x_, o.x, y_, o.y, convolution_[i],
                                                static_cast<cudnnConvolutionBwdFilterAlgo_t>(algorithm_[i]),
                                                workspace.data(), workspace.bytes(), &zero, w_, o.w);
        break;
    }
    RB_RETURN_IF_ERROR(CudnnStatus(status, "convolution"));
  }
  return absl::OkStatus();
}

std::string CudnnConvolution::Describe(Pass pass) const {
  const char* const names[] = {"grouped NCHW", "grouped NHWC", "a call a model, NHWC"};
  return absl::StrCat(names[static_cast<int>(arrangement_)], ", algorithm ", algorithm_[static_cast<int>(pass)]);
}

absl::StatusOr<CudnnPeer*> CudnnPeer::Of(Workbench& bench) {
  return bench.peer<CudnnPeer>([&bench] { return Create(bench); });
}

absl::StatusOr<std::unique_ptr<CudnnPeer>> CudnnPeer::Create(Workbench& bench) {
  std::unique_ptr<CudnnPeer> peer(new CudnnPeer(bench.precision()));
  RB_RETURN_IF_ERROR(CudnnStatus(cudnnCreate(&peer->handle_), "creating a handle"));
  RB_RETURN_IF_ERROR(CudnnStatus(cudnnSetStream(peer->handle_, static_cast<cudaStream_t>(bench.machine().stream())),
                                 "setting the stream"));
  const DeviceOptions& o = bench.options();
  const Shape& s = o.shape;
  const auto models = static_cast<size_t>(bench.models());
  const auto aligned = [](size_t bytes) { return (bytes + 255) / 256 * 256; };
  const size_t weights = std::max(s.first_width * s.channels(), s.width * s.filters);
  peer->tensor_bytes_ = aligned(models * o.batch * s.length * s.filters * peer->numbers_.bytes);
  peer->weight_bytes_ = aligned(models * weights * s.filters * peer->numbers_.bytes);
  RB_RETURN_IF_ERROR(peer->Set(0).status());
  RB_RETURN_IF_ERROR(peer->workspace_.Reserve(kCudnnWorkspace));
  return peer;
}

CudnnPeer::~CudnnPeer() {
  best_.clear();
  if (handle_ != nullptr) cudnnDestroy(handle_);
}

absl::StatusOr<CudnnConvolution::Operands> CudnnPeer::Set(int set) {
  const auto i = static_cast<size_t>(set);
  RB_RETURN_IF_ERROR(x_.Reserve((i + 1) * tensor_bytes_));
  RB_RETURN_IF_ERROR(y_.Reserve((i + 1) * tensor_bytes_));
  RB_RETURN_IF_ERROR(w_.Reserve((i + 1) * weight_bytes_));
  return CudnnConvolution::Operands{At(x_.data(), i * tensor_bytes_), At(w_.data(), i * weight_bytes_),
                                    At(y_.data(), i * tensor_bytes_)};
}

absl::StatusOr<const CudnnPeer::Best*> CudnnPeer::Fastest(const CudnnConvolution::Layer& layer, Pass pass) {
  const Key key = {layer.in, layer.width, layer.dilation, pass};
  if (const auto known = best_.find(key); known != best_.end()) return &known->second;
  Best best;
  absl::Status last = absl::NotFoundError("cuDNN has no algorithm for this convolution");
  for (const Arrangement arrangement : kArrangements) {
    auto made = CudnnConvolution::Create(handle_, numbers_, layer, arrangement);
    const absl::StatusOr<float> found =
        made.ok() ? (*made)->Find(pass, {x_.data(), w_.data(), y_.data()}, workspace_) : made.status();
    if (!found.ok()) {
      last = found.status();
    } else if (best.convolution == nullptr || *found < best.milliseconds) {
      best = {*std::move(made), *found};
    }
  }
  if (best.convolution == nullptr) return last;
  return &(best_[key] = std::move(best));
}

absl::Status CudnnPeer::Run(const CudnnConvolution::Layer& layer, Pass pass, int set) {
  RB_ASSIGN_OR_RETURN(const Best* const best, Fastest(layer, pass));
  RB_ASSIGN_OR_RETURN(const CudnnConvolution::Operands operands, Set(set));
  return best->convolution->Run(pass, operands, workspace_);
}

std::string CudnnPeer::Describe(const CudnnConvolution::Layer& layer, Pass pass) const {
  const auto known = best_.find({layer.in, layer.width, layer.dilation, pass});
  return known == best_.end() ? "" : known->second.convolution->Describe(pass);
}

}  // namespace rb::bench
