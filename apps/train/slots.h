// How many models train side by side.
#ifndef RB_APPS_TRAIN_SLOTS_H_
#define RB_APPS_TRAIN_SLOTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/flags.h"
#include "apps/common/reporter.h"
#include "data/dataset.h"
#include "data/split.h"
#include "model/trainer.h"

namespace rb::apps {

// Models for each machine, and says so: what --models-in-flight asks for (a number or auto), at most an equal share of
// them, and with auto no more than fit in 70 % of the free memory. Machines of the CPU share the host's memory.
absl::StatusOr<int> PlanSlots(const std::string& models_in_flight, const std::vector<PlannedModel>& models,
                              const Dataset& dataset, const Split& split, const std::vector<OpenedMachine>& machines,
                              Reporter& reporter);

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_SLOTS_H_
