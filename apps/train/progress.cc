#include "apps/train/progress.h"

#include <signal.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/common/text.h"

namespace rb::apps {
namespace {

// A signal handler can reach nothing but static storage.
volatile sig_atomic_t received_signal = 0;

// Ctrl-C, kill, and what a batch system sends some time before its limit (sbatch --signal=USR1@300).
constexpr std::pair<int, const char*> kSignals[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"}};

// What the signals did before the guard.
struct sigaction before[std::size(kSignals)];

// Only calls that are allowed in a signal handler.
void PutBack() {
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i].first, &before[i], nullptr);
}

// From now on all of them do what they did: a second signal ends the process, whichever of them it is.
void Receive(int signal) {
  received_signal = signal;
  PutBack();
}

}  // namespace

SignalGuard::SignalGuard() {
  received_signal = 0;
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i].first, nullptr, &before[i]);
  struct sigaction action {};
  action.sa_handler = Receive;
  for (const auto& [number, name] : kSignals) sigaddset(&action.sa_mask, number);  // none in the middle of another
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    // A signal that whoever started the program ignores (nohup, a shell's `&`) stays ignored.
    if (before[i].sa_handler != SIG_IGN) sigaction(kSignals[i].first, &action, nullptr);
  }
}

SignalGuard::~SignalGuard() { PutBack(); }

const char* SignalGuard::Received() {
  for (const auto& [number, name] : kSignals) {
    if (received_signal == number) return name;
  }
  return nullptr;
}

int SignalGuard::Number() { return received_signal; }

TrainReporter::TrainReporter(Reporter& reporter, bool classification, const std::vector<PlannedModel>& models)
    : reporter_(reporter), classification_(classification), models_(models), heard_(models.size()) {
  for (const PlannedModel& model : models) name_width_ = std::max(name_width_, model.folder.size());
}

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
  heard_[r.model] = true;
  round_ = std::max(round_, r.epoch);
  const std::string& name = models_[r.model].folder;
  std::string text;
  if (models_.size() <= kFewModels) {
    text = absl::StrFormat("%-*s  epoch %3d  loss %.4f  valid loss %.4f  valid %s %s  lr %s  %s%s%s",
                           static_cast<int>(name_width_), name, r.epoch, r.train_loss, r.valid_loss,
                           classification_ ? "AUROC" : "r", Fixed(r.valid_metric, 4),
                           absl::StrFormat("%.3g", r.learning_rate), Duration(r.seconds), r.best ? "  best" : "",
                           r.stopped ? "  end" : "");
  }
  reporter_.Say("epoch", text,
                {{"experiment", r.experiment},
                 {"model", name},
                 {"epoch", r.epoch},
                 {"train_loss", r.train_loss},
                 {"valid_loss", r.valid_loss},
                 {classification_ ? "valid_auroc" : "valid_pearson", r.valid_metric},
                 {"learning_rate", r.learning_rate},
                 {"seconds", r.seconds},
                 {"best", r.best},
                 {"stopped", r.stopped}});
}

// Machines go on at their own paces: a round is over when every model in training has finished an epoch in it.
void TrainReporter::OnRound(std::span<const ModelStanding> standings) {
  using State = ModelStanding::State;
  if (models_.size() <= kFewModels) return;
  int live = 0, finished = 0, failed = 0;
  std::vector<std::pair<double, size_t>> best;  // metric, model
  for (size_t i = 0; i < standings.size(); ++i) {
    const ModelStanding& s = standings[i];
    if (s.state == State::kTraining && !heard_[i]) return;
    live += s.state == State::kTraining;
    failed += s.state == State::kFailed;
    finished += s.state == State::kStopped || s.state == State::kFailed;
    if (s.best_epoch > 0) best.push_back({s.best_metric, i});
  }
  std::sort(best.begin(), best.end());
  std::string metrics = "no usable validation metric yet";
  nlohmann::ordered_json fields = {
      {"epoch", round_}, {"live", live}, {"finished", finished}, {"failed", failed}, {"models", models_.size()}};
  if (!best.empty()) {
    const double low = best.front().first, high = best.back().first, median = best[best.size() / 2].first;
    const std::string& name = models_[best.back().second].folder;
    metrics = absl::StrCat("validation ", classification_ ? "AUROC " : "Pearson ", Fixed(low, 2), " to ",
                           Fixed(high, 2), " (median ", Fixed(median, 2), "), best ", name);
    fields.update({{"lowest", low}, {"median", median}, {"highest", high}, {"best", name}});
  }
  reporter_.Say("round",
                absl::StrCat("epoch ", round_, ": ", live, " of ", models_.size(), " live, ", metrics, ", ", finished,
                             " finished", failed > 0 ? absl::StrCat(", of these ", failed, " failed") : ""),
                fields);
  heard_.assign(heard_.size(), false);
  round_ = 0;
}

}  // namespace rb::apps
