#include "model/config.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/check.h"

namespace rb {
namespace {

absl::Status Wrong(const char* setting, double value, const char* expected) {
  return absl::InvalidArgumentError(absl::StrCat("settings: ", setting, " is ", value, "; expected ", expected));
}

absl::Status ValidateSchedule(const ScheduleConfig& s) {
  if (!(s.learning_rate > 0) || !std::isfinite(s.learning_rate)) {
    return Wrong("learning rate", s.learning_rate, "a positive number");
  }
  if (!(s.decay > 0 && s.decay <= 1)) return Wrong("learning-rate decay", s.decay, "a factor above 0, at most 1");
  if (s.decay_patience < 1) return Wrong("decay patience", s.decay_patience, "at least 1 epoch");
  if (!(s.floor >= 0) || !std::isfinite(s.floor)) return Wrong("learning-rate floor", s.floor, "0 or more");
  if (s.stop_patience < 1) return Wrong("stop patience", s.stop_patience, "at least 1 epoch");
  if (s.max_epochs < 1) return Wrong("epochs", s.max_epochs, "at least 1");
  if (std::isnan(s.first_best)) return Wrong("first best metric", s.first_best, "a number");
  return absl::OkStatus();
}

}  // namespace

TrainConfig PresetConfig(Preset preset) {
  TrainConfig config;
  config.preset = preset;
  if (preset == Preset::kPublished) {
    config.shape = kPublishedShape;
    config.schedule.stop_patience = 20;
    config.schedule.first_best = 0;
  }
  return config;
}

absl::Status ValidateConfig(const TrainConfig& config) {
  RB_RETURN_IF_ERROR(ValidateShape(config.shape));
  RB_RETURN_IF_ERROR(ValidateSchedule(config.schedule));
  if (config.batch < 1 || config.batch > 65536) return Wrong("batch", config.batch, "1 to 65536 rows");
  if (!(config.valid_fraction > 0 && config.valid_fraction < 1)) {
    return Wrong("validation fraction", config.valid_fraction, "a fraction between 0 and 1");
  }
  return absl::OkStatus();
}

}  // namespace rb
