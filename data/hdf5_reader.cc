// Reads the authors' HDF5 layout: X_train, Y_train, X_valid, Y_valid, X_test, Y_test and experiment, either at the root
// or, as in the 2009 file, once in a group for each protein. X is (n, 4 + S, L), channels first; Y is (n, E).
//
// Groups have probes of their own; they are put one after the other, and a protein has no value for another's probes.
#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "data/alphabet.h"
#include "data/dataset_checksums.h"
#include "data/fold_energies_reader.h"
#include "data/hdf5_file.h"
#include "data/probes.h"
#include "data/readers.h"
#include "data/split.h"
#include "data/text.h"

namespace rb {
namespace {

constexpr const char* kPartNames[] = {"train", "valid", "test"};  // by Part
constexpr int64_t kBlockFloats = int64_t{1} << 20;                // 4 MiB of X or Y at a time
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// One set of six arrays.
struct Group {
  std::string name;  // "" at the root
  std::vector<Hdf5Array> x, y;
  std::vector<std::string> experiments;
  int channels = 0;
};

bool HasLink(hid_t parent, const std::string& name) { return H5Lexists(parent, name.c_str(), H5P_DEFAULT) > 0; }

// Names of the root's groups that hold an X_train.
std::vector<std::string> FindGroups(hid_t file) {
  std::vector<std::string> names;
  auto collect = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names);
  std::erase_if(names, [&](const std::string& name) {
    H5O_info_t info;
    if (H5Oget_info_by_name(file, name.c_str(), &info, H5P_DEFAULT) < 0 || info.type != H5O_TYPE_GROUP) return true;
    return !HasLink(file, Concat(name, "/X_train"));
  });
  return names;
}

absl::Status CheckShapes(const Hdf5Array& x, const Hdf5Array& y, int length) {
  const int64_t channels = x.shape()[1], positions = x.shape()[2];
  const std::string shape = Concat("shape (", x.shape()[0], ", ", channels, ", ", positions, ")");
  const std::string expected = Concat("(n, 4, 6 or 9 channels, ", length, " positions)");
  if ((channels != 4 && channels != 6 && channels != 9) || positions != length) {
    return absl::InvalidArgumentError(Concat(x.where(), ": found ", shape, "; expected ", expected));
  }
  if (y.shape()[0] != x.shape()[0]) {
    return absl::InvalidArgumentError(
        Concat(y.where(), ": found ", y.shape()[0], " rows; expected ", x.shape()[0], " as in ", x.where()));
  }
  if (y.shape()[1] > static_cast<int64_t>(kMaxHdf5Strings)) {
    return absl::InvalidArgumentError(
        Concat(y.where(), ": found ", y.shape()[1], " experiments; expected at most ", kMaxHdf5Strings));
  }
  for (const Hdf5Array* array : {&x, &y}) {
    const std::vector<int64_t>& dims = array->shape();
    if (std::find(dims.begin(), dims.end(), 0) != dims.end() || array->stored()) continue;
    return absl::InvalidArgumentError(Concat(array->where(), ": found room for ", dims[0],
                                             " rows that were not all written; expected a file that was written to its "
                                             "end"));
  }
  return absl::OkStatus();
}

// The experiments' names: the dataset `experiment`, else the protein's group, else experiment1, experiment2, ..
absl::StatusOr<std::vector<std::string>> ReadNames(hid_t file, const std::string& path, const Group& group) {
  const int64_t count = group.y[0].shape()[1];
  const std::string name = group.name.empty() ? "experiment" : group.name + "/experiment";
  std::vector<std::string> names;
  if (!group.name.empty() && count == 1) {
    names = {group.name};
  } else if (HasLink(file, name)) {
    const std::string where = Concat(path, ":/", name);
    auto read = ReadHdf5Strings(file, name, where);
    if (!read.ok()) return read.status();
    names = *std::move(read);
    if (static_cast<int64_t>(names.size()) != count) {
      return absl::InvalidArgumentError(Concat(where, ": found ", names.size(), " names; expected ", count,
                                               ", one for each column of ", group.y[0].where()));
    }
  } else {
    const std::string prefix = group.name.empty() ? "experiment" : group.name + "_";
    for (int64_t e = 0; e < count; ++e) names.push_back(Concat(prefix, e + 1));
  }
  std::unordered_set<std::string_view> seen;
  for (size_t e = 0; e < names.size(); ++e) {
    if (names[e].empty() || !seen.insert(names[e]).second) {
      return absl::InvalidArgumentError(
          Concat(path, ":/", name, "[", e, "]: found ", Quoted(names[e]), "; expected a name, and each name once"));
    }
  }
  return names;
}

absl::StatusOr<Group> OpenGroup(hid_t file, const std::string& path, const std::string& name, int length) {
  Group group;
  group.name = name;
  const std::string prefix = name.empty() ? "" : name + "/";
  for (const char* part : kPartNames) {
    const std::string x_name = Concat(prefix, "X_", part), y_name = Concat(prefix, "Y_", part);
    auto x = Hdf5Array::Open(file, x_name, Concat(path, ":/", x_name), 3);
    if (!x.ok()) return x.status();
    auto y = Hdf5Array::Open(file, y_name, Concat(path, ":/", y_name), 2);
    if (!y.ok()) return y.status();
    if (absl::Status status = CheckShapes(*x, *y, length); !status.ok()) return status;
    group.x.push_back(*std::move(x));
    group.y.push_back(*std::move(y));
    if (group.x.back().shape()[1] != group.x[0].shape()[1] || group.y.back().shape()[1] != group.y[0].shape()[1]) {
      return absl::InvalidArgumentError(Concat(path, ":/", prefix, "*_", part,
                                               ": found other numbers of channels or experiments than in *_train; "
                                               "expected the same"));
    }
  }
  group.channels = static_cast<int>(group.x[0].shape()[1]);
  auto names = ReadNames(file, path, group);
  if (!names.ok()) return names.status();
  group.experiments = *std::move(names);
  return group;
}

// One probe: x[channels][length] -> codes[length]. Returns the first bad position, or -1.
int DecodeOneHot(const float* x, int length, uint8_t* codes) {
  for (int p = 0; p < length; ++p) {
    codes[p] = kUnknownBase;
    for (int c = 0; c < 4; ++c) {
      const float v = x[c * length + p];
      if (v == 0.0f) continue;
      if (v != 1.0f || codes[p] != kUnknownBase) return p;
      codes[p] = static_cast<uint8_t>(c);
    }
  }
  return -1;
}

// Bases before padding: the smallest width whose centred place holds every known base. Nothing known: all of `length`.
int CentredWidth(const uint8_t* codes, int length) {
  int first = 0, last = length - 1;
  while (first < length && codes[first] == kUnknownBase) ++first;
  if (first == length) return length;
  while (codes[last] == kUnknownBase) --last;
  int width = last - first + 1;
  while (LeftPadding(length, width) > first || LeftPadding(length, width) + width <= last) ++width;
  return width;
}

absl::Status AppendProbes(const Hdf5Array& x, const float* block, int64_t begin, int64_t count, Sequences* out) {
  const int length = out->length, channels = static_cast<int>(x.shape()[1]), tracks = out->structure_channels;
  const size_t words = static_cast<size_t>(PackedWords(length));
  std::vector<uint8_t> codes(static_cast<size_t>(length));
  for (int64_t i = 0; i < count; ++i) {
    const float* const row = block + i * channels * length;
    if (const int bad = DecodeOneHot(row, length, codes.data()); bad >= 0) {
      return absl::InvalidArgumentError(Concat(x.where(), "[", begin + i, ", 0-3, ", bad, "]: found ", row[bad], " ",
                                               row[length + bad], " ", row[2 * length + bad], " ",
                                               row[3 * length + bad], "; expected one 1 and zeros, or zeros only"));
    }
    out->bases.resize(out->bases.size() + words);
    PackBases(codes.data(), length, out->bases.data() + out->bases.size() - words);
    out->widths.push_back(static_cast<uint16_t>(CentredWidth(codes.data(), length)));
    for (int p = 0; p < length; ++p) {
      for (int s = 0; s < tracks; ++s) {
        const float v = row[(4 + s) * length + p];
        if (!std::isfinite(v)) {
          return absl::InvalidArgumentError(
              Concat(x.where(), "[", begin + i, ", ", 4 + s, ", ", p, "]: found ", v, "; expected a finite number"));
        }
        out->tracks.push_back(v);
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ReadX(const Hdf5Array& x, Sequences* out) {
  const int64_t row = x.shape()[1] * x.shape()[2], step = std::max<int64_t>(1, kBlockFloats / row);
  std::vector<float> block(static_cast<size_t>(row * std::min(step, x.shape()[0])));
  for (int64_t begin = 0; begin < x.shape()[0]; begin += step) {
    const int64_t count = std::min(step, x.shape()[0] - begin);
    if (absl::Status status = x.ReadRows(begin, count, block.data()); !status.ok()) return status;
    if (absl::Status status = AppendProbes(x, block.data(), begin, count, out); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Columns of y that `wanted` names (-1: not wanted) into targets[wanted][probes], from row `first` on.
absl::Status ReadY(const Hdf5Array& y, const std::vector<int64_t>& wanted, int64_t first, int64_t probes,
                   float* targets) {
  const int64_t columns = y.shape()[1], step = std::max<int64_t>(1, kBlockFloats / std::max<int64_t>(1, columns));
  std::vector<float> block(static_cast<size_t>(columns * std::min(step, y.shape()[0])));
  for (int64_t begin = 0; begin < y.shape()[0]; begin += step) {
    const int64_t count = std::min(step, y.shape()[0] - begin);
    if (absl::Status status = y.ReadRows(begin, count, block.data()); !status.ok()) return status;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < columns; ++c) {
        if (wanted[c] < 0) continue;
        const float v = block[i * columns + c];
        if (std::isinf(v)) {
          return absl::InvalidArgumentError(
              Concat(y.where(), "[", begin + i, ", ", c, "]: found ", v, "; expected a finite number, or NaN"));
        }
        targets[wanted[c] * probes + first + begin + i] = v;
      }
    }
  }
  return absl::OkStatus();
}

// Whether the targets are transformed already: yes in the authors' files; ours say so in an attribute.
bool ReadTransformed(hid_t file) {
  int value = 1;
  if (H5Aexists(file, "transformed") <= 0) return true;
  const Hdf5Handle attribute(H5Aopen(file, "transformed", H5P_DEFAULT), H5Aclose);
  const Hdf5Handle space(attribute.ok() ? H5Aget_space(attribute.id()) : -1, H5Sclose);
  if (!space.ok() || H5Sget_simple_extent_npoints(space.id()) != 1) return true;
  if (H5Aread(attribute.id(), H5T_NATIVE_INT, &value) < 0) return true;
  return value != 0;
}

// Against the checksums that WriteHdf5 left, if it did. `names`: the file's experiments.
absl::Status CheckChecksums(hid_t file, const std::string& path, const std::vector<std::string>& names,
                            const Dataset& dataset) {
  if (!HasLink(file, kChecksums)) return absl::OkStatus();
  const std::string where = Concat(path, ":/", kChecksums);
  const auto stored = ReadHdf5Strings(file, kChecksums, where);
  if (!stored.ok()) return stored.status();
  const auto split = MakeSplit(dataset, 0);
  if (!split.ok()) return split.status();
  const std::vector<std::string> sums = DatasetChecksums(dataset, *split);
  for (size_t i = 0; i < sums.size(); ++i) {
    size_t at = 0;
    if (i > 0) at = 1 + (std::find(names.begin(), names.end(), dataset.experiments[i - 1]) - names.begin());
    if (at < stored->size() && (*stored)[at] == sums[i]) continue;
    return absl::InvalidArgumentError(Concat(where, "[", at, "]: found other content than was written (",
                                             i == 0 ? "sequences or split" : dataset.experiments[i - 1],
                                             "); expected an undamaged file"));
  }
  return absl::OkStatus();
}

// What made the tracks, as far as the file says.
absl::StatusOr<std::string> ReadStructureSource(hid_t file, const std::string& path) {
  if (!HasLink(file, kStructureSource)) return std::string(kGivenProfiles);
  const std::string where = Concat(path, ":/", kStructureSource);
  const auto names = ReadHdf5Strings(file, kStructureSource, where);
  if (!names.ok()) return names.status();
  if (names->size() == 1 && IsStructureSource((*names)[0])) return (*names)[0];
  return absl::InvalidArgumentError(Concat(where, ": found ", names->size(), " names, the first of which is ",
                                           Quoted(names->empty() ? "" : (*names)[0]),
                                           "; expected one: ", kGivenProfiles, ", or an energy set's"));
}

// Opens the groups and leaves only those that hold a wanted experiment.
absl::StatusOr<std::vector<Group>> OpenGroups(hid_t file, const std::string& path, const ReadOptions& options,
                                              Dataset* dataset) {
  const std::vector<std::string> group_names =
      HasLink(file, "X_train") ? std::vector<std::string>{""} : FindGroups(file);
  if (group_names.empty()) {
    return absl::InvalidArgumentError(
        Concat(path, ": found no X_train; expected X_train at the root or in a group for each protein"));
  }
  std::vector<Group> groups;
  std::vector<std::string> names;
  for (const std::string& name : group_names) {
    auto group = OpenGroup(file, path, name, options.length);
    if (!group.ok()) return group.status();
    names.insert(names.end(), group->experiments.begin(), group->experiments.end());
    groups.push_back(*std::move(group));
  }
  const auto chosen = ChooseExperiments(path, names, options.experiments);
  if (!chosen.ok()) return chosen.status();
  for (const int e : *chosen) dataset->experiments.push_back(names[e]);
  std::erase_if(groups, [&](const Group& group) {
    return std::none_of(group.experiments.begin(), group.experiments.end(),
                        [&](const std::string& name) { return dataset->Find(name) >= 0; });
  });
  return groups;
}

// All probes before the first target: room is made for those that are there, not for those that a file declares.
absl::Status ReadGroups(const std::vector<Group>& groups, Dataset* dataset) {
  dataset->sequences.structure_channels = groups[0].channels - 4;
  for (const Group& group : groups) {
    if (group.channels != groups[0].channels) {
      return absl::InvalidArgumentError(Concat(group.x[0].where(), ": found ", group.channels, " channels; expected ",
                                               groups[0].channels, " as in the other groups"));
    }
    for (size_t part = 0; part < 3; ++part) {
      if (absl::Status status = ReadX(group.x[part], &dataset->sequences); !status.ok()) return status;
      dataset->parts.resize(static_cast<size_t>(dataset->num_probes()), static_cast<Part>(part));
    }
  }
  const int64_t probes = dataset->num_probes();
  dataset->targets.assign(dataset->experiments.size() * static_cast<size_t>(probes), kNan);
  int64_t first = 0;
  for (const Group& group : groups) {
    std::vector<int64_t> wanted;
    for (const std::string& name : group.experiments) wanted.push_back(dataset->Find(name));
    for (const Hdf5Array& y : group.y) {
      if (absl::Status status = ReadY(y, wanted, first, probes, dataset->targets.data()); !status.ok()) return status;
      first += y.shape()[0];
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> ReadHdf5(const std::string& path, const ReadOptions& options) {
  if (absl::Status status = CheckLength(options); !status.ok()) return status;
  const Hdf5Quiet quiet;
  const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.ok()) {
    return absl::InvalidArgumentError(
        Concat(path, ": found no readable HDF5 file (", Hdf5Reason(), "); expected a complete HDF5 file"));
  }
  Dataset dataset;
  dataset.sequences.length = options.length;
  dataset.transformed = ReadTransformed(file.id());
  const auto groups = OpenGroups(file.id(), path, options, &dataset);
  if (!groups.ok()) return groups.status();
  if (dataset.experiments.empty()) {
    return absl::InvalidArgumentError(Concat(path, ":/Y_train: found no experiment; expected at least one column"));
  }
  if (absl::Status status = ReadGroups(*groups, &dataset); !status.ok()) return status;
  if (dataset.sequences.structure_channels > 0) {
    auto source = ReadStructureSource(file.id(), path);
    if (!source.ok()) return source.status();
    dataset.sequences.structure_source = *std::move(source);
  }
  if (dataset.num_probes() == 0) {
    return absl::InvalidArgumentError(Concat(path, ":/X_train: found no rows; expected at least one"));
  }
  if (const int64_t empty = FindEmptyExperiment(dataset); empty >= 0) {
    return absl::InvalidArgumentError(Concat(path, ": found experiment ", dataset.experiments[empty],
                                             " without any value; expected at least one number"));
  }
  if (absl::Status status = CheckChecksums(file.id(), path, (*groups)[0].experiments, dataset); !status.ok()) {
    return status;
  }
  return dataset;
}

}  // namespace rb
