// What the scorer is measured on: sequences, packed weights, patterns.
#ifndef RB_BENCH_SCORING_BED_H_
#define RB_BENCH_SCORING_BED_H_

#include <algorithm>
#include <memory>

#include "bench/row_maker.h"
#include "kernels/device_scorer.h"

namespace rb::bench {

// The scorer's own operators, with the networks' weights packed once: what predictions cost, without folding.
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

  // A scan: so many sequences, drawn on the device, under so many patterns by each model; moments merged.
  static int ScanRows(const DeviceOptions& o) { return static_cast<int>(std::min<int64_t>(1000, o.sequences)); }
  static int ScanPatterns(const DeviceOptions& o, int models) {
    return std::max(4, static_cast<int>(int64_t{4} * Rows(o, models) / ScanRows(o)));
  }
  absl::Status Scan(Workbench& bench);

 private:
  static absl::StatusOr<std::unique_ptr<ScoringBed>> Create(Workbench& bench);
  absl::Status MakeScan(Workbench& bench);
  std::unique_ptr<Arena> arena_;
  ScoreSequencesArgs<float> args_;
  PackScorerArgs<float> pack_;
  ScoreSequencesArgs<float> scan_;
  MergeEffectsArgs<float> merge_;
};

}  // namespace rb::bench

#endif  // RB_BENCH_SCORING_BED_H_
