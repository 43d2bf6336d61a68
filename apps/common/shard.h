// --shard: which part of a run this process does.
#ifndef RB_APPS_COMMON_SHARD_H_
#define RB_APPS_COMMON_SHARD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace rb::apps {

// The index-th of `count` processes takes items index, index + count, ..
struct Shard {
  int64_t index = 0, count = 1;

  bool Has(int64_t item) const { return item % count == index; }
  int64_t Share(int64_t items) const { return items <= index ? 0 : (items - index - 1) / count + 1; }
  std::string Name() const;  // "0-of-3"
};

inline constexpr int64_t kMaxShards = 1'000'000;

// "" is the whole; "2/8", counted from 0; "auto" reads what a scheduler tells its processes: Slurm's job arrays
// (SLURM_ARRAY_TASK_ID and _MIN, _MAX, _STEP), Slurm's tasks (SLURM_PROCID, SLURM_NTASKS), Open MPI's
// (OMPI_COMM_WORLD_RANK, _SIZE), the first of these that is there. A usage error for anything else.
absl::StatusOr<Shard> ParseShard(const std::string& text);

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_SHARD_H_
