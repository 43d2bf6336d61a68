#include "model/train_worker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "model/lockstep.h"

namespace rb {
namespace {

using Clock = std::chrono::steady_clock;

// A machine with models of one group in its slots.
class Bench {
 public:
  Bench(TrainRun& run, int number, Machine& machine) : run_(run), number_(number), machine_(machine) {}

  // Trains the opening's models, and those of its group that take their places, to their ends.
  absl::Status Work(const TrainQueue::Opening& opening) {
    const int slots = static_cast<int>(opening.models.size());
    const TrainConfig& config = run_.job(opening.models[0]).model.config;
    RB_ASSIGN_OR_RETURN(lockstep_,
                        Lockstep::Create(config, run_.dataset(), slots, run_.JobsOf(opening.group), machine_));
    model_of_slot_.assign(opening.models.size(), -1);
    for (int slot = 0; slot < slots; ++slot) RB_RETURN_IF_ERROR(Load(slot, opening.models[slot]));
    while (live_ > 0) {
      RB_RETURN_IF_ERROR(RunRound());
      for (int slot = 0; slot < slots; ++slot) {
        if (model_of_slot_[slot] >= 0) continue;
        const int next = run_.Next(opening.group);
        if (next < 0) break;
        RB_RETURN_IF_ERROR(Load(slot, next));
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Load(int slot, int model) {
    RB_RETURN_IF_ERROR(lockstep_->Load(slot, run_.job(model), run_.state(model), run_.dataset()));
    model_of_slot_[slot] = model;
    ++live_;
    Drop(model);
    return absl::OkStatus();
  }

  // The machine has these; the host needs them for checkpoints only.
  void Drop(int model) {
    TrainState& s = run_.state(model);
    s.parameters = {};
    s.adam_m = {};
    s.adam_v = {};
  }

  absl::Status RunRound();
  bool Tick(int64_t done);
  void FinishEpoch(int slot, EpochReport* report);
  absl::Status Keep(int slot, const EpochReport& report);
  absl::Status Collect(int slot);

  TrainRun& run_;
  int number_;
  Machine& machine_;
  std::unique_ptr<Lockstep> lockstep_;
  std::vector<int> model_of_slot_;  // -1: free
  int live_ = 0;                    // occupied slots
};

absl::Status Bench::RunRound() {
  const Clock::time_point start = Clock::now();
  RB_RETURN_IF_ERROR(lockstep_->RunEpoch([&](int64_t done) { return Tick(done); }));
  std::vector<EpochReport> reports;
  std::vector<int> slots;
  for (int slot = 0; slot < lockstep_->slots(); ++slot) {
    if (model_of_slot_[slot] < 0) continue;
    slots.push_back(slot);
    FinishEpoch(slot, &reports.emplace_back());
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  for (size_t i = 0; i < slots.size(); ++i) {
    reports[i].seconds = seconds;
    run_.state(reports[i].model).history.push_back(reports[i]);
    RB_RETURN_IF_ERROR(Keep(slots[i], reports[i]));
  }
  return run_.FinishRound(number_, reports);
}

bool Bench::Tick(int64_t done) {
  TrainRun::Progress progress;
  progress.live = live_;
  for (const int model : model_of_slot_) {
    if (model < 0) continue;
    progress.epoch = std::max(progress.epoch, run_.state(model).schedule.epoch + 1);
    progress.max_epochs = std::max(progress.max_epochs, run_.job(model).model.config.schedule.max_epochs);
  }
  progress.done = done;
  progress.all = lockstep_->SequencesInEpoch();
  return run_.Tick(number_, progress);
}

void Bench::FinishEpoch(int slot, EpochReport* report) {
  const int model = model_of_slot_[slot];
  TrainState& s = run_.state(model);
  const Lockstep::EpochResult result = lockstep_->Result(slot);
  report->experiment = run_.job(model).model.experiment;
  report->epoch = s.schedule.epoch + 1;
  report->train_loss = result.loss;
  report->learning_rate = s.schedule.learning_rate;
  report->valid_loss = result.validation.loss;
  report->valid_metric = result.validation.metric;
  report->best = result.saved;
  report->stopped = result.schedule.stopped;
  report->model = model;
  s.step = result.step;
  s.schedule = result.schedule;
  // A loss that is not finite ends the model: its parameters are of no use any more, those of its best epoch are.
  if (!std::isfinite(result.loss)) {
    run_.Fail(model, absl::StrCat("the training loss was not finite in epoch ", report->epoch));
  }
}

// Files and checkpoint after an epoch. The last checkpoint is written whatever the interval: it is what tells a resumed
// run that nothing is left to do.
absl::Status Bench::Keep(int slot, const EpochReport& report) {
  const int every = run_.options().checkpoint_every;
  const bool due = every > 0 && (report.stopped || report.epoch % every == 0);
  if (!due && !report.stopped) return absl::OkStatus();
  RB_RETURN_IF_ERROR(Collect(slot));
  RB_RETURN_IF_ERROR(report.stopped ? run_.StopModel(report.model) : run_.WriteFiles(report.model));
  if (due) RB_RETURN_IF_ERROR(run_.SaveCheckpoint(report.model));
  Drop(report.model);
  if (!report.stopped) return absl::OkStatus();
  model_of_slot_[slot] = -1;
  --live_;
  return lockstep_->Release(slot);
}

// The model's values from the machine into its state.
absl::Status Bench::Collect(int slot) {
  TrainState& s = run_.state(model_of_slot_[slot]);
  if (s.schedule.best_epoch > 0) RB_RETURN_IF_ERROR(lockstep_->DownloadBest(slot, &s.best));
  RB_RETURN_IF_ERROR(lockstep_->DownloadParameters(slot, &s.parameters));
  return lockstep_->DownloadMoments(slot, &s.adam_m, &s.adam_v);
}

}  // namespace

absl::Status WorkOn(TrainRun& run, int number, Machine& machine) {
  RB_RETURN_IF_ERROR(machine.BindThread());
  while (true) {
    const TrainQueue::Opening opening = run.Open();
    if (opening.group < 0) return absl::OkStatus();
    RB_RETURN_IF_ERROR(Bench(run, number, machine).Work(opening));
  }
}

}  // namespace rb
