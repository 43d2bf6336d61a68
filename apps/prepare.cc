// residualbind prepare: tables -> transformed, split, one HDF5 file in the authors' layout.
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/dataset_summary.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/structure_flags.h"
#include "apps/common/text.h"
#include "data/readers.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

struct Flags {
  CommonFlags common;
  StructureFlags structure;
  std::string data, out, transform = "log";
  std::vector<std::string> experiments;
  int length = 41;
  double valid_fraction = 0.1;
};

// Transforms in place the rows of one experiment. `fit` has the constants of the training part.
absl::Status TransformRows(const std::vector<int32_t>& rows, Transform fit, Preset preset, std::span<float> target) {
  if (preset == Preset::kPublished) {
    std::vector<float> own;  // each part by itself
    for (const int32_t row : rows) own.push_back(target[static_cast<size_t>(row)]);
    RB_ASSIGN_OR_RETURN(fit, FitTransform(fit.kind, preset, own, own));
  }
  for (const int32_t row : rows) {
    float& y = target[static_cast<size_t>(row)];
    y = static_cast<float>(fit.Apply(y));
  }
  return absl::OkStatus();
}

absl::Status TransformAll(const Split& split, const std::vector<ExperimentSummary>& summary, Preset preset,
                          Dataset& dataset) {
  const size_t probes = static_cast<size_t>(dataset.num_probes());
  for (size_t e = 0; e < summary.size(); ++e) {
    const std::span<float> target(dataset.targets.data() + e * probes, probes);
    for (const auto* rows : {&split.train, &split.valid, &split.test}) {
      if (rows->empty() || PresentRows(*rows, target).empty()) continue;
      RB_RETURN_IF_ERROR(TransformRows(*rows, summary[e].transform, preset, target));
    }
  }
  dataset.transformed = dataset.transformed || summary.empty() || summary[0].transform.kind != TransformKind::kNone;
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags, const Invocation& invocation) {
  const std::string folder = ParentFolder(flags.out), stem = std::filesystem::path(flags.out).stem().string();
  const std::string summary_path = JoinPath(folder, "summary.tsv"), run_path = JoinPath(folder, stem + ".run.json");
  RB_RETURN_IF_ERROR(RefuseExisting({flags.out, summary_path, run_path}, flags.common.overwrite));
  RB_RETURN_IF_ERROR(CheckWritable(folder));
  RB_ASSIGN_OR_RETURN(const Preset preset, ParsePreset(flags.common.preset));
  RB_ASSIGN_OR_RETURN(const TransformKind kind, ParseTransform(flags.transform));
  Reporter reporter(flags.common.progress);
  RunRecord record(invocation);
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  reporter.Busy(absl::StrCat("reading ", flags.data, " .."));
  ReadOptions options{flags.length, flags.experiments, flags.common.dna()};
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadDataset(flags.data, options, *machine.pool));
  if (dataset.transformed && kind != TransformKind::kNone) {
    return absl::FailedPreconditionError(
        absl::StrCat(flags.data, ": its targets are transformed already; expected --transform none"));
  }
  RB_RETURN_IF_ERROR(record.AddInput(flags.data));
  record.EndPhase("read");
  RB_RETURN_IF_ERROR(
      AddStructure(flags.structure, flags.common, flags.data, *machine.backend, reporter, dataset.sequences));
  record.EndPhase("structure");
  RB_ASSIGN_OR_RETURN(const Split split, MakeSplit(dataset, flags.common.seed, flags.valid_fraction));
  RB_ASSIGN_OR_RETURN(const auto summary, SummarizeDataset(dataset, split, kind, preset));
  RB_RETURN_IF_ERROR(TransformAll(split, summary, preset, dataset));
  record.EndPhase("transform");
  RB_RETURN_IF_ERROR(MakeFolder(folder));
  RB_RETURN_IF_ERROR(WriteHdf5(dataset, split, flags.out));
  RB_RETURN_IF_ERROR(WriteFile(summary_path, SummaryTsv(summary)));
  record.EndPhase("write");
  record.Set("preset", flags.common.preset);
  record.Set("seed", flags.common.seed);
  record.Set("transform", flags.transform);
  record.Set("structure_channels", dataset.sequences.structure_channels);
  record.Set("structure_source", dataset.sequences.structure_source);
  RB_RETURN_IF_ERROR(record.Write(run_path));
  reporter.Say("data", SummaryText(summary));
  reporter.Say("done", absl::StrCat(flags.out, ": ", Grouped(dataset.num_probes()), " probes, ",
                                    dataset.experiments.size(), " experiments; train with: residualbind train --data ",
                                    flags.out, " --experiment all --out models"));
  reporter.Open();
  return absl::OkStatus();
}

}  // namespace

Action DefinePrepare(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--data", flags->data,
                 "folder with sequences.tsv and targets.tsv, one table with both, a 2009 per-protein table, or \"score "
                 "sequence\" lines")
      ->required()
      ->type_name("PATH");
  app.add_option("--out", flags->out, "HDF5 file to write; summary.tsv goes beside it")->required()->type_name("FILE");
  app.add_option("--experiment", flags->experiments, "ID[,ID..] or all (the default)")->delimiter(',')->type_name("ID");
  app.add_option("--transform", flags->transform, "log, clip or none")
      ->check(CLI::IsMember({"log", "clip", "none"}))
      ->type_name("NAME")
      ->capture_default_str();
  AddStructureFlags(app, flags->structure);
  app.add_option("--length", flags->length, "positions after padding")
      ->type_name("N")
      ->check(CLI::Range(16, 512))
      ->capture_default_str();
  app.add_option("--valid-fraction", flags->valid_fraction, "part of set A kept for validation")
      ->type_name("FRACTION")
      ->check(CLI::Range(0.001, 0.9))
      ->capture_default_str();
  AddCommonFlags(app, flags->common,
                 kPresetFlag | kSeedFlag | kDeviceFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind prepare --data sim --out sim/data.h5 --transform log");
  return [flags, &invocation] {
    if (flags->experiments == std::vector<std::string>{"all"}) flags->experiments.clear();
    return Run(*flags, invocation);
  };
}

}  // namespace rb::apps
