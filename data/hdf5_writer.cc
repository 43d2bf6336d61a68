// Writes the authors' HDF5 layout (writers.h), compressed, a block of rows at a time.
//
// The file is made in memory (data/hdf5_image.h): 34 MB, compressed, for 40 experiments of 241,357 probes.
#include <hdf5.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/dataset_checksums.h"
#include "data/hdf5_file.h"
#include "data/hdf5_image.h"
#include "data/text.h"
#include "data/writers.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

constexpr hsize_t kBlockRows = 1024;   // rows of one HDF5 chunk, and of one write
constexpr unsigned kDeflateLevel = 1;  // one-hot rows shrink about 20 times; higher levels only take longer

// Fills one row of the output from one row of the data set.
using RowFiller = std::function<void(int32_t row, float* out)>;

// A float32 dataset of shape (rows.size(), row_shape..).
absl::Status WriteArray(hid_t file, const std::string& name, const std::vector<int32_t>& rows,
                        const std::vector<hsize_t>& row_shape, const RowFiller& fill) {
  std::vector<hsize_t> dims = {static_cast<hsize_t>(rows.size())};
  dims.insert(dims.end(), row_shape.begin(), row_shape.end());
  size_t row_size = 1;
  for (const hsize_t n : row_shape) row_size *= static_cast<size_t>(n);
  const int rank = static_cast<int>(dims.size());
  const Hdf5Handle space(H5Screate_simple(rank, dims.data(), nullptr), H5Sclose);
  const Hdf5Handle properties = Hdf5DatasetProperties();
  if (!rows.empty()) {  // chunks may not be empty
    std::vector<hsize_t> chunk = dims;
    chunk[0] = std::min<hsize_t>(kBlockRows, dims[0]);
    H5Pset_chunk(properties.id(), rank, chunk.data());
    if (H5Zfilter_avail(H5Z_FILTER_DEFLATE) > 0) H5Pset_deflate(properties.id(), kDeflateLevel);
  }
  Hdf5Handle dataset(
      H5Dcreate2(file, name.c_str(), H5T_IEEE_F32LE, space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) return Hdf5WriteFailed(name);
  std::vector<float> block(std::min<size_t>(kBlockRows, rows.size()) * row_size);
  for (hsize_t begin = 0; begin < dims[0]; begin += kBlockRows) {
    std::vector<hsize_t> start(dims.size(), 0), size = dims;
    start[0] = begin;
    size[0] = std::min<hsize_t>(kBlockRows, dims[0] - begin);
    for (hsize_t i = 0; i < size[0]; ++i) fill(rows[begin + i], block.data() + i * row_size);
    const Hdf5Handle memory(H5Screate_simple(rank, size.data(), nullptr), H5Sclose);
    if (H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
        H5Dwrite(dataset.id(), H5T_NATIVE_FLOAT, memory.id(), space.id(), H5P_DEFAULT, block.data()) < 0) {
      return Hdf5WriteFailed(name);
    }
  }
  return dataset.Close() ? absl::OkStatus() : Hdf5WriteFailed(name);
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
  const Hdf5FixedStrings strings(names);
  const hsize_t count = names.size();
  const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Hdf5Handle properties = Hdf5DatasetProperties();
  Hdf5Handle dataset(H5Dcreate2(file, where, strings.type.id(), space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT),
                     H5Dclose);
  if (!dataset.ok() || (count > 0 && H5Dwrite(dataset.id(), strings.type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                              strings.bytes.data()) < 0)) {
    return Hdf5WriteFailed(where);
  }
  return dataset.Close() ? absl::OkStatus() : Hdf5WriteFailed(where);
}

absl::Status WriteTransformed(hid_t file, bool transformed) {
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle attribute(H5Acreate2(file, "transformed", H5T_STD_I8LE, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                             H5Aclose);
  const int value = transformed ? 1 : 0;
  if (!attribute.ok() || H5Awrite(attribute.id(), H5T_NATIVE_INT, &value) < 0) return Hdf5WriteFailed("transformed");
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
  return status;
}

}  // namespace

absl::Status WriteHdf5(const Dataset& dataset, const Split& split, const std::string& path) {
  const Hdf5Quiet quiet;
  const Hdf5Handle file = NewHdf5Image(path);
  absl::Status status = file.ok() ? WriteAll(file.id(), dataset, split) : Hdf5WriteFailed("creating the file image");
  if (!status.ok()) return absl::Status(status.code(), Concat(path, ": ", status.message()));
  const auto image = Hdf5ImageBytes(file.id());
  if (!image.ok()) return image.status();
  return WriteFile(path, *image);
}

}  // namespace rb
