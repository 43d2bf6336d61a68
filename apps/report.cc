// residualbind report: one page of HTML about a run's models.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/text.h"
#include "apps/predict/metrics_table.h"
#include "apps/report/gather.h"
#include "apps/report/page.h"
#include "apps/report/sections.h"
#include "data/readers.h"
#include "data/split.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

struct Flags {
  CommonFlags common;
  std::string run, gia, data, out = "report.html", title, colours = "rna";
};

// The data set of all experiments, with the tracks that the models take.
absl::StatusOr<Dataset> ReadAll(const Flags& flags, const ReportData& report, OpenedMachine& machine) {
  const ReportModel* most = &report.models[0];
  ReadOptions options{most->file.config.shape.length, {}, flags.common.dna()};
  for (const ReportModel& model : report.models) {
    const Shape& shape = model.file.config.shape;
    if (shape.length != options.length) {
      return absl::InvalidArgumentError(absl::StrCat(model.path, ": takes ", shape.length, " positions where ",
                                                     report.models[0].path, " takes ", options.length,
                                                     "; expected models of one length with --data"));
    }
    if (shape.structure > most->file.config.shape.structure) most = &model;
    std::vector<std::string>& names = options.experiments;
    if (std::find(names.begin(), names.end(), model.file.experiment) == names.end())
      names.push_back(model.file.experiment);
  }
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadDataset(flags.data, options, *machine.pool));
  RB_ASSIGN_OR_RETURN(const ModelFile file, ReadModel(most->path));
  RB_ASSIGN_OR_RETURN(const Predictor folds, OpenPredictor(file, flags.common, machine));
  RB_RETURN_IF_ERROR(folds.AddTracks(dataset.sequences));
  return dataset;
}

// Scores the test probes of --data: a picture of each model, and its metrics where there is no table of them.
absl::Status AddScores(const Flags& flags, ReportData* report, ReportOptions* options, Reporter& reporter) {
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  reporter.Busy(absl::StrCat("reading ", flags.data, " .."));
  RB_ASSIGN_OR_RETURN(const Dataset dataset, ReadAll(flags, *report, machine));
  for (ReportModel& model : report->models) {
    RB_ASSIGN_OR_RETURN(const ModelFile file, ReadModel(model.path));
    RB_ASSIGN_OR_RETURN(const Split split, MakeSplit(dataset, file.config.seed, file.config.valid_fraction));
    if (split.test.empty()) {
      return absl::FailedPreconditionError(absl::StrCat("--data ", flags.data, ": has no test probes; expected some"));
    }
    RB_ASSIGN_OR_RETURN(const Predictor predictor, OpenPredictor(file, flags.common, machine));
    RB_ASSIGN_OR_RETURN(const Scored scored, ScorePresent(file, predictor, dataset, split.test));
    const std::vector<float>&x = scored.targets, &y = scored.predictions;
    const plot::ScatterData points = {"measured", "predicted", {x.begin(), x.end()}, {y.begin(), y.end()}, {}, ""};
    const absl::StatusOr<plot::Drawing> drawing = DrawScatter(points, options->style);
    if (drawing.ok()) options->scatters.emplace(model.name, *drawing);
    if (!std::isnan(model.n)) continue;
    const Evaluation metrics = MetricsOf(file, scored);
    model.n = static_cast<double>(metrics.n);
    size_t c = 0;
    for (const MetricColumn& column : MetricColumns(report->classification)) {
      model.metrics[c++] = metrics.*column.value;
    }
  }
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_RETURN_IF_ERROR(CheckWritable(ParentFolder(flags.out)));
  Reporter reporter(flags.common.progress);
  RB_ASSIGN_OR_RETURN(ReportData data, GatherReport(flags.run, flags.gia));
  ReportOptions options;
  options.title = flags.title;
  options.style.dna = flags.common.dna();
  options.style.colour_blind = flags.colours == "colourblind";
  options.hint = absl::StrCat("residualbind gia all --models ", ShellQuoted(data.models_folder), " --out gia");
  if (!flags.data.empty()) RB_RETURN_IF_ERROR(AddScores(flags, &data, &options, reporter));
  const std::string page = HtmlPage(ReportTitle(data, options), ReportBody(data, options));
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  RB_RETURN_IF_ERROR(WriteFile(flags.out, page));
  const int64_t models = std::ssize(data.models);
  reporter.Say("done", absl::StrCat("wrote ", flags.out, ": ", Grouped(models), models == 1 ? " model, " : " models, ",
                                    Bytes(static_cast<double>(page.size()))));
  reporter.Open();
  return absl::OkStatus();
}

}  // namespace

Action DefineReport(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--run", flags->run, "what train or sweep wrote, a folder of models' folders, or one model's")
      ->required()
      ->type_name("DIR");
  app.add_option("--gia", flags->gia, "what gia wrote about these models: adds k-mers, motifs and effects")
      ->type_name("DIR");
  app.add_option("--data", flags->data, "measured probes: adds pictures of predictions against them (test probes)")
      ->type_name("PATH");
  app.add_option("--out", flags->out, "page to write")->type_name("FILE")->capture_default_str();
  app.add_option("--title", flags->title, "what stands above it")->type_name("TEXT");
  app.add_option("--colours", flags->colours, "of letters: the usual ones, or ones that the colour-blind can tell")
      ->check(CLI::IsMember({"rna", "colourblind"}))
      ->type_name("NAME")
      ->capture_default_str();
  AddCommonFlags(app, flags->common, kMachineFlags | kEnergyFlag | kAlphabetFlag | kOverwriteFlag | kProgressFlag);
  app.footer("Example:\n  residualbind report --run models --gia gia --out report.html");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
