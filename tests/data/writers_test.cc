// Atomic writing and tables that read back.
#include "data/writers.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <string>

#include "data/readers.h"
#include "data/simulator.h"
#include "data/text.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

// While it lives files cannot grow beyond `bytes`: writing fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &saved_);
    rlimit limit = saved_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &saved_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit saved_{};
  void (*handler_)(int) = nullptr;
};

Simulation Simulated(int experiments, int probes) {
  SimulatorOptions options;
  options.experiments = experiments;
  options.probes = probes;
  options.missing = 0.05;
  return Simulate(options).value();
}

TEST(Writers, WriteFileReplacesAndLeavesNothingElse) {
  const TemporaryFolder folder;
  ExpectEqual(WriteFile(folder / "a.txt", "one").ok(), true);
  ExpectEqual(WriteFile(folder / "a.txt", "two\n").ok(), true);
  ExpectEqual(test::ReadAll(folder / "a.txt"), std::string("two\n"));
  ExpectEqual(folder.Entries(), std::vector<std::string>{"a.txt"});
  struct stat info {};
  ::stat((folder / "a.txt").c_str(), &info);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ExpectEqual(info.st_mode & 0777u, 0666u & ~mask);
}

TEST(Writers, FailuresNameThePathAndLeaveTheOldFile) {
  const TemporaryFolder folder;
  ExpectError(WriteFile(folder / "absent/a.txt", "x"), absl::StatusCode::kNotFound,
              {"absent/a.txt", "expected a writable"});
  ExpectError(WriteFile(folder.string(), "x"), absl::StatusCode::kFailedPrecondition, {folder.string()});
  ASSERT_TRUE(WriteFile(folder / "a.txt", "old").ok());
  {
    const FileSizeLimit full(1000);
    ExpectEqual(WriteFile(folder / "a.txt", std::string(5000, 'x')).ok(), false);
  }
  ExpectEqual(test::ReadAll(folder / "a.txt"), std::string("old"));
  ExpectEqual(folder.Entries(), std::vector<std::string>{"a.txt"});
  ExpectError(WriteFile("/dev/full", "x"), absl::StatusCode::kResourceExhausted, {"/dev/full", "No space left"});
  ExpectEqual(WriteFile("/dev/null", "x").ok(), true);
}

TEST(Writers, WriteAtomicallyKeepsOnlySuccess) {
  const TemporaryFolder folder;
  const absl::Status failed = WriteAtomically(folder / "b", [&](const std::string& temporary) {
    EXPECT_EQ(WriteFile(temporary, "half").ok(), true);
    return absl::DataLossError("half a file");
  });
  ExpectError(failed, absl::StatusCode::kDataLoss, {"half a file"});
  ExpectEqual(folder.Entries().empty(), true);
  ExpectEqual(WriteAtomically(folder / "b", [](const std::string& t) { return WriteFile(t, "whole"); }).ok(), true);
  ExpectEqual(test::ReadAll(folder / "b"), std::string("whole"));
  ExpectEqual(folder.Entries(), std::vector<std::string>{"b"});
}

TEST(Writers, TablesReadBackBitForBit) {
  for (const int experiments : {1, 3}) {
    const TemporaryFolder folder;
    Dataset dataset = Simulated(experiments, 500).dataset;
    dataset.targets[7] = -1.2345678e-30f;
    if (experiments == 3) {
      for (int i = 0; i < 500; ++i) dataset.sequences.ids.push_back(Concat("p", i));
    }
    ASSERT_TRUE(WriteTables(dataset, folder / "deep/er").ok());
    test::ThreadParallel parallel(2);
    const Dataset back = ReadDataset(folder / "deep/er", {}, parallel).value();
    ExpectEqual(back.experiments, dataset.experiments);
    ExpectEqual(back.folds, dataset.folds);
    ExpectEqual(back.sequences.widths, dataset.sequences.widths);
    ExpectEqual(back.sequences.bases, dataset.sequences.bases);
    ExpectEqual(back.sequences.ids, dataset.sequences.ids);
    test::ExpectSameBits<float>(back.targets, dataset.targets, "targets");
  }
}

TEST(Writers, TheFileBeforeIsKept) {
  const TemporaryFolder folder;
  const std::string path = folder / "a", previous = folder / "b";
  ASSERT_TRUE(WriteFileKeepingLast(path, "one", previous).ok());
  ExpectEqual(folder.Entries(), std::vector<std::string>{"a"});
  ASSERT_TRUE(WriteFileKeepingLast(path, "two", previous).ok());
  ASSERT_TRUE(WriteFileKeepingLast(path, "three", previous).ok());
  ExpectEqual(test::ReadAll(path), std::string("three"));
  ExpectEqual(test::ReadAll(previous), std::string("two"));
  {
    const FileSizeLimit full(1000);
    ExpectEqual(WriteFileKeepingLast(path, std::string(5000, 'x'), previous).ok(), false);
  }
  ExpectEqual(test::ReadAll(path), std::string("three"), "on a full disk both stay");
  ExpectEqual(test::ReadAll(previous), std::string("two"));
  ExpectEqual(folder.Entries().size(), size_t{2});
  // What a kill between the two renames leaves.
  ASSERT_EQ(rename(path.c_str(), previous.c_str()), 0);
  ASSERT_TRUE(WriteFileKeepingLast(path, "four", previous).ok());
  ExpectEqual(test::ReadAll(path), std::string("four"));
  ExpectEqual(test::ReadAll(previous), std::string("three"));
}

TEST(Writers, TablesOfAFixedSplitKeepTheTestSet) {
  const TemporaryFolder folder;
  Dataset dataset = Simulated(1, 30).dataset;
  dataset.folds.clear();
  dataset.parts.assign(30, Part::kTrain);
  dataset.parts[3] = Part::kTest;
  dataset.parts[4] = Part::kValid;
  ASSERT_TRUE(WriteTables(dataset, folder.string()).ok());
  test::ThreadParallel parallel(1);
  std::vector<Fold> expected(30, Fold::kA);
  expected[3] = Fold::kB;
  ExpectEqual(ReadDataset(folder.string(), {}, parallel).value().folds, expected);
}

TEST(Writers, TablesLeaveNothingOnAFullDisk) {
  const TemporaryFolder folder;
  const Dataset dataset = Simulated(2, 2000).dataset;
  {
    const FileSizeLimit full(20000);
    ExpectEqual(WriteTables(dataset, folder.string()).ok(), false);
  }
  ExpectEqual(folder.Entries().empty(), true);
}

TEST(Writers, Hdf5LeavesNothingOnAFullDisk) {
  const Dataset dataset = Simulated(2, 2000).dataset;
  const Split split = MakeSplit(dataset, 1).value();
  // At various points: creating, in the middle, while closing.
  for (const rlim_t bytes : {0, 1, 500, 2048, 5000, 20000, 40000, 60000}) {
    const TemporaryFolder folder;
    absl::Status status;
    {
      const FileSizeLimit full(bytes);
      status = WriteHdf5(dataset, split, folder / "data.h5");
    }
    ExpectEqual(status.ok(), false, Concat("limit ", bytes));
    ExpectEqual(folder.Entries().empty(), true, Concat("limit ", bytes));
  }
  const TemporaryFolder folder;
  ExpectEqual(WriteHdf5(dataset, split, folder / "data.h5").ok(), true);
  ExpectEqual(folder.Entries(), std::vector<std::string>{"data.h5"});
}

}  // namespace
}  // namespace rb
