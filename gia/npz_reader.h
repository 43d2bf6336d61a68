// Arrays read back from the archives that WriteNpz (gia/npz_writer.h) writes.
#ifndef RB_GIA_NPZ_READER_H_
#define RB_GIA_NPZ_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace rb {

struct LoadedArray {
  std::vector<int64_t> shape;      // row-major
  std::vector<float> floats;       // of '<f4'
  std::vector<std::string> texts;  // of '<U..', as UTF-8
};

// One array by its name. NotFound: no such file, or no such array in it. InvalidArgument, with what is wrong: no
// archive, a damaged one (checksums are compared), an array that is neither '<f4' nor '<U..' in row-major order.
// ResourceExhausted: archives of 4 GiB and more, arrays of more than 1 GiB.
absl::StatusOr<LoadedArray> ReadNpzArray(const std::string& path, const std::string& name);

}  // namespace rb

#endif  // RB_GIA_NPZ_READER_H_
