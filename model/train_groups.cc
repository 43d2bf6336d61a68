#include "model/train_groups.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "engine/check.h"
#include "model/lockstep.h"
#include "model/train_job.h"

namespace rb {

std::vector<PlannedModel> OneModelEach(const TrainConfig& config, const std::vector<std::string>& experiments) {
  std::vector<PlannedModel> models;
  for (const std::string& name : experiments) models.push_back({config, name, name});
  return models;
}

std::vector<std::vector<int>> GroupModels(const std::vector<PlannedModel>& models) {
  std::vector<std::vector<int>> groups;
  std::map<std::map<std::string, std::string>, size_t> group_of;
  for (size_t i = 0; i < models.size(); ++i) {
    std::map<std::string, std::string> settings = SettingsOf(models[i].config);
    for (const char* own : {"seed", "replicate", "transform"}) settings.erase(own);
    std::erase_if(settings, [](const auto& setting) { return absl::StartsWith(setting.first, "schedule."); });
    const auto [at, fresh] = group_of.insert({std::move(settings), groups.size()});
    if (fresh) groups.emplace_back();
    groups[at->second].push_back(static_cast<int>(i));
  }
  return groups;
}

absl::StatusOr<TrainMemory> MeasureTrainMemory(const std::vector<PlannedModel>& models, const Dataset& dataset,
                                               const Split& split, Machine& machine) {
  TrainMemory most;
  for (const std::vector<int>& group : GroupModels(models)) {
    // The rows of its first model stand for all: they are a small part.
    RB_ASSIGN_OR_RETURN(const std::vector<TrainJob> jobs, MakeTrainJobs({models[group[0]]}, dataset, split));
    double bytes[2] = {};
    for (const int slots : {1, 3}) {
      RB_ASSIGN_OR_RETURN(const auto lockstep,
                          Lockstep::Create(models[group[0]].config, dataset, slots, {&jobs[0]}, machine));
      bytes[slots / 2] = static_cast<double>(lockstep->allocated());
    }
    const double per_model = (bytes[1] - bytes[0]) / 2;
    most.per_model = std::max(most.per_model, per_model);
    most.shared = std::max(most.shared, bytes[0] - per_model);
  }
  return most;
}

TrainQueue::TrainQueue(std::vector<std::vector<int>> groups, const std::vector<bool>& waiting, int machines)
    : groups_(std::move(groups)), waiting_(groups_.size()), machines_(machines) {
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const int model : groups_[g]) {
      if (waiting[model]) waiting_[g].push_back(model);
    }
  }
}

TrainQueue::Opening TrainQueue::Open(int most) {
  size_t all = 0;
  for (const std::deque<int>& group : waiting_) all += group.size();
  const size_t sharers = static_cast<size_t>(opened_ < machines_ ? machines_ - opened_ : machines_);
  ++opened_;
  Opening opening;
  if (all == 0) return opening;
  while (waiting_[static_cast<size_t>(++opening.group)].empty()) {
  }
  std::deque<int>& group = waiting_[static_cast<size_t>(opening.group)];
  size_t count = std::min((all + sharers - 1) / sharers, group.size());
  if (most > 0) count = std::min(count, static_cast<size_t>(most));
  opening.models.assign(group.begin(), group.begin() + static_cast<std::ptrdiff_t>(count));
  group.erase(group.begin(), group.begin() + static_cast<std::ptrdiff_t>(count));
  return opening;
}

int TrainQueue::Next(int group) {
  std::deque<int>& waiting = waiting_[static_cast<size_t>(group)];
  if (waiting.empty()) return -1;
  const int model = waiting.front();
  waiting.pop_front();
  return model;
}

}  // namespace rb
