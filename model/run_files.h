// Files that a training run leaves: <output>/<folder>/{model.safetensors,history.tsv} for each model, and
// <output>/{progress.tsv,metrics.tsv,run.json}. All but the last hold no times, so that equal runs leave equal bytes.
#ifndef RB_MODEL_RUN_FILES_H_
#define RB_MODEL_RUN_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "model/trainer.h"

namespace rb {

std::string ModelPath(const std::string& output, const std::string& folder);
std::string HistoryPath(const std::string& output, const std::string& folder);
std::string ProgressPath(const std::string& output);
std::string MetricsPath(const std::string& output);  // these two are the command's, written at its end
std::string RecordPath(const std::string& output);

bool FileExists(const std::string& path);
// Makes a folder and those above it.
absl::Status MakeRunFolder(const std::string& folder);

// Removes what an earlier run left of these models below `output`, checkpoints included, and of itself in `home`: a run
// that is killed before it has a model of its own must not leave another one's in its place. The caller holds the lock
// of `home`.
absl::Status RemoveRun(const std::string& home, const std::string& output, const std::vector<PlannedModel>& models);

// One line an epoch: epoch, learning_rate, train_loss, valid_loss, valid_pearson (valid_auroc), best (0 or 1).
absl::Status WriteHistory(const std::vector<EpochReport>& history, bool classification, const std::string& path);

// One line a model: name (its folder), state (waiting, training, stopped or failed), epoch, best_metric, best_epoch; no
// value while there is no best epoch.
absl::Status WriteProgress(const std::vector<PlannedModel>& models, const std::vector<ModelStanding>& standings,
                           const std::string& path);

}  // namespace rb

#endif  // RB_MODEL_RUN_FILES_H_
