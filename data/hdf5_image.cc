#include "data/hdf5_image.h"

#include <algorithm>
#include <cstring>

#include "data/text.h"

namespace rb {
namespace {

constexpr size_t kImageStep = size_t{16} << 20;  // bytes by which the image grows

}  // namespace

absl::Status Hdf5WriteFailed(const std::string& what) {
  return absl::UnavailableError(Concat(what, ": writing failed (", Hdf5Reason(), "); expected enough free memory"));
}

Hdf5Handle NewHdf5Image(const std::string& name) {
  const Hdf5Handle properties(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(properties.id(), kImageStep, /*backing_store=*/0);
  return Hdf5Handle(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, properties.id()), H5Fclose);
}

absl::StatusOr<std::string_view> Hdf5ImageBytes(hid_t file) {
  if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) return Hdf5WriteFailed("flushing");
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);  // without the buffer's slack, unlike H5Fget_filesize
  void* handle = nullptr;                                    // the address of the core driver's buffer pointer
  if (size < 0 || H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0) return Hdf5WriteFailed("file image");
  return std::string_view(*static_cast<const char**>(handle), static_cast<size_t>(size));
}

Hdf5Handle Hdf5DatasetProperties() {
  Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.id(), false);
  return properties;
}

Hdf5FixedStrings::Hdf5FixedStrings(const std::vector<std::string>& strings) : type(H5Tcopy(H5T_C_S1), H5Tclose) {
  size_t width = 1;
  for (const std::string& one : strings) width = std::max(width, one.size());
  bytes.assign(strings.size() * width, '\0');
  for (size_t i = 0; i < strings.size(); ++i) {
    std::memcpy(bytes.data() + i * width, strings[i].data(), strings[i].size());
  }
  H5Tset_size(type.id(), width);
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
}

}  // namespace rb
