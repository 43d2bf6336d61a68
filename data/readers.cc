// Tells what kind of data set a path holds.
#include "data/readers.h"

#include <filesystem>
#include <system_error>

#include "data/hdf5_file.h"
#include "data/line_tables_reader.h"
#include "data/text.h"

namespace rb {
namespace {

// The one of NAME.tsv, NAME.tsv.gz and NAME.tsv.xz that `folder` holds. NotFound when there is none, InvalidArgument
// when there are several (which one counts must not depend on an order of preference nobody sees).
absl::StatusOr<std::string> FindTable(const std::string& folder, std::string_view name) {
  std::string found;
  for (const std::string_view ending : {".tsv", ".tsv.gz", ".tsv.xz"}) {
    const std::string path = (std::filesystem::path(folder) / Concat(name, ending)).string();
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    if (!found.empty()) {
      return absl::InvalidArgumentError(Concat(folder, ": found both ", found, " and ", path, "; expected one"));
    }
    found = path;
  }
  if (found.empty()) {
    return absl::NotFoundError(Concat(folder, ": found no ", name, ".tsv; expected ", name,
                                      ".tsv, plain or compressed as .tsv.gz or .tsv.xz"));
  }
  return found;
}

}  // namespace

absl::StatusOr<Dataset> ReadDataset(const std::string& path, const ReadOptions& options, Parallel& parallel) {
  std::error_code error;
  if (path != "-" && std::filesystem::is_directory(path, error)) {
    const auto sequences = FindTable(path, "sequences");
    if (!sequences.ok()) return sequences.status();
    const auto targets = FindTable(path, "targets");
    if (!targets.ok()) return targets.status();
    return ReadTables(*sequences, *targets, options, parallel);
  }
  if (path != "-" && LooksLikeHdf5(path)) return ReadHdf5(path, options);
  return ReadLineTable(path, options);
}

}  // namespace rb
