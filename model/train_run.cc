#include "model/train_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "model/run_files.h"

namespace rb {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

TrainRun::TrainRun(const TrainOptions& options, const Dataset& dataset, const Split& split, int machines,
                   TrainObserver& observer)
    : options_(options),
      dataset_(dataset),
      split_(split),
      observer_(observer),
      progress_(static_cast<size_t>(machines)) {}

std::string TrainRun::OutputFolder(int model) const {
  return (std::filesystem::path(options_.output) / options_.models[model].folder).string();
}

absl::Status TrainRun::Prepare() {
  if (options_.output.empty()) return absl::InvalidArgumentError("no output folder was given");
  if (options_.checkpoint_every < 0 || options_.models_at_once < 0) {
    return absl::InvalidArgumentError("checkpoint_every and models_at_once must be 0 or more");
  }
  RB_ASSIGN_OR_RETURN(jobs_, MakeTrainJobs(options_.models, dataset_, split_));
  std::map<int, std::string> sequences;  // by structure channels
  for (size_t i = 0; i < jobs_.size(); ++i) {
    const int structure = options_.models[i].config.shape.structure;
    std::string& fingerprint = sequences[structure];
    if (fingerprint.empty()) fingerprint = SequencesFingerprint(dataset_, structure);
    fingerprints_.push_back(DataFingerprint(fingerprint, jobs_[i], dataset_));
    states_.emplace_back().schedule = StartSchedule(options_.models[i].config.schedule);
  }
  RB_RETURN_IF_ERROR(MakeRunFolder(options_.output));
  RB_RETURN_IF_ERROR(MakeRunFolder(Home()));
  RB_ASSIGN_OR_RETURN(lock_, FolderLock::Take(Home()));
  if (!lock_->note().empty()) observer_.OnMessage(lock_->note());
  const int models = static_cast<int>(jobs_.size());
  if (options_.resume) {
    RB_RETURN_IF_ERROR(Resume());
  } else {
    RB_RETURN_IF_ERROR(RemoveRun(Home(), options_.output, options_.models));
  }
  for (int i = 0; i < models; ++i) RB_RETURN_IF_ERROR(MakeRunFolder(OutputFolder(i)));
  std::vector<bool> waiting(jobs_.size());
  for (int i = 0; i < models; ++i) {
    waiting[i] = !state(i).schedule.stopped;
    if (!waiting[i]) RB_RETURN_IF_ERROR(StopModel(i));  // its files may have been deleted since
    standings_.push_back(StandingOf(i));
  }
  queue_ = std::make_unique<TrainQueue>(GroupModels(options_.models), waiting, static_cast<int>(progress_.size()));
  return WriteProgress(options_.models, standings_, ProgressPath(Home()));
}

absl::Status TrainRun::Resume() {
  int finished = 0, epochs = 0, found = 0;
  std::vector<std::string> damaged;
  for (size_t i = 0; i < jobs_.size(); ++i) {
    const std::string& folder = options_.models[i].folder;
    std::string note;
    RB_ASSIGN_OR_RETURN(std::optional<TrainState> state,
                        FindCheckpoint(CheckpointOf(static_cast<int>(i)), options_.output, folder, &note));
    if (!state.has_value()) continue;
    states_[i] = *std::move(state);
    for (EpochReport& report : states_[i].history) report.model = static_cast<int>(i);
    ++found;
    finished += states_[i].schedule.stopped;
    epochs = std::max(epochs, states_[i].schedule.epoch);
    if (note.empty()) continue;
    observer_.OnMessage(note);
    damaged.push_back(CheckpointPath(options_.output, folder));
  }
  // All of them are accepted. A damaged one must not become the previous one of the next.
  std::error_code error;
  for (const std::string& path : damaged) std::filesystem::remove(path, error);
  for (const TrainState& state : states_) {
    if (!state.history.empty()) observer_.OnResumed(state.history);
  }
  if (found == 0) return absl::OkStatus();
  const int models = static_cast<int>(jobs_.size());
  observer_.OnMessage(
      finished == models
          ? absl::StrCat(options_.output, ": the run is finished, ", models, " models; nothing is left to train")
          : absl::StrCat(options_.output, ": going on after epoch ", epochs, ", ", finished, " of ", models,
                         " models finished",
                         found < models ? absl::StrCat(", ", models - found, " without a checkpoint") : ""));
  return absl::OkStatus();
}

Checkpoint TrainRun::CheckpointOf(int model) const {
  return {options_.models[model].config, options_.models[model].experiment, fingerprints_[model], states_[model]};
}

ModelStanding TrainRun::StandingOf(int model) const {
  const TrainState& s = states_[model];
  ModelStanding standing;
  standing.state = !s.schedule.stopped ? ModelStanding::State::kWaiting
                   : s.failure.empty() ? ModelStanding::State::kStopped
                                       : ModelStanding::State::kFailed;
  standing.epoch = s.schedule.epoch;
  standing.best_epoch = s.schedule.best_epoch;
  standing.best_metric = s.schedule.best_epoch > 0 ? s.schedule.best : std::numeric_limits<double>::quiet_NaN();
  return standing;
}

TrainQueue::Opening TrainRun::Open() {
  const std::lock_guard<std::mutex> lock(mutex_);
  TrainQueue::Opening opening = stop_ ? TrainQueue::Opening{} : queue_->Open(options_.models_at_once);
  for (const int model : opening.models) standings_[model].state = ModelStanding::State::kTraining;
  return opening;
}

int TrainRun::Next(int group) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int model = queue_->Next(group);
  if (model >= 0) standings_[model].state = ModelStanding::State::kTraining;
  return model;
}

std::vector<const TrainJob*> TrainRun::JobsOf(int group) const {
  std::vector<const TrainJob*> jobs;
  for (const int model : queue_->Models(group)) jobs.push_back(&jobs_[model]);
  return jobs;
}

bool TrainRun::Tick(int machine, const Progress& progress) {
  const std::lock_guard<std::mutex> lock(mutex_);
  progress_[machine] = progress;
  const Clock::time_point now = Clock::now();
  if (Seconds(now - reported_) >= 0.25 || progress.done == progress.all) {
    reported_ = now;
    TrainProgress sum;
    sum.models = static_cast<int>(jobs_.size());
    for (const Progress& p : progress_) {
      sum.live_models += p.live;
      sum.epoch = std::max(sum.epoch, p.epoch);
      sum.max_epochs = std::max(sum.max_epochs, p.max_epochs);
      sum.sequences_done += p.done;
      sum.sequences_in_epoch += p.all;
    }
    const double seconds = std::max(1e-9, Seconds(now - start_));
    sum.sequences_per_second = static_cast<double>(trained_ + sum.sequences_done) / seconds;
    observer_.OnProgress(sum);
  }
  stop_ |= observer_.ShouldStop();
  return !stop_;
}

void TrainRun::Fail(int model, const std::string& failure) {
  TrainState& s = state(model);
  s.failure = failure;
  const std::lock_guard<std::mutex> lock(mutex_);
  observer_.OnMessage(
      absl::StrCat(options_.models[model].folder, ": ", failure, "; the model stops",
                   s.schedule.best_epoch > 0 ? " with the parameters of its best epoch" : " without a usable epoch"));
}

absl::Status TrainRun::StopModel(int model) {
  TrainState& s = state(model);
  if (s.best.empty() && s.failure.empty()) {
    const bool finite = std::all_of(s.parameters.begin(), s.parameters.end(), [](float p) { return std::isfinite(p); });
    if (finite) s.best = std::move(s.parameters);
    if (!finite) s.failure = "the parameters were not finite after the last epoch";
  }
  s.parameters = {};  // of a stopped model's checkpoint only the best are a part
  s.adam_m = {};
  s.adam_v = {};
  return WriteFiles(model);
}

absl::Status TrainRun::WriteFiles(int model) {
  const std::string& folder = options_.models[model].folder;
  if (!state(model).best.empty()) {
    RB_ASSIGN_OR_RETURN(const ModelFile file, FinalModel(model));
    RB_RETURN_IF_ERROR(WriteModel(file, ModelPath(options_.output, folder)));
  }
  return WriteHistory(state(model).history, options_.models[model].config.shape.classification,
                      HistoryPath(options_.output, folder));
}

absl::Status TrainRun::SaveCheckpoint(int model) {
  const std::string& folder = options_.models[model].folder;
  const std::string previous = PreviousCheckpointPath(options_.output, folder);
  RB_RETURN_IF_ERROR(WriteCheckpoint(CheckpointOf(model), CheckpointPath(options_.output, folder), previous));
  // Nothing goes on from a finished model's states.
  std::error_code error;
  if (state(model).schedule.stopped) std::filesystem::remove(previous, error);
  return absl::OkStatus();
}

absl::Status TrainRun::FinishRound(int machine, const std::vector<EpochReport>& reports) {
  const std::lock_guard<std::mutex> lock(mutex_);
  trained_ += progress_[machine].all;
  progress_[machine] = {};
  for (const EpochReport& report : reports) {
    ModelStanding& standing = standings_[report.model];
    standing = StandingOf(report.model);
    if (!report.stopped) standing.state = ModelStanding::State::kTraining;
    observer_.OnEpoch(report);
  }
  observer_.OnRound(standings_);
  return WriteProgress(options_.models, standings_, ProgressPath(Home()));
}

void TrainRun::Finish(const absl::Status& status) {
  if (status.ok()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  stop_ = true;
  // What other machines say when they are told to stop hides no reason.
  if (status_.ok() || absl::IsCancelled(status_)) status_ = status;
}

absl::StatusOr<ModelFile> TrainRun::FinalModel(int model) const {
  const TrainState& s = states_[model];
  ModelFile file = jobs_[model].model;
  file.epochs = s.schedule.epoch;
  file.best_epoch = s.schedule.best_epoch;
  file.best_metric = s.schedule.best_epoch > 0 ? s.schedule.best : std::numeric_limits<double>::quiet_NaN();
  file.parameters = s.best;
  if (file.parameters.empty()) {
    const ParameterTable table(file.config.shape);
    file.parameters.resize(static_cast<size_t>(table.storage()));
    InitializeParameters(table, file.config.seed, jobs_[model].id, file.parameters.data());
  }
  if (!s.failure.empty()) file.extra["stopped"] = s.failure;
  return file;
}

absl::StatusOr<std::vector<TrainResult>> TrainRun::Results() const {
  std::vector<TrainResult> results;
  for (size_t i = 0; i < jobs_.size(); ++i) {
    const TrainState& s = states_[i];
    TrainResult& result = results.emplace_back();
    if (s.best.empty()) {
      result.status = absl::DataLossError(
          absl::StrCat("model '", options_.models[i].folder, "': ", s.failure, ", before any epoch could be kept"));
    }
    RB_ASSIGN_OR_RETURN(result.model, FinalModel(static_cast<int>(i)));
    result.history = s.history;
    result.train_rows = static_cast<int64_t>(jobs_[i].train_rows.size());
    result.valid_rows = static_cast<int64_t>(jobs_[i].valid_rows.size());
  }
  return results;
}

}  // namespace rb
