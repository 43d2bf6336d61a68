// residualbind train: every named experiment, side by side.
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/command.h"
#include "apps/common_flags.h"
#include "apps/dataset_summary.h"
#include "apps/metrics_table.h"
#include "apps/outputs.h"
#include "apps/reporter.h"
#include "apps/run_record.h"
#include "apps/text.h"
#include "apps/train_flags.h"
#include "apps/train_plan.h"
#include "apps/train_progress.h"
#include "data/readers.h"
#include "data/writers.h"
#include "engine/check.h"
#include "kernels/feistel.h"
#include "kernels/philox.h"
#include "model/checkpoint.h"
#include "model/predictor.h"
#include "model/run_files.h"
#include "model/trainer.h"

namespace rb::apps {
namespace {

constexpr char kResumeHint[] = ", or --resume to go on from its checkpoints";
constexpr uint64_t kSubsetId = 1;  // of Purpose::kSplit; 0 is the split itself

// Keeps `n` of the rows, chosen by the seed, in their order.
std::vector<int32_t> Subset(const std::vector<int32_t>& rows, int64_t n, uint64_t seed) {
  const FeistelPermutation order(static_cast<uint32_t>(rows.size()), DeriveKey(seed, Purpose::kSplit, kSubsetId));
  std::vector<int32_t> kept;
  for (uint32_t i = 0; i < static_cast<uint32_t>(n); ++i) kept.push_back(rows[order(i)]);
  std::sort(kept.begin(), kept.end());
  return kept;
}

absl::StatusOr<Dataset> ReadData(const TrainFlags& flags, const TrainConfig& config, Parallel& parallel) {
  const bool all = flags.experiments == std::vector<std::string>{"all"};
  const ReadOptions options{config.shape.length, all ? std::vector<std::string>() : flags.experiments,
                            flags.common.dna()};
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadDataset(flags.data, options, parallel));
  if (flags.experiments.empty() && dataset.experiments.size() > 1) {
    return UsageError(absl::StrCat("the data hold ", dataset.experiments.size(), " experiments (",
                                   dataset.experiments[0], ", ", dataset.experiments[1],
                                   dataset.experiments.size() > 2 ? ", .." : "",
                                   "); expected --experiment with some of their names, or --experiment all"));
  }
  return dataset;
}

// Settings that only the data can decide.
absl::Status FitConfigToData(const TrainFlags& flags, const Dataset& dataset, TrainConfig& config) {
  config.shape.structure = dataset.sequences.structure_channels;
  if (!dataset.transformed) return absl::OkStatus();
  if (config.transform != TransformKind::kNone && flags.transform.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(flags.data,
                                                      ": its targets are transformed already; expected no "
                                                      "--transform, or --transform none"));
  }
  config.transform = TransformKind::kNone;
  return absl::OkStatus();
}

absl::Status CheckOutputs(const TrainFlags& flags) {
  if (flags.common.resume) {
    if (flags.common.overwrite) return UsageError("--resume and --overwrite exclude each other; expected one of them");
    return absl::OkStatus();
  }
  return RefuseExisting({JoinPath(flags.out, "metrics.tsv")}, flags.common.overwrite, kResumeHint);
}

absl::Status CheckModelOutputs(const TrainFlags& flags, const std::vector<PlannedModel>& models) {
  if (flags.common.resume) return absl::OkStatus();
  std::vector<std::string> files;
  for (const PlannedModel& model : models) {
    files.push_back(CheckpointPath(flags.out, model.folder));
    files.push_back(PreviousCheckpointPath(flags.out, model.folder));
    files.push_back(ModelPath(flags.out, model.folder));
  }
  return RefuseExisting(files, flags.common.overwrite, kResumeHint);
}

void SayData(const TrainFlags& flags, const Dataset& dataset, const Split& split, size_t all_train,
             const OpenedMachine& machine, const std::vector<ExperimentSummary>& summary, Reporter& reporter) {
  reporter.Say("data",
               absl::StrCat(flags.data, ": ", Grouped(dataset.num_probes()), " probes, ", dataset.experiments.size(),
                            dataset.experiments.size() == 1 ? " experiment\n" : " experiments\n", SummaryText(summary)),
               {{"data", flags.data},
                {"probes", dataset.num_probes()},
                {"experiments", dataset.experiments},
                {"train_rows", split.train.size()},
                {"valid_rows", split.valid.size()},
                {"test_rows", split.test.size()}});
  if (split.train.size() != all_train) {
    reporter.Say(
        "subset",
        absl::StrCat("ATTENTION: --max-probes takes ", Grouped(static_cast<int64_t>(split.train.size())), " of ",
                     Grouped(static_cast<int64_t>(all_train)), " training probes; a trial, not a result"));
  }
  reporter.Say("device", absl::StrCat(machine.description, machine.note.empty() ? "" : "; ", machine.note),
               {{"device", machine.description}, {"note", machine.note}});
}

absl::StatusOr<std::vector<Evaluation>> TestAll(const std::vector<TrainResult>& results, const Dataset& dataset,
                                                const Split& split, OpenedMachine& machine) {
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
absl::Status CheckResults(const std::vector<TrainResult>& results, Reporter& reporter) {
  std::vector<std::string> failed;
  for (const TrainResult& r : results) {
    if (!r.status.ok()) {
      failed.push_back(std::string(r.status.message()));
    } else if (r.model.best_epoch == 0) {
      reporter.Say("warning",
                   absl::StrCat(r.model.experiment, ": no epoch had a usable validation metric; the model file ",
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

void Describe(const TrainFlags& flags, const TrainConfig& config, const OpenedMachine& machine, RunRecord& record) {
  record.Set("preset", flags.common.preset);
  record.Set("seed", config.seed);
  record.Set("replicate", config.replicate);
  record.Set("device", machine.description);
  record.Set("threads", machine.pool->num_threads());
  record.Set("precision", machine.precision_name);
  record.Set("max_probes", flags.max_probes);
}

// Tests the trained models, writes metrics.tsv and run.json, prints the table.
absl::Status Finish(const TrainFlags& flags, const std::vector<TrainResult>& results, const Dataset& dataset,
                    const Split& split, OpenedMachine& machine, RunRecord& record, Reporter& reporter) {
  const bool classification = flags.task == "classification";
  std::string table;
  if (split.test.empty()) {
    reporter.Say("test", "no test probes (set B is empty): no test metrics");
  } else {
    RB_ASSIGN_OR_RETURN(const std::vector<Evaluation> tests, TestAll(results, dataset, split, machine));
    RB_RETURN_IF_ERROR(WriteFile(JoinPath(flags.out, "metrics.tsv"), MetricsTsv(tests, classification)));
    table = MetricsText(tests, classification);
  }
  record.EndPhase("test");
  RB_RETURN_IF_ERROR(record.Write(JoinPath(flags.out, "run.json")));
  reporter.Say("done", absl::StrCat("models are in ", flags.out, "; test set:"));
  std::fputs(table.c_str(), stdout);
  return CheckResults(results, reporter);
}

absl::Status Run(const TrainFlags& flags, const Invocation& invocation) {
  RB_ASSIGN_OR_RETURN(TrainConfig config, MakeConfig(flags));
  RB_RETURN_IF_ERROR(CheckOutputs(flags));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, true));
  config.precision = machine.precision;
  Reporter reporter(flags.common.progress);
  RunRecord record(invocation);
  reporter.Busy(absl::StrCat("reading ", flags.data, " .."));
  RB_ASSIGN_OR_RETURN(const Dataset dataset, ReadData(flags, config, *machine.pool));
  RB_RETURN_IF_ERROR(FitConfigToData(flags, dataset, config));
  RB_ASSIGN_OR_RETURN(std::vector<PlannedModel> models, PlanModels(flags, config, dataset.experiments));
  RB_RETURN_IF_ERROR(CheckModelOutputs(flags, models));
  RB_RETURN_IF_ERROR(record.AddInput(flags.data));
  RB_ASSIGN_OR_RETURN(Split split, MakeSplit(dataset, config.seed, config.valid_fraction));
  const size_t all_train = split.train.size();
  if (flags.max_probes > 0 && flags.max_probes < static_cast<int64_t>(all_train)) {
    split.train = Subset(split.train, flags.max_probes, config.seed);
  }
  RB_ASSIGN_OR_RETURN(const auto summary, SummarizeDataset(dataset, split, config.transform, config.preset));
  record.EndPhase("read");
  SayData(flags, dataset, split, all_train, machine, summary, reporter);
  Describe(flags, config, machine, record);

  size_t width = 0;
  for (const std::string& name : dataset.experiments) width = std::max(width, name.size());
  TrainReporter observer(reporter, config.shape.classification, width);
  const TrainOptions options{std::move(models), flags.out, flags.common.resume, 1, flags.models_at_once};
  absl::StatusOr<std::vector<TrainResult>> results;
  {
    const SignalGuard guard;
    Machine* const machines[] = {machine.backend.get()};
    results = Train(options, dataset, split, machines, &observer);
  }
  if (absl::IsCancelled(results.status())) return Stopped(invocation, observer.epochs());
  RB_RETURN_IF_ERROR(results.status());
  reporter.Open();
  record.EndPhase("train");
  return Finish(flags, *results, dataset, split, machine, record, reporter);
}

}  // namespace

Action DefineTrain(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<TrainFlags>();
  AddTrainFlags(app, *flags);
  app.footer(
      "Ctrl-C stops after the batch and says how to go on. Examples:\n"
      "  residualbind train --data sim --experiment all --epochs 5 --out models\n"
      "  residualbind train --data rnacompete --experiment RNCMPT00168 --out rbfox1 --resume");
  return [flags, &invocation] { return Run(*flags, invocation); };
}

}  // namespace rb::apps
