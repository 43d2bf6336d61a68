// Rows of whole training steps, of the scorer and of scans.
#include <algorithm>

#include "bench/row_maker.h"
#include "bench/scoring_bed.h"
#include "kernels/packed_bases.h"
#include "model/flops.h"

namespace rb::bench {
namespace {

// Steps in one recorded program: at most this many, so that four programs stay inside one epoch of the synthetic data.
constexpr int kMostSteps = 64;

DeviceRow Named(const std::string& name, Precision precision, int models, const char* who) {
  DeviceRow row;
  row.name = absl::StrCat(name, "/", PrecisionName(precision), "/M", models, "/", who);
  row.precision = precision;
  row.models = models;
  return row;
}

DeviceRow StepRow(const DeviceOptions& o, Precision precision, int models, double step_bytes) {
  DeviceRow row = Named("TrainStep", precision, models, "ours");
  row.sequences = static_cast<double>(o.batch) * models;
  row.flops = row.sequences * TrainingFlops(o.shape);
  row.bytes = step_bytes * models;
  row.most_launches = kMostSteps;
  row.before = [](Workbench& bench) -> absl::Status {
    RB_ASSIGN_OR_RETURN(apps::SyntheticTraining* const training, bench.training());
    return training->Rewind();
  };
  row.queue = [](Workbench& bench, int) -> absl::Status {
    RB_ASSIGN_OR_RETURN(apps::SyntheticTraining* const training, bench.training());
    return training->Step();
  };
  return row;
}

}  // namespace

void AddStepRows(const DeviceOptions& o, Precision precision, int models, double step_bytes,
                 std::vector<DeviceRow>& rows) {
  if (o.Variant("fused")) rows.push_back(StepRow(o, precision, models, step_bytes));
  const ScorerGeometry geometry = GeometryOf(o.shape);
  for (const bool stream : {false, true}) {
    if (!o.Variant(stream ? "stream" : "fused")) continue;
    DeviceRow row = Named("ScoreSequences", precision, models, stream ? "stream" : "ours");
    row.sequences = static_cast<double>(ScoringBed::Rows(o, models)) * models;
    row.flops = row.sequences * static_cast<double>(FlopsPerSequence(geometry));
    row.bytes = row.sequences * (4 * PackedWords(geometry.length) + 4.0 * geometry.length * geometry.structure + 4);
    row.queue = [stream](Workbench& bench, int) -> absl::Status {
      RB_ASSIGN_OR_RETURN(ScoringBed* const bed, ScoringBed::Of(bench));
      return bed->Score(bench, stream);
    };
    rows.push_back(row);
  }
  if (!o.Variant("fused")) return;
  DeviceRow scan = Named("KmerScan", precision, models, "ours");
  scan.sequences = static_cast<double>(ScoringBed::ScanRows(o)) * ScoringBed::ScanPatterns(o, models) * models;
  scan.flops = scan.sequences * static_cast<double>(FlopsPerSequence(geometry));
  scan.queue = [](Workbench& bench, int) -> absl::Status {
    RB_ASSIGN_OR_RETURN(ScoringBed* const bed, ScoringBed::Of(bench));
    return bed->Scan(bench);
  };
  rows.push_back(scan);
  DeviceRow pack = Named("PackScorer", precision, models, "ours");
  pack.queue = [](Workbench& bench, int) -> absl::Status {
    RB_ASSIGN_OR_RETURN(ScoringBed* const bed, ScoringBed::Of(bench));
    return bed->Pack(bench);
  };
  rows.push_back(pack);
}

}  // namespace rb::bench
