// residualbind reproduce: the paper's figures from data and models, each number beside the paper's own.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/reproduce/stage.h"
#include "engine/check.h"
#include "gia/iupac.h"
#include "gia/null_model.h"

namespace rb::apps {
namespace {

struct Figure {
  const char *name, *summary;
  absl::Status (*make)(Stage&);
};
constexpr Figure kFigures[] = {
    {"figure1", "Pearsons of runs and methods", ReproduceFigure1},
    {"figure2", "RBFOX1: motif, sites, spacing, affinities", ReproduceFigure2},
    {"figure3", "VTS1: hairpins", ReproduceFigure3},
    {"figure4", "GC content beside the motif", ReproduceFigure4},
    {"table-s1", "motifs beside known ones", ReproduceTableS1},
};

absl::Status CheckFlags(ReproduceFlags& flags, const std::vector<LoadedModel>& models) {
  for (char& letter : flags.motif) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
    if (letter == 'T') letter = 'U';
    if (const uint8_t mask = IupacMask(letter); mask == 0 || (mask & (mask - 1)) != 0) {
      return UsageError(absl::StrCat("--motif ", flags.motif, ": expected the letters A, C, G and U"));
    }
  }
  if (!flags.motif.empty() && (flags.motif.size() < 4 || flags.motif.size() > 7)) {
    return UsageError(
        absl::StrCat("--motif ", flags.motif, ": ", flags.motif.size(), " letters; expected 4 to 7, for three sites"));
  }
  if (!flags.published.empty() && flags.figure != "figure1") {
    return UsageError("--published is for figure1; expected that figure with it");
  }
  if (!flags.motifs.empty() && flags.figure != "table-s1") {
    return UsageError("--motifs is for table-s1; expected that table with it");
  }
  for (const LoadedModel& model : models) {
    if (!IsNetwork(model.file)) {
      return absl::InvalidArgumentError(absl::StrCat(
          model.path, ": is a ", std::string(ModelKindName(model.file.baseline.kind)),
          " model; expected networks alone, which the paper's figures are about (evaluate compares with baselines)"));
    }
    if (model.file.config.shape.length != 41) {
      return absl::InvalidArgumentError(absl::StrCat(model.path, ": takes ", model.file.config.shape.length,
                                                     " positions; expected 41, for which the paper's places hold"));
    }
    if (model.file.config.shape.classification) {
      return absl::InvalidArgumentError(
          absl::StrCat(model.path, ": tells classes apart; expected a model of binding scores"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPaths(const ReproduceFlags& flags) {
  RB_RETURN_IF_ERROR(
      RefuseExisting({JoinPath(flags.out, "anchors.tsv"), JoinPath(flags.out, "run.json")}, flags.common.overwrite));
  for (const std::string& path : {flags.data, flags.published, flags.motifs}) {
    std::error_code error;
    if (!path.empty() && !std::filesystem::exists(path, error)) {
      return absl::NotFoundError(absl::StrCat(path, ": no such file or folder; expected one"));
    }
  }
  return CheckWritable(flags.out);
}

absl::Status Run(ReproduceFlags flags, const Invocation& invocation) {
  RB_RETURN_IF_ERROR(CheckPaths(flags));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  RB_ASSIGN_OR_RETURN(std::vector<LoadedModel> models, LoadModels(flags.models));
  RB_RETURN_IF_ERROR(CheckFlags(flags, models));
  RunRecord record(invocation);
  for (const LoadedModel& model : models) RB_RETURN_IF_ERROR(record.AddInput(model.path));
  for (const std::string& path : {flags.data, flags.published, flags.motifs}) {
    if (!path.empty()) RB_RETURN_IF_ERROR(record.AddInput(path));
  }
  record.Set("preset", flags.common.preset);
  record.Set("seed", flags.common.seed);
  record.Set("device", machine.description);
  record.Set("precision", machine.precision_name);
  record.EndPhase("read");
  Stage stage(flags, std::move(models), std::move(machine));
  for (const Figure& figure : kFigures) {
    if (flags.figure == figure.name) RB_RETURN_IF_ERROR(figure.make(stage));
  }
  record.EndPhase("ask");
  RB_RETURN_IF_ERROR(stage.Write());
  RB_RETURN_IF_ERROR(record.Write(JoinPath(flags.out, "run.json")));
  stage.reporter().Say("done", absl::StrCat("pictures, anchors.tsv and run.json are in ", flags.out));
  stage.reporter().Open();
  std::fputs(stage.Verdicts().c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

Action DefineReproduce(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<ReproduceFlags>();
  flags->formats = {"svg", "png"};
  std::vector<std::string> names;
  std::string about;
  for (const Figure& figure : kFigures) {
    names.push_back(figure.name);
    absl::StrAppend(&about, about.empty() ? "" : "; ", figure.name, " (", figure.summary, ")");
  }
  app.add_option("figure", flags->figure, about)->required()->check(CLI::IsMember(names))->type_name("FIGURE");
  app.add_option("--data", flags->data, "the measurements that the models were trained on")
      ->required()
      ->type_name("PATH");
  app.add_option("--models", flags->models, "model files, or folders of them")->required()->type_name("PATH..");
  app.add_option("--out", flags->out, "folder for the pictures and anchors.tsv")->required()->type_name("DIR");
  app.add_option("--experiment", flags->experiment,
                 "the one whose model is asked (default: the paper's; figure4: or the first there is)")
      ->type_name("ID");
  app.add_option("--motif", flags->motif, "its motif (default: the paper's, or the model's strongest 6-mer)")
      ->type_name("LETTERS");
  app.add_option("--published", flags->published,
                 "figure1: Pearsons of earlier methods, a row an experiment, a column a method")
      ->type_name("FILE");
  app.add_option("--motifs", flags->motifs, "table-s1: known motifs, MEME, JASPAR or TRANSFAC")->type_name("FILE");
  app.add_option("--null-n", flags->null_n, "null sequences")
      ->type_name("N")
      ->check(CLI::Range(int64_t{2}, kMaxNullSequences))
      ->capture_default_str();
  app.add_option("--format", flags->formats, "of pictures: svg, png, pdf")
      ->delimiter(',')
      ->check(CLI::IsMember({"svg", "png", "pdf"}))
      ->type_name("NAME[,NAME..]")
      ->capture_default_str();
  AddCommonFlags(
      app, flags->common,
      kPresetFlag | kSeedFlag | kMachineFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer(
      "Examples:\n"
      "  residualbind reproduce figure2 --data data --models models --out figure2\n"
      "  residualbind reproduce figure1 --data data --models models --published pearsons.tsv --out figure1");
  return [flags, &invocation] { return Run(*flags, invocation); };
}

}  // namespace rb::apps
