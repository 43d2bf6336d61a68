// Folding on a device: the host's sequences, block by block.
#ifndef RB_ENGINE_DEVICE_FOLDER_H_
#define RB_ENGINE_DEVICE_FOLDER_H_

#include <algorithm>
#include <memory>

#include "engine/check.h"
#include "engine/device_scorer_bed.h"
#include "engine/machine.h"

namespace rb {

template <class Operators>
class DeviceFolder : public Folder {
 public:
  static absl::StatusOr<std::unique_ptr<Folder>> Create(Machine& machine, const DeviceRun& run, int length,
                                                        const FoldFactors& factors) {
    auto folder = std::make_unique<DeviceFolder>(machine, run, length);
    RB_RETURN_IF_ERROR(folder->Prepare(factors));
    return folder;
  }
  DeviceFolder(Machine& machine, const DeviceRun& run, int length)
      : machine_(machine), run_(run), length_(length), arena_(machine.NewArena()) {}

  absl::Status Fold(const uint32_t* bases, const uint16_t* widths, int64_t n, float* tracks,
                    double* log_partition) override {
    const int64_t words = PackedWords(length_), values = int64_t{length_} * kFoldTracks;
    for (int64_t first = 0; first < n; first += kBlock) {
      const int64_t count = std::min(kBlock, n - first);
      RB_RETURN_IF_ERROR(machine_.Upload(bases_, bases + first * words, count * words * sizeof(uint32_t)));
      RB_RETURN_IF_ERROR(machine_.Upload(widths_, widths + first, count * sizeof(uint16_t)));
      args_.count = count;
      RB_RETURN_IF_ERROR(DeviceStatus<Operators>(Operators::Fold(args_, run_), "Fold", ""));
      RB_RETURN_IF_ERROR(machine_.Download(tracks + first * values, args_.tracks, count * values * sizeof(float)));
      if (log_partition == nullptr) continue;
      RB_RETURN_IF_ERROR(machine_.Download(log_partition + first, args_.log_partition, count * sizeof(double)));
    }
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kBlock = 1 << 14;  // sequences on the device at a time: 13 MB of tracks at 41 positions

  absl::Status Prepare(const FoldFactors& factors) {
    RB_ASSIGN_OR_RETURN(FoldFactors* const own, arena_->Allocate<FoldFactors>(1, "energy factors"));
    RB_RETURN_IF_ERROR(machine_.Upload(own, &factors, sizeof(factors)));
    RB_ASSIGN_OR_RETURN(bases_, arena_->Allocate<uint32_t>(kBlock * PackedWords(length_), "packed bases"));
    RB_ASSIGN_OR_RETURN(widths_, arena_->Allocate<uint16_t>(kBlock, "widths"));
    RB_ASSIGN_OR_RETURN(args_.tracks, arena_->Allocate<float>(kBlock * length_ * kFoldTracks, "structure tracks"));
    RB_ASSIGN_OR_RETURN(args_.log_partition, arena_->Allocate<double>(kBlock, "partition functions"));
    args_.workspace_bytes = FoldWorkspaceBytes(length_, kWorkspaceBlocks);
    RB_ASSIGN_OR_RETURN(args_.workspace, arena_->AllocateBytes(args_.workspace_bytes, "the folder's workspace"));
    args_.factors = own;
    args_.bases = bases_;
    args_.widths = widths_;
    args_.length = length_;
    return absl::OkStatus();
  }
  static constexpr int kWorkspaceBlocks = 528;  // 4 for each of an H200's multiprocessors: 0.6 GB at 200 bases

  Machine& machine_;
  const DeviceRun run_;
  const int length_;
  std::unique_ptr<Arena> arena_;
  uint32_t* bases_ = nullptr;
  uint16_t* widths_ = nullptr;
  FoldArgs<float> args_;
};

}  // namespace rb

#endif  // RB_ENGINE_DEVICE_FOLDER_H_
