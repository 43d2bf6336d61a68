// A device as a Machine and Backend: arena and programs over a runtime, every operator a launch. The template is made
// once for CUDA (engine/cuda_machine.cc) and once for the emulation (engine/emulated_machine.cc).
//
// `Operators` is a struct with a static function per operator, Operators::Gather(args, run) and so on; see
// RB_DEVICE_OPERATORS_STRUCT.
#ifndef RB_ENGINE_DEVICE_MACHINE_H_
#define RB_ENGINE_DEVICE_MACHINE_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/backend.h"
#include "engine/check.h"
#include "engine/device_folder.h"
#include "engine/device_runtime.h"
#include "engine/device_scorer.h"

namespace rb {

// One name for the operators of namespace rb::Namespace.
#define RB_DEVICE_FORWARD(Namespace, Name)                          \
  template <class Args>                                             \
  static DeviceError Name(const Args& args, const DeviceRun& run) { \
    return ::rb::Namespace::Name(args, run);                        \
  }
#define RB_DEVICE_OPERATORS_STRUCT(Struct, Namespace)                                      \
  struct Struct {                                                                          \
    static const char* Text(DeviceError e) { return ::rb::Namespace::DeviceErrorText(e); } \
    RB_DEVICE_FORWARD(Namespace, BeginEpoch)                                               \
    RB_DEVICE_FORWARD(Namespace, BeginStep)                                                \
    RB_DEVICE_FORWARD(Namespace, EndStep)                                                  \
    RB_DEVICE_FORWARD(Namespace, BeginValidation)                                          \
    RB_DEVICE_FORWARD(Namespace, EndEpoch)                                                 \
    RB_DEVICE_FORWARD(Namespace, FoldNorm)                                                 \
    RB_DEVICE_FORWARD(Namespace, PairMetrics)                                              \
    RB_DEVICE_FORWARD(Namespace, Gather)                                                   \
    RB_DEVICE_FORWARD(Namespace, EmbedConvForward)                                         \
    RB_DEVICE_FORWARD(Namespace, EmbedConvBackward)                                        \
    RB_DEVICE_FORWARD(Namespace, EmbedConvInputGrad)                                       \
    RB_DEVICE_FORWARD(Namespace, BatchNormFinalize)                                        \
    RB_DEVICE_FORWARD(Namespace, BatchNormGradFinalize)                                    \
    RB_DEVICE_FORWARD(Namespace, DilatedConvForward)                                       \
    RB_DEVICE_FORWARD(Namespace, DilatedConvBackward)                                      \
    RB_DEVICE_FORWARD(Namespace, ResidualPoolForward)                                      \
    RB_DEVICE_FORWARD(Namespace, ResidualPoolBackward)                                     \
    RB_DEVICE_FORWARD(Namespace, DenseForward)                                             \
    RB_DEVICE_FORWARD(Namespace, DenseBackward)                                            \
    RB_DEVICE_FORWARD(Namespace, HeadForwardBackward)                                      \
    RB_DEVICE_FORWARD(Namespace, Adam)                                                     \
    RB_DEVICE_FORWARD(Namespace, PackScorer)                                               \
    RB_DEVICE_FORWARD(Namespace, ScoreSequences)                                           \
    RB_DEVICE_FORWARD(Namespace, MergeEffects)                                             \
    RB_DEVICE_FORWARD(Namespace, RankEffects)                                              \
    RB_DEVICE_FORWARD(Namespace, Fold)                                                     \
  }

class DeviceArena : public Arena {
 public:
  explicit DeviceArena(DeviceRuntime& runtime) : runtime_(runtime) {}
  ~DeviceArena() override {
    for (void* block : blocks_) runtime_.Free(block);
  }
  absl::StatusOr<void*> AllocateBytes(size_t bytes, const char* purpose) override {
    auto memory = runtime_.Allocate(std::max<size_t>(bytes, 128));
    if (!memory.ok()) {
      return absl::Status(memory.status().code(),
                          absl::StrCat("no memory for ", purpose, ": ", bytes >> 20, " MiB asked, ", allocated_ >> 20,
                                       " MiB held already (", memory.status().message(), ")"));
    }
    blocks_.push_back(*memory);
    allocated_ += bytes;
    return *memory;
  }
  size_t allocated() const override { return allocated_; }

 private:
  DeviceRuntime& runtime_;
  std::vector<void*> blocks_;
  size_t allocated_ = 0;
};

// The graph of a body, recorded at its first run.
class DeviceProgram : public Program {
 public:
  DeviceProgram(DeviceRuntime& runtime, std::function<absl::Status()> body)
      : runtime_(runtime), body_(std::move(body)) {}
  absl::Status Run() override {
    if (graph_ == nullptr) {
      RB_ASSIGN_OR_RETURN(graph_, runtime_.Record(body_));
    }
    return graph_->Launch();
  }

 private:
  DeviceRuntime& runtime_;
  std::function<absl::Status()> body_;
  std::unique_ptr<DeviceGraph> graph_;
};

template <class Operators, class A>
class DeviceMachine : public Backend<float, A> {
 public:
  DeviceMachine(std::unique_ptr<DeviceRuntime> runtime, Precision precision)
      : runtime_(std::move(runtime)), run_{runtime_->stream(), precision} {}

  std::string Describe() const override { return runtime_->Describe(); }
  absl::Status BindThread() override { return runtime_->BindThread(); }
  std::optional<size_t> FreeMemory() const override { return runtime_->FreeMemory(); }
  void* stream() const override { return run_.stream; }
  std::unique_ptr<Arena> NewArena() override { return std::make_unique<DeviceArena>(*runtime_); }
  int ModelsPerPass(int models) const override { return models; }
  absl::Status Upload(void* machine, const void* host, size_t bytes) override {
    return runtime_->CopyToDevice(machine, host, bytes);
  }
  absl::Status Download(void* host, const void* machine, size_t bytes) override {
    return runtime_->CopyToHost(host, machine, bytes);
  }
  absl::StatusOr<std::unique_ptr<Program>> NewProgram(std::function<absl::Status()> body) override {
    return std::make_unique<DeviceProgram>(*runtime_, std::move(body));
  }

  // One block has all channels of its rows up to three panels (kernels/dilated_conv_backward.cu).
  bool ConvolvesInPlace(int channels) const override { return channels <= 96; }

#define RB_DEVICE_MACHINE_OPERATOR(Name, ...)                                            \
  absl::Status Name(const __VA_ARGS__& args) override {                                  \
    return DeviceStatus<Operators>(Operators::Name(args, run_), #Name, ShapeText(args)); \
  }
  RB_DEVICE_MACHINE_OPERATOR(BeginEpoch, BeginEpochArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(BeginStep, BeginStepArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(EndStep, EndStepArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(BeginValidation, BeginValidationArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(EndEpoch, EndEpochArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(FoldNorm, FoldNormArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(PairMetrics, PairMetricsArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(Gather, GatherArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(EmbedConvForward, EmbedConvForwardArgs<float, A>)
  RB_DEVICE_MACHINE_OPERATOR(EmbedConvBackward, EmbedConvBackwardArgs<float, A>)
  RB_DEVICE_MACHINE_OPERATOR(EmbedConvInputGrad, EmbedConvInputGradArgs<float, A>)
  RB_DEVICE_MACHINE_OPERATOR(BatchNormFinalize, BatchNormFinalizeArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(BatchNormGradFinalize, BatchNormGradFinalizeArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(DilatedConvForward, DilatedConvForwardArgs<float, A>)
  RB_DEVICE_MACHINE_OPERATOR(DilatedConvBackward, DilatedConvBackwardArgs<float, A>)
  RB_DEVICE_MACHINE_OPERATOR(ResidualPoolForward, ResidualPoolForwardArgs<float, A>)
  RB_DEVICE_MACHINE_OPERATOR(ResidualPoolBackward, ResidualPoolBackwardArgs<float, A>)
  RB_DEVICE_MACHINE_OPERATOR(DenseForward, DenseForwardArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(DenseBackward, DenseBackwardArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(HeadForwardBackward, HeadArgs<float>)
  RB_DEVICE_MACHINE_OPERATOR(Adam, AdamArgs<float>)
#undef RB_DEVICE_MACHINE_OPERATOR

  absl::StatusOr<std::unique_ptr<Scorer>> NewScorer(const ScorerGeometry& geometry, const FoldedWeights& weights,
                                                    Precision precision) override {
    return DeviceScorer<Operators>::Create(*this, {run_.stream, precision}, geometry, weights,
                                           runtime_->scorer_blocks());
  }
  absl::StatusOr<std::unique_ptr<Folder>> NewFolder(int length, const FoldFactors& factors) override {
    return DeviceFolder<Operators>::Create(*this, run_, length, factors);
  }
  absl::StatusOr<std::unique_ptr<ModelsScorer>> NewModelsScorer(const ScorerGeometry& geometry,
                                                                const FoldedOffsets& offsets, Precision precision,
                                                                int models, int64_t) override {
    return DeviceModelsScorer<Operators>::Create(*this, {run_.stream, precision}, geometry, offsets, models,
                                                 runtime_->scorer_blocks());
  }

 protected:
  const DeviceRun& run() const { return run_; }

 private:
  // What an error message says of an operator's shape.
  template <class Args>
  static std::string ShapeText(const Args& args) {
    if constexpr (requires { args.geometry.length; }) {
      return absl::StrCat("length ", args.geometry.length, ", batch ", args.geometry.batch);
    } else if constexpr (requires { args.batch; }) {
      return absl::StrCat("batch ", args.batch);
    } else {
      return "";
    }
  }

  std::unique_ptr<DeviceRuntime> runtime_;
  DeviceRun run_;
};

}  // namespace rb

#endif  // RB_ENGINE_DEVICE_MACHINE_H_
