// The fused scorer of a device behind the machine's two interfaces: many models over sequences that are there already
// (validation), and one model over the host's sequences, block by block.
#ifndef RB_ENGINE_DEVICE_SCORER_H_
#define RB_ENGINE_DEVICE_SCORER_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "engine/device_kmer_scan.h"
#include "engine/device_scorer_bed.h"
#include "engine/machine.h"
#include "kernels/device_scorer.h"
#include "kernels/packed_bases.h"

namespace rb {

template <class Operators>
class DeviceModelsScorer : public ModelsScorer {
 public:
  static absl::StatusOr<std::unique_ptr<ModelsScorer>> Create(Machine& machine, const DeviceRun& run,
                                                              const ScorerGeometry& geometry,
                                                              const FoldedOffsets& offsets, int models, int blocks) {
    auto scorer = std::make_unique<DeviceModelsScorer>(machine, run, geometry, offsets);
    RB_RETURN_IF_ERROR(scorer->bed_.Allocate(models, blocks));
    return scorer;
  }
  DeviceModelsScorer(Machine& machine, const DeviceRun& run, const ScorerGeometry& geometry,
                     const FoldedOffsets& offsets)
      : bed_(machine, run, geometry), offsets_(offsets) {}

  absl::Status Score(const ScoreModelsArgs& args) override {
    const FoldedWeights first = offsets_.At(args.folded.base, bed_.geometry().residual_layers);
    RB_RETURN_IF_ERROR(bed_.Pack(args.live, args.count, first, args.folded.stride));
    return bed_.Score(args);
  }

 private:
  DeviceScorerBed<Operators> bed_;
  FoldedOffsets offsets_;
};

template <class Operators>
class DeviceScorer : public Scorer {
 public:
  static absl::StatusOr<std::unique_ptr<Scorer>> Create(Machine& machine, const DeviceRun& run,
                                                        const ScorerGeometry& geometry, const FoldedWeights& weights,
                                                        int blocks) {
    auto scorer = std::make_unique<DeviceScorer>(machine, run, geometry);
    RB_RETURN_IF_ERROR(scorer->Prepare(weights, blocks));
    return scorer;
  }
  DeviceScorer(Machine& machine, const DeviceRun& run, const ScorerGeometry& geometry)
      : machine_(machine), bed_(machine, run, geometry) {}

  absl::Status Score(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t n, float* out) override {
    for (int64_t first = 0; first < n; first += kBlock) {
      const int64_t count = std::min(kBlock, n - first);
      RB_RETURN_IF_ERROR(Stage(bases, tracks, rows, first, count));
      const int32_t num_rows = static_cast<int32_t>(count);
      RB_RETURN_IF_ERROR(machine_.Upload(num_rows_, &num_rows, sizeof(num_rows)));
      ScoreModelsArgs args;
      args.live = live_;
      args.count = 1;
      args.bases = bases_;
      args.tracks = tracks_;
      args.num_rows = num_rows_;
      args.max_rows = num_rows;
      args.out = {out_, 0};
      RB_RETURN_IF_ERROR(bed_.Score(args));
      RB_RETURN_IF_ERROR(machine_.Download(out + first, out_, static_cast<size_t>(count) * sizeof(float)));
    }
    return absl::OkStatus();
  }
  // The k-mers and the sequences go to the device once; nothing but moments comes back.
  absl::Status ScanKmers(const KmerScanArgs& scan) override {
    DeviceKmerScan<Operators> on_device(machine_, bed_, live_, scan);
    return on_device.Run();
  }

 private:
  static constexpr int64_t kBlock = 1 << 16;  // sequences on the device at a time: 1.3 MB of bases at 41 positions

  int64_t words() const { return PackedWords(bed_.geometry().length); }
  int64_t track_values() const { return static_cast<int64_t>(bed_.geometry().length) * bed_.geometry().structure; }

  absl::Status Prepare(const FoldedWeights& host, int blocks) {
    const ScorerGeometry& g = bed_.geometry();
    Arena& arena = bed_.arena();
    RB_RETURN_IF_ERROR(bed_.Allocate(1, blocks));
    RB_ASSIGN_OR_RETURN(live_, arena.Allocate<int32_t>(1, "live models"));  // slot 0
    RB_ASSIGN_OR_RETURN(num_rows_, arena.Allocate<int32_t>(1, "number of sequences"));
    RB_ASSIGN_OR_RETURN(bases_, arena.Allocate<uint32_t>(kBlock * words(), "packed bases"));
    if (g.structure > 0) {
      RB_ASSIGN_OR_RETURN(tracks_, arena.Allocate<float>(kBlock * track_values(), "structure tracks"));
    }
    RB_ASSIGN_OR_RETURN(out_, arena.Allocate<float>(kBlock, "predictions"));

    const std::unique_ptr<Arena> folded_arena = machine_.NewArena();
    FoldedWeights folded;
    const auto upload = [&](const float* from, int64_t count, const float** to) -> absl::Status {
      RB_ASSIGN_OR_RETURN(float* const place, folded_arena->Allocate<float>(count, "folded weights"));
      *to = place;
      return machine_.Upload(place, from, static_cast<size_t>(count) * sizeof(float));
    };
    const int64_t c = g.filters;
    RB_RETURN_IF_ERROR(upload(host.embed, int64_t{g.first_width} * (4 + g.structure) * c, &folded.embed));
    RB_RETURN_IF_ERROR(upload(host.embed_bias, c, &folded.embed_bias));
    for (int i = 0; i < g.residual_layers; ++i) {
      RB_RETURN_IF_ERROR(upload(host.conv[i], g.width * c * c, &folded.conv[i]));
      RB_RETURN_IF_ERROR(upload(host.conv_bias[i], c, &folded.conv_bias[i]));
    }
    RB_RETURN_IF_ERROR(upload(host.dense, g.pools() * c * g.hidden, &folded.dense));
    RB_RETURN_IF_ERROR(upload(host.dense_bias, g.hidden, &folded.dense_bias));
    RB_RETURN_IF_ERROR(upload(host.head, g.hidden + 1, &folded.head));
    RB_RETURN_IF_ERROR(bed_.Pack(live_, 1, folded, 0));
    int32_t done = 0;  // the folded weights go when this returns: wait until they are packed
    return machine_.Download(&done, live_, sizeof(done));
  }

  // Sequences first .. first + count of the list to the device, in order.
  absl::Status Stage(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t first, int64_t count) {
    RB_RETURN_IF_ERROR(StageRows(bases, words(), rows, first, count, staged_bases_, bases_));
    if (tracks_ == nullptr) return absl::OkStatus();
    return StageRows(tracks, track_values(), rows, first, count, staged_tracks_, tracks_);
  }
  template <class V>
  absl::Status StageRows(const V* from, int64_t width, const int32_t* rows, int64_t first, int64_t count,
                         std::vector<V>& staged, V* to) {
    const V* source = from + first * width;
    if (rows != nullptr) {
      staged.resize(static_cast<size_t>(count * width));
      for (int64_t i = 0; i < count; ++i) {
        std::memcpy(staged.data() + i * width, from + rows[first + i] * width, static_cast<size_t>(width) * sizeof(V));
      }
      source = staged.data();
    }
    return machine_.Upload(to, source, static_cast<size_t>(count * width) * sizeof(V));
  }

  Machine& machine_;
  DeviceScorerBed<Operators> bed_;
  int32_t* live_ = nullptr;
  int32_t* num_rows_ = nullptr;
  uint32_t* bases_ = nullptr;
  float* tracks_ = nullptr;
  float* out_ = nullptr;
  std::vector<uint32_t> staged_bases_;
  std::vector<float> staged_tracks_;
};

}  // namespace rb

#endif  // RB_ENGINE_DEVICE_SCORER_H_
