#include "apps/common/reporter.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace rb::apps {
namespace {

bool IsTerminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) && !(term != nullptr && std::string_view(term) == "dumb");
}

size_t TerminalWidth() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

std::string JsonLine(std::string_view event, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json object = {{"event", event}};
  if (fields.is_object()) object.update(fields);
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

Reporter::Reporter(std::string_view progress)
    : mode_(progress == "json"    ? Mode::kJson
            : progress == "none"  ? Mode::kNone
            : progress == "plain" ? Mode::kPlain
            : IsTerminal()        ? Mode::kTerminal
                                  : Mode::kPlain),
      last_(std::chrono::steady_clock::now()) {}

Reporter::~Reporter() { Clear(); }

void Reporter::Clear() {
  if (transient_) std::fputs("\r\033[K", stderr);
  transient_ = false;
}

void Reporter::Print(const std::string& line) {
  Clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

void Reporter::Say(std::string_view event, const std::string& text, nlohmann::ordered_json fields) {
  if (mode_ == Mode::kNone) return;
  if (fields.is_null()) fields = nlohmann::ordered_json{{"message", text}};
  const std::string line = mode_ == Mode::kJson ? JsonLine(event, fields) : text;
  if (line.empty()) return;
  if (open_) {
    Print(line);
  } else {
    waiting_.push_back(line);
  }
}

void Reporter::Open() {
  if (open_) return;
  open_ = true;
  for (const std::string& line : waiting_) Print(line);
  waiting_.clear();
}

void Reporter::Progress(const std::string& text, nlohmann::ordered_json fields, double every) {
  if (mode_ == Mode::kNone) return;
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - last_).count();
  if (since < (mode_ == Mode::kTerminal ? 0.1 : mode_ == Mode::kJson ? 0.5 : every)) return;
  last_ = now;
  Open();
  if (mode_ == Mode::kJson) return Print(JsonLine("progress", fields));
  if (mode_ == Mode::kPlain) return Print(text);
  std::fprintf(stderr, "\r%s\033[K", text.substr(0, TerminalWidth() - 1).c_str());
  std::fflush(stderr);
  transient_ = true;
}

void Reporter::Busy(const std::string& text) {
  if (mode_ != Mode::kTerminal) return;
  std::fprintf(stderr, "\r%s\033[K", text.substr(0, TerminalWidth() - 1).c_str());
  std::fflush(stderr);
  transient_ = true;
}

}  // namespace rb::apps
