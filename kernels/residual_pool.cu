// End of the residual module on the device (kernels/residual_pool.h): one pass over y and the skip input, backward one
// pass over y. Threads hold octets of channels (kernels/device/octet.cuh) and walk over the positions of a pool.
//
// Forward: blocks (pools of all rows, models); a thread owns eight channels of one pool, so nothing is reduced between
// threads. Bytes an element: y and skip (8, in bf16 4), two mask bits, 1/pool of p; a Philox call for eight elements
// when there is dropout (about 90 operations), some 6 operations an element beside. Limit: memory; Philox close behind.
// Backward: blocks (chunk, models); threads deal out the chunk's pools, add up their channels' sums over them and meet
// in shared memory, in row order. Bytes an element: y (4, in bf16 2), a mask bit, 2/pool of dp. Limit: memory.
#include "kernels/residual_pool.h"

#include "kernels/device/dialect.h"
#include "kernels/device/norm.cuh"
#include "kernels/device/octet.cuh"

namespace rb {
namespace {

using namespace device;  // NOLINT

// 96 channels: 12 x 16 threads, three blocks a multiprocessor up to 112 registers; with two positions of y and skip on
// their way a thread: 576 x 128 bytes = 74 KB in fp32, half in bf16, where 20 KB hide the memory's latency.
constexpr int kForwardThreads = 256;
constexpr int kForwardAhead = 2;
// 96 channels: 12 x 32 threads for the chunk's 50 pools, two blocks a multiprocessor; shared memory 2 x 8 floats a
// thread: 24 KB. 64 bytes of y on their way: 768 x 64 bytes = 49 KB. More would not fit two blocks' 80 registers.
constexpr int kBackwardThreads = 384;
template <class A>
constexpr int kBackwardAhead = 64 / (kOctet * sizeof(A));

__device__ inline float PoolFactor(float rate_before, float rate_after, int pool) {
  return static_cast<float>(DropoutScale(rate_before) * DropoutScale(rate_after) / static_cast<double>(pool));
}

// Scales and shifts of a thread's channels: the last convolution's batch norm and the skip input's.
struct PoolAffine {
  Octet scale, shift, skip_scale, skip_shift;
};

// r = dropout(relu(norm(y) + skip)) of one octet, added to `sum`; its mask bits.
__device__ inline uint32_t AddPosition(const Octet& y, const Octet& skip, uint32_t skip_on, uint32_t kept,
                                       const PoolAffine& affine, Octet& sum) {
  uint32_t on = 0;
#pragma unroll
  for (int j = 0; j < kOctet; ++j) {
    const float activation = fmaf(skip.v[j], affine.skip_scale.v[j], affine.skip_shift.v[j]);
    const float v = fmaf(y.v[j], affine.scale.v[j], affine.shift.v[j]) + (skip_on >> j & 1u ? activation : 0.0f);
    const bool keep = v > 0.0f && (kept >> j & 1u);
    sum.v[j] += keep ? v : 0.0f;
    on |= static_cast<uint32_t>(keep) << j;
  }
  return on;
}

template <class A>
__device__ inline void ForwardPool(const ResidualPoolForwardArgs<float, A>& a, int slot, const StepState& state,
                                   int pools, int pool_index, const PoolAffine& affine) {
  const int octets = a.channels / kOctet, n = pool_index / pools, q = pool_index % pools;
  const uint32_t before = DropoutThreshold(a.rate_before), after = DropoutThreshold(a.rate_after);
  // Octet numbers fit 32 bits: elements of a batch do (the random counter).
  const uint32_t first =
      (static_cast<uint32_t>(n) * a.length + static_cast<uint32_t>(q) * a.pool) * octets + threadIdx.x;
  const A* const y = a.y[slot];
  const A* const skip = a.skip[slot];
  const uint8_t* const skip_mask = MaskBytes(a.skip_prologue.mask[slot]);
  uint8_t* const mask = MaskBytes(a.mask[slot]);
  Octet sum = {};
  for (int begin = 0; begin < a.pool; begin += kForwardAhead) {
    Octet value[kForwardAhead], raw[kForwardAhead];
    uint32_t skip_on[kForwardAhead];
#pragma unroll
    for (int i = 0; i < kForwardAhead; ++i) {  // all loads before the first store, which might alias them
      if (begin + i >= a.pool) break;
      const uint32_t at = first + static_cast<uint32_t>(begin + i) * octets;
      value[i] = LoadOctet(y + static_cast<int64_t>(at) * kOctet);
      raw[i] = LoadOctet(skip + static_cast<int64_t>(at) * kOctet);
      skip_on[i] = skip_mask[at];
    }
#pragma unroll
    for (int i = 0; i < kForwardAhead; ++i) {
      if (begin + i >= a.pool) break;
      const uint32_t at = first + static_cast<uint32_t>(begin + i) * octets;
      const uint32_t kept = before == 0 ? 0xFFu : DropoutByte(state, a.layer_before, at, before);
      mask[at] = static_cast<uint8_t>(AddPosition(value[i], raw[i], skip_on[i], kept, affine, sum));
    }
  }
  const uint32_t to = static_cast<uint32_t>(pool_index) * octets + threadIdx.x;
  const uint32_t kept = after == 0 ? 0xFFu : DropoutByte(state, a.layer_after, to, after);
  const float factor = PoolFactor(a.rate_before, a.rate_after, a.pool);
#pragma unroll
  for (int j = 0; j < kOctet; ++j) sum.v[j] = kept >> j & 1u ? sum.v[j] * factor : 0.0f;
  StoreOctet(sum, a.p[slot] + static_cast<int64_t>(to) * kOctet);
  MaskBytes(a.pool_mask[slot])[to] = static_cast<uint8_t>(kept);
}

template <class A>
__global__ void __launch_bounds__(kForwardThreads) Forward(ResidualPoolForwardArgs<float, A> a) {
  RB_DYNAMIC_SHARED(float, affine);  // [4][C]: scale, shift; skip's scale, shift
  DependencyWait();
  const int slot = a.models.live[blockIdx.y], pools = a.length / a.pool;
  const StepState state = a.models.state[slot];
  const int pool_index = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  if (static_cast<int>(blockIdx.x * blockDim.y) >= state.rows * pools) return;
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  const int threads = static_cast<int>(blockDim.x * blockDim.y);
  const Prologue<float>& s = a.skip_prologue;
  ShareAffine(a.mean[slot], a.rstd[slot], a.gamma[slot], a.beta[slot], a.channels, 1.0f, thread, threads, affine);
  ShareAffine(s.mean[slot], s.rstd[slot], s.gamma[slot], s.beta[slot], a.channels,
              static_cast<float>(DropoutScale(s.dropout_rate)), thread, threads, affine + 2 * a.channels);
  __syncthreads();
  if (pool_index >= state.rows * pools) return;
  const float* const mine = affine + kOctet * threadIdx.x;
  const PoolAffine channels = {LoadOctet(mine), LoadOctet(mine + a.channels), LoadOctet(mine + 2 * a.channels),
                               LoadOctet(mine + 3 * a.channels)};
  ForwardPool(a, slot, state, pools, pool_index, channels);
}

// Sums of a thread's channels: of dz, and of dz * (y - mean).
struct PoolSums {
  Octet dz, centred;
};

// One pool of one octet: dp scaled in place; dz is the same over the pool where the mask is on, so each channel needs
// how often it is on and the sum of y - mean there.
template <class A>
__device__ inline void BackwardPool(const ResidualPoolBackwardArgs<float, A>& a, int slot, int n, int q, float factor,
                                    const Octet& mean, PoolSums& sums) {
  const int octets = a.channels / kOctet, pools = a.length / a.pool;
  const uint32_t from = (static_cast<uint32_t>(n) * pools + q) * octets + threadIdx.x;
  const uint32_t first =
      (static_cast<uint32_t>(n) * a.length + static_cast<uint32_t>(q) * a.pool) * octets + threadIdx.x;
  const uint32_t kept = MaskBytes(a.pool_mask[slot])[from];
  float* const to = a.dp[slot] + static_cast<int64_t>(from) * kOctet;
  const A* const y = a.y[slot];
  const uint8_t* const mask = MaskBytes(a.mask[slot]);
  Octet dp = LoadOctet(to), count = {}, centred = {};
#pragma unroll
  for (int j = 0; j < kOctet; ++j) dp.v[j] = kept >> j & 1u ? dp.v[j] * factor : 0.0f;
  StoreOctet(dp, to);
  constexpr int kAhead = kBackwardAhead<A>;
  for (int begin = 0; begin < a.pool; begin += kAhead) {
    Octet x[kAhead];
    uint32_t on[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const uint32_t at = first + static_cast<uint32_t>(begin + i < a.pool ? begin + i : begin) * octets;
      on[i] = begin + i < a.pool ? mask[at] : 0;
      x[i] = LoadOctet(y + static_cast<int64_t>(at) * kOctet);
    }
#pragma unroll
    for (int i = 0; i < kAhead * kOctet; ++i) {
      const int j = i % kOctet;
      const bool here = on[i / kOctet] >> j & 1u;
      count.v[j] += here ? 1.0f : 0.0f;
      centred.v[j] += here ? x[i / kOctet].v[j] - mean.v[j] : 0.0f;
    }
  }
#pragma unroll
  for (int j = 0; j < kOctet; ++j) {
    sums.dz.v[j] = fmaf(dp.v[j], count.v[j], sums.dz.v[j]);
    sums.centred.v[j] = fmaf(dp.v[j], centred.v[j], sums.centred.v[j]);
  }
}

template <class A>
__global__ void __launch_bounds__(kBackwardThreads) Backward(ResidualPoolBackwardArgs<float, A> a) {
  RB_DYNAMIC_SHARED(float, shared);  // [row of the block][2][C]
  DependencyWait();
  const int chunk = static_cast<int>(blockIdx.x), slot = a.models.live[blockIdx.y], rows = a.models.state[slot].rows;
  if (rows == 0) return;
  const int pools = a.length / a.pool, end = ChunkBegin(rows, chunk + 1) * pools;
  const float factor = PoolFactor(a.rate_before, a.rate_after, a.pool);
  const Octet mean = LoadOctet(a.mean[slot] + kOctet * threadIdx.x);
  PoolSums sums = {};
  for (int i = ChunkBegin(rows, chunk) * pools + static_cast<int>(threadIdx.y); i < end;
       i += static_cast<int>(blockDim.y)) {
    BackwardPool(a, slot, i / pools, i % pools, factor, mean, sums);
  }
  float* const mine = shared + (threadIdx.y * 2 * a.channels + kOctet * threadIdx.x);
  StoreOctet(sums.dz, mine);
  StoreOctet(sums.centred, mine + a.channels);
  __syncthreads();
  const int threads = static_cast<int>(blockDim.x * blockDim.y);
  for (int c = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); c < 2 * a.channels; c += threads) {
    float sum = 0.0f;
    for (int row = 0; row < static_cast<int>(blockDim.y); ++row) sum += shared[row * 2 * a.channels + c];
    if (c >= a.channels) sum *= a.rstd[slot][c - a.channels];
    a.chunk_sums[slot][static_cast<int64_t>(chunk) * 2 * a.channels + c] = sum;
  }
}

template <class A>
DeviceError LaunchForward(const ResidualPoolForwardArgs<float, A>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  const dim3 block = OctetBlock(args.channels, kForwardThreads);
  const unsigned pools = static_cast<unsigned>(args.batch * (args.length / args.pool));
  const dim3 grid((pools + block.y - 1) / block.y, static_cast<unsigned>(args.models.count));
  return Launch({grid, block, 4 * sizeof(float) * args.channels, run.stream}, Forward<A>, args);
}

template <class A>
DeviceError LaunchBackward(const ResidualPoolBackwardArgs<float, A>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  const dim3 block = OctetBlock(args.channels, kBackwardThreads);
  const dim3 grid(kBatchChunks, static_cast<unsigned>(args.models.count));
  return Launch({grid, block, 2 * sizeof(float) * args.channels * block.y, run.stream}, Backward<A>, args);
}

}  // namespace

namespace RB_MACHINE {

DeviceError ResidualPoolForward(const ResidualPoolForwardArgs<float>& args, const DeviceRun& run) {
  return run.precision == Precision::kBf16 ? DeviceError{-1} : LaunchForward(args, run);
}
DeviceError ResidualPoolForward(const ResidualPoolForwardArgs<float, BFloat16>& args, const DeviceRun& run) {
  return run.precision == Precision::kBf16 ? LaunchForward(args, run) : DeviceError{-1};
}
DeviceError ResidualPoolBackward(const ResidualPoolBackwardArgs<float>& args, const DeviceRun& run) {
  return run.precision == Precision::kBf16 ? DeviceError{-1} : LaunchBackward(args, run);
}
DeviceError ResidualPoolBackward(const ResidualPoolBackwardArgs<float, BFloat16>& args, const DeviceRun& run) {
  return run.precision == Precision::kBf16 ? LaunchBackward(args, run) : DeviceError{-1};
}

}  // namespace RB_MACHINE
}  // namespace rb
