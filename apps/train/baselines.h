// `train --model kmer|pwm`: models that are no network, on the same data, splits and files.
#ifndef RB_APPS_TRAIN_BASELINES_H_
#define RB_APPS_TRAIN_BASELINES_H_

#include "absl/status/status.h"
#include "apps/command.h"
#include "apps/train/flags.h"

namespace rb::apps {

// flags.model: kmer or pwm; CheckModelFlags has accepted the flags.
absl::Status TrainBaselines(const TrainFlags& flags, const Invocation& invocation);

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_BASELINES_H_
