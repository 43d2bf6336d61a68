#include "apps/common/run_record.h"

#include <sys/resource.h>

#include <ctime>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "data/sha256.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

int64_t PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

RunRecord::RunRecord(const Invocation& invocation)
    : command_line_(invocation.Line()),
      started_(UtcNow()),
      settings_(nlohmann::ordered_json::object()),
      inputs_(nlohmann::ordered_json::array()),
      timings_(nlohmann::ordered_json::object()),
      start_(Clock::now()),
      phase_(start_) {}

void RunRecord::Set(const std::string& name, nlohmann::ordered_json value) { settings_[name] = std::move(value); }

absl::Status RunRecord::AddInput(const std::string& path) {
  for (const std::string& file : InputFiles(path)) {
    std::error_code error;
    if (file == "-" || !std::filesystem::is_regular_file(file, error)) {
      inputs_.push_back({{"path", file}});  // a pipe: it can be read only once
      continue;
    }
    RB_ASSIGN_OR_RETURN(const std::string sum, Sha256OfFile(file));
    inputs_.push_back({{"path", file}, {"sha256", sum}});
  }
  return absl::OkStatus();
}

void RunRecord::EndPhase(const std::string& name) {
  const auto now = Clock::now();
  timings_[name] = std::chrono::duration<double>(now - phase_).count();
  phase_ = now;
}

nlohmann::ordered_json RunRecord::Finish() const {
  nlohmann::ordered_json json = {{"command", command_line_}, {"version", RB_VERSION}};
  json.update(settings_);
  json["inputs"] = inputs_;
  json["started"] = started_;
  json["seconds"] = timings_;
  json["seconds"]["total"] = std::chrono::duration<double>(Clock::now() - start_).count();
  json["peak_memory_bytes"] = PeakMemoryBytes();
  return json;
}

absl::Status RunRecord::Write(const std::string& path) const { return WriteFile(path, DumpJson(Finish())); }

std::vector<std::string> InputFiles(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return {path};
  std::vector<std::string> files;
  for (const char* table : {"sequences.tsv", "targets.tsv"}) {
    for (const char* ending : {"", ".gz", ".xz"}) {
      const std::filesystem::path file = std::filesystem::path(path) / absl::StrCat(table, ending);
      if (std::filesystem::exists(file, error)) {
        files.push_back(file.string());
        break;
      }
    }
  }
  return files;
}

std::string DumpJson(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace rb::apps
