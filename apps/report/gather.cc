#include "apps/report/gather.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/text.h"
#include "apps/gia/tables.h"
#include "apps/plot/sources.h"
#include "apps/plot/table.h"
#include "apps/predict/metrics_table.h"
#include "apps/report/answers.h"
#include "data/sha256.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool Exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Null where the file is not there.
absl::StatusOr<Json> ReadRecord(const std::string& path) {
  if (!Exists(path)) return Json();
  std::ifstream file(path);
  Json json = Json::parse(file, nullptr, false);
  if (json.is_object()) return json;
  return absl::InvalidArgumentError(absl::StrCat(path, ": is not a JSON object; expected the record of a run"));
}

// A member as text; "" when it is not there or no single value.
std::string TextOf(const Json& json, const char* name) {
  const auto it = json.is_object() ? json.find(name) : json.end();
  if (!json.is_object() || it == json.end() || it->is_null() || it->is_structured()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

void AddInputs(const Json& record, ReportFacts* facts) {
  const auto inputs = record.find("inputs");
  if (inputs == record.end() || !inputs->is_array()) return;
  size_t models = 0;
  for (const Json& input : *inputs) {
    const std::string path = TextOf(input, "path"), sum = TextOf(input, "sha256");
    if (fs::path(path).filename() == "model.safetensors") {
      ++models;
      continue;
    }
    facts->emplace_back("data", sum.empty() ? path : absl::StrCat(path, ", SHA-256 ", sum));
  }
  if (models > 0) facts->emplace_back("models asked", Grouped(static_cast<int64_t>(models)));
}

// Of a run.json.
ReportFacts FactsOf(const Json& record) {
  ReportFacts facts;
  if (!record.is_object()) return facts;
  constexpr std::pair<const char*, const char*> kRows[] = {
      {"command", "command"}, {"version", "version"},     {"preset", "preset"},  {"seed", "seed"},
      {"device", "device"},   {"precision", "precision"}, {"started", "started"}};
  for (const auto& [name, label] : kRows) {
    const std::string text = TextOf(record, name);
    if (!text.empty()) facts.emplace_back(label, text);
  }
  const auto seconds = record.find("seconds");
  if (seconds != record.end() && seconds->is_object() && seconds->contains("total") &&
      (*seconds)["total"].is_number()) {
    facts.emplace_back("took", Duration((*seconds)["total"].get<double>()));
  }
  AddInputs(record, &facts);
  return facts;
}

struct Places {
  std::string models;   // where FindModels looks
  std::string records;  // of metrics.tsv and run.json
  std::string base;     // what models' folders are named below
};

fs::path Absolute(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();  // without a slash at its end
}

// What --run means: a sweep keeps its models one folder lower; one model's folder lies up to three below its run's (of
// grids and replicates).
Places PlacesOf(const std::string& run) {
  const auto in = [&](const std::string& records) {
    const std::string below = JoinPath(records, "models");
    return Places{run, records, Exists(JoinPath(records, "manifest.tsv")) && Exists(below) ? below : records};
  };
  if (!Exists(JoinPath(run, "model.safetensors"))) {
    Places places = in(run);
    places.models = places.base;
    return places;
  }
  fs::path above = Absolute(run);
  for (int level = 0; level <= 4; ++level, above = above.parent_path()) {
    if (Exists(JoinPath(above.string(), "metrics.tsv"))) return in(above.string());
  }
  return {run, run, run};
}

absl::StatusOr<std::vector<LoadedModel>> ReadModels(const std::string& folder) {
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> paths, FindModels({folder}));
  std::vector<LoadedModel> models;
  for (const std::string& path : paths) {
    RB_ASSIGN_OR_RETURN(ModelFile file, ReadModel(path));
    file.parameters = {};
    models.push_back({path, std::move(file)});
    if (models.back().file.config.shape.classification != models[0].file.config.shape.classification) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": is of another task than ", models[0].path, "; expected models of one task"));
    }
  }
  return models;
}

// Settings in which models of the run differ, as "name value, ..".
void AddSettings(std::vector<ReportModel>* models) {
  std::map<std::string, std::set<std::string>> values;
  for (const ReportModel& m : *models) {
    for (const auto& [name, value] : SettingsOf(m.file.config)) values[name].insert(value);
  }
  for (ReportModel& m : *models) {
    std::vector<std::string> words;
    for (const auto& [name, value] : SettingsOf(m.file.config)) {
      if (values[name].size() > 1) words.push_back(absl::StrCat(name, " ", value));
    }
    m.settings = absl::StrJoin(words, ", ");
  }
}

// The rows of metrics.tsv belong to models by their folder, which train and sweep name where experiments have several.
// `all`: whether the table should be about these models alone.
absl::Status AddMetrics(const std::string& path, bool all, ReportData* data) {
  RB_ASSIGN_OR_RETURN(const plot::Table table, plot::Table::Read(path));
  const char* key = table.Has("folder") ? "folder" : table.Has("model") ? "model" : "experiment";
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> names, table.Texts(key));
  RB_ASSIGN_OR_RETURN(const std::vector<double> counts, table.Numbers("n"));
  std::map<std::string, size_t> rows;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!rows.emplace(names[i], i).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": has the ", key, " '", names[i], "' twice; expected a row a model"));
    }
  }
  std::vector<std::vector<double>> columns;
  for (const MetricColumn& column : MetricColumns(data->classification)) {
    RB_ASSIGN_OR_RETURN(columns.emplace_back(), table.Numbers(column.name));
  }
  size_t matched = 0;
  std::vector<std::string> without;
  for (ReportModel& model : data->models) {
    const auto row = rows.find(std::string(key) == "experiment" ? model.file.experiment : model.name);
    if (row == rows.end()) {
      without.push_back(model.name);
      continue;
    }
    ++matched;
    model.n = counts[row->second];
    for (size_t c = 0; c < columns.size(); ++c) model.metrics[c] = columns[c][row->second];
  }
  if (!without.empty()) {
    data->remarks.push_back(absl::StrCat("metrics.tsv has no row for ", without.size(), " of ", data->models.size(),
                                         " models, the first of them ", without[0], "."));
  }
  if (all && names.size() > matched) {
    data->remarks.push_back(
        absl::StrCat("Rows of metrics.tsv about models that are not here: ", names.size() - matched, "."));
  }
  return absl::OkStatus();
}

absl::Status AddHistories(ReportData* data) {
  size_t missing = 0;
  for (ReportModel& model : data->models) {
    if (!IsNetwork(model.file)) continue;  // its history is of penalties or matrices
    const std::string path = JoinPath(ParentFolder(model.path), "history.tsv");
    if (!Exists(path)) {
      ++missing;
      continue;
    }
    RB_ASSIGN_OR_RETURN(model.history, plot::LoadHistory(path));
  }
  if (missing > 0) {
    data->remarks.push_back(absl::StrCat("No learning curve (history.tsv) of ", missing, " of ", data->models.size(),
                                         data->models.size() == 1 ? " model." : " models."));
  }
  return absl::OkStatus();
}

// Whether gia was asked about these very files.
absl::Status CompareChecksums(const Json& record, ReportData* data) {
  std::set<std::string> asked;
  const auto inputs = record.is_object() ? record.find("inputs") : record.end();
  if (!record.is_object() || inputs == record.end() || !inputs->is_array()) return absl::OkStatus();
  for (const Json& input : *inputs) asked.insert(TextOf(input, "sha256"));
  asked.erase("");
  if (asked.empty()) return absl::OkStatus();
  size_t others = 0;
  for (const ReportModel& model : data->models) {
    if (!model.answers.has_value()) continue;
    RB_ASSIGN_OR_RETURN(const std::string sum, Sha256OfFile(model.path));
    others += asked.contains(sum) ? 0 : 1;
  }
  if (others > 0) {
    data->remarks.push_back(absl::StrCat("gia was asked about other files than ", others,
                                         " of these models: their SHA-256 is not in its run.json."));
  }
  return absl::OkStatus();
}

absl::Status AddAnswers(const std::string& folder, const std::vector<LoadedModel>& loaded, ReportData* data) {
  RB_ASSIGN_OR_RETURN(const AnswerTables tables, AnswerTables::Open(folder));
  RB_ASSIGN_OR_RETURN(const Json record, ReadRecord(JoinPath(folder, "run.json")));
  const absl::StatusOr<Preset> named = ParsePreset(TextOf(record, "preset"));
  const std::vector<std::string> names = ModelNames(loaded);
  std::vector<std::string> without;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!tables.Has(names[i])) {
      without.push_back(names[i]);
      continue;
    }
    RB_ASSIGN_OR_RETURN(data->models[i].answers, tables.Of(names[i], named.value_or(Preset::kPaper)));
  }
  if (without.size() == names.size()) {
    return absl::FailedPreconditionError(absl::StrCat("--gia ", folder,
                                                      ": its effects.tsv tells of none of these models, ", names[0],
                                                      " for one; expected what gia wrote about the models of --run"));
  }
  if (!without.empty()) {
    data->remarks.push_back(absl::StrCat("gia's tables do not tell of ", without.size(), " of ", names.size(),
                                         " models, the first of them ", without[0], "."));
  }
  data->with_gia = true;
  data->gia = FactsOf(record);
  return CompareChecksums(record, data);
}

// Its folder below the run's, or its experiment where that is the run's own.
std::string NameOf(const LoadedModel& model, const std::string& base) {
  const std::string name = Absolute(ParentFolder(model.path)).lexically_relative(Absolute(base)).generic_string();
  if (!name.empty() && name != "." && name.compare(0, 2, "..") != 0) return name;  // "..": --run is a file
  return model.file.experiment.empty() ? "model" : model.file.experiment;
}

}  // namespace

absl::StatusOr<ReportData> GatherReport(const std::string& run, const std::string& gia) {
  const Places places = PlacesOf(run);
  RB_ASSIGN_OR_RETURN(const std::vector<LoadedModel> loaded, ReadModels(places.models));
  ReportData data;
  data.models_folder = places.models;
  data.classification = loaded[0].file.config.shape.classification;
  const size_t metrics = MetricColumns(data.classification).size();
  for (const LoadedModel& model : loaded) {
    data.models.push_back({NameOf(model, places.base),
                           model.path,
                           model.file,
                           "",
                           plot::kNone,
                           std::vector<double>(metrics, plot::kNone),
                           {},
                           {}});
  }
  AddSettings(&data.models);
  const std::string table = JoinPath(places.records, "metrics.tsv");
  if (Exists(table)) RB_RETURN_IF_ERROR(AddMetrics(table, run == places.records, &data));
  RB_RETURN_IF_ERROR(AddHistories(&data));
  RB_ASSIGN_OR_RETURN(const Json record, ReadRecord(JoinPath(places.records, "run.json")));
  data.run = FactsOf(record);
  if (!gia.empty()) RB_RETURN_IF_ERROR(AddAnswers(gia, loaded, &data));
  return data;
}

}  // namespace rb::apps
