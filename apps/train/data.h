// The data that training reads, and what they decide about its settings.
#ifndef RB_APPS_TRAIN_DATA_H_
#define RB_APPS_TRAIN_DATA_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/train/flags.h"
#include "data/dataset.h"
#include "data/split.h"
#include "kernels/parallel.h"
#include "model/config.h"

namespace rb::apps {

// --data with the experiments that --experiment names. A usage error when none is named and there are several.
absl::StatusOr<Dataset> ReadTrainData(const TrainFlags& flags, const TrainConfig& config, Parallel& parallel);

// Settings that only the data can decide: structure channels, and no transform where targets are transformed already
// (FailedPrecondition when --transform asks for another).
absl::Status FitConfigToData(const TrainFlags& flags, const Dataset& dataset, TrainConfig& config);

// MakeSplit with at most `max_probes` (0: all) of its training rows, chosen by the seed. `all_train`: how many there
// were.
absl::StatusOr<Split> MakeTrainSplit(const Dataset& dataset, uint64_t seed, double valid_fraction, int64_t max_probes,
                                     size_t* all_train = nullptr);

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_DATA_H_
