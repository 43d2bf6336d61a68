// One machine's part of a run: it takes models from the run's queue and trains them side by side until none is left.
#ifndef RB_MODEL_TRAIN_WORKER_H_
#define RB_MODEL_TRAIN_WORKER_H_

#include "engine/machine.h"
#include "model/train_run.h"

namespace rb {

// Works on the calling thread. `number`: which of the run's machines this is. Cancelled when the run was told to stop.
absl::Status WorkOn(TrainRun& run, int number, Machine& machine);

}  // namespace rb

#endif  // RB_MODEL_TRAIN_WORKER_H_
