#include "apps/sweep/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "apps/common/json_integer.h"
#include "apps/common/outputs.h"
#include "apps/common/run_record.h"
#include "apps/predict/metrics_table.h"
#include "data/sha256.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/checkpoint.h"
#include "model/run_files.h"

namespace rb::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::optional<Json> ReadJson(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  Json json = Json::parse(file, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

// JSON has no NaN: null stands for it.
double Number(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Json ToJson(const SweepResult& result, const std::string& experiment) {
  Json json = {{"id", result.id},
               {"experiment", experiment},
               {"state", result.failure.empty() ? "finished" : "failed"},
               {"version", result.version}};
  if (!result.failure.empty()) {
    json["failure"] = result.failure;
    return json;
  }
  json["epochs"] = result.epochs;
  json["best_epoch"] = result.best_epoch;
  json["best_metric"] = result.best_metric;
  json["model_sha256"] = result.model_sha256;
  json["history_sha256"] = result.history_sha256;
  if (!result.tested) return json;
  json["test"] = {{"n", result.test.n}};
  for (const auto& [name, value] : MetricColumns(true)) json["test"][name] = result.test.*value;
  return json;
}

absl::StatusOr<SweepResult> FromJson(const Json& json, const std::string& path) {
  const absl::Status unreadable = absl::InvalidArgumentError(absl::StrCat(path, " cannot be read"));
  SweepResult result;
  try {
    json.at("id").get_to(result.id);
    json.at("experiment").get_to(result.test.experiment);
    json.at("version").get_to(result.version);
    if (json.at("state") == "failed") {
      json.at("failure").get_to(result.failure);
      return result;
    }
    if (!GetInteger(json, "epochs", 0, &result.epochs) || !GetInteger(json, "best_epoch", 0, &result.best_epoch)) {
      return unreadable;
    }
    result.best_metric = Number(json.at("best_metric"));
    json.at("model_sha256").get_to(result.model_sha256);
    json.at("history_sha256").get_to(result.history_sha256);
    result.tested = json.contains("test");
    if (!result.tested) return result;
    const Json& test = json.at("test");
    if (!GetInteger(test, "n", 0, &result.test.n)) return unreadable;
    for (const auto& [name, value] : MetricColumns(true)) result.test.*value = Number(test.at(name));
  } catch (const nlohmann::json::exception&) {
    return unreadable;
  }
  return result;
}

std::string HistoryOf(const SweepPlan& plan, const SweepModel& model) {
  return HistoryPath(ModelsFolder(plan), model.folder);
}

// What is wrong with a finished model's files; "" when nothing is.
std::string Damage(const SweepPlan& plan, const SweepModel& model, const SweepResult& result) {
  for (const auto& [path, expected] : {std::pair(SweepModelPath(plan, model), result.model_sha256),
                                       std::pair(HistoryOf(plan, model), result.history_sha256)}) {
    const absl::StatusOr<std::string> found = Sha256OfFile(path);
    if (!found.ok()) return std::string(found.status().message());
    if (*found != expected) {
      return absl::StrCat(path, ": its SHA-256 is ", found->substr(0, 16), "..; expected ", expected.substr(0, 16),
                          "..");
    }
  }
  return "";
}

std::string ShardsFolder(const SweepPlan& plan) { return JoinPath(plan.folder, "shards"); }

absl::StatusOr<ShardRecord> ParseShardRecord(const Json& json) {
  ShardRecord r;
  if (!GetInteger(json, "of", 1, kMaxShards, &r.shard.count) ||
      !GetInteger(json, "shard", 0, r.shard.count - 1, &r.shard.index) || !GetInteger(json, "pid", 0, &r.pid) ||
      !GetInteger(json, "models", 0, &r.models) || !GetInteger(json, "finished", 0, &r.finished) ||
      !GetInteger(json, "failed", 0, &r.failed) || !GetInteger(json, "trained", 0, &r.trained)) {
    return absl::InvalidArgumentError("its numbers are not those of a shard");
  }
  try {
    json.at("state").get_to(r.state);
    json.at("host").get_to(r.host);
    json.at("version").get_to(r.version);
    json.at("device").get_to(r.device);
    json.at("started").get_to(r.started);
    json.at("updated").get_to(r.updated);
    json.at("seconds").get_to(r.seconds);
    json.at("sequences_per_second").get_to(r.sequences_per_second);
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return r;
}

}  // namespace

std::string ModelFolder(const SweepPlan& plan, const SweepModel& model) {
  return JoinPath(ModelsFolder(plan), model.folder);
}
std::string ResultPath(const SweepPlan& plan, const SweepModel& model) {
  return JoinPath(ModelFolder(plan, model), "result.json");
}
std::string SweepModelPath(const SweepPlan& plan, const SweepModel& model) {
  return ModelPath(ModelsFolder(plan), model.folder);
}

absl::Status WriteFinished(const SweepPlan& plan, const SweepModel& model, SweepResult result) {
  result.id = model.id;
  result.version = RB_VERSION;
  RB_ASSIGN_OR_RETURN(result.model_sha256, Sha256OfFile(SweepModelPath(plan, model)));
  RB_ASSIGN_OR_RETURN(result.history_sha256, Sha256OfFile(HistoryOf(plan, model)));
  return WriteFile(ResultPath(plan, model), DumpJson(ToJson(result, model.experiment)));
}

absl::Status WriteFailed(const SweepPlan& plan, const SweepModel& model, const std::string& failure) {
  SweepResult result;
  result.id = model.id;
  result.version = RB_VERSION;
  result.failure = failure;
  RB_RETURN_IF_ERROR(MakeFolder(ModelFolder(plan, model)));
  return WriteFile(ResultPath(plan, model), DumpJson(ToJson(result, model.experiment)));
}

const char* StateName(SweepState state) {
  switch (state) {
    case SweepState::kWaiting:
      return "waiting";
    case SweepState::kBegun:
      return "begun";
    case SweepState::kFinished:
      return "finished";
    case SweepState::kFailed:
      return "failed";
    case SweepState::kDamaged:
      return "damaged";
  }
  return "?";
}

SweepReport Inspect(const SweepPlan& plan, const SweepModel& model) {
  SweepReport report;
  std::error_code error;
  for (const auto path_of : {CheckpointPath, PreviousCheckpointPath}) {
    if (fs::exists(path_of(ModelsFolder(plan), model.folder), error)) report.state = SweepState::kBegun;
  }
  const std::string path = ResultPath(plan, model);
  if (!fs::exists(path, error)) return report;
  const std::optional<Json> json = ReadJson(path);
  const absl::StatusOr<SweepResult> result =
      json.has_value() ? FromJson(*json, path) : absl::InvalidArgumentError(absl::StrCat(path, " cannot be read"));
  if (!result.ok()) {
    report.state = SweepState::kDamaged;
    report.reason = std::string(result.status().message());
    return report;
  }
  if (result->id != model.id) return report;  // left by another plan
  report.result = *result;
  report.reason = result->failure;
  report.state = SweepState::kFailed;
  if (!result->failure.empty()) return report;
  report.reason = Damage(plan, model, *result);
  report.state = report.reason.empty() ? SweepState::kFinished : SweepState::kDamaged;
  return report;
}

absl::Status WriteShardRecord(const SweepPlan& plan, const ShardRecord& r) {
  RB_RETURN_IF_ERROR(MakeFolder(ShardsFolder(plan)));
  const Json json = {{"shard", r.shard.index},
                     {"of", r.shard.count},
                     {"state", r.state},
                     {"host", r.host},
                     {"pid", r.pid},
                     {"version", r.version},
                     {"device", r.device},
                     {"started", r.started},
                     {"updated", r.updated},
                     {"seconds", r.seconds},
                     {"models", r.models},
                     {"finished", r.finished},
                     {"failed", r.failed},
                     {"trained", r.trained},
                     {"models_per_second", r.seconds > 0 ? static_cast<double>(r.trained) / r.seconds : 0.0},
                     {"sequences_per_second", r.sequences_per_second}};
  return WriteFile(JoinPath(ShardsFolder(plan), r.shard.Name() + ".json"), DumpJson(json));
}

std::vector<ShardRecord> ReadShardRecords(const SweepPlan& plan) {
  std::vector<ShardRecord> records;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(ShardsFolder(plan), error)) {
    if (entry.path().extension() != ".json") continue;
    const std::optional<Json> json = ReadJson(entry.path().string());
    if (!json.has_value()) continue;
    if (absl::StatusOr<ShardRecord> record = ParseShardRecord(*json); record.ok()) records.push_back(*record);
  }
  std::sort(records.begin(), records.end(), [](const ShardRecord& a, const ShardRecord& b) {
    return std::pair(a.shard.count, a.shard.index) < std::pair(b.shard.count, b.shard.index);
  });
  return records;
}

absl::StatusOr<SweepLock> SweepLock::Open(const SweepPlan& plan) {
  const std::string path = JoinPath(plan.folder, "lock");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd >= 0) return SweepLock(fd);
  return absl::PermissionDeniedError(
      absl::StrCat(path, ": cannot be opened (", std::strerror(errno), "); expected a folder that can be written"));
}

SweepLock::SweepLock(SweepLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)), available_(other.available_) {}

SweepLock& SweepLock::operator=(SweepLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(available_, other.available_);
  return *this;
}

SweepLock::~SweepLock() {
  if (fd_ >= 0) ::close(fd_);
}

bool SweepLock::Lock(int64_t begin, int64_t count) {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = begin;
  range.l_len = count;
  if (::fcntl(fd_, F_OFD_SETLK, &range) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  available_ = false;
  return true;
}

bool SweepLock::Take(int64_t index) { return Lock(index, 1); }
bool SweepLock::TakeAll() { return Lock(0, 0); }

bool SweepLock::IsTaken(int64_t index) const {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = index;
  range.l_len = 1;
  return ::fcntl(fd_, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

}  // namespace rb::apps
