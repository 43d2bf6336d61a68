#include "model/checkpoint.h"

#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/exact_text.h"
#include "model/run_files.h"
#include "model/safetensors.h"

namespace rb {
namespace {

constexpr char kFormat[] = "residualbind-checkpoint";
constexpr char kFormatVersion[] = "2";  // 1 held all models of a run

// Numbers travel as F64 tensors: exact, NaN included. Counts stay far below 2^53.
std::vector<double> PackSchedule(const TrainState& state) {
  const ScheduleState& s = state.schedule;
  return {static_cast<double>(s.epoch),
          s.learning_rate,
          s.best,
          static_cast<double>(s.best_epoch),
          static_cast<double>(s.since_best),
          static_cast<double>(s.since_decay),
          s.stopped ? 1.0 : 0.0,
          static_cast<double>(state.step)};
}
constexpr size_t kScheduleValues = 8;

bool IsCount(double value, double most) { return value >= 0 && value <= most && value == std::floor(value); }

bool UnpackSchedule(const std::vector<double>& v, TrainState* state) {
  if (v.size() != kScheduleValues) return false;
  for (const size_t i : {0, 3, 4, 5}) {
    if (!IsCount(v[i], 1e9)) return false;
  }
  if (!IsCount(v[6], 1) || !IsCount(v[7], 9e15)) return false;
  ScheduleState& s = state->schedule;
  s.epoch = static_cast<int>(v[0]);
  s.learning_rate = v[1];
  s.best = v[2];
  s.best_epoch = static_cast<int>(v[3]);
  s.since_best = static_cast<int>(v[4]);
  s.since_decay = static_cast<int>(v[5]);
  s.stopped = v[6] != 0;
  state->step = static_cast<uint64_t>(v[7]);
  return true;
}

constexpr size_t kReportValues = 8;

std::vector<double> PackHistory(const std::vector<EpochReport>& history) {
  std::vector<double> v;
  for (const EpochReport& r : history) {
    v.insert(v.end(), {static_cast<double>(r.epoch), r.train_loss, r.valid_loss, r.valid_metric, r.learning_rate,
                       r.best ? 1.0 : 0.0, r.stopped ? 1.0 : 0.0, r.seconds});
  }
  return v;
}

bool UnpackHistory(const std::vector<double>& v, const std::string& experiment, std::vector<EpochReport>* history) {
  if (v.size() % kReportValues != 0) return false;
  for (size_t i = 0; i < v.size(); i += kReportValues) {
    if (v[i] != static_cast<double>(i / kReportValues + 1)) return false;
    history->push_back({experiment, static_cast<int>(v[i]), v[i + 1], v[i + 2], v[i + 3], v[i + 4], v[i + 5] != 0,
                        v[i + 6] != 0, v[i + 7], 0});
  }
  return true;
}

void AddState(const TrainState& state, SafeTensors* content) {
  const std::vector<double> schedule = PackSchedule(state), history = PackHistory(state.history);
  content->tensors.push_back(TensorF64("schedule", {static_cast<int64_t>(schedule.size())}, schedule));
  content->tensors.push_back(
      TensorF64("history", {static_cast<int64_t>(state.history.size()), static_cast<int64_t>(kReportValues)}, history));
  const auto add = [&](const char* what, const std::vector<float>& values) {
    if (values.empty()) return;
    content->tensors.push_back(TensorF32(what, {static_cast<int64_t>(values.size())}, values));
  };
  add("parameters", state.parameters);
  add("adam_m", state.adam_m);
  add("adam_v", state.adam_v);
  add("best", state.best);
  if (!state.failure.empty()) content->metadata["failure"] = state.failure;
}

absl::Status ReadState(const SafeTensors& content, size_t storage, const std::string& experiment, TrainState* state) {
  const NamedTensor* schedule = content.Find("schedule");
  const NamedTensor* history = content.Find("history");
  if (schedule == nullptr || !UnpackSchedule(ValuesF64(*schedule), state))
    return absl::InvalidArgumentError("its schedule is not readable");
  if (history == nullptr || !UnpackHistory(ValuesF64(*history), experiment, &state->history)) {
    return absl::InvalidArgumentError("its history is not readable");
  }
  const auto read = [&](const char* what, std::vector<float>* values) {
    if (const NamedTensor* tensor = content.Find(what)) *values = ValuesF32(*tensor);
  };
  read("parameters", &state->parameters);
  read("adam_m", &state->adam_m);
  read("adam_v", &state->adam_v);
  read("best", &state->best);
  const auto failure = content.metadata.find("failure");
  if (failure != content.metadata.end()) state->failure = failure->second;

  const ScheduleState& s = state->schedule;
  const size_t running = s.stopped || s.epoch == 0 ? 0 : storage;
  const bool has_best = s.best_epoch > 0 || (s.stopped && state->failure.empty());
  if (state->parameters.size() != running || state->adam_m.size() != running || state->adam_v.size() != running ||
      state->best.size() != (has_best ? storage : 0) || state->history.size() != static_cast<size_t>(s.epoch)) {
    return absl::InvalidArgumentError("its tensors do not fit its epoch");
  }
  return absl::OkStatus();
}

absl::Status CheckFormat(const SafeTensors& content) {
  const auto text = [&](const char* key) {
    const auto at = content.metadata.find(key);
    return at == content.metadata.end() ? std::string() : at->second;
  };
  if (text("format") != kFormat) return absl::InvalidArgumentError("is no checkpoint of this program");
  if (text("format_version") != kFormatVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("is a checkpoint of another format version; this program reads version ", kFormatVersion));
  }
  if (text(kChecksumKey).empty() || text(kHeaderChecksumKey).empty())
    return absl::InvalidArgumentError("has no checksum");
  return absl::OkStatus();
}

absl::Status FillCheckpoint(const SafeTensors& content, Checkpoint* checkpoint) {
  RB_RETURN_IF_ERROR(CheckFormat(content));
  RB_ASSIGN_OR_RETURN(checkpoint->config, ConfigFromSettings(content.metadata));
  const auto fingerprint = content.metadata.find("fingerprint");
  if (fingerprint == content.metadata.end()) return absl::InvalidArgumentError("has no fingerprint of its data");
  checkpoint->fingerprint = fingerprint->second;
  const size_t storage = static_cast<size_t>(ParameterTable(checkpoint->config.shape).storage());
  const auto name = content.metadata.find("experiment");
  if (name == content.metadata.end()) return absl::InvalidArgumentError("names no experiment");
  checkpoint->experiment = name->second;
  return ReadState(content, storage, name->second, &checkpoint->state);
}

}  // namespace

std::string CheckpointPath(const std::string& output, const std::string& folder) {
  return (std::filesystem::path(output) / folder / "checkpoint.safetensors").string();
}
std::string PreviousCheckpointPath(const std::string& output, const std::string& folder) {
  return (std::filesystem::path(output) / folder / "checkpoint.previous.safetensors").string();
}

absl::Status WriteCheckpoint(const Checkpoint& checkpoint, const std::string& path, const std::string& previous) {
  SafeTensors content;
  content.metadata = SettingsOf(checkpoint.config);
  content.metadata["format"] = kFormat;
  content.metadata["format_version"] = std::string(kFormatVersion);
  content.metadata["version"] = RB_VERSION;
  content.metadata["fingerprint"] = checkpoint.fingerprint;
  content.metadata["experiment"] = checkpoint.experiment;
  AddState(checkpoint.state, &content);
  const absl::StatusOr<std::string> bytes = SerializeSafeTensors(content);
  if (!bytes.ok()) return absl::Status(bytes.status().code(), absl::StrCat(path, ": ", bytes.status().message()));
  return WriteFileKeepingLast(path, *bytes, previous);
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  RB_ASSIGN_OR_RETURN(const SafeTensors content, ReadSafeTensors(path));
  Checkpoint checkpoint;
  const absl::Status status = FillCheckpoint(content, &checkpoint);
  if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
  return checkpoint;
}

absl::Status CheckSameModel(const Checkpoint& found, const Checkpoint& expected, const std::string& path) {
  const auto differs = [&](const std::string& what) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": ", what, "; use the settings and data of its run, or another output folder"));
  };
  const auto before = SettingsOf(found.config), now = SettingsOf(expected.config);
  for (const auto& [name, value] : now) {
    const auto old = before.find(name);
    const std::string was = old == before.end() ? "absent" : old->second;
    if (was != value) return differs(absl::StrCat("the checkpoint's ", name, " is ", was, ", this run's is ", value));
  }
  if (found.experiment != expected.experiment) {
    return differs(absl::StrCat("the checkpoint's experiment is '", found.experiment, "', this run's is '",
                                expected.experiment, "'"));
  }
  if (found.fingerprint != expected.fingerprint) {
    return differs("the checkpoint was made from other data (sequences, scores or split differ)");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TrainState>> FindCheckpoint(const Checkpoint& expected, const std::string& output,
                                                         const std::string& folder, std::string* note) {
  std::vector<std::string> faults;
  for (const std::string& path : {CheckpointPath(output, folder), PreviousCheckpointPath(output, folder)}) {
    if (!FileExists(path)) continue;
    absl::StatusOr<Checkpoint> found = ReadCheckpoint(path);
    if (!found.ok()) {
      faults.push_back(std::string(found.status().message()));
      continue;
    }
    RB_RETURN_IF_ERROR(CheckSameModel(*found, expected, path));
    if (!faults.empty()) *note = absl::StrCat(faults[0], "; going on from ", path);
    return std::move(found->state);
  }
  if (faults.empty()) return std::nullopt;
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(faults, "; "), faults.size() == 1 ? "; there is none before it" : "",
                   "; expected a usable checkpoint, or none to train the model from its beginning"));
}

}  // namespace rb
