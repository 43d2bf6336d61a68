// A machine: its memory, its trained models' scoring and the bookkeeping of training on it. CPU, CUDA device, the
// emulation of one, or two of them checked against each other. What a network in training needs is Backend.
#ifndef RB_ENGINE_MACHINE_H_
#define RB_ENGINE_MACHINE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/effect_moments.h"
#include "kernels/fold.h"
#include "kernels/fold_norm.h"
#include "kernels/metrics.h"
#include "kernels/model_slot.h"
#include "kernels/profile_draws.h"
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

// All 4^k k-mers, in alphabetical order (A, C, G, U), written over every null sequence at one place; local effects are
// f(with the k-mer) - f(without).
struct KmerScanArgs {
  const uint32_t* bases = nullptr;        // null sequences [n][PackedWords(L)]
  int64_t n = 0;                          // 1 or more
  const DrawnSequences* drawn = nullptr;  // what they were drawn from, if that is so: a machine may draw them itself
  std::function<void(double share)> progress = {};  // may be told how much is done
  int k = 6, position = 0;                          // 1 to kMaxKmer letters within L positions
  EffectMoments* effects = nullptr;                 // [4^k], of the n local effects
  int32_t* order = nullptr;  // [4^k], k-mers by their mean effect, strongest first, ties in alphabetical order
};

// A folded network ready to score on one machine (kernels/scorer.h tells what it computes).
class Scorer {
 public:
  virtual ~Scorer() = default;
  // All pointers are the host's; a machine with its own memory copies what it needs.
  virtual absl::Status Score(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t n,
                             float* out) = 0;
  // The local effects of all k-mers. Networks of sequence alone.
  virtual absl::Status ScanKmers(const KmerScanArgs& args) = 0;
};

// RNA structure (kernels/fold.h): profiles of sequences of `length` positions. Pointers are the host's.
class Folder {
 public:
  virtual ~Folder() = default;
  // bases [n][PackedWords(L)], widths [n] -> tracks [n][L][kFoldTracks], log_partition [n] or null.
  virtual absl::Status Fold(const uint32_t* bases, const uint16_t* widths, int64_t n, float* tracks,
                            double* log_partition) = 0;
};

// Where the tensors of a folded network lie in one model's range of folded values.
struct FoldedOffsets {
  int64_t embed = 0, embed_bias = 0;
  int64_t conv[kMaxResidualLayers] = {}, conv_bias[kMaxResidualLayers] = {};
  int64_t dense = 0, dense_bias = 0, head = 0;
  // The tensors of the model whose values begin at `folded`.
  FoldedWeights At(const float* folded, int residual_layers) const {
    FoldedWeights w;
    w.embed = folded + embed;
    w.embed_bias = folded + embed_bias;
    for (int i = 0; i < residual_layers; ++i) {
      w.conv[i] = folded + conv[i];
      w.conv_bias[i] = folded + conv_bias[i];
    }
    w.dense = folded + dense;
    w.dense_bias = folded + dense_bias;
    w.head = folded + head;
    return w;
  }
};

// Scores every model's own sequences with its folded network, all on the machine: validation.
struct ScoreModelsArgs {
  const int32_t* live = nullptr;  // slots, `count` of them
  int count = 0;
  PerModel<const float> folded;
  const uint32_t* bases = nullptr;    // [sequences][PackedWords(L)]
  const float* tracks = nullptr;      // [sequences][L][S] or null
  PerModel<const int32_t> rows;       // sequences to score
  const int32_t* num_rows = nullptr;  // by slot; 0: the slot is idle
  int max_rows = 0;                   // most of them, known to the host
  PerModel<float> out;
};
class ModelsScorer {
 public:
  virtual ~ModelsScorer() = default;
  virtual absl::Status Score(const ScoreModelsArgs& args) = 0;
};

// A sequence of operators that is run again and again: on a device one graph launch.
class Program {
 public:
  virtual ~Program() = default;
  // Starts it behind everything started before. Does not wait for its end, but for that of earlier runs when very many
  // are under way.
  virtual absl::Status Run() = 0;
};

class Machine {
 public:
  virtual ~Machine() = default;
  virtual std::string Describe() const = 0;  // "cpu: 2 threads, AVX3"
  // Makes the calling thread the one that uses the machine, until another one calls it. The thread that made a machine
  // has it from the beginning, but only as long as it makes no other.
  virtual absl::Status BindThread() { return absl::OkStatus(); }
  // Bytes of its own memory that are free; nothing when it works in the host's. For the thread that it is bound to.
  virtual std::optional<size_t> FreeMemory() const { return std::nullopt; }
  // The stream in whose order a device works (CUDA's: cudaStream_t), for those who time it; null on the CPU.
  virtual void* stream() const { return nullptr; }
  virtual std::unique_ptr<Arena> NewArena() = 0;
  // How many of `models` live models one pass through the operators should take: all of them where that fills the
  // machine, one where a single model's batch fills it and the caches already. Results do not depend on it.
  virtual int ModelsPerPass(int models) const = 0;
  // Copies, in order with the operators; complete when they return.
  virtual absl::Status Upload(void* machine, const void* host, size_t bytes) = 0;
  virtual absl::Status Download(void* host, const void* machine, size_t bytes) = 0;

  // `body` calls operators of this machine with arguments that stay valid as long as the program; it is called once
  // (a device records it) or at every run.
  virtual absl::StatusOr<std::unique_ptr<Program>> NewProgram(std::function<absl::Status()> body) = 0;

  virtual absl::Status BeginEpoch(const BeginEpochArgs<float>& args) = 0;
  virtual absl::Status BeginStep(const BeginStepArgs<float>& args) = 0;
  virtual absl::Status EndStep(const EndStepArgs<float>& args) = 0;
  virtual absl::Status BeginValidation(const BeginValidationArgs<float>& args) = 0;
  virtual absl::Status EndEpoch(const EndEpochArgs<float>& args) = 0;
  virtual absl::Status FoldNorm(const FoldNormArgs<float>& args) = 0;
  virtual absl::Status PairMetrics(const PairMetricsArgs<float>& args) = 0;

  virtual absl::StatusOr<std::unique_ptr<Scorer>> NewScorer(const ScorerGeometry& geometry,
                                                            const FoldedWeights& weights, Precision precision) = 0;
  // For at most `models` slots of at most `max_rows` sequences.
  virtual absl::StatusOr<std::unique_ptr<ModelsScorer>> NewModelsScorer(const ScorerGeometry& geometry,
                                                                        const FoldedOffsets& offsets,
                                                                        Precision precision, int models,
                                                                        int64_t max_rows) = 0;
  // length: 1 to kMaxFoldLength. The factors are copied.
  virtual absl::StatusOr<std::unique_ptr<Folder>> NewFolder(int length, const FoldFactors& factors) = 0;
};

}  // namespace rb

#endif  // RB_ENGINE_MACHINE_H_
