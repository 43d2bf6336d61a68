// Atomic files and text tables.
#include "data/writers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "data/sequence_letters.h"
#include "data/text.h"

namespace rb {
namespace {

constexpr size_t kFlushBytes = size_t{1} << 20;

absl::Status WriteError(std::string_view path, std::string_view what, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error), Concat(path, ": ", what, " failed (", std::strerror(error),
                                                             "); expected a writable place with room"));
}

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// fsync of a file or folder by name, so that what was renamed survives a power cut.
absl::Status SyncPath(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return WriteError(path, "opening", errno);
  const int code = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some file systems cannot fsync a folder and say EINVAL; nothing more can be done there.
  if (code != 0 && !(error == EINVAL && (flags & O_DIRECTORY) != 0)) return WriteError(path, "fsync", error);
  return absl::OkStatus();
}

// Creates an empty file of a new name beside `path`, with the permissions that `path` would get.
absl::StatusOr<std::string> CreateTemporary(const std::string& path, int* fd) {
  const std::filesystem::path target(path);
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::string name = Concat(".", target.filename().string(), ".", absl::Hex(random()), ".tmp");
    const std::string temporary = (target.parent_path() / name).string();
    *fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (*fd >= 0) return temporary;
    if (errno != EEXIST) return WriteError(path, "creating a temporary file beside it", errno);
  }
  return WriteError(path, "creating a temporary file beside it", EEXIST);
}

// A file that appears under its name only when Commit succeeds.
class AtomicFile {
 public:
  static absl::StatusOr<AtomicFile> Create(const std::string& path) {
    int fd = -1;
    auto temporary = CreateTemporary(path, &fd);
    if (!temporary.ok()) return temporary.status();
    return AtomicFile(path, *std::move(temporary), fd);
  }
  AtomicFile(AtomicFile&& other) noexcept
      : path_(std::move(other.path_)),
        temporary_(std::exchange(other.temporary_, "")),
        fd_(std::exchange(other.fd_, -1)) {}
  ~AtomicFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  absl::Status Append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return WriteError(path_, "writing", errno);
      bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return absl::OkStatus();
  }

  // Everything on disk, still under the temporary name.
  absl::Status Finish() {
    if (::fsync(fd_) != 0) return WriteError(path_, "fsync", errno);
    if (::close(std::exchange(fd_, -1)) != 0) return WriteError(path_, "closing", errno);
    return absl::OkStatus();
  }
  // After Finish: takes the final name.
  absl::Status Commit() {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return WriteError(path_, "renaming", errno);
    temporary_.clear();
    return SyncPath(FolderOf(path_), O_RDONLY | O_DIRECTORY);
  }

 private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  std::string path_, temporary_;
  int fd_;
};

// A device or pipe cannot be renamed over; it is written straight away.
absl::Status WriteStraight(const std::string& path, std::string_view content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return WriteError(path, "opening", errno);
  absl::Status status;
  while (!content.empty() && status.ok()) {
    const ssize_t wrote = ::write(fd, content.data(), content.size());
    if (wrote >= 0) {
      content.remove_prefix(static_cast<size_t>(wrote));
    } else if (errno != EINTR) {
      status = WriteError(path, "writing", errno);
    }
  }
  if (::close(fd) != 0 && status.ok()) status = WriteError(path, "closing", errno);
  return status;
}

absl::Status WriteSequenceRows(const Dataset& dataset, AtomicFile* file) {
  const Sequences& sequences = dataset.sequences;
  const bool ids = !sequences.ids.empty();
  std::string text = ids ? "Fold ID\tseq\tid\n" : "Fold ID\tseq\n";
  for (int64_t i = 0; i < sequences.size(); ++i) {
    const bool test = dataset.parts.empty() ? dataset.folds[i] == Fold::kB : dataset.parts[i] == Part::kTest;
    text += test ? "B\t" : "A\t";
    text += LettersOf(sequences, i);
    if (ids) Append(&text, "\t", sequences.ids[i]);
    text += '\n';
    if (text.size() < kFlushBytes) continue;
    if (absl::Status status = file->Append(text); !status.ok()) return status;
    text.clear();
  }
  return file->Append(text);
}

// The shortest text that reads back as the same float; a missing value is empty, or NA where it would be a whole line.
void AppendScore(float value, bool alone, std::string* text) {
  if (std::isnan(value)) {
    if (alone) *text += "NA";
    return;
  }
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  text->append(digits, end);
}

absl::Status WriteTargetRows(const Dataset& dataset, AtomicFile* file) {
  const int64_t experiments = static_cast<int64_t>(dataset.experiments.size());
  std::string text;
  for (int64_t e = 0; e < experiments; ++e) Append(&text, e ? "\t" : "", dataset.experiments[e]);
  text += '\n';
  for (int64_t i = 0; i < dataset.num_probes(); ++i) {
    for (int64_t e = 0; e < experiments; ++e) {
      if (e > 0) text += '\t';
      AppendScore(dataset.target(e)[i], experiments == 1, &text);
    }
    text += '\n';
    if (text.size() < kFlushBytes) continue;
    if (absl::Status status = file->Append(text); !status.ok()) return status;
    text.clear();
  }
  return file->Append(text);
}

}  // namespace

absl::Status WriteFile(const std::string& path, std::string_view content) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
    return WriteStraight(path, content);
  }
  auto file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  absl::Status status = file->Append(content);
  if (status.ok()) status = file->Finish();
  if (status.ok()) status = file->Commit();
  return status;
}

absl::Status WriteFileKeepingLast(const std::string& path, std::string_view content, const std::string& previous) {
  auto file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  absl::Status status = file->Append(content);
  if (status.ok()) status = file->Finish();
  if (!status.ok()) return status;
  // The new one is complete on disk before the old one is touched.
  if (::rename(path.c_str(), previous.c_str()) != 0 && errno != ENOENT) return WriteError(path, "renaming", errno);
  return file->Commit();
}

absl::Status WritePieces(const std::string& path, int64_t pieces, const std::function<std::string(int64_t)>& piece) {
  auto file = AtomicFile::Create(path);
  if (!file.ok()) return file.status();
  absl::Status status;
  std::string text;
  for (int64_t i = 0; i < pieces && status.ok(); ++i) {
    text += piece(i);
    if (text.size() < kFlushBytes) continue;
    status = file->Append(text);
    text.clear();
  }
  if (status.ok()) status = file->Append(text);
  if (status.ok()) status = file->Finish();
  return status.ok() ? file->Commit() : status;
}

absl::Status WriteAtomically(const std::string& path, const std::function<absl::Status(const std::string&)>& write) {
  int fd = -1;
  const auto temporary = CreateTemporary(path, &fd);
  if (!temporary.ok()) return temporary.status();
  ::close(fd);
  absl::Status status = write(*temporary);
  if (status.ok()) status = SyncPath(*temporary, O_RDONLY);
  if (status.ok() && ::rename(temporary->c_str(), path.c_str()) != 0) status = WriteError(path, "renaming", errno);
  if (!status.ok()) {
    ::unlink(temporary->c_str());
    return status;
  }
  return SyncPath(FolderOf(path), O_RDONLY | O_DIRECTORY);
}

absl::Status WriteTables(const Dataset& dataset, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return WriteError(folder, "creating the folder", error.value());
  const std::filesystem::path base(folder);
  auto sequences = AtomicFile::Create((base / "sequences.tsv").string());
  if (!sequences.ok()) return sequences.status();
  auto targets = AtomicFile::Create((base / "targets.tsv").string());
  if (!targets.ok()) return targets.status();
  absl::Status status = WriteSequenceRows(dataset, &*sequences);
  if (status.ok()) status = sequences->Finish();
  if (status.ok()) status = WriteTargetRows(dataset, &*targets);
  if (status.ok()) status = targets->Finish();
  // Both are complete on disk before either takes its name.
  if (status.ok()) status = sequences->Commit();
  if (status.ok()) status = targets->Commit();
  return status;
}

}  // namespace rb
