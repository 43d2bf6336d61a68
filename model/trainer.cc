// The run: prepared, worked on by every machine in a thread of its own, and its results.
#include "model/trainer.h"

#include <thread>

#include "engine/check.h"
#include "model/train_run.h"
#include "model/train_worker.h"

namespace rb {

absl::StatusOr<std::vector<TrainResult>> Train(const TrainOptions& options, const Dataset& dataset, const Split& split,
                                               std::span<Machine* const> machines, TrainObserver* observer) {
  RB_CHECK(!machines.empty());
  TrainObserver silent;
  TrainRun run(options, dataset, split, static_cast<int>(machines.size()), observer == nullptr ? silent : *observer);
  RB_RETURN_IF_ERROR(run.Prepare());
  const auto work = [&](size_t number) { run.Finish(WorkOn(run, static_cast<int>(number), *machines[number])); };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < machines.size(); ++i) threads.emplace_back(work, i);
  work(0);
  for (std::thread& thread : threads) thread.join();
  RB_RETURN_IF_ERROR(run.status());
  return run.Results();
}

}  // namespace rb
