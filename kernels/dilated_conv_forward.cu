// Dilated convolution on the device, forward (kernels/dilated_conv.h).
//
// Mapping: a block of 256 threads is one chunk of one model's batch, kTile output channels of it (grid: chunks, live
// models, O/kTile); C and O are cut into tiles of 96, 64 or 32, the largest that divides both and fits. Weights stay in
// shared memory as operands over the whole chunk (paper: 3 x 96 x 96), streamed tap by tap where they do not fit. A
// tile of whole sequences (paper: 3 x 41 of 128 rows) is copied ahead raw, goes through the prologue into operands (a
// thread has eight fixed channels of every 21st row, their affine map in registers, one Philox call a row), is
// multiplied (kernels/device/conv_sums.cuh), and leaves through shared memory in whole rows; moments are taken there,
// of the values as stored: two passes over a thread's rows of a tile, merged tile by tile, then thread by thread in
// order.
//
// Per sequence (L 41, C = O = 96, K 3): bytes 15.7 KB (bf16) or 31.5 KB (fp32, tf32) and 0.5 KB of mask; 2.27 MFLOP;
// weights 1/12 of 55 or 111 KB from L2. Shared memory, a tile of 128 rows (bf16), as counted: operands of the product
// 362 KB, the tile's way in and out 190 KB: 4,300 clocks at 128 bytes a clock, against 2,600 of DRAM and 2,600 of
// mma.sync. Limits: bf16 shared memory, two blocks a multiprocessor fill each other's gaps (110 KB and 128 registers
// each); tf32 shared memory and the tensor cores alike, one block (218 KB); fp32 multiply-adds.
#include "kernels/device/conv_fill.cuh"
#include "kernels/device/conv_run.cuh"
#include "kernels/device/norm.cuh"
#include "kernels/dilated_conv.h"

namespace rb {
namespace {

using namespace device;  // NOLINT

template <class Math>
using ForwardArgs = DilatedConvForwardArgs<float, typename Math::Stored>;

// Mean and M2 of a thread's channels over `count` rows so far.
struct QuadMoments {
  Quad mean = {}, m2 = {};
  int count = 0;

  // Chan's update by `n` more rows.
  __device__ void Merge(const Quad& more_mean, const Quad& more_m2, int n) {
    const float weight = static_cast<float>(n) / static_cast<float>(count + n);
    const float cross = static_cast<float>(count) * weight;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float delta = more_mean.v[i] - mean.v[i];
      mean.v[i] = fmaf(delta, weight, mean.v[i]);
      m2.v[i] += fmaf(delta * delta, cross, more_m2.v[i]);
    }
    count += n;
  }
};

template <class Math, int kTile>
struct ForwardJob {
  using A = typename Math::Stored;
  using Operand = typename Math::Operand;
  using Shape = ConvTile<Math, kTile>;
  // Rows whose loads a thread has under way when it fills a tile: one where registers are short and tiles copied ahead.
  static constexpr int kBatch = Math::kForwardBlocks > 1 ? 1 : 2;

  const ForwardArgs<Math>& args;
  const ConvPlan& plan;
  unsigned char* shared;
  const StepState& state;
  int slot;
  ChunkRows chunk;
  int column0;  // first output channel
  QuadMoments moments;

  __device__ const A* Raw(int sequence) const {
    return args.x[slot] + static_cast<int64_t>(sequence) * args.geometry.length * args.geometry.in;
  }
  __device__ A* stage() const { return reinterpret_cast<A*>(shared + plan.stage); }

  __device__ void Prefetch(int sequence) const {
    if (sequence >= chunk.end) return;
    const int left = chunk.end - sequence, sequences = left < plan.sequences ? left : plan.sequences;
    const int in = args.geometry.in, rows = sequences * args.geometry.length;
    if (plan.staged) {
      CopyRows<kTile>(Raw(sequence), in, rows, stage(), kTile);
      CpAsyncCommit();
    } else if (sequence > chunk.begin) {
      PrefetchValues(Raw(sequence), rows * in);
    }
  }
  __device__ void Filled(int sequence, int) const { Prefetch(sequence + plan.sequences); }

  __device__ void Fill(int sequence, int rows, int slice, bool first) const {
    const OctetPlace<kTile> place;
    const int in = args.geometry.in, channel = slice * kTile + place.channel;
    Operand* const to = reinterpret_cast<Operand*>(shared + plan.operand) + place.channel;
    const RawRows<A> raw = plan.staged ? RawRows<A>{stage(), kTile} : RawRows<A>{Raw(sequence) + slice * kTile, in};
    const auto load = [&](int row) { return LoadSharedOctet(raw.at(row, place.channel)); };
    if (!args.prologue.mean) {
      place.template ForRows<kBatch>(rows, load,
                                     [&](int row, const Octet& x) { StoreOperands(x, to + row * Shape::kPitch); });
      return;
    }
    const float* const affine = reinterpret_cast<const float*>(shared + plan.tables);
    const Octet scale = LoadSharedOctet(affine + channel), shift = LoadSharedOctet(affine + in + channel);
    const uint32_t threshold = DropoutThreshold(args.prologue.dropout_rate);
    const uint32_t octet0 = static_cast<uint32_t>(sequence * args.geometry.length * (in / kOctet) + channel / kOctet);
    uint8_t* const mask = first && column0 == 0 ? MaskBytes(args.prologue.mask[slot]) : nullptr;
    place.template ForRows<kBatch>(rows, load, [&](int row, const Octet& x) {
      const uint32_t octet = octet0 + static_cast<uint32_t>(row * (in / kOctet));
      const uint32_t keep = DropoutByte(state, args.prologue.dropout_layer, octet, threshold);  // rate 0: all
      Octet a;
      uint32_t bits = 0;
#pragma unroll
      for (int i = 0; i < kOctet; ++i) {
        const float value = fmaf(x.v[i], scale.v[i], shift.v[i]);
        const bool on = value > 0 && (keep >> i & 1u) != 0;
        a.v[i] = on ? value : 0.0f;
        bits |= static_cast<uint32_t>(on) << i;
      }
      StoreOperands(a, to + row * Shape::kPitch);
      if (mask) mask[octet] = static_cast<uint8_t>(bits);
    });
  }

  template <class Sums>
  __device__ void Finish(const Sums& sums, int sequence, int rows, int row0) {
    A* const out = reinterpret_cast<A*>(shared + plan.out);
    const int count = rows - row0 < kConvRows ? rows - row0 : kConvRows;
    sums.ForEach([&](int row) { return row < count ? out + row * Shape::kPitch : nullptr; },
                 [](A* row, int column, float a, float b) {
                   if (row) StorePair(a, b, row + column);
                 });
    __syncthreads();
    const QuadPlace<kTile> way_out;
    const int columns = args.geometry.out;
    A* const y = args.y[slot] + (static_cast<int64_t>(sequence) * args.geometry.length + row0) * columns + column0 +
                 way_out.channel;
    const auto load = [&](int row) { return LoadQuad(out + row * Shape::kPitch + way_out.channel); };
    Quad mean = {}, m2 = {};
    int n = 0;
    way_out.template ForRows<1>(count, load, [&](int row, const Quad& v) {
      StoreQuad(v, y + static_cast<int64_t>(row) * columns);
#pragma unroll
      for (int i = 0; i < 4; ++i) mean.v[i] += v.v[i];
      ++n;
    });
    if (!args.moments || n == 0) return;
    const float inverse = 1.0f / static_cast<float>(n);
#pragma unroll
    for (int i = 0; i < 4; ++i) mean.v[i] *= inverse;
    way_out.template ForRows<1>(count, load, [&](int, const Quad& v) {
#pragma unroll
      for (int i = 0; i < 4; ++i) m2.v[i] = fmaf(v.v[i] - mean.v[i], v.v[i] - mean.v[i], m2.v[i]);
    });
    moments.Merge(mean, m2, n);
  }

  // moments[chunk][2][O] of this block's channels: the threads' in order of their rows.
  __device__ void WriteMoments() const {
    const QuadPlace<kTile> way_out;
    float* const mean = reinterpret_cast<float*>(shared + plan.operand);  // [group][2][kTile], then counts
    int* const counts = reinterpret_cast<int*>(mean + way_out.kGroups * 2 * kTile);
    __syncthreads();
    if (way_out.active()) {
      float* const mine = mean + way_out.group * 2 * kTile + way_out.channel;
      StoreQuad(moments.mean, mine);
      StoreQuad(moments.m2, mine + kTile);
      if (way_out.channel == 0) counts[way_out.group] = moments.count;
    }
    __syncthreads();
    const int c = static_cast<int>(threadIdx.x);
    if (c >= kTile) return;
    float total_mean = 0, total_m2 = 0;
    int total = 0;
#pragma unroll 1
    for (int group = 0; group < way_out.kGroups; ++group) {
      const int n = counts[group];
      if (n == 0) continue;
      const float weight = static_cast<float>(n) / static_cast<float>(total + n);
      const float delta = mean[group * 2 * kTile + c] - total_mean;
      total_mean = fmaf(delta, weight, total_mean);
      total_m2 += fmaf(delta * delta, static_cast<float>(total) * weight, mean[(group * 2 + 1) * kTile + c]);
      total += n;
    }
    float* const to = args.moments[slot] + static_cast<int64_t>(blockIdx.x) * 2 * args.geometry.out + column0 + c;
    to[0] = total_mean;
    to[args.geometry.out] = total_m2;
  }
};

template <class Math, int kTile>
__global__ void __launch_bounds__(kConvThreads, Math::kForwardBlocks)
    Forward(ForwardArgs<Math> args, PerModel<const float> weights, ConvPlan plan) {
  using Operand = typename Math::Operand;
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, shared);
  const int slot = args.models.live[blockIdx.y];
  const StepState& state = args.models.state[slot];
  if (state.rows == 0) return;
  const DilatedConvGeometry& g = args.geometry;
  const int column0 = static_cast<int>(blockIdx.z) * kTile;
  if (args.prologue.mean) {
    const Prologue<float>& p = args.prologue;
    ShareAffine(p.mean[slot], p.rstd[slot], p.gamma[slot], p.beta[slot], g.in, plan.keep_scale,
                static_cast<int>(threadIdx.x), kConvThreads, reinterpret_cast<float*>(shared + plan.tables));
  }
  ZeroRow(shared + plan.operand + plan.sequences * g.length * ConvTile<Math, kTile>::kPitchBytes,
          ConvTile<Math, kTile>::kPitchBytes);
  ForwardJob<Math, kTile> job{args,    plan, shared, state, slot, RowsOfChunk(state.rows, static_cast<int>(blockIdx.x)),
                              column0, {}};
  const ConvPass<Math> pass = {
      reinterpret_cast<const Operand*>(weights[slot]) + column0, g.length, g.width, g.dilation, g.in, g.out};
  RunConv<Math, kTile>(plan, pass, job.chunk, shared, job);
  if (args.moments) job.WriteMoments();
}

template <class Math, int kTile>
DeviceError LaunchForward(const ForwardArgs<Math>& args, void* stream) {
  const DilatedConvGeometry& g = args.geometry;
  const ConvNeeds needs = {g.in / kTile, 1, 1, 2 * g.in, Math::kForwardBlocks};
  ConvPlan plan = PlanConv<Math, kTile>(g, needs);
  if (g.in % kTile != 0 || g.out % kTile != 0 || plan.bytes == 0) {
    if constexpr (kTile > 32) {
      return LaunchForward<Math, kTile - 32>(args, stream);
    } else {
      return {-1};
    }
  }
  plan.keep_scale = static_cast<float>(DropoutScale(args.prologue.dropout_rate));
  PerModel<const float> weights = args.w;
  if constexpr (!std::is_same_v<Math, Fp32Math>) {
    const DeviceError error = LaunchPackWeights<Math, false>(args.models, g, args.w, args.packed, stream);
    if (error) return error;
    weights = args.packed;
  }
  LaunchConfig config;
  config.grid = dim3(kBatchChunks, static_cast<unsigned>(args.models.count), static_cast<unsigned>(g.out / kTile));
  config.block = dim3(kConvThreads);
  config.shared = static_cast<size_t>(plan.bytes);
  config.stream = stream;
  return Launch(config, Forward<Math, kTile>, args, weights, plan);
}

}  // namespace

namespace RB_MACHINE {

DeviceError DilatedConvForward(const DilatedConvForwardArgs<float>& args, const DeviceRun& run) {
  if (run.precision == Precision::kFp32) return LaunchForward<Fp32Math, 96>(args, run.stream);
  if (run.precision == Precision::kTf32) return LaunchForward<Tf32Math, 96>(args, run.stream);
  return {-1};
}

DeviceError DilatedConvForward(const DilatedConvForwardArgs<float, BFloat16>& args, const DeviceRun& run) {
  if (run.precision != Precision::kBf16) return {-1};
  return LaunchForward<Bf16Math, 96>(args, run.stream);
}

}  // namespace RB_MACHINE
}  // namespace rb
