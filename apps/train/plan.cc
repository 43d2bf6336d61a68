#include "apps/train/plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/command.h"
#include "engine/check.h"
#include "model/exact_text.h"

namespace rb::apps {
namespace {

constexpr size_t kMostModels = 100000;
constexpr char kReplicate[] = "replicate-";

// A train flag that a grid can vary, with the range that the flag itself takes.
struct GridFlag {
  const char* name;
  bool whole;  // numbers only
  double low, high;
  std::function<void(TrainFlags&, double)> set;
  std::function<bool(const TrainFlags&)> given;
  std::vector<const char*> words = {};  // what is written instead of 0, 1 ..
};

constexpr char kStructure[] = "structure";
const std::vector<const char*> kStructures = {"none", "pu", "phime"};

GridFlag Whole(const char* name, std::optional<int> TrainFlags::*flag) {
  return {name,
          true,
          1,
          1e6,
          [flag](TrainFlags& f, double v) { f.*flag = static_cast<int>(v); },
          [flag](const TrainFlags& f) { return (f.*flag).has_value(); }};
}
GridFlag Real(const char* name, double low, double high, std::optional<double> TrainFlags::*flag) {
  return {name,
          false,
          low,
          high,
          [flag](TrainFlags& f, double v) { f.*flag = v; },
          [flag](const TrainFlags& f) { return (f.*flag).has_value(); }};
}

using Rate = std::optional<float> TrainFlags::*;
constexpr Rate kRates[] = {&TrainFlags::dropout_first, &TrainFlags::dropout_inner, &TrainFlags::dropout_before_pool,
                           &TrainFlags::dropout_after_pool, &TrainFlags::dropout_dense};
constexpr const char* kRateNames[] = {"dropout-first", "dropout-inner", "dropout-before-pool", "dropout-after-pool",
                                      "dropout-dense"};

const std::vector<GridFlag>& GridFlags() {
  static const auto& flags = *[] {
    auto* all = new std::vector<GridFlag>{
        Real("learning-rate", 1e-30, 1e30, &TrainFlags::learning_rate),
        Real("decay", 1e-6, 1, &TrainFlags::decay),
        Whole("decay-patience", &TrainFlags::decay_patience),
        Whole("stop-patience", &TrainFlags::stop_patience),
        Whole("epochs", &TrainFlags::epochs),
        {"batch", true, 1, 65536, [](TrainFlags& f, double v) { f.common.batch = absl::StrCat(static_cast<int>(v)); },
         [](const TrainFlags& f) { return f.common.batch != "auto"; }},
        Whole("filters", &TrainFlags::filters),
        Whole("first-width", &TrainFlags::first_width),
        Whole("width", &TrainFlags::width),
        Whole("residual-layers", &TrainFlags::residual_layers),
        Whole("pool", &TrainFlags::pool),
        Whole("hidden", &TrainFlags::hidden),
        {"dropout", false, 0, 0.95,
         [](TrainFlags& f, double v) {
           for (const Rate rate : kRates) f.*rate = static_cast<float>(v);
         },
         [](const TrainFlags& f) {
           return std::any_of(std::begin(kRates), std::end(kRates), [&](Rate rate) { return (f.*rate).has_value(); });
         }},
        {kStructure, true, 0, 2,
         [](TrainFlags& f, double v) { f.structure.structure = kStructures[static_cast<size_t>(v)]; },
         [](const TrainFlags& f) { return !f.structure.structure.empty(); }, kStructures}};
    for (size_t i = 0; i < std::size(kRates); ++i) {
      const Rate rate = kRates[i];
      all->push_back({kRateNames[i], false, 0, 0.95,
                      [rate](TrainFlags& f, double v) { f.*rate = static_cast<float>(v); },
                      [rate](const TrainFlags& f) { return (f.*rate).has_value(); }});
    }
    return all;
  }();
  return flags;
}

// One NAME=V,V.. of --grid.
struct Axis {
  const GridFlag* flag = nullptr;
  std::vector<double> values;

  std::string Text(double value) const {
    return flag->words.empty() ? ExactText(value) : flag->words[static_cast<size_t>(value)];
  }
};

// The value that `text` stands for; NaN for none that the flag takes.
double ValueOf(const GridFlag& flag, const std::string& text) {
  for (size_t i = 0; i < flag.words.size(); ++i) {
    if (text == flag.words[i]) return static_cast<double>(i);
  }
  double number = 0;
  const bool good = flag.words.empty() && absl::SimpleAtod(text, &number) && number >= flag.low &&
                    number <= flag.high && (!flag.whole || number == std::floor(number));
  return good ? number : std::numeric_limits<double>::quiet_NaN();
}

std::string ExpectedValue(const GridFlag& flag) {
  if (!flag.words.empty()) return absl::StrCat("one of ", absl::StrJoin(flag.words, ", "));
  return absl::StrCat(flag.whole ? "a whole number" : "a number", " from ", ExactText(flag.low), " to ",
                      ExactText(flag.high));
}

absl::StatusOr<Axis> ParseAxis(const std::string& text, const TrainFlags& flags) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  Axis axis;
  std::vector<std::string> names;
  for (const GridFlag& flag : GridFlags()) {
    names.push_back(flag.name);
    if (name == flag.name) axis.flag = &flag;
  }
  if (axis.flag == nullptr) {
    return UsageError(absl::StrCat("--grid ", text, ": '", name,
                                   "' is nothing that a grid varies; expected NAME=VALUE,VALUE.. with ",
                                   absl::StrJoin(names, ", ")));
  }
  if (equals == std::string::npos) {
    return UsageError(absl::StrCat("--grid ", text, ": has no values; expected ", name, "=VALUE,VALUE.."));
  }
  if (axis.flag->given(flags)) {
    return UsageError(absl::StrCat("--grid ", text, " and --", name, " exclude each other; expected one of them"));
  }
  const std::vector<std::string> values = absl::StrSplit(text.substr(equals + 1), ',');
  for (const std::string& value : values) {
    const double number = ValueOf(*axis.flag, value);
    if (std::isnan(number)) {
      return UsageError(
          absl::StrCat("--grid ", text, ": '", value, "' is no ", name, "; expected ", ExpectedValue(*axis.flag)));
    }
    if (std::find(axis.values.begin(), axis.values.end(), number) != axis.values.end()) {
      return UsageError(absl::StrCat("--grid ", text, ": ", value, " is named twice; expected different values"));
    }
    axis.values.push_back(number);
  }
  return axis;
}

absl::StatusOr<std::vector<Axis>> ParseGrid(const TrainFlags& flags) {
  std::vector<Axis> axes;
  bool all_rates = false, one_rate = false;
  for (const std::string& text : flags.grid) {
    RB_ASSIGN_OR_RETURN(Axis axis, ParseAxis(text, flags));
    for (const Axis& other : axes) {
      if (other.flag == axis.flag) {
        return UsageError(absl::StrCat("--grid names ", axis.flag->name, " twice; expected all its values in one"));
      }
    }
    const std::string_view name = axis.flag->name;
    all_rates |= name == "dropout";
    one_rate |= name.size() > 7 && name.substr(0, 8) == "dropout-";
    axes.push_back(std::move(axis));
  }
  if (!all_rates || !one_rate) return axes;
  return UsageError("--grid dropout sets all dropout rates; expected it without the single ones");
}

struct GridPoint {
  std::string folder;  // "learning-rate=0.001,filters=96"
  TrainConfig config;
};

absl::StatusOr<GridPoint> MakePoint(const TrainFlags& flags, const TrainConfig& base, const std::vector<Axis>& axes,
                                    size_t index) {
  TrainFlags changed = flags;
  std::vector<std::string> parts;
  std::vector<size_t> places(axes.size());
  for (size_t a = axes.size(); a-- > 0; index /= axes[a].values.size()) places[a] = index % axes[a].values.size();
  for (size_t a = 0; a < axes.size(); ++a) {
    const double value = axes[a].values[places[a]];
    axes[a].flag->set(changed, value);
    parts.push_back(absl::StrCat(axes[a].flag->name, "=", axes[a].Text(value)));
  }
  GridPoint point{absl::StrJoin(parts, ","), {}};
  absl::StatusOr<TrainConfig> config = MakeConfig(changed);
  if (!config.ok()) return UsageError(absl::StrCat("--grid, ", point.folder, ": ", config.status().message()));
  point.config = *std::move(config);
  // What the data and the machine decided.
  point.config.shape.length = base.shape.length;
  const bool varied = changed.structure.structure != flags.structure.structure;
  point.config.shape.structure = varied ? TracksNamed(changed.structure.structure) : base.shape.structure;
  point.config.transform = base.transform;
  point.config.precision = base.precision;
  return point;
}

}  // namespace

absl::StatusOr<std::vector<PlannedModel>> PlanModels(const TrainFlags& flags, const TrainConfig& base,
                                                     const std::vector<std::string>& experiments) {
  RB_ASSIGN_OR_RETURN(const std::vector<Axis> axes, ParseGrid(flags));
  double count = static_cast<double>(experiments.size()) * flags.replicates;
  size_t points = 1;
  for (const Axis& axis : axes) {
    count *= static_cast<double>(axis.values.size());
    points *= axis.values.size();
    if (count > static_cast<double>(kMostModels)) {
      return UsageError(
          absl::StrCat("--grid and --replicates ask for ", count, " models or more; expected at most ", kMostModels));
    }
  }
  std::vector<GridPoint> grid;
  for (size_t i = 0; i < points; ++i) {
    RB_ASSIGN_OR_RETURN(grid.emplace_back(), MakePoint(flags, base, axes, i));
  }
  std::vector<PlannedModel> models;
  for (const std::string& experiment : experiments) {
    for (const GridPoint& point : grid) {
      for (int r = 0; r < flags.replicates; ++r) {
        PlannedModel& model = models.emplace_back();
        model.config = axes.empty() ? base : point.config;
        model.config.replicate = flags.replicate + static_cast<uint64_t>(r);
        model.experiment = model.folder = experiment;
        if (points > 1) absl::StrAppend(&model.folder, "/", point.folder);
        if (flags.replicates > 1) absl::StrAppend(&model.folder, "/", kReplicate, model.config.replicate);
      }
    }
  }
  return models;
}

absl::StatusOr<StructureFlags> StructureOfAll(const TrainFlags& flags) {
  RB_ASSIGN_OR_RETURN(const std::vector<Axis> axes, ParseGrid(flags));
  StructureFlags all = flags.structure;
  for (const Axis& axis : axes) {
    if (std::string_view(axis.flag->name) != kStructure) continue;
    all.structure = axis.Text(*std::max_element(axis.values.begin(), axis.values.end()));
  }
  return all;
}

bool IsPlannedFolder(const std::string& name) {
  return absl::StartsWith(name, kReplicate) || absl::StrContains(name, '=');
}

}  // namespace rb::apps
