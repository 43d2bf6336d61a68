// Free memory: of the machine, and of the control groups that this process may be in.
#include "apps/common/memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb::apps {
namespace {

using test::ExpectEqual;

constexpr double kMegabyte = 1e6;

// A machine with 8,192 kB of free memory in a folder.
class Machine {
 public:
  Machine() { Write("/proc/meminfo", "MemTotal: 99999 kB\nMemFree: 17 kB\nMemAvailable: 8192 kB\n"); }
  void Write(const std::string& path, const std::string& text) {
    const std::string full = root() + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    std::ofstream(full) << text;
  }
  double Available() const { return AvailableMemory(root()); }

 private:
  std::string root() const { return folder_.path("root"); }
  test::TemporaryFolder folder_;
};

TEST(AvailableMemory, IsTheMachinesWithoutGroups) {
  Machine machine;
  ExpectEqual(machine.Available(), 8192 * 1024.0);
  machine.Write("/proc/self/cgroup", "0::/job\n");
  ExpectEqual(machine.Available(), 8192 * 1024.0, "a group without files");
  machine.Write("/sys/fs/cgroup/job/memory.max", "max\n");
  machine.Write("/sys/fs/cgroup/job/memory.current", "5000000\n");
  ExpectEqual(machine.Available(), 8192 * 1024.0, "a group without a limit");
  ExpectEqual(AvailableMemory() > 0, true, "this machine");
}

TEST(AvailableMemory, IsLessInAGroup) {
  Machine machine;
  machine.Write("/proc/self/cgroup", "0::/slurm/job 7/step\n");
  machine.Write("/sys/fs/cgroup/slurm/job 7/memory.max", "5000000\n");
  machine.Write("/sys/fs/cgroup/slurm/job 7/memory.current", "4000000\n");
  ExpectEqual(machine.Available(), 1 * kMegabyte, "the limit of a group around it");
  machine.Write("/sys/fs/cgroup/slurm/job 7/memory.stat", "anon 1\nactive_file 3000000\ninactive_file 1500000\n");
  ExpectEqual(machine.Available(), 2.5 * kMegabyte, "files' pages can be reclaimed");
  machine.Write("/sys/fs/cgroup/slurm/job 7/step/memory.max", "2000000\n");
  machine.Write("/sys/fs/cgroup/slurm/job 7/step/memory.current", "700000\n");
  ExpectEqual(machine.Available(), 1.3 * kMegabyte, "the narrowest counts");
  machine.Write("/sys/fs/cgroup/slurm/job 7/step/memory.current", "2000000\n");
  ExpectEqual(machine.Available(), 1.0, "nothing left is known, too");
}

// A container whose group is the root of what it sees, though it has another name outside.
TEST(AvailableMemory, IsLessInAContainer) {
  for (const char* group : {"0::/\n", "0::/docker/0123abcd\n"}) {
    Machine machine;
    machine.Write("/proc/self/cgroup", group);
    machine.Write("/sys/fs/cgroup/memory.max", "4000000\n");
    machine.Write("/sys/fs/cgroup/memory.current", "1000000\n");
    ExpectEqual(machine.Available(), 3 * kMegabyte, group);
  }
}

TEST(AvailableMemory, IsLessInAGroupOfVersion1) {
  Machine machine;
  machine.Write("/proc/self/cgroup", "12:cpu,cpuacct:/a\n4:hugetlb,memory:/a/b\n0::/\n");
  machine.Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "6000000\n");
  machine.Write("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "2000000\n");
  machine.Write("/sys/fs/cgroup/memory/a/memory.stat", "inactive_file 7\ntotal_inactive_file 500000\n");
  machine.Write("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");  // none
  ExpectEqual(machine.Available(), 4.5 * kMegabyte);
}

}  // namespace
}  // namespace rb::apps
