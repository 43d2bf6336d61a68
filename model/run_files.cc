#include "model/run_files.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/checkpoint.h"
#include "model/exact_text.h"

namespace rb {
namespace {

std::string PathOf(const std::string& output, const std::string& folder, const char* file) {
  return (std::filesystem::path(output) / folder / file).string();
}

}  // namespace

std::string ModelPath(const std::string& output, const std::string& folder) {
  return PathOf(output, folder, "model.safetensors");
}

std::string HistoryPath(const std::string& output, const std::string& folder) {
  return PathOf(output, folder, "history.tsv");
}

std::string ProgressPath(const std::string& output) {
  return (std::filesystem::path(output) / "progress.tsv").string();
}

std::string MetricsPath(const std::string& output) { return (std::filesystem::path(output) / "metrics.tsv").string(); }

std::string RecordPath(const std::string& output) { return (std::filesystem::path(output) / "run.json").string(); }

bool FileExists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

absl::Status MakeRunFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(folder, ": the folder cannot be created (", error.message(), "); expected a writable place"));
}

absl::Status RemoveRun(const std::string& home, const std::string& output, const std::vector<PlannedModel>& models) {
  std::vector<std::string> paths = {ProgressPath(home), MetricsPath(home), RecordPath(home)};
  for (const PlannedModel& model : models) {
    for (const auto path_of : {ModelPath, HistoryPath, CheckpointPath, PreviousCheckpointPath}) {
      paths.push_back(path_of(output, model.folder));
    }
  }
  for (const std::string& path : paths) {
    std::error_code error;
    std::filesystem::remove(path, error);  // no error where there is none
    if (error && error != std::errc::not_a_directory) {
      return absl::UnavailableError(
          absl::StrCat(path, ": cannot be removed (", error.message(), "); expected a writable folder"));
    }
  }
  return absl::OkStatus();
}

absl::Status WriteHistory(const std::vector<EpochReport>& history, bool classification, const std::string& path) {
  std::string text = absl::StrCat("epoch\tlearning_rate\ttrain_loss\tvalid_loss\t",
                                  classification ? "valid_auroc" : "valid_pearson", "\tbest\n");
  for (const EpochReport& r : history) {
    absl::StrAppend(&text, r.epoch, "\t", ExactText(r.learning_rate), "\t", ExactText(r.train_loss), "\t",
                    ExactText(r.valid_loss), "\t", ExactText(r.valid_metric), "\t", r.best ? 1 : 0, "\n");
  }
  return WriteFile(path, text);
}

absl::Status WriteProgress(const std::vector<PlannedModel>& models, const std::vector<ModelStanding>& standings,
                           const std::string& path) {
  RB_CHECK(models.size() == standings.size());
  constexpr const char* kStates[] = {"waiting", "training", "stopped", "failed"};
  std::string text = "name\tstate\tepoch\tbest_metric\tbest_epoch\n";
  for (size_t i = 0; i < models.size(); ++i) {
    const ModelStanding& s = standings[i];
    absl::StrAppend(&text, models[i].folder, "\t", kStates[static_cast<int>(s.state)], "\t", s.epoch, "\t",
                    s.best_epoch > 0 ? ExactText(s.best_metric) : "", "\t",
                    s.best_epoch > 0 ? absl::StrCat(s.best_epoch) : "", "\n");
  }
  return WriteFile(path, text);
}

}  // namespace rb
