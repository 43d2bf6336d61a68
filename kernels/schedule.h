// Learning-rate decay, early stop and which epoch is kept: a pure state machine per model, one function for every
// machine [VARIANTS: "learning rate", "early stop", "kept parameters"].
#ifndef RB_KERNELS_SCHEDULE_H_
#define RB_KERNELS_SCHEDULE_H_

#include "kernels/host_device.h"

namespace rb {

struct ScheduleConfig {
  double learning_rate = 1e-3;
  double decay = 0.3;  // factor after `decay_patience` epochs without a better validation metric
  int decay_patience = 7;
  double floor = 1e-6;
  int stop_patience = 25;  // 20 in `published`
  int max_epochs = 300;
  double first_best = -1e300;  // 0 in `published`: a Pearson <= 0 never saves
};

struct ScheduleState {
  int epoch = 0;  // epochs finished
  double learning_rate = 1e-3;
  double best = -1e300;  // best validation metric so far
  int best_epoch = 0;    // 1-based; 0 = none yet
  int since_best = 0;    // epochs since the best (early stop)
  int since_decay = 0;   // epochs since the best or the last decay (restarts)
  bool stopped = false;
  bool operator==(const ScheduleState&) const = default;
};

RB_HOST_DEVICE inline ScheduleState StartSchedule(const ScheduleConfig& config) {
  ScheduleState state;
  state.learning_rate = config.learning_rate;
  state.best = config.first_best;
  return state;
}

struct ScheduleStep {
  ScheduleState state;
  bool save = false;  // this epoch's parameters are the best so far
};

// The state after one more epoch whose validation metric was `metric` (NaN counts as no improvement).
RB_HOST_DEVICE inline ScheduleStep AdvanceSchedule(const ScheduleConfig& config, const ScheduleState& state,
                                                   double metric) {
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
    const double decayed = s.learning_rate * config.decay;
    // A rate that starts below the floor stays where it is.
    if (s.learning_rate > config.floor) s.learning_rate = decayed > config.floor ? decayed : config.floor;
    s.since_decay = 0;
  }
  s.stopped = s.since_best >= config.stop_patience || s.epoch >= config.max_epochs;
  return next;
}

}  // namespace rb

#endif  // RB_KERNELS_SCHEDULE_H_
