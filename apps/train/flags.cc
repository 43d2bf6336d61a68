#include "apps/train/flags.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "engine/check.h"
#include "gia/pwm_fit.h"
#include "model/kmer_fit.h"

namespace rb::apps {
namespace {

template <class T>
void Take(const std::optional<T>& flag, T& setting) {
  if (flag.has_value()) setting = *flag;
}

void AddDataFlags(CLI::App& app, TrainFlags& flags) {
  app.add_option("--data", flags.data,
                 "folder with sequences.tsv and targets.tsv, one table with both, an HDF5 file of prepare's, a 2009 "
                 "per-protein table, or \"score sequence\" lines")
      ->required()
      ->type_name("PATH");
  app.add_option("--out", flags.out,
                 "folder for ID/model.safetensors, ID/history.tsv, checkpoints, progress.tsv, metrics.tsv and run.json")
      ->required()
      ->type_name("DIR");
  app.add_flag("--tensorboard", flags.tensorboard,
               "an event file for TensorBoard beside each model too: losses, validation metric and learning rate");
  app.add_option("--experiment", flags.experiments, "ID[,ID..] or all; not needed when the data hold one experiment")
      ->delimiter(',')
      ->type_name("ID");
  app.add_option("--transform", flags.transform, "none, log or clip (default: log; none for data transformed already)")
      ->check(CLI::IsMember({"none", "log", "clip"}))
      ->type_name("NAME");
  AddStructureFlags(app, flags.structure);
  app.add_option("--task", flags.task, "regression, or classification (targets 0 and 1)")
      ->check(CLI::IsMember({"regression", "classification"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--valid-fraction", flags.valid_fraction, "part of set A kept for validation (0.1)")
      ->check(CLI::Range(0.001, 0.9))
      ->type_name("FRACTION");
  app.add_option("--max-probes", flags.max_probes, "train on a seeded subset of N training probes, for quick trials")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 31))
      ->type_name("N");
  app.add_option("--replicate", flags.replicate, "number of this repetition: other initial weights, order and dropout")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 53))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--replicates", flags.replicates, "repetitions of each model, numbered from --replicate on")
      ->check(CLI::Range(1, 100000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--grid", flags.grid,
                 "a model for every combination of the values: names of flags below, or dropout for all rates at once")
      ->type_name("NAME=V,V..");
}

constexpr char kBaselineGroup[] = "Baselines (--model kmer, --model pwm)";
constexpr char kShapeGroup[] = "Architecture (defaults: the preset's)";
constexpr char kScheduleGroup[] = "Schedule (defaults: the preset's)";

}  // namespace

void AddBaselineFlags(CLI::App& app, TrainFlags& f) {
  app.add_option("--model", f.model,
                 "residualbind, the network; kmer: ridge regression on k-mer counts; pwm: a matrix scanned over the "
                 "probe")
      ->check(CLI::IsMember({"residualbind", "kmer", "pwm"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--k", f.k, "letters of the k-mers: kmer 1 to 8 (6), pwm 3 to 8 (7)")
      ->type_name("N")
      ->check(CLI::Range(1, kMaxRegressionKmer))
      ->group(kBaselineGroup);
  app.add_option("--scan", f.scan, "pwm: best window, or sum over the windows (best)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"best", "sum"}))
      ->group(kBaselineGroup);
  app.add_option("--motif-width", f.motif_width, "pwm: most columns (default: those that half of the k-mers cover)")
      ->type_name("N")
      ->check(CLI::Range(1, 30))
      ->group(kBaselineGroup);
  app.add_option("--top", f.top, "pwm: k-mers that are aligned (default: of 10, 20, 50 .. 500 the best in validation)")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << (2 * kMaxRegressionKmer)))
      ->group(kBaselineGroup);
}

namespace {

// Whether a flag is about networks, or about how they are trained.
bool IsForNetworks(const CLI::Option& option) {
  constexpr const char* kNames[] = {
      "--resume",           "--grid",       "--replicate", "--replicates", "--workers",   "--structure",
      "--profiles",         "--energy",     "--dense",     "--batch",      "--precision", "--models-in-flight",
      "--checkpoint-every", "--tensorboard"};
  const bool named =
      std::any_of(std::begin(kNames), std::end(kNames), [&](const char* name) { return option.check_name(name); });
  const std::string& group = option.get_group();
  return named || group == kScheduleGroup || (group == kShapeGroup && !option.check_name("--length"));
}

std::string CheckCount(const std::string& text) {
  int count = 0;
  if (text == "auto" || (absl::SimpleAtoi(text, &count) && count >= 1 && count <= 100000)) return "";
  return absl::StrCat("'", text, "' is no such number; expected auto or a number from 1 to 100000");
}

}  // namespace

void AddWorkFlags(CLI::App& app, WorkFlags& flags) {
  const auto count = [&](const char* name, std::string& flag, const char* text) {
    app.add_option(name, flag, text)
        ->type_name("N")
        ->check(CLI::Validator(CheckCount, "", ""))
        ->capture_default_str()
        ->group("Machine");
  };
  count(
      "--workers", flags.workers,
      "machines that share the models: CUDA devices, or parts of the CPU's threads; auto takes every device of a kind");
  count("--models-in-flight", flags.models_in_flight,
        "most models side by side on a machine; auto takes as many as fit in 70 % of the free memory");
  app.add_option("--checkpoint-every", flags.checkpoint_every,
                 "epochs between two checkpoints of a model: more for many small models on a slow disk")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str()
      ->group("Machine");
}

namespace {

// CLI11's own says "not in range 0 to" and then the 309 digits of the largest double.
CLI::Validator Positive() {
  return CLI::Validator(
      [](std::string& text) {
        double value = 0;
        const bool good = absl::SimpleAtod(text, &value) && value > 0 && std::isfinite(value);
        return good ? std::string() : absl::StrCat("Value ", text, " is not a number above 0");
      },
      "");
}

void AddShapeFlags(CLI::App& app, TrainFlags& f) {
  const auto size = [&](const char* name, std::optional<int>& flag, const char* text) {
    app.add_option(name, flag, text)->type_name("N")->group(kShapeGroup);
  };
  const auto rate = [&](const char* name, std::optional<float>& flag, const char* text) {
    app.add_option(name, flag, text)->type_name("RATE")->check(CLI::Range(0.0, 0.95))->group(kShapeGroup);
  };
  size("--length", f.length, "positions after padding, 16-512 (41)");
  size("--filters", f.filters, "filters of every convolution, a multiple of 32 (96)");
  size("--first-width", f.first_width, "width of the first convolution, odd (11)");
  size("--width", f.width, "width of the residual module's convolutions, odd (3)");
  size("--residual-layers", f.residual_layers, "convolutions of the residual module (3; published 4)");
  app.add_option("--dilations", f.dilations, "dilation of each (1,2,4; published 1,2,4,8)")
      ->delimiter(',')
      ->type_name("N,N..")
      ->check(CLI::Range(1, 512))
      ->group(kShapeGroup);
  size("--pool", f.pool, "size and stride of the mean pooling (10)");
  size("--hidden", f.hidden, "units of the dense layer, a multiple of 32 (256)");
  rate("--dropout-first", f.dropout_first, "behind the first convolution (0.1)");
  rate("--dropout-inner", f.dropout_inner, "inside the residual module (0.2; published 0.1)");
  rate("--dropout-before-pool", f.dropout_before_pool, "behind the residual module (0.2; published 0)");
  rate("--dropout-after-pool", f.dropout_after_pool, "behind the pooling (0; published 0.2)");
  rate("--dropout-dense", f.dropout_dense, "behind the dense layer (0.5)");
}

void AddScheduleFlags(CLI::App& app, TrainFlags& f) {
  const char* group = kScheduleGroup;
  app.add_option("--epochs", f.epochs, "at most this many (300)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->group(group);
  app.add_option("--learning-rate", f.learning_rate, "of Adam at the start (0.001)")
      ->type_name("X")
      ->check(Positive())
      ->group(group);
  app.add_option("--decay", f.decay, "factor on the learning rate when validation stalls (0.3)")
      ->type_name("X")
      ->check(CLI::Range(1e-6, 1.0))
      ->group(group);
  app.add_option("--decay-patience", f.decay_patience, "epochs without a better validation metric before it (7)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->group(group);
  app.add_option("--stop-patience", f.stop_patience, "epochs without one before the end (25; published 20)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->group(group);
}

absl::Status SetDilations(const TrainFlags& flags, Shape& shape) {
  if (flags.dilations.empty() && !flags.residual_layers.has_value()) return absl::OkStatus();
  const int layers = flags.residual_layers.value_or(static_cast<int>(flags.dilations.size()));
  if (layers < 1 || layers > kMaxResidualLayers) {
    return UsageError(absl::StrCat("--residual-layers is ", layers, "; expected 1 to ", kMaxResidualLayers));
  }
  if (!flags.dilations.empty() && static_cast<int>(flags.dilations.size()) != layers) {
    return UsageError(absl::StrCat("--dilations names ", flags.dilations.size(), " layers and --residual-layers ",
                                   layers, "; expected one dilation for each layer"));
  }
  shape.residual_layers = layers;
  for (int i = 0; i < kMaxResidualLayers; ++i) {
    shape.dilations[i] = i >= layers ? 0 : flags.dilations.empty() ? 1 << i : flags.dilations[static_cast<size_t>(i)];
  }
  return absl::OkStatus();
}

}  // namespace

int CountOrAuto(const std::string& text) {
  int count = 0;
  if (text != "auto") (void)absl::SimpleAtoi(text, &count);  // checked when the flag was read
  return count;
}

void AddTrainFlags(CLI::App& app, TrainFlags& flags) {
  AddDataFlags(app, flags);
  AddCommonFlags(app, flags.common,
                 kPresetFlag | kSeedFlag | kMachineFlags | kDenseFlag | kEnergyFlag | kAlphabetFlag | kResumeFlag |
                     kOverwriteFlag | kProgressFlag);
  AddWorkFlags(app, flags.work);
  AddShapeFlags(app, flags);
  AddScheduleFlags(app, flags);
}

ModelKind KindOf(const TrainFlags& flags) { return FindModelKind(flags.model).value_or(ModelKind::kNetwork); }

absl::Status CheckModelFlags(const CLI::App& app, const TrainFlags& flags) {
  const ModelKind kind = KindOf(flags);
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0) continue;
    const std::string name = option->get_name();
    const bool baseline = option->get_group() == kBaselineGroup;
    if (kind == ModelKind::kNetwork
            ? !baseline
            : !IsForNetworks(*option) && (kind == ModelKind::kPwm || !baseline || name == "--k")) {
      continue;
    }
    return UsageError(absl::StrCat(name, " means nothing to --model ", flags.model, "; expected it with --model ",
                                   !baseline       ? "residualbind"
                                   : name == "--k" ? "kmer or pwm"
                                                   : "pwm"));
  }
  if (kind == ModelKind::kNetwork) return absl::OkStatus();
  const std::string only = absl::StrCat("; --model ", flags.model, " expects ");
  if (flags.task != "regression") return UsageError(absl::StrCat("--task ", flags.task, only, "regression"));
  if (flags.common.device != "auto" && flags.common.device != "cpu") {
    return UsageError(absl::StrCat("--device ", flags.common.device, only, "cpu, where it is fitted"));
  }
  if (kind == ModelKind::kPwm && flags.k.value_or(kMinPwmKmer) < kMinPwmKmer) {
    return UsageError(absl::StrCat("--k ", *flags.k, only, kMinPwmKmer, " to ", kMaxPwmKmer));
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainConfig> MakeConfig(const TrainFlags& f) {
  RB_ASSIGN_OR_RETURN(const Preset preset, ParsePreset(f.common.preset));
  TrainConfig config = PresetConfig(preset);
  Shape& shape = config.shape;
  Take(f.length, shape.length);
  Take(f.filters, shape.filters);
  Take(f.first_width, shape.first_width);
  Take(f.width, shape.width);
  RB_RETURN_IF_ERROR(SetDilations(f, shape));
  Take(f.pool, shape.pool);
  Take(f.hidden, shape.hidden);
  Take(f.dropout_first, shape.dropout_first);
  Take(f.dropout_inner, shape.dropout_inner);
  Take(f.dropout_before_pool, shape.dropout_before_pool);
  Take(f.dropout_after_pool, shape.dropout_after_pool);
  Take(f.dropout_dense, shape.dropout_dense);
  shape.classification = f.task == "classification";
  Take(f.learning_rate, config.schedule.learning_rate);
  Take(f.decay, config.schedule.decay);
  Take(f.decay_patience, config.schedule.decay_patience);
  Take(f.stop_patience, config.schedule.stop_patience);
  Take(f.epochs, config.schedule.max_epochs);
  Take(f.valid_fraction, config.valid_fraction);
  config.seed = f.common.seed;
  config.replicate = f.replicate;
  RB_ASSIGN_OR_RETURN(config.transform, ParseTransform(f.transform.value_or(shape.classification ? "none" : "log")));
  RB_ASSIGN_OR_RETURN(const int batch, ParseBatch(f.common));
  if (batch > 0) config.batch = batch;
  if (const absl::Status status = ValidateConfig(config); !status.ok()) {
    return UsageError(std::string(status.message()));
  }
  return config;
}

}  // namespace rb::apps
