// residualbind scan: every k-mer's global importance to one model.
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/text.h"
#include "data/alphabet.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/kmer_scan.h"
#include "gia/null_model.h"
#include "kernels/philox.h"
#include "model/predictor.h"

namespace rb::apps {
namespace {

struct Flags {
  CommonFlags common;
  std::string model, out;
  int k = 6, position = 17, null_sequences = 100, top = 20;
};

absl::Status Run(const Flags& flags) {
  if (!flags.out.empty()) RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  RB_ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(flags.model));
  const ModelFile& model = loaded.file;
  if (const int length = model.config.shape.length; flags.position + flags.k > length) {
    return UsageError(absl::StrCat("--position ", flags.position, " and --k ", flags.k, " reach beyond the model's ",
                                   length, " positions; expected position + k of at most that"));
  }
  RB_ASSIGN_OR_RETURN(const Predictor predictor, OpenPredictor(model, flags.common, machine));
  NullOptions null;
  null.n = flags.null_sequences;
  null.seed = flags.common.seed;
  null.id = StableId(model.experiment, model.config.replicate);
  NullSources sources;
  sources.length = model.config.shape.length;
  sources.profile = model.profile;
  RB_ASSIGN_OR_RETURN(const NullSet nulls, DrawNulls(null, sources));
  RB_ASSIGN_OR_RETURN(const std::vector<KmerEffect> effects,
                      ScanKmers(predictor, nulls.sequences, {flags.k, flags.position, &*nulls.drawn}));
  std::string text = "kmer\teffect\tse\n";
  for (size_t i = 0; i < effects.size() && (flags.top == 0 || i < static_cast<size_t>(flags.top)); ++i) {
    absl::StrAppend(&text, InAlphabet(effects[i].kmer, flags.common.dna()), "\t",
                    Shortest(static_cast<float>(effects[i].effect)), "\t", Shortest(static_cast<float>(effects[i].se)),
                    "\n");
  }
  if (!flags.out.empty()) {
    RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
    return WriteFile(flags.out, text);
  }
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

Action DefineScan(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--model", flags->model, "model file, or its folder")->required()->type_name("FILE");
  app.add_option("--k", flags->k, "letters of a k-mer; all 4^k are scanned")
      ->type_name("N")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  app.add_option("--position", flags->position, "start of the k-mer in the sequence, counted from 0")
      ->type_name("N")
      ->check(CLI::Range(0, 511))
      ->capture_default_str();
  app.add_option("--null-n", flags->null_sequences,
                 "null sequences, drawn from the training profile, that get each k-mer")
      ->type_name("N")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  app.add_option("--top", flags->top, "rows to print, best first; 0 prints all")
      ->type_name("N")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  app.add_option("--out", flags->out, "TSV to write (default: stdout)")->type_name("FILE");
  AddCommonFlags(app, flags->common,
                 kSeedFlag | kMachineFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind scan --model models/SIM00001/model.safetensors --top 10");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
