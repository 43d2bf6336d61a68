// Every setting of a training run, and the two presets (docs/numerics.md lists where they differ and why).
#ifndef RB_MODEL_CONFIG_H_
#define RB_MODEL_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/transform.h"
#include "kernels/precision.h"
#include "kernels/schedule.h"
#include "model/shape.h"

namespace rb {

struct TrainConfig {
  Preset preset = Preset::kPaper;
  Shape shape = kPaperShape;
  ScheduleConfig schedule;
  TransformKind transform = TransformKind::kLog;
  int batch = 100;
  uint64_t seed = 0;
  uint64_t replicate = 0;
  double valid_fraction = 0.1;
  Precision precision = Precision::kFp32;  // of the scorer that validates
};

TrainConfig PresetConfig(Preset preset);

// Refuses settings that cannot train, naming the setting, its value and what was expected. The shape is included.
absl::Status ValidateConfig(const TrainConfig& config);

// Every setting by name, as text that reads back to the same value ("batch" -> "100", "shape.dilations" -> "1,2,4").
// Model files and checkpoints carry them.
std::map<std::string, std::string> SettingsOf(const TrainConfig& config);
// The reverse: InvalidArgument names a missing or malformed setting; names it does not know are ignored. The result is
// validated.
absl::StatusOr<TrainConfig> ConfigFromSettings(const std::map<std::string, std::string>& settings);

}  // namespace rb

#endif  // RB_MODEL_CONFIG_H_
