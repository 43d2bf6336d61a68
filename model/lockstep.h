// Models in slots on one machine, trained in step: tick t of an epoch runs batch t of every model that still has rows.
//
// Each model keeps its own rows, order, step count, learning rate and random keys, so that what happens to it is the
// same whichever models sit in the other slots, and whichever epoch those are in.
#ifndef RB_MODEL_LOCKSTEP_H_
#define RB_MODEL_LOCKSTEP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "engine/backend.h"
#include "model/checkpoint.h"
#include "model/residualbind.h"
#include "model/train_job.h"

namespace rb {

// lr * sqrt(1 - 0.999^t) / (1 - 0.9^t), t = step + 1, in double.
double AdamAlpha(double learning_rate, uint64_t step);

// Keys of one model: dropout, and the order of training rows in its epoch number `epoch` (0-based).
uint64_t DropoutKey(uint64_t seed, uint64_t model_id);
uint64_t EpochKey(uint64_t seed, uint64_t model_id, int epoch);

class Lockstep {
 public:
  // Uploads the sequences and allocates `slots` slots, each for at most max_rows training rows.
  static absl::StatusOr<std::unique_ptr<Lockstep>> Create(const TrainConfig& config, const Dataset& dataset, int slots,
                                                          int64_t max_rows, Backend<float>& backend);

  int slots() const { return static_cast<int>(slots_.size()); }
  bool occupied(int slot) const { return slots_[slot].occupied; }

  // Puts a model into a slot: from its state, or initialised when it has not begun.
  absl::Status Load(int slot, const TrainJob& job, const TrainState& state, const Dataset& dataset);
  void Release(int slot) { slots_[slot].occupied = false; }

  // One epoch of every occupied slot at its state's learning rate. `tick(sequences)` hears after each batch how many
  // sequences all models have trained on in this epoch; when it returns false the epoch is left and the status is
  // kCancelled.
  absl::Status RunEpoch(const std::function<bool(int64_t)>& tick);
  int64_t SequencesInEpoch() const;

  struct EpochResult {
    double loss = 0;  // mean over the epoch's rows; not finite: the model left the epoch at that batch
    uint64_t step = 0;
  };
  EpochResult Result(int slot) const;
  // What the next epoch uses.
  void Advance(int slot, const ScheduleState& schedule);

  absl::Status DownloadParameters(int slot, std::vector<float>* parameters);
  absl::Status DownloadMoments(int slot, std::vector<float>* m, std::vector<float>* v);

 private:
  struct Slot {
    bool occupied = false;
    uint64_t id = 0;
    int epoch = 0;
    double learning_rate = 0;
    uint64_t step = 0;
    int64_t rows = 0;
    double loss_sum = 0;  // over the rows of this epoch so far
    bool finite = true;
    float* targets = nullptr;  // on the machine, [sequences]
  };

  Lockstep(const TrainConfig& config, Backend<float>& backend) : config_(config), backend_(backend) {}
  absl::Status UploadSequences(const Sequences& sequences, ResidualBind<float>::Input* input);
  absl::Status AllocateSlots(int slots, int64_t max_rows, int64_t sequences);
  // Fills states_ and live_ for batch `tick`; false when no model has rows left.
  bool PrepareTick(int64_t tick);
  absl::Status RunTick(int64_t tick);
  absl::Status CollectLosses();

  TrainConfig config_;
  Backend<float>& backend_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<ResidualBind<float>> net_;
  std::vector<Slot> slots_;
  // On the host and, uploaded every tick, on the machine.
  std::vector<StepState> states_;
  std::vector<int32_t> live_;
  std::vector<double> losses_;
  StepState* machine_states_ = nullptr;
  int32_t* machine_live_ = nullptr;
  int32_t* machine_num_rows_ = nullptr;
  const float** machine_targets_ = nullptr;
  PerModel<int32_t> machine_rows_;  // [max_rows] training rows
};

}  // namespace rb

#endif  // RB_MODEL_LOCKSTEP_H_
