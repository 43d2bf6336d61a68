#include "model/lockstep.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "engine/check.h"
#include "model/structure_tracks.h"
#include "model/upload.h"

namespace rb {

absl::StatusOr<std::unique_ptr<Lockstep>> Lockstep::Create(const TrainConfig& config, const Dataset& dataset, int slots,
                                                           const std::vector<const TrainJob*>& jobs, Machine& machine) {
  RB_CHECK(slots >= 1 && !jobs.empty());
  size_t train_rows = 1, valid_rows = 1;
  for (const TrainJob* job : jobs) {
    train_rows = std::max(train_rows, job->train_rows.size());
    valid_rows = std::max(valid_rows, job->valid_rows.size());
  }
  std::unique_ptr<Lockstep> lockstep(new Lockstep(config, machine));
  lockstep->arena_ = machine.NewArena();
  lockstep->slots_.resize(static_cast<size_t>(slots));
  lockstep->occupied_.resize(lockstep->slots_.size());
  RB_RETURN_IF_ERROR(lockstep->UploadSequences(dataset.sequences));
  // The configured batch even when no model has as many rows: nothing may depend on who else trains.
  RB_ASSIGN_OR_RETURN(lockstep->net_, NewNetwork(config.shape, slots, config.batch, lockstep->input_, machine));
  RB_RETURN_IF_ERROR(lockstep->AllocateSlots(static_cast<int64_t>(train_rows), dataset.num_probes()));
  RB_ASSIGN_OR_RETURN(lockstep->validation_,
                      Validation::Create(config, lockstep->input_, slots, static_cast<int64_t>(valid_rows),
                                         lockstep->net_->parameters(), machine));
  return lockstep;
}

size_t Lockstep::allocated() const { return arena_->allocated() + net_->allocated() + validation_->allocated(); }

absl::Status Lockstep::UploadSequences(const Sequences& sequences) {
  RB_ASSIGN_OR_RETURN(input_.bases, UploadNew(machine_, *arena_, sequences.bases, "packed bases"));
  std::vector<float> made;
  const std::vector<float>& tracks = TracksFor(config_.shape.structure, sequences, made);
  RB_ASSIGN_OR_RETURN(input_.tracks, UploadNew(machine_, *arena_, tracks, "structure tracks"));
  return absl::OkStatus();
}

absl::Status Lockstep::AllocateSlots(int64_t train_rows, int64_t sequences) {
  RB_ASSIGN_OR_RETURN(machine_slots_, arena_->Allocate<ModelSlot>(slots(), "model slots"));
  RB_ASSIGN_OR_RETURN(machine_states_, arena_->Allocate<StepState>(slots(), "step states"));
  RB_ASSIGN_OR_RETURN(machine_live_, arena_->Allocate<int32_t>(slots(), "live models"));
  RB_ASSIGN_OR_RETURN(machine_tick_, arena_->Allocate<int64_t>(1, "batch number"));
  RB_ASSIGN_OR_RETURN(machine_num_rows_, arena_->Allocate<int32_t>(slots(), "numbers of training rows"));
  RB_ASSIGN_OR_RETURN(machine_targets_, arena_->Allocate<const float*>(slots(), "places of targets"));
  RB_ASSIGN_OR_RETURN(machine_rows_, arena_->AllocatePerModel<int32_t>(slots(), train_rows, "training rows"));
  RB_ASSIGN_OR_RETURN(machine_best_,
                      arena_->AllocatePerModel<float>(slots(), net_->table().storage(), "best parameters"));
  targets_.resize(slots_.size());
  for (float*& targets : targets_) {
    RB_ASSIGN_OR_RETURN(targets, arena_->Allocate<float>(sequences, "targets"));
  }
  return UploadAll(machine_, machine_slots_, slots_);
}

absl::Status Lockstep::Load(int index, const TrainJob& job, const TrainState& state, const Dataset& dataset) {
  RB_CHECK(!occupied_[index] && static_cast<int64_t>(job.train_rows.size()) <= machine_rows_.stride);
  occupied_[index] = true;
  ModelSlot& slot = slots_[index];
  slot = {};
  const TrainConfig& config = job.model.config;
  slot.dropout_key = DeriveKey(config.seed, Purpose::kDropout, job.id);
  slot.order_key = DeriveKey(config.seed, Purpose::kEpochOrder, job.id);
  slot.plan = config.schedule;
  slot.train_rows = static_cast<int32_t>(job.train_rows.size());
  slot.valid_rows = static_cast<int32_t>(job.valid_rows.size());
  slot.active = true;
  slot.step = state.step;
  slot.beta1_power = PowerOfSteps(kAdamBeta1, state.step);
  slot.beta2_power = PowerOfSteps(kAdamBeta2, state.step);
  slot.schedule = state.schedule;
  RB_RETURN_IF_ERROR(machine_.Upload(machine_slots_ + index, &slot, sizeof(slot)));

  RB_ASSIGN_OR_RETURN(const std::vector<float> targets, TrainTargets(job, dataset));
  RB_RETURN_IF_ERROR(UploadAll(machine_, targets_[index], targets));
  RB_RETURN_IF_ERROR(UploadAll(machine_, machine_rows_[index], job.train_rows));
  RB_RETURN_IF_ERROR(machine_.Upload(machine_num_rows_ + index, &slot.train_rows, sizeof(slot.train_rows)));
  RB_RETURN_IF_ERROR(machine_.Upload(machine_targets_ + index, &targets_[index], sizeof(float*)));
  RB_RETURN_IF_ERROR(validation_->Load(index, job));

  const size_t storage = static_cast<size_t>(net_->table().storage());
  std::vector<float> initial(storage, 0.0f);
  const bool begun = !state.parameters.empty();
  RB_CHECK(!begun ||
           (state.parameters.size() == storage && state.adam_m.size() == storage && state.adam_v.size() == storage));
  RB_RETURN_IF_ERROR(UploadAll(machine_, net_->adam_m()[index], begun ? state.adam_m : initial));
  RB_RETURN_IF_ERROR(UploadAll(machine_, net_->adam_v()[index], begun ? state.adam_v : initial));
  if (!begun) InitializeParameters(net_->table(), config.seed, job.id, initial.data());
  RB_RETURN_IF_ERROR(UploadAll(machine_, net_->parameters()[index], begun ? state.parameters : initial));
  return UploadAll(machine_, machine_best_[index], state.best);
}

absl::Status Lockstep::Release(int index) {
  occupied_[index] = false;
  slots_[index] = {};
  return machine_.Upload(machine_slots_ + index, &slots_[index], sizeof(ModelSlot));
}

int64_t Lockstep::SequencesInEpoch() const {
  int64_t sequences = 0;
  for (const ModelSlot& slot : slots_) sequences += slot.train_rows;  // 0 in a free slot
  return sequences;
}

absl::StatusOr<Program*> Lockstep::StepOfCapacity(int capacity) {
  std::unique_ptr<Program>& program = steps_[capacity];
  if (program != nullptr) return program.get();
  const Models models{machine_states_, machine_live_, capacity};
  const BatchSource source{machine_rows_, machine_num_rows_, machine_targets_};
  RB_ASSIGN_OR_RETURN(program, machine_.NewProgram([this, models, source]() -> absl::Status {
    RB_RETURN_IF_ERROR(machine_.BeginStep({List(slots()), config_.batch, machine_tick_, machine_states_}));
    RB_RETURN_IF_ERROR(net_->Train(models, source));
    return machine_.EndStep({List(slots()), machine_tick_, machine_states_, net_->losses()});
  }));
  return program.get();
}

absl::Status Lockstep::TrainEpoch(const std::function<bool(int64_t)>& tick) {
  int64_t most = 0;
  int active = 0;
  for (const ModelSlot& slot : slots_) {
    if (!slot.active) continue;
    most = std::max<int64_t>(most, slot.train_rows);
    ++active;
  }
  // A step for 1, 2, 4 .. models: few programs, at most half of each idle.
  const int capacity = std::min(slots(), static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(1, active)))));
  RB_ASSIGN_OR_RETURN(Program* const step, StepOfCapacity(capacity));
  RB_RETURN_IF_ERROR(machine_.BeginEpoch({List(slots()), machine_tick_}));
  for (int64_t first = 0; first < most; first += config_.batch) {
    RB_RETURN_IF_ERROR(step->Run());
    int64_t done = 0;
    for (const ModelSlot& slot : slots_) done += std::min<int64_t>(slot.train_rows, first + config_.batch);
    if (!tick(done)) return absl::CancelledError("stopped on request");
  }
  return absl::OkStatus();
}

absl::Status Lockstep::RunEpoch(const std::function<bool(int64_t)>& tick) {
  RB_RETURN_IF_ERROR(TrainEpoch(tick));
  RB_RETURN_IF_ERROR(validation_->Run(List(slots())));
  RB_RETURN_IF_ERROR(machine_.EndEpoch(
      {List(slots()), validation_->metrics(), net_->table().storage(), net_->parameters(), machine_best_}));
  RB_RETURN_IF_ERROR(machine_.Download(slots_.data(), machine_slots_, slots_.size() * sizeof(ModelSlot)));
  return validation_->Read();
}

Lockstep::EpochResult Lockstep::Result(int index) const {
  const ModelSlot& slot = slots_[index];
  EpochResult result;
  result.loss = slot.finite ? slot.loss_sum / slot.train_rows : std::numeric_limits<double>::quiet_NaN();
  result.step = slot.step;
  result.validation = validation_->Result(index);
  result.schedule = slot.schedule;
  result.saved = slot.saved;
  return result;
}

absl::Status Lockstep::DownloadValues(PerModel<float> from, int slot, std::vector<float>* values) {
  values->resize(static_cast<size_t>(net_->table().storage()));
  return machine_.Download(values->data(), from[slot], values->size() * sizeof(float));
}

absl::Status Lockstep::DownloadParameters(int slot, std::vector<float>* parameters) {
  return DownloadValues(net_->parameters(), slot, parameters);
}

absl::Status Lockstep::DownloadBest(int slot, std::vector<float>* best) {
  return DownloadValues(machine_best_, slot, best);
}

absl::Status Lockstep::DownloadMoments(int slot, std::vector<float>* m, std::vector<float>* v) {
  RB_RETURN_IF_ERROR(DownloadValues(net_->adam_m(), slot, m));
  return DownloadValues(net_->adam_v(), slot, v);
}

}  // namespace rb
