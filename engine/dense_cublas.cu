#include "engine/dense_cublas.h"

#include "engine/cublas_library.h"
#include "kernels/device/dialect.h"

namespace rb {
namespace {

// DeviceError codes from here on are cuBLAS'.
constexpr int kCublasErrors = 100000;

DeviceError Wrapped(cublasStatus_t status) {
  return {status == CUBLAS_STATUS_SUCCESS ? 0 : kCublasErrors + static_cast<int>(status)};
}

// Tensors whose addresses, of every live model, become lists [tensor][live index].
struct Tensors {
  PerModel<float> tensor[CublasDense::kPointers];
};

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    ListPointersKernel(Models models, Tensors tensors, int count, void** lists) {
  DependencyWait();
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= models.count) return;
  const int slot = models.live[i];
  for (int t = 0; t < count; ++t) lists[t * models.count + i] = tensors.tensor[t][slot];
}

// dh of rows [model's rows, batch) = 0: they add nothing to dw. Block (part of these rows, live model).
constexpr int kZeroBlocks = 4;
__global__ void __launch_bounds__(kThreads) ZeroBehindKernel(DenseBackwardArgs<float> a) {
  DependencyWait();
  const int slot = a.models.live[blockIdx.y];
  const int64_t end = static_cast<int64_t>(a.batch) * a.out;
  int64_t at = static_cast<int64_t>(a.models.state[slot].rows) * a.out + static_cast<int64_t>(blockIdx.x) * kThreads +
               static_cast<int>(threadIdx.x);
  for (; at < end; at += kZeroBlocks * kThreads) a.dh[slot][at] = 0;
}

DeviceError ListPointers(const Models& models, const Tensors& tensors, int count, void** lists, const DeviceRun& run) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>((models.count + kThreads - 1) / kThreads));
  config.block = dim3(kThreads);
  config.stream = run.stream;
  return Launch(config, ListPointersKernel, models, tensors, count, lists);
}

DeviceError ZeroBehind(const DenseBackwardArgs<float>& args, const DeviceRun& run) {
  LaunchConfig config;
  config.grid = dim3(kZeroBlocks, static_cast<unsigned>(args.models.count));
  config.block = dim3(kThreads);
  config.stream = run.stream;
  return Launch(config, ZeroBehindKernel, args);
}

PerModel<float> Mutable(PerModel<const float> tensor) { return {const_cast<float*>(tensor.base), tensor.stride}; }

cublasComputeType_t ComputeType(Precision precision) {
  switch (precision) {
    case Precision::kTf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::kBf16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
    default:
      return CUBLAS_COMPUTE_32F;
  }
}

}  // namespace

// c = a b in rows, c[rows][columns]; cuBLAS' matrices are in columns, so it is told c^T = b^T a^T with the same memory.
// Lists: a, b, c in memory_.pointers. A transposed operand is stored as [depth][rows] (a) or [columns][depth] (b).
struct CublasDense::Product {
  int rows, columns, depth;
  int a, b, c;
  bool transposed_a = false, transposed_b = false;
};

std::unique_ptr<CublasDense> CublasDense::Create(int models, const Memory& memory, std::string* error) {
  const CublasLibrary* const library = CublasLibrary::Load(error);
  if (library == nullptr) return nullptr;
  cublasHandle_t handle = nullptr;
  if (const cublasStatus_t status = library->create(&handle); status != CUBLAS_STATUS_SUCCESS) {
    *error = std::string("cuBLAS does not start: ") + library->status_string(status);
    return nullptr;
  }
  return std::unique_ptr<CublasDense>(new CublasDense(*library, handle, models, memory));
}

CublasDense::~CublasDense() { library_.destroy(handle_); }

const char* CublasDense::ErrorText(DeviceError error) const {
  if (error.code < kCublasErrors) return cuda::DeviceErrorText(error);
  return library_.status_string(static_cast<cublasStatus_t>(error.code - kCublasErrors));
}

DeviceError CublasDense::Multiply(const Product& p, int count, const DeviceRun& run) {
  // A new stream takes the workspace away.
  if (const auto error = Wrapped(library_.set_stream(handle_, static_cast<cudaStream_t>(run.stream)))) return error;
  if (const auto error = Wrapped(library_.set_workspace(handle_, memory_.workspace, kWorkspaceBytes))) return error;
  const float one = 1, zero = 0;
  const auto list = [&](int tensor) { return memory_.pointers + static_cast<ptrdiff_t>(tensor) * count; };
  return Wrapped(library_.gemm_batched(handle_, p.transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                       p.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N, p.columns, p.rows, p.depth, &one,
                                       list(p.b), CUDA_R_32F, p.transposed_b ? p.depth : p.columns, list(p.a),
                                       CUDA_R_32F, p.transposed_a ? p.rows : p.depth, &zero, list(p.c), CUDA_R_32F,
                                       p.columns, count, ComputeType(run.precision), CUBLAS_GEMM_DEFAULT));
}

DeviceError CublasDense::Forward(const DenseForwardArgs<float>& args, const DeviceRun& run) {
  const int count = args.models.count;
  if (count == 0) return {};
  if (count > models_) return {-1};
  enum { kX, kW, kZ, kCount };
  const Tensors tensors = {{Mutable(args.x), Mutable(args.w), args.z}};
  if (const auto error = ListPointers(args.models, tensors, kCount, memory_.pointers, run)) return error;
  const Product z = {.rows = args.batch, .columns = args.out, .depth = args.in, .a = kX, .b = kW, .c = kZ};
  if (const auto error = Multiply(z, count, run)) return error;
  return args.moments ? cuda::DenseMoments(args, run) : DeviceError{};
}

DeviceError CublasDense::Backward(const DenseBackwardArgs<float>& args, const DeviceRun& run) {
  const int count = args.models.count;
  if (count == 0) return {};
  if (count > models_) return {-1};
  DenseBackwardArgs<float> norm_only = args;
  norm_only.dx = norm_only.dw = {};
  if (const auto error = cuda::DenseBackward(norm_only, run)) return error;
  if (const auto error = ZeroBehind(args, run)) return error;
  enum { kX, kW, kDz, kDx, kDw, kCount };
  static_assert(kCount == kPointers);
  const Tensors tensors = {{Mutable(args.x), Mutable(args.w), args.dh, args.dx, args.dw}};
  if (const auto error = ListPointers(args.models, tensors, kCount, memory_.pointers, run)) return error;
  if (args.dx) {
    const Product dx = {
        .rows = args.batch, .columns = args.in, .depth = args.out, .a = kDz, .b = kW, .c = kDx, .transposed_b = true};
    if (const auto error = Multiply(dx, count, run)) return error;
  }
  if (!args.dw) return {};
  const Product dw = {
      .rows = args.in, .columns = args.out, .depth = args.batch, .a = kX, .b = kDz, .c = kDw, .transposed_a = true};
  return Multiply(dw, count, run);
}

}  // namespace rb
