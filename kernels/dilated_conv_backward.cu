// Dilated convolution on the device, backward (kernels/dilated_conv.h).
//
// Mapping: a block of 256 threads is one chunk of one model's batch and kTile input channels (grid: chunks, live
// models, C/kTile); tiles of whole sequences in 128 rows, weights as in the forward kernel but packed [K][O][C]. A
// tile: dz, y, x (copied ahead raw, bf16) -> operands dy and a; dw += a^T dy; da = dy * w; da through skip, mask and
// rounding to shared memory, from there in whole rows to dx and into the two sums of the batch norm below. kWithWeights
// (C = O = kTile, at most three taps): the whole pass, one reading of dz, y and x; dw, 27,648 sums at 96 x 96 x 3,
// stays in 108 registers a thread over the chunk, so that a multiprocessor has one block; a tile's dw comes before its
// da, whose 48 sums live for that product only, and the memory of a is free for da. Otherwise dw is a kernel of its own
// (kernels/dilated_conv_weight_grad.cu), and channels beyond kTile go slice by slice. In place (dx = dz): a block reads
// all dz of a tile before it writes the tile's dx, and nobody else reads these rows; only where C = kTile.
//
// Per sequence (L 41, C = O = 96, K 3): bytes 31.5 KB (bf16) or 63 KB (fp32, tf32), 0.5 to 1 KB of masks, 1/12 of 111
// KB of dw, weights 1/12 of 55 or 111 KB from L2; 4.5 MFLOP. Shared memory, a tile of 128 rows (bf16): products 712 KB,
// the way in and out 300 KB: 7,900 clocks at 128 bytes a clock, against 6,500 of DRAM and 5,200 of mma.sync. Limits:
// bf16 shared memory; tf32 shared memory, whose loads of the next tile nothing hides (no room to copy ahead); fp32
// multiply-adds.
#include "kernels/device/conv_fill.cuh"
#include "kernels/device/conv_grad_sums.cuh"
#include "kernels/device/conv_run.cuh"
#include "kernels/device/conv_weight_grad.h"
#include "kernels/dilated_conv.h"

namespace rb {
namespace {

using namespace device;  // NOLINT

// Nothing, where dw is not wanted.
struct NoSums {};

template <class Math, int kTile, bool kWithWeights>
struct BackwardJob {
  using A = typename Math::Stored;
  using Operand = typename Math::Operand;
  using Shape = ConvTile<Math, kTile>;
  using Grad = std::conditional_t<kWithWeights, GradSums<Math, kTile>, NoSums>;
  // Rows whose loads a thread has under way on the way out: as many as registers allow beside the sums of dw.
  static constexpr int kOutBatch = kWithWeights && std::is_same_v<Math, Fp32Math> ? 1 : 2;
  enum RawTile { kRawDz, kRawY, kRawX, kRawTiles = 4 };  // x twice: it is needed until the next tile's x has come

  const BackwardArgs<Math>& args;
  const ConvPlan& plan;
  unsigned char* shared;
  int slot;
  ChunkRows chunk;
  int channel0;  // first input channel
  Quad sums[2];  // of dz_in, of dz_in * xhat
  Grad grad;
  int turn;  // which of the two raw x is this tile's

  __device__ const DilatedConvGeometry& geometry() const { return args.geometry; }
  __device__ A* Tile(int at) const { return reinterpret_cast<A*>(shared + at); }
  // Where a tile of the fused pass begins in its tensors, and its rows.
  __device__ int64_t First(int sequence) const { return static_cast<int64_t>(sequence) * geometry().length * kTile; }
  __device__ int RowsFrom(int sequence) const {
    const int left = chunk.end - sequence;
    return (left < plan.sequences ? left : plan.sequences) * geometry().length;
  }
  __device__ A* stage(int tile) const { return reinterpret_cast<A*>(shared + plan.stage + tile * plan.stage_bytes); }
  __device__ float* norm_table() const { return reinterpret_cast<float*>(shared + plan.tables); }  // [3][O]
  __device__ float* prologue_table() const {
    return norm_table() + 3 * geometry().out;
  }  // mean, rstd, affine: [4][kTile]

  // One raw tile of x, dz or y.
  __device__ RawRows<A> Rows(RawTile which, const PerModel<const A>& tensor, int sequence, int first_channel,
                             int channels) const {
    if (plan.staged) return {stage(which == kRawX ? kRawX + turn : which), kTile};
    return RowsAt<A>(tensor, slot, static_cast<int64_t>(sequence) * geometry().length * channels + first_channel,
                     channels);
  }

  // dz of the tile that begins at a sequence, to where its dy will be.
  __device__ void LandDz(int sequence) const {
    if (sequence >= chunk.end || args.pool.dp) return;
    CopyRows<kTile>(args.dz[slot] + First(sequence), kTile, RowsFrom(sequence), Tile(plan.operand), Shape::kPitch);
    CpAsyncCommit();
  }
  __device__ void Prefetch(int sequence) const {
    if constexpr (!kWithWeights) return;
    if (sequence >= chunk.end) return;
    const int rows = RowsFrom(sequence);
    const bool begins = sequence == chunk.begin;
    if (!plan.staged) {
      if (begins) return LandDz(sequence);
      if (args.norm.mean) PrefetchValues(args.y[slot] + First(sequence), rows * kTile);
      return PrefetchValues(args.x[slot] + First(sequence), rows * kTile);
    }
    if (!args.pool.dp) CopyRows<kTile>(args.dz[slot] + First(sequence), kTile, rows, stage(kRawDz), kTile);
    if (args.norm.mean) CopyRows<kTile>(args.y[slot] + First(sequence), kTile, rows, stage(kRawY), kTile);
    CopyRows<kTile>(args.x[slot] + First(sequence), kTile, rows, stage(kRawX + (begins ? turn : 1 - turn)), kTile);
    CpAsyncCommit();
  }

  __device__ void Fill(int sequence, int rows, int slice, bool) const {
    const TileRows tile = {sequence, 0, rows};
    Operand* const dy = reinterpret_cast<Operand*>(shared + plan.operand);
    const int first = slice * kTile, out = geometry().out;
    if constexpr (!kWithWeights) {
      return FillDy<Math, kTile, 2>(args, slot, tile, first, norm_table() + first, out,
                                    Rows(kRawDz, args.dz, sequence, first, out),
                                    Rows(kRawY, args.y, sequence, first, out), dy);
    }
    RawRows<A> dz = {stage(kRawDz), kTile}, y = {stage(kRawY), kTile}, x = {stage(kRawX + turn), kTile};
    if (!plan.staged) {  // y and then x land where a will be
      dz = {Tile(plan.operand), Shape::kPitch};
      y = x = {Tile(plan.second), Shape::kPitch};
      if (args.norm.mean)
        CopyRows<kTile>(args.y[slot] + First(sequence), kTile, rows, Tile(plan.second), Shape::kPitch);
      Land();
    }
    FillDy<Math, kTile, 1>(args, slot, tile, 0, norm_table(), kTile, dz, y, dy);
    if (!plan.staged) {
      __syncthreads();
      CopyRows<kTile>(args.x[slot] + First(sequence), kTile, rows, Tile(plan.second), Shape::kPitch);
      Land();
    }
    FillA<Math, kTile, 1>(args, slot, tile, InputRows{0, 0, rows}, 0, prologue_table() + 2 * kTile, x,
                          reinterpret_cast<Operand*>(shared + plan.second));
  }
  __device__ static void Land() {
    CpAsyncCommit();
    CpAsyncWait<0>();
    __syncthreads();
  }

  __device__ void Filled(int sequence, int rows) {
    if constexpr (kWithWeights) {
      Prefetch(sequence + plan.sequences);
      const DilatedConvGeometry& g = geometry();
      const int shift = -(g.width / 2) * g.dilation;
      unsigned live = 0;
      for (int tap = 0; tap < g.width; ++tap) {
        const int at = shift + tap * g.dilation;
        live |= static_cast<unsigned>(at < g.length && -at < g.length) << tap;
      }
      grad.Add(reinterpret_cast<const Operand*>(shared + plan.second),
               reinterpret_cast<const Operand*>(shared + plan.operand),
               GradRows{rows, g.length, plan.sequences * g.length, shift, g.dilation, live});
      __syncthreads();  // a is free for da
    }
  }

  // da of a tile's rows from row0 on to `out`: what skips the layer is added, the dropout's scale applied; rounding and
  // mask come after that and commute.
  __device__ void StoreDa(const ConvSums<Math, kTile>& da, int sequence, int rows, int row0) const {
    A* const out = Tile(plan.out);
    const float scale = args.prologue.mean ? plan.keep_scale : 1.0f;
    if (!args.skip.dp) {
      da.ForEach([&](int row) { return row0 + row < rows ? out + row * Shape::kPitch : nullptr; },
                 [&](A* row, int column, float a, float b) {
                   if (row) StorePair(a * scale, b * scale, row + column);
                 });
      return;
    }
    const PooledRows pooled(args.skip, slot, TileRows{sequence, row0, rows}, geometry().length, geometry().in);
    struct SkipRow {
      int row;  // -1: beyond the tile
      const float* dp;
    };
    da.ForEach(
        [&](int row) {
          return row0 + row < rows ? SkipRow{row, pooled.Pool(row)} : SkipRow{-1, nullptr};
        },
        [&](const SkipRow& at, int column, float a, float b) {
          if (at.row < 0) return;
          if (at.dp) {
            const uint32_t bits = pooled.Bits(at.row, channel0 + column);
            const float2 dp = *reinterpret_cast<const float2*>(at.dp + channel0 + column);
            a += (bits & 1u) != 0 ? dp.x : 0.0f;
            b += (bits & 2u) != 0 ? dp.y : 0.0f;
          }
          StorePair(a * scale, b * scale, out + at.row * Shape::kPitch + column);
        });
  }

  __device__ void Finish(const ConvSums<Math, kTile>& da, int sequence, int rows, int row0) {
    if (kWithWeights && !plan.staged && row0 + kConvRows >= rows) LandDz(sequence + plan.sequences);
    StoreDa(da, sequence, rows, row0);
    __syncthreads();
    const QuadPlace<kTile> way_out;
    const int count = rows - row0 < kConvRows ? rows - row0 : kConvRows, in = geometry().in;
    const int64_t first = static_cast<int64_t>(sequence) * geometry().length + row0;
    const A* const out = Tile(plan.out) + way_out.channel;
    A* const dx = args.dx[slot] + first * in + channel0 + way_out.channel;
    if (!args.prologue.mean) {
      way_out.template ForRows<kOutBatch>(
          count, [&](int row) { return LoadQuad(out + row * Shape::kPitch); },
          [&](int row, const Quad& v) { StoreQuad(v, dx + static_cast<int64_t>(row) * in); });
    } else {
      const uint8_t* const mask =
          MaskBytes(args.prologue.mask[slot]) + first * (in / kOctet) + (channel0 + way_out.channel) / kOctet;
      const RawRows<A> x = Rows(kRawX, args.x, sequence, channel0, in);
      const Quad mean = LoadQuad(prologue_table() + way_out.channel),
                 rstd = LoadQuad(prologue_table() + kTile + way_out.channel);
      struct Loaded {
        Quad v, x;
        uint32_t bits;
      };
      const auto load = [&](int row) {
        return Loaded{LoadQuad(out + row * Shape::kPitch), LoadQuad(x.at(row0 + row, way_out.channel)),
                      mask[static_cast<int64_t>(row) * (in / kOctet)]};
      };
      way_out.template ForRows<kOutBatch>(count, load, [&](int row, const Loaded& loaded) {
        const Quad v = Keep(loaded.bits >> (way_out.channel % kOctet), loaded.v);
        StoreQuad(v, dx + static_cast<int64_t>(row) * in);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sums[0].v[i] += v.v[i];
          sums[1].v[i] = fmaf(v.v[i], (loaded.x.v[i] - mean.v[i]) * rstd.v[i], sums[1].v[i]);
        }
      });
    }
    turn = 1 - turn;
  }

  // chunk_sums[chunk][2][C] of this block's channels: the threads' in order of their rows.
  __device__ void WriteSums() const {
    float* const parts = reinterpret_cast<float*>(shared + plan.operand);  // [group][2][kTile]
    __syncthreads();
    const QuadPlace<kTile> way_out;
    if (way_out.active()) {
      StoreQuad(sums[0], parts + way_out.group * 2 * kTile + way_out.channel);
      StoreQuad(sums[1], parts + (way_out.group * 2 + 1) * kTile + way_out.channel);
    }
    __syncthreads();
    const int i = static_cast<int>(threadIdx.x);
    if (i >= 2 * kTile) return;
    float total = 0;
#pragma unroll 2
    for (int group = 0; group < way_out.kGroups; ++group) total += parts[group * 2 * kTile + i];
    args.chunk_sums[slot][(static_cast<int64_t>(blockIdx.x) * 2 + i / kTile) * geometry().in + channel0 + i % kTile] =
        total;
  }
};

template <class Math, int kTile, bool kWithWeights>
__global__ void __launch_bounds__(kConvThreads, 1) Backward(BackwardArgs<Math> args, ConvPlan plan) {
  using Operand = typename Math::Operand;
  using Shape = ConvTile<Math, kTile>;
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, shared);
  const int slot = args.models.live[blockIdx.y], batch = args.models.state[slot].rows;
  if (batch == 0) return;
  const DilatedConvGeometry& g = args.geometry;
  BackwardJob<Math, kTile, kWithWeights> job{
      args, plan, shared, slot, RowsOfChunk(batch, static_cast<int>(blockIdx.x)), static_cast<int>(blockIdx.z) * kTile,
      {},   {},   0};
  const int zero_row = plan.sequences * g.length;
  ZeroRow(shared + plan.operand + zero_row * Shape::kPitchBytes, Shape::kPitchBytes);
  if (kWithWeights) ZeroRow(shared + plan.second + zero_row * Shape::kPitchBytes, Shape::kPitchBytes);
  if (args.norm.mean) {
    ShareNormGrad(args.norm, slot, g.out, 0, g.out, 1.0f / static_cast<float>(batch * g.length), job.norm_table());
  }
  if (args.prologue.mean) {
    for (int c = static_cast<int>(threadIdx.x); c < kTile; c += kConvThreads) {
      job.prologue_table()[c] = args.prologue.mean[slot][job.channel0 + c];
      job.prologue_table()[kTile + c] = args.prologue.rstd[slot][job.channel0 + c];
    }
    SharePrologue<kTile>(args.prologue, slot, job.channel0, plan.keep_scale, job.prologue_table() + 2 * kTile);
  }
  const ConvPass<Math> pass = {
      reinterpret_cast<const Operand*>(args.packed[slot]) + job.channel0, g.length, g.width, -g.dilation, g.out, g.in};
  RunConv<Math, kTile>(plan, pass, job.chunk, shared, job);
  if (args.prologue.mean) job.WriteSums();
  if constexpr (kWithWeights) {
    job.grad.Store(g.width, static_cast<int64_t>(g.in) * g.out, g.out,
                   args.dw[slot] + static_cast<int64_t>(blockIdx.x) * args.dw_chunk_stride);
  }
}

// ------------------------------------------------------------------------------------------------------- launches

template <int kTile>
bool Divides(const DilatedConvGeometry& g) {
  return g.in % kTile == 0 && g.out % kTile == 0;
}
template <class Math, int kTile, bool kWithWeights>
ConvPlan PlanBackward(const DilatedConvGeometry& g) {
  if (!Divides<kTile>(g)) return {};
  if (kWithWeights && (g.in != kTile || g.out != kTile || g.width > 3)) return {};
  return PlanConv<Math, kTile>(g,
                               {g.out / kTile, kWithWeights ? 2 : 1, kWithWeights ? 4 : 0, 3 * g.out + 4 * kTile, 1});
}

template <class Math, int kTile, bool kWithWeights>
DeviceError LaunchPass(const BackwardArgs<Math>& args, ConvPlan plan, void* stream) {
  const DilatedConvGeometry& g = args.geometry;
  plan.keep_scale = static_cast<float>(DropoutScale(args.prologue.dropout_rate));
  const DeviceError error = LaunchPackWeights<Math, true>(args.models, g, args.w, args.packed, stream);
  if (error) return error;
  LaunchConfig config;
  config.grid = dim3(kBatchChunks, static_cast<unsigned>(args.models.count), static_cast<unsigned>(g.in / kTile));
  config.block = dim3(kConvThreads);
  config.shared = static_cast<size_t>(plan.bytes);
  config.stream = stream;
  return Launch(config, Backward<Math, kTile, kWithWeights>, args, plan);
}

// Calls f(tile, fused): the width of tiles (0: no plan fits) and whether dw comes along, as integral constants.
template <class Math, int kTile, class F>
auto WithTile(const DilatedConvGeometry& g, bool weights, const F& f) {
  if (weights && PlanBackward<Math, kTile, true>(g).bytes > 0) {
    return f(std::integral_constant<int, kTile>(), std::true_type());
  }
  if (PlanBackward<Math, kTile, false>(g).bytes > 0) return f(std::integral_constant<int, kTile>(), std::false_type());
  if constexpr (kTile > 32) {
    return WithTile<Math, kTile - 32>(g, weights, f);
  } else {
    return f(std::integral_constant<int, 0>(), std::false_type());
  }
}

// Whether a block has all input channels, so that nobody reads a dz that it overwrote.
template <class Math>
bool InPlace(const DilatedConvGeometry& g, bool weights) {
  return WithTile<Math, 96>(g, weights, [&](auto tile, auto) { return g.in == tile && g.out == tile; });
}

// Both gradients in one pass where that fits, or dw and then dx.
template <class Math>
DeviceError LaunchBackward(const BackwardArgs<Math>& args, const DeviceRun& run) {
  const bool weights = static_cast<bool>(args.dw), same = !args.pool.dp && args.dx.base == args.dz.base;
  if (same && !InPlace<Math>(args.geometry, weights)) return {-1};
  return WithTile<Math, 96>(args.geometry, weights, [&](auto tile, auto fused) -> DeviceError {
    constexpr int kTile = decltype(tile)::value;
    constexpr bool kFused = decltype(fused)::value;
    if constexpr (kTile == 0) {
      return {-1};
    } else {
      if (weights && !kFused) {
        const DeviceError error = RB_MACHINE::DilatedConvWeightGrad(args, run);
        if (error) return error;
      }
      return LaunchPass<Math, kTile, kFused>(args, PlanBackward<Math, kTile, kFused>(args.geometry), run.stream);
    }
  });
}

template <class Math>
DeviceError LaunchEither(const BackwardArgs<Math>& args, const DeviceRun& run) {
  return args.dx ? LaunchBackward<Math>(args, run) : RB_MACHINE::DilatedConvWeightGrad(args, run);
}

}  // namespace

namespace RB_MACHINE {

bool DilatedConvInPlace(const DilatedConvGeometry& g, Precision precision) {
  if (precision == Precision::kFp32) return InPlace<Fp32Math>(g, true) && InPlace<Fp32Math>(g, false);
  if (precision == Precision::kTf32) return InPlace<Tf32Math>(g, true) && InPlace<Tf32Math>(g, false);
  return InPlace<Bf16Math>(g, true) && InPlace<Bf16Math>(g, false);
}

DeviceError DilatedConvBackward(const DilatedConvBackwardArgs<float>& args, const DeviceRun& run) {
  if (run.precision == Precision::kFp32) return LaunchEither<Fp32Math>(args, run);
  if (run.precision == Precision::kTf32) return LaunchEither<Tf32Math>(args, run);
  return {-1};
}

DeviceError DilatedConvBackward(const DilatedConvBackwardArgs<float, BFloat16>& args, const DeviceRun& run) {
  if (run.precision != Precision::kBf16) return {-1};
  return LaunchEither<Bf16Math>(args, run);
}

}  // namespace RB_MACHINE
}  // namespace rb
