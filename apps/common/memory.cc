#include "apps/common/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"

namespace rb::apps {

double AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  double kib = 0, available = 0;
  while (available == 0 && file >> key >> kib >> unit) {
    if (key == "MemAvailable:") available = kib * 1024;
  }
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    const double most = static_cast<double>(limit.rlim_cur);
    available = available == 0 ? most : std::min(available, most);
  }
  return available;
}

absl::Status CheckMemory(double bytes, const char* what, const char* hint) {
  const double available = AvailableMemory();
  if (available == 0 || bytes <= available) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(what, " would take ", Bytes(bytes), " of memory, and ",
                                                   Bytes(available), " are free; expected ", hint));
}

}  // namespace rb::apps
