// Which kernel scores a shape, and its launch; a template over the source of sequences (scorer_source.cuh).
#ifndef RB_KERNELS_DEVICE_SCORER_LAUNCH_CUH_
#define RB_KERNELS_DEVICE_SCORER_LAUNCH_CUH_

#include <algorithm>

#include "kernels/device/scorer_fused.cuh"
#include "kernels/device/scorer_layered.cuh"
#include "kernels/device_scorer.h"

namespace rb::device::scorer {
namespace {

template <Precision kPrecision, int kFilters, bool kResident, class Source>
__global__ void __launch_bounds__(kThreads, (FusedShape<kPrecision, kFilters, kResident>::kBlocks))
    ScoreTiles(const FusedArgs<Source> args) {
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, shared);
  FusedBlock<kPrecision, kFilters, kResident, Source> block(args, shared);
  for (int model = blockIdx.y; model < args.count; model += gridDim.y) block.ScoreModel(args.live[model]);
}

template <Precision kPrecision, int kColumns, class Source>
__global__ void __launch_bounds__(kThreads, 1) ScoreByLayers(const LayeredArgs<Source> args) {
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, shared);
  LayeredBlock<kPrecision, kColumns, Source> block(args, shared);
  for (int model = blockIdx.y; model < args.count; model += gridDim.y) block.ScoreModel(args.live[model]);
}

// The grid: blocks of one model by models, no more than the workspace is for, and so few that a block loads a model's
// weights for four groups or more where that leaves two blocks for every multiprocessor.
inline dim3 ScoringGrid(int models, int64_t groups, int64_t most_blocks) {
  constexpr int64_t kSpread = 264;
  const int64_t y = std::min<int64_t>({models, 65535, most_blocks});
  const int64_t x = std::min<int64_t>({std::max<int64_t>((kSpread + y - 1) / y, groups / 4), groups, most_blocks / y});
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y));
}

// Launches `kernel` with Args: FusedArgs or LayeredArgs; a block takes `group` sequences at a time.
template <Precision kPrecision, template <class> class Args, class Map, class Source>
DeviceError LaunchScorer(void (*kernel)(Args<Source>), const Map& map, int group, const ScoreSequencesArgs<float>& args,
                         const Source& source, const DeviceRun& run) {
  const ScorerGeometry& g = args.geometry;
  const int64_t block_workspace = BlockWorkspace(g, kPrecision);
  LaunchConfig config;
  config.grid = ScoringGrid(args.count, (args.max_rows - 1) / group + 1,
                            static_cast<int64_t>(args.workspace_bytes) / block_workspace);
  config.block = dim3(kThreads);
  config.shared = static_cast<size_t>(map.bytes);
  config.stream = run.stream;
  return Launch(config, kernel,
                Args<Source>{g, Layout(g, kPrecision), map, args.live, args.count, args.packed, args.num_rows, args.out,
                             static_cast<unsigned char*>(args.workspace), block_workspace, source});
}

template <Precision kPrecision, int kFilters, bool kResident, class Source>
DeviceError ScoreFused(const ScoreSequencesArgs<float>& args, const Source& source, const DeviceRun& run) {
  const FusedMap map = FusedShape<kPrecision, kFilters, kResident>::Map(args.geometry, SharedMemoryLimit());
  return LaunchScorer<kPrecision>(ScoreTiles<kPrecision, kFilters, kResident, Source>, map,
                                  GroupSequences(args.geometry), args, source, run);
}

template <Precision kPrecision, int kColumns, class Source>
DeviceError ScoreLayered(const ScoreSequencesArgs<float>& args, const Source& source, const DeviceRun& run) {
  return LaunchScorer<kPrecision>(ScoreByLayers<kPrecision, kColumns, Source>,
                                  LayeredShape<kPrecision, kColumns>::Map(args.geometry),
                                  LayeredSequences(args.geometry), args, source, run);
}

template <Precision kPrecision, class Source>
DeviceError Score(const ScoreSequencesArgs<float>& args, const Source& source, const DeviceRun& run) {
  const ScorerGeometry& g = args.geometry;
  if (args.count == 0 || args.max_rows == 0) return {};
  if (static_cast<int64_t>(args.workspace_bytes) < BlockWorkspace(g, kPrecision)) return {-1};
  if (!FitsTile(g)) {
    switch (BlockColumns(g)) {
      case 32:
        return ScoreLayered<kPrecision, 32>(args, source, run);
      case 64:
        return ScoreLayered<kPrecision, 64>(args, source, run);
      case 96:
        return ScoreLayered<kPrecision, 96>(args, source, run);
      default:
        return {-1};
    }
  }
  if constexpr (kPrecision == Precision::kBf16) {
    const int limit = SharedMemoryLimit();
    if (!args.stream_weights && g.filters == 96 && FusedShape<kPrecision, 96, true>::Map(g, limit).bytes <= limit) {
      return ScoreFused<kPrecision, 96, true>(args, source, run);
    }
  }
  switch (g.filters) {
    case 32:
      return ScoreFused<kPrecision, 32, false>(args, source, run);
    case 64:
      return ScoreFused<kPrecision, 64, false>(args, source, run);
    case 96:
      return ScoreFused<kPrecision, 96, false>(args, source, run);
    case 128:
      return ScoreFused<kPrecision, 128, false>(args, source, run);
    default:
      return {-1};
  }
}

}  // namespace
}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_LAUNCH_CUH_
