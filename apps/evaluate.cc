// residualbind evaluate: trained models against measured targets.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/command.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/common/text.h"
#include "apps/predict/metrics_table.h"
#include "apps/train/data.h"
#include "data/readers.h"
#include "data/sequence_letters.h"
#include "data/split.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/statistics.h"
#include "model/predictor.h"

namespace rb::apps {
namespace {

struct Flags {
  CommonFlags common;
  std::string data, out, split = "test", compare, compare_column = "pearson", predictions;
  std::vector<std::string> models, experiments;
  bool ensemble = false;
};

// Whether some experiment has several models.
bool AnyTwice(const std::vector<LoadedModel>& models) {
  std::set<std::string> names;
  for (const LoadedModel& model : models) names.insert(model.file.experiment);
  return names.size() < models.size();
}

// Those that are asked for, each experiment's together.
absl::StatusOr<std::vector<LoadedModel>> ChosenModels(const Flags& flags) {
  RB_ASSIGN_OR_RETURN(std::vector<LoadedModel> models, LoadModels(flags.models));
  std::set<std::string> wanted(flags.experiments.begin(), flags.experiments.end()), found;
  if (wanted == std::set<std::string>{"all"}) wanted.clear();
  if (!wanted.empty())
    std::erase_if(models, [&](const LoadedModel& m) { return wanted.count(m.file.experiment) == 0; });
  for (const LoadedModel& model : models) {
    found.insert(model.file.experiment);
    if (model.file.config.shape.classification != models[0].file.config.shape.classification) {
      return absl::InvalidArgumentError(
          absl::StrCat(model.path, " and ", models[0].path, ": classification beside regression; expected one task"));
    }
  }
  for (const std::string& name : wanted) {
    if (found.count(name) == 0) {
      return absl::NotFoundError(absl::StrCat("--experiment ", name, ": no model of it under --models; expected one"));
    }
  }
  if (!flags.compare.empty() && !flags.ensemble && AnyTwice(models)) {
    return UsageError("--compare: some experiments have several models; expected one each, or --ensemble");
  }
  std::map<std::string, size_t> order;
  for (const LoadedModel& model : models) order.try_emplace(model.file.experiment, order.size());
  std::stable_sort(models.begin(), models.end(), [&](const LoadedModel& a, const LoadedModel& b) {
    return order[a.file.experiment] < order[b.file.experiment];
  });
  return models;
}

const std::vector<int32_t>& Part(const Split& split, const std::string& name) {
  return name == "train" ? split.train : name == "valid" ? split.valid : split.test;
}

// A model's (or an ensemble's) predictions of the rows that have a target.
struct Predictions {
  std::string experiment, model;  // the model where experiments have several, else empty
  std::vector<int32_t> rows;
  Scored scored;
};

// Rows of the table, with what stands beside the metrics.
struct Table {
  std::vector<Evaluation> rows;
  std::vector<std::string> models;       // where experiments have several and each has its row
  std::vector<std::string> kinds;        // where not all are networks and each has its row
  std::vector<std::vector<double>> own;  // of ensembles: each row's members' metrics
  std::vector<Predictions> predictions;  // of each row, with --predictions

  // Behind the metrics: what the models are, or how many members, their mean and their spread.
  std::vector<NamedColumn> More(const std::function<std::string(double)>& text) const {
    if (!kinds.empty()) return {{"kind", kinds}};
    if (own.empty()) return {};
    std::vector<NamedColumn> columns = {{"members", {}}, {"member_mean", {}}, {"member_sd", {}}};
    for (const std::vector<double>& members : own) {
      columns[0].values.push_back(absl::StrCat(members.size()));
      columns[1].values.push_back(text(Mean(members)));
      columns[2].values.push_back(text(SampleSd(members)));
    }
    return columns;
  }
};

// Predictions of an experiment's models so far.
struct Members {
  Scored sum;
  std::vector<double> metrics;  // each one's own
};

// Members must see the same rows and targets.
absl::Status AddMember(const LoadedModel& model, const LoadedModel& first, Scored scored, Members& members) {
  const Evaluation own = MetricsOf(model.file, scored);
  members.metrics.push_back(model.file.config.shape.classification ? own.auroc : own.pearson);
  if (members.metrics.size() == 1) {
    members.sum = std::move(scored);
    return absl::OkStatus();
  }
  if (scored.targets != members.sum.targets) {
    return absl::FailedPreconditionError(absl::StrCat(model.path, " and ", first.path,
                                                      ": trained with other splits or target transforms; expected "
                                                      "replicates of one training for --ensemble"));
  }
  for (size_t i = 0; i < scored.predictions.size(); ++i) members.sum.predictions[i] += scored.predictions[i];
  return absl::OkStatus();
}

void FinishEnsemble(const LoadedModel& first, Members& members, Table& table) {
  const float count = static_cast<float>(members.metrics.size());
  for (float& prediction : members.sum.predictions) prediction /= count;
  table.rows.push_back(MetricsOf(first.file, members.sum));
  table.own.push_back(std::move(members.metrics));
}

// What --predictions keeps of the table's last row.
void Keep(const Dataset& dataset, const std::vector<int32_t>& part, Scored scored, Table& table) {
  Predictions kept;
  kept.experiment = table.rows.back().experiment;
  if (!table.models.empty()) kept.model = table.models.back();
  const std::span<const float> target = dataset.target(dataset.Find(kept.experiment));
  for (const int32_t row : part) {
    if (!std::isnan(target[row])) kept.rows.push_back(row);
  }
  kept.scored = std::move(scored);
  RB_CHECK(kept.rows.size() == kept.scored.predictions.size());
  table.predictions.push_back(std::move(kept));
}

// A row a prediction; `row` counts the data set's sequences from 0.
absl::Status WritePredictions(const Flags& flags, const Dataset& dataset, const Table& table) {
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.predictions)));
  const bool named = !table.models.empty();
  constexpr int64_t kPiece = 4096;  // rows made into text at once
  std::vector<std::pair<const Predictions*, int64_t>> pieces;
  for (const Predictions& kept : table.predictions) {
    for (int64_t first = 0; first < std::ssize(kept.rows); first += kPiece) pieces.emplace_back(&kept, first);
  }
  const auto piece = [&](int64_t i) -> std::string {
    if (i == 0) return absl::StrCat("experiment\t", named ? "model\t" : "", "row\tsequence\tmeasured\tpredicted\n");
    const auto& [kept, first] = pieces[static_cast<size_t>(i - 1)];
    const std::string start = absl::StrCat(kept->experiment, "\t", named ? kept->model + "\t" : "");
    std::string text;
    for (int64_t r = first; r < std::min(first + kPiece, static_cast<int64_t>(std::ssize(kept->rows))); ++r) {
      absl::StrAppend(&text, start, kept->rows[r], "\t",
                      InAlphabet(LettersOf(dataset.sequences, kept->rows[r]), flags.common.dna()), "\t",
                      Shortest(kept->scored.targets[r]), "\t", Shortest(kept->scored.predictions[r]), "\n");
    }
    return text;
  };
  return WritePieces(flags.predictions, std::ssize(pieces) + 1, piece);
}

absl::StatusOr<Table> EvaluateAll(const std::vector<LoadedModel>& models, Dataset& dataset, const Flags& flags,
                                  OpenedMachine& machine, Reporter& reporter) {
  Table table;
  // Once for all models.
  RB_ASSIGN_OR_RETURN(const Predictor folds, OpenPredictor(models[MostStructured(models)].file, flags.common, machine));
  RB_RETURN_IF_ERROR(folds.AddTracks(dataset.sequences));
  const bool named = !flags.ensemble && AnyTwice(models), keep = !flags.predictions.empty();
  const bool told = !flags.ensemble &&
                    std::any_of(models.begin(), models.end(), [](const LoadedModel& m) { return !IsNetwork(m.file); });
  Members members;
  size_t first = 0;  // of the experiment
  for (size_t i = 0; i < models.size(); ++i) {
    const ModelFile& model = models[i].file;
    if (model.experiment != models[first].file.experiment) first = i;
    RB_ASSIGN_OR_RETURN(const Split split,
                        MakeTrainSplit(dataset, model.config.seed, model.config.valid_fraction, model.max_probes));
    if (Part(split, flags.split).empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(flags.data, ": has no ", flags.split, " probes; expected some, or another --split"));
    }
    RB_ASSIGN_OR_RETURN(const Predictor predictor, OpenPredictor(model, flags.common, machine));
    RB_ASSIGN_OR_RETURN(Scored scored, ScorePresent(model, predictor, dataset, Part(split, flags.split)));
    if (flags.ensemble) {
      RB_RETURN_IF_ERROR(AddMember(models[i], models[first], std::move(scored), members));
      const bool last = i + 1 == models.size() || models[i + 1].file.experiment != model.experiment;
      if (last) FinishEnsemble(models[first], members, table);
      if (last && keep) Keep(dataset, Part(split, flags.split), std::move(members.sum), table);
      if (last) members = {};
    } else {
      table.rows.push_back(MetricsOf(model, scored));
      if (named) table.models.push_back(models[i].path);
      if (keep) Keep(dataset, Part(split, flags.split), std::move(scored), table);
      if (told) table.kinds.push_back(std::string(ModelKindName(model.baseline.kind)));
    }
    reporter.Progress(absl::StrCat("evaluated ", i + 1, " of ", models.size(), " models"),
                      {{"done", i + 1}, {"models", models.size()}});
  }
  return table;
}

// Pairs by experiment name; the text goes to the reader, the JSON into summary.json.
absl::StatusOr<nlohmann::ordered_json> Compare(const Flags& flags, const std::vector<Evaluation>& rows,
                                               std::string* text) {
  RB_ASSIGN_OR_RETURN(const auto other, ReadMetricsColumn(flags.compare, flags.compare_column));
  std::vector<double> ours, theirs, differences;
  for (const Evaluation& row : rows) {
    const auto it = other.find(row.experiment);
    if (it == other.end() || std::isnan(row.pearson)) continue;
    ours.push_back(row.pearson);
    theirs.push_back(it->second);
    differences.push_back(row.pearson - it->second);
  }
  if (ours.empty()) {
    return absl::NotFoundError(absl::StrCat(flags.compare, ": shares no experiment with the models; expected some of ",
                                            rows[0].experiment, ", .. in its experiment column"));
  }
  const Wilcoxon test = WilcoxonSignedRank(differences);
  *text = absl::StrFormat(
      "against %s (%s): %d experiments, mean %.4f against %.4f, difference %+.4f\n"
      "Wilcoxon signed rank: W+ %.1f, W- %.1f, p %s (two-sided, %s)\n",
      flags.compare, flags.compare_column, ours.size(), Mean(ours), Mean(theirs), Mean(differences), test.positive,
      test.negative, std::isnan(test.p) ? "nan" : absl::StrFormat("%.4g", test.p),
      test.exact ? "exact" : "normal approximation");
  return nlohmann::ordered_json{{"file", flags.compare},
                                {"column", flags.compare_column},
                                {"n", ours.size()},
                                {"mean", Mean(ours)},
                                {"mean_other", Mean(theirs)},
                                {"mean_difference", Mean(differences)},
                                {"wilcoxon",
                                 {{"n", test.n},
                                  {"w_positive", test.positive},
                                  {"w_negative", test.negative},
                                  {"p", test.p},
                                  {"method", test.exact ? "exact" : "normal"}}}};
}

absl::Status Run(const Flags& flags, const Invocation& invocation) {
  const std::string summary_path = JoinPath(ParentFolder(flags.out), "summary.json");
  std::vector<std::string> outputs;
  if (!flags.out.empty()) outputs = {flags.out, summary_path};
  if (!flags.predictions.empty()) outputs.push_back(flags.predictions);
  RB_RETURN_IF_ERROR(RefuseExisting(outputs, flags.common.overwrite));
  for (const std::string& path : outputs) RB_RETURN_IF_ERROR(CheckWritable(ParentFolder(path)));
  RB_ASSIGN_OR_RETURN(OpenedMachine machine, OpenMachine(flags.common, false));
  Reporter reporter(flags.common.progress);
  RunRecord record(invocation);
  RB_ASSIGN_OR_RETURN(const std::vector<LoadedModel> models, ChosenModels(flags));
  ReadOptions options{models[0].file.config.shape.length, {}, flags.common.dna()};
  for (const LoadedModel& model : models) {
    if (options.experiments.empty() || options.experiments.back() != model.file.experiment) {
      options.experiments.push_back(model.file.experiment);
    }
  }
  reporter.Busy(absl::StrCat("reading ", flags.data, " .."));
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadDataset(flags.data, options, *machine.pool));
  RB_RETURN_IF_ERROR(record.AddInput(flags.data));
  record.EndPhase("read");
  RB_ASSIGN_OR_RETURN(const Table table, EvaluateAll(models, dataset, flags, machine, reporter));
  const std::vector<Evaluation>& rows = table.rows;
  record.EndPhase("evaluate");

  const bool classification = models[0].file.config.shape.classification;
  std::string text = MetricsText(rows, classification, table.models, table.More([](double v) { return Fixed(v, 4); })),
              comparison;
  nlohmann::ordered_json summary = {{"split", flags.split}, {"experiments", rows.size()}};
  summary.update(MetricsSummary(rows, classification));
  if (!flags.compare.empty()) {
    RB_ASSIGN_OR_RETURN(summary["compare"], Compare(flags, rows, &comparison));
    RB_RETURN_IF_ERROR(record.AddInput(flags.compare));
  }
  if (!flags.predictions.empty()) {
    RB_RETURN_IF_ERROR(WritePredictions(flags, dataset, table));
    reporter.Say("predictions", absl::StrCat("wrote ", flags.predictions));
  }
  if (!flags.out.empty()) {
    for (const LoadedModel& model : models) RB_RETURN_IF_ERROR(record.AddInput(model.path));
    record.Set("device", machine.description);
    record.Set("threads", machine.pool->num_threads());
    record.Set("precision", machine.precision_name);
    summary["run"] = record.Finish();
    RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(flags.out)));
    RB_RETURN_IF_ERROR(WriteFile(
        flags.out, MetricsTsv(rows, classification, table.models, table.More([](double v) { return Shortest(v); }))));
    RB_RETURN_IF_ERROR(WriteFile(summary_path, DumpJson(summary)));
    reporter.Say("done", absl::StrCat("wrote ", flags.out, " and ", summary_path));
  }
  reporter.Open();
  std::printf("%s%s", text.c_str(), comparison.c_str());
  return absl::OkStatus();
}

}  // namespace

Action DefineEvaluate(CLI::App& app, const Invocation& invocation) {
  auto flags = std::make_shared<Flags>();
  app.add_option("--data", flags->data, "the data the models were trained on, or others with the same experiments")
      ->required()
      ->type_name("PATH");
  app.add_option("--models", flags->models, "model files, or the folder that train wrote")
      ->required()
      ->expected(1, -1)
      ->type_name("PATH..");
  app.add_option("--experiment", flags->experiments, "ID[,ID..] or all (the default)")->delimiter(',')->type_name("ID");
  app.add_option("--split", flags->split, "train, valid or test, split as each model was trained")
      ->check(CLI::IsMember({"train", "valid", "test"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_flag(
      "--ensemble", flags->ensemble,
      "average the predictions of an experiment's models: one row each, beside the mean and sd of its members");
  app.add_option("--out", flags->out, "metrics table to write; summary.json goes beside it")->type_name("FILE");
  app.add_option("--predictions", flags->predictions,
                 "table to write of every row: experiment, row, sequence, measured, predicted")
      ->type_name("FILE");
  app.add_option("--compare", flags->compare, "another metrics table: paired Wilcoxon test by experiment")
      ->type_name("FILE");
  app.add_option("--compare-column", flags->compare_column, "its column of Pearson correlations")
      ->type_name("NAME")
      ->capture_default_str();
  AddCommonFlags(app, flags->common, kMachineFlags | kEnergyFlag | kAlphabetFlag | kProgressFlag | kOverwriteFlag);
  app.footer("Example:\n  residualbind evaluate --data sim --models models --out eval/metrics.tsv");
  return [flags, &invocation] { return Run(*flags, invocation); };
}

}  // namespace rb::apps
