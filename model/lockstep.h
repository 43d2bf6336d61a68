// Models in slots on one machine, trained in step: tick t of an epoch runs batch t of every model that still has rows.
//
// Each model keeps its own rows, order, step count, learning rate and random keys, so that what happens to it is the
// same whichever models sit in the other slots, and whichever epoch those are in. All of that lives on the machine
// (kernels/model_slot.h): an epoch, its validation and what the schedule makes of it run without a word from the host,
// which reads the slots once an epoch.
#ifndef RB_MODEL_LOCKSTEP_H_
#define RB_MODEL_LOCKSTEP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "engine/machine.h"
#include "model/checkpoint.h"
#include "model/residualbind.h"
#include "model/train_job.h"
#include "model/validation.h"

namespace rb {

class Lockstep {
 public:
  // Uploads the sequences and allocates `slots` slots, each for at most as many training and validation rows as the
  // largest of `jobs`. Of `config` everything counts but what each model brings with it: seed, replicate, schedule and
  // transform.
  static absl::StatusOr<std::unique_ptr<Lockstep>> Create(const TrainConfig& config, const Dataset& dataset, int slots,
                                                          const std::vector<const TrainJob*>& jobs, Machine& machine);

  int slots() const { return static_cast<int>(slots_.size()); }
  bool occupied(int slot) const { return occupied_[slot]; }
  size_t allocated() const;  // bytes of the machine's memory

  // Puts a model into a slot: from its state, or initialised when it has not begun.
  // Its settings must agree with the config in everything else.
  absl::Status Load(int slot, const TrainJob& job, const TrainState& state, const Dataset& dataset);
  // Takes it out again.
  absl::Status Release(int slot);

  // One epoch of every occupied slot, validated and judged by the schedule. `tick(sequences)` hears after each batch
  // how many sequences all models have been given in this epoch; when it returns false the epoch is left and the status
  // is kCancelled.
  absl::Status RunEpoch(const std::function<bool(int64_t)>& tick);
  int64_t SequencesInEpoch() const;

  struct EpochResult {
    double loss = 0;  // mean over the epoch's rows; NaN: a batch's was not finite and the model ended there
    uint64_t step = 0;
    ValidationResult validation;
    ScheduleState schedule;  // after the epoch
    bool saved = false;      // its parameters are the best so far
  };
  EpochResult Result(int slot) const;

  // The model's values: those of a live one, and the best so far (valid once an epoch was saved).
  absl::Status DownloadParameters(int slot, std::vector<float>* parameters);
  absl::Status DownloadBest(int slot, std::vector<float>* best);
  absl::Status DownloadMoments(int slot, std::vector<float>* m, std::vector<float>* v);

 private:
  Lockstep(const TrainConfig& config, Machine& machine) : config_(config), machine_(machine) {}
  absl::Status UploadSequences(const Sequences& sequences);
  absl::Status AllocateSlots(int64_t train_rows, int64_t sequences);
  SlotList List(int count) const { return {machine_slots_, count, machine_live_}; }
  // The recorded step of the first `capacity` entries of the live list.
  absl::StatusOr<Program*> StepOfCapacity(int capacity);
  absl::Status TrainEpoch(const std::function<bool(int64_t)>& tick);
  absl::Status DownloadValues(PerModel<float> from, int slot, std::vector<float>* values);

  TrainConfig config_;
  Machine& machine_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<Network<float>> net_;
  std::unique_ptr<Validation> validation_;
  NetworkInput input_;
  std::vector<bool> occupied_;
  std::vector<ModelSlot> slots_;  // as the machine has them between epochs
  std::map<int, std::unique_ptr<Program>> steps_;

  // On the machine.
  ModelSlot* machine_slots_ = nullptr;
  int32_t* machine_live_ = nullptr;
  int64_t* machine_tick_ = nullptr;
  StepState* machine_states_ = nullptr;
  int32_t* machine_num_rows_ = nullptr;
  const float** machine_targets_ = nullptr;
  std::vector<float*> targets_;     // by slot, [sequences]
  PerModel<int32_t> machine_rows_;  // [train rows]
  PerModel<float> machine_best_;    // parameters of each model's best epoch
};

}  // namespace rb

#endif  // RB_MODEL_LOCKSTEP_H_
