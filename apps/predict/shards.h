// The files through which parts of a `predict` run meet: one of each shard, put together by `predict merge`.
#ifndef RB_APPS_PREDICT_SHARDS_H_
#define RB_APPS_PREDICT_SHARDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/shard.h"

namespace rb::apps {

struct PredictShard {
  Shard shard;
  int64_t sequences = 0;      // of all shards
  std::string settings;       // all that predictions depend on, as text: the same in every shard
  std::string header, rows;   // of the table
  std::vector<int64_t> ends;  // where each of the shard's sequences ends in `rows`, in their order
};

// OUT.shard-0-of-3.safetensors
std::string PredictShardPath(const std::string& out, const Shard& shard);
absl::Status WritePredictShard(const std::string& out, const PredictShard& shard);

// All shards of OUT by their index. NotFound: none there, or not all of them (the message says which are missing);
// FailedPrecondition: shards of different runs; InvalidArgument: a damaged file.
absl::StatusOr<std::vector<PredictShard>> ReadPredictShards(const std::string& out);

// The table of one run: rows in the order of the input.
std::string MergedTable(const std::vector<PredictShard>& shards);

}  // namespace rb::apps

#endif  // RB_APPS_PREDICT_SHARDS_H_
