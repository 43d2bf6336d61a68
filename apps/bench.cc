// residualbind bench: what training steps and scoring take on this machine.
#include <algorithm>
#include <chrono>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/train/synthetic.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/config.h"
#include "model/flops.h"

namespace rb::apps {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  CommonFlags common;
  std::vector<int> models, dilations;
  std::string task = "both", out;
  double seconds = 3;
  int group = 0, score_rows = 0, length = 0, structure = 0, filters = 0, first_width = 0, width = 0, pool = 0,
      hidden = 0;
  int64_t sequences = 241'357;
};

// Seconds of one run of a program: medians over rounds of several runs each, the machine idle before and after.
struct Timing {
  double median = 0, best = 0;
  int rounds = 0, runs = 0;  // runs in a round
};

struct Timed {
  Program& program;
  SyntheticTraining& training;
  int64_t most_runs;  // between two rewinds
};

absl::StatusOr<double> TimeRound(const Timed& timed, int runs) {
  RB_RETURN_IF_ERROR(timed.training.Rewind());
  RB_RETURN_IF_ERROR(timed.training.Wait().status());
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i) RB_RETURN_IF_ERROR(timed.program.Run());
  RB_RETURN_IF_ERROR(timed.training.Wait().status());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs;
}

absl::StatusOr<Timing> Measure(const Timed& timed, double seconds) {
  RB_RETURN_IF_ERROR(TimeRound(timed, 1).status());  // records the program, warms everything up
  RB_ASSIGN_OR_RETURN(const double once, TimeRound(timed, static_cast<int>(std::min<int64_t>(3, timed.most_runs))));
  Timing timing;
  const double most = static_cast<double>(std::min<int64_t>(timed.most_runs, 1'000'000));
  timing.runs = static_cast<int>(std::clamp(seconds / 10 / std::max(once, 1e-7), 1.0, most));
  std::vector<double> rounds;
  const auto start = std::chrono::steady_clock::now();
  do {
    RB_ASSIGN_OR_RETURN(const double round, TimeRound(timed, timing.runs));
    rounds.push_back(round);
  } while (rounds.size() < 3 || std::chrono::steady_clock::now() - start < std::chrono::duration<double>(seconds));
  std::sort(rounds.begin(), rounds.end());
  timing.rounds = static_cast<int>(rounds.size());
  timing.best = rounds.front();
  timing.median = (rounds[rounds.size() / 2] + rounds[(rounds.size() - 1) / 2]) / 2;
  return timing;
}

class Results {
 public:
  Results(const Flags& flags, const Invocation& invocation, const OpenedMachine& machine, const Shape& shape)
      : out_(flags.out) {
    document_["command"] = invocation.Line();
    document_["version"] = RB_VERSION;
    document_["machine"] = machine.description;
    document_["preset"] = flags.common.preset;
    document_["precision"] = machine.precision_name;
    document_["training_mflop_a_sequence"] = TrainingFlops(shape) * 1e-6;
    document_["scoring_mflop_a_sequence"] = static_cast<double>(FlopsPerSequence(GeometryOf(shape))) * 1e-6;
    document_["rows"] = Json::array();
  }

  // Prints the row and writes the file anew, so that a run that is cut off keeps what it had.
  absl::Status Add(const std::string& task, int models, int rows, const Timing& timing, double flops) {
    const double rate = static_cast<double>(models) * rows / timing.median;
    if (table_.empty()) table_ = {{"task", "models", "rows", "ms", "best ms", "sequences/s", "GFLOP/s"}};
    table_.push_back({task, std::to_string(models), Grouped(rows), Fixed(timing.median * 1e3, 3),
                      Fixed(timing.best * 1e3, 3), Grouped(static_cast<int64_t>(rate)), Fixed(rate * flops * 1e-9, 1)});
    document_["rows"].push_back(Json{{"task", task},
                                     {"models", models},
                                     {"rows_a_model", rows},
                                     {"ms", timing.median * 1e3},
                                     {"best_ms", timing.best * 1e3},
                                     {"sequences_per_second", rate},
                                     {"gflop_per_second", rate * flops * 1e-9},
                                     {"rounds", timing.rounds},
                                     {"runs_a_round", timing.runs}});
    return out_.empty() ? absl::OkStatus() : WriteFile(out_, DumpJson(document_));
  }
  void Print() const { std::fputs(AlignedTable(table_).c_str(), stdout); }

 private:
  std::string out_;
  Json document_;
  std::vector<std::vector<std::string>> table_;
};

absl::StatusOr<Shape> ShapeOf(const Flags& flags) {
  Shape s = PresetConfig(flags.common.preset == "published" ? Preset::kPublished : Preset::kPaper).shape;
  for (const auto& [flag, field] : {std::pair{flags.length, &s.length},
                                    {flags.filters, &s.filters},
                                    {flags.first_width, &s.first_width},
                                    {flags.width, &s.width},
                                    {flags.pool, &s.pool},
                                    {flags.hidden, &s.hidden}}) {
    if (flag > 0) *field = flag;
  }
  s.structure = flags.structure;
  if (flags.dilations.size() > static_cast<size_t>(kMaxResidualLayers)) {
    return UsageError(
        absl::StrCat("--dilations names ", flags.dilations.size(), " layers; expected at most ", kMaxResidualLayers));
  }
  if (!flags.dilations.empty()) {
    s.residual_layers = static_cast<int>(flags.dilations.size());
    std::copy(flags.dilations.begin(), flags.dilations.end(), s.dilations);
  }
  if (const absl::Status status = ValidateShape(s); !status.ok()) return UsageError(std::string(status.message()));
  return s;
}

absl::Status BenchModels(const Flags& flags, const Shape& shape, int models, int batch, OpenedMachine& machine,
                         Results& results) {
  SyntheticOptions options;
  options.shape = shape;
  options.models = models;
  options.batch = batch;
  options.group = flags.group;
  options.sequences = std::max<int64_t>(flags.sequences, batch);
  options.train_rows = static_cast<int>(std::max<int64_t>(batch, options.sequences * 9 / 20));
  RB_ASSIGN_OR_RETURN(const auto training, SyntheticTraining::Create(options, *machine.backend));
  if (flags.task != "score") {
    RB_ASSIGN_OR_RETURN(const auto step, training->NewStep());
    RB_ASSIGN_OR_RETURN(const Timing timing, Measure({*step, *training, training->steps_per_epoch()}, flags.seconds));
    RB_RETURN_IF_ERROR(results.Add("train", models, batch, timing, TrainingFlops(shape)));
  }
  if (flags.task == "train") return absl::OkStatus();
  // Enough rows for every multiprocessor to have work for milliseconds; the CPU is busy with far fewer.
  const int64_t wanted = flags.score_rows > 0                   ? flags.score_rows
                         : machine.backend->stream() != nullptr ? std::max(1024, (1 << 20) / models)
                                                                : 4096;
  const int rows = static_cast<int>(std::min<int64_t>(wanted, options.sequences));
  RB_ASSIGN_OR_RETURN(const auto scoring, training->NewScoring(machine.precision, rows));
  RB_ASSIGN_OR_RETURN(const Timing timing, Measure({*scoring, *training, 1'000'000}, flags.seconds));
  return results.Add("score", models, rows, timing, static_cast<double>(FlopsPerSequence(GeometryOf(shape))));
}

absl::Status Run(const Flags& flags, const Invocation& invocation) {
  RB_ASSIGN_OR_RETURN(const Shape shape, ShapeOf(flags));
  RB_ASSIGN_OR_RETURN(const int batch, ParseBatch(flags.common));
  if (!flags.out.empty()) {
    RB_RETURN_IF_ERROR(RefuseExisting({flags.out}, flags.common.overwrite));
    RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
  }
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, flags.task != "score"));
  std::vector<int> models = flags.models;
  if (models.empty()) models = machine.backend->stream() != nullptr ? std::vector{1, 8, 40, 244} : std::vector{1};
  std::printf("%s, %s\n", machine.description.c_str(), machine.precision_name.c_str());
  Results results(flags, invocation, machine, shape);
  absl::Status status;
  for (size_t i = 0; i < models.size() && status.ok(); ++i) {
    status = BenchModels(flags, shape, models[i], batch > 0 ? batch : 100, machine, results);
  }
  results.Print();
  std::printf(
      "random sequences; ms: a training step of all models, or one scoring of all their rows; medians, wall clock.\n"
      "GFLOP/s counts %.2f MFLOP a trained and %.2f a scored sequence; this command does not measure the machine's "
      "peak.\n",
      TrainingFlops(shape) * 1e-6, static_cast<double>(FlopsPerSequence(GeometryOf(shape))) * 1e-6);
  return status;
}

void AddShapeFlags(CLI::App& app, Flags& flags) {
  const char* group = "Architecture (defaults: the preset's)";
  const auto size = [&](const char* name, int& flag, const char* text) {
    app.add_option(name, flag, text)->type_name("N")->check(CLI::Range(1, 4096))->group(group);
  };
  size("--length", flags.length, "positions, 16-512");
  size("--filters", flags.filters, "filters of every convolution, a multiple of 32");
  size("--first-width", flags.first_width, "width of the first convolution, odd");
  size("--width", flags.width, "width of the residual module's convolutions, odd");
  size("--pool", flags.pool, "size and stride of the mean pooling");
  size("--hidden", flags.hidden, "units of the dense layer, a multiple of 32");
  app.add_option("--structure", flags.structure, "structure tracks: 0, 2 or 5")
      ->type_name("N")
      ->check(CLI::IsMember({0, 2, 5}))
      ->group(group);
  app.add_option("--dilations", flags.dilations, "dilation of each convolution of the residual module")
      ->delimiter(',')
      ->type_name("N,N..")
      ->check(CLI::Range(1, 512))
      ->group(group);
}

}  // namespace

Action DefineBench(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--models", flags->models, "models side by side, one row each (default: 1; on a GPU 1,8,40,244)")
      ->delimiter(',')
      ->type_name("N,N..")
      ->check(CLI::Range(1, 65535));
  app.add_option("--task", flags->task, "train, score or both")
      ->check(CLI::IsMember({"train", "score", "both"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--seconds", flags->seconds, "time for each row, after warming up")
      ->type_name("X")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  app.add_option("--group", flags->group, "models that one launch covers; 0: as many as the machine wants")
      ->type_name("N")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--score-rows", flags->score_rows, "sequences that each model scores (default: by machine)")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 24));
  app.add_option("--sequences", flags->sequences, "random sequences to draw from")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 28))
      ->capture_default_str();
  app.add_option("--out", flags->out, "JSON to write; it grows row by row")->type_name("FILE");
  AddCommonFlags(app, flags->common, kPresetFlag | kMachineFlags | kDenseFlag | kOverwriteFlag);
  AddShapeFlags(app, *flags);
  app.footer("Example:\n  residualbind bench --device cuda --precision bf16 --models 1,244 --out step.json");
  return [flags, &invocation] { return Run(*flags, invocation); };
}

}  // namespace rb::apps
