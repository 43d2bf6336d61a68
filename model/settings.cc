// TrainConfig as named text and back. One list of settings serves both directions, so that none can be forgotten in
// one.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/check.h"
#include "model/config.h"
#include "model/exact_text.h"

namespace rb {
namespace {

// The dilations travel as one list.
struct DilationList {
  int* values;  // [kMaxResidualLayers]
  int layers;
};

struct NamedPrecision {
  const char* name;
  Precision precision;
};
constexpr NamedPrecision kPrecisions[] = {
    {"fp32", Precision::kFp32}, {"tf32", Precision::kTf32}, {"bf16", Precision::kBf16}};

std::string ToText(int v) { return ExactText(v); }
std::string ToText(uint64_t v) { return ExactText(v); }
std::string ToText(float v) { return ExactText(v); }
std::string ToText(double v) { return ExactText(v); }
std::string ToText(bool v) { return v ? "true" : "false"; }
std::string ToText(Preset v) { return std::string(PresetName(v)); }
std::string ToText(TransformKind v) { return std::string(TransformName(v)); }
std::string ToText(Precision v) {
  for (const NamedPrecision& p : kPrecisions) {
    if (p.precision == v) return p.name;
  }
  return "unknown";
}
std::string ToText(const DilationList& v) {
  int n = kMaxResidualLayers;
  while (n > v.layers && v.values[n - 1] == 0) --n;
  return absl::StrJoin(v.values, v.values + n, ",");
}

template <class T>
requires std::is_arithmetic_v<T>
bool FromText(const std::string& text, T* v) { return ParseExact(text, v); }
bool FromText(const std::string& text, bool* v) {
  *v = text == "true";
  return text == "true" || text == "false";
}
template <class T>
bool Take(absl::StatusOr<T> parsed, T* v) {
  if (parsed.ok()) *v = *parsed;
  return parsed.ok();
}
bool FromText(const std::string& text, Preset* v) { return Take(ParsePreset(text), v); }
bool FromText(const std::string& text, TransformKind* v) { return Take(ParseTransform(text), v); }
bool FromText(const std::string& text, Precision* v) {
  for (const NamedPrecision& p : kPrecisions) {
    if (text != p.name) continue;
    *v = p.precision;
    return true;
  }
  return false;
}
bool FromText(const std::string& text, DilationList* v) {
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  if (parts.size() > kMaxResidualLayers) return false;
  std::fill(v->values, v->values + kMaxResidualLayers, 0);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!ParseExact(parts[i], &v->values[i])) return false;
  }
  return true;
}

// Calls f(name, reference) for every setting.
template <class F>
void VisitSettings(TrainConfig& c, F&& f) {
  f("preset", c.preset);
  f("precision", c.precision);
  f("transform", c.transform);
  f("batch", c.batch);
  f("seed", c.seed);
  f("replicate", c.replicate);
  f("valid_fraction", c.valid_fraction);
  Shape& s = c.shape;
  f("shape.length", s.length);
  f("shape.structure", s.structure);
  f("shape.filters", s.filters);
  f("shape.first_width", s.first_width);
  f("shape.width", s.width);
  f("shape.residual_layers", s.residual_layers);
  DilationList dilations{s.dilations, s.residual_layers};
  f("shape.dilations", dilations);
  f("shape.pool", s.pool);
  f("shape.hidden", s.hidden);
  f("shape.dropout_first", s.dropout_first);
  f("shape.dropout_inner", s.dropout_inner);
  f("shape.dropout_before_pool", s.dropout_before_pool);
  f("shape.dropout_after_pool", s.dropout_after_pool);
  f("shape.dropout_dense", s.dropout_dense);
  f("shape.classification", s.classification);
  ScheduleConfig& d = c.schedule;
  f("schedule.learning_rate", d.learning_rate);
  f("schedule.decay", d.decay);
  f("schedule.decay_patience", d.decay_patience);
  f("schedule.floor", d.floor);
  f("schedule.stop_patience", d.stop_patience);
  f("schedule.max_epochs", d.max_epochs);
  f("schedule.first_best", d.first_best);
}

}  // namespace

std::map<std::string, std::string> SettingsOf(const TrainConfig& config) {
  std::map<std::string, std::string> settings;
  TrainConfig copy = config;
  VisitSettings(copy, [&](const char* name, auto& value) { settings[name] = ToText(value); });
  return settings;
}

absl::StatusOr<TrainConfig> ConfigFromSettings(const std::map<std::string, std::string>& settings) {
  TrainConfig config;
  absl::Status status;
  VisitSettings(config, [&](const char* name, auto& value) {
    if (!status.ok()) return;
    const auto found = settings.find(name);
    if (found == settings.end()) {
      status = absl::InvalidArgumentError(absl::StrCat("setting '", name, "' is missing"));
    } else if (!FromText(found->second, &value)) {
      status = absl::InvalidArgumentError(absl::StrCat("setting '", name, "' is '", found->second.substr(0, 40),
                                                       "', which is not a value of its kind"));
    }
  });
  RB_RETURN_IF_ERROR(status);
  RB_RETURN_IF_ERROR(ValidateConfig(config));
  return config;
}

}  // namespace rb
