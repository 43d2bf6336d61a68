#include "apps/common/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/common/text.h"

namespace rb::apps {

namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// The files of a version of control groups.
struct Files {
  const char *mount, *limit, *used, *reclaimable;
};
constexpr Files kVersion1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                             "total_inactive_file"};
constexpr Files kVersion2 = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

// The number in `file`, or behind the word `key` in it; `absent` where there is none ("max").
double NumberIn(const std::string& file, const std::string& key, double absent) {
  std::ifstream in(file);
  std::string word;
  while (!key.empty() && in >> word && word != key) {
  }
  double number = absent;
  return in >> number ? number : absent;
}

// What the group and those it lies in leave. Of what they hold, files' pages that nobody used of late make room when it
// is wanted.
double LeftInGroup(const std::string& root, const Files& files, std::string group) {
  double left = kUnlimited;
  for (;; group.resize(group.rfind('/'))) {
    const std::string folder = root + files.mount + group + "/";
    const double limit = NumberIn(folder + files.limit, "", kUnlimited);
    const double used = NumberIn(folder + files.used, "", 0);
    const double reclaimable = NumberIn(folder + "memory.stat", files.reclaimable, 0);
    left = std::min(left, limit - std::max(0.0, used - reclaimable));
    if (group.rfind('/') == std::string::npos) return left;
  }
}

// Lines of /proc/self/cgroup are NUMBER:CONTROLLERS:/GROUP, that of version 2 without controllers. In a container the
// group may be named as it is outside: the folders that exist count.
double LeftInGroups(const std::string& root) {
  std::ifstream in(root + "/proc/self/cgroup");
  double left = kUnlimited;
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    const bool memory = std::find(controllers.begin(), controllers.end(), "memory") != controllers.end();
    if (!memory && !parts[1].empty()) continue;
    const std::string group = parts[2] == "/" ? "" : parts[2];
    left = std::min(left, LeftInGroup(root, memory ? kVersion1 : kVersion2, group));
  }
  return left;
}

}  // namespace

double AvailableMemory(const std::string& root) {
  double available = NumberIn(root + "/proc/meminfo", "MemAvailable:", kUnlimited) * 1024;
  available = std::min(available, LeftInGroups(root));
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    available = std::min(available, static_cast<double>(limit.rlim_cur));
  }
  return available == kUnlimited ? 0 : std::max(available, 1.0);  // 0 says that it is not known
}

absl::Status CheckMemory(double bytes, const char* what, const char* hint) {
  const double available = AvailableMemory();
  if (available == 0 || bytes <= available) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(what, " would take ", Bytes(bytes), " of memory, and ",
                                                   Bytes(available), " are free; expected ", hint));
}

}  // namespace rb::apps
