// The authors' HDF5 layout: written and read back, foreign variants, damage.
#include <hdf5.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "data/hdf5_file.h"
#include "data/readers.h"
#include "data/simulator.h"
#include "data/writers.h"
#include "kernels/packed_bases.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

Dataset Simulated(int experiments, int probes) {
  SimulatorOptions options;
  options.experiments = experiments;
  options.probes = probes;
  options.missing = 0.05;
  return Simulate(options).value().dataset;
}

// A hand-made file: each part has `rows` rows whose bases cycle, each Y counts up.
class Maker {
 public:
  explicit Maker(const std::string& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose) {}
  hid_t id() const { return file_.id(); }

  void Array(const std::string& name, hid_t type, const std::vector<hsize_t>& dims, const std::vector<double>& values) {
    const Hdf5Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(links.id(), 1);
    const Hdf5Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
    const Hdf5Handle set(H5Dcreate2(id(), name.c_str(), type, space.id(), links.id(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Dclose);
    EXPECT_GE(H5Dwrite(set.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  }
  // X_ and Y_ of all parts under `prefix`.
  void Parts(const std::string& prefix, hid_t x_type, hid_t y_type, hsize_t rows, hsize_t channels, hsize_t length,
             hsize_t experiments) {
    for (const char* part : {"train", "valid", "test"}) {
      std::vector<double> x(rows * channels * length, 0.0), y;
      for (hsize_t i = 0; i < rows; ++i) {
        for (hsize_t p = 1; p + 1 < length; ++p) x[(i * channels + (i + p) % 4) * length + p] = 1;
        for (hsize_t c = 4; c < channels; ++c) {
          for (hsize_t p = 1; p + 1 < length; ++p) x[(i * channels + c) * length + p] = 1.0 / static_cast<double>(c);
        }
        for (hsize_t e = 0; e < experiments; ++e) y.push_back(static_cast<double>(10 * i + e));
      }
      Array(prefix + "X_" + part, x_type, {rows, channels, length}, x);
      Array(prefix + "Y_" + part, y_type, {rows, experiments}, y);
    }
  }
  void VariableNames(const std::string& name, std::vector<const char*> names) {
    const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.id(), H5T_VARIABLE);
    H5Tset_cset(type.id(), H5T_CSET_UTF8);
    const hsize_t count = names.size();
    const Hdf5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
    const Hdf5Handle set(H5Dcreate2(id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                         H5Dclose);
    EXPECT_GE(H5Dwrite(set.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, names.data()), 0);
  }

 private:
  Hdf5Handle file_;
};

absl::StatusOr<Dataset> ReadLength(const std::string& path, int length, std::vector<std::string> experiments = {}) {
  ReadOptions options;
  options.length = length;
  options.experiments = std::move(experiments);
  return ReadHdf5(path, options);
}

TEST(Hdf5, WhatIsWrittenReadsBack) {
  for (const int tracks : {0, 2, 5}) {
    const TemporaryFolder folder;
    Dataset dataset = Simulated(3, 2500);
    dataset.transformed = tracks == 2;
    dataset.sequences.structure_channels = tracks;
    for (int i = 0; i < 2500 * 41 * tracks; ++i) dataset.sequences.tracks.push_back(static_cast<float>(i % 97) / 97);
    if (tracks == 5) dataset.sequences.structure_source = "energies-0123456789abcdef";
    const Split split = MakeSplit(dataset, 3).value();
    ASSERT_TRUE(WriteHdf5(dataset, split, folder / "d.h5").ok());
    test::ThreadParallel parallel(1);
    const Dataset back = ReadDataset(folder / "d.h5", {}, parallel).value();
    ExpectEqual(back.experiments, dataset.experiments);
    ExpectEqual(back.transformed, dataset.transformed);
    ExpectEqual(back.sequences.structure_channels, tracks);
    const std::string source = tracks == 5 ? dataset.sequences.structure_source : tracks == 2 ? kGivenProfiles : "";
    ExpectEqual(back.sequences.structure_source, source);
    std::vector<int32_t> order = split.train;
    order.insert(order.end(), split.valid.begin(), split.valid.end());
    order.insert(order.end(), split.test.begin(), split.test.end());
    ASSERT_EQ(back.num_probes(), static_cast<int64_t>(order.size()));
    const Split again = MakeSplit(back, 99).value();
    ExpectEqual(again.train.size(), split.train.size());
    ExpectEqual(again.valid.front(), static_cast<int32_t>(split.train.size()));
    Dataset expected;  // the rows of `dataset` in the file's order
    for (const int32_t row : order) {
      const uint32_t* const packed = dataset.sequences.packed(row);
      expected.sequences.bases.insert(expected.sequences.bases.end(), packed, packed + PackedWords(41));
      expected.sequences.widths.push_back(dataset.sequences.widths[row]);
      const auto begin = dataset.sequences.tracks.begin() + static_cast<ptrdiff_t>(row) * 41 * tracks;
      expected.sequences.tracks.insert(expected.sequences.tracks.end(), begin, begin + 41 * tracks);
    }
    for (int64_t e = 0; e < 3; ++e) {
      for (const int32_t row : order) expected.targets.push_back(dataset.target(e)[row]);
    }
    test::ExpectSameBits<uint32_t>(back.sequences.bases, expected.sequences.bases, "bases");
    ExpectEqual(back.sequences.widths, expected.sequences.widths);
    test::ExpectSameBits<float>(back.sequences.tracks, expected.sequences.tracks, "tracks");
    test::ExpectSameBits<float>(back.targets, expected.targets, "targets");
    const Dataset one = ReadLength(folder / "d.h5", 41, {"SIM00002"}).value();
    test::ExpectSameBits<float>(one.target(0), back.target(1), "one experiment");
  }
}

TEST(Hdf5, ReadsForeignTypesAndNames) {
  const TemporaryFolder folder;
  int file = 0;
  for (const hid_t type : {H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_I8LE}) {
    const std::string path = folder / std::to_string(file++);
    {
      Maker maker(path);
      maker.Parts("", type, H5T_IEEE_F64LE, 5, 4, 10, 2);
      if (file == 2) maker.VariableNames("experiment", {"RNC1", "RNC2"});
    }
    const Dataset dataset = ReadLength(path, 10).value();
    ExpectEqual(dataset.transformed, true);
    ExpectEqual(dataset.experiments, file == 2 ? std::vector<std::string>({"RNC1", "RNC2"})
                                               : std::vector<std::string>({"experiment1", "experiment2"}));
    ExpectEqual(dataset.num_probes(), int64_t{15});
    ExpectEqual(dataset.sequences.widths[0], uint16_t{8});
    ExpectEqual(static_cast<int>(BaseAt(dataset.sequences.packed(1), 10, 3)), 0);  // (1 + 3) % 4
    ExpectEqual(dataset.target(1)[7], 21.0f);
    ExpectEqual(dataset.parts[4], Part::kTrain);
    ExpectEqual(dataset.parts[5], Part::kValid);
    ExpectEqual(dataset.parts[14], Part::kTest);
  }
}

TEST(Hdf5, ReadsAGroupForEachProtein) {
  const TemporaryFolder folder;
  const std::string path = folder / "2009.h5";
  {
    Maker maker(path);
    maker.Parts("VTS1/", H5T_IEEE_F32LE, H5T_IEEE_F32LE, 3, 6, 12, 1);
    maker.Parts("HuR/", H5T_IEEE_F32LE, H5T_IEEE_F32LE, 2, 6, 12, 1);
  }
  const Dataset both = ReadLength(path, 12).value();
  ExpectEqual(both.experiments, std::vector<std::string>({"HuR", "VTS1"}));
  ExpectEqual(both.num_probes(), int64_t{15});
  ExpectEqual(both.sequences.structure_channels, 2);
  ExpectEqual(both.sequences.tracks[0], 0.0f);  // padded
  ExpectEqual(both.sequences.tracks[2], 0.25f);
  ExpectEqual(both.sequences.tracks[3], 0.2f);
  ExpectEqual(both.target(0)[1], 10.0f);
  ExpectEqual(std::isnan(both.target(0)[6]), true);  // VTS1's probe
  ExpectEqual(std::isnan(both.target(1)[0]), true);
  ExpectEqual(both.target(1)[7], 10.0f);
  const Dataset one = ReadLength(path, 12, {"VTS1"}).value();
  ExpectEqual(one.num_probes(), int64_t{9});
  ExpectError(ReadLength(path, 12, {"VTS2"}), StatusCode::kNotFound, {"2009.h5", "'VTS2'", "VTS1, HuR"});
}

TEST(Hdf5, RefusesBadContents) {
  const TemporaryFolder folder;
  const auto bad = [&](auto make, std::initializer_list<std::string> parts) {
    const std::string path = folder / "bad.h5";
    {
      Maker maker(path);
      make(maker);
    }
    ExpectError(ReadLength(path, 10), StatusCode::kInvalidArgument, parts);
  };
  const hid_t f = H5T_IEEE_F32LE;
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const auto base = [f](Maker& m) { m.Parts("", f, f, 2, 4, 10, 1); };
  const auto replace = [f](Maker& m, const char* name, const std::vector<hsize_t>& dims, std::vector<double> v) {
    H5Ldelete(m.id(), name, H5P_DEFAULT);
    m.Array(name, f, dims, v);
  };
  bad([](Maker&) {}, {"bad.h5: found no X_train", "expected"});
  bad([&](Maker& m) { m.Parts("", f, f, 2, 5, 10, 1); }, {"X_train: found shape (2, 5, 10)", "4, 6 or 9 channels"});
  bad([&](Maker& m) { m.Parts("", f, f, 2, 4, 12, 1); }, {"X_train: found shape (2, 4, 12)", "10 positions"});
  bad([&](Maker& m) { base(m), H5Ldelete(m.id(), "Y_valid", H5P_DEFAULT); }, {"Y_valid: found", "expected a dataset"});
  bad([&](Maker& m) { base(m), replace(m, "Y_test", {3, 1}, {1, 2, 3}); }, {"Y_test: found 3 rows", "expected 2"});
  bad([&](Maker& m) { base(m), replace(m, "Y_test", {2, 2}, {1, 2, 3, 4}); }, {"other numbers of channels"});
  bad([&](Maker& m) { base(m), replace(m, "Y_test", {2}, {1, 2}); }, {"Y_test: found 1 axes; expected 2"});
  bad([&](Maker& m) { base(m), replace(m, "Y_test", {2, 1}, {1, inf}); }, {"Y_test[1, 0]: found inf"});
  std::vector<double> half(80, 0.0), twice(80, 0.0);
  half[3] = 0.5;
  twice[5] = twice[15] = 1;
  bad([&](Maker& m) { base(m), replace(m, "X_valid", {2, 4, 10}, half); }, {"X_valid[0, 0-3, 3]: found 0.5 0 0 0"});
  bad([&](Maker& m) { base(m), replace(m, "X_valid", {2, 4, 10}, twice); }, {"X_valid[0, 0-3, 5]: found 1 1 0 0"});
  bad([&](Maker& m) { base(m), m.VariableNames("experiment", {"a", "b"}); }, {"experiment: found 2 names; expected 1"});
  bad(
      [&](Maker& m) {
        base(m), m.VariableNames("X", {"a"}), H5Lmove(m.id(), "X", m.id(), "experiment", 0, 0),
            replace(m, "Y_train", {2, 1}, {nan, nan}), replace(m, "Y_valid", {2, 1}, {nan, nan}),
            replace(m, "Y_test", {2, 1}, {nan, nan});
      },
      {"experiment a without any value"});
  bad([&](Maker& m) { base(m), m.Array("experiment", f, {1}, {1}); },
      {"experiment: found values that are not strings"});
  bad(
      [&](Maker& m) {
        m.Parts("", f, f, 2, 4, 10, 2), m.VariableNames("experiment", {"a", "a"});
      },
      {"experiment[1]: found 'a'"});
  bad([&](Maker& m) { base(m), H5Ldelete(m.id(), "Y_test", H5P_DEFAULT), m.VariableNames("Y_test", {"a"}); },
      {"Y_test: found values that are not numbers"});
}

// Room that was made and not filled reads as zeros: probes of N alone, scores of 0.
TEST(Hdf5, WhatWasNotWrittenIsRefused) {
  const TemporaryFolder folder;
  const auto write = [&](const char* name, std::vector<hsize_t> dims, std::vector<hsize_t> chunk, hsize_t written) {
    Maker maker(folder / "d.h5");
    maker.Parts("", H5T_IEEE_F32LE, H5T_IEEE_F32LE, 4, 4, 10, 1);
    EXPECT_GE(H5Ldelete(maker.id(), name, H5P_DEFAULT), 0);
    const int rank = static_cast<int>(dims.size());
    const Hdf5Handle create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    if (!chunk.empty()) {
      H5Pset_chunk(create.id(), rank, chunk.data());
      H5Pset_deflate(create.id(), 9);
    }
    const Hdf5Handle space(H5Screate_simple(rank, dims.data(), nullptr), H5Sclose);
    const Hdf5Handle set(
        H5Dcreate2(maker.id(), name, H5T_IEEE_F32LE, space.id(), H5P_DEFAULT, create.id(), H5P_DEFAULT), H5Dclose);
    if (written == 0) return;
    dims[0] = written;
    const std::vector<hsize_t> start(dims.size(), 0);
    const Hdf5Handle memory(H5Screate_simple(rank, dims.data(), nullptr), H5Sclose);
    H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, dims.data(), nullptr);
    const std::vector<double> values(written * (rank == 3 ? dims[1] * dims[2] : dims[1]), 1.0);
    EXPECT_GE(H5Dwrite(set.id(), H5T_NATIVE_DOUBLE, memory.id(), space.id(), H5P_DEFAULT, values.data()), 0);
  };
  const auto refuse = [&](std::initializer_list<std::string> parts) {
    ExpectError(ReadLength(folder / "d.h5", 10), StatusCode::kInvalidArgument, parts);
  };
  write("Y_valid", {4, 1}, {2, 1}, 4);
  ExpectEqual(ReadLength(folder / "d.h5", 10).ok(), true, "all chunks are there");
  write("Y_valid", {4, 1}, {2, 1}, 2);
  refuse({"/Y_valid: found room for 4 rows", "not all written", "expected a file that was written to its end"});
  write("Y_valid", {4, 1}, {}, 0);
  refuse({"/Y_valid: found room for 4 rows"});
  write("X_test", {4, 4, 10}, {}, 0);
  refuse({"/X_test: found room for 4 rows"});
  write("Y_valid", {4, 1 << 30}, {1, 1 << 10}, 0);
  refuse({"/Y_valid: found 1073741824 experiments", "at most 65536"});
  // Some kilobytes that say they are terabytes: refused before there is room for any of it.
  const hsize_t rows = INT32_MAX;
  {
    Maker maker(folder / "d.h5");
    maker.Parts("", H5T_IEEE_F32LE, H5T_IEEE_F32LE, 4, 4, 10, 1);
    for (const auto& [name, dims] : {std::pair<const char*, std::vector<hsize_t>>{"X_train", {rows, 4, 10}},
                                     std::pair<const char*, std::vector<hsize_t>>{"Y_train", {rows, 1}}}) {
      H5Ldelete(maker.id(), name, H5P_DEFAULT);
      const Hdf5Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
      Hdf5Handle(H5Dcreate2(maker.id(), name, H5T_IEEE_F32LE, space.id(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                 H5Dclose);
    }
  }
  refuse({"/X_train: found room for 2147483647 rows"});
}

// A file that makes the reader open another one: by a link, by raw data kept elsewhere, by a virtual dataset.
TEST(Hdf5, OtherFilesAreLeftAlone) {
  const TemporaryFolder folder;
  const std::string whole = folder / "whole.h5", bytes = folder.Write("bytes", std::string(8 * 3 * 2, '\1'));
  { Maker(whole).Parts("", H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, 3, 4, 9, 2); }
  const hsize_t dims[] = {3, 2};
  const Hdf5Handle space(H5Screate_simple(2, dims, nullptr), H5Sclose);
  const std::function<void(hid_t)> tricks[] = {
      [&](hid_t file) { H5Lcreate_external(whole.c_str(), "/Y_train", file, "Y_train", H5P_DEFAULT, H5P_DEFAULT); },
      [&](hid_t file) {
        const Hdf5Handle made(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
        H5Pset_external(made.id(), bytes.c_str(), 0, 8 * 3 * 2);
        Hdf5Handle(H5Dcreate2(file, "Y_train", H5T_NATIVE_DOUBLE, space.id(), H5P_DEFAULT, made.id(), H5P_DEFAULT),
                   H5Dclose);
      },
      [&](hid_t file) {
        const Hdf5Handle made(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
        H5Pset_virtual(made.id(), space.id(), whole.c_str(), "/Y_train", space.id());
        Hdf5Handle(H5Dcreate2(file, "Y_train", H5T_NATIVE_DOUBLE, space.id(), H5P_DEFAULT, made.id(), H5P_DEFAULT),
                   H5Dclose);
      }};
  int number = 0;
  for (const auto& trick : tricks) {
    const std::string path = folder / ("trick" + std::to_string(number++));
    {
      Maker file(path);
      file.Parts("", H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, 3, 4, 9, 2);
      ASSERT_GE(H5Ldelete(file.id(), "Y_train", H5P_DEFAULT), 0);
      trick(file.id());
    }
    ReadOptions options;
    options.length = 9;
    ExpectError(ReadHdf5(path, options), StatusCode::kInvalidArgument, {path, "/Y_train"});
    ExpectEqual(ReadHdf5(whole, options).ok(), true, "and the other file is one that reads");
  }
}

TEST(Hdf5, DamagedFilesAreErrorsAndStayQuiet) {
  const TemporaryFolder folder;
  const Dataset dataset = Simulated(2, 60);
  const Split split = MakeSplit(dataset, 3).value();
  ASSERT_TRUE(WriteHdf5(dataset, split, folder / "d.h5").ok());
  const std::string whole = test::ReadAll(folder / "d.h5");
  test::ThreadParallel parallel(1);
  testing::internal::CaptureStderr();
  for (size_t cut = 8; cut < whole.size(); cut += 1 + whole.size() / 400) {
    const std::string path = folder.Write("cut.h5", std::string_view(whole).substr(0, cut));
    ExpectError(ReadDataset(path, {}, parallel), StatusCode::kInvalidArgument, {"cut.h5", "expected"});
  }
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    std::string junk = whole.substr(0, 8);
    for (int k = 0; k < 2000; ++k) junk += static_cast<char>(random());
    ExpectError(ReadDataset(folder.Write("junk.h5", junk), {}, parallel), StatusCode::kInvalidArgument, {"junk.h5"});
  }
  ExpectEqual(testing::internal::GetCapturedStderr(), std::string());
  ExpectError(ReadHdf5(folder / "absent.h5", {}), StatusCode::kInvalidArgument, {"absent.h5", "expected"});
}

}  // namespace
}  // namespace rb
