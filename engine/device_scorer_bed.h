// Packed weights of some models and the scorer's workspace, on a device.
#ifndef RB_ENGINE_DEVICE_SCORER_BED_H_
#define RB_ENGINE_DEVICE_SCORER_BED_H_

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "engine/machine.h"
#include "kernels/device_scorer.h"

namespace rb {

// OK, or INTERNAL naming the operator.
template <class Operators>
absl::Status DeviceStatus(DeviceError error, const char* name, const std::string& shape) {
  if (!error) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(name, shape.empty() ? "" : absl::StrCat(" (", shape, ")"), ": ", Operators::Text(error)));
}

// Packed weights and workspace of `models` slots.
template <class Operators>
class DeviceScorerBed {
 public:
  DeviceScorerBed(Machine& machine, const DeviceRun& run, const ScorerGeometry& geometry)
      : run_(run), geometry_(geometry), arena_(machine.NewArena()) {}
  absl::Status Allocate(int models, int blocks) {
    const int64_t packed = static_cast<int64_t>(PackedScorerBytes(geometry_, run_.precision));
    RB_ASSIGN_OR_RETURN(packed_, arena_->AllocatePerModel<unsigned char>(models, packed, "packed weights"));
    workspace_bytes_ = ScorerWorkspaceBytes(geometry_, run_.precision, blocks);
    RB_ASSIGN_OR_RETURN(workspace_, arena_->AllocateBytes(workspace_bytes_, "the scorer's workspace"));
    return absl::OkStatus();
  }
  absl::Status Pack(const int32_t* live, int count, const FoldedWeights& folded, int64_t stride) {
    const PackScorerArgs<float> args = {geometry_, live, count, folded, stride, packed_};
    return DeviceStatus<Operators>(Operators::PackScorer(args, run_), "PackScorer", "");
  }
  absl::Status Score(const ScoreModelsArgs& from) {
    ScoreSequencesArgs<float> args;
    args.live = from.live;
    args.count = from.count;
    args.bases = from.bases;
    args.tracks = from.tracks;
    args.rows = from.rows;
    args.num_rows = from.num_rows;
    args.max_rows = from.max_rows;
    args.out = from.out;
    return Score(args);
  }
  // What to score is `args`'s; with what, the bed's.
  absl::Status Score(ScoreSequencesArgs<float> args) {
    args.geometry = geometry_;
    args.packed = packed_;
    args.workspace = workspace_;
    args.workspace_bytes = workspace_bytes_;
    return DeviceStatus<Operators>(Operators::ScoreSequences(args, run_), "ScoreSequences", "");
  }
  Arena& arena() { return *arena_; }
  const ScorerGeometry& geometry() const { return geometry_; }
  const DeviceRun& run() const { return run_; }

 private:
  DeviceRun run_;
  ScorerGeometry geometry_;
  std::unique_ptr<Arena> arena_;
  PerModel<unsigned char> packed_;
  void* workspace_ = nullptr;
  size_t workspace_bytes_ = 0;
};

}  // namespace rb

#endif  // RB_ENGINE_DEVICE_SCORER_BED_H_
