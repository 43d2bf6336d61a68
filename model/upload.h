// Vectors to a machine.
#ifndef RB_MODEL_UPLOAD_H_
#define RB_MODEL_UPLOAD_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/check.h"
#include "engine/machine.h"

namespace rb {

template <class T>
absl::Status UploadAll(Machine& machine, T* to, const std::vector<T>& values) {
  return values.empty() ? absl::OkStatus() : machine.Upload(to, values.data(), values.size() * sizeof(T));
}

// Null for an empty vector.
template <class T>
absl::StatusOr<T*> UploadNew(Machine& machine, Arena& arena, const std::vector<T>& values, const char* purpose) {
  if (values.empty()) return nullptr;
  RB_ASSIGN_OR_RETURN(T* const to, arena.Allocate<T>(static_cast<int64_t>(values.size()), purpose));
  RB_RETURN_IF_ERROR(UploadAll(machine, to, values));
  return to;
}

}  // namespace rb

#endif  // RB_MODEL_UPLOAD_H_
