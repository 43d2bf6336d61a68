// Trains M models side by side, on one machine or several, each as if it were alone.
#ifndef RB_MODEL_TRAINER_H_
#define RB_MODEL_TRAINER_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/split.h"
#include "engine/machine.h"
#include "kernels/schedule.h"
#include "model/config.h"
#include "model/model_file.h"

namespace rb {

// One model of a run.
struct PlannedModel {
  TrainConfig config;      // its settings, seed and replicate included
  std::string experiment;  // name in the data set
  std::string folder;      // of its files below the output folder: the experiment's name where that has one model only
};

// One model for each experiment, all of the same settings.
std::vector<PlannedModel> OneModelEach(const TrainConfig& config, const std::vector<std::string>& experiments);

struct EpochReport {
  std::string experiment;
  int epoch = 0;          // 1-based
  double train_loss = 0;  // mean over the epoch's rows, dropout on
  double valid_loss = 0;
  double valid_metric = 0;   // Pearson (regression) or AUROC (classification)
  double learning_rate = 0;  // used in this epoch
  bool best = false;
  bool stopped = false;  // the model ends here (early stop or last epoch)
  double seconds = 0;    // wall time of the epoch, validation included (all live models of its machine together)
  int model = 0;         // which of TrainOptions::models
};

// Where a run stands; called a few times a second at most.
struct TrainProgress {
  int live_models = 0, models = 0;
  int epoch = 0, max_epochs = 0;                       // the largest of the live models
  int64_t sequences_done = 0, sequences_in_epoch = 0;  // over all live models, in their present epochs
  double sequences_per_second = 0;
};

// Where one model stands between two epochs.
struct ModelStanding {
  enum class State { kWaiting, kTraining, kStopped, kFailed };  // failed: ended by what TrainResult describes
  State state = State::kWaiting;
  int epoch = 0;           // epochs finished
  int best_epoch = 0;      // 0: none yet
  double best_metric = 0;  // of the best epoch; NaN while there is none
};

// Hears what a run does. Its functions are called from the machines' threads, but never two of them at a time.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void OnProgress(const TrainProgress&) {}
  virtual void OnEpoch(const EpochReport&) {}
  // In a resumed run, before any training: the epochs so far of a model that goes on or had stopped already.
  virtual void OnResumed(std::span<const EpochReport>) {}
  // After each epoch of a machine's models: all models of the run, in their order.
  virtual void OnRound(std::span<const ModelStanding>) {}
  // A sentence for the log: where a resumed run starts, a model whose loss went to infinity, a run that is finished
  // already.
  virtual void OnMessage(const std::string&) {}
  // Asked once a batch; true ends the run with Status kCancelled. Nothing is written then: the last checkpoints
  // stand, and the batches since are trained again, to the same bits, by a resumed run.
  virtual bool ShouldStop() { return false; }
};

struct TrainOptions {
  // Seed and valid_fraction, which make the split, are the same in all of them; any other setting may differ.
  std::vector<PlannedModel> models;
  // Folder of <folder>/{model.safetensors,history.tsv,checkpoint.safetensors,checkpoint.previous.safetensors} for each
  // model, and of progress.tsv.
  std::string output;
  bool resume = false;       // go on from the checkpoints there are (bitwise); their settings and data must match
  int checkpoint_every = 1;  // epochs of a model; 0: no checkpoints
  // Most models side by side on a machine; 0: all. Memory grows with it (some 10 MB a model at batch 100); as a model
  // ends the next one takes its place. Results do not depend on it.
  int models_at_once = 0;
  // Folder of the lock and of progress.tsv; empty: the output folder. Runs of different homes may share an output
  // folder when their models are different ones.
  std::string home = {};
};

// What became of one model. A model whose training loss stops being finite ends there, alone: with the parameters
// of its best epoch so far (extra metadata "stopped" in the model file says so), or, when it has none, with `status`
// not OK, its initial parameters and no model file.
struct TrainResult {
  absl::Status status;
  ModelFile model;  // best epoch's parameters; the last epoch's when no epoch counted as better (best_epoch 0)
  std::vector<EpochReport> history;
  int64_t train_rows = 0, valid_rows = 0;
};

// Which models may share a Lockstep: those that agree in all settings but seed, replicate, schedule and transform.
// Groups of places in `models`, in the order of their first models.
std::vector<std::vector<int>> GroupModels(const std::vector<PlannedModel>& models);

// Bytes that training takes on a machine, as its arenas count them.
struct TrainMemory {
  double shared = 0;     // sequences and the like, once for a machine
  double per_model = 0;  // for each model side by side, of the group that needs most
};
// Measured: of every group the first model is allocated once and three times on `machine`, and let go again.
absl::StatusOr<TrainMemory> MeasureTrainMemory(const std::vector<PlannedModel>& models, const Dataset& dataset,
                                               const Split& split, Machine& machine);

// Trains on split.train and validates on split.valid; split.test is not looked at beyond the log transform's minimum.
//
// Machines take models from one queue, a thread each (machines[0] is worked by the caller's thread): groups one after
// the other, and as a model ends the next of its group takes its place. Machines should be of one kind.
//
// Bits: a model's files are a function of its settings, its experiment's name and data, the kind of machine and its
// precision; never of other models, threads, the number of machines, interruptions or time. Random keys:
// DeriveKey(seed, purpose, StableId(experiment, replicate)); an epoch's order has DeriveKey(DeriveKey(seed,
// kEpochOrder, id), kEpochOrder, epochs finished before it).
//
// Writes files as named above (a live model's history and best parameters with every checkpoint) and returns one result
// per model, in order. An experiment without enough data, an unknown one, settings that do not fit the data, a
// checkpoint of other settings or data (FailedPrecondition), two damaged ones (InvalidArgument), an output folder that
// another process trains into (FailedPrecondition): a Status that says so, before anything is written. Of a model's two
// checkpoints a damaged newer one is named to the observer and the older one is used. A resumed run that had finished
// returns its results again.
absl::StatusOr<std::vector<TrainResult>> Train(const TrainOptions& options, const Dataset& dataset, const Split& split,
                                               std::span<Machine* const> machines, TrainObserver* observer);

}  // namespace rb

#endif  // RB_MODEL_TRAINER_H_
