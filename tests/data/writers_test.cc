// Atomic writing and tables that read back.
#include "data/writers.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "data/readers.h"
#include "data/simulator.h"
#include "data/text.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

namespace fs = std::filesystem;
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

// Every way to write "content" to a path.
using Write = std::function<absl::Status(const std::string& path)>;
const std::vector<std::pair<std::string, Write>> kWays = {
    {"WriteFile", [](const std::string& path) { return WriteFile(path, "content"); }},
    {"WritePieces",
     [](const std::string& path) { return WritePieces(path, 2, [](int64_t i) { return i == 0 ? "con" : "tent"; }); }},
    {"WriteStream",
     [](const std::string& path) {
       return WriteStream(path, [](std::FILE* f) { return std::fputs("content", f), absl::OkStatus(); });
     }},
    {"WriteAtomically",
     [](const std::string& path) {
       return WriteAtomically(path, [](const std::string& temporary) {
         std::ofstream(temporary) << "content";
         return absl::OkStatus();
       });
     }},
};

TEST(Writers, LinksStayAndTheirTargetsAreWritten) {
  for (const auto& [name, write] : kWays) {
    const TemporaryFolder folder;
    fs::create_directories(folder / "real");
    folder.Write("real/old", "old");
    fs::create_symlink("old", folder / "real/second");
    fs::create_symlink("real/second", folder / "link");
    fs::create_symlink("real/new", folder / "dangling");
    ExpectEqual(write(folder / "link").ok(), true, name);
    ExpectEqual(write(folder / "dangling").ok(), true, name);
    for (const char* link : {"link", "dangling", "real/second"}) ExpectEqual(fs::is_symlink(folder / link), true, name);
    for (const char* file : {"real/old", "real/new"}) {
      ExpectEqual(fs::is_symlink(folder / file), false, name);
      ExpectEqual(test::ReadAll(folder / file), std::string("content"), name);
    }
    ExpectEqual(std::distance(fs::directory_iterator(folder / "real"), {}), ptrdiff_t{3}, name);
    fs::create_symlink("loop", folder / "loop");
    ExpectError(write(folder / "loop"), absl::StatusCode::kUnknown, {"loop", "links"});
    ExpectEqual(folder.Entries(), std::vector<std::string>{"dangling", "link", "loop", "real"}, name);
  }
}

TEST(Writers, PipesAndDevicesStayAndAreWritten) {
  for (const auto& [name, write] : kWays) {
    const TemporaryFolder folder;
    const std::string pipe = folder / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    fs::create_symlink("pipe", folder / "link");
    const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
    for (const char* path : {"pipe", "link"}) {
      ExpectEqual(write(folder / path).ok(), true, name);
      char got[16] = {};
      ExpectEqual(::read(reader, got, sizeof got), ssize_t{7}, name);
      ExpectEqual(std::string(got), std::string("content"), name);
    }
    ::close(reader);
    ExpectEqual(fs::is_fifo(fs::symlink_status(pipe)), true, name);
    ExpectError(write("/dev/full"), absl::StatusCode::kResourceExhausted, {"/dev/full"});
    ExpectEqual(folder.Entries(), std::vector<std::string>{"link", "pipe"}, name);
  }
}

// `> file` and `>> file` with --out /dev/stdout: behind what the descriptor has written already, into the same file.
TEST(Writers, OpenDescriptorsAreWrittenWhereTheyStand) {
  for (const auto& [name, write] : kWays) {
    const TemporaryFolder folder;
    const std::string path = folder.Write("out", "before ");
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::lseek(fd, 0, SEEK_END), 7);
    fs::create_symlink("/proc/self/fd/" + std::to_string(fd), folder / "link");
    ExpectEqual(write("/dev/fd/" + std::to_string(fd)).ok(), true, name);
    ExpectEqual(write(folder / "link").ok(), true, name);
    ExpectEqual(::write(fd, " after", 6), ssize_t{6}, name);
    ::close(fd);
    ExpectEqual(test::ReadAll(path), std::string("before contentcontent after"), name);
    ExpectEqual(folder.Entries(), std::vector<std::string>{"link", "out"}, name);
    ExpectEqual(write("/dev/fd/" + std::to_string(fd)).ok(), false, name + ", closed");
  }
}

TEST(Writers, ALinkIsKeptAsThePreviousFile) {
  const TemporaryFolder folder;
  folder.Write("other", "other run");
  fs::create_symlink("other", folder / "now");
  ExpectEqual(WriteFileKeepingLast(folder / "now", "new", folder / "before").ok(), true);
  ExpectEqual(test::ReadAll(folder / "now"), std::string("new"));
  ExpectEqual(test::ReadAll(folder / "before"), std::string("other run"));
  ExpectEqual(test::ReadAll(folder / "other"), std::string("other run"));
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
