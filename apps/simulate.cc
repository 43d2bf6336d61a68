// residualbind simulate: RNAcompete-like data with a planted truth.
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "data/alphabet.h"
#include "data/simulator.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

struct Flags {
  CommonFlags common;
  SimulatorOptions options;
  std::string out;
};

std::string TruthText(const std::vector<PlantedTruth>& truth, bool dna) {
  std::vector<std::vector<std::string>> table = {
      {"experiment", "planted", "site effect", "3' GC effect", "best spacing"}};
  for (const PlantedTruth& t : truth) {
    table.push_back({t.experiment, InAlphabet(t.kmer, dna), Fixed(t.site_effect, 2), Fixed(t.gc_effect, 3),
                     std::to_string(t.best_spacing)});
  }
  return AlignedTable(table);
}

absl::Status Run(const Flags& flags, const Invocation& invocation) {
  const std::vector<std::string> files = {JoinPath(flags.out, "sequences.tsv"), JoinPath(flags.out, "targets.tsv"),
                                          JoinPath(flags.out, "truth.json"), JoinPath(flags.out, "run.json")};
  RB_RETURN_IF_ERROR(RefuseExisting(files, flags.common.overwrite));
  Reporter reporter(flags.common.progress);
  RunRecord record(invocation);
  reporter.Busy("simulating ..");
  RB_ASSIGN_OR_RETURN(const Simulation simulation, Simulate(flags.options));
  record.EndPhase("simulate");
  RB_RETURN_IF_ERROR(MakeFolder(flags.out));
  RB_RETURN_IF_ERROR(WriteTables(simulation.dataset, flags.out));
  RB_RETURN_IF_ERROR(WriteFile(files[2], TruthToJson(flags.options, simulation.truth)));
  record.EndPhase("write");
  record.Set("seed", flags.options.seed);
  RB_RETURN_IF_ERROR(record.Write(files[3]));
  reporter.Say("done", absl::StrCat(flags.out, ": ", Grouped(simulation.dataset.num_probes()), " probes, ",
                                    simulation.truth.size(), " experiments; the planted truth is in ", files[2]));
  reporter.Open();
  const std::string table = TruthText(simulation.truth, flags.common.dna());
  std::fputs(table.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

Action DefineSimulate(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  SimulatorOptions& o = flags->options;
  app.add_option("--out", flags->out, "folder for sequences.tsv, targets.tsv, truth.json and run.json")
      ->required()
      ->type_name("DIR");
  app.add_option("--experiments", o.experiments, "how many, each with its own planted motif")
      ->type_name("E")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--probes", o.probes, "probes, sets A and B together")
      ->type_name("N")
      ->check(CLI::Range(20, 100000000))
      ->capture_default_str();
  app.add_option("--length", o.length, "longest probe, nt")
      ->type_name("N")
      ->check(CLI::Range(16, 512))
      ->capture_default_str();
  app.add_option("--min-width", o.min_width, "shortest probe, nt")
      ->type_name("N")
      ->check(CLI::Range(6, 512))
      ->capture_default_str();
  app.add_option("--missing", o.missing, "fraction of missing targets")
      ->type_name("FRACTION")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  app.add_option("--noise", o.noise, "sd of the noise relative to the signal's")
      ->type_name("X")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  AddCommonFlags(app, flags->common, kSeedFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind simulate --out sim --experiments 2 --probes 12000");
  return [flags, &invocation]() -> absl::Status {
    flags->options.seed = flags->common.seed;
    if (flags->options.min_width > flags->options.length) {
      return UsageError(absl::StrCat("--min-width ", flags->options.min_width, " is above --length ",
                                     flags->options.length, "; expected at most that"));
    }
    return Run(*flags, invocation);
  };
}

}  // namespace rb::apps
