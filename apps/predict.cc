// residualbind predict: any sequences through any models.
//
// Sequences are scored a block at a time, so that memory is that of the input's letters plus one block. A sequence
// longer than the models' input is scored by all its windows; a shorter one is centred, as in training.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common_flags.h"
#include "apps/outputs.h"
#include "apps/reporter.h"
#include "apps/text.h"
#include "data/profile_reader.h"
#include "data/readers.h"
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
  std::string input, profiles, out, windows = "max";
};

// Sequences as they were read. profiles: structure tracks of each [bases][channels]; empty unless given.
struct Input {
  std::vector<NamedSequence> sequences;
  std::vector<std::vector<float>> profiles;
};

struct Scorers {
  std::vector<std::string> columns;
  std::vector<Predictor> predictors;
  int length = 41, channels = 0;
};

// The experiment's name; the file's path where several models share it.
std::vector<std::string> ColumnNames(const std::vector<LoadedModel>& models) {
  std::map<std::string, int> uses;
  for (const LoadedModel& model : models) ++uses[model.file.experiment];
  std::vector<std::string> names;
  for (const LoadedModel& model : models) {
    names.push_back(uses[model.file.experiment] == 1 && !model.file.experiment.empty() ? model.file.experiment
                                                                                       : model.path);
  }
  return names;
}

absl::StatusOr<Scorers> OpenScorers(const Flags& flags, OpenedMachine& machine) {
  RB_ASSIGN_OR_RETURN(const std::vector<LoadedModel> models, LoadModels(flags.models));
  Scorers scorers;
  scorers.columns = ColumnNames(models);
  for (const LoadedModel& model : models) {
    const Shape& shape = model.file.config.shape;
    scorers.length = shape.length;
    scorers.channels = shape.structure;
    RB_ASSIGN_OR_RETURN(Predictor predictor, OpenPredictor(model.file, flags.common, machine));
    scorers.predictors.push_back(std::move(predictor));
  }
  return scorers;
}

int64_t WindowsOf(const NamedSequence& sequence, int length) {
  return std::max<int64_t>(1, static_cast<int64_t>(sequence.bases.size()) - length + 1);
}

// Writes rows to a file that stays open over blocks.
class Writer {
 public:
  Writer(const Flags& flags, const Scorers& scorers, std::FILE* file) : flags_(flags), scorers_(scorers), file_(file) {}

  absl::Status Header() {
    std::string text = flags_.windows == "all" ? "id\tstart" : "id";
    for (const std::string& column : scorers_.columns) absl::StrAppend(&text, "\t", column);
    return Put(text + "\n");
  }

  // scores[model][window] of one sequence's windows [first, first + count).
  absl::Status Windows(const std::string& id, const std::vector<std::vector<float>>& scores, int64_t begin,
                       int64_t count, int64_t first) {
    if (flags_.windows == "all") {
      std::string text;
      for (int64_t w = 0; w < count; ++w) {
        absl::StrAppend(&text, id, "\t", first + w);
        for (const auto& s : scores) absl::StrAppend(&text, "\t", Shortest(s[static_cast<size_t>(begin + w)]));
        text += '\n';
      }
      return Put(text);
    }
    if (first == 0)
      best_.assign(scores.size(), -std::numeric_limits<float>::infinity()), sum_.assign(scores.size(), 0.0);
    for (size_t m = 0; m < scores.size(); ++m) {
      for (int64_t w = begin; w < begin + count; ++w) {
        best_[m] = std::max(best_[m], scores[m][static_cast<size_t>(w)]);
        sum_[m] += scores[m][static_cast<size_t>(w)];
      }
    }
    return absl::OkStatus();
  }

  // All windows of `id` have been given.
  absl::Status EndSequence(const std::string& id, int64_t windows) {
    if (flags_.windows == "all") return absl::OkStatus();
    std::string text = id;
    for (size_t m = 0; m < best_.size(); ++m) {
      const float mean = static_cast<float>(sum_[m] / static_cast<double>(windows));
      absl::StrAppend(&text, "\t", Shortest(flags_.windows == "max" ? best_[m] : mean));
    }
    return Put(text + "\n");
  }

 private:
  absl::Status Put(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), file_) == text.size()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(flags_.out.empty() ? "stdout" : flags_.out,
                                            ": cannot be written; expected "
                                            "room on the disk and an open pipe"));
  }

  const Flags& flags_;
  const Scorers& scorers_;
  std::FILE* file_;
  std::vector<float> best_;
  std::vector<double> sum_;
};

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

absl::Status ScoreBlock(const Input& input, const Scorers& scorers, Block& block, Writer& writer) {
  RB_RETURN_IF_ERROR(scorers.predictors[0].AddTracks(block.sequences));  // once for all models
  std::vector<std::vector<float>> scores;
  for (const Predictor& predictor : scorers.predictors) {
    RB_ASSIGN_OR_RETURN(std::vector<float> values, predictor.Predict(block.sequences));
    scores.push_back(std::move(values));
  }
  int64_t begin = 0;
  for (const Block::Piece& piece : block.pieces) {
    const NamedSequence& sequence = input.sequences[piece.sequence];
    RB_RETURN_IF_ERROR(writer.Windows(sequence.id, scores, begin, piece.count, piece.first));
    const int64_t windows = WindowsOf(sequence, scorers.length);
    if (piece.first + piece.count == windows) RB_RETURN_IF_ERROR(writer.EndSequence(sequence.id, windows));
    begin += piece.count;
  }
  block = Block(scorers.length);
  return absl::OkStatus();
}

absl::Status ScoreAll(const Flags& flags, const Input& input, const Scorers& scorers, int block_size, std::FILE* file,
                      Reporter& reporter) {
  Writer writer(flags, scorers, file);
  RB_RETURN_IF_ERROR(writer.Header());
  Block block(scorers.length);
  for (size_t i = 0; i < input.sequences.size(); ++i) {
    const int64_t windows = WindowsOf(input.sequences[i], scorers.length);
    for (int64_t first = 0; first < windows;) {
      const int64_t room = block_size - block.sequences.size(), count = std::min(room, windows - first);
      block.Add(input, scorers.channels, {i, first, count});
      first += count;
      if (block.sequences.size() < block_size) continue;
      RB_RETURN_IF_ERROR(ScoreBlock(input, scorers, block, writer));
      reporter.Progress(absl::StrCat("scored ", Grouped(static_cast<int64_t>(i)), " of ",
                                     Grouped(std::ssize(input.sequences)), " sequences"),
                        {{"done", i}, {"sequences", input.sequences.size()}});
    }
  }
  return block.pieces.empty() ? absl::OkStatus() : ScoreBlock(input, scorers, block, writer);
}

absl::StatusOr<Input> ReadInput(const Flags& flags, const Scorers& scorers) {
  const int channels = scorers.channels;
  Input input;
  RB_ASSIGN_OR_RETURN(input.sequences, ReadSequences(flags.input));
  if (flags.profiles.empty()) {
    Block none(scorers.length);
    RB_RETURN_IF_ERROR(scorers.predictors[0].AddTracks(none.sequences));  // whether it can
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

absl::Status Run(const Flags& flags) {
  if (!flags.out.empty()) RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
  RB_ASSIGN_OR_RETURN(const int batch, ParseBatch(flags.common));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  RB_ASSIGN_OR_RETURN(const Scorers scorers, OpenScorers(flags, machine));
  Reporter reporter(flags.common.progress);
  RB_ASSIGN_OR_RETURN(const Input input, ReadInput(flags, scorers));
  const int block = batch > 0 ? batch : kDefaultBlock;
  if (flags.out.empty()) return ScoreAll(flags, input, scorers, block, stdout, reporter);
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  return WriteAtomically(flags.out, [&](const std::string& temporary) -> absl::Status {
    std::FILE* file = std::fopen(temporary.c_str(), "wb");
    if (file == nullptr)
      return absl::UnavailableError(absl::StrCat(temporary, ": cannot be written; expected a writable folder"));
    const absl::Status status = ScoreAll(flags, input, scorers, block, file, reporter);
    if (std::fclose(file) != 0 && status.ok())
      return absl::DataLossError(absl::StrCat(flags.out, ": cannot be written; expected room"));
    return status;
  });
}

}  // namespace

Action DefinePredict(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--models", flags->models, "model files, or the folder that train wrote")
      ->required()
      ->expected(1, -1)
      ->type_name("PATH..");
  app.add_option("--input", flags->input, "FASTA, a TSV with a seq column, or one sequence a line; - is stdin")
      ->required()
      ->type_name("FILE");
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
  AddCommonFlags(app, flags->common, kMachineFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind predict --models models --input transcripts.fa.gz --out scores.tsv");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
