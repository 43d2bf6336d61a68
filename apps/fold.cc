// residualbind fold: RNA structure profiles of sequences, by the partition function over all structures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common_flags.h"
#include "apps/memory.h"
#include "apps/outputs.h"
#include "apps/reporter.h"
#include "apps/text.h"
#include "data/fold_energies_reader.h"
#include "data/readers.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/npz_writer.h"
#include "kernels/packed_bases.h"

namespace rb::apps {
namespace {

constexpr int64_t kBlock = 4096;  // sequences folded at once

struct Flags {
  CommonFlags common;
  std::string input, out, energy;
};

// Sequences as they are folded: each centred in the longest one's positions.
struct Input {
  std::vector<NamedSequence> sequences;
  int length = 0;
  std::vector<uint32_t> bases;
  std::vector<uint16_t> widths;
};

absl::StatusOr<Input> ReadInput(const std::string& path) {
  Input input;
  RB_ASSIGN_OR_RETURN(input.sequences, ReadSequences(path));
  for (const NamedSequence& one : input.sequences) {
    if (one.bases.size() > kMaxFoldLength) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": sequence ", one.id, " has ", one.bases.size(),
                                                     " bases; expected at most ", kMaxFoldLength));
    }
    input.length = std::max(input.length, static_cast<int>(one.bases.size()));
    input.widths.push_back(static_cast<uint16_t>(one.bases.size()));
  }
  input.bases.resize(input.sequences.size() * PackedWords(input.length));
  for (size_t i = 0; i < input.sequences.size(); ++i) {
    PackCentred(input.sequences[i].bases, input.length, &input.bases[i * PackedWords(input.length)]);
  }
  return input;
}

absl::StatusOr<std::unique_ptr<FoldFactors>> Factors(const std::string& energy) {
  auto energies = std::make_unique<FoldEnergies>();
  if (energy.empty()) {
    *energies = Turner1999();
  } else {
    RB_ASSIGN_OR_RETURN(energies, ReadFoldEnergies(energy));
  }
  return std::make_unique<FoldFactors>(MakeFoldFactors(*energies));
}

int First(const Input& input, size_t i) { return (input.length - input.widths[i]) / 2; }

// A row a base: its place from 1, its letter, the five probabilities.
std::string Rows(const Input& input, size_t i, const float* tracks, bool dna) {
  std::string text;
  const NamedSequence& one = input.sequences[i];
  for (size_t p = 0; p < one.bases.size(); ++p) {
    const char letter = dna && one.bases[p] == 'U' ? 'T' : one.bases[p];
    absl::StrAppend(&text, one.id, "\t", p + 1, "\t", std::string(1, letter));
    const float* const of = tracks + (First(input, i) + p) * kFoldTracks;
    for (int c = 0; c < kFoldTracks; ++c) absl::StrAppend(&text, "\t", Shortest(of[c]));
    text += '\n';
  }
  return text;
}

absl::Status WriteArchive(const Input& input, const std::vector<float>& tracks,
                          const std::vector<double>& log_partition, const std::string& path) {
  const auto n = std::ssize(input.sequences);
  std::vector<std::string> names, sequences;
  std::vector<int64_t> starts;
  std::vector<float> energies;
  for (int64_t i = 0; i < n; ++i) {
    names.push_back(input.sequences[i].id);
    sequences.push_back(input.sequences[i].bases);
    starts.push_back(First(input, static_cast<size_t>(i)));
    energies.push_back(static_cast<float>(-kFoldKt / 1000 * log_partition[i]));
  }
  const std::vector<NamedArray> arrays = {
      {"names", {n}, std::span<const std::string>(names)},
      {"sequences", {n}, std::span<const std::string>(sequences)},
      {"starts", {n}, std::span<const int64_t>(starts)},
      {"profiles", {n, input.length, kFoldTracks}, std::span<const float>(tracks)},
      {"ensemble_energy", {n}, std::span<const float>(energies)},
  };
  return WriteNpz(path, arrays);
}

absl::Status Run(const Flags& flags) {
  const bool archive = absl::EndsWith(flags.out, ".npz");
  if (!flags.out.empty()) RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_RETURN_IF_ERROR(CheckWritable(ParentFolder(flags.out)));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  RB_ASSIGN_OR_RETURN(const std::unique_ptr<FoldFactors> factors, Factors(flags.energy));
  Reporter reporter(flags.common.progress);
  RB_ASSIGN_OR_RETURN(const Input input, ReadInput(flags.input));
  const auto n = std::ssize(input.sequences);
  RB_RETURN_IF_ERROR(CheckMemory(static_cast<double>(n) * input.length * kFoldTracks * sizeof(float), "the profiles",
                                 "the input in parts"));
  RB_ASSIGN_OR_RETURN(const std::unique_ptr<Folder> folder, machine.backend->NewFolder(input.length, *factors));
  std::vector<float> tracks(static_cast<size_t>(n * input.length * kFoldTracks));
  std::vector<double> log_partition(static_cast<size_t>(n));
  for (int64_t first = 0; first < n; first += kBlock) {
    RB_RETURN_IF_ERROR(folder->Fold(&input.bases[first * PackedWords(input.length)], &input.widths[first],
                                    std::min(kBlock, n - first), &tracks[first * input.length * kFoldTracks],
                                    &log_partition[first]));
    reporter.Progress(absl::StrCat("folded ", Grouped(first), " of ", Grouped(n), " sequences"),
                      {{"done", first}, {"sequences", n}});
  }
  if (!flags.out.empty()) RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  if (archive) {
    RB_RETURN_IF_ERROR(WriteArchive(input, tracks, log_partition, flags.out));
  } else {
    std::string text = "name\tposition\tbase\tpaired\thairpin\tinternal\tmulti\texternal\n";
    for (size_t i = 0; i < input.sequences.size(); ++i) {
      text += Rows(input, i, &tracks[i * input.length * kFoldTracks], flags.common.dna());
    }
    if (flags.out.empty()) {
      std::fputs(text.c_str(), stdout);
    } else {
      RB_RETURN_IF_ERROR(WriteFile(flags.out, text));
    }
  }
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
  app.add_option("--energy", flags->energy, "another parameter set; default: Turner 1999")->type_name("FILE");
  AddCommonFlags(app, flags->common, kMachineFlags | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind fold --input probes.fa --out profiles.npz");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
