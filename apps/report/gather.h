// What a report is made of: read from the folders that train, sweep and gia wrote, before anything is drawn.
#ifndef RB_APPS_REPORT_GATHER_H_
#define RB_APPS_REPORT_GATHER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/outputs.h"
#include "apps/plot/pictures.h"
#include "gia/pwm.h"

namespace rb::apps {

// What gia found of a model. What it was not asked is empty or NaN.
struct ReportAnswers {
  std::vector<plot::Estimate> kmers;    // strongest first
  std::optional<plot::LogoData> motif;  // the alignment of the strongest, without what few of them cover
  std::string consensus;                // of the motif
  std::optional<plot::MapData> mutants;
  std::optional<plot::CurveData> position, sites, spacing;
  std::optional<plot::GcData> gc;
  std::optional<plot::EffectsData> hairpin;
  double r_squared = plot::kNone;      // of the line of effect over sites
  double gc_difference = plot::kNone;  // ratio "difference": GC on the right - on the left, by the motif's effect
  double loop_stem = plot::kNone;      // contrast "loop - stem"
};

struct ReportModel {
  std::string name;             // unique: its folder below the run's, or the experiment where that is the run's own
  std::string path;             // of its file
  ModelFile file;               // without parameters
  std::string settings;         // "filters 96, replicate 1": where it differs from others of the run
  double n = plot::kNone;       // test probes
  std::vector<double> metrics;  // by MetricColumns; NaN without test
  std::optional<plot::HistoryData> history;
  std::optional<ReportAnswers> answers;
};

using ReportFacts = std::vector<std::pair<std::string, std::string>>;  // label, plain text; ready to be shown

struct ReportData {
  std::vector<ReportModel> models;  // at least one; sorted as FindModels does
  std::string models_folder;        // where they are, as gia's --models takes it
  bool classification = false;      // of all
  bool with_gia = false;
  ReportFacts run, gia;  // how they were made, by the run.json of each
  // What does not fit together or is missing, a sentence each.
  std::vector<std::string> remarks;
};

// `run`: what train wrote, a sweep's folder, a folder of model folders, or one of those. `gia`: what gia wrote about
// its models, or empty. Files that may be missing (history.tsv, of gia's all but effects.tsv) are told of in remarks or
// left out; damaged ones are errors "FILE:LINE..". FailedPrecondition: models of both tasks, or gia's tables are about
// none of these models.
absl::StatusOr<ReportData> GatherReport(const std::string& run, const std::string& gia);

}  // namespace rb::apps

#endif  // RB_APPS_REPORT_GATHER_H_
