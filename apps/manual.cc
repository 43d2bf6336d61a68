#include "apps/manual.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "apps/command.h"

namespace rb::apps {
namespace {

struct FlagHelp {
  std::string names;                 // "-h,--help", or that of a positional argument
  std::string value;                 // "NAME", "N": what stands behind it
  std::vector<std::string> choices;  // of the value, when there are few
  std::string range;                 // "in [1 - 512]"
  std::string preset;                // the default, where the program states it
  std::string text;
  bool required = false, positional = false, many = false;
};

struct Group {
  std::string name;
  std::vector<FlagHelp> flags;
};

// A command, or a subcommand such as "sweep plan".
struct CommandHelp {
  std::string name, text, footer;
  std::vector<std::string> subcommands;
  std::vector<Group> groups;
};

// CLI11 puts a type and what its validators say into one text: "NAME:{paper,published}", "N:INT in [1 - 512]".
void SetType(const std::string& type, FlagHelp& flag) {
  const size_t colon = type.find(':');
  flag.value = type.substr(0, colon);
  if (colon == std::string::npos) return;
  const std::string rest = type.substr(colon + 1);
  if (rest.size() > 2 && rest.front() == '{' && rest.back() == '}') {
    flag.choices = absl::StrSplit(rest.substr(1, rest.size() - 2), ',');
  } else if (const size_t at = rest.find("in ["); at != std::string::npos) {
    flag.range = absl::StrReplaceAll(rest.substr(at + 4), {{" - ", " to "}, {"]", ""}});
  }
}

FlagHelp HelpOf(const CLI::Option& option) {
  FlagHelp flag;
  flag.positional = option.get_lnames().empty() && option.get_snames().empty();
  flag.names = flag.positional ? option.get_name(true) : option.get_name(false, true);
  flag.preset = option.get_default_str();
  flag.text = option.get_description();
  flag.required = option.get_required();
  flag.many = option.get_expected_max() > 1;
  if (option.get_type_size_max() > 0) SetType(option.get_type_name(), flag);
  return flag;
}

void AddHelp(const std::string& name, const CLI::App& app, std::vector<CommandHelp>& all) {
  CommandHelp help;
  help.name = name;
  help.text = app.get_description();
  help.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    const std::string& group = option->get_group();
    if (group.empty() || option == app.get_help_ptr()) continue;
    auto at = std::find_if(help.groups.begin(), help.groups.end(), [&](const Group& g) { return g.name == group; });
    if (at == help.groups.end()) at = help.groups.insert(at, {group, {}});
    at->flags.push_back(HelpOf(*option));
  }
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* one : subcommands) help.subcommands.push_back(one->get_name());
  all.push_back(std::move(help));
  for (const CLI::App* one : subcommands) AddHelp(absl::StrCat(name, " ", one->get_name()), *one, all);
}

std::vector<CommandHelp> AllHelp() {
  std::vector<CommandHelp> all;
  static const Invocation nobody;
  for (const Command& command : Commands()) {
    CLI::App app(command.summary, command.name);
    app.set_help_flag("-h,--help", "");
    (void)command.define(app, nobody);
    AddHelp(command.name, app, all);
  }
  return all;
}

// "paper or published", "1 to 512"
std::string Values(const FlagHelp& flag) {
  return flag.choices.empty() ? flag.range : absl::StrJoin(flag.choices, ", ");
}

// A footer as its prose and its example lines, which are indented.
struct Footer {
  std::string prose, examples;
};
Footer SplitFooter(const std::string& footer) {
  Footer split;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(footer, '\n'))) {
    if (line.substr(0, 2) == "  ") {
      absl::StrAppend(&split.examples, line.substr(2), "\n");
    } else if (!line.empty()) {
      absl::StrAppend(&split.prose, split.prose.empty() ? "" : " ", line);
    }
  }
  return split;
}

std::string Sentence(std::string text) {
  if (text.empty()) return text;
  if (text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  if (text.back() != '.' && text.back() != ':') text += '.';
  return text;
}

std::string Usage(const CommandHelp& help) {
  std::string usage = absl::StrCat("residualbind ", help.name);
  if (!help.subcommands.empty()) return absl::StrCat(usage, " ", absl::StrJoin(help.subcommands, "|"), " [flags]");
  for (const Group& group : help.groups) {
    for (const FlagHelp& flag : group.flags) {
      if (flag.positional) absl::StrAppend(&usage, flag.required ? " " : " [", flag.names, flag.required ? "" : "]");
      if (!flag.positional && flag.required) absl::StrAppend(&usage, " ", flag.names, " ", flag.value);
    }
  }
  return absl::StrCat(usage, " [flags]");
}

std::string MarkdownCell(const std::string& text) { return absl::StrReplaceAll(text, {{"|", "\\|"}, {"<", "&lt;"}}); }

void AddMarkdown(const CommandHelp& help, std::string* page) {
  const bool sub = help.name.find(' ') != std::string::npos;
  absl::StrAppend(page, sub ? "\n### " : "\n## ", help.name, "\n\n", Sentence(help.text), "\n\n```\n", Usage(help),
                  "\n```\n");
  for (const Group& group : help.groups) {
    const bool named = group.name != "Options" && group.name != "Positionals";
    absl::StrAppend(page, "\n", named ? absl::StrCat(Sentence(absl::StrCat(group.name, ":")), "\n\n") : "",
                    "| flag | values | default | meaning |\n|---|---|---|---|\n");
    for (const FlagHelp& flag : group.flags) {
      const std::string value = flag.positional || flag.value.empty() ? "" : absl::StrCat(" ", flag.value);
      absl::StrAppend(page, "| `", MarkdownCell(flag.names + value), "`", flag.many ? " .." : "", " | ",
                      MarkdownCell(Values(flag)), " | ", flag.required ? "required" : MarkdownCell(flag.preset), " | ",
                      MarkdownCell(flag.text), " |\n");
    }
  }
  const Footer footer = SplitFooter(help.footer);
  if (!footer.prose.empty()) absl::StrAppend(page, "\n", footer.prose, "\n");
  if (!footer.examples.empty()) absl::StrAppend(page, "\n```\n", footer.examples, "```\n");
}

std::string Troff(const std::string& text) {
  std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}});
  const bool control = !escaped.empty() && (escaped[0] == '.' || escaped[0] == '\'');
  return control ? "\\&" + escaped : escaped;
}

void AddTroff(const CommandHelp& help, std::string* page) {
  absl::StrAppend(page, ".SS ", Troff(help.name), "\n", Troff(Sentence(help.text)), "\n.PP\n.B ", Troff(Usage(help)),
                  "\n");
  for (const Group& group : help.groups) {
    for (const FlagHelp& flag : group.flags) {
      absl::StrAppend(page, ".TP\n.B ", Troff(flag.names), flag.positional ? "" : " " + Troff(flag.value), "\n",
                      Troff(flag.text));
      if (const std::string values = Values(flag); !values.empty()) absl::StrAppend(page, " [", Troff(values), "]");
      if (flag.required) absl::StrAppend(page, " (required)");
      if (!flag.preset.empty()) absl::StrAppend(page, " (default ", Troff(flag.preset), ")");
      absl::StrAppend(page, "\n");
    }
  }
  const Footer footer = SplitFooter(help.footer);
  if (!footer.prose.empty()) absl::StrAppend(page, ".PP\n", Troff(footer.prose), "\n");
  if (footer.examples.empty()) return;
  absl::StrAppend(page, ".PP\n.nf\n");
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(footer.examples, '\n'))) {
    if (!line.empty()) absl::StrAppend(page, Troff(line), "\n");
  }
  absl::StrAppend(page, ".fi\n");
}

// The long names of a flag, "--help".
std::vector<std::string> LongNames(const FlagHelp& flag) {
  std::vector<std::string> names = absl::StrSplit(flag.names, ',');
  std::erase_if(names, [](const std::string& name) { return name.substr(0, 2) != "--"; });
  return names;
}

// The cases of a shell's `case` for one command: what may follow each flag, then the flags themselves.
void AddCompletion(const CommandHelp& help, std::string* cases, std::string* words) {
  std::vector<std::string> offered = help.subcommands;
  for (const Group& group : help.groups) {
    for (const FlagHelp& flag : group.flags) {
      for (const std::string& name : LongNames(flag)) {
        offered.push_back(name);
        if (flag.choices.empty()) continue;
        absl::StrAppend(cases, "    '", help.name, " ", name, "') values='", absl::StrJoin(flag.choices, " "),
                        "' ;;\n");
      }
      if (flag.positional) offered.insert(offered.end(), flag.choices.begin(), flag.choices.end());
      if (flag.value.empty() || !flag.choices.empty()) continue;
      for (const std::string& name : LongNames(flag)) {
        absl::StrAppend(cases, "    '", help.name, " ", name, "') return ;;\n");  // a file, as readline completes it
      }
    }
  }
  absl::StrAppend(words, "    '", help.name, "') words='", absl::StrJoin(offered, " "), " --help' ;;\n");
}

}  // namespace

std::string ManualMarkdown() {
  std::string page = absl::StrCat(
      "# The command line\n\nMade by `residualbind manual markdown`; a test compares. What the commands do and write "
      "is "
      "told in [guide.md](guide.md).\n\n```\nresidualbind COMMAND [flags]\n```\n\n| command | does |\n|---|---|\n");
  for (const Command& command : Commands()) {
    absl::StrAppend(&page, "| [`", command.name, "`](#", command.name, ") | ", command.summary, " |\n");
  }
  for (const CommandHelp& help : AllHelp()) AddMarkdown(help, &page);
  return page;
}

std::string ManualPage() {
  std::string page = absl::StrCat(
      ".TH RESIDUALBIND 1 \"\" \"residualbind ", RB_VERSION,
      "\" \"User Commands\"\n.SH NAME\nresidualbind \\- models of protein\\-RNA binding, trained on RNAcompete\\-like "
      "data\n.SH SYNOPSIS\n.B residualbind\n.I command\n[flags]\n.SH DESCRIPTION\nResults go to files or stdout, logs "
      "and progress to stderr. Exit codes: 0 success, 2 wrong usage, 1 anything else.\n.SH COMMANDS\n");
  for (const CommandHelp& help : AllHelp()) AddTroff(help, &page);
  return page;
}

std::string BashCompletion() {
  std::string cases, words, names, parents;
  for (const CommandHelp& help : AllHelp()) {
    AddCompletion(help, &cases, &words);
    if (help.name.find(' ') == std::string::npos) absl::StrAppend(&names, names.empty() ? "" : " ", help.name);
    if (!help.subcommands.empty()) absl::StrAppend(&parents, parents.empty() ? "" : "|", help.name);
  }
  return absl::StrCat(
      "# Completion of residualbind's command line, for bash (4 or later). Made by `residualbind manual bash`.\n"
      "_residualbind() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} words= values= "
      "command=${COMP_WORDS[1]}\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W '",
      names, " --help --version' -- \"$current\"))\n    return\n  fi\n  case $command in\n    ", parents,
      ") [ \"$COMP_CWORD\" -gt 2 ] && command=\"$command ${COMP_WORDS[2]}\" ;;\n  esac\n  case \"$command $last\" in\n",
      cases, "  esac\n  case $command in\n", words,
      "  esac\n  COMPREPLY=($(compgen -W \"${values:-$words}\" -- \"$current\"))\n}\n"
      "complete -o filenames -o bashdefault -o default -F _residualbind residualbind\n");
}

Action DefineManual(CLI::App& app, const Invocation&) {
  auto format = std::make_shared<std::string>();
  app.add_option("format", *format, "markdown (docs/cli.md), man (a man page) or bash (completion: source it)")
      ->required()
      ->check(CLI::IsMember({"markdown", "man", "bash"}))
      ->type_name("FORMAT");
  app.footer(
      "Example:\n"
      "  residualbind manual bash > ~/.local/share/bash-completion/completions/residualbind");
  return [format] {
    const std::string text = *format == "markdown" ? ManualMarkdown()
                             : *format == "man"    ? ManualPage()
                                                   : BashCompletion();
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  };
}

}  // namespace rb::apps
