// Which kernel scores a shape, and its launch.
#ifndef RB_KERNELS_DEVICE_SCORER_LAUNCH_CUH_
#define RB_KERNELS_DEVICE_SCORER_LAUNCH_CUH_

#include <algorithm>

#include "kernels/device/scorer_fused.cuh"
#include "kernels/device/scorer_layered.cuh"
#include "kernels/device_scorer.h"

namespace rb::device::scorer {
namespace {

template <Precision kPrecision, int kFilters, bool kResident>
__global__ void __launch_bounds__(kThreads, (FusedShape<kPrecision, kFilters, kResident>::kBlocks))
    ScoreTiles(const FusedArgs args) {
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, shared);
  FusedBlock<kPrecision, kFilters, kResident> block(args, shared);
  for (int model = blockIdx.y; model < args.count; model += gridDim.y) block.ScoreModel(model);
}

template <Precision kPrecision, int kColumns>
__global__ void __launch_bounds__(kThreads, 1) ScoreByLayers(const LayeredArgs args) {
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, shared);
  LayeredBlock<kPrecision, kColumns> block(args, shared);
  for (int model = blockIdx.y; model < args.count; model += gridDim.y) block.ScoreModel(model);
}

// The grid: blocks of one model by models, no more than the workspace is for, and so few that a block loads a model's
// weights for four groups or more where that leaves two blocks for every multiprocessor.
inline dim3 ScoringGrid(int models, int64_t groups, int64_t most_blocks) {
  constexpr int64_t kSpread = 264;
  const int64_t y = std::min<int64_t>({models, 65535, most_blocks});
  const int64_t x = std::min<int64_t>({std::max<int64_t>((kSpread + y - 1) / y, groups / 4), groups, most_blocks / y});
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
}

template <Precision kPrecision, class Map>
DeviceError LaunchScorer(void (*kernel)(ScorerArgs<Map>), const Map& map, const ScoreSequencesArgs<float>& args,
                         const DeviceRun& run) {
  const ScorerGeometry& g = args.geometry;
  const int64_t block_workspace = BlockWorkspace(g, kPrecision);
  LaunchConfig config;
  const int64_t groups = static_cast<int64_t>(ScorerGroups(g, args.max_rows)) * args.scan.count;
  config.grid = ScoringGrid(args.count, groups, static_cast<int64_t>(args.workspace_bytes) / block_workspace);
  config.block = dim3(kThreads);
  config.shared = static_cast<size_t>(map.bytes);
  config.stream = run.stream;
  return Launch(config, kernel,
                ScorerArgs<Map>{g,
                                Layout(g, kPrecision),
                                map,
                                args.live,
                                args.count,
                                args.packed,
                                args.num_rows,
                                args.out,
                                static_cast<unsigned char*>(args.workspace),
                                block_workspace,
                                {args.bases, args.tracks, args.rows, args.draws, args.scan.patterns},
                                args.scan});
}

template <Precision kPrecision, int kFilters, bool kResident>
DeviceError ScoreFused(const ScoreSequencesArgs<float>& args, const DeviceRun& run) {
  const FusedMap map = FusedShape<kPrecision, kFilters, kResident>::Map(args.geometry, SharedMemoryLimit());
  return LaunchScorer<kPrecision>(ScoreTiles<kPrecision, kFilters, kResident>, map, args, run);
}

template <Precision kPrecision, int kColumns>
DeviceError ScoreLayered(const ScoreSequencesArgs<float>& args, const DeviceRun& run) {
  return LaunchScorer<kPrecision>(ScoreByLayers<kPrecision, kColumns>,
                                  LayeredShape<kPrecision, kColumns>::Map(args.geometry), args, run);
}

template <Precision kPrecision>
DeviceError Score(const ScoreSequencesArgs<float>& args, const DeviceRun& run) {
  const ScorerGeometry& g = args.geometry;
  if (args.count == 0 || args.max_rows == 0 || args.scan.count == 0) return {};
  if (static_cast<int64_t>(args.workspace_bytes) < BlockWorkspace(g, kPrecision)) return {-1};
  if (!FitsTile(g)) {
    switch (BlockColumns(g)) {
      case 32:
        return ScoreLayered<kPrecision, 32>(args, run);
      case 64:
        return ScoreLayered<kPrecision, 64>(args, run);
      case 96:
        return ScoreLayered<kPrecision, 96>(args, run);
      default:
        return {-1};
    }
  }
  if constexpr (kPrecision == Precision::kBf16) {
    const int limit = SharedMemoryLimit();
    if (!args.stream_weights && g.filters == 96 && FusedShape<kPrecision, 96, true>::Map(g, limit).bytes <= limit) {
      return ScoreFused<kPrecision, 96, true>(args, run);
    }
  }
  switch (g.filters) {
    case 32:
      return ScoreFused<kPrecision, 32, false>(args, run);
    case 64:
      return ScoreFused<kPrecision, 64, false>(args, run);
    case 96:
      return ScoreFused<kPrecision, 96, false>(args, run);
    case 128:
      return ScoreFused<kPrecision, 128, false>(args, run);
    default:
      return {-1};
  }
}

}  // namespace
}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_LAUNCH_CUH_
