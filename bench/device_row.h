// One row of a device benchmark, and the memory and machines that rows work with.
#ifndef RB_BENCH_DEVICE_ROW_H_
#define RB_BENCH_DEVICE_ROW_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/train/synthetic.h"
#include "bench/device_options.h"
#include "bench/operator_bed.h"
#include "engine/backend.h"

namespace rb::bench {

class Workbench;

struct DeviceRow {
  std::string name;  // DilatedConvForward/d2/bf16/M244/ours
  Precision precision = Precision::kFp32;
  int models = 1;
  // Of one launch over all models. Bytes: every input read once, every output written once.
  double flops = 0, bytes = 0, sequences = 0;
  bool rotates = false;  // has input sets to take in turn
  // Puts one launch on the machine's stream. The first call may allocate; later ones may be recorded.
  std::function<absl::Status(Workbench&, int set)> queue;
  std::function<absl::Status(Workbench&)> before;  // untimed, before each timed stretch
  int most_launches = 1000;                        // in a recorded program
  std::function<std::string(Workbench&)> note;     // what else is worth knowing once the row has run
};

// A peer's own state (a library handle, buffers), kept with the machine it belongs to.
class Peer {
 public:
  virtual ~Peer() = default;
};

// The machine of the current precision and what rows share on it. Rows come in order of precision and models.
class Workbench {
 public:
  explicit Workbench(const DeviceOptions& options) : options_(options) {}

  const DeviceOptions& options() const { return options_; }
  // Drops what another precision or number of models needed.
  absl::Status Open(Precision precision, int models);
  Machine& machine() { return *machine_; }
  int models() const { return models_; }
  Precision precision() const { return precision_; }

  template <class A>
  absl::StatusOr<OperatorBed<A>*> operators() {
    auto& bed = std::get<std::unique_ptr<OperatorBed<A>>>(beds_);
    if (bed == nullptr) {
      RB_ASSIGN_OR_RETURN(bed, OperatorBed<A>::Create(options_.shape, models_, options_.batch, *machine_));
    }
    return bed.get();
  }
  absl::StatusOr<apps::SyntheticTraining*> training();
  // Made by `make` on first use, kept until the next Open that changes something.
  template <class P>
  absl::StatusOr<P*> peer(const std::function<absl::StatusOr<std::unique_ptr<P>>()>& make) {
    for (const auto& peer : peers_) {
      if (auto* found = dynamic_cast<P*>(peer.get())) return found;
    }
    RB_ASSIGN_OR_RETURN(std::unique_ptr<P> made, make());
    P* const raw = made.get();
    peers_.push_back(std::move(made));
    return raw;
  }
  // For each group of models: f(first, count).
  absl::Status ForGroups(const std::function<absl::Status(int, int)>& f) const;

 private:
  DeviceOptions options_;
  Precision precision_ = Precision::kFp32;
  int models_ = 0;
  std::unique_ptr<Machine> machine_;
  std::tuple<std::unique_ptr<OperatorBed<float>>, std::unique_ptr<OperatorBed<BFloat16>>> beds_;
  std::unique_ptr<apps::SyntheticTraining> training_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

// All rows that the options ask for, in the order in which they should run.
std::vector<DeviceRow> DeviceRows(const DeviceOptions& options);

}  // namespace rb::bench

#endif  // RB_BENCH_DEVICE_ROW_H_
