// SHA-256, so that a run's record can name its inputs.
#ifndef RB_DATA_SHA256_H_
#define RB_DATA_SHA256_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rb {

// Of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Add(std::string_view bytes);
  // The bits of n values.
  template <class T>
  void Add(const T* values, size_t n) {
    Add(std::string_view(reinterpret_cast<const char*>(values), n * sizeof(T)));
  }
  std::string Hex();  // 64 lower-case hexadecimal digits; once

 private:
  void* context_;
};

// 64 lower-case hexadecimal digits of the file's bytes (as stored: an archive is not unpacked). NotFound or Unavailable
// when the file cannot be read.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

// The same of bytes in memory.
std::string Sha256Hex(std::string_view bytes);
// Of the bits of values.
template <class T>
std::string Sha256OfValues(const std::vector<T>& values) {
  return Sha256Hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

}  // namespace rb

#endif  // RB_DATA_SHA256_H_
