// A machine that runs the operators: CPU now, CUDA beside it. One virtual per operator, at the granularity at which
// both machines fuse, so that a checking backend can compare like with like.
#ifndef RB_ENGINE_BACKEND_H_
#define RB_ENGINE_BACKEND_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/dense.h"
#include "kernels/dilated_conv.h"
#include "kernels/embed_conv.h"
#include "kernels/gather.h"
#include "kernels/head.h"
#include "kernels/residual_pool.h"
#include "kernels/scorer.h"

namespace rb {

// Memory of one machine. Everything allocated goes when the arena goes; there is no single free.
class Arena {
 public:
  virtual ~Arena() = default;
  // Zero-filled, 128-byte-aligned. RESOURCE_EXHAUSTED with the size and what it was for when memory is short.
  virtual absl::StatusOr<void*> AllocateBytes(size_t bytes, const char* purpose) = 0;
  virtual size_t allocated() const = 0;

  template <class T>
  absl::StatusOr<T*> Allocate(int64_t count, const char* purpose) {
    auto memory = AllocateBytes(static_cast<size_t>(count) * sizeof(T), purpose);
    if (!memory.ok()) return memory.status();
    return static_cast<T*>(*memory);
  }
  // `models` rows of at least `count` values, each row 128-byte aligned.
  template <class T>
  absl::StatusOr<PerModel<T>> AllocatePerModel(int models, int64_t count, const char* purpose) {
    const int64_t unit = 128 / sizeof(T), stride = (count + unit - 1) / unit * unit;
    auto memory = Allocate<T>(models * stride, purpose);
    if (!memory.ok()) return memory.status();
    return PerModel<T>{*memory, stride};
  }
};

// A folded network ready to score on one machine (kernels/scorer.h tells what it computes).
class Scorer {
 public:
  virtual ~Scorer() = default;
  // All pointers are the host's; a machine with its own memory copies what it needs.
  virtual absl::Status Score(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t n,
                             float* out) = 0;
};

template <class T>
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string Describe() const = 0;  // "cpu: 2 threads, AVX3"
  virtual std::unique_ptr<Arena> NewArena() = 0;
  // How many of `models` live models one pass through the operators should take: all of them where that fills the
  // machine, one where a single model's batch fills it and the caches already. Results do not depend on it.
  virtual int ModelsPerPass(int models) const = 0;
  virtual absl::Status Upload(void* machine, const void* host, size_t bytes) = 0;
  virtual absl::Status Download(void* host, const void* machine, size_t bytes) = 0;

  virtual absl::Status Gather(const GatherArgs<T>& args) = 0;
  virtual absl::Status EmbedConvForward(const EmbedConvForwardArgs<T>& args) = 0;
  virtual absl::Status EmbedConvBackward(const EmbedConvBackwardArgs<T>& args) = 0;
  virtual absl::Status EmbedConvInputGrad(const EmbedConvInputGradArgs<T>& args) = 0;
  virtual absl::Status BatchNormFinalize(const BatchNormFinalizeArgs<T>& args) = 0;
  virtual absl::Status BatchNormGradFinalize(const BatchNormGradFinalizeArgs<T>& args) = 0;
  virtual absl::Status DilatedConvForward(const DilatedConvForwardArgs<T>& args) = 0;
  virtual absl::Status DilatedConvBackward(const DilatedConvBackwardArgs<T>& args) = 0;
  virtual absl::Status ResidualPoolForward(const ResidualPoolForwardArgs<T>& args) = 0;
  virtual absl::Status ResidualPoolBackward(const ResidualPoolBackwardArgs<T>& args) = 0;
  virtual absl::Status DenseForward(const DenseForwardArgs<T>& args) = 0;
  virtual absl::Status DenseBackward(const DenseBackwardArgs<T>& args) = 0;
  virtual absl::Status HeadForwardBackward(const HeadArgs<T>& args) = 0;
  virtual absl::Status Adam(const AdamArgs<T>& args) = 0;

  virtual absl::StatusOr<std::unique_ptr<Scorer>> NewScorer(const ScorerGeometry& geometry,
                                                            const FoldedWeights& weights, Precision precision) = 0;
};

// The CPU. `parallel` must outlive it.
template <class T>
std::unique_ptr<Backend<T>> MakeCpuBackend(Parallel& parallel);

}  // namespace rb

#endif  // RB_ENGINE_BACKEND_H_
