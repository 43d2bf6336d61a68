#include "apps/predict/shards.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/outputs.h"
#include "engine/check.h"
#include "model/safetensors.h"

namespace rb::apps {
namespace {

constexpr char kSuffix[] = ".safetensors", kKind[] = "predict-shard 1";

std::string Prefix(const std::string& out) { return absl::StrCat(out, ".shard-"); }

absl::Status Fault(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what, "; expected a file that `predict --shard` wrote"));
}

NamedTensor TextTensor(std::string name, const std::string& text) {
  return {std::move(name), "U8", {std::ssize(text)}, text};
}

absl::StatusOr<PredictShard> ReadShard(const std::string& path) {
  RB_ASSIGN_OR_RETURN(const SafeTensors file, ReadSafeTensors(path));
  const auto metadata = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  PredictShard shard;
  Shard& s = shard.shard;
  if (metadata("kind") != kKind || metadata(kChecksumKey).empty() || metadata(kHeaderChecksumKey).empty() ||
      !absl::SimpleAtoi(metadata("shard"), &s.index) || !absl::SimpleAtoi(metadata("of"), &s.count) ||
      !absl::SimpleAtoi(metadata("sequences"), &shard.sequences)) {
    return Fault(path, "not a shard of a predict run");
  }
  if (s.count < 1 || s.count > kMaxShards || s.index < 0 || s.index >= s.count || shard.sequences < 0) {
    return Fault(
        path, absl::StrCat("it says to be shard ", s.index, " of ", s.count, ", of ", shard.sequences, " sequences"));
  }
  shard.settings = metadata("settings");
  const NamedTensor *const header = file.Find("header"), *const rows = file.Find("rows"),
                           *const ends = file.Find("ends");
  const std::vector<int64_t> share = {s.Share(shard.sequences)};
  if (header == nullptr || header->dtype != "U8" || rows == nullptr || rows->dtype != "U8" || ends == nullptr ||
      ends->dtype != "I64" || ends->shape != share) {
    return Fault(path, "its rows are not there, or not as many as they should be");
  }
  shard.header = header->bytes;
  shard.rows = rows->bytes;
  shard.ends.resize(static_cast<size_t>(share[0]));
  if (!shard.ends.empty()) std::memcpy(shard.ends.data(), ends->bytes.data(), ends->bytes.size());
  int64_t last = 0;
  for (const int64_t end : shard.ends) {
    if (end < last || end > std::ssize(shard.rows)) return Fault(path, "its rows do not end where they should");
    last = end;
  }
  if (last != std::ssize(shard.rows)) return Fault(path, "its rows do not end where they should");
  return shard;
}

}  // namespace

std::string PredictShardPath(const std::string& out, const Shard& shard) {
  return absl::StrCat(Prefix(out), shard.Name(), kSuffix);
}

absl::Status WritePredictShard(const std::string& out, const PredictShard& shard) {
  SafeTensors file;
  file.metadata = {{"kind", kKind},
                   {"shard", absl::StrCat(shard.shard.index)},
                   {"of", absl::StrCat(shard.shard.count)},
                   {"sequences", absl::StrCat(shard.sequences)},
                   {"settings", shard.settings}};
  const std::string_view ends(reinterpret_cast<const char*>(shard.ends.data()), shard.ends.size() * sizeof(int64_t));
  file.tensors = {{"ends", "I64", {std::ssize(shard.ends)}, std::string(ends)},
                  TextTensor("header", shard.header),
                  TextTensor("rows", shard.rows)};
  return WriteSafeTensors(file, PredictShardPath(out, shard.shard));
}

absl::StatusOr<std::vector<PredictShard>> ReadPredictShards(const std::string& out) {
  namespace fs = std::filesystem;
  const std::string prefix = fs::path(Prefix(out)).filename().string();
  std::map<int64_t, PredictShard> shards;
  std::string first;
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(ParentFolder(out), error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(kSuffix)) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  if (paths.empty()) {
    return absl::NotFoundError(absl::StrCat(out, ": no shard of it there; expected ", prefix, "0-of-N", kSuffix,
                                            " and the others, as `predict .. --shard I/N --out ", out,
                                            "` writes them"));
  }
  for (const std::string& path : paths) {
    RB_ASSIGN_OR_RETURN(PredictShard shard, ReadShard(path));
    if (!shards.empty()) {
      const PredictShard& other = shards.begin()->second;
      if (shard.shard.count != other.shard.count || shard.sequences != other.sequences ||
          shard.settings != other.settings || shard.header != other.header) {
        return absl::FailedPreconditionError(
            absl::StrCat(path, ": is of another run than ", paths[0],
                         " (models, input, flags, precision or version differ); expected shards of one run"));
      }
    }
    const int64_t index = shard.shard.index;
    if (!shards.try_emplace(index, std::move(shard)).second) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": shard ", index, " is there twice; expected one file of each"));
    }
  }
  const int64_t count = shards.begin()->second.shard.count;
  std::vector<std::string> missing;
  for (int64_t i = 0; i < count && missing.size() < 10; ++i) {
    if (!shards.contains(i)) missing.push_back(absl::StrCat(i));
  }
  if (!missing.empty()) {
    return absl::NotFoundError(absl::StrCat(out, ": shard ", absl::StrJoin(missing, ", "), " of ", count,
                                            " is missing; expected it to be run again"));
  }
  std::vector<PredictShard> all;
  for (auto& [index, shard] : shards) all.push_back(std::move(shard));
  return all;
}

std::string MergedTable(const std::vector<PredictShard>& shards) {
  std::string table = shards[0].header;
  size_t size = table.size();
  for (const PredictShard& shard : shards) size += shard.rows.size();
  table.reserve(size);
  const int64_t count = std::ssize(shards);
  for (int64_t i = 0; i < shards[0].sequences; ++i) {
    const PredictShard& shard = shards[static_cast<size_t>(i % count)];
    const size_t at = static_cast<size_t>(i / count);
    const int64_t begin = at == 0 ? 0 : shard.ends[at - 1];
    table.append(shard.rows, static_cast<size_t>(begin), static_cast<size_t>(shard.ends[at] - begin));
  }
  return table;
}

}  // namespace rb::apps
