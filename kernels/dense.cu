// Dense layer on the device (kernels/dense.h): z = x w with the moments of z; dz through the batch norm; dx = dz w^T
// and dw = x^T dz.
//
// Mapping: a block a 128 x 128 tile (kernels/device/matrix_tile.cuh), grid (tiles, live models).
//   forward   tile rows are whole chunks of the batch, at most 128 rows (a batch of 100 is one tile), so that the block
//             has every value of its chunks' moments. Batches above 1024 rows, whose chunks may have more than 128,
//             take their moments from z in a second launch, by the same sums.
//   gradient  the norm's gradient first, in place, in a launch of its own: six tiles would each have to make it again
//             from dh and z, and L2 would carry twice the bytes; 25 MB of dz (244 models) are still in L2 afterwards.
//             Then one launch of dx tiles and dw tiles side by side, dx first because its chains are the longer.
// Every output has one owner and one chain of sums: no partial results, no order that depends on the grid.
//
// Per model at 100 x 384 x 256: forward 19.7 MFLOP, 649 KB (x 154, w 393, z 102); gradient 39.3 MFLOP, 1.5 MB. Limit:
// tf32 and bf16 memory (37 us and 85 us for 244 models at 4.3 TB/s), fp32 arithmetic (80 us and 160 us at 60 TFLOP/s).
#include "kernels/dense.h"

#include "kernels/device/dialect.h"
#include "kernels/device/matrix_tile.cuh"
#include "kernels/device/norm.cuh"

namespace rb {
namespace {

using namespace device;  // NOLINT

constexpr Layout kLast = Layout::kDepthLast, kFirst = Layout::kDepthFirst;

constexpr RB_HOST_DEVICE int Tiles(int values) { return (values + kTile - 1) / kTile; }
constexpr RB_HOST_DEVICE int InTile(int left) { return left < kTile ? left : kTile; }

// ------------------------------------------------------------------------------------------------------- forward

// Chunks that share a tile: as many, a power of two, as surely have 128 rows together; 0 when one may have more.
constexpr RB_HOST_DEVICE int ChunksOfTile(int batch) {
  const int longest = (batch + kBatchChunks - 1) / kBatchChunks;
  int chunks = kBatchChunks;
  while (chunks * longest > kTile) chunks /= 2;
  return chunks;
}

// (mean, M2) of values f(begin .. end - 1), in two passes.
template <class F>
__device__ void StoreMoments(const F& f, int begin, int end, float* mean, float* m2) {
  float sum = 0, squares = 0;
  for (int n = begin; n < end; ++n) sum += f(n);
  const float own = end > begin ? sum * (1.0f / static_cast<float>(end - begin)) : 0;
  for (int n = begin; n < end; ++n) {
    const float delta = f(n) - own;
    squares = fmaf(delta, delta, squares);
  }
  *mean = own, *m2 = squares;
}

// The tile in shared memory, for its moments: float2 columns of eight rows, float4 of two, and whole rows (a thread a
// column) are all free of bank conflicts.
__device__ int StagePlace(int row, int column) { return row * kTile + (column ^ (row & 3) << 3); }

// z[n,o] = sum_k x[n,k] w[k,o], and moments where tiles are made of chunks.
template <Precision kPrecision>
__global__ void __launch_bounds__(kTileThreads, 2) DenseForwardKernel(DenseForwardArgs<float> a, int chunks) {
  DependencyWait();
  RB_DYNAMIC_SHARED(float, shared);
  const int slot = a.models.live[blockIdx.y], rows = a.models.state[slot].rows;
  const int column = static_cast<int>(blockIdx.x) % Tiles(a.out) * kTile,
            tile = static_cast<int>(blockIdx.x) / Tiles(a.out);
  const int first = chunks ? ChunkBegin(rows, tile * chunks) : tile * kTile;
  const int count = chunks ? ChunkBegin(rows, tile * chunks + chunks) - first : InTile(rows - first);
  if (rows == 0 || count < 0) return;
  const TileOperand<kLast> x = {a.x[slot] + static_cast<int64_t>(first) * a.in, a.in, count, a.in};
  const TileOperand<kFirst> w = {a.w[slot] + column, a.out, InTile(a.out - column), a.in};
  const bool staged = chunks && a.moments;
  float* z = a.z[slot] + static_cast<int64_t>(first) * a.out + column;
  TileProduct<kPrecision>(x, w, shared, [&](int r, int c, auto value) {
    StoreValues(z + static_cast<int64_t>(r) * a.out + c, value);
    if (staged) StoreValues(shared + StagePlace(r, c), value);
  });
  DependencyTrigger();
  if (!staged) return;
  __syncthreads();
  const int c = static_cast<int>(threadIdx.x) % kTile;
  if (column + c >= a.out) return;
  for (int i = static_cast<int>(threadIdx.x) / kTile; i < chunks; i += kTileThreads / kTile) {
    const int chunk = tile * chunks + i;
    const ChunkRows of = RowsOfChunk(rows, chunk);
    float* mean = a.moments[slot] + static_cast<int64_t>(chunk) * 2 * a.out + column + c;
    StoreMoments([&](int n) { return shared[StagePlace(n, c)]; }, of.begin - first, of.end - first, mean, mean + a.out);
  }
}

// The same moments of z in memory; block (column tile, chunk), a thread a column.
__global__ void __launch_bounds__(kTile) DenseMomentsKernel(DenseForwardArgs<float> a) {
  DependencyWait();
  const int slot = a.models.live[blockIdx.y], rows = a.models.state[slot].rows;
  const int o = static_cast<int>(blockIdx.x) % Tiles(a.out) * kTile + static_cast<int>(threadIdx.x);
  const int chunk = static_cast<int>(blockIdx.x) / Tiles(a.out);
  if (rows == 0 || o >= a.out) return;
  const float* z = a.z[slot] + o;
  float* mean = a.moments[slot] + static_cast<int64_t>(chunk) * 2 * a.out + o;
  const ChunkRows of = RowsOfChunk(rows, chunk);
  StoreMoments([&](int n) { return z[static_cast<int64_t>(n) * a.out]; }, of.begin, of.end, mean, mean + a.out);
}

// ------------------------------------------------------------------------------------------------------ gradient

constexpr int kNormThreads = 256, kNormRows = 32;  // a block's rows

// dh = gradient before the batch norm, in place. A thread keeps its four channels over its rows; block: (threads of a
// row) x (rows at a time), grid.x: (column tiles) x (row tiles).
__global__ void __launch_bounds__(kNormThreads) DenseNormGradKernel(DenseBackwardArgs<float> a, int column_tiles) {
  DependencyWait();
  const int slot = a.models.live[blockIdx.y], rows = a.models.state[slot].rows;
  const int tile = static_cast<int>(blockIdx.x) % column_tiles;
  const int column = 4 * (tile * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x));
  const int first = static_cast<int>(blockIdx.x) / column_tiles * kNormRows;
  if (first >= rows || column >= a.out) return;
  const float inverse = 1.0f / static_cast<float>(rows);
  NormGradChannel grad[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) grad[i] = NormGradOf(a.norm, slot, a.out, column + i, inverse);
  const int end = rows < first + kNormRows ? rows : first + kNormRows;
#pragma unroll 4
  for (int n = first + static_cast<int>(threadIdx.y); n < end; n += static_cast<int>(blockDim.y)) {
    const int64_t at = static_cast<int64_t>(n) * a.out + column;
    float4* dh = reinterpret_cast<float4*>(a.dh[slot] + at);
    const float4 g = *dh, z = *reinterpret_cast<const float4*>(a.z[slot] + at);
    *dh = make_float4(grad[0](g.x, z.x), grad[1](g.y, z.y), grad[2](g.z, z.z), grad[3](g.w, z.w));
  }
}

// dx[n,k] = sum_o dz[n,o] w[k,o], in tiles of the batch's rows and of k.
template <Precision kPrecision>
__device__ void DataGradient(const DenseBackwardArgs<float>& a, int slot, int rows, int tile, float* shared) {
  const int n0 = tile / Tiles(a.in) * kTile, k0 = tile % Tiles(a.in) * kTile;
  if (n0 >= rows) return;
  const TileOperand<kLast> dz = {a.dh[slot] + static_cast<int64_t>(n0) * a.out, a.out, InTile(rows - n0), a.out};
  const TileOperand<kLast> w = {a.w[slot] + static_cast<int64_t>(k0) * a.out, a.out, InTile(a.in - k0), a.out};
  float* dx = a.dx[slot] + static_cast<int64_t>(n0) * a.in + k0;
  TileProduct<kPrecision>(
      dz, w, shared, [&](int r, int c, auto value) { StoreValues(dx + static_cast<int64_t>(r) * a.in + c, value); });
}

// dw[k,o] = sum_n x[n,k] dz[n,o], in tiles of k and of o.
template <Precision kPrecision>
__device__ void WeightGradient(const DenseBackwardArgs<float>& a, int slot, int rows, int tile, float* shared) {
  const int k0 = tile / Tiles(a.out) * kTile, o0 = tile % Tiles(a.out) * kTile;
  const TileOperand<kFirst> x = {a.x[slot] + k0, a.in, InTile(a.in - k0), rows};
  const TileOperand<kFirst> dz = {a.dh[slot] + o0, a.out, InTile(a.out - o0), rows};
  float* dw = a.dw[slot] + static_cast<int64_t>(k0) * a.out + o0;
  TileProduct<kPrecision>(
      x, dz, shared, [&](int r, int c, auto value) { StoreValues(dw + static_cast<int64_t>(r) * a.out + c, value); });
}

template <Precision kPrecision>
__global__ void __launch_bounds__(kTileThreads, 2) DenseBackwardKernel(DenseBackwardArgs<float> a, int dx_tiles) {
  DependencyWait();
  RB_DYNAMIC_SHARED(float, shared);
  const int slot = a.models.live[blockIdx.y], rows = a.models.state[slot].rows;
  if (rows == 0) return;
  const int tile = static_cast<int>(blockIdx.x);
  if (tile < dx_tiles) {
    DataGradient<kPrecision>(a, slot, rows, tile, shared);
  } else {
    WeightGradient<kPrecision>(a, slot, rows, tile - dx_tiles, shared);
  }
  DependencyTrigger();
}

// One of three instances of a kernel template.
template <class... Parameters, class... Arguments>
DeviceError LaunchFor(Precision precision, const LaunchConfig& config, void (*fp32)(Parameters...),
                      void (*tf32)(Parameters...), void (*bf16)(Parameters...), const Arguments&... arguments) {
  return Launch(config,
                precision == Precision::kFp32   ? fp32
                : precision == Precision::kTf32 ? tf32
                                                : bf16,
                arguments...);
}

DeviceError NormGradient(const DenseBackwardArgs<float>& args, const DeviceRun& run) {
  const int quads = args.out / 4, width = quads < kNormThreads ? quads : kNormThreads;
  const int column_tiles = (quads + width - 1) / width, row_tiles = (args.batch + kNormRows - 1) / kNormRows;
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(column_tiles * row_tiles), static_cast<unsigned>(args.models.count));
  config.block = dim3(static_cast<unsigned>(width), static_cast<unsigned>(kNormThreads / width));
  config.stream = run.stream;
  return Launch(config, DenseNormGradKernel, args, column_tiles);
}

LaunchConfig TileLaunch(int tiles, int models, const DeviceRun& run) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(models));
  config.block = dim3(kTileThreads);
  config.shared = kTileBytes;
  config.stream = run.stream;
  return config;
}

}  // namespace

namespace RB_MACHINE {

DeviceError DenseMoments(const DenseForwardArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(kBatchChunks * Tiles(args.out)), static_cast<unsigned>(args.models.count));
  config.block = dim3(kTile);
  config.stream = run.stream;
  return Launch(config, DenseMomentsKernel, args);
}

DeviceError DenseForward(const DenseForwardArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  const int chunks = ChunksOfTile(args.batch), row_tiles = chunks ? kBatchChunks / chunks : Tiles(args.batch);
  const DeviceError error = LaunchFor(run.precision, TileLaunch(Tiles(args.out) * row_tiles, args.models.count, run),
                                      DenseForwardKernel<Precision::kFp32>, DenseForwardKernel<Precision::kTf32>,
                                      DenseForwardKernel<Precision::kBf16>, args, chunks);
  return error || chunks || !args.moments ? error : DenseMoments(args, run);
}

DeviceError DenseBackward(const DenseBackwardArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  if (args.norm.mean) {
    if (const DeviceError error = NormGradient(args, run)) return error;
  }
  const int dx_tiles = args.dx ? Tiles(args.batch) * Tiles(args.in) : 0;
  const int dw_tiles = args.dw ? Tiles(args.in) * Tiles(args.out) : 0;
  if (dx_tiles + dw_tiles == 0) return {};
  return LaunchFor(run.precision, TileLaunch(dx_tiles + dw_tiles, args.models.count, run),
                   DenseBackwardKernel<Precision::kFp32>, DenseBackwardKernel<Precision::kTf32>,
                   DenseBackwardKernel<Precision::kBf16>, args, dx_tiles);
}

}  // namespace RB_MACHINE
}  // namespace rb
