// The run: slots are filled, epochs run, models validated, files written, until every model has stopped.
#include "model/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "model/checkpoint.h"
#include "model/lockstep.h"
#include "model/run_files.h"
#include "model/train_job.h"

namespace rb {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

class Run {
 public:
  Run(const TrainOptions& options, const Dataset& dataset, const Split& split, Machine& machine,
      TrainObserver& observer)
      : options_(options), dataset_(dataset), split_(split), machine_(machine), observer_(observer) {}

  absl::StatusOr<std::vector<TrainResult>> Execute() {
    RB_RETURN_IF_ERROR(Prepare());
    RB_RETURN_IF_ERROR(StartSlots());
    for (int round = 1; running_ > 0; ++round) {
      RB_RETURN_IF_ERROR(RunRound());
      // The last checkpoint is written whatever the interval: it is what tells a resumed run that nothing is left to
      // do.
      const bool due = options_.checkpoint_every > 0 && (round % options_.checkpoint_every == 0 || unfinished() == 0);
      if (due) RB_RETURN_IF_ERROR(SaveCheckpoint());
      RB_RETURN_IF_ERROR(FillSlots());
    }
    return Results();
  }

 private:
  absl::Status Prepare();
  absl::Status Resume(const std::string& path);
  absl::Status StartSlots();
  absl::Status FillSlots();
  absl::Status RunRound();
  void FinishEpoch(int slot, EpochReport* report);
  absl::Status Collect(int slot);
  void Fail(int index, EpochReport* report);
  absl::Status StopModel(int index);
  absl::Status WriteFiles(int index);
  bool Tick(int64_t done);
  absl::Status SaveCheckpoint();
  absl::StatusOr<ModelFile> FinalModel(int index) const;
  absl::StatusOr<std::vector<TrainResult>> Results() const;

  int unfinished() const { return running_ + static_cast<int>(waiting_.size()); }
  TrainState& state(int index) { return checkpoint_.states[index]; }

  const TrainOptions& options_;
  const Dataset& dataset_;
  const Split& split_;
  Machine& machine_;
  TrainObserver& observer_;

  std::vector<TrainJob> jobs_;
  Checkpoint checkpoint_;  // the live states of all models; by job
  std::unique_ptr<Lockstep> lockstep_;
  std::vector<int> job_of_slot_;
  std::deque<int> waiting_;  // jobs that have no slot yet
  int running_ = 0;          // occupied slots

  Clock::time_point start_ = Clock::now(), reported_ = {};
  int64_t trained_before_ = 0;  // sequences of finished epochs
};

// Everything that can be refused is refused here, before anything is written.
absl::Status Run::Prepare() {
  if (options_.output.empty()) return absl::InvalidArgumentError("no output folder was given");
  if (options_.checkpoint_every < 0 || options_.models_at_once < 0) {
    return absl::InvalidArgumentError("checkpoint_every and models_at_once must be 0 or more");
  }
  RB_ASSIGN_OR_RETURN(jobs_, MakeTrainJobs(options_.config, options_.experiments, dataset_, split_));
  checkpoint_.config = options_.config;
  checkpoint_.experiments = options_.experiments;
  checkpoint_.fingerprint = DataFingerprint(jobs_, dataset_);
  checkpoint_.states.resize(jobs_.size());
  for (TrainState& state : checkpoint_.states) state.schedule = StartSchedule(options_.config.schedule);
  const std::string path = CheckpointPath(options_.output);
  if (options_.resume && FileExists(path)) RB_RETURN_IF_ERROR(Resume(path));
  for (size_t i = 0; i < jobs_.size(); ++i) {
    if (!checkpoint_.states[i].schedule.stopped) waiting_.push_back(static_cast<int>(i));
  }
  return MakeRunFolders(options_.output, options_.experiments);
}

absl::Status Run::Resume(const std::string& path) {
  RB_ASSIGN_OR_RETURN(Checkpoint found, ReadCheckpoint(path));
  RB_RETURN_IF_ERROR(CheckSameRun(found, checkpoint_, path));
  checkpoint_.states = std::move(found.states);
  int finished = 0, epochs = 0;
  for (const TrainState& s : checkpoint_.states) {
    finished += s.schedule.stopped;
    epochs = std::max(epochs, s.schedule.epoch);
  }
  const int models = static_cast<int>(jobs_.size());
  observer_.OnMessage(
      finished == models
          ? absl::StrCat(path, ": the run is finished, ", models, " models; nothing is left to train")
          : absl::StrCat(path, ": going on after epoch ", epochs, ", ", finished, " of ", models, " models finished"));
  return absl::OkStatus();
}

absl::Status Run::StartSlots() {
  // Files of models that stopped before the checkpoint, in case they were deleted since.
  for (size_t i = 0; i < jobs_.size(); ++i) {
    const int index = static_cast<int>(i);
    if (state(index).schedule.stopped) RB_RETURN_IF_ERROR(StopModel(index));
  }
  if (waiting_.empty()) return absl::OkStatus();
  std::vector<const TrainJob*> jobs;
  for (const int index : waiting_) jobs.push_back(&jobs_[index]);
  int slots = static_cast<int>(waiting_.size());
  if (options_.models_at_once > 0) slots = std::min(slots, options_.models_at_once);
  RB_ASSIGN_OR_RETURN(lockstep_, Lockstep::Create(options_.config, dataset_, slots, jobs, machine_));
  job_of_slot_.assign(static_cast<size_t>(slots), -1);
  return FillSlots();
}

absl::Status Run::FillSlots() {
  for (size_t slot = 0; slot < job_of_slot_.size() && !waiting_.empty(); ++slot) {
    if (job_of_slot_[slot] >= 0) continue;
    const int index = waiting_.front();
    waiting_.pop_front();
    RB_RETURN_IF_ERROR(lockstep_->Load(static_cast<int>(slot), jobs_[index], state(index), dataset_));
    job_of_slot_[slot] = index;
    ++running_;
  }
  return absl::OkStatus();
}

absl::Status Run::RunRound() {
  const Clock::time_point start = Clock::now();
  RB_RETURN_IF_ERROR(lockstep_->RunEpoch([&](int64_t done) { return Tick(done); }));
  trained_before_ += lockstep_->SequencesInEpoch();
  std::vector<EpochReport> reports;
  for (int slot = 0; slot < lockstep_->slots(); ++slot) {
    if (job_of_slot_[slot] >= 0) FinishEpoch(slot, &reports.emplace_back());
  }
  const double seconds = Seconds(Clock::now() - start);
  size_t next = 0;
  for (int slot = 0; slot < lockstep_->slots(); ++slot) {
    const int index = job_of_slot_[slot];
    if (index < 0) continue;
    EpochReport& report = reports[next++];
    report.seconds = seconds;
    state(index).history.push_back(report);
    if (report.stopped) {
      RB_RETURN_IF_ERROR(Collect(slot));
      RB_RETURN_IF_ERROR(StopModel(index));
      RB_RETURN_IF_ERROR(lockstep_->Release(slot));
      job_of_slot_[slot] = -1;
      --running_;
    }
    observer_.OnEpoch(report);
  }
  return absl::OkStatus();
}

void Run::FinishEpoch(int slot, EpochReport* report) {
  const int index = job_of_slot_[slot];
  TrainState& s = state(index);
  const Lockstep::EpochResult result = lockstep_->Result(slot);
  report->experiment = jobs_[index].model.experiment;
  report->epoch = s.schedule.epoch + 1;
  report->train_loss = result.loss;
  report->learning_rate = s.schedule.learning_rate;
  report->valid_loss = result.validation.loss;
  report->valid_metric = result.validation.metric;
  report->best = result.saved;
  report->stopped = result.schedule.stopped;
  s.step = result.step;
  s.schedule = result.schedule;
  if (!std::isfinite(result.loss)) Fail(index, report);
}

// The model's values from the machine into its state.
absl::Status Run::Collect(int slot) {
  TrainState& s = state(job_of_slot_[slot]);
  if (s.schedule.best_epoch > 0) RB_RETURN_IF_ERROR(lockstep_->DownloadBest(slot, &s.best));
  RB_RETURN_IF_ERROR(lockstep_->DownloadParameters(slot, &s.parameters));
  return lockstep_->DownloadMoments(slot, &s.adam_m, &s.adam_v);
}

// A loss that is not finite ends the model: its parameters are of no use any more, those of its best epoch are.
void Run::Fail(int index, EpochReport* report) {
  TrainState& s = state(index);
  s.failure = absl::StrCat("the training loss was not finite in epoch ", report->epoch);
  observer_.OnMessage(
      absl::StrCat(report->experiment, ": ", s.failure, "; the model stops",
                   s.schedule.best_epoch > 0 ? " with the parameters of its best epoch" : " without a usable epoch"));
}

// Writes the model's files and drops what only training needs. May be called again for a model that has stopped.
absl::Status Run::StopModel(int index) {
  TrainState& s = state(index);
  if (s.best.empty() && s.failure.empty()) {
    const bool finite = std::all_of(s.parameters.begin(), s.parameters.end(), [](float p) { return std::isfinite(p); });
    if (finite) s.best = std::move(s.parameters);
    if (!finite) s.failure = "the parameters were not finite after the last epoch";
  }
  s.parameters = {};
  s.adam_m = {};
  s.adam_v = {};
  return WriteFiles(index);
}

// The model as it would be if it stopped now, and its epochs: final for a stopped model, to look at for a live one.
absl::Status Run::WriteFiles(int index) {
  if (!state(index).best.empty()) {
    RB_ASSIGN_OR_RETURN(const ModelFile model, FinalModel(index));
    RB_RETURN_IF_ERROR(WriteModel(model, ModelPath(options_.output, model.experiment)));
  }
  return WriteHistory(state(index).history, options_.config.shape.classification,
                      HistoryPath(options_.output, jobs_[index].model.experiment));
}

// False when the run is to stop.
bool Run::Tick(int64_t done) {
  const Clock::time_point now = Clock::now();
  const int64_t all = lockstep_->SequencesInEpoch();
  if (Seconds(now - reported_) >= 0.25 || done == all) {
    reported_ = now;
    TrainProgress progress;
    progress.live_models = running_;
    progress.models = static_cast<int>(jobs_.size());
    for (const int index : job_of_slot_) {
      if (index >= 0) progress.epoch = std::max(progress.epoch, state(index).schedule.epoch + 1);
    }
    progress.max_epochs = options_.config.schedule.max_epochs;
    progress.sequences_done = done;
    progress.sequences_in_epoch = all;
    progress.sequences_per_second = static_cast<double>(trained_before_ + done) / std::max(1e-9, Seconds(now - start_));
    observer_.OnProgress(progress);
  }
  return !observer_.ShouldStop();
}

absl::Status Run::SaveCheckpoint() {
  for (int slot = 0; slot < lockstep_->slots(); ++slot) {
    if (job_of_slot_[slot] < 0) continue;
    RB_RETURN_IF_ERROR(Collect(slot));
    RB_RETURN_IF_ERROR(WriteFiles(job_of_slot_[slot]));
  }
  return WriteCheckpoint(checkpoint_, CheckpointPath(options_.output));
}

absl::StatusOr<ModelFile> Run::FinalModel(int index) const {
  const TrainState& s = checkpoint_.states[index];
  ModelFile model = jobs_[index].model;
  model.epochs = s.schedule.epoch;
  model.best_epoch = s.schedule.best_epoch;
  model.best_metric = s.schedule.best_epoch > 0 ? s.schedule.best : std::numeric_limits<double>::quiet_NaN();
  model.parameters = s.best;
  if (model.parameters.empty()) {
    const ParameterTable table(model.config.shape);
    model.parameters.resize(static_cast<size_t>(table.storage()));
    InitializeParameters(table, model.config.seed, jobs_[index].id, model.parameters.data());
  }
  if (!s.failure.empty()) model.extra["stopped"] = s.failure;
  return model;
}

absl::StatusOr<std::vector<TrainResult>> Run::Results() const {
  std::vector<TrainResult> results;
  for (size_t i = 0; i < jobs_.size(); ++i) {
    const TrainState& s = checkpoint_.states[i];
    TrainResult& result = results.emplace_back();
    if (s.best.empty()) {
      result.status = absl::DataLossError(absl::StrCat("experiment '", jobs_[i].model.experiment, "': ", s.failure,
                                                       ", before any epoch could be kept"));
    }
    RB_ASSIGN_OR_RETURN(result.model, FinalModel(static_cast<int>(i)));
    result.history = s.history;
    result.train_rows = static_cast<int64_t>(jobs_[i].train_rows.size());
    result.valid_rows = static_cast<int64_t>(jobs_[i].valid_rows.size());
  }
  return results;
}

}  // namespace

absl::StatusOr<std::vector<TrainResult>> Train(const TrainOptions& options, const Dataset& dataset, const Split& split,
                                               Machine& machine, TrainObserver* observer) {
  TrainObserver silent;
  return Run(options, dataset, split, machine, observer == nullptr ? silent : *observer).Execute();
}

}  // namespace rb
