// HDF5 files made in memory, and what their writers share.
//
// HDF5 cannot give up a file whose disk is full: closing fails, the file stays open, and the library tries again and
// crashes when the process ends. So files are made by its core driver and their bytes are written by WriteFile. No
// object keeps times, so that equal content makes equal bytes.
#ifndef RB_DATA_HDF5_IMAGE_H_
#define RB_DATA_HDF5_IMAGE_H_

#include <hdf5.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/hdf5_file.h"

namespace rb {

// What to say when HDF5 cannot write into memory.
absl::Status Hdf5WriteFailed(const std::string& what);

// A new file; `name` is never opened. Not ok() when HDF5 fails.
Hdf5Handle NewHdf5Image(const std::string& name);
// Its bytes, flushed; valid while the file is open and nothing is written.
absl::StatusOr<std::string_view> Hdf5ImageBytes(hid_t file);

// Creation properties of a dataset without times.
Hdf5Handle Hdf5DatasetProperties();

// Strings as NumPy stores them: of one width, filled up with zero bytes.
struct Hdf5FixedStrings {
  explicit Hdf5FixedStrings(const std::vector<std::string>& strings);
  Hdf5Handle type;
  std::string bytes;
};

}  // namespace rb

#endif  // RB_DATA_HDF5_IMAGE_H_
