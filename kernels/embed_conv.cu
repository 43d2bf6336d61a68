// Layer 1 on the device (kernels/embed_conv.h). Sums are fp32 from fp32 weights in every precision (a base's tap is an
// addition, and memory is the limit); only what is stored is rounded, and moments are of the values as stored.
//
// Mapping of all kernels but the last: blocks (chunk x panel of 32 channels, models); a lane owns a channel, a warp
// every kWarps-th row of the chunk. A position's base is one for the whole warp, so choosing a weight is a branch that
// all lanes take together, and the weights (backward: the sums of the weight gradient) stay in registers.
//
//   Forward, K <= 11: a window of K sums moves over the input positions; each position adds its base's weight to every
//   sum of the window (one addition a tap, the move comes with it), and one output leaves. Bytes an output: 4 (bf16 2).
//   Instructions: 11 additions, about 18 beside. Limit, on paper: instructions, 0.35 us a model-step of 41 x 96 x 100
//   on 132 multiprocessors (memory 0.37 us in fp32, 0.18 in bf16).
//   Forward, K > 11: weights in shared memory, one look-up and one addition a tap. Limit: shared memory.
//   Backward: a window of dy moves along; each position adds the window to its base's 11 sums. Wider layers take groups
//   of 11 taps, in gridDim.z, each reading dy again. Bytes an input: 8 (bf16 4). Instructions: 11 additions, about 26
//   beside. Limit, on paper: memory in fp32 (0.73 us a model-step), instructions in bf16 (0.5 us).
//   Input gradient (saliency, not training): blocks (row x 32 positions, models); a lane is a position, a warp a
//   channel of the input. Limit: shared memory.
#include "kernels/embed_conv.h"

#include <algorithm>
#include <type_traits>

#include "kernels/device/dialect.h"
#include "kernels/device/embed.cuh"
#include "kernels/device/embed_window.cuh"
#include "kernels/device/norm.cuh"

namespace rb {
namespace {

using namespace device;  // NOLINT

// Rows side by side in a block. Registers a thread: 11 x (4 + S) weights or sums and 60 to 90 more, which allow two
// blocks a multiprocessor: 16 warps with S = 0 and 2, 8 with S = 5. A warp's additions are independent of each other,
// so four warps a scheduler (two, where each position has 66 operations) hide the branches.
template <int kTracks>
constexpr int kWarps = kTracks > 2 ? 4 : 8;
constexpr int kBlocks = 2;

// -------------------------------------------------------------------------------------------------------- forward

// Shared memory: the warps' steps; afterwards their moments.
template <int kTracks, class A>
__global__ void __launch_bounds__(kWarps<kTracks>* kWarp, kBlocks) ForwardWindow(EmbedConvForwardArgs<float, A> a) {
  constexpr int kRows = kBases + kTracks;
  RB_DYNAMIC_SHARED(unsigned char, shared);
  DependencyWait();
  const EmbedConvGeometry& g = a.geometry;
  const BlockPlace place = PlaceOf(a.models, g.filters);
  if (place.idle) return;
  const int warp = static_cast<int>(threadIdx.x) / kWarp, half = g.width / 2;
  const int steps = RoundUp(g.length + half, kStepGroup);
  float w[kTaps][kRows];
#pragma unroll
  for (int i = 0; i < kTaps * kRows; ++i) {
    const int tap = g.width - 1 - i / kRows;
    w[i / kRows][i % kRows] = tap >= 0 ? a.w[place.slot][(tap * kRows + i % kRows) * g.filters + place.channel] : 0.0f;
  }
  const Steps sequence = Steps::Of(shared, warp, steps, kTracks);
  StreamedMoments moments;
  for (int n = place.rows.begin + warp; n < place.rows.end; n += kWarps<kTracks>) {
    sequence.Load(g, a.rows[place.slot][n], 0, steps);
    A* to = a.y[place.slot] + static_cast<int64_t>(n) * g.length * g.filters + place.channel;
    float sum[kTaps] = {};
    for (int step = 0; step < steps; step += kStepGroup) {
      const uint32_t codes = sequence.FourCodes(step);
#pragma unroll
      for (int i = 0; i < kStepGroup; ++i) {
        AddPosition(codes >> (8 * i) & 0xFFu, sequence.tracks + (step + i) * kTracks, w, sum);
        const int l = step + i - half;
        if (l < 0 || l >= g.length) continue;
        moments.Add(StoreValue(sum[0], to));
        to += g.filters;
      }
      moments.EndBlock();
    }
  }
  if (!a.moments) return;
  float* const mean = a.moments[place.slot] + place.chunk * 2 * g.filters + place.channel;
  WriteMoments(moments, kWarps<kTracks>, place.rows.count(), g.length, shared, mean, mean + g.filters);
}

constexpr int kWideWarps = 8;

// Shared memory: the warps' steps, then w[K][4+S][32]; afterwards the warps' moments.
template <class A>
__global__ void __launch_bounds__(kWideWarps* kWarp, 4) ForwardWide(EmbedConvForwardArgs<float, A> a) {
  RB_DYNAMIC_SHARED(unsigned char, shared);
  DependencyWait();
  const EmbedConvGeometry& g = a.geometry;
  const BlockPlace place = PlaceOf(a.models, g.filters);
  if (place.idle) return;
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int half = g.width / 2, rows = kBases + g.structure, steps = RoundUp(g.length + 2 * half, kStepGroup);
  float* const w = reinterpret_cast<float*>(shared + kWideWarps * Steps::Bytes(steps, g.structure));
  for (int i = warp; i < g.width * rows; i += kWideWarps) {
    w[i * kPanel + lane] = a.w[place.slot][i * g.filters + place.channel];
  }
  __syncthreads();
  const Steps sequence = Steps::Of(shared, warp, steps, g.structure);
  StreamedMoments moments;
  for (int n = place.rows.begin + warp; n < place.rows.end; n += kWideWarps) {
    sequence.Load(g, a.rows[place.slot][n], -half, steps);
    A* const to = a.y[place.slot] + static_cast<int64_t>(n) * g.length * g.filters + place.channel;
    for (int l = 0; l < g.length; ++l) {
      float sum = 0.0f;
      for (int k = 0; k < g.width; ++k) {
        const float* const tap = w + k * rows * kPanel + lane;
        const int code = sequence.codes[l + k];
        if (code != kUnknownBase) sum += tap[code * kPanel];
        const float* const tracks = sequence.tracks + (l + k) * g.structure;
        for (int s = 0; s < g.structure; ++s) sum = fmaf(tracks[s], tap[(kBases + s) * kPanel], sum);
      }
      moments.Add(StoreValue(sum, to + static_cast<int64_t>(l) * g.filters));
      if (l % kStepGroup == kStepGroup - 1) moments.EndBlock();
    }
  }
  if (!a.moments) return;
  float* const mean = a.moments[place.slot] + place.chunk * 2 * g.filters + place.channel;
  WriteMoments(moments, kWideWarps, place.rows.count(), g.length, shared, mean, mean + g.filters);
}

// ------------------------------------------------------------------------------------------------- weight gradient

// Steps of a group's walk: whole stages of the stream; none where the group's taps never meet the sequence.
RB_HOST_DEVICE inline int GradientSteps(const EmbedConvGeometry& g, int first_tap) {
  const int steps = RoundUp(g.length + g.width / 2 - first_tap, GradientStream<float>::kPositions);
  return steps > 0 ? steps : 0;
}

// Shared memory: the warps' rings, then their steps; both make room for the warps' sums at the end.
template <int kTracks, class A>
__global__ void __launch_bounds__(kWarps<kTracks>* kWarp, kBlocks) BackwardWindow(EmbedConvBackwardArgs<float, A> a) {
  using Stream = GradientStream<A>;
  constexpr int kRows = kBases + kTracks;
  RB_DYNAMIC_SHARED(unsigned char, shared);
  DependencyWait();
  const EmbedConvGeometry& g = a.geometry;
  const BlockPlace place = PlaceOf(a.models, g.filters);
  if (place.idle) return;
  const int warp = static_cast<int>(threadIdx.x) / kWarp, first_tap = static_cast<int>(blockIdx.z) * kTaps;
  const int steps = GradientSteps(g, first_tap), panel = place.channel / kPanel * kPanel;
  const Steps sequence = Steps::Of(shared + kWarps<kTracks> * Stream::kBytes, warp, steps, kTracks);
  const float inverse = 1.0f / static_cast<float>(static_cast<int64_t>(a.models.state[place.slot].rows) * g.length);
  const NormGradChannel norm =
      NormGradOf({a.mean, a.rstd, a.gamma, a.sums}, place.slot, g.filters, place.channel, inverse);
  Stream stream(reinterpret_cast<A*>(shared + warp * Stream::kBytes), a.dz[place.slot] + panel,
                a.mean ? a.y[place.slot] + panel : nullptr, g.length, g.filters, steps / Stream::kPositions,
                place.rows.begin + warp, kWarps<kTracks>, steps > 0 ? place.rows.end : 0);
  float sum[kTaps][kRows] = {};
  for (int n = place.rows.begin + warp; n < place.rows.end; n += kWarps<kTracks>) {
    sequence.Load(g, a.rows[place.slot][n], first_tap - g.width / 2, steps);
    AddRowGradient(sequence, steps, stream, g.length, norm, sum);
  }
  AddWarps(kWarps<kTracks>, reinterpret_cast<float*>(shared), sum);
  if (warp != 0) return;
  float* const to = a.dw[place.slot] + place.chunk * a.dw_chunk_stride + place.channel;
#pragma unroll
  for (int i = 0; i < kTaps * kRows; ++i) {
    const int tap = first_tap + i / kRows;
    if (tap < g.width) to[(tap * kRows + i % kRows) * g.filters] = sum[i / kRows][i % kRows] * norm.scale;
  }
}

// -------------------------------------------------------------------------------------------------- input gradient

constexpr int kTile = 32;              // positions of a block
constexpr int kDyStride = kPanel + 4;  // rows of dy in shared memory: 16-byte reads of eight lanes hit all banks

// Shared memory: dy[32 + K - 1][kDyStride], w[K][4+S][32].
template <class A>
__global__ void InputGrad(EmbedConvInputGradArgs<float, A> args) {
  RB_DYNAMIC_SHARED(float, dy);
  DependencyWait();
  const EmbedConvBackwardArgs<float, A>& a = args.backward;
  const EmbedConvGeometry& g = a.geometry;
  const int slot = a.models.live[blockIdx.y], batch = a.models.state[slot].rows;
  const int tiles = (g.length + kTile - 1) / kTile, n = static_cast<int>(blockIdx.x) / tiles;
  if (n >= batch) return;
  const int half = g.width / 2, rows = kBases + g.structure, tile_rows = kTile + 2 * half;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, channel = static_cast<int>(threadIdx.x) / kWarp;
  const int p = static_cast<int>(blockIdx.x) % tiles * kTile + lane, first = p - lane - half;
  float* const w = dy + tile_rows * kDyStride;
  const float inverse = 1.0f / static_cast<float>(static_cast<int64_t>(batch) * g.length);
  float sum = 0.0f;
  for (int o = 0; o < g.filters; o += kPanel) {
    const NormGradChannel norm = NormGradOf({a.mean, a.rstd, a.gamma, a.sums}, slot, g.filters, o + lane, inverse);
    __syncthreads();
    for (int i = channel; i < tile_rows; i += rows) {
      const int64_t at = (static_cast<int64_t>(n) * g.length + first + i) * g.filters + o + lane;
      const bool inside = first + i >= 0 && first + i < g.length;
      dy[i * kDyStride + lane] = !inside  ? 0.0f
                                 : a.mean ? norm(a.dz[slot][at], a.y[slot][at])
                                          : static_cast<float>(a.dz[slot][at]);
    }
    for (int i = channel; i < g.width * rows; i += rows) w[i * kPanel + lane] = args.w[slot][i * g.filters + o + lane];
    __syncthreads();
    for (int k = 0; k < g.width; ++k) {
      const float4* const left = reinterpret_cast<const float4*>(dy + (lane + 2 * half - k) * kDyStride);
      const float4* const right = reinterpret_cast<const float4*>(w + (k * rows + channel) * kPanel);
#pragma unroll
      for (int i = 0; i < kPanel / 4; ++i) {
        const float4 x = left[i], y = right[i];
        sum = fmaf(x.x, y.x, fmaf(x.y, y.y, fmaf(x.z, y.z, fmaf(x.w, y.w, sum))));
      }
    }
  }
  if (p < g.length) args.dx[slot][(static_cast<int64_t>(n) * g.length + p) * rows + channel] = sum;
}

// ------------------------------------------------------------------------------------------------------- launches

// Calls f(integral constant of S) for the widths of structure that exist.
template <class F>
DeviceError WithTracks(int structure, const F& f) {
  if (structure == 0) return f(std::integral_constant<int, 0>());
  if (structure == 2) return f(std::integral_constant<int, 2>());
  if (structure == 5) return f(std::integral_constant<int, 5>());
  return {-1};
}

dim3 ChunkGrid(const EmbedConvGeometry& g, const Models& models, int groups) {
  return dim3(static_cast<unsigned>(kBatchChunks * (g.filters / kPanel)), static_cast<unsigned>(models.count),
              static_cast<unsigned>(groups));
}

template <class A>
DeviceError LaunchForward(const EmbedConvForwardArgs<float, A>& args, const DeviceRun& run) {
  const EmbedConvGeometry& g = args.geometry;
  if (args.models.count == 0) return {};
  if (g.width > kTaps) {
    const size_t steps = Steps::Bytes(RoundUp(g.length + 2 * (g.width / 2), kStepGroup), g.structure);
    const size_t weights = sizeof(float) * g.width * (kBases + g.structure) * kPanel;
    const size_t shared = std::max(kWideWarps * steps + weights, MomentBytes(kWideWarps));
    return Launch({ChunkGrid(g, args.models, 1), dim3(kWideWarps * kWarp), shared, run.stream}, ForwardWide<A>, args);
  }
  return WithTracks(g.structure, [&](auto tracks) {
    constexpr int kTracks = decltype(tracks)::value;
    const size_t steps = Steps::Bytes(RoundUp(g.length + g.width / 2, kStepGroup), kTracks);
    const size_t shared = std::max(kWarps<kTracks> * steps, MomentBytes(kWarps<kTracks>));
    return Launch({ChunkGrid(g, args.models, 1), dim3(kWarps<kTracks> * kWarp), shared, run.stream},
                  ForwardWindow<kTracks, A>, args);
  });
}

template <class A>
DeviceError LaunchBackward(const EmbedConvBackwardArgs<float, A>& args, const DeviceRun& run) {
  const EmbedConvGeometry& g = args.geometry;
  if (args.models.count == 0) return {};
  return WithTracks(g.structure, [&](auto tracks) {
    constexpr int kTracks = decltype(tracks)::value;
    const size_t steps = kWarps<kTracks> * (GradientStream<A>::kBytes + Steps::Bytes(GradientSteps(g, 0), kTracks));
    const size_t slots = sizeof(float) * (kWarps<kTracks> / 2) * kTaps * (kBases + kTracks) * kWarp;
    return Launch({ChunkGrid(g, args.models, (g.width + kTaps - 1) / kTaps), dim3(kWarps<kTracks> * kWarp),
                   std::max(steps, slots), run.stream},
                  BackwardWindow<kTracks, A>, args);
  });
}

template <class A>
DeviceError LaunchInputGrad(const EmbedConvInputGradArgs<float, A>& args, const DeviceRun& run) {
  const EmbedConvGeometry& g = args.backward.geometry;
  const Models& models = args.backward.models;
  if (models.count == 0) return {};
  const int rows = kBases + g.structure, tiles = (g.length + kTile - 1) / kTile;
  const dim3 grid(static_cast<unsigned>(g.batch * tiles), static_cast<unsigned>(models.count));
  const size_t values = (kTile + 2 * (g.width / 2)) * kDyStride + g.width * rows * kPanel;
  return Launch({grid, dim3(static_cast<unsigned>(rows * kWarp)), sizeof(float) * values, run.stream}, InputGrad<A>,
                args);
}

}  // namespace

namespace RB_MACHINE {

#define RB_EMBED_OPERATOR(Name, Args)                                                     \
  DeviceError EmbedConv##Name(const Args<float>& args, const DeviceRun& run) {            \
    return run.precision == Precision::kBf16 ? DeviceError{-1} : Launch##Name(args, run); \
  }                                                                                       \
  DeviceError EmbedConv##Name(const Args<float, BFloat16>& args, const DeviceRun& run) {  \
    return run.precision == Precision::kBf16 ? Launch##Name(args, run) : DeviceError{-1}; \
  }
RB_EMBED_OPERATOR(Forward, EmbedConvForwardArgs)
RB_EMBED_OPERATOR(Backward, EmbedConvBackwardArgs)
RB_EMBED_OPERATOR(InputGrad, EmbedConvInputGradArgs)

}  // namespace RB_MACHINE
}  // namespace rb
