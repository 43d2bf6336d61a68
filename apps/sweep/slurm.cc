// residualbind sweep slurm: the script that runs a plan as a Slurm job array and then merges it.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "apps/sweep/commands.h"
#include "apps/sweep/plan.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

constexpr int64_t kMostWarning = 300;  // seconds before the time limit at which Slurm is to warn
constexpr int64_t kDefaultTasks = 8;
constexpr int kStopped = 128 + SIGUSR1;  // exit code of a run that the warning has stopped

struct Flags {
  std::string plan, time = "4:00:00", partition, memory, job_name = "residualbind";
  std::vector<std::string> options, setup;
  int64_t tasks = 0;  // 0: kDefaultTasks, or as many as there are models
  int gpus = 0, cpus = 8, models_in_flight = 0;
};

// Seconds of Slurm's minutes, minutes:seconds, hours:minutes:seconds, days-hours[:minutes[:seconds]].
std::optional<int64_t> ParseTime(const std::string& text) {
  std::vector<std::string> halves = absl::StrSplit(text, '-');
  if (halves.size() > 2) return std::nullopt;
  const bool days = halves.size() == 2;
  const std::vector<std::string> parts = absl::StrSplit(halves.back(), ':');
  if (parts.size() > 3) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const std::string& part : parts) {
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || !absl::SimpleAtoi(part, &numbers.emplace_back()) || numbers.back() > 1'000'000) return std::nullopt;
  }
  int64_t day = 0;
  if (days) {
    if (!absl::SimpleAtoi(halves[0], &day) || day < 0 || day > 10'000) return std::nullopt;
    numbers.resize(3);  // hours, minutes, seconds
  } else if (numbers.size() < 3) {
    numbers.insert(numbers.begin(), 0);  // minutes[:seconds]
    numbers.resize(3);
  }
  return ((day * 24 + numbers[0]) * 60 + numbers[1]) * 60 + numbers[2];
}

std::string CheckTime(const std::string& text) {
  if (ParseTime(text).value_or(0) >= 60) return "";
  return absl::StrCat("'", text, "' is no time limit; expected at least a minute, as 90, 1:30:00 or 1-12:00:00");
}

std::string CheckMemory(const std::string& text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string unit = text.substr(digits);
  if (digits > 0 && (unit.empty() || unit == "K" || unit == "M" || unit == "G" || unit == "T")) return "";
  return absl::StrCat("'", text, "' is no amount of memory; expected a number with K, M, G or T, as 16G");
}

// Texts that become part of a line of the script.
std::string CheckLine(const std::string& text) {
  const auto bad = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (!text.empty() && std::none_of(text.begin(), text.end(), bad)) return "";
  return "expected one line of text";
}

// As sbatch reads a value of an #SBATCH line.
std::string SbatchQuoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}
// The same of a file's name, where a percent sign would stand for a number of the job.
std::string SbatchFile(const std::string& text) { return SbatchQuoted(absl::StrReplaceAll(text, {{"%", "%%"}})); }

std::string Header(const Flags& flags, const std::string& plan, int64_t tasks) {
  const int64_t warning = std::min(kMostWarning, *ParseTime(flags.time) / 4);
  std::string text =
      absl::StrCat("#SBATCH --job-name=", SbatchQuoted(flags.job_name), "\n#SBATCH --array=0-", tasks - 1,
                   "\n#SBATCH --time=", flags.time, "\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=", flags.cpus, "\n");
  if (flags.gpus > 0) absl::StrAppend(&text, "#SBATCH --gres=gpu:", flags.gpus, "\n");
  if (!flags.partition.empty()) absl::StrAppend(&text, "#SBATCH --partition=", SbatchQuoted(flags.partition), "\n");
  if (!flags.memory.empty()) absl::StrAppend(&text, "#SBATCH --mem=", flags.memory, "\n");
  absl::StrAppend(&text, "#SBATCH --requeue\n#SBATCH --signal=B:USR1@", warning,
                  "\n#SBATCH --open-mode=append\n#SBATCH --output=", SbatchFile(plan + "/train-"), "%A-%a.log\n");
  for (const std::string& option : flags.options) absl::StrAppend(&text, "#SBATCH ", option, "\n");
  return text;
}

constexpr char kSubmit[] = R"(
if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then  # not within the array: submit it
  array=$(sbatch --parsable "$0") || exit
  array=${array%%;*}
  # afterany, not afterok: after one failed task afterok would never be met and the merge would wait for ever. The merge
  # itself refuses an incomplete set and says what is missing.
  sbatch --parsable --dependency="afterany:$array" --kill-on-invalid-dep=yes --job-name="$name-merge" --ntasks=1 \
    --time=1:00:00 --open-mode=append --output="${plan//%/%%}/merge-%j.log" "${merge_options[@]}" >/dev/null <<MERGE || exit
#!/bin/bash
exec $(printf '%q ' "$program" sweep merge --plan "$plan" --overwrite --progress plain)
MERGE
  echo "$array"
  exit
fi
)";

constexpr char kTask[] = R"(
# Slurm's warning before the time limit goes on to the program, which stops after the batch; then the task is put into
# the queue again and goes on from its checkpoints.
child='' warned='' signalled=''
trap 'warned=1 signalled=1; [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null' USR1
trap 'signalled=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
"$program" sweep run --plan "$plan" --shard "$SLURM_ARRAY_TASK_ID/$shards" --threads "${SLURM_CPUS_PER_TASK:-0}" \
  "${run_flags[@]}" --progress plain &
child=$!
while :; do
  signalled=''
  wait "$child"
  code=$?
  [ -n "$signalled" ] || break  # else it was the wait that a signal ended
done
if [ -n "$warned" ] && [ "$code" -eq $STOPPED ]; then
  echo "stopped before the time limit (restart ${SLURM_RESTART_COUNT:-0}): the task goes back into the queue"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
)";

absl::StatusOr<std::string> Script(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(const SweepPlan plan, ReadPlan(flags.plan));
  std::error_code error;
  std::string folder = std::filesystem::absolute(flags.plan, error).lexically_normal().string();
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  if (const std::string wrong = CheckLine(folder); !wrong.empty()) {
    return UsageError(absl::StrCat("--plan: its path has a line break; ", wrong));
  }
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::UnavailableError("/proc/self/exe: cannot be read; expected a Linux with /proc");
  const int64_t models = std::ssize(plan.models);
  const int64_t tasks = std::min(flags.tasks > 0 ? flags.tasks : kDefaultTasks, models);
  std::string text = absl::StrCat(
      "#!/bin/bash\n# Trains ", models, " models in ", tasks,
      " tasks, then merges them. Submit with: bash FILE (which prints the array's job number).\n"
      "# To train what is missing, submit it again: what is finished is skipped. One task alone: sbatch --array=3 "
      "FILE\n",
      Header(flags, folder, tasks), "\nprogram=${RESIDUALBIND:-", ShellQuoted(program.string()),
      "}\nplan=", ShellQuoted(folder), "\nname=", ShellQuoted(flags.job_name), "\nshards=", tasks, "\nrun_flags=(");
  if (flags.models_in_flight > 0) absl::StrAppend(&text, "--models-in-flight ", flags.models_in_flight);
  absl::StrAppend(&text, ")\nmerge_options=(");
  if (!flags.partition.empty()) absl::StrAppend(&text, "--partition=", ShellQuoted(flags.partition));
  absl::StrAppend(&text, ")\n", kSubmit);
  for (const std::string& line : flags.setup) absl::StrAppend(&text, line, "\n");
  return absl::StrCat(text, absl::StrReplaceAll(kTask, {{"$STOPPED", absl::StrCat(kStopped)}}));
}

absl::Status Run(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(const std::string script, Script(flags));
  std::fputs(script.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

Action DefineSweepSlurm(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<Flags>();
  const CLI::Validator line(CheckLine, "", "");
  app.add_option("--plan", flags->plan, "folder that `sweep plan` wrote")->required()->type_name("DIR");
  app.add_option("--array", flags->tasks, "tasks, each with its share of the models (default: 8)")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->type_name("N");
  app.add_option("--time", flags->time, "time limit of a task, after which it goes back into the queue and goes on")
      ->check(CLI::Validator(CheckTime, "", ""))
      ->type_name("TIME")
      ->capture_default_str();
  app.add_option("--partition", flags->partition, "partition of the cluster")->check(line)->type_name("NAME");
  app.add_option("--gpus", flags->gpus, "GPUs of a task")
      ->check(CLI::Range(0, 64))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--cpus", flags->cpus, "processors of a task")
      ->check(CLI::Range(1, 1024))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--mem", flags->memory, "memory of a task, as 16G")
      ->check(CLI::Validator(CheckMemory, "", ""))
      ->type_name("SIZE");
  app.add_option("--job-name", flags->job_name, "name of the array's job")
      ->check(line)
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--models-in-flight", flags->models_in_flight, "`sweep run`'s flag of that name")
      ->check(CLI::Range(1, 100000))
      ->type_name("N");
  app.add_option("--sbatch", flags->options, "one more #SBATCH option, as --account=lab; may be given several times")
      ->check(line)
      ->type_name("OPTION")
      ->expected(1)
      ->take_all();
  app.add_option("--setup", flags->setup, "a line of shell before each task, as 'module load cuda'")
      ->check(line)
      ->type_name("LINE")
      ->expected(1)
      ->take_all();
  app.footer("Example:\n  residualbind sweep slurm --plan sweep --array 16 --gpus 1 > sweep.sh && bash sweep.sh");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
