// run.json: what was run, on what, with which inputs, and what it took.
#ifndef RB_APPS_COMMON_RUN_RECORD_H_
#define RB_APPS_COMMON_RUN_RECORD_H_

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/command.h"

namespace rb::apps {

class RunRecord {
 public:
  explicit RunRecord(const Invocation& invocation);

  // A setting worth keeping beside the command line: preset, seed, device, threads, ...
  void Set(const std::string& name, nlohmann::ordered_json value);
  // Notes the SHA-256 of the files behind a --data, --models or --input argument (stdin is named, not hashed).
  absl::Status AddInput(const std::string& path);
  // Closes the phase that began at the last call (or at the start) and names the time it took.
  void EndPhase(const std::string& name);

  nlohmann::ordered_json Finish() const;
  absl::Status Write(const std::string& path) const;

 private:
  using Clock = std::chrono::steady_clock;
  std::string command_line_, started_;
  nlohmann::ordered_json settings_, inputs_, timings_;
  Clock::time_point start_, phase_;
};

// The files that an input argument stands for: itself, or the tables inside a folder.
std::vector<std::string> InputFiles(const std::string& path);

std::string UtcNow();  // "2026-11-23T17:05:00Z"

std::string DumpJson(const nlohmann::ordered_json& json);

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_RUN_RECORD_H_
