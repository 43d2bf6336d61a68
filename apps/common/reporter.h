// What a command says while it works: on stderr, as text or as JSON objects, one a line.
#ifndef RB_APPS_COMMON_REPORTER_H_
#define RB_APPS_COMMON_REPORTER_H_

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace rb::apps {

class Reporter {
 public:
  // `progress` is the flag: auto (a line that rewrites itself on a terminal, else plain), plain, json or none.
  explicit Reporter(std::string_view progress);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  // A lasting line: `text`, or in JSON mode {"event": event, ...fields}. Lines wait until Open(), so that a command
  // which fails on its input says one line and nothing else.
  void Say(std::string_view event, const std::string& text, nlohmann::ordered_json fields = {});
  // Where the work stands. On a terminal it rewrites one line; otherwise it is a line, at most one in `every` seconds.
  void Progress(const std::string& text, nlohmann::ordered_json fields, double every = 30);
  // On a terminal only: says what is going on while nothing is known about progress.
  void Busy(const std::string& text);
  void Open();

 private:
  enum class Mode { kTerminal, kPlain, kJson, kNone };
  void Clear();
  void Print(const std::string& line);

  Mode mode_;
  bool open_ = false;
  bool transient_ = false;  // an unfinished line stands on the terminal
  std::vector<std::string> waiting_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_REPORTER_H_
