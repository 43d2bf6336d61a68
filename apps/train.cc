// residualbind train: every named experiment, side by side.
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/command.h"
#include "apps/common/dataset_summary.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/train/baselines.h"
#include "apps/train/data.h"
#include "apps/train/events.h"
#include "apps/train/flags.h"
#include "apps/train/plan.h"
#include "apps/train/progress.h"
#include "apps/train/report.h"
#include "apps/train/slots.h"
#include "engine/check.h"
#include "model/checkpoint.h"
#include "model/predictor.h"
#include "model/run_files.h"
#include "model/trainer.h"

namespace rb::apps {
namespace {

constexpr char kResumeHint[] = ", or --resume to go on from its checkpoints";

// All threads read, however many machines share them later.
absl::StatusOr<Dataset> ReadAll(const TrainFlags& flags, const TrainConfig& config,
                                const std::vector<OpenedMachine>& machines) {
  if (machines.size() == 1) return ReadTrainData(flags, config, *machines[0].pool);
  ThreadPool pool(flags.common.threads);
  return ReadTrainData(flags, config, pool);
}

absl::Status CheckOutputs(const TrainFlags& flags) {
  if (flags.common.resume) {
    if (flags.common.overwrite) return UsageError("--resume and --overwrite exclude each other; expected one of them");
    return absl::OkStatus();
  }
  return RefuseExisting({MetricsPath(flags.out)}, flags.common.overwrite, kResumeHint);
}

// A model that no checkpoint belongs to starts from the beginning; a baseline is no network's beginning.
absl::Status CheckResumed(const TrainFlags& flags, const std::vector<PlannedModel>& models) {
  for (const PlannedModel& model : models) {
    const std::string path = ModelPath(flags.out, model.folder);
    if (FileExists(CheckpointPath(flags.out, model.folder)) || !FileExists(path)) continue;
    const absl::StatusOr<ModelFile> found = ReadModel(path);
    if (!found.ok() || IsNetwork(*found)) continue;
    return absl::FailedPreconditionError(absl::StrCat(path, ": is a ", std::string(ModelKindName(found->baseline.kind)),
                                                      " model; expected a network's checkpoints to --resume from, or "
                                                      "another --out"));
  }
  return absl::OkStatus();
}

absl::Status CheckModelOutputs(const TrainFlags& flags, const std::vector<PlannedModel>& models) {
  if (flags.common.resume) return CheckResumed(flags, models);
  std::vector<std::string> files;
  for (const PlannedModel& model : models) {
    files.push_back(CheckpointPath(flags.out, model.folder));
    files.push_back(PreviousCheckpointPath(flags.out, model.folder));
    files.push_back(ModelPath(flags.out, model.folder));
  }
  return RefuseExisting(files, flags.common.overwrite, kResumeHint);
}

void SayDevice(const std::vector<OpenedMachine>& machines, Reporter& reporter) {
  const OpenedMachine& machine = machines[0];
  reporter.Say("device",
               absl::StrCat(machines.size() > 1 ? absl::StrCat(machines.size(), " x ") : "", machine.description,
                            machine.note.empty() ? "" : "; ", machine.note),
               {{"device", machine.description}, {"note", machine.note}, {"workers", machines.size()}});
}

absl::StatusOr<std::vector<Evaluation>> TestAll(const std::vector<TrainResult>& results, const Dataset& dataset,
                                                const Split& split, const OpenedMachine& machine) {
  std::vector<Evaluation> evaluations;
  for (const TrainResult& result : results) {
    if (!result.status.ok()) continue;
    RB_ASSIGN_OR_RETURN(const Predictor predictor,
                        Predictor::Create(result.model, machine.precision, *machine.backend));
    RB_ASSIGN_OR_RETURN(Evaluation evaluation, Evaluate(result.model, predictor, dataset, split.test));
    evaluations.push_back(std::move(evaluation));
  }
  return evaluations;
}

// Models that are not what was hoped for: says so, and fails when one has no parameters at all.
absl::Status CheckResults(const std::vector<TrainResult>& results, const std::vector<PlannedModel>& models,
                          Reporter& reporter) {
  std::vector<std::string> failed;
  for (size_t i = 0; i < results.size(); ++i) {
    const TrainResult& r = results[i];
    if (!r.status.ok()) {
      failed.push_back(std::string(r.status.message()));
    } else if (r.model.best_epoch == 0) {
      reporter.Say("warning",
                   absl::StrCat(models[i].folder, ": no epoch had a usable validation metric; the model file ",
                                "holds the last epoch's parameters"));
    }
  }
  if (failed.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(failed.size(), " of ", results.size(),
                                          " models failed: ", absl::StrJoin(failed, "; "),
                                          "; expected finite losses (a lower --learning-rate, "
                                          "or look at the targets)"));
}

absl::Status Stopped(const Invocation& invocation, int epochs) {
  const std::string resume = invocation.Has("--resume") ? "" : " --resume";
  std::string line = invocation.Line();
  if (const size_t at = line.find(" --overwrite"); at != std::string::npos) line.erase(at, 12);
  return absl::CancelledError(absl::StrCat("stopped by ", SignalGuard::Received() ? SignalGuard::Received() : "request",
                                           epochs > 0 ? absl::StrCat(" after epoch ", epochs) : " in the first epoch",
                                           "; go on with: ", line, resume));
}

void Describe(const TrainFlags& flags, const TrainConfig& config, const std::vector<OpenedMachine>& machines,
              const TrainOptions& options, RunRecord& record) {
  int threads = 0;
  for (const OpenedMachine& machine : machines) threads += machine.pool->num_threads();
  record.Set("preset", flags.common.preset);
  record.Set("seed", config.seed);
  record.Set("replicate", config.replicate);
  record.Set("replicates", flags.replicates);
  record.Set("grid", flags.grid);
  record.Set("models", options.models.size());
  record.Set("device", machines[0].description);
  record.Set("workers", machines.size());
  record.Set("models_in_flight", options.models_at_once);
  record.Set("threads", threads);
  record.Set("precision", machines[0].precision_name);
  record.Set("max_probes", flags.max_probes);
  record.Set("structure_channels", config.shape.structure);
}

// Tests the trained models, writes metrics.tsv and run.json, prints the table.
absl::Status Finish(const TrainFlags& flags, const std::vector<TrainResult>& results,
                    const std::vector<PlannedModel>& models, const Dataset& dataset, const Split& split,
                    const OpenedMachine& machine, RunRecord& record, Reporter& reporter) {
  std::vector<Evaluation> tests;
  std::vector<std::string> names;  // where experiments have several models
  if (!split.test.empty()) {
    RB_ASSIGN_OR_RETURN(tests, TestAll(results, dataset, split, machine));
    for (size_t i = 0; i < models.size() && models.size() > dataset.experiments.size(); ++i) {
      if (results[i].status.ok()) names.push_back(models[i].folder);
    }
  }
  RB_RETURN_IF_ERROR(WriteTests(flags, tests, names, split, record, reporter));
  return CheckResults(results, models, reporter);
}

absl::StatusOr<std::vector<TrainResult>> TrainGuarded(const TrainOptions& options, const Dataset& dataset,
                                                      const Split& split, const std::vector<OpenedMachine>& machines,
                                                      TrainObserver& observer) {
  const SignalGuard guard;
  std::vector<Machine*> backends;
  for (const OpenedMachine& machine : machines) backends.push_back(machine.backend.get());
  return Train(options, dataset, split, backends, &observer);
}

absl::Status Run(const TrainFlags& flags, const Invocation& invocation) {
  RB_ASSIGN_OR_RETURN(TrainConfig config, MakeConfig(flags));
  RB_RETURN_IF_ERROR(PlanModels(flags, config, {"any"}).status());  // wrong flags are told before data are read
  RB_RETURN_IF_ERROR(CheckOutputs(flags));
  RB_ASSIGN_OR_RETURN(const std::vector<OpenedMachine> machines,
                      OpenMachines(flags.common, CountOrAuto(flags.work.workers), true));
  config.precision = machines[0].precision;
  Reporter reporter(flags.common.progress);
  RunRecord record(invocation);
  reporter.Busy(absl::StrCat("reading ", flags.data, " .."));
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadAll(flags, config, machines));
  RB_ASSIGN_OR_RETURN(const StructureFlags structure, StructureOfAll(flags));
  RB_RETURN_IF_ERROR(
      AddStructure(structure, flags.common, flags.data, *machines[0].backend, reporter, dataset.sequences));
  RB_RETURN_IF_ERROR(FitConfigToData(flags, dataset, config));
  TrainOptions options;
  RB_ASSIGN_OR_RETURN(options.models, PlanModels(flags, config, dataset.experiments));
  options.output = flags.out;
  options.resume = flags.common.resume;
  options.checkpoint_every = flags.work.checkpoint_every;
  RB_RETURN_IF_ERROR(CheckModelOutputs(flags, options.models));
  RB_RETURN_IF_ERROR(record.AddInput(flags.data));
  size_t all_train = 0;
  RB_ASSIGN_OR_RETURN(const Split split,
                      MakeTrainSplit(dataset, config.seed, config.valid_fraction, flags.max_probes, &all_train));
  RB_ASSIGN_OR_RETURN(const auto summary, SummarizeDataset(dataset, split, config.transform, config.preset));
  record.EndPhase("read");
  SayData(flags, dataset, split, all_train, summary, reporter);
  SayDevice(machines, reporter);
  RB_ASSIGN_OR_RETURN(options.models_at_once,
                      PlanSlots(flags.work.models_in_flight, options.models, dataset, split, machines, reporter));
  Describe(flags, config, machines, options, record);

  EventReporter observer(reporter, options, flags.tensorboard);
  const absl::StatusOr<std::vector<TrainResult>> results = TrainGuarded(options, dataset, split, machines, observer);
  RB_RETURN_IF_ERROR(observer.status());  // such an error stops the training too
  if (absl::IsCancelled(results.status())) return Stopped(invocation, observer.epochs());
  RB_RETURN_IF_ERROR(results.status());
  reporter.Open();
  record.EndPhase("train");
  return Finish(flags, *results, options.models, dataset, split, machines[0], record, reporter);
}

}  // namespace

Action DefineTrain(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<TrainFlags>();
  AddTrainFlags(app, *flags);
  AddBaselineFlags(app, *flags);
  app.footer(
      "Ctrl-C stops after the batch and says how to go on. Examples:\n"
      "  residualbind train --data sim --experiment all --epochs 5 --out models\n"
      "  residualbind train --data rnacompete --experiment RNCMPT00168 --out rbfox1 --resume\n"
      "  residualbind train --data sim --experiment all --replicates 3 --grid learning-rate=0.001,0.003 --out grid\n"
      "  residualbind train --data sim --experiment all --model kmer --out kmers");
  return [flags, &app, &invocation] {
    const absl::Status known = CheckModelFlags(app, *flags);
    if (!known.ok()) return known;
    return KindOf(*flags) == ModelKind::kNetwork ? Run(*flags, invocation) : TrainBaselines(*flags, invocation);
  };
}

}  // namespace rb::apps
