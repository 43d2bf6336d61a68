#include "bench/scoring_bed.h"

#include "kernels/packed_bases.h"
#include "model/upload.h"

namespace rb::bench {

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
  RB_RETURN_IF_ERROR(bed->MakeScan(bench));
  return bed;
}

// Sequences of even frequencies; 6-mers in the middle.
absl::Status ScoringBed::MakeScan(Workbench& bench) {
  const DeviceOptions& o = bench.options();
  Machine& machine = bench.machine();
  const ScorerGeometry& g = args_.geometry;
  const int models = bench.models(), rows = ScanRows(o), patterns = ScanPatterns(o, models),
            words = PackedWords(g.length);
  const int64_t groups = ScorerGroups(g, rows);
  scan_ = args_;
  scan_.bases = nullptr;
  scan_.tracks = nullptr;
  scan_.max_rows = rows;
  const std::vector<int32_t> num_rows(static_cast<size_t>(models), rows);
  RB_ASSIGN_OR_RETURN(scan_.num_rows, UploadNew(machine, *arena_, num_rows, "numbers of sequences"));
  std::vector<uint64_t> thresholds, keys;
  for (int i = 0; i < g.length * kProfileThresholds; ++i) {
    thresholds.push_back(kProfileUnit / 4 * (i % kProfileThresholds + 1));
  }
  for (int i = 0; i < models; ++i) keys.push_back(static_cast<uint64_t>(i) + 1);
  RB_ASSIGN_OR_RETURN(const uint64_t* const even, UploadNew(machine, *arena_, thresholds, "a profile's thresholds"));
  RB_ASSIGN_OR_RETURN(scan_.draws.keys, UploadNew(machine, *arena_, keys, "keys of draws"));
  scan_.draws.thresholds = {even, 0};
  std::vector<uint32_t> written(static_cast<size_t>(patterns) * words, 0);
  const int letters = std::min(6, g.length);
  for (int p = 0; p < patterns; ++p) {
    WriteKmer(written.data() + static_cast<size_t>(p) * words, g.length, p, letters, (g.length - letters) / 2);
  }
  RB_ASSIGN_OR_RETURN(scan_.scan.patterns, UploadNew(machine, *arena_, written, "patterns"));
  scan_.scan.count = patterns;
  RB_ASSIGN_OR_RETURN(const PerModel<float> without, arena_->AllocatePerModel<float>(models, rows, "predictions"));
  scan_.scan.without = without;
  RB_ASSIGN_OR_RETURN(scan_.scan.moments,
                      arena_->AllocatePerModel<EffectMoments>(models, groups * patterns, "moments of groups"));
  scan_.out = {};
  merge_.live = scan_.live, merge_.count = models, merge_.num_rows = scan_.num_rows;
  merge_.group = ScorerGroup(g), merge_.num_patterns = patterns;
  merge_.moments = {scan_.scan.moments.base, scan_.scan.moments.stride};
  RB_ASSIGN_OR_RETURN(merge_.effects, arena_->AllocatePerModel<EffectMoments>(models, patterns, "effects"));
  ScoreSequencesArgs<float> nulls = scan_;
  nulls.scan = {};
  nulls.out = without;
  return RB_BENCH_CALL(bench, ScoreSequences, nulls);
}

absl::Status ScoringBed::Scan(Workbench& bench) {
  RB_RETURN_IF_ERROR(RB_BENCH_CALL(bench, ScoreSequences, scan_));
  return RB_BENCH_CALL(bench, MergeEffects, merge_);
}

}  // namespace rb::bench
