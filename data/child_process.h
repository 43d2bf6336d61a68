// Work that may crash, done in a copy of this process.
#ifndef RB_DATA_CHILD_PROCESS_H_
#define RB_DATA_CHILD_PROCESS_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace rb {

// What make() returns, made in a child process: whatever happens there, this process goes on. DataLoss when the child
// ends without having said all of it: by a signal, a sanitizer's error, after a minute, or with more than `most` bytes;
// ResourceExhausted when there is no further process. In the child the calling thread is the only one: make() must not
// need a lock that another thread may hold, nor write to a file.
absl::StatusOr<std::string> MadeInChild(size_t most, const std::function<std::string()>& make);

}  // namespace rb

#endif  // RB_DATA_CHILD_PROCESS_H_
