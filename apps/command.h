// What a subcommand is, and the errors and exit codes they share.
//
// A command declares its flags on a CLI::App and returns the action to run once they are parsed. Exit code 0: done; 2:
// wrong usage (UsageError); 1: anything else, unless WithExitCode says otherwise. A failure is one line on stderr:
// "residualbind <command>: what, where, expected".
#ifndef RB_APPS_COMMAND_H_
#define RB_APPS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace rb::apps {

// How the program was called.
struct Invocation {
  std::string command;                 // "train"
  std::vector<std::string> arguments;  // program name first
  std::string Line() const;            // quoted so that a shell takes it back
  bool Has(std::string_view flag) const;
};

using Action = std::function<absl::Status()>;

struct Command {
  const char* name;
  const char* summary;
  Action (*define)(CLI::App& app, const Invocation& invocation);  // `invocation` outlives the action
};

// Every subcommand of this version, in the order in which help shows them.
std::span<const Command> Commands();

Action DefineSimulate(CLI::App& app, const Invocation& invocation);
Action DefinePrepare(CLI::App& app, const Invocation& invocation);
Action DefineTrain(CLI::App& app, const Invocation& invocation);
Action DefineSweep(CLI::App& app, const Invocation& invocation);
Action DefineEvaluate(CLI::App& app, const Invocation& invocation);
Action DefinePredict(CLI::App& app, const Invocation& invocation);
Action DefineScan(CLI::App& app, const Invocation& invocation);
Action DefineGia(CLI::App& app, const Invocation& invocation);
Action DefineFold(CLI::App& app, const Invocation& invocation);
Action DefineIsm(CLI::App& app, const Invocation& invocation);
Action DefineMotif(CLI::App& app, const Invocation& invocation);
Action DefinePlot(CLI::App& app, const Invocation& invocation);
Action DefineReport(CLI::App& app, const Invocation& invocation);
Action DefineReproduce(CLI::App& app, const Invocation& invocation);
Action DefineModel(CLI::App& app, const Invocation& invocation);
Action DefineManual(CLI::App& app, const Invocation& invocation);
Action DefineBench(CLI::App& app, const Invocation& invocation);
Action DefineDoctor(CLI::App& app, const Invocation& invocation);

// The subcommands of a command, of which one must be asked for.
class Subcommands {
 public:
  explicit Subcommands(CLI::App& app);
  void Add(const char* name, const char* summary, const std::function<Action(CLI::App&)>& define);
  Action Chosen() const;  // does what the one asked for does

 private:
  CLI::App& app_;
  std::vector<std::pair<CLI::App*, Action>> choices_;
};

// An error in how the command was called: exit code 2.
absl::Status UsageError(const std::string& message);
// The status, which is not OK, with an exit code of its own (shells and batch scripts look at it).
absl::Status WithExitCode(absl::Status status, int code);
int ExitCode(const absl::Status& status);

// `text` as a word that a shell takes back.
std::string ShellQuoted(const std::string& text);

// Runs the program: finds the command, parses, acts, reports. Returns the exit code.
int RunProgram(const std::vector<std::string>& arguments);

// The candidate nearest to `word` in edit distance when it is near enough to be a slip of the fingers, else "".
std::string Nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace rb::apps

#endif  // RB_APPS_COMMAND_H_
