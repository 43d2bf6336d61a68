// A machine that trains: one virtual per operator of the network, at the granularity at which all machines fuse, so
// that a checking backend can compare like with like.
#ifndef RB_ENGINE_BACKEND_H_
#define RB_ENGINE_BACKEND_H_

#include <memory>

#include "engine/machine.h"
#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/dense.h"
#include "kernels/dilated_conv.h"
#include "kernels/embed_conv.h"
#include "kernels/gather.h"
#include "kernels/head.h"
#include "kernels/residual_pool.h"

namespace rb {

// T: parameters, statistics, gradients of parameters. A: activations as stored, BFloat16 where training multiplies in
// bf16.
template <class T, class A = T>
class Backend : public Machine {
 public:
  virtual absl::Status Gather(const GatherArgs<T>& args) = 0;
  virtual absl::Status EmbedConvForward(const EmbedConvForwardArgs<T, A>& args) = 0;
  virtual absl::Status EmbedConvBackward(const EmbedConvBackwardArgs<T, A>& args) = 0;
  virtual absl::Status EmbedConvInputGrad(const EmbedConvInputGradArgs<T, A>& args) = 0;
  virtual absl::Status BatchNormFinalize(const BatchNormFinalizeArgs<T>& args) = 0;
  virtual absl::Status BatchNormGradFinalize(const BatchNormGradFinalizeArgs<T>& args) = 0;
  virtual absl::Status DilatedConvForward(const DilatedConvForwardArgs<T, A>& args) = 0;
  // Whether DilatedConvBackward of `channels` channels may write dx over dz.
  virtual bool ConvolvesInPlace(int channels) const = 0;
  virtual absl::Status DilatedConvBackward(const DilatedConvBackwardArgs<T, A>& args) = 0;
  virtual absl::Status ResidualPoolForward(const ResidualPoolForwardArgs<T, A>& args) = 0;
  virtual absl::Status ResidualPoolBackward(const ResidualPoolBackwardArgs<T, A>& args) = 0;
  virtual absl::Status DenseForward(const DenseForwardArgs<T>& args) = 0;
  virtual absl::Status DenseBackward(const DenseBackwardArgs<T>& args) = 0;
  virtual absl::Status HeadForwardBackward(const HeadArgs<T>& args) = 0;
  virtual absl::Status Adam(const AdamArgs<T>& args) = 0;
};

// The CPU. `parallel` must outlive it.
template <class T>
std::unique_ptr<Backend<T>> MakeCpuBackend(Parallel& parallel);

// Training precision of a machine: fp32 and tf32 store float activations, bf16 stores BFloat16.
// UNAVAILABLE, saying what is missing, without driver, device `device` (as CUDA counts them) or CUDA build.
absl::Status CudaAvailable(int device);
int CudaDevices();  // that are visible, of whatever kind
// Who multiplies in the dense layer: our kernels, or cuBLAS behind the same contract. cuBLAS may choose its algorithm
// by the number of models, so that a model's bits may then depend on those beside it: for comparison, never the
// default.
enum class DenseProducts { kOwn, kCublas };
// Also UNAVAILABLE: kCublas where cuBLAS is missing or does not start.
absl::StatusOr<std::unique_ptr<Machine>> MakeCudaMachine(int device, Precision precision,
                                                         DenseProducts dense = DenseProducts::kOwn);
// The same kernels on the host, for tests and checks. Thousands of times slower.
std::unique_ptr<Machine> MakeEmulatedMachine(Precision precision);
}  // namespace rb

#endif  // RB_ENGINE_BACKEND_H_
