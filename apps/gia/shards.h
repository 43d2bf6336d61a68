// The files through which parts of a `gia` run meet: one of each shard, put together by `gia merge`.
#ifndef RB_APPS_GIA_SHARDS_H_
#define RB_APPS_GIA_SHARDS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/shard.h"
#include "apps/gia/tables.h"

namespace rb::apps {

struct GiaShard {
  Shard shard;
  int64_t models = 0;  // of all shards
  GiaTableOptions tables;
  std::string settings;                            // all that results depend on, as text: the same in every shard
  std::vector<std::pair<int64_t, GiaPart>> parts;  // by the model's place among all
};

// FOLDER/gia-shard-0-of-3.safetensors, atomically.
std::string GiaShardPath(const std::string& folder, const Shard& shard);
absl::Status WriteGiaShard(const std::string& folder, const GiaShard& shard);

struct GiaParts {
  std::vector<GiaPart> parts;
  GiaTableOptions tables;
};
// All models' parts, in their order, from the shards in `folder`. NotFound: no shard there, or not all of them (the
// message says which are missing); FailedPrecondition: shards of different runs; InvalidArgument: a damaged file.
absl::StatusOr<GiaParts> ReadGiaShards(const std::string& folder);

}  // namespace rb::apps

#endif  // RB_APPS_GIA_SHARDS_H_
