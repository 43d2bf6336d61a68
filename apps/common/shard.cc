#include "apps/common/shard.h"

#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/command.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

// Whether the variable is there; when it is, it must be a number.
absl::StatusOr<std::optional<int64_t>> Variable(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  int64_t value = 0;
  if (absl::SimpleAtoi(text, &value) && value >= 0 && value <= 100 * kMaxShards) return value;
  return UsageError(absl::StrCat("--shard auto: ", name, " is '", text, "'; expected a number"));
}

absl::StatusOr<Shard> Checked(const std::string& text, int64_t index, int64_t count) {
  if (count >= 1 && count <= kMaxShards && index >= 0 && index < count) return Shard{index, count};
  return UsageError(absl::StrCat("--shard ", text, ": shard ", index, " of ", count,
                                 "; expected I/N with I from 0 to N - 1 and N of at most ", kMaxShards));
}

// Of a job array without gaps.
absl::StatusOr<Shard> FromArray(int64_t id) {
  RB_ASSIGN_OR_RETURN(const std::optional<int64_t> first, Variable("SLURM_ARRAY_TASK_MIN"));
  RB_ASSIGN_OR_RETURN(const std::optional<int64_t> last, Variable("SLURM_ARRAY_TASK_MAX"));
  RB_ASSIGN_OR_RETURN(const std::optional<int64_t> step, Variable("SLURM_ARRAY_TASK_STEP"));
  RB_ASSIGN_OR_RETURN(const std::optional<int64_t> count, Variable("SLURM_ARRAY_TASK_COUNT"));
  const int64_t by = step.value_or(1);
  if (!first.has_value() || !last.has_value() || by < 1 || id < *first || id > *last || (id - *first) % by != 0 ||
      (count.has_value() && *count != (*last - *first) / by + 1)) {
    return UsageError(absl::StrCat("--shard auto: task ", id,
                                   " is not of a job array from SLURM_ARRAY_TASK_MIN to _MAX ",
                                   "by _STEP without gaps; expected one, or --shard I/N"));
  }
  return Checked("auto", (id - *first) / by, (*last - *first) / by + 1);
}

absl::StatusOr<Shard> FromScheduler() {
  RB_ASSIGN_OR_RETURN(const std::optional<int64_t> id, Variable("SLURM_ARRAY_TASK_ID"));
  if (id.has_value()) return FromArray(*id);
  for (const auto& [index, count] :
       {std::pair("SLURM_PROCID", "SLURM_NTASKS"), std::pair("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")}) {
    RB_ASSIGN_OR_RETURN(const std::optional<int64_t> i, Variable(index));
    RB_ASSIGN_OR_RETURN(const std::optional<int64_t> n, Variable(count));
    if (i.has_value() && n.has_value()) return Checked("auto", *i, *n);
  }
  return UsageError(
      "--shard auto: no job array, Slurm task or MPI rank in the environment; expected one, or --shard I/N");
}

}  // namespace

std::string Shard::Name() const { return absl::StrCat(index, "-of-", count); }

absl::StatusOr<Shard> ParseShard(const std::string& text) {
  if (text.empty()) return Shard{};
  if (text == "auto") return FromScheduler();
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  int64_t index = 0, count = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &index) || !absl::SimpleAtoi(parts[1], &count)) {
    return UsageError(absl::StrCat("--shard ", text, ": expected I/N, for example 0/4, or auto"));
  }
  return Checked(text, index, count);
}

}  // namespace rb::apps
