#include "apps/train/baselines.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/train/data.h"
#include "apps/train/events.h"
#include "apps/train/plan.h"
#include "apps/train/report.h"
#include "data/folder_lock.h"
#include "data/writers.h"
#include "engine/backend.h"
#include "engine/check.h"
#include "engine/thread_pool.h"
#include "gia/pwm_fit.h"
#include "model/exact_text.h"
#include "model/kmer_fit.h"
#include "model/predictor.h"
#include "model/run_files.h"
#include "model/train_job.h"

namespace rb::apps {
namespace {

// A fitted model with what was tried for it, as history.tsv shows it.
struct Fitted {
  Baseline model;
  double valid_pearson = 0;
  std::string history, sentence;
};

Fitted Told(KmerFit fit) {
  Fitted fitted{std::move(fit.model), fit.trials[fit.best].valid_pearson,
                "penalty\titerations\tresidual\tvalid_pearson\tbest\n", ""};
  for (size_t i = 0; i < fit.trials.size(); ++i) {
    const KmerTrial& t = fit.trials[i];
    absl::StrAppend(&fitted.history, ExactText(t.penalty), "\t", t.iterations, "\t", ExactText(t.residual), "\t",
                    ExactText(t.valid_pearson), "\t", i == fit.best ? 1 : 0, "\n");
  }
  const bool edge = fit.trials.size() > 1 && (fit.best == 0 || fit.best + 1 == fit.trials.size());
  fitted.sentence = absl::StrCat("penalty ", ExactText(fitted.model.penalty), edge ? ", the last one of the grid" : "");
  return fitted;
}

Fitted Told(PwmFit fit) {
  Fitted fitted{std::move(fit.model), fit.trials[fit.best].valid_pearson, "top\twidth\tslope\tvalid_pearson\tbest\n",
                ""};
  for (size_t i = 0; i < fit.trials.size(); ++i) {
    const PwmTrial& t = fit.trials[i];
    absl::StrAppend(&fitted.history, t.top, "\t", t.width, "\t", ExactText(t.slope), "\t", ExactText(t.valid_pearson),
                    "\t", i == fit.best ? 1 : 0, "\n");
  }
  fitted.sentence = absl::StrCat(fitted.model.width(), " columns from ", fitted.model.top, " k-mers");
  return fitted;
}

absl::StatusOr<Fitted> Fit(const TrainFlags& flags, const BaselineData& data, Parallel& parallel) {
  if (KindOf(flags) == ModelKind::kKmer) {
    RB_ASSIGN_OR_RETURN(KmerFit fit, FitKmers(data, flags.k.value_or(6), KmerPenalties(), parallel));
    return Told(std::move(fit));
  }
  PwmFitOptions options;
  options.k = flags.k.value_or(options.k);
  options.width = flags.motif_width.value_or(0);
  options.scan = FindWindowScan(flags.scan.value_or("best")).value_or(WindowScan::kBest);
  if (flags.top.has_value()) options.tops = {*flags.top};
  RB_ASSIGN_OR_RETURN(PwmFit fit, FitPwm(data, options));
  return Told(std::move(fit));
}

// Fits and writes one experiment's model.
absl::StatusOr<ModelFile> TrainOne(const TrainFlags& flags, TrainJob& job, const Dataset& dataset, Parallel& parallel,
                                   Reporter& reporter) {
  const std::string name = job.model.experiment;
  RB_ASSIGN_OR_RETURN(const std::vector<float> targets,
                      TransformedTargets(job.model, dataset, job.experiment, job.train_rows));
  const BaselineData data{dataset.sequences, job.train_rows, job.valid_rows, targets, job.valid_targets};
  absl::StatusOr<Fitted> fitted = Fit(flags, data, parallel);
  if (!fitted.ok()) {
    return absl::Status(fitted.status().code(),
                        absl::StrCat("experiment '", name, "': ", std::string(fitted.status().message())));
  }
  ModelFile model = std::move(job.model);
  model.config.shape.structure = 0;  // it reads the letters alone
  model.structure_source.clear();
  model.baseline = std::move(fitted->model);
  model.best_metric = fitted->valid_pearson;
  RB_RETURN_IF_ERROR(MakeRunFolder(JoinPath(flags.out, name)));
  RB_RETURN_IF_ERROR(WriteFile(HistoryPath(flags.out, name), fitted->history));
  RB_RETURN_IF_ERROR(WriteModel(model, ModelPath(flags.out, name)));
  reporter.Say("model",
               absl::StrCat(name, ": validation Pearson ", Fixed(fitted->valid_pearson, 4), ", ", fitted->sentence),
               {{"experiment", name}, {"valid_pearson", fitted->valid_pearson}});
  return model;
}

absl::Status CheckOutputs(const TrainFlags& flags, const std::vector<std::string>& experiments) {
  std::vector<std::string> files = {MetricsPath(flags.out)};
  for (const std::string& name : experiments) {
    files.push_back(ModelPath(flags.out, name));
    files.push_back(HistoryPath(flags.out, name));
  }
  return RefuseExisting(files, flags.common.overwrite);
}

// One process at a time writes to the folder. What another run left of these models goes: from a network's checkpoints
// `--resume` would put the network in the baseline's place.
absl::StatusOr<FolderLock> TakeFolder(const TrainFlags& flags, const std::vector<PlannedModel>& models,
                                      Reporter& reporter) {
  RB_RETURN_IF_ERROR(MakeRunFolder(flags.out));
  RB_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(flags.out));
  if (!lock.note().empty()) reporter.Say("message", lock.note());
  RB_RETURN_IF_ERROR(RemoveRun(flags.out, flags.out, models));
  std::error_code error;
  for (const PlannedModel& model : models) std::filesystem::remove(EventsPath(flags.out, model.folder), error);
  return lock;
}

void Describe(const TrainFlags& flags, const TrainConfig& config, const std::vector<TrainJob>& jobs,
              const std::string& device, int threads, RunRecord& record) {
  record.Set("model", flags.model);
  record.Set("preset", flags.common.preset);
  record.Set("seed", config.seed);
  record.Set("models", jobs.size());
  record.Set("device", device);
  record.Set("threads", threads);
  record.Set("precision", "fp64");
  record.Set("max_probes", flags.max_probes);
}

}  // namespace

absl::Status TrainBaselines(const TrainFlags& flags, const Invocation& invocation) {
  RB_ASSIGN_OR_RETURN(TrainConfig config, MakeConfig(flags));
  RB_RETURN_IF_ERROR(CheckOutputs(flags, {}));
  ThreadPool pool(flags.common.threads);
  Reporter reporter(flags.common.progress);
  RunRecord record(invocation);
  reporter.Busy(absl::StrCat("reading ", flags.data, " .."));
  RB_ASSIGN_OR_RETURN(const Dataset dataset, ReadTrainData(flags, config, pool));
  RB_RETURN_IF_ERROR(FitConfigToData(flags, dataset, config));
  RB_RETURN_IF_ERROR(CheckOutputs(flags, dataset.experiments));
  RB_RETURN_IF_ERROR(record.AddInput(flags.data));
  size_t all_train = 0;
  RB_ASSIGN_OR_RETURN(const Split split,
                      MakeTrainSplit(dataset, config.seed, config.valid_fraction, flags.max_probes, &all_train));
  RB_ASSIGN_OR_RETURN(const auto summary, SummarizeDataset(dataset, split, config.transform, config.preset));
  const std::vector<PlannedModel> models = OneModelEach(config, dataset.experiments);
  RB_ASSIGN_OR_RETURN(std::vector<TrainJob> jobs, MakeTrainJobs(models, dataset, split));
  record.EndPhase("read");
  SayData(flags, dataset, split, all_train, summary, reporter);
  const auto machine = MakeCpuBackend<float>(pool);
  Describe(flags, config, jobs, machine->Describe(), pool.num_threads(), record);
  RB_ASSIGN_OR_RETURN(const FolderLock lock, TakeFolder(flags, models, reporter));

  std::vector<Evaluation> tests;
  for (size_t i = 0; i < jobs.size(); ++i) {
    RB_ASSIGN_OR_RETURN(const ModelFile model, TrainOne(flags, jobs[i], dataset, pool, reporter));
    reporter.Open();
    reporter.Progress(absl::StrCat("fitted ", i + 1, " of ", jobs.size(), " models"),
                      {{"done", i + 1}, {"models", jobs.size()}});
    if (split.test.empty()) continue;
    RB_ASSIGN_OR_RETURN(const Predictor predictor, Predictor::Create(model, Precision::kFp32, *machine));
    RB_ASSIGN_OR_RETURN(tests.emplace_back(), Evaluate(model, predictor, dataset, split.test));
  }
  record.EndPhase("train");
  return WriteTests(flags, tests, {}, split, record, reporter);
}

}  // namespace rb::apps
