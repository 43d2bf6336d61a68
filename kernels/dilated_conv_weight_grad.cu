// Dilated convolution on the device, the weight gradient by itself (kernels/dilated_conv.h): for shapes whose backward
// pass does not fit one kernel (kernels/dilated_conv_backward.cu), and where only weights are wanted.
//
// Mapping: a block of 256 threads is one chunk of one model's batch and one piece of dw: up to three neighbouring taps
// of kTile x kTile channels (96, 64 or 32), 108 sums a thread at 96, kept in registers over the chunk and written once.
// Grid: chunks, live models, taps/3 * C/kTile * O/kTile. Whole sequences to a tile of 128 rows; sequences that are
// longer go piece by piece, a block then having one tap, whose shift is made while the tile is filled. Per row, three
// taps and kTile 96: bytes 3 * 96 values (dz, y, x) again for each block; 55 KFLOP. Limit: shared memory
// (kernels/device/conv_grad_sums.cuh), and for many channels the rebuilding of both operands in each block.
#include "kernels/device/conv_fill.cuh"
#include "kernels/device/conv_grad_sums.cuh"
#include "kernels/device/conv_weight_grad.h"

namespace rb {
namespace {

using namespace device;  // NOLINT

// The piece of dw that block z has.
struct GradPiece {
  int tap, taps;  // first, and how many
  int channel0, column0;
};
template <int kTile>
__host__ __device__ inline int TapsOfBlock(const DilatedConvGeometry& g) {
  return g.length > kConvRows ? 1 : 3;
}
template <int kTile>
__device__ inline GradPiece PieceOfBlock(const DilatedConvGeometry& g, int z) {
  const int columns = g.out / kTile, channels = g.in / kTile, each = TapsOfBlock<kTile>(g);
  const int first = z / (columns * channels) * each, left = g.width - first;
  return {first, left < each ? left : each, z / columns % channels * kTile, z % columns * kTile};
}

template <class Math, int kTile>
struct GradShared {
  using Shape = ConvTile<Math, kTile>;
  static constexpr int kTileValues = (kConvRows + 1) * Shape::kPitch;
  static constexpr int kBytes = 2 * kTileValues * static_cast<int>(sizeof(typename Math::Operand)) + 5 * kTile * 4;
  typename Math::Operand *dy, *a;
  float *norm, *affine;  // [3][kTile], [2][kTile]
  __device__ explicit GradShared(unsigned char* memory)
      : dy(reinterpret_cast<typename Math::Operand*>(memory)),
        a(dy + kTileValues),
        norm(reinterpret_cast<float*>(a + kTileValues)),
        affine(norm + 3 * kTile) {}
};

template <class Math, int kTile>
__global__ void __launch_bounds__(kConvThreads, 1) WeightGrad(BackwardArgs<Math> args, float keep_scale) {
  using A = typename Math::Stored;
  using Shape = ConvTile<Math, kTile>;
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, memory);
  const int slot = args.models.live[blockIdx.y], batch = args.models.state[slot].rows;
  if (batch == 0) return;
  const DilatedConvGeometry& g = args.geometry;
  const GradShared<Math, kTile> shared(memory);
  const GradPiece piece = PieceOfBlock<kTile>(g, static_cast<int>(blockIdx.z));
  const ChunkRows chunk = RowsOfChunk(batch, static_cast<int>(blockIdx.x));
  if (args.norm.mean) {
    ShareNormGrad(args.norm, slot, g.out, piece.column0, kTile, 1.0f / static_cast<float>(batch * g.length),
                  shared.norm);
  }
  if (args.prologue.mean) SharePrologue<kTile>(args.prologue, slot, piece.channel0, keep_scale, shared.affine);
  ZeroRow(shared.dy + kConvRows * Shape::kPitch, Shape::kPitchBytes);
  ZeroRow(shared.a + kConvRows * Shape::kPitch, Shape::kPitchBytes);

  const int shift0 = (piece.tap - g.width / 2) * g.dilation;
  unsigned live = 0;
  for (int tap = 0; tap < piece.taps; ++tap) {
    const int shift = shift0 + tap * g.dilation;
    live |= static_cast<unsigned>(shift < g.length && -shift < g.length) << tap;
  }
  const bool pieces = g.length > kConvRows;
  const int step = pieces ? kConvRows : kConvRows / g.length * g.length;
  GradSums<Math, kTile> sums;
  for (int sequence = chunk.begin; sequence < chunk.end && live != 0; sequence += pieces ? 1 : step / g.length) {
    const int end = pieces ? g.length : (chunk.end - sequence) * g.length;
    for (int position = 0; position < (pieces ? end : 1); position += step) {
      const int left = end - position;
      const TileRows tile = {sequence, position, left < step ? left : step};
      const int64_t first = tile.first(g.length);
      __syncthreads();  // the last tile's products are made, tables are there
      FillDy<Math, kTile, 2>(args, slot, tile, piece.column0, shared.norm, kTile,
                             RowsAt<A>(args.dz, slot, first * g.out + piece.column0, g.out),
                             RowsAt<A>(args.y, slot, first * g.out + piece.column0, g.out), shared.dy);
      const InputRows input = pieces ? InputRows{shift0, -position, g.length - position} : InputRows{0, 0, tile.rows};
      FillA<Math, kTile, 2>(args, slot, tile, input, piece.channel0, shared.affine,
                            RowsAt<A>(args.x, slot, first * g.in + piece.channel0, g.in), shared.a);
      __syncthreads();
      // A piece of a long sequence: its one tap lies as it is, and no row is beyond the tile.
      sums.Add(shared.a, shared.dy,
               GradRows{tile.rows, pieces ? kConvRows : g.length, kConvRows, pieces ? 0 : shift0, g.dilation, live});
    }
  }
  const int64_t tap_values = static_cast<int64_t>(g.in) * g.out;
  sums.Store(piece.taps, tap_values, g.out,
             args.dw[slot] + static_cast<int64_t>(blockIdx.x) * args.dw_chunk_stride + piece.tap * tap_values +
                 static_cast<int64_t>(piece.channel0) * g.out + piece.column0);
}

template <class Math, int kTile>
DeviceError LaunchWeightGrad(const BackwardArgs<Math>& args, void* stream) {
  const DilatedConvGeometry& g = args.geometry;
  if (g.in % kTile != 0 || g.out % kTile != 0 || GradShared<Math, kTile>::kBytes > SharedMemoryLimit()) {
    if constexpr (kTile > 32) {
      return LaunchWeightGrad<Math, kTile - 32>(args, stream);
    } else {
      return {-1};
    }
  }
  const int each = TapsOfBlock<kTile>(g);
  LaunchConfig config;
  config.grid = dim3(kBatchChunks, static_cast<unsigned>(args.models.count),
                     static_cast<unsigned>((g.width + each - 1) / each * (g.in / kTile) * (g.out / kTile)));
  config.block = dim3(kConvThreads);
  config.shared = GradShared<Math, kTile>::kBytes;
  config.stream = stream;
  return Launch(config, WeightGrad<Math, kTile>, args, static_cast<float>(DropoutScale(args.prologue.dropout_rate)));
}

}  // namespace

namespace RB_MACHINE {

DeviceError DilatedConvWeightGrad(const DilatedConvBackwardArgs<float>& args, const DeviceRun& run) {
  if (run.precision == Precision::kFp32) return LaunchWeightGrad<Fp32Math, 96>(args, run.stream);
  if (run.precision == Precision::kTf32) return LaunchWeightGrad<Tf32Math, 96>(args, run.stream);
  return {-1};
}

DeviceError DilatedConvWeightGrad(const DilatedConvBackwardArgs<float, BFloat16>& args, const DeviceRun& run) {
  if (run.precision != Precision::kBf16) return {-1};
  return LaunchWeightGrad<Bf16Math, 96>(args, run.stream);
}

}  // namespace RB_MACHINE
}  // namespace rb
