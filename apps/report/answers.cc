#include "apps/report/answers.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "apps/motif/files.h"
#include "engine/check.h"
#include "gia/alignment_motif.h"

namespace rb::apps {
namespace {

// The number in `column` of the first row whose cells are these; NaN when there is none.
absl::StatusOr<double> NumberAt(const plot::Table& table, const std::map<std::string, std::string>& cells,
                                const std::string& column) {
  RB_ASSIGN_OR_RETURN(const std::vector<double> numbers, table.Numbers(column));
  std::vector<bool> fits(table.rows(), true);
  for (const auto& [name, wanted] : cells) {
    RB_ASSIGN_OR_RETURN(const int at, table.Find(name));
    for (size_t i = 0; i < fits.size(); ++i) fits[i] = fits[i] && table.Cell(i, at) == wanted;
  }
  const auto first = std::find(fits.begin(), fits.end(), true);
  return first == fits.end() ? plot::kNone : numbers[first - fits.begin()];
}

// The motif of a scan's strongest k-mers; nothing where none has an effect that can be aligned.
absl::Status AddMotif(const std::string& path, Preset preset, ReportAnswers* answers) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::OkStatus();
  RB_ASSIGN_OR_RETURN(const std::vector<WeightedSequence> kmers, ReadKmerTable(path));
  AlignmentOptions options = PresetAlignment(preset);
  options.trim = 0.2;
  const absl::StatusOr<AlignmentMotif> motif = AlignKmers(kmers, options);
  if (!motif.ok()) return absl::OkStatus();
  answers->consensus = Consensus(motif->pwm);
  answers->motif = plot::CoverageLogo(*motif);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::map<std::string, plot::Table>> SplitTable(const plot::Table& table, const std::string& column) {
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> names, table.Texts(column));
  std::map<std::string, std::vector<bool>> keep;
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<bool>& rows = keep[names[i]];
    rows.resize(names.size());
    rows[i] = true;
  }
  std::map<std::string, plot::Table> parts;
  for (const auto& [name, rows] : keep) parts.emplace(name, table.Only(rows));
  return parts;
}

absl::StatusOr<AnswerTables> AnswerTables::Open(const std::string& folder) {
  AnswerTables tables;
  tables.folder_ = folder;
  const std::string path = JoinPath(folder, "effects.tsv");
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat("--gia ", folder, ": has no effects.tsv; expected a folder gia wrote"));
  }
  RB_ASSIGN_OR_RETURN(const plot::GiaTables all, plot::ReadGiaTables(path, true, true));
  RB_ASSIGN_OR_RETURN(tables.effects_, SplitTable(all.effects, "model"));
  if (all.lines.has_value()) {
    RB_ASSIGN_OR_RETURN(tables.lines_, SplitTable(*all.lines, "model"));
  }
  if (all.ratios.has_value()) {
    RB_ASSIGN_OR_RETURN(tables.ratios_, SplitTable(*all.ratios, "model"));
  }
  return tables;
}

absl::StatusOr<ReportAnswers> AnswerTables::Of(const std::string& model, Preset preset) const {
  plot::GiaTables own{effects_.at(model), {}, {}};
  const auto part = [&](const std::map<std::string, plot::Table>& parts) {
    const auto it = parts.find(model);
    return it == parts.end() ? std::nullopt : std::optional(it->second);
  };
  own.lines = part(lines_), own.ratios = part(ratios_);
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> asked, own.effects.Texts("experiment"));
  const auto has = [&](const char* name) { return std::find(asked.begin(), asked.end(), name) != asked.end(); };
  ReportAnswers answers;
  if (has("kmer")) {
    RB_ASSIGN_OR_RETURN(plot::EffectsData kmers, plot::EffectsOf(own, model, "kmer"));
    answers.kmers = std::move(kmers.effects);
  }
  RB_RETURN_IF_ERROR(AddMotif(JoinPath(JoinPath(folder_, "kmers"), model + ".tsv"), preset, &answers));
  if (has("mutate")) {
    RB_ASSIGN_OR_RETURN(answers.mutants, plot::MutantsOf(own, model));
  }
  for (const auto& [name, curve] : {std::pair("position", &answers.position), std::pair("sites", &answers.sites),
                                    std::pair("spacing", &answers.spacing)}) {
    if (!has(name)) continue;
    RB_ASSIGN_OR_RETURN(*curve, plot::CurveOf(own, model, name));
  }
  if (answers.sites.has_value()) answers.r_squared = answers.sites->r_squared;
  if (has("gc")) {
    RB_ASSIGN_OR_RETURN(answers.gc, plot::GcOf(own, model));
    answers.gc->differences.clear();  // one model's: a histogram of one
  }
  if (own.ratios.has_value()) {
    RB_ASSIGN_OR_RETURN(answers.gc_difference,
                        NumberAt(*own.ratios, {{"experiment", "gc"}, {"label", "difference"}}, "value"));
  }
  if (has("hairpin")) {
    RB_ASSIGN_OR_RETURN(answers.hairpin, plot::EffectsOf(own, model, "hairpin"));
    RB_ASSIGN_OR_RETURN(
        answers.loop_stem,
        NumberAt(own.effects, {{"experiment", "hairpin"}, {"kind", "contrast"}, {"label", "loop - stem"}}, "mean"));
  }
  return answers;
}

}  // namespace rb::apps
