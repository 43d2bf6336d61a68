// residualbind ism: what every substitution (and every pair of them) does to a prediction, or what its gradient says.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/gia/ism_maps.h"
#include "data/alphabet.h"
#include "data/readers.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/predictor.h"
#include "model/saliency.h"

namespace rb::apps {
namespace {

// NumPy's archives are written from whole arrays, so these are what bounds the memory.
constexpr double kMostBytes = 4.0 * (1 << 30);

struct Flags {
  CommonFlags common;
  std::string model, input, out, tsv, method = "mutate";
  int order = 1;
  int64_t max_sequences = 0;

  bool gradient() const { return method == "gradient"; }
};

struct Outputs {
  std::string npz, run, one_hot, hypothetical;  // the last two for a folder only

  std::vector<std::string> All(const std::string& tsv) const {
    std::vector<std::string> paths = {npz, run};
    for (const std::string& path : {one_hot, hypothetical, tsv}) {
      if (!path.empty()) paths.push_back(path);
    }
    return paths;
  }
};

Outputs OutputsOf(const Flags& flags) {
  const std::string& out = flags.out;
  if (absl::EndsWith(out, ".npz")) {
    const std::string stem = std::filesystem::path(out).stem().string();
    return {out, JoinPath(ParentFolder(out), stem + ".run.json"), "", ""};
  }
  const std::string npz = flags.gradient() ? "gradient.npz" : "ism.npz";
  return {JoinPath(out, npz), JoinPath(out, "run.json"), JoinPath(out, "one_hot.npy"),
          JoinPath(out, "hypothetical.npy")};
}

absl::Status CheckOutputs(const Flags& flags, const Outputs& outputs) {
  const auto plain = [](const std::string& path) { return std::filesystem::path(path).lexically_normal(); };
  for (const std::string& path : outputs.All("")) {
    if (flags.tsv.empty() || plain(path) != plain(flags.tsv)) continue;
    return UsageError(absl::StrCat("--tsv ", flags.tsv, ": --out writes that file too; expected another name"));
  }
  for (const std::string& path : outputs.All(flags.tsv)) RB_RETURN_IF_ERROR(CheckWritable(ParentFolder(path)));
  return RefuseExisting(outputs.All(flags.tsv), flags.common.overwrite);
}

absl::StatusOr<std::vector<NamedSequence>> ReadInput(const Flags& flags, const IsmOptions& options,
                                                     Reporter& reporter) {
  RB_ASSIGN_OR_RETURN(std::vector<NamedSequence> input, ReadSequences(flags.input));
  const int64_t all = std::ssize(input);
  if (flags.max_sequences > 0 && all > flags.max_sequences) {
    input.resize(static_cast<size_t>(flags.max_sequences));
    reporter.Say("subset", absl::StrCat("the first ", Grouped(flags.max_sequences), " of ", Grouped(all), " sequences"),
                 {{"sequences", flags.max_sequences}, {"of", all}});
  }
  if (const double bytes = IsmBytes(std::ssize(input), options); bytes > kMostBytes) {
    const auto fit = static_cast<int64_t>(kMostBytes / IsmBytes(1, options));
    return absl::ResourceExhaustedError(
        absl::StrCat(flags.input == "-" ? "stdin" : flags.input, ": the maps of ", input.size(), " sequences take ",
                     Bytes(bytes), "; expected at most ", Bytes(kMostBytes), ": parts, or --max-sequences ", fit));
  }
  return input;
}

// One sequence's rows: its known positions, and at each the three other letters; of gradients all four.
std::string LongForm(const IsmMaps& maps, size_t n) {
  const size_t length = static_cast<size_t>(maps.options.length), start = static_cast<size_t>(maps.starts[n]);
  const std::string letters = maps.options.dna ? "ACGT" : "ACGU", &bases = maps.sequences[n];
  const bool mutate = maps.options.method == IsmMethod::kMutate;
  const std::vector<float>& values = mutate ? maps.effects : maps.hypothetical;
  std::string text;
  for (size_t p = 0; p < bases.size(); ++p) {
    for (size_t b = 0; b < 4 && bases[p] != 'N'; ++b) {
      if (mutate && letters[b] == bases[p]) continue;
      absl::StrAppend(&text, maps.names[n], "\t", p, "\t", bases.substr(p, 1), "\t", letters.substr(b, 1), "\t",
                      Shortest(values[(n * 4 + b) * length + start + p]), "\n");
    }
  }
  return text;
}

absl::Status WriteLongForm(const IsmMaps& maps, const std::string& path) {
  const char* const value = maps.options.method == IsmMethod::kMutate ? "effect\n" : "gradient\n";
  return WritePieces(path, std::ssize(maps.names) + 1, [&](int64_t i) {
    return i == 0 ? absl::StrCat("name\tposition\twild\tletter\t", value) : LongForm(maps, static_cast<size_t>(i - 1));
  });
}

absl::Status WriteMaps(const Flags& flags, const Outputs& outputs, const IsmMaps& maps) {
  for (const std::string& path : outputs.All(flags.tsv)) RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(path)));
  const std::vector<NamedArray> arrays = IsmArrays(maps);
  RB_RETURN_IF_ERROR(WriteNpz(outputs.npz, arrays));
  for (const NamedArray& array : arrays) {
    if (outputs.one_hot.empty()) break;
    if (array.name == "one_hot") RB_RETURN_IF_ERROR(WriteNpy(outputs.one_hot, array));
    if (array.name == "hypothetical") RB_RETURN_IF_ERROR(WriteNpy(outputs.hypothetical, array));
  }
  return flags.tsv.empty() ? absl::OkStatus() : WriteLongForm(maps, flags.tsv);
}

IsmOptions OptionsOf(const Flags& flags, Preset preset, const ModelFile& model, int batch) {
  IsmOptions options;
  options.method = flags.gradient() ? IsmMethod::kGradient : IsmMethod::kMutate;
  options.length = model.config.shape.length;
  options.structure = flags.gradient() ? model.config.shape.structure : 0;
  options.order = flags.order;
  options.height = preset == Preset::kPublished ? LogoHeight::kSquares : LogoHeight::kNorm;
  options.block = batch > 0 ? batch : kIsmBlock;
  options.dna = flags.common.dna();
  return options;
}

absl::StatusOr<IsmMaps> MakeMaps(const Flags& flags, const std::vector<NamedSequence>& input, const ModelFile& model,
                                 const IsmOptions& options, int batch, OpenedMachine& machine, Reporter& reporter) {
  RB_ASSIGN_OR_RETURN(const Predictor predictor, OpenPredictor(model, flags.common, machine));
  IsmSources sources;
  sources.scorer = [&](const Sequences& sequences) { return predictor.Predict(sequences); };
  std::unique_ptr<Saliency> saliency;
  if (flags.gradient()) {
    sources.add_tracks = [&](Sequences& sequences) { return predictor.AddTracks(sequences); };
    RB_ASSIGN_OR_RETURN(saliency, Saliency::Create(model, *machine.backend, batch));
    sources.gradients = [&](const Sequences& sequences) { return saliency->Gradients(sequences); };
  }
  const auto progress = [&](int64_t done) {
    reporter.Progress(absl::StrCat(flags.gradient() ? "differentiated " : "mutated ", Grouped(done), " of ",
                                   Grouped(std::ssize(input)), " sequences"),
                      {{"done", done}, {"sequences", input.size()}});
  };
  return MakeIsmMaps(input, options, sources, progress);
}

absl::Status Run(const Flags& flags, const Invocation& invocation) {
  if (flags.gradient() && flags.order != 1) {
    return UsageError(absl::StrCat("--order ", flags.order, ": --method gradient knows no pairs; expected 1"));
  }
  const Outputs outputs = OutputsOf(flags);
  RB_RETURN_IF_ERROR(CheckOutputs(flags, outputs));
  RB_ASSIGN_OR_RETURN(const int batch, ParseBatch(flags.common));
  RB_ASSIGN_OR_RETURN(const Preset preset, ParsePreset(flags.common.preset));
  // Gradients take the operators of training, in the precisions of training.
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, flags.gradient()));
  RunRecord record(invocation);
  Reporter reporter(flags.common.progress);
  RB_ASSIGN_OR_RETURN(const LoadedModel model, LoadModel(flags.model));
  const IsmOptions options = OptionsOf(flags, preset, model.file, batch);
  RB_ASSIGN_OR_RETURN(const std::vector<NamedSequence> input, ReadInput(flags, options, reporter));
  RB_RETURN_IF_ERROR(record.AddInput(model.path));
  RB_RETURN_IF_ERROR(record.AddInput(flags.input));
  record.EndPhase("read");
  RB_ASSIGN_OR_RETURN(const IsmMaps maps, MakeMaps(flags, input, model.file, options, batch, machine, reporter));
  record.EndPhase(flags.method);
  RB_RETURN_IF_ERROR(WriteMaps(flags, outputs, maps));
  record.EndPhase("write");
  record.Set("preset", flags.common.preset);
  record.Set("device", machine.description);
  record.Set("threads", machine.pool->num_threads());
  record.Set("precision", machine.precision_name);
  record.Set("method", flags.method);
  record.Set("order", flags.order);
  record.Set("sequences", input.size());
  RB_RETURN_IF_ERROR(record.Write(outputs.run));
  reporter.Say("done", absl::StrCat("wrote ", outputs.npz, ": maps of ", Grouped(std::ssize(input)), " sequences"));
  reporter.Open();
  return absl::OkStatus();
}

}  // namespace

Action DefineIsm(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--model", flags->model, "model file, or its folder")->required()->type_name("FILE");
  app.add_option("--input", flags->input, "FASTA, a TSV with a seq column, or one sequence a line; - is stdin")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", flags->out,
                 "FILE.npz, or a folder that gets ism.npz (gradient.npz) and tfmodisco-lite's two arrays")
      ->required()
      ->type_name("PATH");
  app.add_option("--tsv", flags->tsv, "the effects (gradients) as a table too: name, position, wild, letter, value")
      ->type_name("FILE");
  app.add_option("--method", flags->method,
                 "mutate: every substitution is scored; gradient: the prediction's derivative by its letters")
      ->check(CLI::IsMember({"mutate", "gradient"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--order", flags->order, "1: single substitutions; 2: all pairs of them too")
      ->check(CLI::IsMember({1, 2}))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--max-sequences", flags->max_sequences, "only the first N sequences; 0 takes all")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->type_name("N")
      ->capture_default_str();
  AddCommonFlags(app, flags->common,
                 kPresetFlag | kMachineFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind ism --model models/SIM00001 --input probes.fa --out maps.npz");
  return [flags, &invocation] { return Run(*flags, invocation); };
}

}  // namespace rb::apps
