#include "tests/kernels/dialect_kernels.h"

#include "kernels/device/dialect.h"

namespace rb::dialect {
namespace {

// Fragments element by element, as the PTX manual's figures give them: lane = 4 * group + member.
struct LanePlace {
  int group, member;
};
__device__ inline LanePlace Place() {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  return {lane / 4, lane % 4};
}

__device__ inline void LoadAccumulator(const float* c, float (&d)[4]) {
  const auto [group, member] = Place();
  d[0] = c[group * 8 + 2 * member];
  d[1] = c[group * 8 + 2 * member + 1];
  d[2] = c[(group + 8) * 8 + 2 * member];
  d[3] = c[(group + 8) * 8 + 2 * member + 1];
}
__device__ inline void StoreAccumulator(const float (&d)[4], float* out) {
  const auto [group, member] = Place();
  out[group * 8 + 2 * member] = d[0];
  out[group * 8 + 2 * member + 1] = d[1];
  out[(group + 8) * 8 + 2 * member] = d[2];
  out[(group + 8) * 8 + 2 * member + 1] = d[3];
}

__global__ void __launch_bounds__(kWarp) MmaBf16Kernel(const float* a, const float* b, const float* c, float* d) {
  DependencyWait();
  const auto [group, member] = Place();
  const auto pair_a = [&](int row, int k) { return PackBf16(a[row * 16 + k], a[row * 16 + k + 1]); };
  const auto pair_b = [&](int k, int column) { return PackBf16(b[k * 8 + column], b[(k + 1) * 8 + column]); };
  const uint32_t fa[4] = {pair_a(group, 2 * member), pair_a(group + 8, 2 * member), pair_a(group, 2 * member + 8),
                          pair_a(group + 8, 2 * member + 8)};
  const uint32_t fb[2] = {pair_b(2 * member, group), pair_b(2 * member + 8, group)};
  float fd[4];
  LoadAccumulator(c, fd);
  Mma16816(fd, fa, fb);
  StoreAccumulator(fd, d);
}

__global__ void __launch_bounds__(kWarp) MmaTf32Kernel(const float* a, const float* b, const float* c, float* d) {
  DependencyWait();
  const auto [group, member] = Place();
  const uint32_t fa[4] = {ToTf32(a[group * 8 + member]), ToTf32(a[(group + 8) * 8 + member]),
                          ToTf32(a[group * 8 + member + 4]), ToTf32(a[(group + 8) * 8 + member + 4])};
  const uint32_t fb[2] = {ToTf32(b[member * 8 + group]), ToTf32(b[(member + 4) * 8 + group])};
  float fd[4];
  LoadAccumulator(c, fd);
  Mma1688(fd, fa, fb);
  StoreAccumulator(fd, d);
}

__global__ void __launch_bounds__(kWarp) MmaSharedKernel(const uint16_t* a, const uint16_t* b, float* d) {
  DependencyWait();
  RB_SHARED(tile_a, uint16_t[16][16]);
  RB_SHARED(tile_b, uint16_t[16][8]);
  const int lane = static_cast<int>(threadIdx.x);
  CpAsync16(&tile_a[lane / 2][lane % 2 * 8], a + lane * 8);
  if (lane < 16) CpAsync16(&tile_b[lane][0], b + lane * 8);
  CpAsyncCommit();
  CpAsyncWait<0>();
  __syncwarp();
  // Matrices of A in the order of its registers: rows 0-7 and 8-15 of the first 8 columns, then of the others.
  uint32_t fa[4], fb[2];
  LdMatrix4(fa, &tile_a[lane % 16][lane / 16 * 8]);
  LdMatrix2Trans(fb, &tile_b[lane % 16][0]);
  float fd[4] = {};
  Mma16816(fd, fa, fb);
  StoreAccumulator(fd, d);
}

__global__ void __launch_bounds__(kWarp) LoadMatricesKernel(const uint16_t* tile, uint32_t* out) {
  DependencyWait();
  RB_SHARED(copy, uint16_t[32][8]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 8; ++i) copy[lane][i] = tile[lane * 8 + i];
  __syncwarp();
  uint32_t four[4], four_trans[4], two[2], two_trans[2];
  LdMatrix4(four, &copy[lane][0]);
  LdMatrix4Trans(four_trans, &copy[lane][0]);
  LdMatrix2(two, &copy[lane][0]);
  LdMatrix2Trans(two_trans, &copy[lane][0]);
  for (int r = 0; r < 4; ++r) {
    out[(0 * 32 + lane) * 4 + r] = four[r];
    out[(1 * 32 + lane) * 4 + r] = four_trans[r];
    out[(2 * 32 + lane) * 4 + r] = r < 2 ? two[r] : 0;
    out[(3 * 32 + lane) * 4 + r] = r < 2 ? two_trans[r] : 0;
  }
}

__global__ void __launch_bounds__(kBlockThreads) RoundKernel(const float* x, uint32_t* tf32, uint32_t* packed, int n) {
  DependencyWait();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  tf32[i] = ToTf32(x[i]);
  packed[i] = PackBf16(x[i], x[(i + 1) % n]);
}

__global__ void __launch_bounds__(kBlockThreads) StagesKernel(const float* from, float* to, int stages, int valid) {
  DependencyWait();
  constexpr int kDepth = 3;
  RB_SHARED(buffer, float4[kDepth][kStageValues / 4]);
  const int t = static_cast<int>(threadIdx.x);
  const auto fetch = [&](int stage) {
    const int first = stage * kStageValues + 4 * t;
    if (stage < stages) CpAsync16Zero(&buffer[stage % kDepth][t], from + (first < valid ? first : 0), first < valid);
    CpAsyncCommit();  // an empty group too: the wait counts groups
  };
  for (int stage = 0; stage < kDepth - 1; ++stage) fetch(stage);
  for (int stage = 0; stage < stages; ++stage) {
    fetch(stage + kDepth - 1);
    CpAsyncWait<kDepth - 1>();
    __syncthreads();
    const float4 v = buffer[stage % kDepth][kBlockThreads - 1 - t];  // another thread's
    float* const out = to + stage * kStageValues + 4 * (kBlockThreads - 1 - t);
    *reinterpret_cast<float4*>(out) = make_float4(2 * v.x, 2 * v.y, 2 * v.z, 2 * v.w);
    __syncthreads();
  }
}

__global__ void __launch_bounds__(kBlockThreads) ClusterSumKernel(const int* x, int* sums) {
  DependencyWait();
  RB_SHARED(sum, int);
  if (threadIdx.x == 0) sum = 0;
  __syncthreads();
  atomicAdd(&sum, x[blockIdx.x * blockDim.x + threadIdx.x]);
  ClusterSync();
  if (ClusterRank() == 0 && threadIdx.x == 0) {
    int total = 0;
    for (unsigned rank = 0; rank < kClusterBlocks; ++rank) total += *ClusterMap(&sum, rank);
    sums[blockIdx.x / kClusterBlocks] = total;
  }
  ClusterSync();  // nobody leaves while its memory is read
}

__global__ void __launch_bounds__(kWarp) ShufflesKernel(const int* x, int* out, int width) {
  DependencyWait();
  const int lane = static_cast<int>(threadIdx.x), value = x[lane];
  out[0 * 32 + lane] = __shfl_sync(kAllLanes, value, 5, width);
  out[1 * 32 + lane] = __shfl_xor_sync(kAllLanes, value, 3, width);
  out[2 * 32 + lane] = __shfl_down_sync(kAllLanes, value, 3, width);
  out[3 * 32 + lane] = __shfl_up_sync(kAllLanes, value, 3, width);
}

__global__ void __launch_bounds__(kWarp) VotesKernel(const int* x, unsigned* out) {
  DependencyWait();
  const int lane = static_cast<int>(threadIdx.x), value = x[lane];
  out[0 * 32 + lane] = __ballot_sync(kAllLanes, value < 0);
  out[1 * 32 + lane] = static_cast<unsigned>(__any_sync(kAllLanes, value < 0) != 0);
  out[2 * 32 + lane] = static_cast<unsigned>(__all_sync(kAllLanes, value < 0) != 0);
  const unsigned odd = __ballot_sync(kAllLanes, value & 1);
  if (value & 1) {
    out[3 * 32 + lane] = __ballot_sync(odd, value < 0);
  } else {
    out[3 * 32 + lane] = __ballot_sync(~odd, value < 0);
  }
}

__global__ void __launch_bounds__(kBlockThreads) NamedBarriersKernel(const int* x, int* out) {
  DependencyWait();
  RB_SHARED(values, int[kBlockThreads]);
  const int t = static_cast<int>(threadIdx.x), half = t / 64, base = half * 64;
  values[t] = x[t];
  BlockBarrier(1 + half, 64);
  const int reversed = values[base + 63 - (t - base)];
  BlockBarrier(1 + half, 64);
  values[t] = reversed + half;
  // Both halves meet, from different places, as a producer and a consumer do.
  if (half == 0) {
    BlockBarrier(3, kBlockThreads);
  } else {
    BlockBarrier(3, kBlockThreads);
  }
  out[t] = values[(t + 64) % kBlockThreads];
}

__global__ void IndexesKernel(int* out) {
  DependencyWait();
  const int block = static_cast<int>((blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x);
  const int thread = static_cast<int>((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
  const int i = block * static_cast<int>(blockDim.x * blockDim.y * blockDim.z) + thread;
  out[i] = i;
}

__device__ inline float BlockSum(float value) {
  RB_SHARED(sums, float[kBlockThreads / kWarp]);
  for (int by = kWarp / 2; by > 0; by /= 2) value += __shfl_xor_sync(kAllLanes, value, by);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = value;
  __syncthreads();
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

__global__ void __launch_bounds__(kBlockThreads)
    LastBlockKernel(const float* x, float* partial, int* counter, float* total) {
  DependencyWait();
  RB_SHARED(is_last, int);
  const float sum = BlockSum(__ldg(x + blockIdx.x * blockDim.x + threadIdx.x));
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    is_last = TicketArrive(counter) == static_cast<int>(gridDim.x) - 1;
    if (is_last) {
      float all = 0;
      for (unsigned i = 0; i < gridDim.x; ++i) all += __ldcg(partial + i);
      *total = all;
      *counter = 0;
    }
  }
  DependencyTrigger();
}

__global__ void __launch_bounds__(kBlockThreads) AtomicsKernel(const int* x, int* histogram, int* greatest, int n) {
  DependencyWait();
  RB_SHARED(counts, int[16]);
  if (threadIdx.x < 16) counts[threadIdx.x] = 0;
  __syncthreads();
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < n;
       i += static_cast<int>(gridDim.x * blockDim.x)) {
    atomicAdd(&counts[x[i] & 15], 1);
    atomicMax(greatest, x[i]);
  }
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&histogram[threadIdx.x], counts[threadIdx.x]);
}

struct Matrix {
  int rows, columns;
};
constexpr int kTile = 32, kTileRows = 8;

__global__ void __launch_bounds__(kTile* kTileRows) TransposeKernel(const float* x, float* y, Matrix size) {
  DependencyWait();
  RB_DYNAMIC_SHARED(float, tile);  // kTile rows, one more wide: columns lie in different banks
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int row0 = static_cast<int>(blockIdx.y) * kTile, column0 = static_cast<int>(blockIdx.x) * kTile;
#pragma unroll
  for (int i = ty; i < kTile; i += kTileRows) {
    if (row0 + i < size.rows && column0 + tx < size.columns) {
      tile[i * (kTile + 1) + tx] = x[(row0 + i) * size.columns + column0 + tx];
    }
  }
  __syncthreads();
#pragma unroll
  for (int i = ty; i < kTile; i += kTileRows) {
    if (row0 + tx < size.rows && column0 + i < size.columns) {
      y[(column0 + i) * size.rows + row0 + tx] = tile[tx * (kTile + 1) + i];
    }
  }
}

LaunchConfig OneBlock(unsigned threads, const DeviceRun& run) { return {dim3(1), dim3(threads), 0, run.stream}; }
LaunchConfig Blocks(int blocks, const DeviceRun& run) {
  return {dim3(static_cast<unsigned>(blocks)), dim3(kBlockThreads), 0, run.stream};
}

}  // namespace

namespace RB_MACHINE {

DeviceError MmaBf16(const float* a, const float* b, const float* c, float* d, const DeviceRun& run) {
  return Launch(OneBlock(kWarp, run), MmaBf16Kernel, a, b, c, d);
}
DeviceError MmaTf32(const float* a, const float* b, const float* c, float* d, const DeviceRun& run) {
  return Launch(OneBlock(kWarp, run), MmaTf32Kernel, a, b, c, d);
}
DeviceError MmaShared(const uint16_t* a, const uint16_t* b, float* d, const DeviceRun& run) {
  return Launch(OneBlock(kWarp, run), MmaSharedKernel, a, b, d);
}
DeviceError LoadMatrices(const uint16_t* tile, uint32_t* out, const DeviceRun& run) {
  return Launch(OneBlock(kWarp, run), LoadMatricesKernel, tile, out);
}
DeviceError Round(const float* x, uint32_t* tf32, uint32_t* packed, int n, const DeviceRun& run) {
  return Launch(Blocks((n + kBlockThreads - 1) / kBlockThreads, run), RoundKernel, x, tf32, packed, n);
}
DeviceError Stages(const float* from, float* to, int stages, int valid, const DeviceRun& run) {
  return Launch(OneBlock(kBlockThreads, run), StagesKernel, from, to, stages, valid);
}
DeviceError ClusterSum(const int* x, int* sums, int clusters, const DeviceRun& run) {
  LaunchConfig config = Blocks(clusters * kClusterBlocks, run);
  config.cluster = kClusterBlocks;
  return Launch(config, ClusterSumKernel, x, sums);
}
DeviceError Shuffles(const int* x, int* out, int width, const DeviceRun& run) {
  return Launch(OneBlock(kWarp, run), ShufflesKernel, x, out, width);
}
DeviceError Votes(const int* x, unsigned* out, const DeviceRun& run) {
  return Launch(OneBlock(kWarp, run), VotesKernel, x, out);
}
DeviceError NamedBarriers(const int* x, int* out, const DeviceRun& run) {
  return Launch(OneBlock(kBlockThreads, run), NamedBarriersKernel, x, out);
}
DeviceError Indexes(int* out, const DeviceRun& run) {
  return Launch({dim3(3, 2, 2), dim3(5, 3, 2), 0, run.stream}, IndexesKernel, out);
}
DeviceError LastBlock(const float* x, float* partial, int* counter, float* total, int blocks, const DeviceRun& run) {
  return Launch(Blocks(blocks, run), LastBlockKernel, x, partial, counter, total);
}
DeviceError Atomics(const int* x, int* histogram, int* greatest, int n, const DeviceRun& run) {
  return Launch(Blocks(3, run), AtomicsKernel, x, histogram, greatest, n);
}
DeviceError Transpose(const float* x, float* y, int rows, int columns, const DeviceRun& run) {
  const dim3 grid(static_cast<unsigned>((columns + kTile - 1) / kTile),
                  static_cast<unsigned>((rows + kTile - 1) / kTile));
  return Launch({grid, dim3(kTile, kTileRows), sizeof(float) * kTile * (kTile + 1), run.stream}, TransposeKernel, x, y,
                Matrix{rows, columns});
}

}  // namespace RB_MACHINE
}  // namespace rb::dialect
