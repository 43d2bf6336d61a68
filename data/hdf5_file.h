// Thin ownership over the HDF5 C API: handles that close themselves, errors as Status instead of a stack on stderr.
#ifndef RB_DATA_HDF5_FILE_H_
#define RB_DATA_HDF5_FILE_H_

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rb {

// The dataset that says where structure tracks come from (Sequences::structure_source).
inline constexpr char kStructureSource[] = "structure_source";

// The dataset of DatasetChecksums: files by WriteHdf5 have it.
inline constexpr char kChecksums[] = "checksums";

// The most strings of one list, and so the most experiments of a file.
inline constexpr hsize_t kMaxHdf5Strings = 65536;

// Keeps HDF5 from printing its error stack while it lives.
class Hdf5Quiet {
 public:
  Hdf5Quiet();
  ~Hdf5Quiet();
  Hdf5Quiet(const Hdf5Quiet&) = delete;
  Hdf5Quiet& operator=(const Hdf5Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// One HDF5 identifier and the function that closes it.
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() {
    if (ok()) close_(id_);
  }
  bool ok() const { return id_ >= 0; }
  hid_t id() const { return id_; }
  // Closes now and tells whether that worked (writing may fail only here).
  bool Close() { return !ok() || close_(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

// The innermost message of HDF5's current error stack ("truncated file: eof = .."), or "no reason given".
std::string Hdf5Reason();

// True when the file begins with HDF5's signature.
bool LooksLikeHdf5(const std::string& path);

// A dataset of numbers, read by rows of its first axis.
class Hdf5Array {
 public:
  // Errors: InvalidArgument when `name` is absent from `parent`, is no dataset, is not of integers or floats or has not
  // `rank` axes (kAnyRank: 1 to 3). `where` is "FILE:/NAME" for messages.
  static constexpr int kAnyRank = 0;
  static absl::StatusOr<Hdf5Array> Open(hid_t parent, const std::string& name, const std::string& where, int rank);

  const std::vector<int64_t>& shape() const { return shape_; }
  const std::string& where() const { return where_; }
  // Whether all values were written: HDF5 reads zeros in place of others, and any number of them from a small file.
  // False of an array without values.
  bool stored() const;
  // Rows [begin, begin + count), converted to float, into out[count][shape[1]]..
  absl::Status ReadRows(int64_t begin, int64_t count, float* out) const;

 private:
  Hdf5Handle dataset_;
  std::vector<int64_t> shape_;
  std::string where_;
};

// A one-axis or scalar dataset of fixed or variable-length strings. The latter are read in a child process, since HDF5
// crashes on damaged ones.
absl::StatusOr<std::vector<std::string>> ReadHdf5Strings(hid_t parent, const std::string& name,
                                                         const std::string& where);
// The same of an object's attribute. One without values is an empty list whatever its type is (NumPy's empty list is
// one of doubles).
absl::StatusOr<std::vector<std::string>> ReadHdf5StringAttribute(hid_t object, const std::string& name,
                                                                 const std::string& where);

}  // namespace rb

#endif  // RB_DATA_HDF5_FILE_H_
