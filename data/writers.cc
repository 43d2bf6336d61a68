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
#include <fstream>
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

// Where writing to a path leads.
struct Destination {
  std::string path;       // behind all links: they keep leading there
  int descriptor = -1;    // of this process, where the path is a name of one (/dev/stdout)
  bool straight = false;  // no file that another could take the place of
};

// The N of /proc/self/fd/N, however the path says it, else -1.
int OwnDescriptor(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  int number = -1;
  const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (wrong != std::errc() || end != name.data() + name.size()) return -1;
  std::error_code error, own_error;
  const std::filesystem::path folder = std::filesystem::canonical(path.parent_path(), error);
  const std::filesystem::path own = std::filesystem::canonical("/proc/self/fd", own_error);
  return !error && !own_error && folder == own ? number : -1;
}

absl::StatusOr<Destination> Resolve(const std::string& path) {
  constexpr int kMostLinks = 40;  // as Linux has it
  std::filesystem::path at(path);
  for (int links = 0; links <= kMostLinks; ++links) {
    // Opened anew, a redirected stdout would be written from its beginning.
    if (const int descriptor = OwnDescriptor(at); descriptor >= 0) return Destination{at.string(), descriptor, true};
    std::error_code no_link;
    const std::filesystem::path target = std::filesystem::read_symlink(at, no_link);
    if (no_link) {
      struct stat info {};
      const bool straight = ::stat(at.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
      return Destination{at.string(), -1, straight};
    }
    at = at.parent_path() / target;
  }
  return WriteError(path, "following its links", ELOOP);
}

// A file that appears under its name only when Commit succeeds, or a device, pipe or open descriptor, which is written
// as the bytes come.
class OutputFile {
 public:
  static absl::StatusOr<OutputFile> Create(const std::string& path) {
    const auto to = Resolve(path);
    if (!to.ok()) return to.status();
    if (!to->straight) return Replace(to->path);
    const int fd = to->descriptor >= 0 ? ::fcntl(to->descriptor, F_DUPFD_CLOEXEC, 0)
                                       : ::open(to->path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return WriteError(path, "opening", errno);
    return OutputFile(path, "", fd);
  }
  // Whatever stands at `path`, a link too, makes room.
  static absl::StatusOr<OutputFile> Replace(const std::string& path) {
    int fd = -1;
    auto temporary = CreateTemporary(path, &fd);
    if (!temporary.ok()) return temporary.status();
    return OutputFile(path, *std::move(temporary), fd);
  }
  OutputFile(OutputFile&& other) noexcept
      : path_(std::move(other.path_)),
        temporary_(std::exchange(other.temporary_, "")),
        fd_(std::exchange(other.fd_, -1)) {}
  ~OutputFile() {
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

  const std::string& temporary() const { return temporary_; }

  // A stream into the same place, for the caller to close before Finish.
  absl::StatusOr<std::FILE*> Stream() {
    const int fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    std::FILE* const stream = fd < 0 ? nullptr : ::fdopen(fd, "wb");
    if (stream != nullptr) return stream;
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return WriteError(path_, "opening", error);
  }

  // Everything on disk, still under the temporary name.
  absl::Status Finish() {
    if (!temporary_.empty() && ::fsync(fd_) != 0) return WriteError(path_, "fsync", errno);
    if (::close(std::exchange(fd_, -1)) != 0) return WriteError(path_, "closing", errno);
    return absl::OkStatus();
  }
  // After Finish: takes the final name.
  absl::Status Commit() {
    if (temporary_.empty()) return absl::OkStatus();
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return WriteError(path_, "renaming", errno);
    temporary_.clear();
    return SyncPath(FolderOf(path_), O_RDONLY | O_DIRECTORY);
  }

 private:
  OutputFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  std::string path_, temporary_;  // temporary_ is empty where nothing is renamed
  int fd_;
};

absl::Status WriteSequenceRows(const Dataset& dataset, OutputFile* file) {
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

absl::Status WriteTargetRows(const Dataset& dataset, OutputFile* file) {
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
  auto file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  absl::Status status = file->Append(content);
  if (status.ok()) status = file->Finish();
  if (status.ok()) status = file->Commit();
  return status;
}

absl::Status WriteFileKeepingLast(const std::string& path, std::string_view content, const std::string& previous) {
  auto file = OutputFile::Replace(path);
  if (!file.ok()) return file.status();
  absl::Status status = file->Append(content);
  if (status.ok()) status = file->Finish();
  if (!status.ok()) return status;
  // The new one is complete on disk before the old one is touched.
  if (::rename(path.c_str(), previous.c_str()) != 0 && errno != ENOENT) return WriteError(path, "renaming", errno);
  return file->Commit();
}

absl::Status WritePieces(const std::string& path, int64_t pieces, const std::function<std::string(int64_t)>& piece) {
  auto file = OutputFile::Create(path);
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

absl::Status WriteStream(const std::string& path, const std::function<absl::Status(std::FILE*)>& write) {
  auto file = OutputFile::Create(path);
  if (!file.ok()) return file.status();
  const auto stream = file->Stream();
  if (!stream.ok()) return stream.status();
  absl::Status status = write(*stream);
  if (std::fclose(*stream) != 0 && status.ok()) status = WriteError(path, "writing", errno);
  if (status.ok()) status = file->Finish();
  return status.ok() ? file->Commit() : status;
}

namespace {

// write(name) of a new file in the folder for temporary ones, then its bytes to where no such file can be.
absl::Status WriteThenCopy(const std::string& path, const std::function<absl::Status(const std::string&)>& write) {
  auto file = OutputFile::Create(path);  // first, so that no file of ours gets the number of a closed descriptor
  if (!file.ok()) return file.status();
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) return WriteError(path, "finding a folder for temporary files", error.value());
  const auto made = OutputFile::Replace((folder / "residualbind").string());
  if (!made.ok()) return made.status();
  if (absl::Status status = write(made->temporary()); !status.ok()) return status;
  std::ifstream in(made->temporary(), std::ios::binary);
  if (!in) return WriteError(made->temporary(), "reading back", errno);
  std::string block(kFlushBytes, '\0');
  absl::Status status;
  while (status.ok() && (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0)) {
    status = file->Append({block.data(), static_cast<size_t>(in.gcount())});
  }
  if (status.ok() && in.bad()) status = WriteError(made->temporary(), "reading back", errno);
  return status.ok() ? file->Finish() : status;
}

}  // namespace

absl::Status WriteAtomically(const std::string& path, const std::function<absl::Status(const std::string&)>& write) {
  const auto to = Resolve(path);
  if (!to.ok()) return to.status();
  if (to->straight) return WriteThenCopy(path, write);
  auto file = OutputFile::Replace(to->path);
  if (!file.ok()) return file.status();
  absl::Status status = write(file->temporary());
  if (status.ok()) status = SyncPath(file->temporary(), O_RDONLY);
  return status.ok() ? file->Commit() : status;
}

absl::Status WriteTables(const Dataset& dataset, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return WriteError(folder, "creating the folder", error.value());
  const std::filesystem::path base(folder);
  auto sequences = OutputFile::Create((base / "sequences.tsv").string());
  if (!sequences.ok()) return sequences.status();
  auto targets = OutputFile::Create((base / "targets.tsv").string());
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
