// Writes the authors' HDF5 layout (writers.h), compressed, a block of rows at a time.
//
// The file is made in memory by HDF5's core driver and written by WriteFile. HDF5 cannot give up a file whose disk is
// full: closing fails, the file stays open, and the library tries again and crashes when the process ends. Memory: the
// compressed file, 34 MB for 40 experiments of 241,357 probes.
#include <hdf5.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/dataset_checksums.h"
#include "data/hdf5_file.h"
#include "data/text.h"
#include "data/writers.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

constexpr hsize_t kBlockRows = 1024;             // rows of one HDF5 chunk, and of one write
constexpr size_t kImageStep = size_t{16} << 20;  // bytes by which the image grows
constexpr unsigned kDeflateLevel = 1;            // one-hot rows shrink about 20 times; higher levels only take longer

absl::Status WriteFailed(const std::string& what) {
  return absl::UnavailableError(Concat(what, ": writing failed (", Hdf5Reason(), "); expected enough free memory"));
}

// Fills one row of the output from one row of the data set.
using RowFiller = std::function<void(int32_t row, float* out)>;

// Without times, so that equal data make equal bytes.
Hdf5Handle DatasetProperties() {
  Hdf5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(properties.id(), false);
  return properties;
}

// A float32 dataset of shape (rows.size(), row_shape..).
absl::Status WriteArray(hid_t file, const std::string& name, const std::vector<int32_t>& rows,
                        const std::vector<hsize_t>& row_shape, const RowFiller& fill) {
  std::vector<hsize_t> dims = {static_cast<hsize_t>(rows.size())};
  dims.insert(dims.end(), row_shape.begin(), row_shape.end());
  size_t row_size = 1;
  for (const hsize_t n : row_shape) row_size *= static_cast<size_t>(n);
  const int rank = static_cast<int>(dims.size());
  const Hdf5Handle space(H5Screate_simple(rank, dims.data(), nullptr), H5Sclose);
  const Hdf5Handle properties = DatasetProperties();
  if (!rows.empty()) {  // chunks may not be empty
    std::vector<hsize_t> chunk = dims;
    chunk[0] = std::min<hsize_t>(kBlockRows, dims[0]);
    H5Pset_chunk(properties.id(), rank, chunk.data());
    if (H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) H5Pset_deflate(properties.id(), kDeflateLevel);
  }
  Hdf5Handle dataset(
      H5Dcreate2(file, name.c_str(), H5T_IEEE_F32LE, space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) return WriteFailed(name);
  std::vector<float> block(std::min<size_t>(kBlockRows, rows.size()) * row_size);
  for (hsize_t begin = 0; begin < dims[0]; begin += kBlockRows) {
    std::vector<hsize_t> start(dims.size(), 0), size = dims;
    start[0] = begin;
    size[0] = std::min<hsize_t>(kBlockRows, dims[0] - begin);
    for (hsize_t i = 0; i < size[0]; ++i) fill(rows[begin + i], block.data() + i * row_size);
    const Hdf5Handle memory(H5Screate_simple(rank, size.data(), nullptr), H5Sclose);
    if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
        H5Dwrite(dataset.id(), H5T_NATIVE_FLOAT, memory.id(), space.id(), H5P_DEFAULT, block.data()) < 0) {
      return WriteFailed(name);
    }
  }
  return dataset.Close() ? absl::OkStatus() : WriteFailed(name);
}

// out[4 + S][L]
void FillX(const Sequences& sequences, int32_t row, float* out) {
  const int length = sequences.length, tracks = sequences.structure_channels;
  std::fill(out, out + (4 + tracks) * length, 0.0f);
  for (int p = 0; p < length; ++p) {
    const uint8_t base = BaseAt(sequences.packed(row), length, p);
    if (base != kUnknownBase) out[base * length + p] = 1.0f;
  }
  const float* const track = sequences.tracks.data() + static_cast<size_t>(row) * length * tracks;
  for (int p = 0; p < length; ++p) {
    for (int s = 0; s < tracks; ++s) out[(4 + s) * length + p] = track[p * tracks + s];
  }
}

// A dataset of fixed-length strings, of shape (names.size()).
absl::Status WriteStrings(hid_t file, const char* where, const std::vector<std::string>& names) {
  size_t width = 1;
  for (const std::string& name : names) width = std::max(width, name.size());
  std::string bytes(names.size() * width, '\0');
  for (size_t i = 0; i < names.size(); ++i) std::memcpy(bytes.data() + i * width, names[i].data(), names[i].size());
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), width);
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  const hsize_t count = names.size();
  const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Hdf5Handle properties = DatasetProperties();
  Hdf5Handle dataset(H5Dcreate2(file, where, type.id(), space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT),
                     H5Dclose);
  if (!dataset.ok() ||
      (count > 0 && H5Dwrite(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()) < 0)) {
    return WriteFailed(where);
  }
  return dataset.Close() ? absl::OkStatus() : WriteFailed(where);
}

absl::Status WriteTransformed(hid_t file, bool transformed) {
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle attribute(H5Acreate2(file, "transformed", H5T_STD_I8LE, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  const int value = transformed ? 1 : 0;
  if (!attribute.ok() || H5Awrite(attribute.id(), H5T_NATIVE_INT, &value) < 0) return WriteFailed("transformed");
  return absl::OkStatus();
}

absl::Status WriteAll(hid_t file, const Dataset& dataset, const Split& split) {
  const Sequences& sequences = dataset.sequences;
  const hsize_t channels = static_cast<hsize_t>(4 + sequences.structure_channels);
  const hsize_t length = static_cast<hsize_t>(sequences.length), experiments = dataset.experiments.size();
  const std::pair<const char*, const std::vector<int32_t>*> parts[] = {
      {"train", &split.train}, {"valid", &split.valid}, {"test", &split.test}};
  absl::Status status;
  for (const auto& [name, rows] : parts) {
    status = WriteArray(file, Concat("X_", name), *rows, {channels, length},
                        [&](int32_t row, float* out) { FillX(sequences, row, out); });
    if (!status.ok()) return status;
    status = WriteArray(file, Concat("Y_", name), *rows, {experiments}, [&](int32_t row, float* out) {
      for (hsize_t e = 0; e < experiments; ++e) out[e] = dataset.target(static_cast<int64_t>(e))[row];
    });
    if (!status.ok()) return status;
  }
  status = WriteStrings(file, "experiment", dataset.experiments);
  if (status.ok()) status = WriteStrings(file, kChecksums, DatasetChecksums(dataset, split));
  if (status.ok() && sequences.structure_channels > 0) {
    status = WriteStrings(file, kStructureSource, {sequences.TrackSource()});
  }
  if (status.ok()) status = WriteTransformed(file, dataset.transformed);
  if (status.ok() && H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) status = WriteFailed("flushing");
  return status;
}

// The bytes of a file that HDF5's core driver holds in memory; valid while the file is open.
absl::StatusOr<std::string_view> MemoryImage(hid_t file) {
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);  // without the buffer's slack, unlike H5Fget_filesize
  void* handle = nullptr;                                    // the address of the core driver's buffer pointer
  if (size < 0 || H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0) return WriteFailed("file image");
  return std::string_view(*static_cast<const char**>(handle), static_cast<size_t>(size));
}

}  // namespace

absl::Status WriteHdf5(const Dataset& dataset, const Split& split, const std::string& path) {
  const Hdf5Quiet quiet;
  const Hdf5Handle properties(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(properties.id(), kImageStep, /*backing_store=*/0);
  const Hdf5Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, properties.id()), H5Fclose);
  absl::Status status = file.ok() ? WriteAll(file.id(), dataset, split) : WriteFailed("creating the file image");
  if (!status.ok()) return absl::Status(status.code(), Concat(path, ": ", status.message()));
  const auto image = MemoryImage(file.id());
  if (!image.ok()) return image.status();
  return WriteFile(path, *image);
}

}  // namespace rb
