// residualbind model import: model files from weights that Keras saved.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/text.h"
#include "apps/model/commands.h"
#include "data/readers.h"
#include "engine/check.h"
#include "engine/thread_pool.h"
#include "model/keras_config.h"
#include "model/keras_import.h"
#include "model/run_files.h"
#include "model/train_job.h"

namespace rb::apps {
namespace {

struct Flags {
  CommonFlags common;
  std::string file, out, experiment, data;
  std::optional<std::string> preset, transform, task;
  std::optional<int> length, pool;
  std::vector<int> dilations;
};

// --transform without --data: its constants are not known, and not wanted where evaluation fits each split by itself.
absl::Status SetTransform(const Flags& flags, ModelFile& model) {
  if (!flags.transform.has_value()) return absl::OkStatus();
  RB_ASSIGN_OR_RETURN(const TransformKind kind, ParseTransform(*flags.transform));
  if (kind != TransformKind::kNone && model.config.preset != Preset::kPublished) {
    return UsageError(absl::StrCat("--transform ", *flags.transform,
                                   ": its constants come from scores; expected --data with those the model was trained "
                                   "on, --preset published, which fits each split by itself, or --transform none"));
  }
  model.config.transform = model.transform.kind = kind;
  return absl::OkStatus();
}

absl::StatusOr<KerasChoices> ChoicesOf(const Flags& flags) {
  KerasChoices choices;
  choices.experiment = flags.experiment;
  if (flags.experiment.empty() && flags.data.empty()) {
    choices.experiment = std::filesystem::path(flags.file).stem().string();
    choices.experiment = std::string(absl::StripSuffix(choices.experiment, ".weights"));  // Keras 3 wants x.weights.h5
  }
  if (!choices.experiment.empty()) RB_RETURN_IF_ERROR(CheckExperimentName(choices.experiment));
  if (flags.preset.has_value()) {
    RB_ASSIGN_OR_RETURN(choices.preset, ParsePreset(*flags.preset));
  }
  choices.dilations = flags.dilations;
  choices.pool = flags.pool;
  choices.length = flags.length;
  if (flags.task.has_value()) choices.classification = *flags.task == "classification";
  return choices;
}

// The null model's profile and the transform's constants, as training on these data would have stored them. Structure
// has no part in either: tables without tracks will do.
absl::Status AddWhatDataTell(const Flags& flags, ModelFile& model) {
  ThreadPool pool(flags.common.threads);
  ReadOptions options;
  options.length = model.config.shape.length;
  if (!flags.experiment.empty()) options.experiments = {flags.experiment};
  options.dna_alphabet = flags.common.dna();
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadDataset(flags.data, options, pool));
  if (dataset.experiments.size() != 1) {
    return UsageError(absl::StrCat("the data hold ", dataset.experiments.size(),
                                   " experiments; expected --experiment with the model's"));
  }
  if (model.config.shape.structure > 0 && dataset.sequences.structure_channels == model.config.shape.structure) {
    model.structure_source = dataset.sequences.TrackSource();
  }
  dataset.sequences.DropTracks();
  model.config.seed = flags.common.seed;
  TrainConfig config = model.config;
  config.shape.structure = 0;
  const bool raw = !dataset.transformed && !config.shape.classification;
  RB_ASSIGN_OR_RETURN(config.transform, ParseTransform(flags.transform.value_or(raw ? "log" : "none")));
  if (!raw && config.transform != TransformKind::kNone) {
    return absl::FailedPreconditionError(
        absl::StrCat(flags.data, ": its targets take no transform; expected no --transform, or --transform none"));
  }
  RB_ASSIGN_OR_RETURN(const Split split, MakeSplit(dataset, config.seed, config.valid_fraction));
  const std::string& name = dataset.experiments[0];
  RB_ASSIGN_OR_RETURN(const std::vector<TrainJob> jobs, MakeTrainJobs({{config, name, name}}, dataset, split));
  model.experiment = name;
  model.config.transform = config.transform;
  model.transform = jobs[0].model.transform;
  model.profile = jobs[0].model.profile;
  return absl::OkStatus();
}

std::string Summary(const ModelFile& model, const std::string& path) {
  const Shape& s = model.config.shape;
  return absl::StrCat("wrote ", path, ": ", model.experiment, ", ", std::string(PresetName(model.config.preset)), ", ",
                      s.length, " positions, ", s.channels(), " channels, ", s.residual_layers,
                      " residual convolutions, ", Grouped(ParameterTable(s).count()), " parameters");
}

absl::Status Run(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(KerasChoices choices, ChoicesOf(flags));
  const std::string path =
      absl::EndsWith(flags.out, ".safetensors") ? flags.out : JoinPath(flags.out, "model.safetensors");
  RB_RETURN_IF_ERROR(RefuseExisting({path}, flags.common.overwrite));
  RB_ASSIGN_OR_RETURN(const std::vector<KerasLayer> layers, ReadKerasWeights(flags.file));
  RB_RETURN_IF_ERROR(ReadKerasConfig(flags.file, choices));
  RB_ASSIGN_OR_RETURN(ModelFile model, ModelFromKeras(layers, choices, flags.file));
  if (flags.transform.has_value() || !flags.data.empty()) model.extra.erase(kUnknownTransform);
  RB_RETURN_IF_ERROR(flags.data.empty() ? SetTransform(flags, model) : AddWhatDataTell(flags, model));
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(path)));
  RB_RETURN_IF_ERROR(WriteModel(model, path));
  Reporter reporter(flags.common.progress);
  reporter.Open();
  reporter.Say("done", Summary(model, path), {{"model", path}, {"experiment", model.experiment}});
  if (flags.data.empty()) {
    const bool unknown = model.extra.contains(kUnknownTransform);
    reporter.Say("note",
                 absl::StrCat("without --data the model has no nucleotide profile",
                              unknown ? " and no target transform" : "", ": gia needs another --null, scan refuses",
                              unknown ? ", evaluate needs transformed targets" : ""));
  }
  return absl::OkStatus();
}

void AddNetworkFlags(CLI::App& app, Flags& flags) {
  const char* group = "What weights do not say (a file by save tells some of it)";
  app.add_option("--preset", flags.preset, "paper or published (default: published for four residual convolutions)")
      ->check(CLI::IsMember({"paper", "published"}))
      ->type_name("NAME")
      ->group(group);
  app.add_option("--length", flags.length, "positions (default: 41 or 39 where that fits the dense layer)")
      ->check(CLI::Range(16, 512))
      ->type_name("N")
      ->group(group);
  app.add_option("--pool", flags.pool, "size and stride of the mean pooling (10)")
      ->check(CLI::Range(1, 512))
      ->type_name("N")
      ->group(group);
  app.add_option("--dilations", flags.dilations, "dilation of each residual convolution (1,2,4,..)")
      ->delimiter(',')
      ->check(CLI::Range(1, 512))
      ->type_name("N,N..")
      ->group(group);
  app.add_option("--task", flags.task, "regression, or classification (a sigmoid behind the last layer)")
      ->check(CLI::IsMember({"regression", "classification"}))
      ->type_name("NAME")
      ->group(group);
}

}  // namespace

Action DefineModelImport(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  app.add_option("file", flags->file, "HDF5 file (.h5) by Keras' save_weights or save")->required()->type_name("FILE");
  app.add_option("--out", flags->out, "model file (*.safetensors) to write, or a folder for model.safetensors")
      ->required()
      ->type_name("PATH");
  app.add_option("--experiment", flags->experiment, "the experiment's name (default: the file's, or that in --data)")
      ->type_name("ID");
  app.add_option("--data", flags->data,
                 "what the model was trained on: nucleotide profile and transform are computed as train does")
      ->type_name("PATH");
  app.add_option("--transform", flags->transform, "none, log or clip (default: log; none for data transformed already)")
      ->check(CLI::IsMember({"none", "log", "clip"}))
      ->type_name("NAME");
  AddNetworkFlags(app, *flags);
  AddCommonFlags(app, flags->common, kSeedFlag | kAlphabetFlag | kOverwriteFlag | kProgressFlag | kThreadsFlag);
  app.footer("Example:\n  residualbind model import RNCMPT00168.h5 --out models/RNCMPT00168 --experiment RNCMPT00168");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
