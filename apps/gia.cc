// residualbind gia: global importance analysis, the paper's questions to trained models.
#include <cstdio>
#include <map>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/memory.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/gia/interview.h"
#include "apps/gia/shards.h"
#include "apps/gia/tables.h"
#include "data/fold_energies_reader.h"
#include "data/readers.h"
#include "engine/check.h"
#include "gia/experiment.h"
#include "gia/kmer_scan.h"
#include "gia/npz_writer.h"
#include "gia/null_model.h"
#include "gia/pattern.h"
#include "kernels/scorer.h"

namespace rb::apps {
namespace {

// A file's sequences, each centred in the model's positions.
absl::StatusOr<Sequences> ReadNulls(const std::string& path, int length) {
  RB_ASSIGN_OR_RETURN(const std::vector<NamedSequence> named, ReadSequences(path));
  Sequences sequences;
  sequences.length = length;
  for (const NamedSequence& one : named) {
    const int width = static_cast<int>(one.bases.size());
    if (width < 1 || width > length) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": sequence ", one.id, " has ", one.bases.size(),
                                                     " bases; expected 1 to ", length, ", the model's positions"));
    }
    sequences.AppendCentred(one.bases);
  }
  return sequences;
}

absl::StatusOr<GiaInputs> ReadInputs(const GiaFlags& flags, const std::vector<LoadedModel>& models,
                                     Parallel& parallel) {
  GiaInputs inputs;
  const int length = models[0].file.config.shape.length;
  const auto kind = FindNullKind(flags.null);
  if (!kind.has_value()) {
    RB_ASSIGN_OR_RETURN(inputs.file, ReadNulls(flags.null, length));
  } else if (*kind != NullKind::kProfile && flags.data.empty()) {
    return UsageError(absl::StrCat("--null ", flags.null, " is made from real sequences; expected --data with them"));
  }
  if (flags.data.empty()) return inputs;
  std::vector<std::string> names;
  for (const LoadedModel& model : models) {
    if (std::find(names.begin(), names.end(), model.file.experiment) == names.end()) {
      names.push_back(model.file.experiment);
    }
  }
  RB_ASSIGN_OR_RETURN(inputs.dataset, ReadDataset(flags.data, {length, names, flags.common.dna()}, parallel));
  for (const LoadedModel& model : models) RB_RETURN_IF_ERROR(inputs.AddSplit(model.file));
  return inputs;
}

absl::Status CheckFlags(const GiaFlags& flags, const std::vector<LoadedModel>& models) {
  for (const std::string& text : flags.Texts()) {
    if (!IsArrayText(text) || std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; })) {
      return UsageError(absl::StrCat("'", absl::CHexEscape(text), "': expected UTF-8 without control characters"));
    }
  }
  if (flags.experiment == "kmer" && !flags.motif.empty()) {
    return UsageError("kmer asks about every k-mer; expected no --motif with it");
  }
  if (flags.enumerate && flags.experiment != "custom") {
    return UsageError("--enumerate is for `gia custom`; expected that experiment with it");
  }
  if (flags.experiment == "pair" && flags.second.empty()) {
    return UsageError("pair asks about two motifs; expected --second LETTERS beside --motif");
  }
  if (flags.experiment == "custom" && flags.embed.empty()) {
    return UsageError("custom embeds what --embed says; expected at least one --embed PATTERN@POSITION");
  }
  if (flags.experiment != "custom" && !flags.embed.empty()) {
    return UsageError("--embed is for `gia custom`; expected that experiment with it");
  }
  for (const LoadedModel& model : models) {
    const Shape& shape = model.file.config.shape;
    if (flags.position + flags.k > shape.length) {
      return UsageError(absl::StrCat("--position ", flags.position, " and --k ", flags.k, " reach beyond the model's ",
                                     shape.length, " positions; expected position + k of at most that"));
    }
  }
  return absl::OkStatus();
}

// Bytes that a model's answers take until they are written: local effects, k-mers and their tables.
double AnswerBytes(const GiaFlags& flags, int64_t nulls, int length) {
  double questions = 0;
  const std::string motif = flags.motif.empty() ? std::string(static_cast<size_t>(flags.k), 'A') : flags.motif;
  for (const std::string& name : AskedExperiments(flags)) {
    const auto experiment = MakeExperiment(name, SettingsOf(flags, length, motif, 0));
    if (experiment.ok()) questions += static_cast<double>(experiment->questions.size());
  }
  // Measured: a k-mer's effect, rows and predictions, a question's rows. A shard's file is put together in memory.
  constexpr double kKmerBytes = 900, kQuestionBytes = 2000;
  const double kmers = flags.motif.empty() || flags.scans() ? static_cast<double>(int64_t{1} << (2 * flags.k)) : 0;
  const double copies = flags.shard.empty() ? 1 : 4;
  return copies * questions * static_cast<double>(nulls) * sizeof(float) + questions * kQuestionBytes +
         kmers * kKmerBytes;
}

absl::Status TellWork(const GiaFlags& flags, const GiaInputs& inputs, int64_t models, int length, Reporter& reporter) {
  const int64_t nulls = inputs.NullsOf(flags);
  const double bytes = AnswerBytes(flags, nulls, length) * static_cast<double>(models);
  const int64_t kmers = int64_t{1} << (2 * flags.k);
  reporter.Say("work",
               absl::StrCat(Grouped(models), models == 1 ? " model, " : " models, ", Grouped(nulls), " null sequences",
                            nulls < flags.null_n ? absl::StrCat(" (all of ", flags.null, ")") : "",
                            flags.scans() ? absl::StrCat(", ", Grouped(kmers), " ", flags.k,
                                                         "-mers: ", Grouped(models * kmers * nulls), " predictions")
                                          : "",
                            ", about ", Bytes(bytes), " of memory"),
               {{"models", models}, {"nulls", nulls}, {"bytes", bytes}});
  return CheckMemory(bytes, "the answers", "fewer --null-n, a smaller --k, or --shard");
}

// The files behind --data, --null, --energy and --embed.
std::vector<std::string> OtherInputs(const GiaFlags& flags) {
  std::vector<std::string> files;
  if (!flags.data.empty()) files.push_back(flags.data);
  if (!FindNullKind(flags.null).has_value()) files.push_back(flags.null);
  const std::string& energy = flags.common.energy;
  if (!energy.empty() && energy != kTurner1999) files.push_back(energy);
  for (const std::string& embedding : flags.embed) {
    for (const ElementText& element : SplitEmbedding(embedding)) {
      const std::string& file = element.file;
      if (!file.empty() && std::find(files.begin(), files.end(), file) == files.end()) files.push_back(file);
    }
  }
  return files;
}

// All that results depend on, for shards to agree on: with which arithmetic, too.
absl::StatusOr<std::string> Settings(const GiaFlags& flags, const OpenedMachine& machine, const RunRecord& record,
                                     const std::vector<std::string>& names) {
  RB_ASSIGN_OR_RETURN(const EnergySet energies, ReadEnergySet(flags.common.energy));
  const nlohmann::ordered_json finished = record.Finish();
  nlohmann::ordered_json sums = nlohmann::ordered_json::array();
  for (const auto& input : finished["inputs"]) sums.push_back(input.value("sha256", ""));
  const CommonFlags& common = flags.common;
  const nlohmann::ordered_json settings = {{"version", RB_VERSION},
                                           {"experiment", flags.experiment},
                                           {"models", names},
                                           {"inputs", sums},
                                           {"motif", flags.motif},
                                           {"second", {flags.second, flags.second_position}},
                                           {"embed", flags.embed},
                                           {"enumerate", flags.enumerate},
                                           {"scan", {flags.k, flags.position, flags.top}},
                                           {"controls", {flags.controls, flags.min_n}},
                                           {"null", {flags.null, flags.null_n, flags.null_filter}},
                                           {"common", {common.preset, common.seed, common.alphabet}},
                                           {"energy", energies.name},
                                           {"device", machine.description.substr(0, machine.description.find(':'))},
                                           {"precision", machine.precision_name}};
  return settings.dump();
}

void Print(const std::vector<GiaPart>& parts) {
  for (size_t i = 0; i < parts.size(); ++i)
    std::fputs(absl::StrCat(i > 0 ? "\n" : "", parts[i].summary).c_str(), stdout);
}

absl::Status Merge(const GiaFlags& flags, const Invocation& invocation) {
  if (!flags.models.empty() || !flags.shard.empty() || !flags.Texts().empty()) {
    return UsageError("merge takes what the shards in --out hold; expected no --models, --shard or questions with it");
  }
  RB_RETURN_IF_ERROR(RefuseExisting(GiaTablePaths(flags.out), flags.common.overwrite));
  RunRecord record(invocation);
  Reporter reporter(flags.common.progress);
  RB_ASSIGN_OR_RETURN(const GiaParts all, ReadGiaShards(flags.out));
  RB_RETURN_IF_ERROR(WriteGiaTables(flags.out, all.parts, all.tables));
  RB_RETURN_IF_ERROR(record.Write(JoinPath(flags.out, "run.json")));
  reporter.Say("done", absl::StrCat("put together ", Grouped(std::ssize(all.parts)),
                                    " models; effects.tsv, local effects and ", "run.json are in ", flags.out));
  Print(all.parts);
  return absl::OkStatus();
}

absl::Status WriteWhole(const GiaFlags& flags, GiaShard all, const RunRecord& record, Reporter& reporter) {
  std::vector<GiaPart> parts;
  for (auto& [place, part] : all.parts) parts.push_back(std::move(part));
  RB_RETURN_IF_ERROR(WriteGiaTables(flags.out, parts, all.tables));
  RB_RETURN_IF_ERROR(record.Write(JoinPath(flags.out, "run.json")));
  reporter.Say("done", absl::StrCat("effects.tsv, local effects and run.json are in ", flags.out));
  Print(parts);
  return absl::OkStatus();
}

absl::Status WriteShard(const GiaFlags& flags, const GiaShard& mine, const RunRecord& record, Reporter& reporter) {
  RB_RETURN_IF_ERROR(WriteGiaShard(flags.out, mine));
  RB_RETURN_IF_ERROR(record.Write(JoinPath(flags.out, absl::StrCat("run-shard-", mine.shard.Name(), ".json"))));
  reporter.Say("done", absl::StrCat("asked ", mine.parts.size(), " of ", mine.models, " models; ",
                                    GiaShardPath(flags.out, mine.shard),
                                    " waits for the other shards and `residualbind gia merge --out ", flags.out, "`"));
  return absl::OkStatus();
}

absl::Status Run(const GiaFlags& flags, const Invocation& invocation) {
  if (flags.experiment == "merge") return Merge(flags, invocation);
  if (flags.models.empty()) return UsageError("--models is required; expected model files, or folders of them");
  RB_ASSIGN_OR_RETURN(const Shard shard, ParseShard(flags.shard));
  const bool whole = flags.shard.empty();
  RB_RETURN_IF_ERROR(
      RefuseExisting(whole ? GiaTablePaths(flags.out) : std::vector<std::string>{GiaShardPath(flags.out, shard)},
                     flags.common.overwrite));
  RB_RETURN_IF_ERROR(CheckWritable(flags.out));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  RB_ASSIGN_OR_RETURN(const std::vector<LoadedModel> models, LoadModels(flags.models));
  RB_RETURN_IF_ERROR(CheckFlags(flags, models));
  Reporter reporter(flags.common.progress);
  RunRecord record(invocation);
  RB_ASSIGN_OR_RETURN(const GiaInputs inputs, ReadInputs(flags, models, *machine.pool));
  for (const LoadedModel& model : models) RB_RETURN_IF_ERROR(record.AddInput(model.path));
  for (const std::string& file : OtherInputs(flags)) RB_RETURN_IF_ERROR(record.AddInput(file));
  record.Set("preset", flags.common.preset);
  record.Set("seed", flags.common.seed);
  record.Set("device", machine.description);
  record.Set("precision", machine.precision_name);
  record.EndPhase("read");
  reporter.Say("device", absl::StrCat(machine.description, machine.note.empty() ? "" : "; ", machine.note));

  const std::vector<std::string> names = ModelNames(models);
  const GiaTableOptions tables{flags.common.dna(), flags.top};
  GiaShard mine = {shard, std::ssize(models), tables, "", {}};
  RB_ASSIGN_OR_RETURN(mine.settings, Settings(flags, machine, record, names));
  RB_RETURN_IF_ERROR(TellWork(flags, inputs, shard.Share(mine.models), models[0].file.config.shape.length, reporter));
  for (int64_t i = shard.index; i < mine.models; i += shard.count) {
    RB_ASSIGN_OR_RETURN(GiaAnswers one, Interview(flags, inputs, models[i].file, names[i], machine, reporter));
    mine.parts.emplace_back(i, MakeGiaPart(std::move(one), tables));
  }
  reporter.Open();
  record.EndPhase("ask");
  RB_RETURN_IF_ERROR(MakeFolder(flags.out));
  return whole ? WriteWhole(flags, std::move(mine), record, reporter) : WriteShard(flags, mine, record, reporter);
}

void AddQuestionFlags(CLI::App& app, GiaFlags& flags) {
  std::vector<std::string> experiments = {"kmer", "all", "merge"};
  experiments.insert(experiments.end(), ExperimentNames().begin(), ExperimentNames().end());
  app.add_option("experiment", flags.experiment,
                 absl::StrCat("kmer, ", absl::StrJoin(ExperimentNames(), ", "),
                              ", all (kmer and those of one motif); or merge: put the shards in --out together"))
      ->required()
      ->check(CLI::IsMember(experiments))
      ->type_name("EXPERIMENT");
  app.add_option("--models", flags.models, "model files, or folders of them")->type_name("PATH..");
  app.add_option("--out", flags.out, "folder for effects.tsv, local.npz and the rest")->required()->type_name("DIR");
  app.add_option("--motif", flags.motif, "IUPAC letters; default: each model's strongest k-mer")->type_name("LETTERS");
  app.add_option("--second", flags.second, "pair: the other motif")->type_name("LETTERS");
  app.add_option("--second-position", flags.second_position, "pair: where it starts")
      ->type_name("N")
      ->check(CLI::Range(0, 511))
      ->capture_default_str();
  app.add_option("--embed", flags.embed,
                 "custom: UGCAUG@17+GCGCGC@34, file.meme:NAME@17, stem@6-16:23-33+UGCAUG@17; may be repeated")
      ->type_name("PATTERN");
  app.add_flag("--enumerate", flags.enumerate,
               "custom: ask about every sequence that IUPAC letters stand for; default: each null sequence draws one");
  app.add_option("--k", flags.k, "letters of the k-mers scanned")
      ->type_name("N")
      ->check(CLI::Range(1, kMaxKmer))
      ->capture_default_str();
  app.add_option("--position", flags.position, "where a single motif starts, counted from 0")
      ->type_name("N")
      ->check(CLI::Range(0, 511))
      ->capture_default_str();
  app.add_option("--controls", flags.controls, "scrambled motifs, and as many of the same GC content, beside a motif")
      ->type_name("N")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--min-n", flags.min_n, "with --data: probes that must carry a pattern before their scores are told")
      ->type_name("N")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  app.add_option("--top", flags.top, "k-mers in effects.tsv; kmers/MODEL.tsv has all")
      ->type_name("N")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

}  // namespace

Action DefineGia(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<GiaFlags>();
  AddQuestionFlags(app, *flags);
  app.add_option("--data", flags->data,
                 "measured probes: beside the model's answers, to compare the null with, for nulls made of them")
      ->type_name("PATH");
  app.add_option("--null", flags->null, "profile, shuffle, dinucleotide, quartile1 (highest scores) .. 4, or a file")
      ->type_name("NULL")
      ->capture_default_str();
  app.add_option("--null-n", flags->null_n, "null sequences")
      ->type_name("N")
      ->check(CLI::Range(int64_t{2}, kMaxNullSequences))
      ->capture_default_str();
  app.add_option("--null-filter", flags->null_filter, "keep those whose score lies between two percentiles: 10,90")
      ->type_name("LOW,HIGH");
  app.add_option("--shard", flags->shard, "I/N: every N-th model from the I-th on; auto: as the scheduler says")
      ->type_name("I/N");
  AddCommonFlags(
      app, flags->common,
      kPresetFlag | kSeedFlag | kMachineFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer(
      "Examples:\n"
      "  residualbind gia all --models models --out gia\n"
      "  residualbind gia all --models models --out gia --shard 0/2   # and 1/2 on another machine, then\n"
      "  residualbind gia merge --out gia\n"
      "  residualbind gia custom --models m/RNCMPT00168 --embed UGCAUG@17+GCGCGC@34 --embed UGCAUG@17 --out pair");
  return [flags, &invocation] { return Run(*flags, invocation); };
}

}  // namespace rb::apps
