// residualbind predict: any sequences through any models.
//
// Sequences are scored a block at a time, so that memory is that of the input's letters plus one block. A sequence
// longer than the models' input is scored by all its windows; a shorter one is centred, as in training.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/shard.h"
#include "apps/common/text.h"
#include "apps/predict/shards.h"
#include "apps/predict/table.h"
#include "data/fold_energies_reader.h"
#include "data/profile_reader.h"
#include "data/readers.h"
#include "data/sha256.h"
#include "data/writers.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"
#include "model/predictor.h"

namespace rb::apps {
namespace {

constexpr int kDefaultBlock = 16384;  // windows scored at once

struct Flags {
  CommonFlags common;
  std::vector<std::string> models;
  std::string action, input, profiles, out, windows = "max", shard;
  bool ensemble = false;
};

// Sequences as they were read. profiles: structure tracks of each [bases][channels]; empty unless given.
struct Input {
  std::vector<NamedSequence> sequences;
  std::vector<std::vector<float>> profiles;
};

struct Scorers {
  PredictColumns columns;
  std::vector<Predictor> predictors;
  size_t folds = 0;  // the predictor that makes tracks for all
  int length = 41, channels = 0;

  absl::Status AddTracks(Sequences& sequences) const { return predictors[folds].AddTracks(sequences); }
};

absl::StatusOr<Scorers> OpenScorers(const Flags& flags, OpenedMachine& machine) {
  RB_ASSIGN_OR_RETURN(const std::vector<LoadedModel> models, LoadModels(flags.models));
  Scorers scorers;
  scorers.columns = ColumnsOf(models, flags.ensemble);
  RB_RETURN_IF_ERROR(CheckMembers(models, scorers.columns));
  scorers.folds = MostStructured(models);
  const Shape& shape = models[scorers.folds].file.config.shape;
  scorers.length = shape.length;
  scorers.channels = shape.structure;
  for (const LoadedModel& model : models) {
    RB_ASSIGN_OR_RETURN(Predictor predictor, OpenPredictor(model.file, flags.common, machine));
    scorers.predictors.push_back(std::move(predictor));
  }
  return scorers;
}

int64_t WindowsOf(const NamedSequence& sequence, int length) {
  return std::max<int64_t>(1, static_cast<int64_t>(sequence.bases.size()) - length + 1);
}

// Windows waiting to be scored: pieces of consecutive sequences.
struct Block {
  struct Piece {
    size_t sequence;
    int64_t first, count;
  };
  Sequences sequences;
  std::vector<Piece> pieces;

  explicit Block(int length) { sequences.length = length; }
  void Add(const Input& input, int channels, const Piece& piece) {
    const std::string& bases = input.sequences[piece.sequence].bases;
    const int length = sequences.length;
    for (int64_t w = piece.first; w < piece.first + piece.count; ++w) {
      sequences.AppendCentred(bases.substr(static_cast<size_t>(w), static_cast<size_t>(length)));
      if (!input.profiles.empty()) AddTracks(input.profiles[piece.sequence], channels, w);
    }
    pieces.push_back(piece);
  }

 private:
  // Of the window that was appended last, which begins at base `first` of its sequence.
  void AddTracks(const std::vector<float>& profile, int channels, int64_t first) {
    const int width = sequences.widths.back();
    sequences.structure_channels = channels;
    sequences.tracks.resize(static_cast<size_t>(sequences.size() * sequences.length * channels), 0.0f);
    const int64_t at = (sequences.size() - 1) * sequences.length + LeftPadding(sequences.length, width);
    std::copy_n(profile.begin() + first * channels, width * channels, sequences.tracks.begin() + at * channels);
  }
};

absl::Status ScoreBlock(const Input& input, const Scorers& scorers, Block& block, PredictTable& table) {
  RB_RETURN_IF_ERROR(scorers.AddTracks(block.sequences));
  std::vector<std::vector<float>> scores;
  for (const Predictor& predictor : scorers.predictors) {
    RB_ASSIGN_OR_RETURN(std::vector<float> values, predictor.Predict(block.sequences));
    scores.push_back(std::move(values));
  }
  int64_t begin = 0;
  for (const Block::Piece& piece : block.pieces) {
    const NamedSequence& sequence = input.sequences[piece.sequence];
    RB_RETURN_IF_ERROR(table.Windows(sequence.id, scores, begin, piece.count, piece.first));
    const int64_t windows = WindowsOf(sequence, scorers.length);
    if (piece.first + piece.count == windows) RB_RETURN_IF_ERROR(table.EndSequence(sequence.id, windows));
    begin += piece.count;
  }
  block = Block(scorers.length);
  return absl::OkStatus();
}

absl::Status ScoreAll(const Flags& flags, const Input& input, const Scorers& scorers, int block_size, PredictSink sink,
                      Reporter& reporter) {
  PredictTable table(scorers.columns, flags.windows, sink);
  RB_RETURN_IF_ERROR(table.Header());
  Block block(scorers.length);
  for (size_t i = 0; i < input.sequences.size(); ++i) {
    const int64_t windows = WindowsOf(input.sequences[i], scorers.length);
    for (int64_t first = 0; first < windows;) {
      const int64_t room = block_size - block.sequences.size(), count = std::min(room, windows - first);
      block.Add(input, scorers.channels, {i, first, count});
      first += count;
      if (block.sequences.size() < block_size) continue;
      RB_RETURN_IF_ERROR(ScoreBlock(input, scorers, block, table));
      reporter.Progress(absl::StrCat("scored ", Grouped(static_cast<int64_t>(i)), " of ",
                                     Grouped(std::ssize(input.sequences)), " sequences"),
                        {{"done", i}, {"sequences", input.sequences.size()}});
    }
  }
  return block.pieces.empty() ? absl::OkStatus() : ScoreBlock(input, scorers, block, table);
}

absl::StatusOr<Input> ReadInput(const Flags& flags, const Scorers& scorers) {
  const int channels = scorers.channels;
  Input input;
  RB_ASSIGN_OR_RETURN(input.sequences, ReadSequences(flags.input));
  if (flags.profiles.empty()) {
    Block none(scorers.length);
    RB_RETURN_IF_ERROR(scorers.AddTracks(none.sequences));  // whether it can
    return input;
  }
  if (channels == 0) return UsageError("--profiles: these models take the sequence alone; expected none");
  const std::vector<NamedSequence>& sequences = input.sequences;
  ProfileTargets targets;
  targets.count = std::ssize(sequences);
  targets.width = [&](int64_t i) { return std::ssize(sequences[i].bases); };
  targets.name = [&](int64_t i) { return sequences[i].id; };
  targets.letters = [&](int64_t i) { return sequences[i].bases; };
  input.profiles.resize(sequences.size());
  const auto store = [&](int64_t i, std::span<const float> values) {
    input.profiles[i].assign(values.begin(), values.end());
  };
  const auto read = ReadProfiles(flags.profiles, channels, targets, store);
  if (!read.ok()) return read.status();
  return input;
}

// All that predictions depend on, for shards to agree on.
absl::StatusOr<std::string> Settings(const Flags& flags, const OpenedMachine& machine, const Input& input) {
  nlohmann::ordered_json models = nlohmann::ordered_json::array();
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> paths, FindModels(flags.models));
  for (const std::string& path : paths) {
    RB_ASSIGN_OR_RETURN(models.emplace_back(), Sha256OfFile(path));
  }
  std::string sum, block;
  const std::vector<NamedSequence>& sequences = input.sequences;
  for (size_t i = 0; i < sequences.size(); ++i) {
    absl::StrAppend(&block, sequences[i].id, "\t", sequences[i].bases, "\n");
    if (!input.profiles.empty()) {
      const std::vector<float>& profile = input.profiles[i];
      block.append(reinterpret_cast<const char*>(profile.data()), profile.size() * sizeof(float));
    }
    if (block.size() < (1 << 20) && i + 1 < sequences.size()) continue;
    sum = Sha256Hex(sum + block);
    block.clear();
  }
  RB_ASSIGN_OR_RETURN(const EnergySet energies, ReadEnergySet(flags.common.energy));
  const nlohmann::ordered_json settings = {{"version", RB_VERSION},
                                           {"models", models},
                                           {"input", sum},
                                           {"windows", flags.windows},
                                           {"ensemble", flags.ensemble},
                                           {"energy", energies.name},
                                           {"device", machine.description.substr(0, machine.description.find(':'))},
                                           {"precision", machine.precision_name}};
  return settings.dump();
}

// Scores every N-th sequence into a file of its own.
absl::Status RunShard(const Flags& flags, const OpenedMachine& machine, Input input, const Scorers& scorers, int block,
                      Reporter& reporter) {
  PredictShard mine;
  RB_ASSIGN_OR_RETURN(mine.shard, ParseShard(flags.shard));
  mine.sequences = std::ssize(input.sequences);
  RB_ASSIGN_OR_RETURN(mine.settings, Settings(flags, machine, input));
  Input share;
  for (int64_t i = mine.shard.index; i < mine.sequences; i += mine.shard.count) {
    share.sequences.push_back(std::move(input.sequences[i]));
    if (!input.profiles.empty()) share.profiles.push_back(std::move(input.profiles[i]));
  }
  RB_RETURN_IF_ERROR(ScoreAll(flags, share, scorers, block, {nullptr, flags.out, &mine}, reporter));
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  RB_RETURN_IF_ERROR(WritePredictShard(flags.out, mine));
  reporter.Say("done",
               absl::StrCat("scored ", Grouped(std::ssize(share.sequences)), " of ", Grouped(mine.sequences),
                            " sequences; ", PredictShardPath(flags.out, mine.shard),
                            " waits for the other shards and `residualbind predict merge --out ", flags.out, "`"));
  reporter.Open();
  return absl::OkStatus();
}

absl::Status Merge(const Flags& flags) {
  if (!flags.models.empty() || !flags.input.empty() || !flags.shard.empty()) {
    return UsageError("merge takes what the shards of --out hold; expected no --models, --input or --shard with it");
  }
  if (flags.out.empty()) return UsageError("--out is required; expected the name that the shards were given");
  RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_ASSIGN_OR_RETURN(const std::vector<PredictShard> shards, ReadPredictShards(flags.out));
  return WriteFile(flags.out, MergedTable(shards));
}

absl::Status CheckFlags(const Flags& flags) {
  if (flags.models.empty()) return UsageError("--models is required");
  if (flags.input.empty()) return UsageError("--input is required");
  if (flags.shard.empty()) {
    return flags.out.empty() ? absl::OkStatus() : RefuseExisting({flags.out}, flags.common.overwrite);
  }
  if (flags.out.empty()) return UsageError("--shard writes a file of its own; expected --out with it");
  RB_ASSIGN_OR_RETURN(const Shard shard, ParseShard(flags.shard));
  RB_RETURN_IF_ERROR(CheckWritable(ParentFolder(flags.out)));
  return RefuseExisting({PredictShardPath(flags.out, shard)}, flags.common.overwrite);
}

absl::Status Run(const Flags& flags) {
  if (flags.action == "merge") return Merge(flags);
  RB_RETURN_IF_ERROR(CheckFlags(flags));
  RB_ASSIGN_OR_RETURN(const int batch, ParseBatch(flags.common));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  RB_ASSIGN_OR_RETURN(const Scorers scorers, OpenScorers(flags, machine));
  Reporter reporter(flags.common.progress);
  RB_ASSIGN_OR_RETURN(Input input, ReadInput(flags, scorers));
  const int block = batch > 0 ? batch : kDefaultBlock;
  if (!flags.shard.empty()) return RunShard(flags, machine, std::move(input), scorers, block, reporter);
  if (flags.out.empty()) return ScoreAll(flags, input, scorers, block, {stdout, "stdout"}, reporter);
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  return WriteStream(flags.out, [&](std::FILE* file) {
    return ScoreAll(flags, input, scorers, block, {file, flags.out}, reporter);
  });
}

}  // namespace

Action DefinePredict(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("action", flags->action, "merge: put the shards of --out together; else nothing")
      ->check(CLI::IsMember({"merge"}))
      ->type_name("");
  app.add_option("--models", flags->models, "model files, or the folder that train wrote")
      ->expected(1, -1)
      ->type_name("PATH..");
  app.add_option("--input", flags->input, "FASTA, a TSV with a seq column, or one sequence a line; - is stdin")
      ->type_name("FILE");
  app.add_flag("--ensemble", flags->ensemble,
               "one column an experiment, the mean of its models, and one of their standard deviation");
  app.add_option("--profiles", flags->profiles,
                 "structure made elsewhere, a record a sequence, as train takes it (default: folded here)")
      ->type_name("FILE");
  app.add_option("--out", flags->out, "TSV to write (default: stdout)")->type_name("FILE");
  app.add_option(
         "--windows", flags->windows,
         "of sequences longer than the models' input: max, mean, or all (one row a window; starts count from 0)")
      ->check(CLI::IsMember({"max", "mean", "all"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--shard", flags->shard, "I/N: every N-th sequence from the I-th on; auto: as the scheduler says")
      ->type_name("I/N");
  AddCommonFlags(app, flags->common, kMachineFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer(
      "Example:\n  residualbind predict --models models --input transcripts.fa.gz --out scores.tsv\n"
      "  residualbind predict --models models --input transcripts.fa.gz --out scores.tsv --shard 0/2  # and 1/2, then\n"
      "  residualbind predict merge --out scores.tsv");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
