// residualbind fold: RNA structure profiles of sequences, by the partition function over all structures.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/memory.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/text.h"
#include "apps/plot/pictures.h"
#include "apps/plot/render.h"
#include "data/alphabet.h"
#include "data/byte_source.h"
#include "data/fold_energies_reader.h"
#include "data/readers.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/npz_writer.h"

namespace rb::apps {
namespace {

constexpr int64_t kBlock = 4096;  // sequences folded at once

struct Flags {
  CommonFlags common;
  std::string input, out, plot;
};

// Sequences as they are folded: each centred in the longest one's positions.
struct Input {
  std::vector<NamedSequence> named;
  Sequences packed;

  int first(size_t i) const { return LeftPadding(packed.length, packed.widths[i]); }
};

absl::StatusOr<Input> ReadInput(const std::string& path) {
  Input input;
  input.packed.length = 0;
  RB_ASSIGN_OR_RETURN(input.named, ReadSequences(path));
  for (const NamedSequence& one : input.named) {
    if (one.bases.size() > kMaxFoldLength) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": sequence ", one.id, " has ", one.bases.size(),
                                                     " bases; expected at most ", kMaxFoldLength));
    }
    input.packed.length = std::max(input.packed.length, static_cast<int>(one.bases.size()));
  }
  for (const NamedSequence& one : input.named) input.packed.AppendCentred(one.bases);
  return input;
}

// A row a base: its place from 1, its letter, the five probabilities.
std::string Rows(const Input& input, size_t i, const float* tracks, bool dna) {
  std::string text;
  const std::string letters = InAlphabet(input.named[i].bases, dna);
  for (size_t p = 0; p < letters.size(); ++p) {
    absl::StrAppend(&text, input.named[i].id, "\t", p + 1, "\t", letters.substr(p, 1));
    const float* const of = tracks + (input.first(i) + p) * kFoldTracks;
    for (int c = 0; c < kFoldTracks; ++c) absl::StrAppend(&text, "\t", Shortest(of[c]));
    text += '\n';
  }
  return text;
}

absl::Status WriteArchive(const Input& input, const std::vector<float>& tracks,
                          const std::vector<double>& log_partition, const std::string& path) {
  const auto n = std::ssize(input.named);
  std::vector<std::string> names, sequences;
  std::vector<int64_t> starts;
  std::vector<float> energies;
  for (int64_t i = 0; i < n; ++i) {
    names.push_back(input.named[i].id);
    sequences.push_back(input.named[i].bases);
    starts.push_back(input.first(static_cast<size_t>(i)));
    energies.push_back(static_cast<float>(-kFoldKt / 1000 * log_partition[i]));
  }
  const std::vector<NamedArray> arrays = {
      {"names", {n}, std::span<const std::string>(names)},
      {"sequences", {n}, std::span<const std::string>(sequences)},
      {"starts", {n}, std::span<const int64_t>(starts)},
      {"profiles", {n, input.packed.length, kFoldTracks}, std::span<const float>(tracks)},
      {"ensemble_energy", {n}, std::span<const float>(energies)},
  };
  return WriteNpz(path, arrays);
}

// The profile of a single sequence as a picture.
absl::Status Draw(const Input& input, const std::vector<float>& tracks, const Flags& flags) {
  plot::FoldData data = {input.named[0].bases, {}};
  for (size_t p = 0; p < data.letters.size(); ++p) {
    const float* const of = tracks.data() + (input.first(0) + p) * kFoldTracks;
    data.profiles.emplace_back(of, of + kFoldTracks);
  }
  RB_ASSIGN_OR_RETURN(const plot::Drawing drawing, DrawFold(data, {input.named[0].id, false, flags.common.dna()}));
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.plot)));
  return plot::WriteDrawing(drawing, flags.plot);
}

absl::Status CheckPlot(const Flags& flags) {
  if (flags.plot.empty()) return absl::OkStatus();
  if (const auto format = plot::FormatOf(flags.plot); !format.ok()) {
    return UsageError(absl::StrCat("--plot ", std::string(format.status().message())));
  }
  RB_RETURN_IF_ERROR(RefuseExisting({flags.plot}, flags.common.overwrite));
  return CheckWritable(ParentFolder(flags.plot));
}

absl::Status Run(const Flags& flags) {
  const bool archive = absl::EndsWith(flags.out, ".npz");
  if (!flags.out.empty()) RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_RETURN_IF_ERROR(CheckWritable(ParentFolder(flags.out)));
  RB_RETURN_IF_ERROR(CheckPlot(flags));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  RB_ASSIGN_OR_RETURN(const EnergySet energies, ReadEnergySet(flags.common.energy));
  Reporter reporter(flags.common.progress);
  RB_ASSIGN_OR_RETURN(const Input input, ReadInput(flags.input));
  const auto n = std::ssize(input.named);
  if (!flags.plot.empty() && n != 1) {
    return absl::InvalidArgumentError(absl::StrCat(DisplayName(flags.input), ": has ", n,
                                                   " sequences; expected one for --plot, or residualbind plot fold"));
  }
  const int64_t values = int64_t{input.packed.length} * kFoldTracks;
  RB_RETURN_IF_ERROR(
      CheckMemory(static_cast<double>(n * values) * sizeof(float), "the profiles", "the input in parts"));
  RB_ASSIGN_OR_RETURN(const std::unique_ptr<Folder> folder,
                      machine.backend->NewFolder(input.packed.length, *energies.factors));
  std::vector<float> tracks(static_cast<size_t>(n * values));
  std::vector<double> log_partition(static_cast<size_t>(n));
  for (int64_t first = 0; first < n; first += kBlock) {
    RB_RETURN_IF_ERROR(folder->Fold(input.packed.packed(first), &input.packed.widths[first],
                                    std::min(kBlock, n - first), &tracks[first * values], &log_partition[first]));
    reporter.Progress(absl::StrCat("folded ", Grouped(first), " of ", Grouped(n), " sequences"),
                      {{"done", first}, {"sequences", n}});
  }
  // Piece 0 of the table is its header.
  const auto piece = [&](int64_t i) -> std::string {
    if (i == 0) return "name\tposition\tbase\tpaired\thairpin\tinternal\tmulti\texternal\n";
    return Rows(input, static_cast<size_t>(i - 1), &tracks[(i - 1) * values], flags.common.dna());
  };
  if (flags.out.empty()) {
    for (int64_t i = 0; i <= n; ++i) std::fputs(piece(i).c_str(), stdout);
  } else {
    RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
    RB_RETURN_IF_ERROR(archive ? WriteArchive(input, tracks, log_partition, flags.out)
                               : WritePieces(flags.out, n + 1, piece));
  }
  if (!flags.plot.empty()) RB_RETURN_IF_ERROR(Draw(input, tracks, flags));
  reporter.Open();
  if (!flags.out.empty()) reporter.Say("done", absl::StrCat("wrote ", flags.out, ": ", Grouped(n), " sequences"));
  return absl::OkStatus();
}

}  // namespace

Action DefineFold(CLI::App& app, const Invocation& /*invocation*/) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--input", flags->input, "FASTA, a TSV with a seq column, or one sequence a line; - is stdin")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", flags->out, "FILE.tsv or FILE.npz; default: the table on stdout")->type_name("FILE");
  app.add_option("--plot", flags->plot, "a picture of a single sequence's profile too: .svg, .png or .pdf")
      ->type_name("FILE");
  AddCommonFlags(app, flags->common, kDeviceFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind fold --input probes.fa --out profiles.npz");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
