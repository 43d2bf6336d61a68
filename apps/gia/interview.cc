#include "apps/gia/interview.h"

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/command.h"
#include "apps/common/text.h"
#include "apps/train/data.h"
#include "engine/check.h"
#include "gia/embed.h"
#include "gia/experiment.h"
#include "gia/motif_io.h"
#include "gia/null_drift.h"
#include "gia/null_model.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/keras_import.h"
#include "model/predictor.h"
#include "model/structure_tracks.h"

namespace rb::apps {
namespace {

// Real sequences that the null is compared with.
constexpr size_t kDriftSequences = 2000;

absl::Status ParseFilter(const std::string& text, NullOptions& options) {
  if (text.empty()) return absl::OkStatus();
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  if (parts.size() == 2 && absl::SimpleAtod(parts[0], &options.filter_low) &&
      absl::SimpleAtod(parts[1], &options.filter_high) && options.filter_low >= 0 &&
      options.filter_low < options.filter_high && options.filter_high <= 100) {
    return absl::OkStatus();
  }
  return UsageError(absl::StrCat("--null-filter ", text, ": expected two percentiles, for example 10,90"));
}

PwmReader MotifFiles() {
  // Read once each.
  auto known = std::make_shared<std::map<std::string, std::vector<MotifRecord>>>();
  return [known](const std::string& file, const std::string& name) -> absl::StatusOr<Pwm> {
    auto [entry, is_new] = known->try_emplace(file);
    if (is_new) {
      RB_ASSIGN_OR_RETURN(entry->second, ReadMotifs(file));
    }
    for (const MotifRecord& record : entry->second) {
      if (record.pwm.name == name) return record.pwm;
    }
    return absl::NotFoundError(absl::StrCat(file, ": has no motif '", name, "'; expected one of its ",
                                            entry->second.size(), ", the first of which is '",
                                            entry->second.empty() ? "" : entry->second[0].pwm.name, "'"));
  };
}

// One model's questions.
class Interviewer {
 public:
  Interviewer(const GiaFlags& flags, const GiaInputs& inputs, const ModelFile& model, const std::string& name,
              OpenedMachine& machine, Reporter& reporter)
      : flags_(flags), inputs_(inputs), model_(model), machine_(machine), reporter_(reporter) {
    answers_.model = name;
    answers_.trained_on = model_.experiment;
    id_ = StableId(model_.experiment, model_.config.replicate);
  }

  absl::StatusOr<GiaAnswers> Run() {
    RB_ASSIGN_OR_RETURN(predictor_, MakePredictor());
    score_ = [this](const Sequences& sequences) { return predictor_->Predict(sequences); };
    RB_RETURN_IF_ERROR(MakeNulls());
    RB_RETURN_IF_ERROR(CompareNulls());
    RB_RETURN_IF_ERROR(ReadMeasured());
    const bool needs_motif = flags_.motif.empty() && flags_.experiment != "custom";
    std::vector<Experiment> experiments;
    if (!needs_motif) {
      RB_ASSIGN_OR_RETURN(experiments, MakeExperiments(flags_.motif));
    }
    reporter_.Open();  // what can be wrong with the questions is known by now
    if (flags_.scans() || needs_motif) RB_RETURN_IF_ERROR(Scan());
    if (needs_motif) {
      const std::string& motif = answers_.kmers[0].kmer;
      RB_ASSIGN_OR_RETURN(experiments, MakeExperiments(motif));
      if (!experiments.empty()) {
        reporter_.Say("motif",
                      absl::StrCat(answers_.model, ": the motif is the strongest ", flags_.k, "-mer, ", motif));
      }
    }
    for (const Experiment& experiment : experiments) RB_RETURN_IF_ERROR(Ask(experiment));
    return std::move(answers_);
  }

 private:
  absl::StatusOr<std::unique_ptr<Predictor>> MakePredictor() {
    RB_ASSIGN_OR_RETURN(Predictor made, OpenPredictor(model_, flags_.common, machine_));
    return std::make_unique<Predictor>(std::move(made));
  }
  void Progress(const std::string& what) {
    reporter_.Progress(absl::StrCat(answers_.model, ": ", what, " .."),
                       {{"model", answers_.model}, {"experiment", what}}, 10);
  }
  int64_t ExperimentRow() const { return inputs_.dataset->Find(model_.experiment); }

  absl::Status MakeNulls() {
    NullOptions options;
    options.kind = FindNullKind(flags_.null).value_or(NullKind::kFile);
    options.n = inputs_.NullsOf(flags_);
    options.seed = flags_.common.seed;
    options.id = id_;
    RB_RETURN_IF_ERROR(ParseFilter(flags_.null_filter, options));
    NullSources sources;
    sources.length = model_.config.shape.length;
    sources.profile = model_.profile;
    if (inputs_.file.has_value()) sources.file = &*inputs_.file;
    if (inputs_.dataset.has_value()) {
      sources.sequences = &inputs_.dataset->sequences;
      sources.rows = inputs_.SplitOf(model_).train;
      if (ExperimentRow() >= 0) sources.scores = inputs_.dataset->target(ExperimentRow());
    }
    RB_ASSIGN_OR_RETURN(NullSet set, DrawNulls(options, sources, score_));
    nulls_ = std::move(set.sequences);
    drawn_ = std::move(set.drawn);
    answers_.nulls = nulls_.size();
    if (set.scored > 0) {
      reporter_.Say("filter",
                    absl::StrCat(answers_.model, ": ", Grouped(nulls_.size()), " of ", Grouped(set.scored),
                                 " null sequences score between ", Fixed(set.low, 3), " and ", Fixed(set.high, 3)));
    }
    return absl::OkStatus();
  }

  // Says how the null differs from real sequences, where there are some.
  absl::Status CompareNulls() {
    if (!inputs_.dataset.has_value()) return absl::OkStatus();
    const Sequences& all = inputs_.dataset->sequences;
    Sequences real;
    real.length = all.length;
    const std::vector<int32_t>& rows = inputs_.SplitOf(model_).train;
    const size_t step = std::max<size_t>(1, rows.size() / kDriftSequences);
    for (size_t i = 0; i < rows.size() && real.widths.size() < kDriftSequences; i += step) {
      real.Append(all.packed(rows[i]), all.widths[rows[i]]);
    }
    RB_ASSIGN_OR_RETURN(const std::vector<float> null_scores, predictor_->Predict(nulls_));
    RB_ASSIGN_OR_RETURN(const std::vector<float> real_scores, predictor_->Predict(real));
    RB_ASSIGN_OR_RETURN(const NullDrift drift, CompareWithReal(nulls_, null_scores, real, real_scores));
    reporter_.Say("null", absl::StrCat(answers_.model, ": ", FormatDrift(drift, flags_.common.dna())),
                  {{"model", answers_.model}, {"drifted", drift.drifted()}, {"ks", drift.ks}});
    return absl::OkStatus();
  }

  absl::Status Scan() {
    const std::string what = absl::StrCat(Grouped(int64_t{1} << (2 * flags_.k)), " ", flags_.k, "-mers");
    Progress(what);
    KmerScanOptions options = {flags_.k, flags_.position, drawn_.has_value() ? &*drawn_ : nullptr, {}};
    options.progress = [&](double share) { Progress(absl::StrCat(what, ", ", static_cast<int>(100 * share), " %")); };
    RB_ASSIGN_OR_RETURN(answers_.kmers, ScanKmers(*predictor_, nulls_, options));
    answers_.k = flags_.k;
    answers_.position = flags_.position;
    return absl::OkStatus();
  }

  // All that are asked, every embedding read once, so that what is wrong with one is found before the work.
  absl::StatusOr<std::vector<Experiment>> MakeExperiments(const std::string& motif) const {
    std::vector<Experiment> experiments;
    for (const std::string& name : AskedExperiments(flags_)) {
      const ExperimentSettings settings = SettingsOf(flags_, model_.config.shape.length, motif, id_);
      RB_ASSIGN_OR_RETURN(experiments.emplace_back(), MakeExperiment(name, settings));
      for (const Question& question : experiments.back().questions) {
        const auto parsed = ParseEmbedding(question.pattern, settings.length, motif_files_);
        if (!parsed.ok()) {
          return absl::Status(parsed.status().code(), absl::StrCat(name, ": ", parsed.status().message()));
        }
      }
    }
    return experiments;
  }

  absl::Status Ask(const Experiment& experiment) {
    const std::string& name = experiment.name;
    Progress(name);
    const ExperimentSettings settings = SettingsOf(flags_, model_.config.shape.length, "", id_);
    RB_ASSIGN_OR_RETURN(
        ExperimentResult result,
        RunExperiment(experiment, nulls_, score_, {settings.key, motif_files_, settings.preset == Preset::kPublished}));
    for (const Effect& effect : result.effects) {
      if (effect.warning.empty()) continue;
      reporter_.Say("warning", absl::StrCat(answers_.model, ", ", name, ", ", effect.label, ": ", effect.warning));
    }
    if (name == "hairpin" && nulls_.length <= kMaxFoldLength) {
      RB_RETURN_IF_ERROR(FoldPatterns(result, settings.key));
    }
    answers_.experiments.push_back(std::move(result));
    for (const Effect& effect : answers_.experiments.back().effects) {
      if (!effect.control) RB_RETURN_IF_ERROR(Measure(name, effect));
    }
    return absl::OkStatus();
  }

  // Whether the hairpins are there: how likely the sequences with each pattern are paired at each position.
  absl::Status FoldPatterns(const ExperimentResult& result, uint64_t key) {
    RB_ASSIGN_OR_RETURN(const EnergySet energies, ReadEnergySet(flags_.common.energy));
    RB_ASSIGN_OR_RETURN(const std::unique_ptr<Folder> folder,
                        machine_.backend->NewFolder(nulls_.length, *energies.factors));
    for (const Effect& effect : result.effects) {
      if (effect.control) continue;
      RB_ASSIGN_OR_RETURN(const Embedding pattern, ParseEmbedding(effect.pattern, nulls_.length, motif_files_));
      RB_ASSIGN_OR_RETURN(EmbeddedPair pair, EmbedPair(pattern, StemsOf(pattern), nulls_, key));
      RB_RETURN_IF_ERROR(AddStructureTracks(2, *folder, energies.name, pair.with));
      PairingRow row = {result.name, effect.label, std::vector<double>(static_cast<size_t>(nulls_.length))};
      for (size_t i = 0; i < pair.with.tracks.size(); i += 2) {
        row.paired[i / 2 % row.paired.size()] += pair.with.tracks[i] / static_cast<double>(pair.with.size());
      }
      answers_.pairing.push_back(std::move(row));
    }
    return absl::OkStatus();
  }

  // The same pattern in the measured probes; those with stems or matrices are not to be found there.
  absl::Status Measure(const std::string& experiment, const Effect& effect) {
    if (measured_.empty()) return absl::OkStatus();
    RB_ASSIGN_OR_RETURN(const Embedding pattern,
                        ParseEmbedding(effect.pattern, model_.config.shape.length, motif_files_));
    for (const bool anywhere : {false, true}) {
      const auto found = MeasurePattern(pattern, anywhere, inputs_.dataset->sequences, measured_, flags_.min_n);
      if (!found.ok()) continue;
      answers_.measured.push_back({experiment, effect.label, effect.pattern, anywhere, *found, effect.summary.mean});
    }
    return absl::OkStatus();
  }
  // All probes' scores in the scale of the predictions.
  absl::Status ReadMeasured() {
    if (!inputs_.dataset.has_value() || ExperimentRow() < 0) return absl::OkStatus();
    if (model_.extra.contains(kUnknownTransform) && !inputs_.dataset->transformed) {
      reporter_.Say("note", absl::StrCat(answers_.model,
                                         ": imported without its data, so that raw scores are not in "
                                         "its scale; no effects of measured probes"));
      return absl::OkStatus();
    }
    std::vector<int32_t> rows(static_cast<size_t>(inputs_.dataset->num_probes()));
    std::iota(rows.begin(), rows.end(), 0);
    RB_ASSIGN_OR_RETURN(measured_, TransformedTargets(model_, *inputs_.dataset, ExperimentRow(), rows));
    return absl::OkStatus();
  }

  const GiaFlags& flags_;
  const GiaInputs& inputs_;
  const ModelFile& model_;
  OpenedMachine& machine_;
  Reporter& reporter_;
  uint64_t id_ = 0;
  std::unique_ptr<Predictor> predictor_;
  ScoreFunction score_;
  PwmReader motif_files_ = MotifFiles();
  Sequences nulls_;
  std::optional<DrawnSequences> drawn_;
  std::vector<float> measured_;  // by probe, NaN missing; empty without data
  GiaAnswers answers_;
};

}  // namespace

GiaInputs::SplitKey GiaInputs::KeyOf(const ModelFile& model) {
  return {model.config.seed, model.config.valid_fraction, model.max_probes};
}

absl::Status GiaInputs::AddSplit(const ModelFile& model) {
  const auto [at, is_new] = splits_.try_emplace(KeyOf(model));
  if (!is_new) return absl::OkStatus();
  RB_ASSIGN_OR_RETURN(at->second,
                      MakeTrainSplit(*dataset, model.config.seed, model.config.valid_fraction, model.max_probes));
  return absl::OkStatus();
}

const Split& GiaInputs::SplitOf(const ModelFile& model) const { return splits_.at(KeyOf(model)); }

int64_t GiaInputs::NullsOf(const GiaFlags& flags) const {
  return file.has_value() ? std::min(flags.null_n, file->size()) : flags.null_n;
}

std::vector<std::string> AskedExperiments(const GiaFlags& flags) {
  if (flags.all()) return MotifExperiments();
  return flags.experiment == "kmer" ? std::vector<std::string>{} : std::vector<std::string>{flags.experiment};
}

ExperimentSettings SettingsOf(const GiaFlags& flags, int length, const std::string& motif, uint64_t id) {
  ExperimentSettings settings;
  settings.preset = flags.common.preset == "published" ? Preset::kPublished : Preset::kPaper;
  settings.length = length;
  settings.position = flags.position;
  settings.motif = motif;
  settings.second = flags.second;
  settings.second_position = flags.second_position;
  settings.controls = flags.controls;
  settings.key = DeriveKey(flags.common.seed, Purpose::kPattern, id);
  settings.embed = flags.embed;
  settings.enumerate = flags.enumerate;
  return settings;
}

absl::StatusOr<GiaAnswers> Interview(const GiaFlags& flags, const GiaInputs& inputs, const ModelFile& model,
                                     const std::string& name, OpenedMachine& machine, Reporter& reporter) {
  return Interviewer(flags, inputs, model, name, machine, reporter).Run();
}

}  // namespace rb::apps
