// One process at a time in a folder; a kill leaves no lock behind.
#include "data/folder_lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/data/data_test_support.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;

// Another process that takes the lock and holds it until it is killed; returns when it has it.
pid_t StartHolder(const std::string& folder) {
  int ready[2];
  if (pipe(ready) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FolderLock::Take(folder);
    const char byte = lock.ok() ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte = 0;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  close(ready[0]);
  close(ready[1]);
  return child;
}

TEST(FolderLock, RefusedWhileAnotherHasItAndFreeAfterAKill) {
  const test::TemporaryFolder folder;
  const std::string path = folder.string(), file = folder / ".lock";
  for (int round = 0; round < 3; ++round) {
    const pid_t holder = StartHolder(path);
    ASSERT_GT(holder, 0);
    const auto refused = FolderLock::Take(path);
    ExpectEqual(refused.status().code(), absl::StatusCode::kFailedPrecondition);
    char host[256] = {};
    ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
    for (const std::string& part : {path, "process " + std::to_string(holder), std::string(host)}) {
      ExpectEqual(std::string(refused.status().message()).find(part) != std::string::npos, true, part);
    }
    ExpectEqual(std::filesystem::exists(file), true, "a refusal does not remove it");
    kill(holder, SIGKILL);
    ASSERT_EQ(waitpid(holder, nullptr, 0), holder);
    ExpectEqual(std::filesystem::exists(file), true, "the file of the killed process");
    const auto taken = FolderLock::Take(path);
    ExpectEqual(taken.ok(), true, std::string(taken.status().message()));
    ExpectEqual(taken->note(), std::string());
    std::ifstream stream(file);
    std::string text;
    std::getline(stream, text);
    ExpectEqual(text, "process " + std::to_string(getpid()) + " on " + host);
  }
  ExpectEqual(std::filesystem::exists(file), false, "removed at the end");
}

TEST(FolderLock, TwiceInOneProcessAndMoved) {
  const test::TemporaryFolder folder;
  const std::string path = folder.string();
  auto first = FolderLock::Take(path);
  ASSERT_TRUE(first.ok());
  FolderLock moved = *std::move(first);
  ExpectEqual(FolderLock::Take(path).status().code(), absl::StatusCode::kFailedPrecondition);
  {
    const FolderLock last = std::move(moved);
    ExpectEqual(FolderLock::Take(path).ok(), false);
  }
  ExpectEqual(FolderLock::Take(path).ok(), true);
}

TEST(FolderLock, NoFolder) {
  const test::TemporaryFolder folder;
  const std::string absent = folder / "absent";
  const auto lock = FolderLock::Take(absent);
  ExpectEqual(lock.status().code(), absl::StatusCode::kNotFound);
  ExpectEqual(std::string(lock.status().message()).find(absent) != std::string::npos, true);
}

}  // namespace
}  // namespace rb
