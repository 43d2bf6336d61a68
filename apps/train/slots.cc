#include "apps/train/slots.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "apps/common/memory.h"
#include "apps/common/text.h"
#include "apps/train/flags.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

constexpr double kMemoryPart = 0.7;  // of what is free

}  // namespace

absl::StatusOr<int> PlanSlots(const std::string& models_in_flight, const std::vector<PlannedModel>& models,
                              const Dataset& dataset, const Split& split, const std::vector<OpenedMachine>& machines,
                              Reporter& reporter) {
  RB_ASSIGN_OR_RETURN(const TrainMemory memory, MeasureTrainMemory(models, dataset, split, *machines[0].backend));
  const std::optional<size_t> own = machines[0].backend->FreeMemory();
  const double workers = static_cast<double>(machines.size());
  const double free = own.has_value() ? static_cast<double>(*own) : AvailableMemory() / workers;
  int slots = (static_cast<int>(models.size()) + static_cast<int>(workers) - 1) / static_cast<int>(workers);
  const int asked = CountOrAuto(models_in_flight);
  if (asked > 0) slots = std::min(slots, asked);
  if (asked == 0 && free > 0 && memory.per_model > 0) {
    const double fit = std::floor((kMemoryPart * free - memory.shared) / memory.per_model);
    slots = static_cast<int>(std::clamp(fit, 1.0, static_cast<double>(slots)));
  }
  const size_t groups = GroupModels(models).size();
  const double all = memory.shared + slots * memory.per_model;
  const std::string each = machines.size() > 1 ? absl::StrCat(" on each of ", machines.size(), " machines") : "";
  reporter.Say(
      "plan",
      absl::StrCat(models.size(), models.size() == 1 ? " model" : " models", " in ", groups,
                   groups == 1 ? " group, " : " groups, ", slots, " side by side", each, ": ", Bytes(memory.per_model),
                   " a model, ", Bytes(all), " in all", free > 0 ? absl::StrCat(" of ", Bytes(free), " free") : ""),
      {{"models", models.size()},
       {"groups", groups},
       {"side_by_side", slots},
       {"workers", machines.size()},
       {"bytes_per_model", memory.per_model},
       {"bytes", all},
       {"bytes_free", free}});
  return slots;
}

}  // namespace rb::apps
