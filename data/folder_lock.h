// A folder that one process at a time may write to.
#ifndef RB_DATA_FOLDER_LOCK_H_
#define RB_DATA_FOLDER_LOCK_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rb {

// Holds <folder>/.lock, which names the process and the host, until it goes. The kernel's own file lock (flock) is what
// counts: it ends with the process, however that ends, and a file left behind locks nobody out.
class FolderLock {
 public:
  // FailedPrecondition naming the holder's process and host when the folder is held; other codes follow errno.
  static absl::StatusOr<FolderLock> Take(const std::string& folder);

  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();  // removes the file

  // Why another process would not be kept out, for the log (the file system has no locks); else empty.
  const std::string& note() const { return note_; }

 private:
  FolderLock(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_, note_;
  int fd_;
};

}  // namespace rb

#endif  // RB_DATA_FOLDER_LOCK_H_
