// Flags of `train`, and the settings they make.
#ifndef RB_APPS_TRAIN_FLAGS_H_
#define RB_APPS_TRAIN_FLAGS_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/flags.h"
#include "apps/common/structure_flags.h"
#include "model/baseline.h"
#include "model/config.h"

namespace rb::apps {

// How a run of many models goes about it; results do not depend on any of these.
struct WorkFlags {
  std::string models_in_flight = "auto", workers = "auto";
  int checkpoint_every = 1;  // epochs
};

struct TrainFlags {
  CommonFlags common;
  StructureFlags structure;
  std::string data, out;
  std::vector<std::string> experiments;
  std::optional<std::string> transform;
  std::string task = "regression";
  int64_t max_probes = 0;
  bool tensorboard = false;
  uint64_t replicate = 0;
  int replicates = 1;
  std::vector<std::string> grid;  // NAME=V[,V..]
  WorkFlags work;
  std::string model = "residualbind";
  // Of models that are no network.
  std::optional<int> k, motif_width, top;
  std::optional<std::string> scan;
  // Absent ones keep the preset's value.
  std::optional<int> length, filters, first_width, width, residual_layers, pool, hidden, epochs, decay_patience,
      stop_patience;
  std::vector<int> dilations;
  std::optional<float> dropout_first, dropout_inner, dropout_before_pool, dropout_after_pool, dropout_dense;
  std::optional<double> learning_rate, decay, valid_fraction;
};

// The number in a flag that takes a number or auto: 0 for auto.
int CountOrAuto(const std::string& text);

void AddWorkFlags(CLI::App& app, WorkFlags& flags);

// --model and what belongs to models that are no network.
void AddBaselineFlags(CLI::App& app, TrainFlags& flags);

void AddTrainFlags(CLI::App& app, TrainFlags& flags);

ModelKind KindOf(const TrainFlags& flags);

// A usage error for flags that mean nothing to the --model that is trained. `app`: the command's.
absl::Status CheckModelFlags(const CLI::App& app, const TrainFlags& flags);

// The preset with every given flag applied; structure channels come from the data later. Usage errors name the setting.
absl::StatusOr<TrainConfig> MakeConfig(const TrainFlags& flags);

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_FLAGS_H_
