// Rules for outputs: what exists is not replaced unasked, and folders are made when needed.
#ifndef RB_APPS_COMMON_OUTPUTS_H_
#define RB_APPS_COMMON_OUTPUTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/model_file.h"

namespace rb::apps {

std::string JoinPath(const std::string& folder, const std::string& name);
std::string ParentFolder(const std::string& path);  // "." when the path names none

// Fails with the first of `paths` that exists, unless `overwrite`. `hint` follows the message: what else could be done.
absl::Status RefuseExisting(const std::vector<std::string>& paths, bool overwrite, const std::string& hint = "");

// Makes a folder and those above it; fails when something else stands in its place or it cannot be written.
absl::Status MakeFolder(const std::string& folder);

// Whether MakeFolder and files in it would succeed as far as permissions tell; makes nothing. For commands that work
// long before they write.
absl::Status CheckWritable(const std::string& folder);

// The model files behind --models: a file, a folder with model.safetensors, or a folder of such folders (sorted by
// name), those of replicates and grids (apps/train/plan.h) below them included.
absl::StatusOr<std::vector<std::string>> FindModels(const std::vector<std::string>& arguments);

struct LoadedModel {
  std::string path;
  ModelFile file;
};
// The first of those that take most structure tracks: sequences with its tracks serve all (TracksServe).
size_t MostStructured(const std::vector<LoadedModel>& models);
// Reads them; all must take inputs of one length, and those that take structure must take it from one source.
absl::StatusOr<std::vector<LoadedModel>> LoadModels(const std::vector<std::string>& arguments);
// The one behind --model.
absl::StatusOr<LoadedModel> LoadModel(const std::string& argument);

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_OUTPUTS_H_
