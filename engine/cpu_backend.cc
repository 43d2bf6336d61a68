// The CPU as a Backend: memory from the heap, operators from kernels/*_cpu.cc on a thread pool.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/backend.h"
#include "engine/check.h"
#include "engine/host_kmer_scan.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

class CpuArena : public Arena {
 public:
  ~CpuArena() override {
    for (void* block : blocks_) std::free(block);
  }

  absl::StatusOr<void*> AllocateBytes(size_t bytes, const char* purpose) override {
    constexpr size_t kHuge = size_t{2} << 20;  // large blocks ask for huge pages: a batch's activations span many MB
    const size_t unit = bytes >= kHuge ? kHuge : 128;
    const size_t size = (bytes + unit - 1) / unit * unit;
    if (size < bytes) return absl::ResourceExhaustedError(absl::StrCat("size overflow allocating ", purpose));
    void* block = std::aligned_alloc(unit, size == 0 ? unit : size);
    if (block == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory for ", purpose, ": ", bytes >> 20, " MiB asked, ",
                                                       allocated_ >> 20, " MiB held already"));
    }
    if (unit == kHuge) madvise(block, size, MADV_HUGEPAGE);
    std::memset(block, 0, size);
    blocks_.push_back(block);
    allocated_ += size;
    return block;
  }

  size_t allocated() const override { return allocated_; }

 private:
  std::vector<void*> blocks_;
  size_t allocated_ = 0;
};

class CpuFoldedScorer : public Scorer {
 public:
  CpuFoldedScorer(const ScorerGeometry& geometry, const FoldedWeights& weights, Precision precision, Parallel& parallel)
      : scorer_(geometry, weights, precision), parallel_(parallel) {}
  absl::Status Score(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t n, float* out) override {
    scorer_.Score(bases, tracks, rows, n, out, parallel_);
    return absl::OkStatus();
  }
  absl::Status ScanKmers(const KmerScanArgs& args) override {
    const int words = PackedWords(scorer_.geometry().length);
    std::vector<float> without(static_cast<size_t>(args.n));
    scorer_.Score(args.bases, nullptr, nullptr, args.n, without.data(), parallel_);
    return ScanOnHost(args, without, [&](int64_t first, int64_t count, float* with) {
      scorer_.ScoreKmers(args.bases + first * words, count, args.k, args.position, with, parallel_);
      return absl::OkStatus();
    });
  }

 private:
  cpu::CpuScorer scorer_;
  Parallel& parallel_;
};

class CpuFolder : public Folder {
 public:
  CpuFolder(int length, const FoldFactors& factors, Parallel& parallel)
      : length_(length), factors_(std::make_unique<FoldFactors>(factors)), parallel_(parallel) {}
  absl::Status Fold(const uint32_t* bases, const uint16_t* widths, int64_t n, float* tracks,
                    double* log_partition) override {
    cpu::Fold<float>({factors_.get(), bases, widths, n, length_, tracks, log_partition}, parallel_);
    return absl::OkStatus();
  }

 private:
  int length_;
  std::unique_ptr<FoldFactors> factors_;
  Parallel& parallel_;
};

// Packs one model's weights after the other; a model's rows fill the threads.
class CpuModelsScorer : public ModelsScorer {
 public:
  CpuModelsScorer(const ScorerGeometry& geometry, const FoldedOffsets& offsets, Precision precision, Parallel& parallel)
      : geometry_(geometry), offsets_(offsets), precision_(precision), parallel_(parallel) {}
  absl::Status Score(const ScoreModelsArgs& args) override {
    for (int i = 0; i < args.count; ++i) {
      const int slot = args.live[i];
      if (args.num_rows[slot] == 0) continue;
      const FoldedWeights weights = offsets_.At(args.folded[slot], geometry_.residual_layers);
      const cpu::CpuScorer scorer(geometry_, weights, precision_);
      scorer.Score(args.bases, args.tracks, args.rows[slot], args.num_rows[slot], args.out[slot], parallel_);
    }
    return absl::OkStatus();
  }

 private:
  ScorerGeometry geometry_;
  FoldedOffsets offsets_;
  Precision precision_;
  Parallel& parallel_;
};

// The CPU runs operators at once.
class CpuProgram : public Program {
 public:
  explicit CpuProgram(std::function<absl::Status()> body) : body_(std::move(body)) {}
  absl::Status Run() override { return body_(); }

 private:
  std::function<absl::Status()> body_;
};

absl::Status CheckScoringPrecision(Precision precision) {
  if (precision == Precision::kTf32) {
    return absl::InvalidArgumentError("precision tf32 exists on GPUs only; on the CPU use fp32 or bf16");
  }
  if (precision == Precision::kBf16 && !cpu::HasBf16()) {
    return absl::InvalidArgumentError(
        "precision bf16 needs a processor with AVX512-BF16, which this one lacks; use fp32");
  }
  return absl::OkStatus();
}

template <class T>
class CpuBackend : public Backend<T> {
 public:
  explicit CpuBackend(Parallel& parallel) : parallel_(parallel) {}

  std::string Describe() const override {
    return absl::StrCat("cpu: ", parallel_.num_threads(), parallel_.num_threads() == 1 ? " thread, " : " threads, ",
                        cpu::VectorTarget());
  }
  // A model's batch is kBatchChunks tasks: enough for as many threads, and its 13 MB of activations stay in L3 from one
  // operator to the next, which those of many models would not.
  int ModelsPerPass(int models) const override { return parallel_.num_threads() <= kBatchChunks ? 1 : models; }
  std::unique_ptr<Arena> NewArena() override { return std::make_unique<CpuArena>(); }
  absl::Status Upload(void* machine, const void* host, size_t bytes) override {
    std::memcpy(machine, host, bytes);
    return absl::OkStatus();
  }
  absl::Status Download(void* host, const void* machine, size_t bytes) override {
    std::memcpy(host, machine, bytes);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Program>> NewProgram(std::function<absl::Status()> body) override {
    return std::make_unique<CpuProgram>(std::move(body));
  }

#define RB_CPU_MACHINE_OPERATOR(Name)                         \
  absl::Status Name(const Name##Args<float>& args) override { \
    cpu::Name(args, parallel_);                               \
    return absl::OkStatus();                                  \
  }
  RB_CPU_MACHINE_OPERATOR(BeginEpoch)
  RB_CPU_MACHINE_OPERATOR(BeginStep)
  RB_CPU_MACHINE_OPERATOR(EndStep)
  RB_CPU_MACHINE_OPERATOR(BeginValidation)
  RB_CPU_MACHINE_OPERATOR(EndEpoch)
  RB_CPU_MACHINE_OPERATOR(FoldNorm)
  RB_CPU_MACHINE_OPERATOR(PairMetrics)
#undef RB_CPU_MACHINE_OPERATOR

  bool ConvolvesInPlace(int) const override { return true; }

#define RB_CPU_BACKEND_OPERATOR(Name, Args)         \
  absl::Status Name(const Args<T>& args) override { \
    cpu::Name<T>(args, parallel_);                  \
    return absl::OkStatus();                        \
  }
  RB_CPU_BACKEND_OPERATOR(Gather, GatherArgs)
  RB_CPU_BACKEND_OPERATOR(EmbedConvForward, EmbedConvForwardArgs)
  RB_CPU_BACKEND_OPERATOR(EmbedConvBackward, EmbedConvBackwardArgs)
  RB_CPU_BACKEND_OPERATOR(EmbedConvInputGrad, EmbedConvInputGradArgs)
  RB_CPU_BACKEND_OPERATOR(BatchNormFinalize, BatchNormFinalizeArgs)
  RB_CPU_BACKEND_OPERATOR(BatchNormGradFinalize, BatchNormGradFinalizeArgs)
  RB_CPU_BACKEND_OPERATOR(DilatedConvForward, DilatedConvForwardArgs)
  RB_CPU_BACKEND_OPERATOR(DilatedConvBackward, DilatedConvBackwardArgs)
  RB_CPU_BACKEND_OPERATOR(ResidualPoolForward, ResidualPoolForwardArgs)
  RB_CPU_BACKEND_OPERATOR(ResidualPoolBackward, ResidualPoolBackwardArgs)
  RB_CPU_BACKEND_OPERATOR(DenseForward, DenseForwardArgs)
  RB_CPU_BACKEND_OPERATOR(DenseBackward, DenseBackwardArgs)
  RB_CPU_BACKEND_OPERATOR(HeadForwardBackward, HeadArgs)
  RB_CPU_BACKEND_OPERATOR(Adam, AdamArgs)
#undef RB_CPU_BACKEND_OPERATOR

  absl::StatusOr<std::unique_ptr<Scorer>> NewScorer(const ScorerGeometry& geometry, const FoldedWeights& weights,
                                                    Precision precision) override {
    RB_RETURN_IF_ERROR(CheckScoringPrecision(precision));
    return std::make_unique<CpuFoldedScorer>(geometry, weights, precision, parallel_);
  }
  absl::StatusOr<std::unique_ptr<Folder>> NewFolder(int length, const FoldFactors& factors) override {
    return std::make_unique<CpuFolder>(length, factors, parallel_);
  }
  absl::StatusOr<std::unique_ptr<ModelsScorer>> NewModelsScorer(const ScorerGeometry& geometry,
                                                                const FoldedOffsets& offsets, Precision precision, int,
                                                                int64_t) override {
    RB_RETURN_IF_ERROR(CheckScoringPrecision(precision));
    return std::make_unique<CpuModelsScorer>(geometry, offsets, precision, parallel_);
  }

 private:
  Parallel& parallel_;
};

}  // namespace

template <class T>
std::unique_ptr<Backend<T>> MakeCpuBackend(Parallel& parallel) {
  return std::make_unique<CpuBackend<T>>(parallel);
}
template std::unique_ptr<Backend<float>> MakeCpuBackend<float>(Parallel&);
template std::unique_ptr<Backend<double>> MakeCpuBackend<double>(Parallel&);

}  // namespace rb
