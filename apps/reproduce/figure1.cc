// Figure 1: Pearsons of ResidualBind's runs and of earlier methods.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/common/text.h"
#include "apps/plot/table.h"
#include "apps/reproduce/pieces.h"
#include "apps/reproduce/stage.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

using plot::NamedValues;

constexpr char kRbfox1[] = "RNCMPT00168";
// In the paper's order; a run is a transform and what the network reads.
constexpr const char* kRuns[] = {"clip sequence", "clip PU", "clip PHIME", "log sequence", "log PU", "log PHIME"};

struct OneRun {
  NamedValues values;        // the mean over replicates
  const LoadedModel* least;  // trained the shortest
  const LoadedModel* example;
};

bool IsOf2013(const std::string& name) { return name.rfind("RNCMPT", 0) == 0; }
bool IsOf2009(const std::string& name) {
  constexpr const char* kNames[] = {"vts1", "ptb", "fusip", "rbm4", "sf2", "slm2", "yb1", "hur", "u1a"};
  const std::string lower = absl::AsciiStrToLower(name);
  return std::any_of(std::begin(kNames), std::end(kNames), [&](const char* one) { return lower.rfind(one, 0) == 0; });
}

std::vector<double> Chosen(const NamedValues& run, bool (*of)(const std::string&)) {
  std::vector<double> values;
  for (const auto& [name, value] : run.values) {
    if (of(name) && std::isfinite(value)) values.push_back(value);
  }
  return values;
}

// Two columns on the experiments that both have.
struct Pairing {
  std::string first, second;
  std::vector<double> a, b, differences;
  Wilcoxon test;
};
Pairing Pair(const NamedValues& first, const NamedValues& second) {
  Pairing pair = {first.name, second.name, {}, {}, {}, {}};
  for (const auto& [name, value] : first.values) {
    const auto it = second.values.find(name);
    if (it == second.values.end() || !std::isfinite(value) || !std::isfinite(it->second)) continue;
    pair.a.push_back(value), pair.b.push_back(it->second);
    pair.differences.push_back(value - it->second);
  }
  pair.test = WilcoxonSignedRank(pair.differences);
  return pair;
}
std::string PairText(const Pairing& pair) {
  return absl::StrFormat("on %d present: %.3f, %s %.3f, Wilcoxon p %.2g", pair.differences.size(), Mean(pair.a),
                         pair.second, Mean(pair.b), pair.test.p);
}
std::string PairRow(const Pairing& pair) {
  std::string row = absl::StrCat(pair.first, "\t", pair.second, "\t", pair.differences.size());
  for (const double v : {Mean(pair.a), Mean(pair.b), Mean(pair.differences), pair.test.p}) {
    absl::StrAppend(&row, "\t", Shortest(v));
  }
  return row + "\n";
}

// Models of one run and experiment are averaged, so that they must be replicates: alike but for their random numbers.
absl::Status CheckReplicates(const std::vector<LoadedModel>& models) {
  std::map<std::pair<std::string, std::string>, const LoadedModel*> firsts;
  for (const LoadedModel& model : models) {
    const std::pair<std::string, std::string> key = {RunName(model.file), model.file.experiment};
    const LoadedModel& first = *firsts.try_emplace(key, &model).first->second;
    const auto settings = SettingsOf(first.file.config);
    for (const auto& [name, value] : SettingsOf(model.file.config)) {
      if (name == "seed" || name == "replicate" || settings.at(name) == value) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          first.path, " and ", model.path, ": two models of ", key.second, " for the run '", key.first, "', with ",
          name, " ", settings.at(name), " and ", value, "; expected replicates, alike but for seed and replicate"));
    }
  }
  return absl::OkStatus();
}

// Every model on the test set; one scatter a run, of the example.
absl::StatusOr<std::vector<OneRun>> Runs(Stage& stage, const std::string& example) {
  std::map<std::string, std::map<std::string, std::vector<double>>> pearsons;
  std::map<std::string, OneRun> runs;
  size_t done = 0;
  for (const LoadedModel& model : stage.models()) {
    const std::string name = RunName(model.file);
    OneRun& run = runs.try_emplace(name, OneRun{{name, {}}, &model, nullptr}).first->second;
    if (model.file.epochs < run.least->file.epochs) run.least = &model;
    RB_ASSIGN_OR_RETURN(const Predictor predictor, stage.Open(model));
    RB_ASSIGN_OR_RETURN(const TestPart part, stage.Test(model, predictor));
    pearsons[name][model.file.experiment].push_back(MetricsOf(model.file, part.scored).pearson);
    if (model.file.experiment == example && run.example == nullptr) {
      run.example = &model;
      plot::ScatterData scatter = {"measured", "predicted", {}, {}, {}, ""};
      scatter.x.assign(part.scored.targets.begin(), part.scored.targets.end());
      scatter.y.assign(part.scored.predictions.begin(), part.scored.predictions.end());
      std::string file = name;
      std::replace(file.begin(), file.end(), ' ', '_');
      RB_RETURN_IF_ERROR(
          stage.Show("figure1c_" + file, DrawScatter(scatter, stage.Titled(absl::StrCat(example, ", ", name)))));
    }
    stage.reporter().Progress(absl::StrCat("evaluated ", ++done, " of ", stage.models().size(), " models"),
                              {{"done", done}, {"models", stage.models().size()}});
  }
  std::vector<OneRun> ordered;
  for (const char* name : kRuns) {
    const auto it = runs.find(name);
    if (it == runs.end()) continue;
    for (const auto& [experiment, values] : pearsons[name]) it->second.values.values[experiment] = Mean(values);
    ordered.push_back(it->second);
  }
  return ordered;
}

// The table's columns of numbers. A column without any is of names.
absl::StatusOr<std::vector<NamedValues>> ReadPublished(const std::string& path) {
  std::vector<NamedValues> columns;
  if (path.empty()) return columns;
  RB_ASSIGN_OR_RETURN(const plot::Table table, plot::Table::Read(path));
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> experiments, table.Texts(table.names()[0]));
  for (size_t c = 1; c < table.names().size(); ++c) {
    const std::string& name = table.names()[c];
    RB_ASSIGN_OR_RETURN(const std::vector<std::string> cells, table.Texts(name));
    double ignored;
    const bool numbers = std::any_of(cells.begin(), cells.end(),
                                     [&](const std::string& cell) { return absl::SimpleAtod(cell, &ignored); });
    if (!numbers) continue;
    RB_ASSIGN_OR_RETURN(const std::vector<double> values, table.Numbers(name));
    NamedValues& column = columns.emplace_back();
    column.name = name;
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isfinite(values[i])) column.values[experiments[i]] = values[i];
    }
  }
  if (columns.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has no column of numbers; expected a Pearson of each experiment for each method"));
  }
  return columns;
}

void FindTable(Stage& stage, const std::vector<NamedValues>& columns) {
  for (const Anchor& anchor : Anchors()) {
    const std::string key = anchor.key;
    if (key.rfind("table ", 0) != 0) continue;
    const std::string method = absl::AsciiStrToLower(key.substr(6));
    stage.Find(key, {kNoNumber, 0, columns.empty() ? "no --published" : "no such method in --published", ""});
    for (const NamedValues& column : columns) {
      if (absl::AsciiStrToLower(column.name).rfind(method, 0) != 0) continue;
      const std::vector<double> values = Chosen(column, IsOf2013);
      stage.Find(key, {Mean(values), std::ssize(values), "", absl::StrCat("column ", column.name)});
      break;
    }
  }
}

void FindRuns(Stage& stage, const std::vector<OneRun>& runs, const std::vector<NamedValues>& columns) {
  for (const OneRun& run : runs) {
    const std::vector<double> all = Chosen(run.values, IsOf2013);
    std::string note = TrainingNote(run.least->file);
    const Pairing* best = nullptr;
    std::vector<Pairing> pairs;
    for (const NamedValues& column : columns) pairs.push_back(Pair(run.values, column));
    for (const Pairing& pair : pairs) {
      if (!pair.a.empty() && (best == nullptr || Mean(pair.b) > Mean(best->b))) best = &pair;
    }
    if (best != nullptr) absl::StrAppend(&note, "; ", PairText(*best));
    const auto n = std::ssize(all);
    stage.Find("mean " + run.values.name, {Mean(all), n, "", note});
    stage.Find("sd " + run.values.name, {PopulationSd(all), n, "", TrainingNote(run.least->file)});
    const std::string input = run.values.name.substr(run.values.name.find(' ') + 1);
    if (run.values.name.rfind("log", 0) != 0 || input == "PHIME") continue;
    const std::vector<double> old = Chosen(run.values, IsOf2009);
    if (!old.empty()) stage.Find("2009 " + input, {Mean(old), std::ssize(old), "", TrainingNote(run.least->file)});
    if (const auto vts1 = run.values.values.find("VTS1"); vts1 != run.values.values.end()) {
      stage.Find("VTS1 " + input, {vts1->second, 1, "", TrainingNote(run.least->file)});
    }
  }
}

// The paper says that ResidualBind is better than all earlier methods.
void FindLevel(Stage& stage, const std::vector<OneRun>& runs, const std::vector<NamedValues>& columns) {
  // What the paper compares them with: clipped scores, letters only, of 2013.
  const auto clip =
      std::find_if(runs.begin(), runs.end(), [](const OneRun& run) { return run.values.name == "clip sequence"; });
  if (columns.empty() || clip == runs.end()) {
    stage.Find("p",
               {kNoNumber, 0, columns.empty() ? "no --published" : "no run of clipped scores and letters only", ""});
    return;
  }
  NamedValues main = clip->values;
  std::erase_if(main.values, [](const auto& value) { return !IsOf2013(value.first); });
  double largest = 0;
  size_t fewest = main.values.size();
  std::string note;
  for (const NamedValues& column : columns) {
    const Pairing pair = Pair(main, column);
    fewest = std::min(fewest, pair.a.size());
    if (pair.a.empty()) continue;
    const bool better = Mean(pair.differences) > 0;
    if (!better) absl::StrAppend(&note, note.empty() ? "not better than " : ", ", column.name);
    largest = std::max(largest, better ? pair.test.p : 1.0);
  }
  stage.Find("p", {largest, static_cast<int64_t>(fewest), "", note});
}

absl::Status Compare(Stage& stage, const std::vector<OneRun>& runs, const std::vector<NamedValues>& columns) {
  std::string table = "first\tsecond\tn\tmean_first\tmean_second\tdifference\twilcoxon_p\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    for (size_t j = i + 1; j < runs.size(); ++j) table += PairRow(Pair(runs[i].values, runs[j].values));
    for (const NamedValues& column : columns) table += PairRow(Pair(runs[i].values, column));
  }
  stage.Keep("comparisons.tsv", table);
  std::vector<NamedValues> of_runs;
  std::string values = "experiment";
  std::set<std::string> names;
  for (const OneRun& run : runs) {
    of_runs.push_back(run.values);
    absl::StrAppend(&values, "\t", run.values.name);
    for (const auto& [name, value] : run.values.values) names.insert(name);
  }
  values += '\n';
  for (const std::string& name : names) {
    values += name;
    for (const OneRun& run : runs) {
      const auto it = run.values.values.find(name);
      absl::StrAppend(&values, "\t", it == run.values.values.end() ? "" : Shortest(it->second));
    }
    values += '\n';
  }
  stage.Keep("pearsons.tsv", values);
  return stage.Show("figure1d_runs", DrawExperiments(of_runs, "Pearson", stage.Titled("ResidualBind's runs")));
}

// Earlier methods on the experiments that the run has, the weakest first, and the best of them against the run.
absl::Status Methods(Stage& stage, const NamedValues& main, std::vector<NamedValues> columns) {
  for (NamedValues& column : columns) {
    std::erase_if(column.values, [&](const auto& entry) { return main.values.count(entry.first) == 0; });
  }
  std::erase_if(columns, [](const NamedValues& column) { return column.values.empty(); });
  if (columns.empty()) return absl::OkStatus();
  const auto mean = [](const NamedValues& column) {
    return Mean(Chosen(column, [](const std::string&) { return true; }));
  };
  std::stable_sort(columns.begin(), columns.end(),
                   [&](const NamedValues& a, const NamedValues& b) { return mean(a) < mean(b); });
  NamedValues ours = main;
  ours.name = absl::StrCat("ours, ", main.name);
  RB_RETURN_IF_ERROR(stage.Show("figure1b_best", DrawCompare(ours, columns.back(), "Pearson", stage.Titled(""))));
  columns.push_back(ours);
  const std::string title =
      absl::StrCat("Test Pearson of the ", Counted(std::ssize(main.values), "experiment"), " present");
  return stage.Show("figure1a_methods", DrawExperiments(columns, "Pearson", stage.Titled(title)));
}

}  // namespace

absl::Status ReproduceFigure1(Stage& stage) {
  RB_RETURN_IF_ERROR(CheckReplicates(stage.models()));
  RB_ASSIGN_OR_RETURN(const std::vector<NamedValues> columns, ReadPublished(stage.flags().published));
  std::vector<std::string> names;
  for (const LoadedModel& model : stage.models()) {
    if (std::find(names.begin(), names.end(), model.file.experiment) == names.end()) {
      names.push_back(model.file.experiment);
    }
  }
  RB_RETURN_IF_ERROR(stage.ReadData(names));
  RB_RETURN_IF_ERROR(stage.AddTracks());
  std::string example = stage.flags().experiment;
  if (example.empty()) example = std::find(names.begin(), names.end(), kRbfox1) != names.end() ? kRbfox1 : names[0];
  if (std::find(names.begin(), names.end(), example) == names.end()) return stage.ModelOf(example).status();
  RB_ASSIGN_OR_RETURN(const std::vector<OneRun> runs, Runs(stage, example));
  if (runs.empty()) {
    return absl::InvalidArgumentError(
        "--models: all were trained on targets as they are; expected some with --transform log or clip");
  }
  FindTable(stage, columns);
  FindRuns(stage, runs, columns);
  FindLevel(stage, runs, columns);
  RB_RETURN_IF_ERROR(Compare(stage, runs, columns));
  stage.SetMissing("no such run among the models");
  return Methods(stage, runs[0].values, columns);
}

}  // namespace rb::apps
