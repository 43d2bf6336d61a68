#include <regex>

#include "absl/strings/str_cat.h"
#include "bench/device_memory.h"
#include "bench/device_row.h"
#include "bench/row_maker.h"
#include "engine/check.h"

namespace rb::bench {
namespace {

// Buffers for copies, one pair a set.
class CopyPeer : public Peer {
 public:
  absl::Status Queue(Workbench& bench, size_t bytes, int set) {
    const size_t pair = 2 * bytes;
    RB_RETURN_IF_ERROR(memory_.Reserve(pair * (static_cast<size_t>(set) + 1)));  // grows in the first, unrecorded calls
    char* const from = static_cast<char*>(memory_.data()) + pair * static_cast<size_t>(set);
    return CudaStatus(cudaMemcpyAsync(from + bytes, from, bytes, cudaMemcpyDeviceToDevice,
                                      static_cast<cudaStream_t>(bench.machine().stream())),
                      "copying");
  }

 private:
  DeviceMemory memory_;
};

}  // namespace

absl::Status QueueCopy(Workbench& bench, size_t bytes, int set) {
  RB_ASSIGN_OR_RETURN(CopyPeer* const peer, bench.peer<CopyPeer>([] { return std::make_unique<CopyPeer>(); }));
  return peer->Queue(bench, bytes, set);
}

absl::Status Workbench::Open(Precision precision, int models) {
  if (machine_ != nullptr && precision == precision_ && models == models_) return absl::OkStatus();
  peers_.clear();
  training_.reset();
  beds_ = {};
  machine_.reset();
  precision_ = precision;
  models_ = models;
  if (options_.emulated) {
    machine_ = MakeEmulatedMachine(precision);
  } else {
    RB_ASSIGN_OR_RETURN(machine_, MakeCudaMachine(options_.device, precision));
  }
  return absl::OkStatus();
}

absl::StatusOr<apps::SyntheticTraining*> Workbench::training() {
  if (training_ == nullptr) {
    apps::SyntheticOptions options;
    options.shape = options_.shape;
    options.models = models_;
    options.batch = options_.batch;
    options.sequences = options_.sequences;
    options.train_rows = static_cast<int>(std::max<int64_t>(options_.batch, options_.sequences * 9 / 20));
    options.group = options_.group;
    RB_ASSIGN_OR_RETURN(training_, apps::SyntheticTraining::Create(options, *machine_));
  }
  return training_.get();
}

absl::Status Workbench::ForGroups(const std::function<absl::Status(int, int)>& f) const {
  const int group = options_.group > 0 ? options_.group : models_;
  for (int first = 0; first < models_; first += group) {
    RB_RETURN_IF_ERROR(f(first, std::min(group, models_ - first)));
  }
  return absl::OkStatus();
}

namespace {

template <class A>
void AddRows(const DeviceOptions& options, Precision precision, int models, std::vector<DeviceRow>& rows) {
  RowMaker<A> maker(options, precision, models, rows);
  AddConvolutionRows(maker);
  AddOtherRows(maker);
  // A step is its fused operators; layers that a row stands for several times (batch norm's ends) are too small to
  // count.
  DeviceOptions fused = options;
  fused.variants = {"fused"}, fused.peers = {};
  std::vector<DeviceRow> step;
  RowMaker<A> operators(fused, precision, 1, step);
  AddConvolutionRows(operators);
  AddOtherRows(operators);
  double bytes = 0;
  for (const DeviceRow& row : step) bytes += row.name.rfind("EmbedConvInputGrad", 0) == 0 ? 0 : row.bytes;
  AddStepRows(options, precision, models, bytes, rows);
}

}  // namespace

std::vector<DeviceRow> DeviceRows(const DeviceOptions& options) {
  std::vector<DeviceRow> rows, chosen;
  for (const std::string& precision : options.precisions) {
    for (const int models : options.models) {
      if (precision == "bf16") {
        AddRows<BFloat16>(options, PrecisionOf(precision), models, rows);
      } else {
        AddRows<float>(options, PrecisionOf(precision), models, rows);
      }
    }
  }
  AddFoldRows(options, rows);
  const std::regex wanted(options.operators);
  for (DeviceRow& row : rows) {
    if (std::regex_search(row.name, wanted)) chosen.push_back(std::move(row));
  }
  return chosen;
}

}  // namespace rb::bench
