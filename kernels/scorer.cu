// The fused scorer's operators on a device: packing of weights and merging of a scan's moments; scoring itself is in
// scorer_{fp32,tf32,bf16}.cu.
//
// Packing: a block of 256 threads takes words of one model's packed weights, a thread a word: it finds out which
// element (bf16: two) of which matrix belongs there and reads it. 1.5 MB a model of the paper's network (bf16 1.1),
// once an epoch: limited by nothing that matters, so that reads four times their sectors are left as they are.
//
// Merging: a thread a pattern, its groups one after the other: 16 bytes a group of 48 sequences in, 16 a pattern out.
// 4,096 6-mers in 1,000 sequences: 1.4 MB a model, 0.3 us of an H200's memory; the loads' latency, 21 in a row, limits.
#include "kernels/device/dialect.h"
#include "kernels/device/scorer_layout.h"
#include "kernels/device/scorer_source.cuh"
#include "kernels/device_scorer.h"

namespace rb {
namespace {

using namespace device::scorer;

// ---------------------------------------------------------------------------------------------------------- packing

struct PackArgs {
  ScorerGeometry g;
  Layout layout;
  FoldedWeights folded;
  int64_t folded_stride;
  const int32_t* live;
  PerModel<unsigned char> packed;
};

// Which elements of a matrix a packed word holds: (depth, column), and in bf16 the next depth beside it.
struct Place {
  int depth, column;
};
template <Precision kPrecision>
__device__ inline Place PlaceOf(int64_t word, int columns, int fragments) {
  if constexpr (kPrecision == Precision::kFp32) {
    const int in_row = static_cast<int>(word % columns), in_block = in_row % (8 * fragments);
    const int t = in_block / (2 * fragments), n = in_block % (2 * fragments) / 2;
    return {static_cast<int>(word / columns), in_row / (8 * fragments) * 8 * fragments + 8 * n + 2 * t + in_block % 2};
  } else {
    const int j = word & 1, h = word >> 1 & 1, t = word >> 2 & 3, g = word >> 4 & 7;
    const int step = static_cast<int>((word >> 7) / (columns / 16));
    const int column = static_cast<int>((word >> 7) % (columns / 16)) * 16 + 8 * h + g;
    constexpr int kDepth = StepDepth(kPrecision);
    return {step * kDepth + j * (kDepth / 2) + (kPrecision == Precision::kBf16 ? 2 * t : t), column};
  }
}

struct Threads {
  int64_t first, count;
};

// A matrix of `depths` x `columns` elements at(depth, column); `fragments` of 8 columns a warp.
template <Precision kPrecision, class At>
__device__ inline void PackMatrix(const At& at, int depths, int columns, int fragments, unsigned char* packed,
                                  Threads threads) {
  uint32_t* to = reinterpret_cast<uint32_t*>(packed);
  const int64_t words = static_cast<int64_t>(depths) * columns * StoredBytes(kPrecision) / 4;
  for (int64_t word = threads.first; word < words; word += threads.count) {
    const Place place = PlaceOf<kPrecision>(word, columns, fragments);
    const float value = at(place.depth, place.column);
    if constexpr (kPrecision == Precision::kBf16) {
      to[word] = PackBf16(value, at(place.depth + 1, place.column));
    } else {
      to[word] = BitsOf(RoundOperand<kPrecision>(value));
    }
  }
}

__device__ inline void CopyValues(const float* from, int count, int padded, unsigned char* packed, Threads threads) {
  for (int64_t i = threads.first; i < padded; i += threads.count) {
    reinterpret_cast<float*>(packed)[i] = i < count ? from[i] : 0.0f;
  }
}

// Grid: any number of blocks, live index.
template <Precision kPrecision>
__global__ void PackWeights(const PackArgs args) {
  DependencyWait();
  const ScorerGeometry& g = args.g;
  const Layout& layout = args.layout;
  const int64_t slot = args.live[blockIdx.y], shift = slot * args.folded_stride;
  unsigned char* to = args.packed[slot];
  const Threads threads = {static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x,
                           static_cast<int64_t>(gridDim.x) * blockDim.x};
  const int fragments = WarpFragments(g);
  const auto matrix = [&](const float* from, int columns) {
    return [=](int depth, int column) { return from[shift + static_cast<int64_t>(depth) * columns + column]; };
  };
  const auto embed = [&](int depth, int column) {
    const int tap = depth / InputChannels(g), channel = depth % InputChannels(g), channels = 4 + g.structure;
    if (tap >= g.first_width || channel >= channels) return 0.0f;
    return args.folded.embed[shift + static_cast<int64_t>(tap * channels + channel) * g.filters + column];
  };
  PackMatrix<kPrecision>(embed, EmbedSlices(g) * kSliceDepth, g.filters, fragments, to + layout.embed, threads);
  for (int i = 0; i < g.residual_layers; ++i) {
    PackMatrix<kPrecision>(matrix(args.folded.conv[i], g.filters), g.width * g.filters, g.filters, fragments,
                           to + layout.conv + i * layout.conv_bytes, threads);
  }
  PackMatrix<kPrecision>(matrix(args.folded.dense, g.hidden), DenseInputs(g), g.hidden, kDensePanel / 8,
                         to + layout.dense, threads);
  for (int i = 0; i <= g.residual_layers; ++i) {
    const float* bias = (i == 0 ? args.folded.embed_bias : args.folded.conv_bias[i - 1]) + shift;
    CopyValues(bias, g.filters, g.filters, to + layout.bias + i * g.filters * sizeof(float), threads);
  }
  const auto padded = [](int64_t from, int64_t end) { return static_cast<int>((end - from) / sizeof(float)); };
  const int64_t biases_end = layout.bias + (g.residual_layers + 1) * g.filters * sizeof(float);
  CopyValues(nullptr, 0, padded(biases_end, layout.dense_bias), to + biases_end, threads);
  CopyValues(args.folded.dense_bias + shift, g.hidden, padded(layout.dense_bias, layout.head), to + layout.dense_bias,
             threads);
  CopyValues(args.folded.head + shift, g.hidden + 1, padded(layout.head, layout.bytes), to + layout.head, threads);
}

template <Precision kPrecision>
DeviceError Pack(const PackScorerArgs<float>& args, const DeviceRun& run) {
  const ScorerGeometry& g = args.geometry;
  const Layout layout(g, kPrecision);
  if (args.count == 0) return {};
  const int64_t words = layout.bytes / 4, blocks = std::min<int64_t>((words + 1023) / 1024, 256);
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(args.count));
  config.block = dim3(256);
  config.stream = run.stream;
  return Launch(config, PackWeights<kPrecision>,
                PackArgs{g, layout, args.folded, args.folded_stride, args.live, args.packed});
}

// ---------------------------------------------------------------------------------------------------------- merging

// Grid: any number of blocks, live index.
__global__ void MergeMomentsOfPatterns(const MergeEffectsArgs<float> args) {
  DependencyWait();
  const int64_t slot = args.live[blockIdx.y];
  const int rows = args.num_rows[slot], groups = (rows + args.group - 1) / args.group;
  if (rows == 0) return;
  for (int p = blockIdx.x * blockDim.x + threadIdx.x; p < args.num_patterns; p += gridDim.x * blockDim.x) {
    const EffectMoments* of = args.moments[slot] + static_cast<int64_t>(p) * groups;
    EffectMoments all = of[0];
    for (int i = 1; i < groups; ++i) {
      const int before = i * args.group;
      all = rb::MergeMoments(all, before, of[i], min(args.group, rows - before));
    }
    args.effects[slot][p] = all;
  }
}

}  // namespace

namespace RB_MACHINE {

DeviceError ScoreInFp32(const ScoreSequencesArgs<float>& args, const DeviceRun& run);
DeviceError ScoreInTf32(const ScoreSequencesArgs<float>& args, const DeviceRun& run);
DeviceError ScoreInBf16(const ScoreSequencesArgs<float>& args, const DeviceRun& run);

DeviceError PackScorer(const PackScorerArgs<float>& args, const DeviceRun& run) {
  switch (run.precision) {
    case Precision::kFp32:
      return Pack<Precision::kFp32>(args, run);
    case Precision::kTf32:
      return Pack<Precision::kTf32>(args, run);
    case Precision::kBf16:
      return Pack<Precision::kBf16>(args, run);
  }
  return {-1};
}

DeviceError MergeEffects(const MergeEffectsArgs<float>& args, const DeviceRun& run) {
  if (args.count == 0 || args.num_patterns == 0) return {};
  LaunchConfig config;
  config.grid =
      dim3(static_cast<unsigned>(std::min((args.num_patterns + 127) / 128, 1024)), static_cast<unsigned>(args.count));
  config.block = dim3(128);
  config.stream = run.stream;
  return Launch(config, MergeMomentsOfPatterns, args);
}

DeviceError ScoreSequences(const ScoreSequencesArgs<float>& args, const DeviceRun& run) {
  switch (run.precision) {
    case Precision::kFp32:
      return ScoreInFp32(args, run);
    case Precision::kTf32:
      return ScoreInTf32(args, run);
    case Precision::kBf16:
      return ScoreInBf16(args, run);
  }
  return {-1};
}

}  // namespace RB_MACHINE
}  // namespace rb
