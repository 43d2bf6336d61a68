#include "apps/sweep/plan.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/common/json_integer.h"
#include "apps/common/outputs.h"
#include "apps/common/run_record.h"
#include "data/line_reader.h"
#include "data/sha256.h"
#include "data/text_value.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/model_file.h"
#include "model/structure_tracks.h"

namespace rb::apps {
namespace {

constexpr char kFormat[] = "residualbind-sweep";
constexpr int kFormatVersion = 1;
constexpr char kReplicate[] = "replicate";
// The columns before the settings.
constexpr const char* kColumns[] = {"id", "experiment", kReplicate, "folder", "data", "max_probes"};
constexpr size_t kNumColumns = std::size(kColumns);

std::string Short(const std::string& hash) { return hash.substr(0, 16); }

// Names in plan.json of how tracks are made; absent where empty.
template <class Plan>
auto TrackSettings(Plan& plan) {
  return std::vector{std::pair{"structure", &plan.structure.structure}, std::pair{"profiles", &plan.structure.profiles},
                     std::pair{"energy", &plan.energy}};
}

// The folder is joined to DIR/models: it must stay below it.
bool IsSafeFolder(const std::string& folder) {
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(folder, '/'))) {
    if (!CheckExperimentName(part).ok()) return false;
  }
  return true;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot be read; expected the folder of a plan, as `sweep plan --out DIR` makes it"));
  }
  return text.str();
}

absl::Status Fault(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what, "; expected the file as `sweep plan` wrote it"));
}

class ManifestReader {
 public:
  explicit ManifestReader(LineReader reader) : reader_(std::move(reader)) {}

  absl::Status Read(std::vector<SweepModel>& models) {
    Line line;
    RB_ASSIGN_OR_RETURN(const bool any, reader_.NextLine(&line));
    if (!any) return Fault(reader_.name(), "is empty");
    std::vector<std::string_view> fields;
    SplitTabs(line.text, &fields);
    names_.assign(fields.begin(), fields.end());
    if (names_.size() < kNumColumns || !std::equal(kColumns, kColumns + kNumColumns, names_.begin())) {
      return Fault(reader_.name(), "does not begin with the columns id, experiment, replicate, folder, data");
    }
    while (true) {
      RB_ASSIGN_OR_RETURN(const bool more, reader_.NextLine(&line));
      if (!more) return absl::OkStatus();
      SplitTabs(line.text, &fields);
      RB_RETURN_IF_ERROR(CheckFieldCount(reader_.name(), line, fields, names_.size()));
      RB_ASSIGN_OR_RETURN(models.emplace_back(), Model(line, fields));
    }
  }

 private:
  absl::StatusOr<SweepModel> Model(const Line& line, const std::vector<std::string_view>& fields) {
    SweepModel model;
    model.id = fields[0];
    model.experiment = fields[1];
    model.folder = fields[3];
    model.data = fields[4];
    std::map<std::string, std::string> settings = {{kReplicate, std::string(fields[2])}};
    for (size_t i = kNumColumns; i < fields.size(); ++i) settings[names_[i]] = fields[i];
    const std::string at = absl::StrCat(reader_.name(), ":", line.number);
    if (!absl::SimpleAtoi(std::string(fields[5]), &model.max_probes) || model.max_probes < 0) {
      return Fault(at, "max_probes is no number");
    }
    absl::StatusOr<TrainConfig> config = ConfigFromSettings(settings);
    if (!config.ok()) return Fault(at, std::string(config.status().message()));
    model.config = *config;
    if (!CheckExperimentName(model.experiment).ok()) return Fault(at, "the experiment's name cannot be a folder's");
    if (!IsSafeFolder(model.folder)) return Fault(at, "the folder is none below DIR/models");
    if (const std::string id = ModelId(model); id != model.id) {
      return Fault(at, absl::StrCat("the id is ", model.id, " where the settings give ", id));
    }
    if (!ids_.insert(model.id).second || !folders_.insert(model.folder).second) {
      return Fault(at, absl::StrCat(model.folder, " is there twice"));
    }
    return model;
  }

  LineReader reader_;
  std::vector<std::string> names_;
  std::set<std::string> ids_, folders_;
};

}  // namespace

DataIdentity::DataIdentity(const Dataset& dataset) : dataset_(dataset) {}

std::string DataIdentity::Of(int64_t experiment, int structure) {
  std::string& known = known_[{experiment, structure}];
  if (!known.empty()) return known;
  std::string& sequences = sequences_[structure];
  if (sequences.empty()) {
    const Sequences& s = dataset_.sequences;
    std::vector<float> made;
    sequences = absl::StrCat(s.length, " ", structure, " ", dataset_.transformed ? "transformed" : "raw", " ",
                             Sha256OfValues(s.bases), " ", Sha256OfValues(s.widths), " ",
                             Sha256OfValues(TracksFor(structure, s, made)), " ", Sha256OfValues(dataset_.folds), " ",
                             Sha256OfValues(dataset_.parts));
  }
  const std::span<const float> target = dataset_.target(experiment);
  const std::string scores = Sha256Hex({reinterpret_cast<const char*>(target.data()), target.size_bytes()});
  return known = Short(Sha256Hex(absl::StrCat(sequences, " ", scores)));
}

std::string ModelId(const SweepModel& model) {
  std::string text = absl::StrCat(kFormat, "\nexperiment=", model.experiment, "\ndata=", model.data,
                                  "\nmax_probes=", model.max_probes, "\n");
  for (const auto& [name, value] : SettingsOf(model.config)) absl::StrAppend(&text, name, "=", value, "\n");
  return Short(Sha256Hex(text));
}

std::string SettingOf(const SweepModel& model, const std::string& name) {
  if (name == "max_probes") return absl::StrCat(model.max_probes);
  const auto settings = SettingsOf(model.config);
  const auto found = settings.find(name);
  return found == settings.end() ? "" : found->second;
}

std::vector<std::string> VaryingSettings(const SweepPlan& plan) {
  std::vector<std::string> names;
  if (plan.models.empty()) return names;
  const auto first = SettingsOf(plan.models[0].config);
  std::set<std::string> varying;
  for (const SweepModel& model : plan.models) {
    for (const auto& [name, value] : SettingsOf(model.config)) {
      if (name != kReplicate && value != first.at(name)) varying.insert(name);
    }
  }
  names.assign(varying.begin(), varying.end());
  return names;
}

std::string ManifestText(const SweepPlan& plan) {
  std::string text;
  for (const char* column : kColumns) absl::StrAppend(&text, text.empty() ? "" : "\t", column);
  for (const auto& [name, value] : SettingsOf(TrainConfig())) {
    if (name != kReplicate) absl::StrAppend(&text, "\t", name);
  }
  text += '\n';
  for (const SweepModel& model : plan.models) {
    const auto settings = SettingsOf(model.config);
    absl::StrAppend(&text, model.id, "\t", model.experiment, "\t", settings.at(kReplicate), "\t", model.folder, "\t",
                    model.data, "\t", model.max_probes);
    for (const auto& [name, value] : settings) {
      if (name != kReplicate) absl::StrAppend(&text, "\t", value);
    }
    text += '\n';
  }
  return text;
}

std::string PlanText(const SweepPlan& plan) {
  nlohmann::ordered_json json = {{"format", kFormat}, {"format_version", kFormatVersion}, {"data", plan.data}};
  for (const auto& [name, value] : TrackSettings(plan)) {
    if (!value->empty()) json[name] = *value;
  }
  json["experiments"] = plan.experiments;
  json["models"] = plan.models.size();
  json["manifest_sha256"] = Sha256Hex(ManifestText(plan));
  return DumpJson(json);
}

std::string ManifestPath(const std::string& folder) { return JoinPath(folder, "manifest.tsv"); }
std::string PlanPath(const std::string& folder) { return JoinPath(folder, "plan.json"); }
std::string ModelsFolder(const SweepPlan& plan) { return JoinPath(plan.folder, "models"); }

absl::Status WritePlan(const SweepPlan& plan) {
  RB_RETURN_IF_ERROR(MakeFolder(plan.folder));
  RB_RETURN_IF_ERROR(WriteFile(ManifestPath(plan.folder), ManifestText(plan)));
  return WriteFile(PlanPath(plan.folder), PlanText(plan));
}

absl::StatusOr<SweepPlan> ReadPlan(const std::string& folder) {
  const std::string path = PlanPath(folder), manifest = ManifestPath(folder);
  RB_ASSIGN_OR_RETURN(const std::string text, ReadWhole(path));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  SweepPlan plan;
  plan.folder = folder;
  int64_t models = 0;
  std::string sum;
  try {
    if (json.at("format") != kFormat || json.at("format_version") != kFormatVersion) {
      return Fault(path, "is not the plan of a sweep, or of another version");
    }
    json.at("data").get_to(plan.data);
    for (const auto& [name, value] : TrackSettings(plan)) {
      if (json.contains(name)) json.at(name).get_to(*value);
    }
    json.at("experiments").get_to(plan.experiments);
    if (!GetInteger(json, "models", 1, &models)) return Fault(path, "its number of models is none");
    json.at("manifest_sha256").get_to(sum);
  } catch (const nlohmann::json::exception&) {
    return Fault(path, "cannot be read as the plan of a sweep");
  }
  RB_ASSIGN_OR_RETURN(const std::string found, Sha256OfFile(manifest));
  if (found != sum) {
    return Fault(manifest, absl::StrCat("its SHA-256 is ", Short(found), ".., plan.json says ", Short(sum), ".."));
  }
  RB_ASSIGN_OR_RETURN(LineReader lines, LineReader::Open(manifest));
  RB_RETURN_IF_ERROR(ManifestReader(std::move(lines)).Read(plan.models));
  if (std::ssize(plan.models) != models) return Fault(manifest, "has another number of models than planned");
  return plan;
}

}  // namespace rb::apps
