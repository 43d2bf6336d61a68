// The run: prepared, worked on by every machine in a thread of its own, and its results.
#include "model/trainer.h"

#include <thread>

#include "engine/check.h"
#include "engine/exceptions.h"
#include "model/train_run.h"
#include "model/train_worker.h"

namespace rb {

absl::StatusOr<std::vector<TrainResult>> Train(const TrainOptions& options, const Dataset& dataset, const Split& split,
                                               std::span<Machine* const> machines, TrainObserver* observer) {
  RB_CHECK(!machines.empty());
  TrainObserver silent;
  TrainRun run(options, dataset, split, static_cast<int>(machines.size()), observer == nullptr ? silent : *observer);
  RB_RETURN_IF_ERROR(run.Prepare());
  const auto work = [&](size_t number) {
    try {
      run.Finish(WorkOn(run, static_cast<int>(number), *machines[number]));
    } catch (...) {  // out of memory: the others stop after their batch
      run.Finish(StatusOfException());
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      for (size_t i = 1; i < machines.size(); ++i) threads.emplace_back(work, i);
    } catch (...) {  // no further thread: those that run already are told to stop
      run.Finish(StatusOfException());
    }
    work(0);
  }
  RB_RETURN_IF_ERROR(run.status());
  return run.Results();
}

}  // namespace rb
