// residualbind motif: the alignment motif of a k-mer scan, motif files in other formats, logos, comparison of motifs.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/text.h"
#include "apps/motif/commands.h"
#include "apps/motif/files.h"
#include "data/alphabet.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

constexpr const char* kFormats = "meme, jaspar, transfac or tsv (default: by --out's extension)";

struct AlignFlags {
  CommonFlags common;
  std::string kmers, out, format, name;
  std::optional<int> top;
  double trim = 0;
};

struct ConvertFlags {
  CommonFlags common;
  std::string input, out, format;
};

// The k-mers that AlignKmers adds up (gia/alignment_motif.h).
std::vector<WeightedSequence> Participants(std::vector<WeightedSequence> kmers, const AlignmentOptions& options) {
  std::stable_sort(kmers.begin(), kmers.end(), [](const auto& a, const auto& b) { return a.weight > b.weight; });
  if (options.top > 0 && kmers.size() > static_cast<size_t>(options.top)) {
    kmers.erase(kmers.begin() + options.top, kmers.end());
  }
  const bool scaled = options.preset == Preset::kPublished && kmers.back().weight < 0;  // all become positive
  if (!scaled) std::erase_if(kmers, [](const WeightedSequence& kmer) { return !(kmer.weight > 0); });
  return kmers;
}

void PrintSummary(const AlignmentMotif& motif, const std::vector<WeightedSequence>& kmers, bool dna) {
  double bits = 0;
  for (const auto& column : motif.pwm.columns) bits += InformationContent(column);
  std::printf("motif\tconsensus\tbits\tcolumns\tkmers\ttop_kmer\n%s\t%s\t%s\t%zu\t%zu\t%s\n", motif.pwm.name.c_str(),
              InAlphabet(Consensus(motif.pwm), dna).c_str(), Fixed(bits, 3).c_str(), motif.pwm.columns.size(),
              kmers.size(), InAlphabet(kmers[0].letters, dna).c_str());
}

absl::Status Align(const AlignFlags& flags) {
  RB_ASSIGN_OR_RETURN(const MotifFormat format, ChooseMotifFormat(flags.format, flags.out));
  RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_ASSIGN_OR_RETURN(const Preset preset, ParsePreset(flags.common.preset));
  AlignmentOptions options = PresetAlignment(preset);
  options.top = flags.top.value_or(options.top);
  options.trim = flags.trim;
  if (flags.trim > 0 && preset == Preset::kPublished) {
    return UsageError("--trim goes with --preset paper; the published alignment keeps its columns");
  }
  RB_ASSIGN_OR_RETURN(const std::vector<WeightedSequence> kmers, ReadKmerTable(flags.kmers));
  absl::StatusOr<AlignmentMotif> motif = AlignKmers(kmers, options);
  if (!motif.ok()) {
    return absl::Status(motif.status().code(), absl::StrCat(flags.kmers, ": ", motif.status().message()));
  }
  motif->pwm.name = flags.name.empty() ? std::filesystem::path(flags.out).stem().string() : flags.name;
  const std::vector<WeightedSequence> used = Participants(kmers, options);
  MotifRecord record;
  record.pwm = motif->pwm;
  record.sites = static_cast<double>(used.size());
  const std::string source = flags.name.empty() ? "--out " + flags.out : "--name " + flags.name;
  RB_RETURN_IF_ERROR(WriteMotifFile(flags.out, {record}, format, flags.common.dna(), source));
  PrintSummary(*motif, used, flags.common.dna());
  return absl::OkStatus();
}

absl::Status Convert(const ConvertFlags& flags) {
  RB_ASSIGN_OR_RETURN(const MotifFormat format, ChooseMotifFormat(flags.format, flags.out));
  RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_ASSIGN_OR_RETURN(const std::vector<MotifRecord> motifs, ReadMotifs(flags.input));
  return WriteMotifFile(flags.out, motifs, format, flags.common.dna(), flags.input);
}

void AddFormatFlag(CLI::App& app, std::string& format) {
  app.add_option("--format", format, kFormats)
      ->check(CLI::IsMember({"meme", "jaspar", "transfac", "tsv"}))
      ->type_name("NAME");
}

Action DefineAlign(CLI::App& app) {
  auto flags = std::make_shared<AlignFlags>();
  app.add_option("--kmers", flags->kmers, "k-mers and effects, as scan writes them: columns kmer, effect, se")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", flags->out, "motif file to write")->required()->type_name("FILE");
  AddFormatFlag(app, flags->format);
  app.add_option("--top", flags->top, "strongest k-mers that take part; 0 takes all (default: 10; published 0)")
      ->check(CLI::Range(0, 1000000))
      ->type_name("N");
  app.add_option("--trim", flags->trim, "cut outer columns that less than this share of the k-mers' weight covers")
      ->check(CLI::Range(0.0, 0.99))
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--name", flags->name, "the motif's name, one word (default: that of the file)")->type_name("NAME");
  AddCommonFlags(app, flags->common, kPresetFlag | kAlphabetFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind motif align --kmers scan.tsv --out motif.meme --name RBFOX1");
  return [flags] { return Align(*flags); };
}

Action DefineConvert(CLI::App& app) {
  auto flags = std::make_shared<ConvertFlags>();
  app.add_option("--input", flags->input, "motifs: MEME, JASPAR or TRANSFAC, told by content")
      ->required()
      ->type_name("FILE");
  app.add_option("--out", flags->out, "motif file to write")->required()->type_name("FILE");
  AddFormatFlag(app, flags->format);
  AddCommonFlags(app, flags->common, kAlphabetFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind motif convert --input motif.meme --out motif.jaspar --alphabet dna");
  return [flags] { return Convert(*flags); };
}

}  // namespace

Action DefineMotif(CLI::App& app, const Invocation&) {
  Subcommands subcommands(app);
  subcommands.Add("align", "the motif of a scan's strongest k-mers", DefineAlign);
  subcommands.Add("convert", "motif files from one format to another", DefineConvert);
  subcommands.Add("match", "one motif against those of a file", DefineMotifMatch);
  subcommands.Add("logo", "a motif's logo as SVG, PNG or PDF", DefineMotifLogo);
  app.footer("Example:\n  residualbind motif align --kmers scan.tsv --out motif.meme");
  return subcommands.Chosen();
}

}  // namespace rb::apps
