// Learning-rate decay, early stop and which epoch is kept: a pure state machine per model (VARIANTS.md rows "learning
// rate", "early stop", "kept parameters").
#ifndef RB_MODEL_SCHEDULE_H_
#define RB_MODEL_SCHEDULE_H_

#include "model/config.h"

namespace rb {

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

ScheduleState StartSchedule(const ScheduleConfig& config);

struct ScheduleStep {
  ScheduleState state;
  bool save = false;  // this epoch's parameters are the best so far
};
// The state after one more epoch whose validation metric was `metric` (NaN counts as no improvement).
ScheduleStep AdvanceSchedule(const ScheduleConfig& config, const ScheduleState& state, double metric);

}  // namespace rb

#endif  // RB_MODEL_SCHEDULE_H_
