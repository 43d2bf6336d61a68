// NumPy's array files: .npy (format 1.0) and .npz, a zip archive of them, as numpy.load and tfmodisco-lite read them.
#ifndef RB_GIA_NPZ_WRITER_H_
#define RB_GIA_NPZ_WRITER_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"

namespace rb {

// One array, row-major; the values stay the caller's. tfmodisco-lite wants one-hot letters and attributions as
// (N, 4, L) float32.
struct NamedArray {
  std::string name;            // in the archive: letters, digits, '_', '-' and '.'; numpy.load(..)[name]
  std::vector<int64_t> shape;  // () is a scalar
  // float32 '<f4', int64 '<i8', or UTF-8 text as NumPy's UCS-4 '<U..', without zero bytes.
  std::variant<std::span<const float>, std::span<const int64_t>, std::span<const std::string>> values;
};

// Text that an array can hold: UTF-8 without zero bytes.
bool IsArrayText(std::string_view text);

struct NpzOptions {
  bool deflate = true;  // numpy.savez_compressed, or else numpy.savez
  // Sizes and places from here on are written in zip64's fields. For tests: smaller makes small files use them.
  uint64_t zip64_from = 0xFFFFFFFF;
};

// Atomically (data/writers.h), array by array: memory does not grow with the arrays. The bytes depend on the arrays
// alone (the archive's times are 1980-01-01). InvalidArgument: no arrays, a name that is empty, has other characters or
// comes twice, a shape that does not fit the number of values, text that is not UTF-8. Otherwise the code follows
// errno.
absl::Status WriteNpz(const std::string& path, std::span<const NamedArray> arrays, const NpzOptions& options = {});

// One array as a .npy file; its name is not written. Errors: as above.
absl::Status WriteNpy(const std::string& path, const NamedArray& array);

}  // namespace rb

#endif  // RB_GIA_NPZ_WRITER_H_
