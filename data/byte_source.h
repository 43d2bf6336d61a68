// Bytes of a file or of standard input, decompressed on the fly. gzip and xz are told by their first bytes, never by
// the file's name. Memory: one 256 KiB input buffer and the decoder's window (xz: the archive's dictionary, at most 512
// MiB).
#ifndef RB_DATA_BYTE_SOURCE_H_
#define RB_DATA_BYTE_SOURCE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace rb {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Reads 1..n bytes into `out`; 0 at the end. Errors say what is wrong but not where (the caller knows file and line):
  // InvalidArgument for a damaged or truncated archive.
  virtual absl::StatusOr<size_t> Read(char* out, size_t n) = 0;
};

// `path` or standard input for "-". NotFound when there is no such file; InvalidArgument for a folder or for an archive
// format that is not read.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenBytes(const std::string& path);

// "stdin" for "-", otherwise the path.
std::string DisplayName(const std::string& path);

}  // namespace rb

#endif  // RB_DATA_BYTE_SOURCE_H_
