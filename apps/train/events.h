// `train --tensorboard`: what history.tsv says, as event files that TensorBoard follows while models train.
#ifndef RB_APPS_TRAIN_EVENTS_H_
#define RB_APPS_TRAIN_EVENTS_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/train/event_file.h"
#include "apps/train/progress.h"

namespace rb::apps {

// A model's event file in its folder. One name, so that a resumed run goes on with it; TensorBoard takes every file
// with "tfevents" in its name.
std::string EventsPath(const std::string& output, const std::string& folder);

// One event an epoch and model. Each carries the time at which it was written, which is what makes these files differ
// between runs that are otherwise the same.
class EventReporter : public TrainReporter {
 public:
  // on: otherwise event files that another run left beside models which are trained from the start are removed.
  EventReporter(Reporter& reporter, const TrainOptions& options, bool on);
  void OnEpoch(const EpochReport& report) override;
  // Fills in what the file lacks, as of epochs that were trained without --tensorboard.
  void OnResumed(std::span<const EpochReport> history) override;
  // A file that cannot be written ends the run, as a history would.
  bool ShouldStop() override { return TrainReporter::ShouldStop() || !status_.ok(); }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status Write(const EpochReport& report);

  const TrainOptions& options_;
  bool on_;
  std::vector<EventFile> files_;
  std::vector<bool> begun_;
  absl::Status status_;
};

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_EVENTS_H_
