// HDF5 handles, error text, arrays by rows and strings.
#include "data/hdf5_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "data/text.h"

namespace rb {
namespace {

constexpr hsize_t kMaxStrings = 65536;
constexpr size_t kMaxStringBytes = 4096;

absl::Status Hdf5Error(std::string_view where, std::string_view expected) {
  return absl::InvalidArgumentError(Concat(where, ": found ", Hdf5Reason(), "; expected ", expected));
}

absl::StatusOr<std::vector<std::string>> ReadVariableStrings(hid_t dataset, hid_t type, hid_t space, size_t count,
                                                             std::string_view where) {
  std::vector<char*> pointers(count, nullptr);
  if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0) {
    return Hdf5Error(where, "readable strings");
  }
  std::vector<std::string> strings;
  for (const char* pointer : pointers) strings.emplace_back(pointer ? pointer : "");
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  return strings;
}

absl::StatusOr<std::vector<std::string>> ReadFixedStrings(hid_t dataset, hid_t type, size_t count,
                                                          std::string_view where) {
  const size_t size = H5Tget_size(type);
  if (size == 0 || size > kMaxStringBytes) {
    return absl::InvalidArgumentError(
        Concat(where, ": found strings of ", size, " bytes; expected 1 to ", kMaxStringBytes));
  }
  std::string bytes(count * size, '\0');
  if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) < 0) {
    return Hdf5Error(where, "readable strings");
  }
  std::vector<std::string> strings;
  for (size_t i = 0; i < count; ++i) {
    std::string one = bytes.substr(i * size, size);
    one.resize(std::min(one.find('\0'), one.size()));
    one.resize(one.find_last_not_of(' ') + 1);  // Fortran pads with blanks
    strings.push_back(std::move(one));
  }
  return strings;
}

}  // namespace

Hdf5Quiet::Hdf5Quiet() {
  // What the library cannot close of a damaged file would make it complain on stderr when the process ends.
  static const herr_t kept_quiet = H5dont_atexit();
  (void)kept_quiet;
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Quiet::~Hdf5Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

std::string Hdf5Reason() {
  std::string reason;
  auto keep_last = [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
    if (error->desc && *error->desc) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_last, &reason);
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  return reason.empty() ? "no reason given" : reason;
}

bool LooksLikeHdf5(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return false;
  char head[8] = {};
  const size_t got = std::fread(head, 1, sizeof head, file);
  std::fclose(file);
  return got == sizeof head && std::memcmp(head, "\x89HDF\r\n\x1a\n", sizeof head) == 0;
}

absl::StatusOr<Hdf5Array> Hdf5Array::Open(hid_t parent, const std::string& name, const std::string& where, int rank) {
  Hdf5Array array;
  array.where_ = where;
  array.dataset_ = Hdf5Handle(H5Dopen2(parent, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!array.dataset_.ok()) return Hdf5Error(where, Concat("a dataset of this name with ", rank, " axes"));
  const Hdf5Handle type(H5Dget_type(array.dataset_.id()), H5Tclose);
  const H5T_class_t kind = type.ok() ? H5Tget_class(type.id()) : H5T_NO_CLASS;
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) {
    return absl::InvalidArgumentError(
        Concat(where, ": found values that are not numbers; expected float32, float64 or int8"));
  }
  const Hdf5Handle space(H5Dget_space(array.dataset_.id()), H5Sclose);
  const int found = space.ok() ? H5Sget_simple_extent_ndims(space.id()) : -1;
  if (found != rank) {
    return absl::InvalidArgumentError(Concat(where, ": found ", found, " axes; expected ", rank));
  }
  std::vector<hsize_t> dims(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
  for (const hsize_t n : dims) {
    if (n > static_cast<hsize_t>(INT32_MAX)) {
      return absl::InvalidArgumentError(Concat(where, ": found an axis of ", n, "; expected at most ", INT32_MAX));
    }
    array.shape_.push_back(static_cast<int64_t>(n));
  }
  return array;
}

absl::Status Hdf5Array::ReadRows(int64_t begin, int64_t count, float* out) const {
  std::vector<hsize_t> start(shape_.size(), 0), size(shape_.begin(), shape_.end());
  start[0] = static_cast<hsize_t>(begin);
  size[0] = static_cast<hsize_t>(count);
  const Hdf5Handle file_space(H5Dget_space(dataset_.id()), H5Sclose);
  const Hdf5Handle memory_space(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), H5Sclose);
  if (!file_space.ok() || !memory_space.ok() ||
      H5Sselect_hyperslab(file_space.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
      H5Dread(dataset_.id(), H5T_NATIVE_FLOAT, memory_space.id(), file_space.id(), H5P_DEFAULT, out) < 0) {
    return Hdf5Error(Concat(where_, "[", begin, "]"), Concat(count, " readable rows"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ReadHdf5Strings(hid_t parent, const std::string& name,
                                                         const std::string& where) {
  const Hdf5Handle dataset(H5Dopen2(parent, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) return Hdf5Error(where, "a dataset of strings");
  const Hdf5Handle file_type(H5Dget_type(dataset.id()), H5Tclose);
  const Hdf5Handle space(H5Dget_space(dataset.id()), H5Sclose);
  if (!file_type.ok() || !space.ok() || H5Tget_class(file_type.id()) != H5T_STRING) {
    return absl::InvalidArgumentError(Concat(where, ": found values that are not strings; expected strings"));
  }
  const hssize_t count = H5Sget_simple_extent_npoints(space.id());
  if (count < 0 || static_cast<hsize_t>(count) > kMaxStrings) {
    return absl::InvalidArgumentError(Concat(where, ": found ", count, " strings; expected at most ", kMaxStrings));
  }
  const size_t strings = static_cast<size_t>(count);
  if (strings == 0) return std::vector<std::string>();
  // The file's own type: HDF5 does not convert between character sets.
  if (H5Tis_variable_str(file_type.id()) > 0) {
    return ReadVariableStrings(dataset.id(), file_type.id(), space.id(), strings, where);
  }
  return ReadFixedStrings(dataset.id(), file_type.id(), strings, where);
}

}  // namespace rb
