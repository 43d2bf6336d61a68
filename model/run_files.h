// Files that a training run leaves: <output>/<experiment>/{model.safetensors,history.tsv}. They hold no times, so that
// equal runs leave equal bytes.
#ifndef RB_MODEL_RUN_FILES_H_
#define RB_MODEL_RUN_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "model/trainer.h"

namespace rb {

std::string ModelPath(const std::string& output, const std::string& experiment);
std::string HistoryPath(const std::string& output, const std::string& experiment);

bool FileExists(const std::string& path);
// The output folder and one folder an experiment.
absl::Status MakeRunFolders(const std::string& output, const std::vector<std::string>& experiments);

// One line an epoch: epoch, learning_rate, train_loss, valid_loss, valid_pearson (valid_auroc), best (0 or 1).
absl::Status WriteHistory(const std::vector<EpochReport>& history, bool classification, const std::string& path);

}  // namespace rb

#endif  // RB_MODEL_RUN_FILES_H_
