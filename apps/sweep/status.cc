// residualbind sweep status: how far all shares of a plan are.
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/sweep/commands.h"
#include "apps/sweep/files.h"
#include "apps/sweep/plan.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostNames = 20;
constexpr const char* kRunning = "running";

struct Flags {
  std::string plan, format = "text";
};

struct ModelStatus {
  const SweepModel* model;
  std::string state;  // finished, running, begun, failed, damaged, waiting
  std::string reason;
};

struct Standing {
  std::vector<ModelStatus> models;
  std::vector<ShardRecord> shards;

  int64_t Count(const std::string& state) const {
    return std::count_if(models.begin(), models.end(), [&](const ModelStatus& m) { return m.state == state; });
  }
};

constexpr const char* kStates[] = {"finished", kRunning, "begun", "waiting", "failed", "damaged"};

Standing Look(const SweepPlan& plan, const SweepLock* lock) {
  Standing standing;
  std::vector<bool> taken(plan.models.size());
  for (size_t i = 0; i < plan.models.size(); ++i) {
    const SweepReport report = Inspect(plan, plan.models[i]);
    taken[i] = lock != nullptr && lock->IsTaken(static_cast<int64_t>(i));
    const bool open = report.state != SweepState::kFinished && report.state != SweepState::kFailed;
    standing.models.push_back({&plan.models[i], taken[i] && open ? kRunning : StateName(report.state), report.reason});
  }
  standing.shards = ReadShardRecords(plan);
  // A process that was killed left "running" behind; its locks are gone.
  for (ShardRecord& shard : standing.shards) {
    bool alive = lock == nullptr || !lock->available();
    for (size_t i = 0; i < taken.size(); ++i) alive = alive || (taken[i] && shard.shard.Has(static_cast<int64_t>(i)));
    if (shard.state == kRunning && !alive) shard.state = "gone";
  }
  return standing;
}

// "failed: RNCMPT00001: why" for at most kMostNames models of the states that `wanted` picks.
template <class F>
std::string Names(const Standing& standing, const char* title, const F& wanted) {
  std::string text;
  size_t named = 0, all = 0;
  for (const ModelStatus& m : standing.models) {
    if (!wanted(m)) continue;
    if (++all > kMostNames) continue;
    ++named;
    absl::StrAppend(&text, "  ", m.model->folder, " (", m.state, m.reason.empty() ? "" : absl::StrCat(": ", m.reason),
                    ")\n");
  }
  if (all == 0) return "";
  return absl::StrCat("\n", title, "\n", text, named < all ? absl::StrCat("  .. and ", all - named, " more\n") : "");
}

bool IsFailed(const ModelStatus& m) { return m.state == "failed" || m.state == "damaged"; }
bool IsOpen(const ModelStatus& m) { return m.state != "finished" && !IsFailed(m); }

std::string Text(const Standing& standing) {
  std::vector<std::vector<std::string>> counts = {{"models", Grouped(std::ssize(standing.models))}};
  for (const char* state : kStates) counts.push_back({state, Grouped(standing.Count(state))});
  std::string text = AlignedTable(counts);
  if (!standing.shards.empty()) {
    std::vector<std::vector<std::string>> rows = {
        {"shard", "state", "finished", "failed", "of", "host", "process", "models/h", "last heard (UTC)"}};
    for (const ShardRecord& s : standing.shards) {
      const double rate = s.seconds > 0 ? 3600.0 * static_cast<double>(s.trained) / s.seconds : 0.0;
      rows.push_back({s.shard.Name(), s.state, absl::StrCat(s.finished), absl::StrCat(s.failed), absl::StrCat(s.models),
                      s.host, absl::StrCat(s.pid), Fixed(rate, 1), s.updated});
    }
    absl::StrAppend(&text, "\n", AlignedTable(rows));
  }
  return text + Names(standing, "failed", IsFailed) + Names(standing, "unfinished", IsOpen);
}

std::string JsonText(const SweepPlan& plan, const Standing& standing) {
  Json json = {{"plan", plan.folder}, {"models", standing.models.size()}};
  for (const char* state : kStates) json[state] = standing.Count(state);
  json["shards"] = Json::array();
  for (const ShardRecord& s : standing.shards) {
    json["shards"].push_back({{"shard", s.shard.Name()},
                              {"state", s.state},
                              {"finished", s.finished},
                              {"failed", s.failed},
                              {"models", s.models},
                              {"host", s.host},
                              {"pid", s.pid},
                              {"seconds", s.seconds},
                              {"trained", s.trained},
                              {"updated", s.updated}});
  }
  json["unfinished"] = Json::array();
  for (const ModelStatus& m : standing.models) {
    if (m.state == "finished") continue;
    json["unfinished"].push_back(
        {{"id", m.model->id}, {"folder", m.model->folder}, {"state", m.state}, {"reason", m.reason}});
  }
  return DumpJson(json);
}

absl::Status Run(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(const SweepPlan plan, ReadPlan(flags.plan));
  const absl::StatusOr<SweepLock> lock = SweepLock::Open(plan);  // a reader of others' plans may have none
  const Standing standing = Look(plan, lock.ok() ? &*lock : nullptr);
  std::fputs((flags.format == "json" ? JsonText(plan, standing) : Text(standing)).c_str(), stdout);
  const int64_t all = std::ssize(standing.models), finished = standing.Count("finished");
  if (finished == all) return absl::OkStatus();
  std::fflush(stdout);
  return WithExitCode(absl::FailedPreconditionError(
                          absl::StrCat(plan.folder, ": ", finished, " of ", all, " models are finished; expected all")),
                      3);
}

}  // namespace

Action DefineSweepStatus(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--plan", flags->plan, "folder that `sweep plan` wrote")->required()->type_name("DIR");
  app.add_option("--format", flags->format, "text or json (all unfinished models, not 20)")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.footer(
      "Exit code 0 when all models are finished, 3 when not. Example:\n"
      "  residualbind sweep status --plan sweep");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
