#include "apps/command.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <numeric>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "engine/exceptions.h"

namespace rb::apps {
namespace {

constexpr Command kCommands[] = {
    {"simulate", "RNAcompete-like data with a known planted truth", DefineSimulate},
    {"prepare", "check tables, transform and split them, write one HDF5 file", DefinePrepare},
    {"train", "train one model for every named experiment", DefineTrain},
    {"sweep", "train many models over many processes and machines", DefineSweep},
    {"evaluate", "score trained models against measured targets", DefineEvaluate},
    {"predict", "predict the binding of any sequences", DefinePredict},
    {"scan", "rank all k-mers by their global importance to a model", DefineScan},
    {"gia", "global importance analysis: motifs, sites, spacing, GC, hairpins", DefineGia},
    {"fold", "tell how likely each base is paired, and in which kind of loop it is", DefineFold},
    {"ism", "map what every substitution does to a prediction", DefineIsm},
    {"motif", "align k-mers, convert motif files, draw logos, compare motifs", DefineMotif},
    {"plot", "pictures of what the other commands write, as SVG, PNG or PDF", DefinePlot},
    {"report", "one page of HTML about a run's models", DefineReport},
    {"reproduce", "the paper's figures, each number beside the paper's own", DefineReproduce},
    {"model", "look into model files, write them for other programs, read Keras' weights", DefineModel},
    {"manual", "print all help as one page, or completion for bash", DefineManual},
    {"bench", "time training steps and scoring on this machine", DefineBench},
    {"doctor", "check machine, device, memory and disk", DefineDoctor},
};
constexpr char kExitPayload[] = "residualbind/exit";

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.push_back(command.name);
  return names;
}

void PrintHelp() {
  std::printf(
      "residualbind %s: models of protein-RNA binding, trained on RNAcompete-like data.\n\n"
      "Usage: residualbind <command> [flags]\n\nCommands:\n",
      RB_VERSION);
  for (const Command& command : kCommands) std::printf("  %-10s %s\n", command.name, command.summary);
  std::printf(
      "\nresidualbind <command> --help lists a command's flags. Results go to files or stdout, logs and progress to\n"
      "stderr. Exit codes: 0 success, 2 wrong usage, 1 anything else.\n\n"
      "A first try:\n"
      "  residualbind simulate --out sim --experiments 1 --probes 12000\n"
      "  residualbind train --data sim --experiment all --epochs 5 --out models\n"
      "  residualbind evaluate --data sim --models models --out metrics.tsv\n");
}

// One line, however many the message had.
std::string OneLine(const std::string& message) {
  std::string line = absl::StrReplaceAll(message, {{"\r", ""}, {"\n", " "}});
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

int Fail(const std::string& who, const absl::Status& status) {
  const int code = ExitCode(status);
  std::fprintf(stderr, "%s: %s%s\n", who.c_str(), OneLine(std::string(status.message())).c_str(),
               code == 2 ? absl::StrCat("; see ", who, " --help").c_str() : "");
  return code;
}

std::string UnknownFlag(const CLI::App& app, const std::string& flag) {
  std::vector<std::string> names;
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  if (flag.empty() || flag[0] != '-') return absl::StrCat("unexpected argument '", flag, "'");
  const std::string near = Nearest(flag.substr(0, flag.find('=')), names);
  return absl::StrCat("unknown flag '", flag, "'", near.empty() ? "" : absl::StrCat("; did you mean '", near, "'?"));
}

// Parses; returns OK, a usage error, or kAborted after printing help that was asked for.
absl::Status Parse(CLI::App& app, const Invocation& invocation) {
  const auto& arguments = invocation.arguments;
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend() - 2);
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::printf("%s", app.help().c_str());
    return absl::AbortedError("help");
  } catch (const CLI::ParseError& error) {
    // A flag that does not exist explains more than what CLI11 found missing because of it.
    const auto used = app.get_subcommands();
    const auto extras = app.remaining(true);
    if (extras.empty()) return UsageError(error.what());
    return UsageError(UnknownFlag(used.empty() ? app : *used.back(), extras.front()));
  }
  return absl::OkStatus();
}

int RunCommand(const Command& command, const Invocation& invocation) {
  const std::string who = absl::StrCat("residualbind ", command.name);
  CLI::App app(command.summary, who);
  app.set_help_flag("-h,--help", "print this help and exit");
  const Action action = command.define(app, invocation);
  const absl::Status parsed = Parse(app, invocation);
  if (absl::IsAborted(parsed)) return 0;
  if (!parsed.ok()) return Fail(who, parsed);
  const absl::Status status = action();
  if (!status.ok()) return Fail(who, status);
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    return Fail(who, absl::DataLossError("stdout could not be written; expected a pipe or file that takes all output"));
  }
  return 0;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Command> Commands() { return kCommands; }

Subcommands::Subcommands(CLI::App& app) : app_(app) { app_.require_subcommand(1); }

void Subcommands::Add(const char* name, const char* summary, const std::function<Action(CLI::App&)>& define) {
  CLI::App* const one = app_.add_subcommand(name, summary);
  choices_.emplace_back(one, define(*one));
}

Action Subcommands::Chosen() const {
  return [choices = choices_] {
    for (const auto& [app, action] : choices) {
      if (app->parsed()) return action();
    }
    return UsageError("no subcommand");  // the parser has said so before
  };
}

std::string Invocation::Line() const {
  std::vector<std::string> quoted;
  for (const std::string& argument : arguments) quoted.push_back(ShellQuoted(argument));
  return absl::StrJoin(quoted, " ");
}

std::string ShellQuoted(const std::string& text) {
  const bool plain = !text.empty() && text.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                          "-_=+,./:@%") == std::string::npos;
  return plain ? text : absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

bool Invocation::Has(std::string_view flag) const {
  return std::find(arguments.begin(), arguments.end(), flag) != arguments.end();
}

absl::Status UsageError(const std::string& message) { return WithExitCode(absl::InvalidArgumentError(message), 2); }

absl::Status WithExitCode(absl::Status status, int code) {
  status.SetPayload(kExitPayload, absl::Cord(absl::StrCat(code)));
  return status;
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  int code = 1;
  if (const auto payload = status.GetPayload(kExitPayload); payload.has_value()) {
    (void)absl::SimpleAtoi(std::string(*payload), &code);  // WithExitCode wrote it
  }
  return code;
}

std::string Nearest(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  size_t best_distance = word.size() < 4 ? 2 : 3 + word.size() / 10;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) best_distance = distance, best = candidate;
  }
  return best;
}

int RunProgram(const std::vector<std::string>& arguments) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error to tell, as a full disk is
  const std::vector<std::string> names = CommandNames();
  if (arguments.size() < 2) {
    return Fail("residualbind", UsageError(absl::StrCat("no command; expected one of ", absl::StrJoin(names, ", "))));
  }
  const std::string& word = arguments[1];
  if (word == "--help" || word == "-h" || word == "help") return PrintHelp(), 0;
  if (word == "--version" || word == "version") return std::printf("residualbind %s\n", RB_VERSION), 0;
  for (const Command& command : kCommands) {
    if (word != command.name) continue;
    // CLI11 reports through exceptions, and memory can run out anywhere: neither leaves this function.
    try {
      return RunCommand(command, Invocation{word, arguments});
    } catch (...) {
      return Fail("residualbind " + word, StatusOfException());
    }
  }
  const std::string near = Nearest(word, names);
  return Fail("residualbind", UsageError(absl::StrCat("unknown command '", word, "'",
                                                      near.empty() ? "" : absl::StrCat(", did you mean '", near, "'?"),
                                                      "; expected one of ", absl::StrJoin(names, ", "))));
}

}  // namespace rb::apps
