#include "model/checkpoint.h"

#include <cmath>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "model/exact_text.h"
#include "model/safetensors.h"

namespace rb {
namespace {

constexpr char kFormat[] = "residualbind-checkpoint";
constexpr char kFormatVersion[] = "1";

std::string Name(size_t model, const char* what) { return absl::StrCat("model", model, ".", what); }

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
                        v[i + 6] != 0, v[i + 7]});
  }
  return true;
}

void AddState(size_t index, const TrainState& state, SafeTensors* content) {
  const std::vector<double> schedule = PackSchedule(state), history = PackHistory(state.history);
  content->tensors.push_back(TensorF64(Name(index, "schedule"), {static_cast<int64_t>(schedule.size())}, schedule));
  content->tensors.push_back(
      TensorF64(Name(index, "history"),
                {static_cast<int64_t>(state.history.size()), static_cast<int64_t>(kReportValues)}, history));
  const auto add = [&](const char* what, const std::vector<float>& values) {
    if (values.empty()) return;
    content->tensors.push_back(TensorF32(Name(index, what), {static_cast<int64_t>(values.size())}, values));
  };
  add("parameters", state.parameters);
  add("adam_m", state.adam_m);
  add("adam_v", state.adam_v);
  add("best", state.best);
  if (!state.failure.empty()) content->metadata[Name(index, "failure")] = state.failure;
}

absl::Status ReadState(const SafeTensors& content, size_t index, size_t storage, const std::string& experiment,
                       TrainState* state) {
  const auto fault = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("model ", index, " (", experiment, "): ", what));
  };
  const NamedTensor* schedule = content.Find(Name(index, "schedule"));
  const NamedTensor* history = content.Find(Name(index, "history"));
  if (schedule == nullptr || !UnpackSchedule(ValuesF64(*schedule), state)) return fault("its schedule is not readable");
  if (history == nullptr || !UnpackHistory(ValuesF64(*history), experiment, &state->history)) {
    return fault("its history is not readable");
  }
  const auto read = [&](const char* what, std::vector<float>* values) {
    if (const NamedTensor* tensor = content.Find(Name(index, what))) *values = ValuesF32(*tensor);
  };
  read("parameters", &state->parameters);
  read("adam_m", &state->adam_m);
  read("adam_v", &state->adam_v);
  read("best", &state->best);
  const auto failure = content.metadata.find(Name(index, "failure"));
  if (failure != content.metadata.end()) state->failure = failure->second;

  const ScheduleState& s = state->schedule;
  const size_t running = s.stopped || s.epoch == 0 ? 0 : storage;
  const bool has_best = s.best_epoch > 0 || (s.stopped && state->failure.empty());
  if (state->parameters.size() != running || state->adam_m.size() != running || state->adam_v.size() != running ||
      state->best.size() != (has_best ? storage : 0) || state->history.size() != static_cast<size_t>(s.epoch)) {
    return fault("its tensors do not fit its epoch");
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
  for (size_t i = 0;; ++i) {
    const auto name = content.metadata.find(Name(i, "experiment"));
    if (name == content.metadata.end()) break;
    checkpoint->experiments.push_back(name->second);
    RB_RETURN_IF_ERROR(ReadState(content, i, storage, name->second, &checkpoint->states.emplace_back()));
  }
  return absl::OkStatus();
}

}  // namespace

std::string CheckpointPath(const std::string& output) {
  return (std::filesystem::path(output) / "checkpoint.safetensors").string();
}

absl::Status WriteCheckpoint(const Checkpoint& checkpoint, const std::string& path) {
  RB_CHECK(checkpoint.states.size() == checkpoint.experiments.size());
  SafeTensors content;
  content.metadata = SettingsOf(checkpoint.config);
  content.metadata["format"] = kFormat;
  content.metadata["format_version"] = std::string(kFormatVersion);
  content.metadata["version"] = RB_VERSION;
  content.metadata["fingerprint"] = checkpoint.fingerprint;
  for (size_t i = 0; i < checkpoint.states.size(); ++i) {
    content.metadata[Name(i, "experiment")] = checkpoint.experiments[i];
    AddState(i, checkpoint.states[i], &content);
  }
  return WriteSafeTensors(content, path);
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) {
  RB_ASSIGN_OR_RETURN(const SafeTensors content, ReadSafeTensors(path));
  Checkpoint checkpoint;
  const absl::Status status = FillCheckpoint(content, &checkpoint);
  if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", status.message()));
  return checkpoint;
}

absl::Status CheckSameRun(const Checkpoint& found, const Checkpoint& expected, const std::string& path) {
  const auto differs = [&](const std::string& what) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": ", what, "; use the settings and data of that run, or another output folder"));
  };
  const auto before = SettingsOf(found.config), now = SettingsOf(expected.config);
  for (const auto& [name, value] : now) {
    const auto old = before.find(name);
    const std::string was = old == before.end() ? "absent" : old->second;
    if (was != value) return differs(absl::StrCat("the checkpoint's ", name, " is ", was, ", this run's is ", value));
  }
  if (found.experiments.size() != expected.experiments.size()) {
    return differs(absl::StrCat("the checkpoint has ", found.experiments.size(), " experiments, this run has ",
                                expected.experiments.size()));
  }
  for (size_t i = 0; i < found.experiments.size(); ++i) {
    if (found.experiments[i] == expected.experiments[i]) continue;
    return differs(absl::StrCat("the checkpoint's experiment ", i + 1, " is '", found.experiments[i],
                                "', this run's is '", expected.experiments[i], "'"));
  }
  if (found.fingerprint != expected.fingerprint) {
    return differs("the checkpoint was made from other data (sequences, scores or split differ)");
  }
  return absl::OkStatus();
}

}  // namespace rb
