// What `train` says while it runs, and how a signal stops it.
#ifndef RB_APPS_TRAIN_PROGRESS_H_
#define RB_APPS_TRAIN_PROGRESS_H_

#include <string>

#include "apps/reporter.h"
#include "model/trainer.h"

namespace rb::apps {

class TrainReporter : public TrainObserver {
 public:
  // `name_width`: blanks to pad experiment names to.
  TrainReporter(Reporter& reporter, bool classification, size_t name_width);
  void OnProgress(const TrainProgress& progress) override;
  void OnEpoch(const EpochReport& report) override;
  void OnMessage(const std::string& message) override;
  bool ShouldStop() override;
  int epochs() const { return epochs_; }  // the last one that finished

 private:
  Reporter& reporter_;
  bool classification_;
  size_t name_width_;
  int epochs_ = 0;
};

// While it lives, the first SIGINT, SIGTERM or SIGUSR1 only raises a flag; a second one ends the process as usual.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  static const char* Received();  // "SIGINT", "SIGTERM", "SIGUSR1", or null
  static int Number();            // of that signal, or 0
};

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_PROGRESS_H_
