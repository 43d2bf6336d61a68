#include "apps/reproduce/stage.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/command.h"
#include "apps/gia/interview.h"
#include "apps/plot/render.h"
#include "data/readers.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

constexpr char kFolder[] = "gia";

const Anchor* FindAnchor(const std::string& figure, const std::string& key) {
  for (const Anchor& anchor : Anchors()) {
    if (figure == anchor.figure && key == anchor.key) return &anchor;
  }
  return nullptr;
}

}  // namespace

Stage::Stage(const ReproduceFlags& flags, std::vector<LoadedModel> models, OpenedMachine machine)
    : flags_(flags), models_(std::move(models)), machine_(std::move(machine)), reporter_(flags.common.progress) {}

plot::Style Stage::Titled(const std::string& title) const {
  plot::Style style;
  style.title = title;
  style.dna = flags_.common.dna();
  return style;
}

absl::Status Stage::ReadData(const std::vector<std::string>& experiments) {
  reporter_.Busy(absl::StrCat("reading ", flags_.data, " .."));
  const ReadOptions options = {models_[0].file.config.shape.length, experiments, flags_.common.dna()};
  RB_ASSIGN_OR_RETURN(dataset_, ReadDataset(flags_.data, options, *machine_.pool));
  return absl::OkStatus();
}

absl::Status Stage::AddTracks() {
  RB_ASSIGN_OR_RETURN(const Predictor folds, Open(models_[MostStructured(models_)]));
  return folds.AddTracks(dataset_->sequences);
}

absl::StatusOr<const LoadedModel*> Stage::ModelOf(const std::string& experiment) const {
  for (const LoadedModel* model : OneOfEach()) {
    if (model->file.experiment == experiment) return model;
  }
  return absl::NotFoundError(absl::StrCat("--models ", absl::StrJoin(flags_.models, " "), ": no model of ", experiment,
                                          " that reads letters only; train it: ", TrainCommand(flags_, experiment)));
}

std::vector<const LoadedModel*> Stage::OneOfEach() const {
  std::vector<const LoadedModel*> first;
  std::set<std::string> seen;
  // Figures 2 to 4 of the paper are about the log transform.
  for (const bool log : {true, false}) {
    for (const LoadedModel& model : models_) {
      if (!IsSequenceOnly(model) || (model.file.transform.kind == TransformKind::kLog) != log) continue;
      if (seen.insert(model.file.experiment).second) first.push_back(&model);
    }
  }
  std::sort(first.begin(), first.end(), [](const LoadedModel* a, const LoadedModel* b) { return a < b; });
  return first;
}

absl::StatusOr<TestPart> Stage::Test(const LoadedModel& model, const Predictor& predictor) const {
  const TrainConfig& config = model.file.config;
  RB_ASSIGN_OR_RETURN(const Split split, MakeSplit(*dataset_, config.seed, config.valid_fraction));
  TestPart part;
  part.rows = PresentRows(split.test, dataset_->target(dataset_->Find(model.file.experiment)));
  RB_ASSIGN_OR_RETURN(part.scored, ScorePresent(model.file, predictor, *dataset_, split.test));
  RB_CHECK(part.rows.size() == part.scored.predictions.size());
  return part;
}

absl::StatusOr<GiaAnswers> Stage::Ask(const LoadedModel& model, const std::vector<std::string>& experiments,
                                      const std::string& motif, const std::vector<std::string>& embed) {
  GiaFlags flags;
  flags.common = flags_.common;
  flags.motif = motif;
  flags.embed = embed;
  flags.null_n = flags_.null_n;
  flags.controls = 0;
  GiaAnswers all;
  for (const std::string& experiment : experiments) {
    flags.experiment = experiment;
    if (experiment != "kmer" && experiment != "custom" && flags.motif.empty() && !all.kmers.empty()) {
      flags.motif = all.kmers[0].kmer;  // one scan is enough
    }
    RB_ASSIGN_OR_RETURN(GiaAnswers one, Interview(flags, {}, model.file, model.file.experiment, machine_, reporter_));
    if (!one.kmers.empty()) all.kmers = std::move(one.kmers), all.k = one.k, all.position = one.position;
    all.model = one.model, all.nulls = one.nulls;
    for (ExperimentResult& result : one.experiments) all.experiments.push_back(std::move(result));
    for (PairingRow& row : one.pairing) all.pairing.push_back(std::move(row));
  }
  if (!motif.empty()) absl::StrAppend(&all.model, "-", motif);
  all.trained_on = all.model;  // answers about two motifs are no replicates
  return all;
}

void Stage::Tell(GiaAnswers answers) { parts_.push_back(MakeGiaPart(std::move(answers), {flags_.common.dna()})); }

absl::Status Stage::Show(const std::string& name, const absl::StatusOr<plot::Drawing>& drawing) {
  if (!drawing.ok()) {
    const std::string why(drawing.status().message());
    if (why.rfind("nothing to draw", 0) != 0) return drawing.status();
    reporter_.Say("picture", absl::StrCat(name, ": no picture, ", why));
    return absl::OkStatus();
  }
  for (const std::string& format : flags_.formats) {
    const std::string file = absl::StrCat(name, ".", format);
    RB_ASSIGN_OR_RETURN(const plot::Format kind, plot::FormatOf(file));
    RB_ASSIGN_OR_RETURN(std::string content, plot::Render(*drawing, kind));
    Keep(file, std::move(content));
  }
  return absl::OkStatus();
}

void Stage::Keep(const std::string& file, std::string content) { files_.emplace_back(file, std::move(content)); }

void Stage::FindOf(const LoadedModel& model, const std::string& key, double value) {
  const Anchor* anchor = FindAnchor(flags_.figure, key);
  RB_CHECK(anchor != nullptr);
  Finding finding = {value, 1, "", TrainingNote(model.file)};
  const std::string experiment = anchor->experiment;
  if (!experiment.empty() && experiment != model.file.experiment) {
    finding.reason = absl::StrCat(model.file.experiment, ", not ", experiment);
  }
  if (!other_motif_.empty()) absl::StrAppend(&finding.reason, finding.reason.empty() ? "" : "; ", other_motif_);
  Find(key, std::move(finding));
}

absl::Status Stage::Write() {
  Keep("anchors.tsv", AnchorsTsv(flags_.figure, findings_, missing_));
  std::vector<std::string> paths;
  for (const auto& [name, content] : files_) paths.push_back(JoinPath(flags_.out, name));
  const std::string folder = JoinPath(flags_.out, kFolder);
  if (!parts_.empty()) {
    for (const std::string& path : GiaTablePaths(folder)) paths.push_back(path);
  }
  RB_RETURN_IF_ERROR(RefuseExisting(paths, flags_.common.overwrite));
  RB_RETURN_IF_ERROR(MakeFolder(flags_.out));
  for (const auto& [name, content] : files_) {
    const std::string path = JoinPath(flags_.out, name);
    RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(path)));
    RB_RETURN_IF_ERROR(WriteFile(path, content));
  }
  if (parts_.empty()) return absl::OkStatus();
  RB_RETURN_IF_ERROR(MakeFolder(folder));
  return WriteGiaTables(folder, parts_, {flags_.common.dna()});
}

std::string TrainingNote(const ModelFile& model) {
  return absl::StrCat("trained ", model.epochs, model.epochs == 1 ? " epoch" : " epochs", " with ",
                      std::string(TransformName(model.transform.kind)),
                      model.epochs < 20 ? ", far fewer than the paper's 100: effects are not final" : "");
}

std::string TrainCommand(const ReproduceFlags& flags, const std::string& experiment) {
  return absl::StrCat("residualbind train --data ", ShellQuoted(flags.data), " --experiment ", ShellQuoted(experiment),
                      flags.common.preset == "paper" ? "" : " --preset " + flags.common.preset, " --out ",
                      ShellQuoted("models-" + experiment));
}

std::string RunName(const ModelFile& model) {
  const int tracks = model.config.shape.structure;
  return absl::StrCat(std::string(TransformName(model.transform.kind)), tracks == 0   ? " sequence"
                                                                        : tracks == 2 ? " PU"
                                                                                      : " PHIME");
}

std::vector<float> LocalEffects(const ExperimentResult& result, size_t question) {
  const size_t nulls = result.local.size() / std::max<size_t>(result.effects.size(), 1);
  const auto first = result.local.begin() + static_cast<ptrdiff_t>(question * nulls);
  return {first, first + static_cast<ptrdiff_t>(nulls)};
}

plot::Estimate EstimateOf(const ExperimentResult& result, size_t question, bool values) {
  const Effect& effect = result.effects[question];
  plot::Estimate estimate;
  estimate.label = effect.label;
  estimate.mean = effect.summary.mean;
  estimate.low = effect.summary.ci_low, estimate.high = effect.summary.ci_high;
  estimate.x = effect.x;
  if (!values) return estimate;
  const std::vector<float> local = LocalEffects(result, question);
  estimate.values.assign(local.begin(), local.end());
  return estimate;
}

const ExperimentResult& ResultOf(const GiaAnswers& answers, const std::string& experiment) {
  const auto it = std::find_if(answers.experiments.begin(), answers.experiments.end(),
                               [&](const ExperimentResult& result) { return result.name == experiment; });
  RB_CHECK(it != answers.experiments.end());
  return *it;
}

absl::StatusOr<AlignmentMotif> AlignedMotif(const GiaAnswers& answers, bool published, const std::string& name) {
  std::vector<WeightedSequence> kmers;
  for (const KmerEffect& kmer : answers.kmers) kmers.push_back({kmer.kmer, kmer.effect});
  RB_ASSIGN_OR_RETURN(AlignmentMotif motif,
                      AlignKmers(kmers, PresetAlignment(published ? Preset::kPublished : Preset::kPaper)));
  motif.pwm.name = name;
  return motif;
}

int64_t RankOf(const GiaAnswers& answers, const std::string& motif) {
  for (size_t i = 0; i < answers.kmers.size(); ++i) {
    if (answers.kmers[i].kmer == motif) return static_cast<int64_t>(i) + 1;
  }
  return 0;
}

}  // namespace rb::apps
