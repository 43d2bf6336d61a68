// Rows of folding. Its arithmetic is in double, of which an H200 has half the fp32 rate, an H100 too.
#include <map>

#include "bench/row_maker.h"
#include "kernels/fold.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "model/upload.h"

namespace rb::bench {
namespace {

constexpr int kLengths[] = {20, 41, 64, 100, kMaxFoldLength};

// Random sequences of each length, and room for their tracks.
class FoldBed : public Peer {
 public:
  static absl::StatusOr<FoldBed*> Of(Workbench& bench) {
    return bench.peer<FoldBed>([&bench] { return Create(bench); });
  }
  static int Count(const DeviceOptions& o) { return o.emulated ? 4 : 1 << 15; }

  absl::Status Fold(Workbench& bench, int length) {
    args_.length = length;
    args_.bases = bases_.at(length);
    return RB_BENCH_CALL(bench, Fold, args_);
  }

 private:
  static absl::StatusOr<std::unique_ptr<FoldBed>> Create(Workbench& bench) {
    auto bed = std::make_unique<FoldBed>();
    Machine& machine = bench.machine();
    bed->arena_ = machine.NewArena();
    Arena& arena = *bed->arena_;
    const int count = Count(bench.options());
    PhiloxStream random(5);
    for (const int length : kLengths) {
      std::vector<uint32_t> bases(static_cast<size_t>(count) * PackedWords(length));
      std::vector<uint8_t> codes(static_cast<size_t>(length));
      for (int i = 0; i < count; ++i) {
        for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Below(4));
        PackBases(codes.data(), length, &bases[static_cast<size_t>(i) * PackedWords(length)]);
      }
      RB_ASSIGN_OR_RETURN(bed->bases_[length], UploadNew(machine, arena, bases, "packed bases"));
    }
    RB_ASSIGN_OR_RETURN(FoldFactors* const factors, arena.Allocate<FoldFactors>(1, "energy factors"));
    RB_RETURN_IF_ERROR(machine.Upload(factors, &Turner1999Factors(), sizeof(FoldFactors)));
    bed->args_.factors = factors;
    RB_ASSIGN_OR_RETURN(bed->args_.tracks,
                        arena.Allocate<float>(int64_t{count} * kMaxFoldLength * kFoldTracks, "structure tracks"));
    bed->args_.count = count;
    bed->args_.workspace_bytes = FoldWorkspaceBytes(kMaxFoldLength, bench.options().emulated ? 4 : kFoldBlocks);
    RB_ASSIGN_OR_RETURN(bed->args_.workspace,
                        arena.AllocateBytes(bed->args_.workspace_bytes, "the folder's workspace"));
    return bed;
  }

  std::unique_ptr<Arena> arena_;
  std::map<int, const uint32_t*> bases_;  // by length
  FoldArgs<float> args_;
};

}  // namespace

void AddFoldRows(const DeviceOptions& o, std::vector<DeviceRow>& rows) {
  for (const int length : kLengths) {
    DeviceRow row;
    row.name = absl::StrCat("Fold/L", length, "/fp64/M1/ours");
    row.sequences = FoldBed::Count(o);
    row.flops = row.sequences * 4 * static_cast<double>(FoldLoopTerms(length));
    row.bytes = row.sequences * (4.0 * PackedWords(length) + 4.0 * length * kFoldTracks);
    row.most_launches = 8;
    row.queue = [length](Workbench& bench, int) -> absl::Status {
      RB_ASSIGN_OR_RETURN(FoldBed* const bed, FoldBed::Of(bench));
      return bed->Fold(bench, length);
    };
    rows.push_back(std::move(row));
  }
}

}  // namespace rb::bench
