// The plan of a sweep: which models there are and all that each one's training depends on.
//
// DIR/manifest.tsv has a line a model, with every setting; DIR/plan.json says where the data are. Equal flags and data
// give equal bytes. Nothing in either depends on how the work is shared out later.
#ifndef RB_APPS_SWEEP_PLAN_H_
#define RB_APPS_SWEEP_PLAN_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/structure_flags.h"
#include "data/dataset.h"
#include "model/config.h"

namespace rb::apps {

struct SweepModel {
  std::string id;      // ModelId
  std::string folder;  // below DIR/models: "RNCMPT00168/replicate-1"
  std::string experiment;
  std::string data;        // DataIdentity of its experiment
  int64_t max_probes = 0;  // 0: all training probes
  TrainConfig config;      // the replicate is in it
};

struct SweepPlan {
  std::string folder;                    // DIR
  std::string data;                      // path of the data, absolute
  std::vector<std::string> experiments;  // read from it together, in this order
  StructureFlags structure;              // tracks of all models; a profiles' path is absolute
  std::string energy;                    // that they are folded with, as --energy takes it
  std::vector<SweepModel> models;
};

// What a model's training reads of a data set: sequences, its tracks, folds and its experiment's scores; neither the
// file's name and packing nor other experiments.
class DataIdentity {
 public:
  explicit DataIdentity(const Dataset& dataset);
  // 16 hexadecimal digits of a SHA-256. `experiment` is an index of the data set; `structure`: tracks the model takes.
  std::string Of(int64_t experiment, int structure);

 private:
  const Dataset& dataset_;
  std::map<int, std::string> sequences_;  // by structure channels
  std::map<std::pair<int64_t, int>, std::string> known_;
};

// 16 hexadecimal digits of a SHA-256 over the experiment's name, its data, max_probes and every setting: the same for
// the same model in whatever plan it stands, at whatever place. `id` and `folder` of the model do not count.
std::string ModelId(const SweepModel& model);

// The names of the settings in which models of the plan differ, sorted; without "replicate", which has its own column.
std::vector<std::string> VaryingSettings(const SweepPlan& plan);
// The value of a setting, or of "max_probes".
std::string SettingOf(const SweepModel& model, const std::string& name);

std::string ManifestText(const SweepPlan& plan);
std::string PlanText(const SweepPlan& plan);

// manifest.tsv, then plan.json, which names the manifest's SHA-256.
absl::Status WritePlan(const SweepPlan& plan);
// NotFound: no plan there. InvalidArgument: damaged, edited or of another version; a folder that leads out of DIR.
absl::StatusOr<SweepPlan> ReadPlan(const std::string& folder);

std::string ManifestPath(const std::string& folder);  // DIR/manifest.tsv
std::string PlanPath(const std::string& folder);      // DIR/plan.json
std::string ModelsFolder(const SweepPlan& plan);      // DIR/models

}  // namespace rb::apps

#endif  // RB_APPS_SWEEP_PLAN_H_
