#include "apps/train/events.h"

#include <chrono>
#include <filesystem>
#include <system_error>

#include "apps/common/outputs.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

double SecondsNow() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string EventsPath(const std::string& output, const std::string& folder) {
  return JoinPath(JoinPath(output, folder), "events.out.tfevents.residualbind");
}

EventReporter::EventReporter(Reporter& reporter, const TrainOptions& options, bool on)
    : TrainReporter(reporter, options.models.at(0).config.shape.classification, options.models),
      options_(options),
      on_(on),
      begun_(options.models.size()) {
  for (const PlannedModel& model : options.models) files_.emplace_back(EventsPath(options.output, model.folder));
}

void EventReporter::OnEpoch(const EpochReport& report) {
  TrainReporter::OnEpoch(report);
  if (status_.ok()) status_ = Write(report);
}

void EventReporter::OnResumed(std::span<const EpochReport> history) {
  if (!on_ || history.empty() || !status_.ok()) return;
  const auto model = static_cast<size_t>(history[0].model);
  status_ = files_[model].Begin(static_cast<int>(history.size()), SecondsNow());
  begun_[model] = true;
  for (size_t i = static_cast<size_t>(files_[model].steps()); i < history.size() && status_.ok(); ++i) {
    status_ = Write(history[i]);
  }
}

absl::Status EventReporter::Write(const EpochReport& r) {
  const auto model = static_cast<size_t>(r.model);
  EventFile& file = files_[model];
  if (!begun_[model]) {
    begun_[model] = true;
    if (on_) RB_RETURN_IF_ERROR(file.Begin(r.epoch - 1, SecondsNow()));
    std::error_code error;
    if (!on_ && r.epoch == 1)
      std::filesystem::remove(EventsPath(options_.output, options_.models[model].folder), error);
  }
  if (!on_) return absl::OkStatus();
  const bool classification = options_.models[model].config.shape.classification;
  return file.Append(SecondsNow(), {{"train_loss", r.train_loss},
                                    {"valid_loss", r.valid_loss},
                                    {classification ? "valid_auroc" : "valid_pearson", r.valid_metric},
                                    {"learning_rate", r.learning_rate}});
}

}  // namespace rb::apps
