#include "apps/shard.h"

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

std::optional<int64_t> Variable(const char* name) {
  const char* const text = std::getenv(name);
  int64_t value = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

absl::StatusOr<Shard> Checked(const std::string& text, int64_t index, int64_t count) {
  if (count >= 1 && count <= kMaxShards && index >= 0 && index < count) return Shard{index, count};
  return UsageError(absl::StrCat("--shard ", text, ": shard ", index, " of ", count,
                                 "; expected I/N with I from 0 to N - 1 and N of at most ", kMaxShards));
}

absl::StatusOr<Shard> FromScheduler() {
  if (const auto id = Variable("SLURM_ARRAY_TASK_ID")) {
    const int64_t first = Variable("SLURM_ARRAY_TASK_MIN").value_or(0);
    const int64_t step = Variable("SLURM_ARRAY_TASK_STEP").value_or(1);
    const auto last = Variable("SLURM_ARRAY_TASK_MAX");
    if (last.has_value() && step > 0) return Checked("auto", (*id - first) / step, (*last - first) / step + 1);
  }
  for (const auto& [index, count] :
       {std::pair("SLURM_PROCID", "SLURM_NTASKS"), std::pair("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")}) {
    const auto i = Variable(index), n = Variable(count);
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
