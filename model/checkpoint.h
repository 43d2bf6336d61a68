// Where a run stands between two epochs, and its one file. The file is a safetensors container, written atomically:
// killed at any time, a run leaves the checkpoint before or the one after, both whole.
#ifndef RB_MODEL_CHECKPOINT_H_
#define RB_MODEL_CHECKPOINT_H_

#include <cstdint>
#include <map>
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
  std::vector<std::string> experiments;
  std::string fingerprint;         // DataFingerprint
  std::vector<TrainState> states;  // one per experiment
};

// <output>/checkpoint.safetensors
std::string CheckpointPath(const std::string& output);

absl::Status WriteCheckpoint(const Checkpoint& checkpoint, const std::string& path);
// InvalidArgument naming the file: damaged, foreign, of another version, or inconsistent.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path);

// FailedPrecondition naming the first difference when `found` (read from `path`) belongs to another run than `expected`
// (whose states do not matter).
absl::Status CheckSameRun(const Checkpoint& found, const Checkpoint& expected, const std::string& path);

}  // namespace rb

#endif  // RB_MODEL_CHECKPOINT_H_
