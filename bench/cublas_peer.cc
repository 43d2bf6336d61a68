#include "bench/cublas_peer.h"

#include <cublas_v2.h>

#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"

namespace rb::bench {
namespace {

constexpr size_t kWorkspace = size_t{64} << 20;

absl::Status CublasStatus(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuBLAS, ", what, ": ", cublasGetStatusString(status)));
}

// c[m][n] = op(a)[m][k] * op(b)[k][n], row-major.
struct Shape3 {
  int m, n, k;
  bool transpose_a = false, transpose_b = false;
};

template <class V>
constexpr cudaDataType_t kType = std::is_same_v<V, float> ? CUDA_R_32F : CUDA_R_16BF;

}  // namespace

template <class A>
struct CublasPeer<A>::Operands {
  PerModel<A> columns, weights, tensor, x, dense, dz;
  PerModel<float> z, dx, dense_gradient, weight_gradient;
};

template <class A>
struct CublasPeer<A>::State {
  cublasHandle_t handle = nullptr;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  int models = 0, batch = 0;
  Shape shape;
  std::unique_ptr<Arena> arena;
  std::vector<Operands> sets;

  ~State() {
    if (handle != nullptr) cublasDestroy(handle);
  }

  absl::Status Add(OperatorBed<A>& bed) {
    Operands o;
    const int64_t n = batch, positions = n * shape.length, taps = int64_t{shape.width} * shape.filters;
    const int64_t wide = int64_t{shape.flat()} * shape.hidden;
    RB_ASSIGN_OR_RETURN(o.columns, bed.template Filled<A>(positions * taps, "im2col matrix"));
    RB_ASSIGN_OR_RETURN(o.weights, bed.template Filled<A>(taps * shape.filters, "weights"));
    RB_ASSIGN_OR_RETURN(o.tensor, bed.template Filled<A>(positions * shape.filters, "activations"));
    RB_ASSIGN_OR_RETURN(o.x, bed.template Filled<A>(n * shape.flat(), "pooled activations"));
    RB_ASSIGN_OR_RETURN(o.dense, bed.template Filled<A>(wide, "weights"));
    RB_ASSIGN_OR_RETURN(o.dz, bed.template Filled<A>(n * shape.hidden, "gradients"));
    RB_ASSIGN_OR_RETURN(o.z, bed.template Filled<float>(n * shape.hidden, "dense activations"));
    RB_ASSIGN_OR_RETURN(o.dx, bed.template Filled<float>(n * shape.flat(), "gradients"));
    RB_ASSIGN_OR_RETURN(o.dense_gradient, bed.template Filled<float>(wide, "weight gradients"));
    RB_ASSIGN_OR_RETURN(o.weight_gradient, bed.template Filled<float>(taps * shape.filters, "weight gradients"));
    sets.push_back(o);
    return absl::OkStatus();
  }

  // Row-major is column-major of the transposed product: c^T = op(b)^T op(a)^T.
  template <class C>
  absl::Status Multiply(const Shape3& s, PerModel<A> a, PerModel<A> b, PerModel<C> c) const {
    const float one = 1, zero = 0;
    const cublasOperation_t op_a = s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                            op_b = s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    return CublasStatus(
        cublasGemmStridedBatchedEx(handle, op_b, op_a, s.n, s.m, s.k, &one, b.base, kType<A>, s.transpose_b ? s.k : s.n,
                                   b.stride, a.base, kType<A>, s.transpose_a ? s.m : s.k, a.stride, &zero, c.base,
                                   kType<C>, s.n, c.stride, models, compute, CUBLAS_GEMM_DEFAULT),
        "batched product");
  }
};

template <class A>
CublasPeer<A>::CublasPeer(std::unique_ptr<State> state) : state_(std::move(state)) {}
template <class A>
CublasPeer<A>::~CublasPeer() = default;

template <class A>
absl::StatusOr<CublasPeer<A>*> CublasPeer<A>::Of(Workbench& bench) {
  return bench.peer<CublasPeer>([&bench] { return Create(bench); });
}

template <class A>
absl::StatusOr<std::unique_ptr<CublasPeer<A>>> CublasPeer<A>::Create(Workbench& bench) {
  auto state = std::make_unique<State>();
  RB_ASSIGN_OR_RETURN(OperatorBed<A>* const bed, bench.operators<A>());
  const Shape& shape = bed->shape();
  state->shape = shape;
  state->models = bench.models();
  state->batch = bed->batch();
  if (bench.precision() == Precision::kTf32) state->compute = CUBLAS_COMPUTE_32F_FAST_TF32;
  state->arena = bench.machine().NewArena();
  RB_ASSIGN_OR_RETURN(void* const workspace, state->arena->AllocateBytes(kWorkspace, "cuBLAS's workspace"));
  RB_RETURN_IF_ERROR(CublasStatus(cublasCreate(&state->handle), "creating a handle"));
  const auto stream = static_cast<cudaStream_t>(bench.machine().stream());
  RB_RETURN_IF_ERROR(CublasStatus(cublasSetStream(state->handle, stream), "setting the stream"));
  // Memory of its own: recording may not allocate.
  RB_RETURN_IF_ERROR(CublasStatus(cublasSetWorkspace(state->handle, workspace, kWorkspace), "setting the workspace"));
  return std::unique_ptr<CublasPeer>(new CublasPeer(std::move(state)));
}

template <class A>
absl::Status CublasPeer<A>::Run(Workbench& bench, Product product, int set) {
  State& s = *state_;
  while (static_cast<int>(s.sets.size()) <= set) {
    RB_ASSIGN_OR_RETURN(OperatorBed<A>* const bed, bench.operators<A>());
    RB_RETURN_IF_ERROR(s.Add(*bed));
  }
  const Operands& o = s.sets[set];
  const int positions = s.batch * s.shape.length, filters = s.shape.filters, taps = s.shape.width * filters;
  const int flat = s.shape.flat(), hidden = s.shape.hidden;
  switch (product) {
    case Product::kConvForward:
      return s.Multiply({positions, filters, taps}, o.columns, o.weights, o.tensor);
    case Product::kConvBackward:
      RB_RETURN_IF_ERROR(s.Multiply({positions, filters, taps}, o.columns, o.weights, o.tensor));
      return s.Multiply({taps, filters, positions, true, false}, o.columns, o.tensor, o.weight_gradient);
    case Product::kDenseForward:
      return s.Multiply({s.batch, hidden, flat}, o.x, o.dense, o.z);
    case Product::kDenseBackward:
      RB_RETURN_IF_ERROR(s.Multiply({s.batch, flat, hidden, false, true}, o.dz, o.dense, o.dx));
      return s.Multiply({flat, hidden, s.batch, true, false}, o.x, o.dz, o.dense_gradient);
  }
  return absl::InternalError("no such product");
}

template <class A>
DeviceRow CublasRow(DeviceRow row, const DeviceOptions& options, double flops,
                    typename CublasPeer<A>::Product product) {
  using Product = typename CublasPeer<A>::Product;
  const Shape& s = options.shape;
  const double n = options.batch, positions = n * s.length, taps = static_cast<double>(s.width) * s.filters;
  const double conv = sizeof(A) * (positions * taps + taps * s.filters + positions * s.filters);
  const double dense = sizeof(A) * (n * s.flat() + static_cast<double>(s.flat()) * s.hidden);
  double bytes = 0;
  switch (product) {
    case Product::kConvForward:
      bytes = conv;
      break;
    case Product::kConvBackward:
      bytes = conv + sizeof(A) * positions * (taps + s.filters) + 4 * taps * s.filters;
      break;
    case Product::kDenseForward:
      bytes = dense + 4 * n * s.hidden;
      break;
    case Product::kDenseBackward:
      bytes = dense + 2 * sizeof(A) * n * s.hidden + 4 * (n * s.flat() + static_cast<double>(s.flat()) * s.hidden);
      break;
  }
  row.flops = flops * row.models;
  row.bytes = bytes * row.models;
  row.rotates = true;
  row.queue = [product](Workbench& bench, int set) -> absl::Status {
    RB_ASSIGN_OR_RETURN(CublasPeer<A>* const peer, CublasPeer<A>::Of(bench));
    return peer->Run(bench, product, set);
  };
  return row;
}

template class CublasPeer<float>;
template class CublasPeer<BFloat16>;
template DeviceRow CublasRow<float>(DeviceRow, const DeviceOptions&, double, CublasPeer<float>::Product);
template DeviceRow CublasRow<BFloat16>(DeviceRow, const DeviceOptions&, double, CublasPeer<BFloat16>::Product);

}  // namespace rb::bench
