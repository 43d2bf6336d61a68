// residualbind sweep plan: from flags and data to the list of models.
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/text.h"
#include "apps/sweep/commands.h"
#include "apps/sweep/files.h"
#include "apps/sweep/plan.h"
#include "apps/train/data.h"
#include "apps/train/flags.h"
#include "apps/train/plan.h"
#include "engine/check.h"
#include "engine/thread_pool.h"

namespace rb::apps {
namespace {

std::string Absolute(const std::string& path) {
  std::error_code error;
  return std::filesystem::absolute(path, error).lexically_normal().string();
}

// What the models will train on.
struct Work {
  int64_t sequences = 0;             // an epoch of all models
  std::vector<std::string> too_few;  // "RNCMPT00001 (1 training, 0 validation scores)"
};

absl::StatusOr<Work> CountWork(const SweepPlan& plan, const Dataset& dataset) {
  struct Rows {
    int64_t train, valid;
  };
  Work work;
  std::map<std::pair<uint64_t, double>, Split> splits;
  std::map<std::tuple<uint64_t, double, std::string>, Rows> counted;
  for (const SweepModel& model : plan.models) {
    const TrainConfig& c = model.config;
    const auto key = std::pair(c.seed, c.valid_fraction);
    if (!splits.contains(key)) {
      RB_ASSIGN_OR_RETURN(splits[key], MakeTrainSplit(dataset, c.seed, c.valid_fraction, model.max_probes));
    }
    const auto [at, fresh] = counted.try_emplace({c.seed, c.valid_fraction, model.experiment});
    if (fresh) {
      const auto target = dataset.target(dataset.Find(model.experiment));
      at->second = {std::ssize(PresentRows(splits[key].train, target)),
                    std::ssize(PresentRows(splits[key].valid, target))};
    }
    const auto [train, valid] = at->second;
    work.sequences += train;
    if (fresh && (train < 2 || valid < 2)) {
      work.too_few.push_back(
          absl::StrCat(model.experiment, " (", train, " training scores, ", valid, " for validation)"));
    }
  }
  return work;
}

// Writes the plan unless it stands there already. Another one is replaced only when that is asked for, and never while
// its models are being trained; models that both have keep their ids, and what is finished of them stays so.
absl::Status Write(const SweepPlan& plan, bool overwrite) {
  if (const absl::StatusOr<SweepPlan> found = ReadPlan(plan.folder); found.ok() && PlanText(*found) == PlanText(plan)) {
    return absl::OkStatus();
  }
  RB_RETURN_IF_ERROR(
      RefuseExisting({PlanPath(plan.folder)}, overwrite, " (models that both plans have stay as they are)"));
  RB_RETURN_IF_ERROR(MakeFolder(plan.folder));
  RB_ASSIGN_OR_RETURN(SweepLock lock, SweepLock::Open(plan));
  if (lock.TakeAll()) return WritePlan(plan);
  return absl::FailedPreconditionError(absl::StrCat(
      plan.folder, ": models of its plan are being trained; expected those processes to be stopped first"));
}

void Tell(const SweepPlan& plan, const Work& work, Reporter& reporter) {
  std::set<uint64_t> replicates;
  for (const SweepModel& model : plan.models) replicates.insert(model.config.replicate);
  const std::vector<std::string> varying = VaryingSettings(plan);
  std::string text = absl::StrCat(plan.folder, ": ", Counted(std::ssize(plan.models), "model"), ", ",
                                  Counted(std::ssize(plan.experiments), "experiment"));
  if (replicates.size() > 1) absl::StrAppend(&text, ", ", Counted(replicates.size(), "replicate"));
  if (!varying.empty()) absl::StrAppend(&text, ", different in ", absl::StrJoin(varying, ", "));
  absl::StrAppend(&text, "; ", Grouped(work.sequences), " sequences to train in an epoch of all\n");
  if (!work.too_few.empty()) {
    reporter.Say("warning", absl::StrCat("ATTENTION: too few scores to train: ", absl::StrJoin(work.too_few, ", ")));
  }
  reporter.Open();
  std::fputs(text.c_str(), stdout);
}

absl::Status Run(const TrainFlags& flags) {
  if (flags.data == "-") return UsageError("--data -: a plan's data are read again later; expected a file or folder");
  RB_ASSIGN_OR_RETURN(TrainConfig config, MakeConfig(flags));
  RB_RETURN_IF_ERROR(CheckWritable(flags.out));
  config.precision = PrecisionOf(flags.common);
  Reporter reporter(flags.common.progress);
  reporter.Busy(absl::StrCat("reading ", flags.data, " .."));
  ThreadPool pool(flags.common.threads);
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadTrainData(flags, config, pool));
  SweepPlan plan;
  plan.folder = flags.out;
  plan.data = Absolute(flags.data);
  plan.energy = flags.common.energy.empty() || flags.common.energy == kTurner1999 ? flags.common.energy
                                                                                  : Absolute(flags.common.energy);
  RB_ASSIGN_OR_RETURN(plan.structure, StructureOfAll(flags));
  if (!plan.structure.profiles.empty()) plan.structure.profiles = Absolute(plan.structure.profiles);
  CommonFlags folding;
  folding.threads = flags.common.threads;
  RB_ASSIGN_OR_RETURN(const OpenedMachine machine, OpenMachine(folding, false));
  RB_RETURN_IF_ERROR(
      AddStructure(plan.structure, flags.common, flags.data, *machine.backend, reporter, dataset.sequences));
  RB_RETURN_IF_ERROR(FitConfigToData(flags, dataset, config));
  RB_ASSIGN_OR_RETURN(const std::vector<PlannedModel> models, PlanModels(flags, config, dataset.experiments));
  plan.experiments = dataset.experiments;
  DataIdentity identity(dataset);
  std::map<std::string, int64_t> place;
  for (const std::string& name : dataset.experiments) place[name] = dataset.Find(name);
  for (const PlannedModel& m : models) {
    const std::string data = identity.Of(place.at(m.experiment), m.config.shape.structure);
    SweepModel model{"", m.folder, m.experiment, data, flags.max_probes, m.config};
    model.id = ModelId(model);
    plan.models.push_back(std::move(model));
  }
  RB_ASSIGN_OR_RETURN(const Work work, CountWork(plan, dataset));
  RB_RETURN_IF_ERROR(Write(plan, flags.common.overwrite));
  Tell(plan, work, reporter);
  return absl::OkStatus();
}

}  // namespace

Action DefineSweepPlan(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<TrainFlags>();
  AddTrainFlags(app, *flags);
  // What is decided when models are trained.
  for (const char* later :
       {"--resume", "--device", "--dense", "--workers", "--models-in-flight", "--checkpoint-every", "--tensorboard"}) {
    app.remove_option(app.get_option(later));
  }
  app.get_option("--out")->description("folder for manifest.tsv and plan.json, and later for the models");
  app.footer(
      "Writes manifest.tsv and plan.json. Example:\n"
      "  residualbind sweep plan --data rnacompete --experiment all --replicates 3 --out sweep");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
