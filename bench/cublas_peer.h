// cuBLAS beside our dense layers and convolutions: batched products over all models, nothing else. A convolution is the
// product of an im2col matrix that is there already, so its row leaves out what making that matrix costs, and batch
// norm, ReLU, dropout and sums. bf16: both operands are stored as bf16, which our dense layers do not ask for.
#ifndef RB_BENCH_CUBLAS_PEER_H_
#define RB_BENCH_CUBLAS_PEER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bench/device_row.h"

namespace rb::bench {

template <class A>
class CublasPeer : public Peer {
 public:
  enum class Product { kConvForward, kConvBackward, kDenseForward, kDenseBackward };

  static absl::StatusOr<CublasPeer*> Of(Workbench& bench);
  ~CublasPeer() override;
  // With input set `set`; allocates it the first time.
  absl::Status Run(Workbench& bench, Product product, int set);

 private:
  struct State;
  struct Operands;
  explicit CublasPeer(std::unique_ptr<State> state);
  static absl::StatusOr<std::unique_ptr<CublasPeer>> Create(Workbench& bench);
  std::unique_ptr<State> state_;
};

// `row` has its name; `flops` are one model's.
template <class A>
DeviceRow CublasRow(DeviceRow row, const DeviceOptions& options, double flops, typename CublasPeer<A>::Product product);

}  // namespace rb::bench

#endif  // RB_BENCH_CUBLAS_PEER_H_
