#include "engine/check_machine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/argument_tensors.h"
#include "engine/check.h"
#include "engine/check_comparer.h"
#include "engine/check_scorer.h"

namespace rb {
namespace {

// Memory that exists twice: the CPU's is what callers hold, the device's its twin.
struct Block {
  size_t bytes = 0;
  unsigned char* device = nullptr;
};
class TwinMemory {
 public:
  void Add(void* host, size_t bytes, void* device) {
    blocks_[static_cast<unsigned char*>(host)] = {bytes, static_cast<unsigned char*>(device)};
  }
  void Remove(void* host) { blocks_.erase(static_cast<unsigned char*>(host)); }

  // The block that holds `pointer`: its host address and description.
  std::pair<unsigned char*, Block> Find(const void* pointer) const {
    unsigned char* at = static_cast<unsigned char*>(const_cast<void*>(pointer));
    auto next = blocks_.upper_bound(at);
    RB_CHECK(next != blocks_.begin());
    --next;
    RB_CHECK(at < next->first + next->second.bytes);
    return *next;
  }
  template <class V>
  V* Device(V* pointer) const {
    if (pointer == nullptr) return nullptr;
    const auto [host, block] = Find(pointer);
    const ptrdiff_t offset = reinterpret_cast<const unsigned char*>(pointer) - host;
    return reinterpret_cast<V*>(block.device + offset);
  }

 private:
  std::map<unsigned char*, Block> blocks_;
};

class TwinArena : public Arena {
 public:
  TwinArena(TwinMemory& memory, std::unique_ptr<Arena> host, std::unique_ptr<Arena> device)
      : memory_(memory), host_(std::move(host)), device_(std::move(device)) {}
  ~TwinArena() override {
    for (void* block : blocks_) memory_.Remove(block);
  }
  absl::StatusOr<void*> AllocateBytes(size_t bytes, const char* purpose) override {
    RB_ASSIGN_OR_RETURN(void* const host, host_->AllocateBytes(bytes, purpose));
    RB_ASSIGN_OR_RETURN(void* const device, device_->AllocateBytes(bytes, purpose));
    memory_.Add(host, std::max<size_t>(bytes, 1), device);
    blocks_.push_back(host);
    return host;
  }
  size_t allocated() const override { return host_->allocated() + device_->allocated(); }

 private:
  TwinMemory& memory_;
  std::unique_ptr<Arena> host_, device_;
  std::vector<void*> blocks_;
};

class CheckProgram : public Program {
 public:
  explicit CheckProgram(std::function<absl::Status()> body) : body_(std::move(body)) {}
  absl::Status Run() override { return body_(); }

 private:
  std::function<absl::Status()> body_;
};

template <class A>
class CheckMachine : public Backend<float, A> {
 public:
  CheckMachine(Parallel& parallel, std::unique_ptr<Machine> device, Precision precision)
      : cpu_(MakeCpuBackend<float>(parallel)),
        owner_(std::move(device)),
        device_(dynamic_cast<Backend<float, A>&>(*owner_)),
        precision_(precision),
        comparer_(precision) {}

  std::string Describe() const override {
    return absl::StrCat("check: ", cpu_->Describe(), " against ", device_.Describe());
  }
  absl::Status BindThread() override { return device_.BindThread(); }
  std::optional<size_t> FreeMemory() const override { return device_.FreeMemory(); }
  std::unique_ptr<Arena> NewArena() override {
    return std::make_unique<TwinArena>(memory_, cpu_->NewArena(), device_.NewArena());
  }
  int ModelsPerPass(int models) const override { return models; }
  absl::Status Upload(void* machine, const void* host, size_t bytes) override {
    std::memcpy(machine, host, bytes);
    return device_.Upload(memory_.Device(machine), host, bytes);
  }
  absl::Status Download(void* host, const void* machine, size_t bytes) override {
    std::memcpy(host, machine, bytes);
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<Program>> NewProgram(std::function<absl::Status()> body) override {
    return std::make_unique<CheckProgram>(std::move(body));
  }

#define RB_CHECK_OPERATOR(Name, ...)                                                                                \
  absl::Status Name(const __VA_ARGS__& args) override {                                                             \
    return Both(                                                                                                    \
        #Name, args, [&](const auto& a) { return cpu_->Name(a); }, [&](const auto& a) { return device_.Name(a); }); \
  }
  RB_CHECK_OPERATOR(BeginEpoch, BeginEpochArgs<float>)
  RB_CHECK_OPERATOR(BeginStep, BeginStepArgs<float>)
  RB_CHECK_OPERATOR(EndStep, EndStepArgs<float>)
  RB_CHECK_OPERATOR(BeginValidation, BeginValidationArgs<float>)
  RB_CHECK_OPERATOR(EndEpoch, EndEpochArgs<float>)
  RB_CHECK_OPERATOR(FoldNorm, FoldNormArgs<float>)
  RB_CHECK_OPERATOR(PairMetrics, PairMetricsArgs<float>)
  RB_CHECK_OPERATOR(EmbedConvForward, EmbedConvForwardArgs<float, A>)
  RB_CHECK_OPERATOR(EmbedConvBackward, EmbedConvBackwardArgs<float, A>)
  RB_CHECK_OPERATOR(EmbedConvInputGrad, EmbedConvInputGradArgs<float, A>)
  RB_CHECK_OPERATOR(BatchNormFinalize, BatchNormFinalizeArgs<float>)
  RB_CHECK_OPERATOR(BatchNormGradFinalize, BatchNormGradFinalizeArgs<float>)
  RB_CHECK_OPERATOR(DilatedConvForward, DilatedConvForwardArgs<float, A>)
  RB_CHECK_OPERATOR(DilatedConvBackward, DilatedConvBackwardArgs<float, A>)
  RB_CHECK_OPERATOR(ResidualPoolForward, ResidualPoolForwardArgs<float, A>)
  RB_CHECK_OPERATOR(ResidualPoolBackward, ResidualPoolBackwardArgs<float, A>)
  RB_CHECK_OPERATOR(DenseForward, DenseForwardArgs<float>)
  RB_CHECK_OPERATOR(DenseBackward, DenseBackwardArgs<float>)
  RB_CHECK_OPERATOR(HeadForwardBackward, HeadArgs<float>)
  RB_CHECK_OPERATOR(Adam, AdamArgs<float>)
#undef RB_CHECK_OPERATOR

  bool ConvolvesInPlace(int channels) const override { return device_.ConvolvesInPlace(channels); }

  // Its table of places needs a twin whose entries are places on the device.
  absl::Status Gather(const GatherArgs<float>& args) override {
    const auto [host, block] = memory_.Find(args.targets);
    std::vector<const float*> places(block.bytes / sizeof(float*));
    std::memcpy(places.data(), host, places.size() * sizeof(float*));
    for (const float*& place : places) place = memory_.Device(place);
    RB_RETURN_IF_ERROR(device_.Upload(block.device, places.data(), places.size() * sizeof(float*)));
    return Both(
        "Gather", args, [&](const auto& a) { return cpu_->Gather(a); },
        [&](const auto& a) { return device_.Gather(a); });
  }

  absl::StatusOr<std::unique_ptr<Scorer>> NewScorer(const ScorerGeometry& geometry, const FoldedWeights& weights,
                                                    Precision precision) override {
    RB_ASSIGN_OR_RETURN(auto cpu, cpu_->NewScorer(geometry, weights, Precision::kFp32));
    RB_ASSIGN_OR_RETURN(auto device, device_.NewScorer(geometry, weights, precision));
    return std::make_unique<CheckScorer>(std::move(cpu), std::move(device), precision);
  }
  absl::StatusOr<std::unique_ptr<Folder>> NewFolder(int length, const FoldFactors& factors) override {
    RB_ASSIGN_OR_RETURN(auto cpu, cpu_->NewFolder(length, factors));
    RB_ASSIGN_OR_RETURN(auto device, device_.NewFolder(length, factors));
    return std::make_unique<CheckFolder>(length, std::move(cpu), std::move(device));
  }
  absl::StatusOr<std::unique_ptr<ModelsScorer>> NewModelsScorer(const ScorerGeometry& geometry,
                                                                const FoldedOffsets& offsets, Precision precision,
                                                                int models, int64_t max_rows) override {
    RB_ASSIGN_OR_RETURN(auto cpu, cpu_->NewModelsScorer(geometry, offsets, Precision::kFp32, models, max_rows));
    RB_ASSIGN_OR_RETURN(auto device, device_.NewModelsScorer(geometry, offsets, precision, models, max_rows));
    return std::make_unique<CheckModelsScorer>(*this, std::move(cpu), std::move(device));
  }

 private:
  class CheckModelsScorer : public ModelsScorer {
   public:
    CheckModelsScorer(CheckMachine& machine, std::unique_ptr<ModelsScorer> cpu, std::unique_ptr<ModelsScorer> device)
        : machine_(machine), cpu_(std::move(cpu)), device_(std::move(device)) {}
    absl::Status Score(const ScoreModelsArgs& args) override {
      return machine_.Both(
          "Score", args, [&](const auto& a) { return cpu_->Score(a); },
          [&](const auto& a) { return device_->Score(a); });
    }

   private:
    CheckMachine& machine_;
    std::unique_ptr<ModelsScorer> cpu_, device_;
  };

  template <class Args, class OnCpu, class OnDevice>
  absl::Status Both(const char* name, const Args& args, const OnCpu& on_cpu, const OnDevice& on_device) {
    Args on_other = args;
    VisitTensors(on_other, [&](const char*, auto& tensor) { tensor = Twin(tensor); });
    RB_RETURN_IF_ERROR(on_device(on_other));
    if constexpr (requires { WithFloatActivations(args, *this); }) {
      widened_.clear();
      RB_RETURN_IF_ERROR(on_cpu(WithFloatActivations(args, *this)));
      Narrow();
    } else {
      RB_RETURN_IF_ERROR(on_cpu(args));
    }
    absl::Status status;
    Args mutable_args = args;
    VisitTensors(mutable_args, [&](const char* tensor, auto& value) {
      if (status.ok()) status = CompareTensor(name, tensor, value);
    });
    return status;
  }

  template <class V>
  PerModel<V> Twin(PerModel<V> tensor) const {
    return {memory_.Device(tensor.base), tensor.stride};
  }
  template <class V>
  V* Twin(V* pointer) const {
    return memory_.Device(pointer);
  }

  template <class V>
  absl::Status CompareTensor(const char* op, const char* tensor, PerModel<V> value) {
    return CompareBlock(op, tensor, value.base, value.stride);
  }
  template <class V>
  absl::Status CompareTensor(const char* op, const char* tensor, V* value) {
    return CompareBlock(op, tensor, value, 1);
  }
  // The whole allocation behind a tensor that the operator may have written; then the device's becomes the CPU's.
  template <class V>
  absl::Status CompareBlock(const char* op, const char* tensor, V* pointer, int64_t stride) {
    if constexpr (std::is_const_v<V>) {
      return absl::OkStatus();
    } else {
      if (pointer == nullptr) return absl::OkStatus();
      const auto [host, block] = memory_.Find(pointer);
      std::vector<unsigned char> other(block.bytes);
      RB_RETURN_IF_ERROR(device_.Download(other.data(), block.device, block.bytes));
      const std::string text =
          std::strcmp(tensor, "packed") == 0  // a workspace, laid out as each machine likes
              ? ""
              : comparer_.Compare(reinterpret_cast<const V*>(host), reinterpret_cast<const V*>(other.data()),
                                  static_cast<int64_t>(block.bytes / sizeof(V)), stride);
      if (!text.empty()) return absl::DataLossError(absl::StrCat("check: ", op, ", ", tensor, ": ", text));
      return device_.Upload(block.device, host, block.bytes);
    }
  }

 public:
  // A tensor of stored activations as floats, for the CPU. Those it may write are rounded back after the operator.
  template <class V>
  PerModel<std::conditional_t<std::is_const_v<V>, const float, float>> Widen(PerModel<V> tensor) {
    if (!tensor) return {};
    const auto [host, block] = memory_.Find(tensor.base);
    const A* from = reinterpret_cast<const A*>(host);
    const int64_t count = static_cast<int64_t>(block.bytes / sizeof(A));
    Widened& wide = widened_[host];
    if (wide.values.empty()) {
      // A vector's memory is not 128-byte aligned, as operators want it.
      wide.values.resize(static_cast<size_t>(count) + 32);
      wide.aligned = wide.values.data();
      while (reinterpret_cast<uintptr_t>(wide.aligned) % 128 != 0) ++wide.aligned;
      for (int64_t i = 0; i < count; ++i) wide.aligned[i] = from[i];
      wide.count = count;
    }
    wide.written |= !std::is_const_v<V>;
    return {wide.aligned + (tensor.base - from), tensor.stride};
  }

 private:
  struct Widened {
    std::vector<float> values;
    float* aligned = nullptr;
    int64_t count = 0;
    bool written = false;
  };
  void Narrow() {
    for (auto& [host, wide] : widened_) {
      A* to = reinterpret_cast<A*>(host);
      for (int64_t i = 0; wide.written && i < wide.count; ++i) to[i] = A(wide.aligned[i]);
    }
  }

  std::unique_ptr<Backend<float>> cpu_;
  std::unique_ptr<Machine> owner_;
  Backend<float, A>& device_;
  Precision precision_;
  Comparer comparer_;
  TwinMemory memory_;
  std::map<unsigned char*, Widened> widened_;  // by block
};

}  // namespace

std::unique_ptr<Machine> MakeCheckMachine(Parallel& parallel, std::unique_ptr<Machine> checked, Precision precision) {
  if (precision == Precision::kBf16) {
    return std::make_unique<CheckMachine<BFloat16>>(parallel, std::move(checked), precision);
  }
  return std::make_unique<CheckMachine<float>>(parallel, std::move(checked), precision);
}

}  // namespace rb
