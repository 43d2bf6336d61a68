#include "model/run_files.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/exact_text.h"

namespace rb {
namespace {

std::string PathOf(const std::string& output, const std::string& experiment, const char* file) {
  return (std::filesystem::path(output) / experiment / file).string();
}

absl::Status MakeFolder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(folder.string(), ": the folder cannot be created (", error.message(),
                                             "); expected a writable place"));
}

}  // namespace

std::string ModelPath(const std::string& output, const std::string& experiment) {
  return PathOf(output, experiment, "model.safetensors");
}

std::string HistoryPath(const std::string& output, const std::string& experiment) {
  return PathOf(output, experiment, "history.tsv");
}

bool FileExists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

absl::Status MakeRunFolders(const std::string& output, const std::vector<std::string>& experiments) {
  RB_RETURN_IF_ERROR(MakeFolder(output));
  for (const std::string& name : experiments) RB_RETURN_IF_ERROR(MakeFolder(std::filesystem::path(output) / name));
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

}  // namespace rb
