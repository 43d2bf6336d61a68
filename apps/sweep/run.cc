// residualbind sweep run: trains this process's share of a plan.
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/shard.h"
#include "apps/common/text.h"
#include "apps/sweep/commands.h"
#include "apps/sweep/files.h"
#include "apps/sweep/plan.h"
#include "apps/train/data.h"
#include "apps/train/flags.h"
#include "apps/train/progress.h"
#include "apps/train/slots.h"
#include "data/readers.h"
#include "engine/check.h"
#include "engine/thread_pool.h"
#include "model/checkpoint.h"
#include "model/structure_tracks.h"
#include "model/train_job.h"
#include "model/trainer.h"

namespace rb::apps {
namespace {

constexpr double kHeartbeat = 10;  // seconds between two writings of the shard's record

struct Flags {
  CommonFlags common;
  std::string plan, shard, data;
  WorkFlags work;
};

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "?";
}

// Models that train with one split of the data.
using SplitKey = std::tuple<uint64_t, double, int64_t>;  // seed, valid_fraction, max_probes
SplitKey KeyOf(const SweepModel& m) { return {m.config.seed, m.config.valid_fraction, m.max_probes}; }

class ShareRunner {
 public:
  ShareRunner(const Flags& flags, const Invocation& invocation, SweepPlan plan, Shard shard)
      : flags_(flags), invocation_(invocation), plan_(std::move(plan)), reporter_(flags.common.progress) {
    record_.shard = shard;
    for (int64_t i = 0; i < std::ssize(plan_.models); ++i) {
      if (shard.Has(i)) share_.push_back(i);
    }
  }

  absl::Status Execute();

 private:
  friend class ShareObserver;

  absl::Status TakeLocks();
  absl::Status CheckPlan();
  absl::Status ReadData();
  absl::Status CheckData();
  absl::StatusOr<std::vector<int64_t>> Unfinished();
  absl::Status TrainAll(const std::vector<int64_t>& unfinished);
  absl::StatusOr<bool> CanTrain(const SweepModel& model, const Split& split);
  absl::Status TrainGroup(const std::vector<int64_t>& models, const Split& split);
  absl::Status Finish(const SweepModel& model, const Split& split);
  absl::Status Fail(const SweepModel& model, const std::string& why);
  absl::Status WriteRecord(const std::string& state);
  absl::Status Verdict();

  // A thread that trains on one of several devices cannot use another one meanwhile; then models are tested at the end.
  bool CanTestNow() const { return trainers_.size() == 1 || !tester_.backend->FreeMemory().has_value(); }
  const SweepModel& model(int64_t index) const { return plan_.models[static_cast<size_t>(index)]; }
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  const Flags& flags_;
  const Invocation& invocation_;
  SweepPlan plan_;
  Reporter reporter_;
  std::vector<int64_t> share_;  // places in the manifest
  std::optional<SweepLock> lock_;
  std::vector<OpenedMachine> trainers_;
  OpenedMachine tester_;
  Dataset dataset_;
  std::map<int, std::string> sequences_;  // their fingerprint, by structure channels
  ShardRecord record_;
  std::vector<std::string> failed_;  // folders, with the reasons
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double written_ = 0;  // when the record was
};

// Tests every model when it ends, so that a process that is killed later leaves finished ones behind.
class ShareObserver : public TrainReporter {
 public:
  // models: places in the manifest of those that `planned` names.
  ShareObserver(ShareRunner& run, const std::vector<int64_t>& models, const std::vector<PlannedModel>& planned,
                const Split& split)
      : TrainReporter(run.reporter_, planned[0].config.shape.classification, planned),
        run_(run),
        models_(models),
        split_(split) {}

  void OnEpoch(const EpochReport& report) override {
    TrainReporter::OnEpoch(report);
    if (!report.stopped || !status_.ok() || !run_.CanTestNow()) return;
    const SweepModel& model = run_.model(models_[static_cast<size_t>(report.model)]);
    const absl::StatusOr<ModelFile> file = ReadModel(SweepModelPath(run_.plan_, model));
    // A model that failed has no file, or that of an epoch before: Train's result tells.
    if (file.ok() && file->epochs == report.epoch) status_ = run_.Finish(model, split_);
  }
  void OnProgress(const TrainProgress& progress) override {
    TrainReporter::OnProgress(progress);
    run_.record_.sequences_per_second = progress.sequences_per_second;
    if (run_.Seconds() - run_.written_ >= kHeartbeat && status_.ok()) status_ = run_.WriteRecord("running");
  }
  bool ShouldStop() override { return TrainReporter::ShouldStop() || !status_.ok(); }
  const absl::Status& status() const { return status_; }

 private:
  ShareRunner& run_;
  const std::vector<int64_t>& models_;
  const Split& split_;
  absl::Status status_;
};

absl::Status ShareRunner::TakeLocks() {
  RB_ASSIGN_OR_RETURN(lock_, SweepLock::Open(plan_));
  for (const int64_t i : share_) {
    if (lock_->Take(i)) continue;
    std::string who;
    for (const ShardRecord& r : ReadShardRecords(plan_)) {
      if (r.state == "running" && r.shard.Has(i))
        who = absl::StrCat(" (shard ", r.shard.Name(), ", process ", r.pid, " on ", r.host, ")");
    }
    return absl::FailedPreconditionError(
        absl::StrCat(plan_.folder, ": another process", who, " trains ", model(i).folder,
                     "; expected each shard to run once at a time, and all processes with the same number of shards"));
  }
  if (!lock_->available()) {
    reporter_.Say("warning", absl::StrCat("ATTENTION: the file system of ", plan_.folder,
                                          " has no locks; nothing keeps a shard from running twice"));
  }
  return CheckPlan();
}

// `sweep plan --overwrite` may have replaced the plan before its models were locked; from here on it cannot.
absl::Status ShareRunner::CheckPlan() {
  RB_ASSIGN_OR_RETURN(const SweepPlan now, ReadPlan(plan_.folder));
  if (PlanText(now) == PlanText(plan_)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      plan_.folder, ": its plan was replaced while this process began; expected it to be run again, with the new one"));
}

absl::Status ShareRunner::ReadData() {
  const std::string& path = flags_.data.empty() ? plan_.data : flags_.data;
  reporter_.Busy(absl::StrCat("reading ", path, " .."));
  const ReadOptions options{model(0).config.shape.length, plan_.experiments, flags_.common.dna()};
  ThreadPool pool(flags_.common.threads);  // all threads read, however many machines share them later
  RB_ASSIGN_OR_RETURN(dataset_, ReadDataset(path, options, pool));
  CommonFlags common;
  common.energy = plan_.energy;
  RB_RETURN_IF_ERROR(tester_.backend->BindThread());
  RB_RETURN_IF_ERROR(AddStructure(plan_.structure, common, path, *tester_.backend, reporter_, dataset_.sequences));
  return CheckData();
}

absl::Status ShareRunner::CheckData() {
  const std::string& path = flags_.data.empty() ? plan_.data : flags_.data;
  DataIdentity identity(dataset_);
  for (const int64_t i : share_) {
    const std::string& experiment = model(i).experiment;
    const int structure = model(i).config.shape.structure, have = dataset_.sequences.structure_channels;
    if (!TracksServe(have, structure)) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": has ", have, " structure tracks, ", model(i).folder,
                                                        " takes ", structure,
                                                        "; expected the data that the plan was made for"));
    }
    const std::string found = identity.Of(dataset_.Find(experiment), structure);
    if (found == model(i).data) continue;
    return absl::FailedPreconditionError(absl::StrCat(path, ": the data of ", experiment, " have the hash ", found,
                                                      ", the plan was made for ", model(i).data,
                                                      "; expected the same data, or `sweep plan` again"));
  }
  return absl::OkStatus();
}

// The models of the share that are still to be trained.
absl::StatusOr<std::vector<int64_t>> ShareRunner::Unfinished() {
  std::vector<int64_t> unfinished;
  int64_t begun = 0;
  for (const int64_t i : share_) {
    const SweepReport report = Inspect(plan_, model(i));
    if (report.state == SweepState::kFinished) {
      ++record_.finished;
      continue;
    }
    if (report.state == SweepState::kDamaged) {
      reporter_.Say("damaged", absl::StrCat(report.reason, "; the model is trained again"));
    }
    begun += report.state == SweepState::kBegun;
    unfinished.push_back(i);
  }
  record_.models = std::ssize(share_);
  reporter_.Say("share",
                absl::StrCat(plan_.folder, ": shard ", record_.shard.Name(), " has ", record_.models, " of ",
                             plan_.models.size(), " models; ", record_.finished, " are finished, ", begun, " begun"),
                {{"shard", record_.shard.index},
                 {"of", record_.shard.count},
                 {"models", record_.models},
                 {"finished", record_.finished},
                 {"begun", begun}});
  return unfinished;
}

// Whether Train will take the model. One that cannot be trained is written down as failed; a checkpoint that is no use
// is removed.
absl::StatusOr<bool> ShareRunner::CanTrain(const SweepModel& m, const Split& split) {
  const absl::StatusOr<std::vector<TrainJob>> jobs =
      MakeTrainJobs({PlannedModel{m.config, m.experiment, m.folder}}, dataset_, split);
  if (!jobs.ok()) {
    RB_RETURN_IF_ERROR(Fail(m, std::string(jobs.status().message())));
    return false;
  }
  Checkpoint expected;
  expected.config = m.config;
  expected.experiment = m.experiment;
  std::string& sequences = sequences_[m.config.shape.structure];
  if (sequences.empty()) sequences = SequencesFingerprint(dataset_, m.config.shape.structure);
  expected.fingerprint = DataFingerprint(sequences, (*jobs)[0], dataset_);
  std::string note;
  const auto found = FindCheckpoint(expected, ModelsFolder(plan_), m.folder, &note);
  if (found.ok()) return true;
  reporter_.Say("checkpoint", absl::StrCat(found.status().message(), "; the model is trained from its start"));
  std::error_code error;
  for (const std::string& path :
       {CheckpointPath(ModelsFolder(plan_), m.folder), PreviousCheckpointPath(ModelsFolder(plan_), m.folder)}) {
    std::filesystem::remove(path, error);
  }
  return true;
}

absl::Status ShareRunner::TrainAll(const std::vector<int64_t>& unfinished) {
  std::map<SplitKey, std::vector<int64_t>> groups;
  for (const int64_t i : unfinished) groups[KeyOf(model(i))].push_back(i);
  for (const auto& [key, models] : groups) {
    const auto& [seed, valid_fraction, max_probes] = key;
    RB_ASSIGN_OR_RETURN(const Split split, MakeTrainSplit(dataset_, seed, valid_fraction, max_probes));
    std::vector<int64_t> able;
    for (const int64_t i : models) {
      RB_ASSIGN_OR_RETURN(const bool can, CanTrain(model(i), split));
      if (can) able.push_back(i);
    }
    if (!able.empty()) RB_RETURN_IF_ERROR(TrainGroup(able, split));
  }
  return absl::OkStatus();
}

absl::Status ShareRunner::TrainGroup(const std::vector<int64_t>& models, const Split& split) {
  TrainOptions options;
  for (const int64_t i : models) options.models.push_back({model(i).config, model(i).experiment, model(i).folder});
  options.output = ModelsFolder(plan_);
  options.home = JoinPath(JoinPath(plan_.folder, "shards"), record_.shard.Name());
  options.resume = true;
  options.checkpoint_every = flags_.work.checkpoint_every;
  RB_ASSIGN_OR_RETURN(options.models_at_once,
                      PlanSlots(flags_.work.models_in_flight, options.models, dataset_, split, trainers_, reporter_));
  ShareObserver observer(*this, models, options.models, split);
  std::vector<Machine*> machines;
  for (const OpenedMachine& machine : trainers_) machines.push_back(machine.backend.get());
  RB_ASSIGN_OR_RETURN(const std::vector<TrainResult> results, Train(options, dataset_, split, machines, &observer));
  RB_RETURN_IF_ERROR(observer.status());
  for (size_t i = 0; i < models.size(); ++i) {
    const SweepModel& m = model(models[i]);
    if (!results[i].status.ok()) {
      RB_RETURN_IF_ERROR(Fail(m, std::string(results[i].status.message())));
    } else if (Inspect(plan_, m).state != SweepState::kFinished) {
      RB_RETURN_IF_ERROR(Finish(m, split));  // it had ended before this process began
    }
  }
  return absl::OkStatus();
}

absl::Status ShareRunner::Finish(const SweepModel& m, const Split& split) {
  RB_ASSIGN_OR_RETURN(const ModelFile file, ReadModel(SweepModelPath(plan_, m)));
  SweepResult result;
  result.epochs = file.epochs;
  result.best_epoch = file.best_epoch;
  result.best_metric = file.best_metric;
  result.tested = !split.test.empty();
  if (result.tested) {
    RB_ASSIGN_OR_RETURN(const Predictor predictor, Predictor::Create(file, m.config.precision, *tester_.backend));
    RB_ASSIGN_OR_RETURN(result.test, Evaluate(file, predictor, dataset_, split.test));
  }
  RB_RETURN_IF_ERROR(WriteFinished(plan_, m, std::move(result)));
  ++record_.finished, ++record_.trained;
  return WriteRecord("running");
}

absl::Status ShareRunner::Fail(const SweepModel& m, const std::string& why) {
  reporter_.Say("failed", absl::StrCat(m.folder, " failed: ", why), {{"model", m.folder}, {"reason", why}});
  RB_RETURN_IF_ERROR(WriteFailed(plan_, m, why));
  failed_.push_back(m.folder);
  ++record_.failed;
  return WriteRecord("running");
}

absl::Status ShareRunner::WriteRecord(const std::string& state) {
  record_.state = state;
  record_.updated = UtcNow();
  record_.seconds = Seconds();
  written_ = record_.seconds;
  return WriteShardRecord(plan_, record_);
}

absl::Status ShareRunner::Verdict() {
  RB_RETURN_IF_ERROR(WriteRecord(failed_.empty() ? "finished" : "failed"));
  reporter_.Open();
  reporter_.Say("done", absl::StrCat("shard ", record_.shard.Name(), ": ", record_.finished, " of ", record_.models,
                                     " models are finished, ", record_.trained, " trained by this process in ",
                                     Duration(record_.seconds)));
  if (failed_.empty()) return absl::OkStatus();
  const size_t named = std::min<size_t>(failed_.size(), 20);
  return absl::DataLossError(absl::StrCat(
      failed_.size(), " of ", record_.models,
      " models failed: ", absl::StrJoin(failed_.begin(), failed_.begin() + static_cast<int64_t>(named), ", "),
      named < failed_.size() ? ", .." : "", "; expected all to be trained (`sweep status` tells why they were not)"));
}

absl::Status ShareRunner::Execute() {
  RB_RETURN_IF_ERROR(TakeLocks());
  RB_ASSIGN_OR_RETURN(const std::vector<int64_t> unfinished, Unfinished());
  record_.host = HostName();
  record_.pid = getpid();
  record_.version = RB_VERSION;
  record_.started = UtcNow();
  const SignalGuard guard;
  absl::Status status;
  if (!unfinished.empty()) {
    CommonFlags machine = flags_.common;
    machine.precision = SettingOf(model(unfinished[0]), "precision");
    RB_ASSIGN_OR_RETURN(trainers_, OpenMachines(machine, CountOrAuto(flags_.work.workers), true));
    RB_ASSIGN_OR_RETURN(tester_, OpenMachine(machine, true));
    const OpenedMachine& first = trainers_[0];
    record_.device = absl::StrCat(trainers_.size() > 1 ? absl::StrCat(trainers_.size(), " x ") : "", first.description);
    reporter_.Say("device", absl::StrCat(record_.device, first.note.empty() ? "" : "; ", first.note));
    RB_RETURN_IF_ERROR(ReadData());
    RB_RETURN_IF_ERROR(WriteRecord("running"));
    status = TrainAll(unfinished);
  }
  if (absl::IsCancelled(status)) {
    RB_RETURN_IF_ERROR(WriteRecord("stopped"));
    const int signal = SignalGuard::Number();
    return WithExitCode(
        absl::CancelledError(absl::StrCat("stopped by ", signal == 0 ? "request" : SignalGuard::Received(), "; ",
                                          record_.finished, " of ", record_.models,
                                          " models of the shard are finished; go on with: ", invocation_.Line())),
        signal == 0 ? 1 : 128 + signal);
  }
  if (!status.ok()) {
    (void)WriteRecord("failed");  // what went wrong is told below; a full disk may not take this either
    return status;
  }
  return Verdict();
}

absl::Status Run(const Flags& flags, const Invocation& invocation) {
  RB_ASSIGN_OR_RETURN(const Shard shard, ParseShard(flags.shard));
  RB_ASSIGN_OR_RETURN(SweepPlan plan, ReadPlan(flags.plan));
  return ShareRunner(flags, invocation, std::move(plan), shard).Execute();
}

}  // namespace

Action DefineSweepRun(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--plan", flags->plan, "folder that `sweep plan` wrote")->required()->type_name("DIR");
  app.add_option("--shard", flags->shard, "I/N: every N-th model from the I-th on; auto: as a scheduler says")
      ->type_name("I/N");
  app.add_option("--data", flags->data, "where the data lie now (default: where they lay when the plan was made)")
      ->type_name("PATH");
  AddCommonFlags(app, flags->common, kMachineFlags | kDenseFlag | kAlphabetFlag | kProgressFlag);
  AddWorkFlags(app, flags->work);
  for (const char* planned : {"--precision", "--batch"}) app.remove_option(app.get_option(planned));
  app.footer(
      "Run it again to go on: finished models are skipped. Example:\n"
      "  residualbind sweep run --plan sweep --shard 0/4");
  return [flags, &invocation] { return Run(*flags, invocation); };
}

}  // namespace rb::apps
