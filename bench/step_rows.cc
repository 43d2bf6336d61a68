// Rows of whole training steps and of the scorer.
#include <algorithm>

#include "bench/row_maker.h"
#include "kernels/device_scorer.h"
#include "kernels/packed_bases.h"
#include "model/flops.h"
#include "model/upload.h"

namespace rb::bench {
namespace {

// Steps in one recorded program: at most this many, so that four programs stay inside one epoch of the synthetic data.
constexpr int kMostSteps = 64;

// The scorer's own operator, with the network's weights packed once: what predictions cost, without folding.
class ScoringBed : public Peer {
 public:
  static absl::StatusOr<ScoringBed*> Of(Workbench& bench) {
    return bench.peer<ScoringBed>([&bench] { return Create(bench); });
  }
  static int Rows(const DeviceOptions& o, int models) {
    const int64_t rows = o.score_rows > 0 ? o.score_rows : std::max(1024, (1 << 18) / models);
    return static_cast<int>(std::min<int64_t>(rows, o.sequences));
  }
  absl::Status Score(Workbench& bench, bool stream_weights) {
    args_.stream_weights = stream_weights;
    return RB_BENCH_CALL(bench, ScoreSequences, args_);
  }
  absl::Status Pack(Workbench& bench) { return RB_BENCH_CALL(bench, PackScorer, pack_); }

 private:
  static absl::StatusOr<std::unique_ptr<ScoringBed>> Create(Workbench& bench);
  std::unique_ptr<Arena> arena_;
  ScoreSequencesArgs<float> args_;
  PackScorerArgs<float> pack_;
};

absl::StatusOr<std::unique_ptr<ScoringBed>> ScoringBed::Create(Workbench& bench) {
  const DeviceOptions& o = bench.options();
  const int models = bench.models(), rows = Rows(o, models);
  auto bed = std::make_unique<ScoringBed>();
  RB_ASSIGN_OR_RETURN(apps::SyntheticTraining* const training, bench.training());
  Machine& machine = bench.machine();
  bed->arena_ = machine.NewArena();
  Arena& arena = *bed->arena_;
  const ScorerGeometry geometry = GeometryOf(o.shape);
  RB_ASSIGN_OR_RETURN(const apps::FoldedModels folded, training->Fold());
  RB_ASSIGN_OR_RETURN(
      const PerModel<unsigned char> packed,
      arena.AllocatePerModel<unsigned char>(
          models, static_cast<int64_t>(PackedScorerBytes(geometry, bench.precision())), "packed weights"));
  bed->pack_ = {geometry,
                training->live(),
                models,
                folded.offsets.At(folded.values.base, geometry.residual_layers),
                folded.values.stride,
                packed};
  ScoreSequencesArgs<float>& args = bed->args_;
  args.geometry = geometry;
  args.live = training->live();
  args.count = models;
  args.packed = packed;
  args.bases = training->input().bases;
  args.tracks = training->input().tracks;
  RB_ASSIGN_OR_RETURN(args.num_rows, UploadNew(machine, arena, std::vector<int32_t>(static_cast<size_t>(models), rows),
                                               "numbers of sequences"));
  args.max_rows = rows;
  RB_ASSIGN_OR_RETURN(args.out, arena.AllocatePerModel<float>(models, rows, "predictions"));
  const int blocks = o.emulated ? 8 : kScorerBlocks;
  args.workspace_bytes = ScorerWorkspaceBytes(geometry, bench.precision(), blocks);
  RB_ASSIGN_OR_RETURN(args.workspace, arena.AllocateBytes(args.workspace_bytes, "the scorer's workspace"));
  RB_RETURN_IF_ERROR(bed->Pack(bench));
  return bed;
}

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
  DeviceRow pack = Named("PackScorer", precision, models, "ours");
  pack.queue = [](Workbench& bench, int) -> absl::Status {
    RB_ASSIGN_OR_RETURN(ScoringBed* const bed, ScoringBed::Of(bench));
    return bed->Pack(bench);
  };
  rows.push_back(pack);
}

}  // namespace rb::bench
