// residualbind sweep merge: from the models that all shares have left to one table.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/predict/metrics_table.h"
#include "apps/sweep/commands.h"
#include "apps/sweep/files.h"
#include "apps/sweep/plan.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/model_file.h"

namespace rb::apps {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string plan, progress = "auto";
  bool allow_incomplete = false, overwrite = false;
};

// A finished model of the plan.
struct Entry {
  const SweepModel* model;
  SweepResult result;
};

// "" when the model file is what the manifest asks for.
std::string Difference(const SweepPlan& plan, const SweepModel& model) {
  const absl::StatusOr<ModelFile> file = ReadModel(SweepModelPath(plan, model));
  if (!file.ok()) return std::string(file.status().message());
  if (file->experiment != model.experiment) {
    return absl::StrCat("its model is of ", file->experiment, ", not of ", model.experiment);
  }
  const auto wanted = SettingsOf(model.config);
  for (const auto& [name, value] : SettingsOf(file->config)) {
    if (value != wanted.at(name)) return absl::StrCat("its model has ", name, " ", value, ", not ", wanted.at(name));
  }
  return "";
}

struct Collected {
  std::vector<Entry> entries;
  std::vector<std::string> missing;  // "FOLDER (why)"
};

Collected Collect(const SweepPlan& plan) {
  Collected all;
  for (const SweepModel& model : plan.models) {
    const SweepReport report = Inspect(plan, model);
    std::string why = report.reason.empty() ? StateName(report.state) : report.reason;
    if (report.state == SweepState::kFinished) why = Difference(plan, model);
    if (why.empty()) {
      all.entries.push_back({&model, report.result});
    } else {
      all.missing.push_back(absl::StrCat(model.folder, " (", why, ")"));
    }
  }
  return all;
}

Evaluation TestOf(const Entry& entry) {
  Evaluation test = entry.result.test;
  test.experiment = entry.model->experiment;
  if (!entry.result.tested) test.pearson = test.spearman = test.mse = test.auroc = test.aupr = std::nan("");
  return test;
}

// What makes a grid point: its values of the settings in which models of the plan differ.
std::string PointOf(const SweepModel& model, const std::vector<std::string>& varying) {
  std::string text;
  for (const std::string& name : varying) absl::StrAppend(&text, "\t", SettingOf(model, name));
  return text;
}

std::vector<Evaluation> TestsOf(const std::vector<Entry>& entries) {
  std::vector<Evaluation> tests;
  for (const Entry& entry : entries) tests.push_back(TestOf(entry));
  return tests;
}

std::string MetricsOf(const std::vector<Entry>& entries, const std::vector<std::string>& varying, bool classification) {
  std::vector<NamedColumn> columns = {{"id", {}}, {"replicate", {}}, {"folder", {}}};
  for (const std::string& name : varying) columns.push_back({name, {}});
  for (const Entry& entry : entries) {
    const SweepModel& m = *entry.model;
    columns[0].values.push_back(m.id);
    columns[1].values.push_back(absl::StrCat(m.config.replicate));
    columns[2].values.push_back(m.folder);
    for (size_t i = 0; i < varying.size(); ++i) columns[3 + i].values.push_back(SettingOf(m, varying[i]));
  }
  return MetricsTsv(TestsOf(entries), classification, {}, columns);
}

Json Statistics(const std::vector<Entry>& entries, bool classification) {
  Json json = {{"models", entries.size()}};
  json.update(MetricsSummary(TestsOf(entries), classification));
  return json;
}

struct Point {
  std::string settings;  // as the table shows them
  Json json;
};

std::vector<Point> Points(const std::vector<Entry>& entries, const std::vector<std::string>& varying,
                          bool classification) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<Entry>> of;
  for (const Entry& entry : entries) {
    const std::string key = PointOf(*entry.model, varying);
    if (!of.contains(key)) order.push_back(key);
    of[key].push_back(entry);
  }
  std::vector<Point> points;
  for (const std::string& key : order) {
    Json settings = Json::object();
    std::vector<std::string> words;
    for (const std::string& name : varying) {
      settings[name] = SettingOf(*of[key][0].model, name);
      words.push_back(absl::StrCat(name, " ", SettingOf(*of[key][0].model, name)));
    }
    Json json = {{"settings", settings}};
    json.update(Statistics(of[key], classification));
    points.push_back({absl::StrJoin(words, ", "), std::move(json)});
  }
  return points;
}

std::string SummaryText(const Json& all, const std::vector<Point>& points, bool classification) {
  const std::vector<std::string> metrics = classification ? std::vector<std::string>{"auroc", "aupr"}
                                                          : std::vector<std::string>{"pearson", "spearman", "mse"};
  std::vector<std::vector<std::string>> table(1, {"", "models"});
  for (const std::string& name : metrics) table[0].insert(table[0].end(), {name, "sd"});
  const auto row = [&](const std::string& title, const Json& json) {
    table.push_back({title, Grouped(json["models"].get<int64_t>())});
    for (const std::string& name : metrics) {
      table.back().push_back(Fixed(json[name]["mean"].get<double>(), 4));
      table.back().push_back(Fixed(json[name]["sd"].get<double>(), 4));
    }
  };
  if (points.size() > 1) {
    for (const Point& point : points) row(point.settings, point.json);
  }
  row("all", all);
  return AlignedTable(table);
}

bool HasContent(const std::string& path, const std::string& content) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return file && text.str() == content;
}

absl::Status Write(const std::string& path, const std::string& content, bool overwrite) {
  if (HasContent(path, content)) return absl::OkStatus();
  RB_RETURN_IF_ERROR(RefuseExisting({path}, overwrite));
  return WriteFile(path, content);
}

absl::Status CheckComplete(const Flags& flags, const SweepPlan& plan, const Collected& all) {
  if (all.missing.empty() || (flags.allow_incomplete && !all.entries.empty())) return absl::OkStatus();
  const size_t named = std::min<size_t>(all.missing.size(), 5);
  return absl::FailedPreconditionError(absl::StrCat(
      plan.folder, ": ", all.missing.size(), " of ", plan.models.size(), " models are not there: ",
      absl::StrJoin(all.missing.begin(), all.missing.begin() + static_cast<int64_t>(named), ", "),
      named < all.missing.size() ? ", .." : "", "; expected all of them (`sweep run` trains what is missing)",
      all.entries.empty() ? "" : ", or --allow-incomplete"));
}

absl::Status Run(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(const SweepPlan plan, ReadPlan(flags.plan));
  const Collected all = Collect(plan);
  RB_RETURN_IF_ERROR(CheckComplete(flags, plan, all));
  const std::vector<std::string> varying = VaryingSettings(plan);
  const bool classification = std::any_of(plan.models.begin(), plan.models.end(),
                                          [](const SweepModel& m) { return m.config.shape.classification; });
  const std::vector<Point> points = Points(all.entries, varying, classification);
  std::set<std::string> versions, experiments;
  std::set<const SweepModel*> merged;
  for (const Entry& entry : all.entries) {
    merged.insert(entry.model);
    versions.insert(entry.result.version);
    experiments.insert(entry.model->experiment);
  }
  const Json statistics = Statistics(all.entries, classification);
  Json summary = {{"planned", plan.models.size()}, {"experiments", experiments.size()}, {"versions", versions}};
  summary["missing"] = Json::array();
  for (const SweepModel& model : plan.models) {
    if (!merged.contains(&model)) summary["missing"].push_back(model.folder);
  }
  summary["all"] = statistics;
  summary["points"] = Json::array();
  for (const Point& point : points) summary["points"].push_back(point.json);

  const std::string metrics_path = JoinPath(plan.folder, "metrics.tsv");
  const std::string summary_path = JoinPath(plan.folder, "summary.json");
  RB_RETURN_IF_ERROR(Write(metrics_path, MetricsOf(all.entries, varying, classification), flags.overwrite));
  RB_RETURN_IF_ERROR(Write(summary_path, DumpJson(summary), flags.overwrite));
  Reporter reporter(flags.progress);
  if (!all.missing.empty()) {
    reporter.Say("warning", absl::StrCat("ATTENTION: ", all.missing.size(), " of ", plan.models.size(),
                                         " models are left out: ", absl::StrJoin(all.missing, ", ")));
  }
  if (versions.size() > 1) {
    reporter.Say("warning", absl::StrCat("ATTENTION: models of several versions: ", absl::StrJoin(versions, ", ")));
  }
  reporter.Say("done", absl::StrCat("wrote ", metrics_path, " and ", summary_path));
  reporter.Open();
  std::fputs(SummaryText(statistics, points, classification).c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

Action DefineSweepMerge(CLI::App& app, const Invocation&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--plan", flags->plan, "folder that `sweep plan` wrote")->required()->type_name("DIR");
  app.add_flag("--allow-incomplete", flags->allow_incomplete, "leave out models that are missing or damaged");
  app.add_flag("--overwrite", flags->overwrite, "replace a table of other content");
  app.add_option("--progress", flags->progress, "auto, plain (lines), json (one object a line) or none")
      ->check(CLI::IsMember({"auto", "plain", "json", "none"}))
      ->type_name("MODE")
      ->capture_default_str();
  app.footer("Writes metrics.tsv and summary.json. Example:\n  residualbind sweep merge --plan sweep");
  return [flags] { return Run(*flags); };
}

}  // namespace rb::apps
