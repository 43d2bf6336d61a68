// Tables of gia and scan.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "apps/plot/pieces.h"
#include "apps/plot/sources.h"
#include "apps/plot/table.h"
#include "data/alphabet.h"
#include "engine/check.h"
#include "gia/array_name.h"
#include "gia/distributions.h"
#include "gia/npz_reader.h"
#include "gia/statistics.h"

namespace rb::plot {
namespace {

absl::StatusOr<Table> OfExperiment(const Table& table, const std::string& model, const std::string& experiment) {
  RB_ASSIGN_OR_RETURN(const Table of_model, table.Of("model", model));
  return of_model.Of("experiment", experiment);
}

struct EffectRow {
  Estimate estimate;
  std::string kind, pattern;
  double q = kNone;
};

absl::StatusOr<std::vector<EffectRow>> EffectRows(const Table& table) {
  RB_ASSIGN_OR_RETURN(const auto kinds, table.Texts("kind"));
  RB_ASSIGN_OR_RETURN(const auto labels, table.Texts("label"));
  RB_ASSIGN_OR_RETURN(const auto patterns, table.Texts("pattern"));
  RB_ASSIGN_OR_RETURN(const auto xs, table.Numbers("x"));
  RB_ASSIGN_OR_RETURN(const auto means, table.Numbers("mean"));
  RB_ASSIGN_OR_RETURN(const auto lows, table.Numbers("ci_low"));
  RB_ASSIGN_OR_RETURN(const auto highs, table.Numbers("ci_high"));
  RB_ASSIGN_OR_RETURN(const auto qs, table.Numbers("q"));
  std::vector<EffectRow> rows;
  for (size_t i = 0; i < labels.size(); ++i) {
    rows.push_back(
        {{labels[i], means[i], lows[i], highs[i], kinds[i] == "control", xs[i], {}}, kinds[i], patterns[i], qs[i]});
  }
  return rows;
}

// The two effects of a contrast "a - b" or "[a] - [b]"; false for any other.
bool PairOf(const std::string& formula, const std::vector<Estimate>& effects, Comparison* comparison) {
  const std::vector<std::string> parts = absl::StrSplit(formula, " - ");
  if (parts.size() != 2) return false;
  size_t* const places[] = {&comparison->first, &comparison->second};
  for (size_t p = 0; p < 2; ++p) {
    std::string label = parts[p];
    if (label.size() > 2 && label.front() == '[' && label.back() == ']') label = label.substr(1, label.size() - 2);
    const auto it = std::find_if(effects.begin(), effects.end(), [&](const Estimate& e) { return e.label == label; });
    if (it == effects.end()) return false;
    *places[p] = static_cast<size_t>(it - effects.begin());
  }
  return true;
}

std::string NoteOf(const EffectRow& row) {
  const Estimate& e = row.estimate;
  const std::string what = e.label == row.pattern ? e.label : absl::StrCat(e.label, " (", row.pattern, ")");
  return absl::StrFormat("%s: %s, 95%% %s to %s, %s", what, Short(e.mean), Short(e.low), Short(e.high),
                         ProbabilityText("q", row.q));
}

// A file that stands beside another one, if it is there.
std::string Beside(const std::string& path, const char* name) {
  const std::string beside = (std::filesystem::path(path).parent_path() / name).string();
  std::error_code error;
  return std::filesystem::exists(beside, error) ? beside : "";
}

// An archive's values over the null sequences, when they are of just these effects.
bool SetValues(const LoadedArray& labels, const LoadedArray& values, std::vector<Estimate>* effects) {
  if (values.shape.size() != 2 || labels.texts.size() != effects->size()) return false;
  const auto nulls = static_cast<size_t>(values.shape[1]);
  if (values.floats.size() != effects->size() * nulls) return false;
  std::vector<std::vector<double>> all;
  for (size_t i = 0; i < effects->size(); ++i) {
    const auto first = values.floats.begin() + static_cast<std::ptrdiff_t>(i * nulls);
    all.push_back(Finite(std::vector<double>(first, first + static_cast<std::ptrdiff_t>(nulls))));
    const SampleSummary summary = Summarize(all.back());
    const Estimate& e = (*effects)[i];
    if (labels.texts[i] != e.label || !(std::abs(summary.mean - e.mean) <= 1e-4 * (std::abs(e.mean) + summary.sd))) {
      return false;
    }
  }
  for (size_t i = 0; i < all.size(); ++i) (*effects)[i].values = std::move(all[i]);
  return true;
}

// The effects' values over the null sequences from local.npz beside the table, if it has just these effects of the
// model: names of arrays are the models' with other characters replaced, so that labels and means are compared.
absl::Status AddLocalEffects(const std::string& path, const std::string& model, const std::string& experiment,
                             std::vector<Estimate>* effects) {
  const std::string local = Beside(path, "local.npz");
  if (local.empty()) return absl::OkStatus();
  bool added = false;
  for (int number = 1; !added; ++number) {
    const std::string name = absl::StrCat(ArrayName(model, number), ".", experiment);
    const auto labels = ReadNpzArray(local, name + ".labels");
    const auto values = ReadNpzArray(local, name);
    for (const absl::Status& read : {labels.status(), values.status()}) {
      if (absl::IsNotFound(read)) return absl::OkStatus();
      RB_RETURN_IF_ERROR(read);
    }
    added = SetValues(*labels, *values, effects);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Estimate>> LoadKmers(const std::string& path, int top) {
  RB_ASSIGN_OR_RETURN(const Table table, Table::Read(path));
  RB_ASSIGN_OR_RETURN(const auto names, table.Texts("kmer"));
  RB_ASSIGN_OR_RETURN(const auto effects, table.Numbers("effect"));
  RB_ASSIGN_OR_RETURN(const auto errors, table.Numbers("se"));
  std::vector<double> counts(names.size(), 1e6);  // scan does not say how many: the normal distribution's interval
  if (table.Has("n")) {
    RB_ASSIGN_OR_RETURN(counts, table.Numbers("n"));
  }
  std::vector<size_t> order;
  for (size_t i = 0; i < names.size(); ++i) {
    if (std::isfinite(effects[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return effects[a] > effects[b]; });
  order.resize(std::min(order.size(), static_cast<size_t>(top)));
  std::vector<Estimate> kmers;
  for (const size_t i : order) {
    const double half = StudentQuantile(0.05, counts[i] - 1) * errors[i];
    kmers.push_back({names[i], effects[i], effects[i] - half, effects[i] + half, false, kNone, {}});
  }
  return kmers;
}

namespace {

// `local`: the table's path, where local effects may stand beside it; or empty.
absl::StatusOr<EffectsData> MakeEffects(const GiaTables& tables, const std::string& model,
                                        const std::string& experiment, const std::string& local) {
  RB_ASSIGN_OR_RETURN(const Table table, OfExperiment(tables.effects, model, experiment));
  RB_ASSIGN_OR_RETURN(const std::vector<EffectRow> rows, EffectRows(table));
  EffectsData data;
  for (const EffectRow& row : rows) {
    if (row.kind != "contrast") data.effects.push_back(row.estimate);
  }
  RB_ASSIGN_OR_RETURN(const int model_at, table.Find("model"));
  if (!local.empty()) {
    RB_RETURN_IF_ERROR(AddLocalEffects(local, table.Cell(0, model_at), experiment, &data.effects));
  }
  std::stable_partition(data.effects.begin(), data.effects.end(), [](const Estimate& e) { return !e.control; });
  for (const EffectRow& row : rows) {
    if (row.kind != "contrast") continue;
    Comparison comparison;
    comparison.q = row.q;
    if (PairOf(row.pattern, data.effects, &comparison))
      data.comparisons.push_back(comparison);
    else
      data.notes.push_back(NoteOf(row));
  }
  return data;
}

}  // namespace

absl::StatusOr<EffectsData> EffectsOf(const GiaTables& tables, const std::string& model,
                                      const std::string& experiment) {
  return MakeEffects(tables, model, experiment, "");
}

absl::StatusOr<MapData> MutantsOf(const GiaTables& tables, const std::string& model) {
  RB_ASSIGN_OR_RETURN(const Table table, OfExperiment(tables.effects, model, "mutate"));
  RB_ASSIGN_OR_RETURN(std::vector<EffectRow> rows, EffectRows(table));
  std::erase_if(rows, [](const EffectRow& row) { return row.kind != "effect"; });
  const auto motif =
      std::find_if(rows.begin(), rows.end(), [](const EffectRow& r) { return std::isnan(r.estimate.x); });
  if (motif == rows.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(table.path(), ": the experiment mutate has no motif; expected a row without x"));
  }
  MapData data;
  data.letters = motif->estimate.label;
  data.title = "mutant - motif";
  data.effects.assign(data.letters.size(), {kNone, kNone, kNone, kNone});
  for (const EffectRow& row : rows) {
    const std::string& mutant = row.estimate.label;
    if (mutant.size() != data.letters.size() || std::isnan(row.estimate.x)) continue;
    for (size_t i = 0; i < mutant.size(); ++i) {
      if (mutant[i] == data.letters[i] || BaseCode(mutant[i]) >= 4) continue;
      data.effects[i][BaseCode(mutant[i])] = row.estimate.mean - motif->estimate.mean;
      data.first = static_cast<int>(std::clamp(row.estimate.x, 0.0, 1e6)) - static_cast<int>(i);
    }
  }
  return data;
}

absl::StatusOr<CurveData> CurveOf(const GiaTables& tables, const std::string& model, const std::string& experiment) {
  RB_ASSIGN_OR_RETURN(const Table table, OfExperiment(tables.effects, model, experiment));
  RB_ASSIGN_OR_RETURN(const std::vector<EffectRow> rows, EffectRows(table));
  RB_ASSIGN_OR_RETURN(const int model_at, table.Find("model"));
  CurveData data;
  const bool spacing = experiment == "spacing";
  data.x_title = spacing                 ? "distance of the sites, start to start"
                 : experiment == "sites" ? "sites"
                                         : "position (from 0)";
  for (const EffectRow& row : rows) {
    if (row.kind != "effect" || !std::isfinite(row.estimate.x)) continue;
    const bool other = spacing && !absl::StartsWith(row.estimate.label, "distance");
    (other ? data.others : data.points).push_back(row.estimate);
  }
  if (!data.others.empty()) {
    data.others_name = "pairs of the paper";
    for (Estimate& e : data.points) e.label = "first site in one place";
  }
  if (spacing) {  // what two sites give if they add up
    const auto sites = OfExperiment(tables.effects, table.Cell(0, model_at), "sites");
    const auto singles = sites.ok() ? EffectRows(*sites) : sites.status();
    for (size_t i = 0; singles.ok() && i < singles->size(); ++i) {
      const Estimate& e = (*singles)[i].estimate;
      if (e.label == "1 site") data.level = 2 * e.mean, data.level_name = "twice one site";
    }
  }
  if (experiment != "sites" || !tables.lines.has_value()) return data;
  RB_ASSIGN_OR_RETURN(const Table fits, OfExperiment(*tables.lines, table.Cell(0, model_at), "sites"));
  RB_ASSIGN_OR_RETURN(const auto intercepts, fits.Numbers("intercept"));
  RB_ASSIGN_OR_RETURN(const auto slopes, fits.Numbers("slope"));
  RB_ASSIGN_OR_RETURN(const auto squares, fits.Numbers("r_squared"));
  data.intercept = intercepts[0], data.slope = slopes[0], data.r_squared = squares[0];
  return data;
}

absl::StatusOr<GcData> GcOf(const GiaTables& tables, const std::string& model) {
  RB_ASSIGN_OR_RETURN(const Table gc, tables.effects.Of("experiment", "gc"));
  RB_ASSIGN_OR_RETURN(const auto models, gc.Texts("model"));
  const bool several = std::set<std::string>(models.begin(), models.end()).size() > 1;
  GcData data;
  std::string chosen;
  if (!model.empty() || !several) {
    RB_ASSIGN_OR_RETURN(const Table of_model, gc.Of("model", model));
    RB_ASSIGN_OR_RETURN(const std::vector<EffectRow> rows, EffectRows(of_model));
    for (const EffectRow& row : rows) {
      if (row.kind == "effect") data.effects.push_back(row.estimate);
    }
    chosen = model.empty() ? models[0] : model;
  }
  if (!tables.ratios.has_value()) return data;
  RB_ASSIGN_OR_RETURN(const auto of, tables.ratios->Texts("model"));
  RB_ASSIGN_OR_RETURN(const auto labels, tables.ratios->Texts("label"));
  RB_ASSIGN_OR_RETURN(const auto numbers, tables.ratios->Numbers("value"));
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == "difference") data.differences.push_back(numbers[i]);
    if (of[i] == chosen)
      data.notes.push_back(absl::StrCat(labels[i], ": ", Short(numbers[i]), " of the motif's effect"));
  }
  return data;
}

absl::StatusOr<GiaTables> ReadGiaTables(const std::string& path, bool lines, bool ratios) {
  RB_ASSIGN_OR_RETURN(Table effects, Table::Read(path));
  GiaTables tables{std::move(effects), std::nullopt, std::nullopt};
  if (const std::string beside = Beside(path, "lines.tsv"); lines && !beside.empty()) {
    RB_ASSIGN_OR_RETURN(tables.lines, Table::Read(beside));
  }
  if (const std::string beside = Beside(path, "ratios.tsv"); ratios && !beside.empty()) {
    RB_ASSIGN_OR_RETURN(tables.ratios, Table::Read(beside));
  }
  return tables;
}

absl::StatusOr<EffectsData> LoadEffects(const std::string& path, const std::string& model,
                                        const std::string& experiment) {
  RB_ASSIGN_OR_RETURN(const GiaTables tables, ReadGiaTables(path, false, false));
  return MakeEffects(tables, model, experiment, path);
}

absl::StatusOr<MapData> LoadMutants(const std::string& path, const std::string& model) {
  RB_ASSIGN_OR_RETURN(const GiaTables tables, ReadGiaTables(path, false, false));
  return MutantsOf(tables, model);
}

absl::StatusOr<CurveData> LoadCurve(const std::string& path, const std::string& model, const std::string& experiment) {
  RB_ASSIGN_OR_RETURN(const GiaTables tables, ReadGiaTables(path, experiment == "sites", false));
  return CurveOf(tables, model, experiment);
}

absl::StatusOr<GcData> LoadGc(const std::string& path, const std::string& model) {
  RB_ASSIGN_OR_RETURN(const GiaTables tables, ReadGiaTables(path, false, true));
  return GcOf(tables, model);
}

}  // namespace rb::plot
