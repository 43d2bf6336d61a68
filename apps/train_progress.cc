#include "apps/train_progress.h"

#include <signal.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/text.h"

namespace rb::apps {
namespace {

// A signal handler can reach nothing but static storage.
volatile sig_atomic_t received_signal = 0;

void Receive(int signal) { received_signal = signal; }

}  // namespace

SignalGuard::SignalGuard() {
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = Receive;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
}

SignalGuard::~SignalGuard() {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGUSR1, SIG_DFL);
}

const char* SignalGuard::Received() {
  switch (received_signal) {
    case 0:
      return nullptr;
    case SIGINT:
      return "SIGINT";
    case SIGUSR1:
      return "SIGUSR1";
    default:
      return "SIGTERM";
  }
}

int SignalGuard::Number() { return received_signal; }

TrainReporter::TrainReporter(Reporter& reporter, bool classification, size_t name_width)
    : reporter_(reporter), classification_(classification), name_width_(name_width) {}

bool TrainReporter::ShouldStop() {
  reporter_.Open();  // a batch is done: all that can be refused beforehand has been accepted
  return SignalGuard::Received() != nullptr;
}

void TrainReporter::OnMessage(const std::string& message) { reporter_.Say("message", message); }

void TrainReporter::OnProgress(const TrainProgress& p) {
  const double rate = p.sequences_per_second;
  const int64_t left = p.sequences_in_epoch - p.sequences_done;
  const double percent = p.sequences_in_epoch > 0 ? 100.0 * p.sequences_done / p.sequences_in_epoch : 0;
  const double epoch_left = rate > 0 ? left / rate : -1;
  const double most_left =
      rate > 0 ? epoch_left + static_cast<double>(p.max_epochs - p.epoch) * p.sequences_in_epoch / rate : -1;
  const std::string models = p.models == 1 ? "" : absl::StrCat(", ", p.live_models, " of ", p.models, " models");
  reporter_.Progress(
      absl::StrFormat("epoch %d of at most %d: %.0f%%, %s sequences/s, %s left in the epoch, at most %s in all%s",
                      p.epoch, p.max_epochs, percent, Grouped(static_cast<int64_t>(rate)), Duration(epoch_left),
                      Duration(most_left), models),
      {{"epoch", p.epoch},
       {"max_epochs", p.max_epochs},
       {"percent", percent},
       {"sequences_per_second", rate},
       {"seconds_left_in_epoch", epoch_left},
       {"seconds_left_at_most", most_left},
       {"live_models", p.live_models},
       {"models", p.models}});
}

void TrainReporter::OnEpoch(const EpochReport& r) {
  epochs_ = std::max(epochs_, r.epoch);
  reporter_.Open();
  const char* metric = classification_ ? "AUROC" : "r";
  reporter_.Say("epoch",
                absl::StrFormat("%-*s  epoch %3d  loss %.4f  valid loss %.4f  valid %s %s  lr %s  %s%s%s",
                                static_cast<int>(name_width_), r.experiment, r.epoch, r.train_loss, r.valid_loss,
                                metric, Fixed(r.valid_metric, 4), absl::StrFormat("%.3g", r.learning_rate),
                                Duration(r.seconds), r.best ? "  best" : "", r.stopped ? "  end" : ""),
                {{"experiment", r.experiment},
                 {"epoch", r.epoch},
                 {"train_loss", r.train_loss},
                 {"valid_loss", r.valid_loss},
                 {classification_ ? "valid_auroc" : "valid_pearson", r.valid_metric},
                 {"learning_rate", r.learning_rate},
                 {"seconds", r.seconds},
                 {"best", r.best},
                 {"stopped", r.stopped}});
}

}  // namespace rb::apps
