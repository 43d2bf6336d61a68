// How much memory a command may take.
#ifndef RB_APPS_COMMON_MEMORY_H_
#define RB_APPS_COMMON_MEMORY_H_

#include <string>

#include "absl/status/status.h"

namespace rb::apps {

// Bytes that this process may still take: what the machine has left, less where a control group (a container, a job of
// Slurm) or the address space is limited. 0 where that is not known. Looks below `root`/proc and `root`/sys/fs/cgroup.
double AvailableMemory(const std::string& root = "");

// RESOURCE_EXHAUSTED with both numbers when `bytes` are more than AvailableMemory(). `hint`: what else could be done.
absl::Status CheckMemory(double bytes, const char* what, const char* hint);

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_MEMORY_H_
