// Where a model stands between two epochs, and its file: a safetensors container, written atomically, the one before
// kept beside it. Killed at any time, a run leaves for each model the checkpoint before or the one after, whole.
#ifndef RB_MODEL_CHECKPOINT_H_
#define RB_MODEL_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/schedule.h"
#include "model/config.h"
#include "model/trainer.h"

namespace rb {

// One model on its way. Vectors have ParameterTable::storage() values, or none before the first epoch; a stopped model
// keeps `best` alone.
struct TrainState {
  ScheduleState schedule;
  uint64_t step = 0;  // optimiser steps taken
  std::vector<float> parameters, adam_m, adam_v;
  std::vector<float> best;  // parameters of schedule.best_epoch; empty while that is 0
  std::vector<EpochReport> history;
  std::string failure;  // why the model ended early, or empty
};

struct Checkpoint {
  TrainConfig config;
  std::string experiment;
  std::string fingerprint;  // DataFingerprint
  TrainState state;
};

// <output>/<folder>/checkpoint.safetensors, and the one before it
std::string CheckpointPath(const std::string& output, const std::string& folder);
std::string PreviousCheckpointPath(const std::string& output, const std::string& folder);

// The file that stood at `path` before becomes `previous`.
absl::Status WriteCheckpoint(const Checkpoint& checkpoint, const std::string& path, const std::string& previous);
// InvalidArgument or NotFound naming the file: damaged, foreign, of another version, inconsistent, or unreadable.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path);

// FailedPrecondition naming the first difference when `found` (read from `path`) belongs to another model than
// `expected` (whose state does not matter).
absl::Status CheckSameModel(const Checkpoint& found, const Checkpoint& expected, const std::string& path);

// The state that a resumed run goes on from, or none when the model has no checkpoint: the newer file's, or the older
// one's where the newer is missing or cannot be used, of which `note` then tells. InvalidArgument naming both when
// neither can be used, FailedPrecondition as above.
absl::StatusOr<std::optional<TrainState>> FindCheckpoint(const Checkpoint& expected, const std::string& output,
                                                         const std::string& folder, std::string* note);

}  // namespace rb

#endif  // RB_MODEL_CHECKPOINT_H_
