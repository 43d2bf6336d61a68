// Which models a `train` trains: experiments, points of a grid, replicates.
#ifndef RB_APPS_TRAIN_PLAN_H_
#define RB_APPS_TRAIN_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/train/flags.h"
#include "model/trainer.h"

namespace rb::apps {

// The models that --experiment, --replicates and --grid ask for, in the order experiment, grid point, replicate.
// `base`: MakeConfig of the flags, fitted to the data; a grid changes what it names and nothing else. Folders are ID,
// or ID/learning-rate=0.001,filters=96/replicate-0 where there are several points or replicates. Usage errors name what
// a grid can take.
absl::StatusOr<std::vector<PlannedModel>> PlanModels(const TrainFlags& flags, const TrainConfig& base,
                                                     const std::vector<std::string>& experiments);

// --structure with the tracks of which those of every model are made: the grid's most, where it varies them.
absl::StatusOr<StructureFlags> StructureOfAll(const TrainFlags& flags);

// Whether `name` can be a folder of a model below its experiment's: "replicate-0", "filters=96".
bool IsPlannedFolder(const std::string& name);

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_PLAN_H_
