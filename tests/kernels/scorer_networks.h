// Networks side by side on a test's device, for the tests of its scorer.
#ifndef RB_TESTS_KERNELS_SCORER_NETWORKS_H_
#define RB_TESTS_KERNELS_SCORER_NETWORKS_H_

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/device_scorer.h"
#include "tests/kernels/scorer_case.h"
#include "tests/support/device_memory.h"
#include "tests/support/machines.h"
#include "tests/support/operator_bed.h"

namespace rb::test::scorer {

// There is no CPU operator of this form.
#define RB_SCORER_RUN(Name, args)                                                           \
  machine.Run([](Parallel&) {}, [&](const DeviceRun& run) { return emu::Name(args, run); }, \
              [&](const DeviceRun& run) { return RB_RUN_ON_DEVICE(Name, args); })

// Which sequences each slot's model scores.
struct Lists {
  DeviceVector<int32_t> live;
  std::vector<std::vector<int32_t>> rows;  // by slot; none: sequence i
  DeviceVector<int32_t> num_rows;          // by slot
  int blocks = 3;                          // workspace
  bool stream_weights = false;
  bool keep_predictions = true;
};

// The networks of `beds` side by side, slot i's in bed i; sequences are the first bed's.
class Networks {
 public:
  explicit Networks(const std::vector<Bed>& beds) : beds_(beds), g_(beds[0].g) {
    const int slots = static_cast<int>(beds.size());
    int64_t size = 0;
    for (const std::vector<float>& tensor : beds[0].arrays) size += tensor.size();
    folded_ = Tensor<float>(slots, size);
    for (int slot = 0; slot < slots; ++slot) {
      float* to = folded_[slot].data();
      for (const std::vector<float>& tensor : beds[slot].arrays) to = std::copy(tensor.begin(), tensor.end(), to);
    }
  }

  // All predictions; what no list names stays NaN. more: draws, scan.
  Tensor<float> Score(const TestMachine& machine, const Lists& lists,
                      const ScoreSequencesArgs<float>& more = {}) const {
    const int slots = static_cast<int>(beds_.size());
    const Tensor<uint32_t> packed(slots, PackedScorerBytes(g_, machine.precision()) / 4);
    PackScorerArgs<float> pack;
    pack.geometry = g_;
    pack.live = lists.live.data(), pack.count = static_cast<int>(lists.live.size());
    pack.folded = FoldedAt(folded_[0].data());
    pack.folded_stride = folded_.view().stride;
    pack.packed = {reinterpret_cast<unsigned char*>(packed.view().base), packed.view().stride * 4};
    RB_SCORER_RUN(PackScorer, pack);

    ScoreSequencesArgs<float> args = more;
    args.geometry = g_;
    args.live = pack.live, args.count = pack.count;
    args.packed = pack.packed;
    args.bases = beds_[0].words.data();
    args.tracks = g_.structure > 0 ? beds_[0].tracks.data() : nullptr;
    args.num_rows = lists.num_rows.data();
    args.max_rows = *std::max_element(lists.num_rows.begin(), lists.num_rows.end());
    Tensor<int32_t> rows(slots, args.max_rows);
    for (size_t slot = 0; slot < lists.rows.size(); ++slot) {
      std::copy(lists.rows[slot].begin(), lists.rows[slot].end(), rows[static_cast<int>(slot)].begin());
    }
    if (!lists.rows.empty()) args.rows = rows;
    const Tensor<float> out(slots, static_cast<int64_t>(args.max_rows) * args.scan.count);
    if (lists.keep_predictions) args.out = out;
    args.workspace_bytes = ScorerWorkspaceBytes(g_, machine.precision(), lists.blocks);
    const Tensor<float> workspace(1, args.workspace_bytes / 4);
    args.workspace = workspace[0].data();
    args.stream_weights = lists.stream_weights;
    RB_SCORER_RUN(ScoreSequences, args);
    return out;
  }

 private:
  FoldedWeights FoldedAt(const float* at) const {
    FoldedWeights w;
    size_t next = 0;
    const auto take = [&](const float*& tensor) { tensor = std::exchange(at, at + beds_[0].arrays[next++].size()); };
    take(w.embed), take(w.embed_bias);
    for (int i = 0; i < g_.residual_layers; ++i) take(w.conv[i]), take(w.conv_bias[i]);
    take(w.dense), take(w.dense_bias), take(w.head);
    return w;
  }

  const std::vector<Bed>& beds_;
  const ScorerGeometry g_;
  Tensor<float> folded_;
};

// Random weights and fractional tracks, an all-or-none mixture of unknown bases.
inline std::vector<Bed> SmoothBeds(const Case& c, int models = 1) {
  std::vector<Bed> beds;
  for (int i = 0; i < models; ++i) beds.emplace_back(c, Smooth, 41 + i);
  for (float& track : beds[0].tracks) track /= 3;
  return beds;
}

}  // namespace rb::test::scorer

#endif  // RB_TESTS_KERNELS_SCORER_NETWORKS_H_
