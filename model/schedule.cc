#include "model/schedule.h"

#include <algorithm>

namespace rb {

ScheduleState StartSchedule(const ScheduleConfig& config) {
  ScheduleState state;
  state.learning_rate = config.learning_rate;
  state.best = config.first_best;
  return state;
}

ScheduleStep AdvanceSchedule(const ScheduleConfig& config, const ScheduleState& state, double metric) {
  ScheduleStep next{state, false};
  ScheduleState& s = next.state;
  if (s.stopped) return next;
  ++s.epoch;
  if (metric > s.best) {  // false for NaN
    s.best = metric;
    s.best_epoch = s.epoch;
    s.since_best = s.since_decay = 0;
    next.save = true;
  } else {
    ++s.since_best;
    ++s.since_decay;
  }
  if (s.since_decay >= config.decay_patience) {
    // A rate that starts below the floor stays where it is.
    if (s.learning_rate > config.floor) s.learning_rate = std::max(s.learning_rate * config.decay, config.floor);
    s.since_decay = 0;
  }
  s.stopped = s.since_best >= config.stop_patience || s.epoch >= config.max_epochs;
  return next;
}

}  // namespace rb
