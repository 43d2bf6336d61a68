// HDF5 handles, error text, arrays by rows and strings.
#include "data/hdf5_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>

#include "data/child_process.h"
#include "data/text.h"

namespace rb {
namespace {

constexpr size_t kMaxStringBytes = size_t{1} << 28;  // of all strings together

absl::Status Unreadable(std::string_view where, std::string_view found, std::string_view expected) {
  return absl::InvalidArgumentError(Concat(where, ": found ", found, "; expected ", expected));
}

absl::Status Hdf5Error(std::string_view where, std::string_view expected) {
  return Unreadable(where, Hdf5Reason(), expected);
}

// Strings wherever they are: read(type, out) is H5Dread or H5Aread of all of them.
struct StringSource {
  Hdf5Handle type, space;
  std::function<herr_t(hid_t type, void* out)> read;
  std::string where;
};

// "+" and the strings, each ended by a zero, or "-" and the reason why there are none.
std::string TellVariableStrings(const StringSource& source, size_t count) {
  std::vector<char*> pointers(count, nullptr);
  if (source.read(source.type.id(), pointers.data()) < 0) return "-" + Hdf5Reason();
  std::string told = "+";
  for (const char* pointer : pointers) {
    if (pointer != nullptr) told += pointer;
    told += '\0';
  }
  return told;
}

// Strings of variable length lie in the file's global heap, which HDF5 neither checks nor offers to check: a damaged
// one makes it copy from wherever the file says, and crash. So another process reads them.
absl::StatusOr<std::vector<std::string>> ReadVariableStrings(const StringSource& source, size_t count) {
  const auto told = MadeInChild(kMaxStringBytes, [&] { return TellVariableStrings(source, count); });
  if (!told.ok() && !absl::IsDataLoss(told.status())) {
    return absl::Status(told.status().code(), Concat(source.where, ": ", told.status().message()));
  }
  std::vector<std::string> strings;
  if (told.ok()) {
    if (told->starts_with('-')) return Unreadable(source.where, told->substr(1), "readable strings");
    for (size_t at = 1; at < told->size(); at += strings.back().size() + 1) strings.emplace_back(told->c_str() + at);
  }
  if (strings.size() == count) return strings;
  return Unreadable(source.where, "strings that cannot be read", "an undamaged file");
}

absl::StatusOr<std::vector<std::string>> ReadFixedStrings(const StringSource& source, size_t count) {
  const size_t size = H5Tget_size(source.type.id());
  if (size == 0 || size > kMaxStringBytes / count) {
    return absl::InvalidArgumentError(Concat(source.where, ": found ", count, " strings of ", size,
                                             " bytes; expected 1 to ", kMaxStringBytes, " bytes in all"));
  }
  std::string bytes(count * size, '\0');
  if (source.read(source.type.id(), bytes.data()) < 0) return Hdf5Error(source.where, "readable strings");
  std::vector<std::string> strings;
  for (size_t i = 0; i < count; ++i) {
    std::string one = bytes.substr(i * size, size);
    one.resize(std::min(one.find('\0'), one.size()));
    one.resize(one.find_last_not_of(' ') + 1);  // Fortran pads with blanks
    strings.push_back(std::move(one));
  }
  return strings;
}

absl::StatusOr<std::vector<std::string>> ReadStrings(const StringSource& source, bool empty_of_any_type) {
  const hssize_t count = source.space.ok() ? H5Sget_simple_extent_npoints(source.space.id()) : -1;
  if (count == 0 && empty_of_any_type) return std::vector<std::string>();
  if (count < 0 || !source.type.ok() || H5Tget_class(source.type.id()) != H5T_STRING) {
    return absl::InvalidArgumentError(Concat(source.where, ": found values that are not strings; expected strings"));
  }
  if (static_cast<hsize_t>(count) > kMaxHdf5Strings) {
    return absl::InvalidArgumentError(
        Concat(source.where, ": found ", count, " strings; expected at most ", kMaxHdf5Strings));
  }
  if (count == 0) return std::vector<std::string>();
  // The file's own type: HDF5 does not convert between character sets.
  if (H5Tis_variable_str(source.type.id()) > 0) return ReadVariableStrings(source, static_cast<size_t>(count));
  return ReadFixedStrings(source, static_cast<size_t>(count));
}

// Values may lie in any file that a dataset names.
absl::Status CheckOwnValues(hid_t dataset, const std::string& where) {
  const Hdf5Handle made(H5Dget_create_plist(dataset), H5Pclose);
  if (made.ok() && H5Pget_external_count(made.id()) <= 0 && H5Pget_layout(made.id()) != H5D_VIRTUAL) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(Concat(where, ": its values lie in other files; expected them in this one"));
}

}  // namespace

Hdf5Quiet::Hdf5Quiet() {
  // What the library cannot close of a damaged file would make it complain on stderr when the process ends. Links into
  // other files are followed nowhere: who hands over a file means that one.
  static const bool once = H5dont_atexit() >= 0 && H5Lunregister(H5L_TYPE_EXTERNAL) >= 0;
  (void)once;
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
  const std::string expected = rank == kAnyRank ? "1 to 3" : Concat(rank);
  if (!array.dataset_.ok()) return Hdf5Error(where, Concat("a dataset of this name with ", expected, " axes"));
  if (absl::Status status = CheckOwnValues(array.dataset_.id(), where); !status.ok()) return status;
  const Hdf5Handle type(H5Dget_type(array.dataset_.id()), H5Tclose);
  const H5T_class_t kind = type.ok() ? H5Tget_class(type.id()) : H5T_NO_CLASS;
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) {
    return absl::InvalidArgumentError(
        Concat(where, ": found values that are not numbers; expected integers or floating-point numbers"));
  }
  const Hdf5Handle space(H5Dget_space(array.dataset_.id()), H5Sclose);
  const int found = space.ok() ? H5Sget_simple_extent_ndims(space.id()) : -1;
  if (rank == kAnyRank ? found < 1 || found > 3 : found != rank) {
    return absl::InvalidArgumentError(Concat(where, ": found ", found, " axes; expected ", expected));
  }
  std::vector<hsize_t> dims(static_cast<size_t>(found));
  H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
  for (const hsize_t n : dims) {
    if (n > static_cast<hsize_t>(INT32_MAX)) {
      return absl::InvalidArgumentError(Concat(where, ": found an axis of ", n, "; expected at most ", INT32_MAX));
    }
    array.shape_.push_back(static_cast<int64_t>(n));
  }
  return array;
}

bool Hdf5Array::stored() const {
  const Hdf5Handle space(H5Dget_space(dataset_.id()), H5Sclose), made(H5Dget_create_plist(dataset_.id()), H5Pclose);
  const Hdf5Handle file(H5Iget_file_id(dataset_.id()), H5Fclose);
  hsize_t file_size = 0;
  if (!space.ok() || !made.ok() || !file.ok() || H5Fget_filesize(file.id(), &file_size) < 0) return false;
  const hsize_t size = H5Dget_storage_size(dataset_.id());
  if (size == 0 || size > file_size) return false;
  if (H5Pget_layout(made.id()) != H5D_CHUNKED) return true;
  std::vector<hsize_t> extents(shape_.size());
  hsize_t chunks = 1, found = 0;
  if (H5Pget_chunk(made.id(), static_cast<int>(extents.size()), extents.data()) < 0) return false;
  for (size_t i = 0; i < extents.size(); ++i) {
    const hsize_t along = (static_cast<hsize_t>(shape_[i]) + extents[i] - 1) / extents[i];
    if (along > file_size / chunks) return false;  // a chunk takes a byte at least
    chunks *= along;
  }
  return H5Dget_num_chunks(dataset_.id(), space.id(), &found) >= 0 && found == chunks;
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
  if (absl::Status status = CheckOwnValues(dataset.id(), where); !status.ok()) return status;
  const auto read = [&](hid_t type, void* out) {
    return H5Dread(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  };
  return ReadStrings({{H5Dget_type(dataset.id()), H5Tclose}, {H5Dget_space(dataset.id()), H5Sclose}, read, where},
                     /*empty_of_any_type=*/false);
}

absl::StatusOr<std::vector<std::string>> ReadHdf5StringAttribute(hid_t object, const std::string& name,
                                                                 const std::string& where) {
  const Hdf5Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute.ok()) return Hdf5Error(where, "an attribute of strings");
  const auto read = [&](hid_t type, void* out) { return H5Aread(attribute.id(), type, out); };
  return ReadStrings({{H5Aget_type(attribute.id()), H5Tclose}, {H5Aget_space(attribute.id()), H5Sclose}, read, where},
                     /*empty_of_any_type=*/true);
}

}  // namespace rb
