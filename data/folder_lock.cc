#include "data/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "data/text.h"

namespace rb {
namespace {

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 && name[0] != 0 ? name : "an unknown host";
}

// What the holder wrote, on one line.
std::string OwnerText(int fd) {
  char text[300] = {};
  const ssize_t size = ::pread(fd, text, sizeof(text) - 1, 0);
  std::string owner(text, size > 0 ? static_cast<size_t>(size) : 0);
  owner = owner.substr(0, owner.find('\n'));
  return owner.empty() ? "another process" : owner;
}

absl::Status LockError(const std::string& path, const char* what) {
  const int error = errno;
  return absl::Status(absl::ErrnoToStatusCode(error),
                      Concat(path, ": ", what, " failed (", std::strerror(error), "); expected a writable folder"));
}

// Whether `path` is still the file behind `fd`: the last holder may have removed it in between.
bool StillThere(int fd, const std::string& path) {
  struct stat ours {
  }, named{};
  return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
         ours.st_dev == named.st_dev;
}

}  // namespace

absl::StatusOr<FolderLock> FolderLock::Take(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / ".lock").string();
  while (true) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return LockError(path, "opening the lock");
    FolderLock lock(path, fd);
    int code = 0;
    while ((code = ::flock(fd, LOCK_EX | LOCK_NB)) != 0 && errno == EINTR) {
    }
    if (code != 0 && errno == EWOULDBLOCK) {
      const std::string owner = OwnerText(fd);
      lock.path_.clear();  // is not ours to remove
      return absl::FailedPreconditionError(
          Concat(folder, ": in use by ", owner, "; expected its end, or another output folder"));
    }
    if (code != 0) {
      lock.note_ = Concat(path, ": this file system has no locks (", std::strerror(errno),
                          "); another process that writes here would go unnoticed");
    } else if (!StillThere(fd, path)) {
      lock.path_.clear();
      continue;
    }
    const std::string owner = Concat("process ", std::to_string(::getpid()), " on ", HostName(), "\n");
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, owner.data(), owner.size(), 0) < 0) return LockError(path, "writing");
    return lock;
  }
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : path_(std::exchange(other.path_, "")), note_(std::move(other.note_)), fd_(std::exchange(other.fd_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(note_, other.note_);
  std::swap(fd_, other.fd_);
  return *this;
}

FolderLock::~FolderLock() {
  // Removed while it is held: who opens it later finds another file or none (StillThere).
  if (!path_.empty()) ::unlink(path_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace rb
