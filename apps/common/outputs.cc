#include "apps/common/outputs.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "apps/train/plan.h"
#include "engine/check.h"

namespace rb::apps {
namespace fs = std::filesystem;

std::string JoinPath(const std::string& folder, const std::string& name) { return (fs::path(folder) / name).string(); }

std::string ParentFolder(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

absl::Status RefuseExisting(const std::vector<std::string>& paths, bool overwrite, const std::string& hint) {
  std::error_code error;
  for (const std::string& path : paths) {
    const fs::file_status status = fs::status(path, error);
    if (status.type() == fs::file_type::directory) {
      return absl::FailedPreconditionError(absl::StrCat(path, ": is a folder; expected a name for a new file"));
    }
    if (!overwrite && fs::exists(status)) {
      return absl::AlreadyExistsError(absl::StrCat(path, ": exists already; expected a new place, ",
                                                   hint.empty() ? "or " : "", "--overwrite to replace it", hint));
    }
  }
  return absl::OkStatus();
}

absl::Status MakeFolder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder)) {
    return absl::FailedPreconditionError(absl::StrCat(folder, ": cannot be made a folder (",
                                                      error ? error.message() : "a file stands there",
                                                      "); expected a place that can be written"));
  }
  return absl::OkStatus();
}

absl::Status CheckWritable(const std::string& folder) {
  std::error_code error;
  fs::path at = fs::absolute(folder, error);
  while (!fs::exists(at, error) && at != at.root_path()) at = at.parent_path();
  if (!fs::is_directory(at, error)) {
    return absl::FailedPreconditionError(absl::StrCat(at.string(), ": is not a folder; expected one to write to"));
  }
  if (access(at.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(at.string(), ": cannot be written (", std::strerror(errno), "); expected a writable folder"));
}

namespace {

// The model in `folder`, and those of grids and replicates below it.
void AddModelsIn(const fs::path& folder, std::vector<fs::path>* models) {
  std::error_code error;
  if (fs::exists(folder / "model.safetensors", error)) models->push_back(folder / "model.safetensors");
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (IsPlannedFolder(entry.path().filename().string())) AddModelsIn(entry.path(), models);
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindModels(const std::vector<std::string>& arguments) {
  std::vector<std::string> found;
  std::set<std::string> seen;
  const auto add = [&](const fs::path& path) {
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(path, error);
    if (seen.insert(error ? path.string() : canonical.string()).second) found.push_back(path.string());
  };
  for (const std::string& argument : arguments) {
    std::error_code error;
    if (!fs::exists(argument, error)) {
      return absl::NotFoundError(
          absl::StrCat(argument, ": no such file or folder; expected model files or the folder that train wrote"));
    }
    if (!fs::is_directory(argument, error)) {
      add(argument);
      continue;
    }
    std::vector<fs::path> inside;
    if (fs::exists(fs::path(argument) / "model.safetensors", error)) {
      AddModelsIn(argument, &inside);
    } else {
      for (const auto& entry : fs::directory_iterator(argument, error)) AddModelsIn(entry.path(), &inside);
    }
    if (inside.empty()) {
      return absl::NotFoundError(absl::StrCat(
          argument, ": holds no models; expected model.safetensors, or folders with one each, as train writes them"));
    }
    std::sort(inside.begin(), inside.end());
    for (const fs::path& path : inside) add(path);
  }
  return found;
}

size_t MostStructured(const std::vector<LoadedModel>& models) {
  const auto most = std::max_element(models.begin(), models.end(), [](const LoadedModel& a, const LoadedModel& b) {
    return a.file.config.shape.structure < b.file.config.shape.structure;
  });
  return static_cast<size_t>(most - models.begin());
}

absl::StatusOr<std::vector<LoadedModel>> LoadModels(const std::vector<std::string>& arguments) {
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> paths, FindModels(arguments));
  std::vector<LoadedModel> models;
  for (const std::string& path : paths) {
    RB_ASSIGN_OR_RETURN(ModelFile file, ReadModel(path));
    models.push_back({path, std::move(file)});
    const ModelFile &own = models.back().file, &first = models.front().file;
    if (own.config.shape.length != first.config.shape.length) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": takes ", own.config.shape.length, " positions where ",
                                                     models.front().path, " takes ", first.config.shape.length,
                                                     "; expected models of one length"));
    }
    const ModelFile& structured = models[MostStructured(models)].file;
    if (own.config.shape.structure > 0 && own.structure_source != structured.structure_source) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": takes structure from ", own.structure_source, " where ", models[MostStructured(models)].path,
          " takes it from ", structured.structure_source, "; expected models with structure of one source"));
    }
  }
  return models;
}

absl::StatusOr<LoadedModel> LoadModel(const std::string& argument) {
  RB_ASSIGN_OR_RETURN(std::vector<LoadedModel> models, LoadModels({argument}));
  if (models.size() == 1) return std::move(models[0]);
  return absl::InvalidArgumentError(
      absl::StrCat(argument, ": holds ", models.size(), " models; expected one, for example ", models[0].path));
}

}  // namespace rb::apps
