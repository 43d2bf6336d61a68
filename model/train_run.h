// What the machines of one run share: the models' jobs and states, the queue, the files, and the one who listens.
#ifndef RB_MODEL_TRAIN_RUN_H_
#define RB_MODEL_TRAIN_RUN_H_

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/folder_lock.h"
#include "model/checkpoint.h"
#include "model/train_groups.h"
#include "model/train_job.h"
#include "model/trainer.h"

namespace rb {

class TrainRun {
 public:
  TrainRun(const TrainOptions& options, const Dataset& dataset, const Split& split, int machines,
           TrainObserver& observer);

  // Everything that can be refused is refused here, before anything is written but the folder and its lock. Then reads
  // the checkpoints of a resumed run, or removes what another run left of these models, makes the folders, and writes
  // the files of models that have stopped already.
  absl::Status Prepare();
  absl::StatusOr<std::vector<TrainResult>> Results() const;

  const TrainOptions& options() const { return options_; }
  const Dataset& dataset() const { return dataset_; }
  const TrainJob& job(int model) const { return jobs_[model]; }

  // The rest is for the machines' threads, all at once. A model's state belongs to the thread that took the model.
  TrainState& state(int model) { return states_[model]; }
  TrainQueue::Opening Open();
  int Next(int group);
  std::vector<const TrainJob*> JobsOf(int group) const;

  // How far a machine is in its epoch.
  struct Progress {
    int live = 0, epoch = 0, max_epochs = 0;
    int64_t done = 0, all = 0;
  };
  // After each batch; false when the run is to stop.
  bool Tick(int machine, const Progress& progress);

  // Why the training of a model failed: remembered, and told.
  void Fail(int model, const std::string& failure);
  // Writes a stopped model's files and drops what only training needs. May be called again.
  absl::Status StopModel(int model);
  // The model as it would be if it stopped now, and its epochs: final for a stopped model, to look at for a live one.
  absl::Status WriteFiles(int model);
  absl::Status SaveCheckpoint(int model);
  // After an epoch of a machine's models: their reports, in order of their slots.
  absl::Status FinishRound(int machine, const std::vector<EpochReport>& reports);

  // The first status of any machine that is not OK ends the run on all of them.
  void Finish(const absl::Status& status);
  absl::Status status() const { return status_; }  // when all machines are done

 private:
  absl::Status Resume();
  Checkpoint CheckpointOf(int model) const;
  ModelStanding StandingOf(int model) const;
  absl::StatusOr<ModelFile> FinalModel(int model) const;
  std::string OutputFolder(int model) const;
  const std::string& Home() const { return options_.home.empty() ? options_.output : options_.home; }

  const TrainOptions& options_;
  const Dataset& dataset_;
  const Split& split_;
  TrainObserver& observer_;
  std::optional<FolderLock> lock_;
  std::vector<TrainJob> jobs_;
  std::vector<std::string> fingerprints_;
  std::vector<TrainState> states_;

  std::mutex mutex_;  // of everything below, and of the observer
  std::unique_ptr<TrainQueue> queue_;
  std::vector<ModelStanding> standings_;
  std::vector<Progress> progress_;  // by machine
  absl::Status status_;
  bool stop_ = false;
  int64_t trained_ = 0;  // sequences of finished epochs
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), reported_ = {};
};

}  // namespace rb

#endif  // RB_MODEL_TRAIN_RUN_H_
