// Trains M models side by side on one machine, each as if it were alone.
#ifndef RB_MODEL_TRAINER_H_
#define RB_MODEL_TRAINER_H_

#include <cstdint>
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

struct EpochReport {
  std::string experiment;
  int epoch = 0;          // 1-based
  double train_loss = 0;  // mean over the epoch's rows, dropout on
  double valid_loss = 0;
  double valid_metric = 0;   // Pearson (regression) or AUROC (classification)
  double learning_rate = 0;  // used in this epoch
  bool best = false;
  bool stopped = false;  // the model ends here (early stop or last epoch)
  double seconds = 0;    // wall time of the epoch, validation included (all live models together)
};

// Where a run stands; called a few times a second at most.
struct TrainProgress {
  int live_models = 0, models = 0;
  int epoch = 0, max_epochs = 0;
  int64_t sequences_done = 0, sequences_in_epoch = 0;  // over all live models, in this epoch
  double sequences_per_second = 0;
};

class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void OnProgress(const TrainProgress&) {}
  virtual void OnEpoch(const EpochReport&) {}
  // A sentence for the log: where a resumed run starts, a model whose loss went to infinity, a run that is finished
  // already.
  virtual void OnMessage(const std::string&) {}
  // Asked once a batch; true ends the run with Status kCancelled. Nothing is written then: the last checkpoint stands,
  // and the batches since are trained again, to the same bits, by a resumed run.
  virtual bool ShouldStop() { return false; }
};

struct TrainOptions {
  TrainConfig config;
  std::vector<std::string> experiments;  // names in the data set
  std::string output;  // folder: <output>/<experiment>/{model.safetensors,history.tsv}, <output>/checkpoint.safetensors
  bool resume = false;       // go on from the checkpoint when there is one (bitwise); its settings and data must match
  int checkpoint_every = 1;  // epochs; 0: no checkpoint
  // Most models side by side; 0: all. Memory grows with it (some 10 MB a model at batch 100); as a model ends the next
  // one takes its place. Results do not depend on it.
  int models_at_once = 0;
};

// What became of one experiment. A model whose training loss stops being finite ends there, alone: with the parameters
// of its best epoch so far (extra metadata "stopped" in the model file says so), or, when it has none, with `status`
// not OK, its initial parameters and no model file.
struct TrainResult {
  absl::Status status;
  ModelFile model;  // best epoch's parameters; the last epoch's when no epoch counted as better (best_epoch 0)
  std::vector<EpochReport> history;
  int64_t train_rows = 0, valid_rows = 0;
};

// Trains on split.train and validates on split.valid; split.test is not looked at beyond the log transform's minimum.
//
// Bits: a model's files are a function of its settings, its experiment's name and data, the machine and its precision;
// never of other models, threads, interruptions or time. Random keys: DeriveKey(seed, purpose, StableId(experiment,
// replicate)); an epoch's order has DeriveKey(DeriveKey(seed, kEpochOrder, id), kEpochOrder, epochs finished before
// it).
//
// Writes files as named above (a live model's history and best parameters with every checkpoint) and returns one result
// per experiment, in order. An experiment without enough data, an unknown one, a checkpoint of other settings or data:
// a Status that says so, before anything is written. A resumed run that had finished returns its results again.
absl::StatusOr<std::vector<TrainResult>> Train(const TrainOptions& options, const Dataset& dataset, const Split& split,
                                               Machine& machine, TrainObserver* observer);

}  // namespace rb

#endif  // RB_MODEL_TRAINER_H_
