#include "model/lockstep.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/check.h"
#include "kernels/philox.h"

namespace rb {
namespace {

template <class T>
absl::StatusOr<T*> UploadNew(Backend<float>& backend, Arena& arena, const std::vector<T>& values, const char* purpose) {
  if (values.empty()) return nullptr;
  RB_ASSIGN_OR_RETURN(T* const machine, arena.Allocate<T>(static_cast<int64_t>(values.size()), purpose));
  RB_RETURN_IF_ERROR(backend.Upload(machine, values.data(), values.size() * sizeof(T)));
  return machine;
}

}  // namespace

double AdamAlpha(double learning_rate, uint64_t step) {
  const double t = static_cast<double>(step) + 1;
  return learning_rate * std::sqrt(1 - std::pow(0.999, t)) / (1 - std::pow(0.9, t));
}

uint64_t DropoutKey(uint64_t seed, uint64_t model_id) { return DeriveKey(seed, Purpose::kDropout, model_id); }

uint64_t EpochKey(uint64_t seed, uint64_t model_id, int epoch) {
  const uint64_t of_model = DeriveKey(seed, Purpose::kEpochOrder, model_id);
  return DeriveKey(of_model, Purpose::kEpochOrder, static_cast<uint64_t>(epoch));
}

absl::StatusOr<std::unique_ptr<Lockstep>> Lockstep::Create(const TrainConfig& config, const Dataset& dataset, int slots,
                                                           int64_t max_rows, Backend<float>& backend) {
  RB_CHECK(slots >= 1 && max_rows >= 1);
  std::unique_ptr<Lockstep> lockstep(new Lockstep(config, backend));
  lockstep->arena_ = backend.NewArena();
  ResidualBind<float>::Input input;
  RB_RETURN_IF_ERROR(lockstep->UploadSequences(dataset.sequences, &input));
  RB_RETURN_IF_ERROR(lockstep->AllocateSlots(slots, max_rows, dataset.num_probes()));
  // The configured batch even when no model has as many rows: nothing may depend on who else trains.
  RB_ASSIGN_OR_RETURN(lockstep->net_, ResidualBind<float>::Create(config.shape, slots, config.batch, input, backend));
  lockstep->losses_.resize(static_cast<size_t>(lockstep->net_->losses().stride * slots));
  return lockstep;
}

absl::Status Lockstep::UploadSequences(const Sequences& sequences, ResidualBind<float>::Input* input) {
  RB_ASSIGN_OR_RETURN(input->bases, UploadNew(backend_, *arena_, sequences.bases, "packed bases"));
  RB_ASSIGN_OR_RETURN(input->tracks, UploadNew(backend_, *arena_, sequences.tracks, "structure tracks"));
  return absl::OkStatus();
}

absl::Status Lockstep::AllocateSlots(int slots, int64_t max_rows, int64_t sequences) {
  slots_.resize(static_cast<size_t>(slots));
  states_.resize(slots_.size());
  RB_ASSIGN_OR_RETURN(machine_states_, arena_->Allocate<StepState>(slots, "step states"));
  RB_ASSIGN_OR_RETURN(machine_live_, arena_->Allocate<int32_t>(slots, "live models"));
  RB_ASSIGN_OR_RETURN(machine_num_rows_, arena_->Allocate<int32_t>(slots, "numbers of training rows"));
  RB_ASSIGN_OR_RETURN(machine_targets_, arena_->Allocate<const float*>(slots, "places of targets"));
  RB_ASSIGN_OR_RETURN(machine_rows_, arena_->AllocatePerModel<int32_t>(slots, max_rows, "training rows"));
  for (Slot& slot : slots_) {
    RB_ASSIGN_OR_RETURN(slot.targets, arena_->Allocate<float>(sequences, "targets"));
  }
  return absl::OkStatus();
}

absl::Status Lockstep::Load(int index, const TrainJob& job, const TrainState& state, const Dataset& dataset) {
  Slot& slot = slots_[index];
  RB_CHECK(!slot.occupied && static_cast<int64_t>(job.train_rows.size()) <= machine_rows_.stride);
  slot.occupied = true;
  slot.id = job.id;
  slot.rows = static_cast<int64_t>(job.train_rows.size());
  slot.step = state.step;
  Advance(index, state.schedule);

  RB_ASSIGN_OR_RETURN(const std::vector<float> targets, TrainTargets(job, dataset));
  RB_RETURN_IF_ERROR(backend_.Upload(slot.targets, targets.data(), targets.size() * sizeof(float)));
  RB_RETURN_IF_ERROR(
      backend_.Upload(machine_rows_[index], job.train_rows.data(), job.train_rows.size() * sizeof(int32_t)));
  const int32_t num_rows = static_cast<int32_t>(slot.rows);
  RB_RETURN_IF_ERROR(backend_.Upload(machine_num_rows_ + index, &num_rows, sizeof(num_rows)));
  RB_RETURN_IF_ERROR(backend_.Upload(machine_targets_ + index, &slot.targets, sizeof(slot.targets)));

  const size_t storage = static_cast<size_t>(net_->table().storage());
  std::vector<float> initial(storage, 0.0f);
  const bool begun = !state.parameters.empty();
  RB_CHECK(!begun ||
           (state.parameters.size() == storage && state.adam_m.size() == storage && state.adam_v.size() == storage));
  const std::vector<float>&m = begun ? state.adam_m : initial, &v = begun ? state.adam_v : initial;
  RB_RETURN_IF_ERROR(backend_.Upload(net_->adam_m()[index], m.data(), storage * sizeof(float)));
  RB_RETURN_IF_ERROR(backend_.Upload(net_->adam_v()[index], v.data(), storage * sizeof(float)));
  if (!begun) InitializeParameters(net_->table(), config_.seed, job.id, initial.data());
  const std::vector<float>& parameters = begun ? state.parameters : initial;
  return backend_.Upload(net_->parameters()[index], parameters.data(), storage * sizeof(float));
}

void Lockstep::Advance(int slot, const ScheduleState& schedule) {
  slots_[slot].epoch = schedule.epoch;
  slots_[slot].learning_rate = schedule.learning_rate;
}

int64_t Lockstep::SequencesInEpoch() const {
  int64_t sequences = 0;
  for (const Slot& slot : slots_) sequences += slot.occupied ? slot.rows : 0;
  return sequences;
}

absl::Status Lockstep::RunEpoch(const std::function<bool(int64_t)>& tick) {
  for (Slot& slot : slots_) {
    slot.loss_sum = 0;
    slot.finite = true;
  }
  int64_t done = 0;
  for (int64_t t = 0; PrepareTick(t); ++t) {
    RB_RETURN_IF_ERROR(RunTick(t));
    RB_RETURN_IF_ERROR(CollectLosses());
    for (const int32_t slot : live_) done += states_[slot].rows;
    if (!tick(done)) return absl::CancelledError("stopped on request");
  }
  return absl::OkStatus();
}

bool Lockstep::PrepareTick(int64_t tick) {
  live_.clear();
  for (int i = 0; i < slots(); ++i) {
    const Slot& slot = slots_[i];
    StepState& state = states_[i];
    state = {};
    const int64_t rows = std::clamp<int64_t>(slot.rows - tick * config_.batch, 0, config_.batch);
    if (!slot.occupied || !slot.finite || rows == 0) continue;
    state.dropout_key = DropoutKey(config_.seed, slot.id);
    state.epoch_key = EpochKey(config_.seed, slot.id, slot.epoch);
    state.step = slot.step;
    state.rows = static_cast<int32_t>(rows);
    state.adam_alpha = static_cast<float>(AdamAlpha(slot.learning_rate, slot.step));
    live_.push_back(i);
  }
  return !live_.empty();
}

absl::Status Lockstep::RunTick(int64_t tick) {
  RB_RETURN_IF_ERROR(backend_.Upload(machine_states_, states_.data(), states_.size() * sizeof(StepState)));
  RB_RETURN_IF_ERROR(backend_.Upload(machine_live_, live_.data(), live_.size() * sizeof(int32_t)));
  const Models models{machine_states_, machine_live_, static_cast<int>(live_.size())};
  GatherArgs<float> gather;
  gather.models = models;
  gather.first = tick * config_.batch;
  gather.training_rows = machine_rows_;
  gather.num_rows = machine_num_rows_;
  gather.targets = machine_targets_;
  gather.rows = net_->rows();
  gather.batch_targets = net_->targets();
  RB_RETURN_IF_ERROR(backend_.Gather(gather));
  return net_->Step(models);
}

absl::Status Lockstep::CollectLosses() {
  const PerModel<double> losses = net_->losses();
  RB_RETURN_IF_ERROR(backend_.Download(losses_.data(), losses.base, losses_.size() * sizeof(double)));
  for (const int32_t i : live_) {
    double mean = 0;  // of the batch: the chunks' parts in index order
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) mean += losses_[i * losses.stride + chunk];
    Slot& slot = slots_[i];
    slot.loss_sum += mean * states_[i].rows;
    slot.finite = std::isfinite(mean);
    ++slot.step;
  }
  return absl::OkStatus();
}

Lockstep::EpochResult Lockstep::Result(int slot) const {
  const Slot& s = slots_[slot];
  const double loss = s.loss_sum / static_cast<double>(s.rows);
  return {s.finite ? loss : std::numeric_limits<double>::quiet_NaN(), s.step};
}

absl::Status Lockstep::DownloadParameters(int slot, std::vector<float>* parameters) {
  parameters->resize(static_cast<size_t>(net_->table().storage()));
  return backend_.Download(parameters->data(), net_->parameters()[slot], parameters->size() * sizeof(float));
}

absl::Status Lockstep::DownloadMoments(int slot, std::vector<float>* m, std::vector<float>* v) {
  const size_t storage = static_cast<size_t>(net_->table().storage());
  m->resize(storage);
  v->resize(storage);
  RB_RETURN_IF_ERROR(backend_.Download(m->data(), net_->adam_m()[slot], storage * sizeof(float)));
  return backend_.Download(v->data(), net_->adam_v()[slot], storage * sizeof(float));
}

}  // namespace rb
