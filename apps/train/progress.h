// What `train` says while it runs, and how a signal stops it.
#ifndef RB_APPS_TRAIN_PROGRESS_H_
#define RB_APPS_TRAIN_PROGRESS_H_

#include <span>
#include <string>
#include <vector>

#include "apps/common/reporter.h"
#include "model/trainer.h"

namespace rb::apps {

class TrainReporter : public TrainObserver {
 public:
  // A line an epoch for each of a few models; of more than kFewModels one line a round for all of them, and JSON events
  // as ever.
  static constexpr size_t kFewModels = 8;
  TrainReporter(Reporter& reporter, bool classification, const std::vector<PlannedModel>& models);
  void OnProgress(const TrainProgress& progress) override;
  void OnEpoch(const EpochReport& report) override;
  void OnRound(std::span<const ModelStanding> standings) override;
  void OnMessage(const std::string& message) override;
  bool ShouldStop() override;
  int epochs() const { return epochs_; }  // the last one that finished

 private:
  Reporter& reporter_;
  bool classification_;
  const std::vector<PlannedModel>& models_;
  size_t name_width_ = 0;
  int epochs_ = 0;
  // Since the last line of a round: who has finished an epoch, and the latest of these epochs.
  std::vector<bool> heard_;
  int round_ = 0;
};

// While it lives, the first SIGINT, SIGTERM or SIGUSR1 only raises a flag; a second one, of the three whichever, ends
// the process as usual. One that was ignored before stays ignored. One guard at a time.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
  static const char* Received();  // "SIGINT", "SIGTERM", "SIGUSR1", or null
  static int Number();            // of that signal, or 0
};

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_PROGRESS_H_
