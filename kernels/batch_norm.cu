// Batch norm's whole-batch steps and its stand-alone form on the device (kernels/batch_norm.h).
//
// Finalize, grad finalize: a thread a channel of a model reads 16 to 18 values (8 chunks x 2), all loads independent,
// and writes 4; 80 to 88 bytes and about 60 operations a channel. A launch is all latency (live list -> state ->
// chunks). Apply: a thread an octet of channels (kernels/device/octet.cuh); 8 bytes an element in fp32, 4 in bf16, and
// a Philox call for eight elements (about 90 operations). Limit: memory.
#include "kernels/batch_norm.h"

#include "kernels/device/dialect.h"
#include "kernels/device/norm.cuh"
#include "kernels/device/octet.cuh"

namespace rb {
namespace {

using namespace device;  // NOLINT

inline constexpr int kFinalizeThreads = 128;  // 96 channels in one block, four warps
inline constexpr int kApplyThreads = 512;     // 4096 channels in one row of a block
inline constexpr int kApplyBlocks = 32;       // a model: 8 positions a thread at the paper's shape

// One (mean, M2) a channel from the chunks', in chunk order [Chan et al. 1979]; empty chunks hold anything.
struct Moments {
  float mean, m2;
};
__device__ inline Moments MergeChunks(const float* moments, int rows, int positions, int channels, int c) {
  float mean[kBatchChunks], m2[kBatchChunks];
#pragma unroll
  for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
    mean[chunk] = moments[2 * chunk * channels + c];
    m2[chunk] = moments[(2 * chunk + 1) * channels + c];
  }
  Moments total = {0.0f, 0.0f};
  int64_t count = 0;
#pragma unroll
  for (int chunk = 0; chunk < kBatchChunks; ++chunk) {
    const int64_t n = static_cast<int64_t>(ChunkBegin(rows, chunk + 1) - ChunkBegin(rows, chunk)) * positions;
    if (n == 0) continue;
    const float delta = mean[chunk] - total.mean;
    const float weight = static_cast<float>(n) / static_cast<float>(count + n);
    total.mean = fmaf(delta, weight, total.mean);
    total.m2 = total.m2 + m2[chunk] + delta * delta * (static_cast<float>(count) * weight);
    count += n;
  }
  return total;
}

__global__ void __launch_bounds__(kFinalizeThreads) Finalize(BatchNormFinalizeArgs<float> a) {
  DependencyWait();
  DependencyTrigger();
  const int slot = a.models.live[blockIdx.y], rows = a.models.state[slot].rows;
  const int c = static_cast<int>(blockIdx.x * kFinalizeThreads + threadIdx.x);
  if (rows == 0 || c >= a.channels) return;
  const Moments moments = MergeChunks(a.moments[slot], rows, a.positions, a.channels, c);
  const float variance = moments.m2 / static_cast<float>(static_cast<int64_t>(rows) * a.positions);
  a.mean[slot][c] = moments.mean;
  a.rstd[slot][c] = 1.0f / sqrtf(variance + a.epsilon);
  if (!a.running_mean) return;
  const float rest = 1.0f - a.momentum;
  float *mean = a.running_mean[slot] + c, *var = a.running_variance[slot] + c;
  *mean = fmaf(*mean, a.momentum, moments.mean * rest);
  *var = fmaf(*var, a.momentum, variance * rest);
}

__global__ void __launch_bounds__(kFinalizeThreads) GradFinalize(BatchNormGradFinalizeArgs<float> a) {
  DependencyWait();
  DependencyTrigger();
  const int slot = a.models.live[blockIdx.y];
  const int c = static_cast<int>(blockIdx.x * kFinalizeThreads + threadIdx.x);
  if (a.models.state[slot].rows == 0 || c >= 2 * a.channels) return;
  const float* from = a.chunk_sums[slot] + c;
  float part[kBatchChunks], sum = 0.0f;
#pragma unroll
  for (int chunk = 0; chunk < kBatchChunks; ++chunk) part[chunk] = from[2 * chunk * a.channels];
#pragma unroll
  for (int chunk = 0; chunk < kBatchChunks; ++chunk) sum += part[chunk];
  a.sums[slot][c] = sum;
  *(c < a.channels ? a.dbeta[slot] + c : a.dgamma[slot] + (c - a.channels)) = sum;
}

// Octet `at` of a model's tensor: activation and mask byte.
template <class A>
__device__ void ApplyOctet(const BatchNormApplyArgs<float, A>& a, const StepState& state, int slot, int64_t at,
                           const Octet& scale, const Octet& shift, uint32_t threshold) {
  const Octet x = LoadOctet(a.x[slot] + at * kOctet);
  const uint32_t kept =
      threshold == 0 ? 0xFFu : DropoutByte(state, a.prologue.dropout_layer, static_cast<uint32_t>(at), threshold);
  Octet out;
  uint32_t on = 0;
#pragma unroll
  for (int j = 0; j < kOctet; ++j) {
    const float value = fmaf(x.v[j], scale.v[j], shift.v[j]);
    const bool keep = value > 0.0f && (kept >> j & 1u);
    out.v[j] = keep ? value : 0.0f;
    on |= static_cast<uint32_t>(keep) << j;
  }
  StoreOctet(out, a.a[slot] + at * kOctet);
  MaskBytes(a.prologue.mask[slot])[at] = static_cast<uint8_t>(on);
}

// Threads (octet, row of the block); the model's positions are dealt to kApplyBlocks blocks in turn.
template <class A>
__global__ void __launch_bounds__(kApplyThreads) Apply(BatchNormApplyArgs<float, A> a) {
  RB_DYNAMIC_SHARED(float, affine);  // [2][C]
  DependencyWait();
  const int slot = a.models.live[blockIdx.y];
  const StepState state = a.models.state[slot];
  if (state.rows == 0) return;
  const Prologue<float>& p = a.prologue;
  ShareAffine(p.mean[slot], p.rstd[slot], p.gamma[slot], p.beta[slot], a.channels,
              static_cast<float>(DropoutScale(p.dropout_rate)),
              static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x), static_cast<int>(blockDim.x * blockDim.y),
              affine);
  __syncthreads();
  const Octet scale = LoadOctet(affine + kOctet * threadIdx.x);
  const Octet shift = LoadOctet(affine + a.channels + kOctet * threadIdx.x);
  const uint32_t threshold = DropoutThreshold(p.dropout_rate);
  const int64_t positions = static_cast<int64_t>(state.rows) * a.positions;
  const int64_t step = static_cast<int64_t>(kApplyBlocks) * blockDim.y;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; i < positions; i += step) {
    ApplyOctet(a, state, slot, i * blockDim.x + threadIdx.x, scale, shift, threshold);
  }
}

template <class A>
DeviceError LaunchApply(const BatchNormApplyArgs<float, A>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  const dim3 grid(kApplyBlocks, static_cast<unsigned>(args.models.count));
  return Launch({grid, OctetBlock(args.channels, kApplyThreads), 2 * sizeof(float) * args.channels, run.stream},
                Apply<A>, args);
}

}  // namespace

namespace RB_MACHINE {

DeviceError BatchNormFinalize(const BatchNormFinalizeArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  const unsigned blocks = static_cast<unsigned>((args.channels + kFinalizeThreads - 1) / kFinalizeThreads);
  return Launch({dim3(blocks, static_cast<unsigned>(args.models.count)), dim3(kFinalizeThreads), 0, run.stream},
                Finalize, args);
}

DeviceError BatchNormGradFinalize(const BatchNormGradFinalizeArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  const unsigned blocks = static_cast<unsigned>((2 * args.channels + kFinalizeThreads - 1) / kFinalizeThreads);
  return Launch({dim3(blocks, static_cast<unsigned>(args.models.count)), dim3(kFinalizeThreads), 0, run.stream},
                GradFinalize, args);
}

DeviceError BatchNormApply(const BatchNormApplyArgs<float>& args, const DeviceRun& run) {
  return run.precision == Precision::kBf16 ? DeviceError{-1} : LaunchApply(args, run);
}
DeviceError BatchNormApply(const BatchNormApplyArgs<float, BFloat16>& args, const DeviceRun& run) {
  return run.precision == Precision::kBf16 ? LaunchApply(args, run) : DeviceError{-1};
}

}  // namespace RB_MACHINE
}  // namespace rb
