// SHA-256, so that a run's record can name its inputs.
#ifndef RB_DATA_SHA256_H_
#define RB_DATA_SHA256_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace rb {

// 64 lower-case hexadecimal digits of the file's bytes (as stored: an archive is not unpacked). NotFound or Unavailable
// when the file cannot be read.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

// The same of bytes in memory.
std::string Sha256Hex(std::string_view bytes);

}  // namespace rb

#endif  // RB_DATA_SHA256_H_
