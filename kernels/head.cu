// Last layer, loss and its gradient on the device (kernels/head.h).
//
// Mapping: block (chunk of the batch, live model), 8 warps, rows of the chunk in groups of 16.
//   rows      a warp a row, lanes over channels: h, its dot product with w, and the mask of positive and kept channels,
//             left in shared memory. A lane draws the dropout of eight channels.
//   losses    a thread a row, in double.
//   channels  a thread a channel, rows in order: dh, and in registers dw and the sums for the batch norm. z comes a
//             second time, from L1.
// Per row of 256 channels: 1 KB read, 1 KB written; 100 rows of 244 models are 50 MB, 12 us at 4.3 TB/s. Limit: the
// chain of dependent steps in a block of 12 or 13 rows; four blocks a multiprocessor (64 registers) cover it.
#include "kernels/head.h"

#include "kernels/device/dialect.h"
#include "kernels/device/norm.cuh"
#include "kernels/device/octet.cuh"

namespace rb {
namespace {

using namespace device;  // NOLINT

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kGroup = 16;                // rows whose masks and gradients are kept: a chunk of 100 rows has 12 or 13
constexpr int kSegment = kWarp * kOctet;  // channels of which a warp draws the dropout in one call a lane

// A group's rows.
struct GroupRows {
  double loss[kGroup];  // of the batch's mean
  float out[kGroup], gradient[kGroup];
};

// Loss and d loss / d out of one row, before division by the batch's rows.
struct RowLoss {
  double loss, gradient;
};
__device__ RowLoss LossOf(Loss kind, double out, double target) {
  if (kind == Loss::kSquaredError) return {(out - target) * (out - target), 2 * (out - target)};
  const double softplus = (out > 0 ? out : 0.0) + log1p(exp(-fabs(out)));
  return {softplus - target * out, 1 / (1 + exp(-out)) - target};
}

// This lane's share of h . w for a row, and the row's mask words.
__device__ float RowDot(const HeadArgs<float>& a, const StepState& state, const float* z, const float* w,
                        const float* affine, int n, uint32_t threshold, uint32_t* words) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const uint32_t octet = static_cast<uint32_t>(n) * (a.channels / kOctet) + lane;
  float sum = 0;
  for (int first = 0; first < a.channels; first += kSegment) {
    uint32_t byte = 0xFFu;
    if (threshold != 0 && first + kOctet * lane < a.channels) {
      byte = DropoutByte(state, a.dropout_layer, octet + first / kOctet, threshold);
    }
    float value[kOctet];
#pragma unroll
    for (int i = 0; i < kOctet; ++i) {
      const int c = first + i * kWarp + lane;
      value[i] = c < a.channels ? fmaf(z[c], affine[c], affine[a.channels + c]) : 0;
    }
#pragma unroll
    for (int i = 0; i < kOctet; ++i) {
      const int c = first + i * kWarp + lane;
      const bool kept = __shfl_sync(kAllLanes, byte, 4 * i + lane / kOctet) >> lane % kOctet & 1u;
      const uint32_t word = __ballot_sync(kAllLanes, kept && value[i] > 0);
      if (c >= a.channels) break;  // the whole warp: channels come in words
      if (lane == 0) words[c / kWarp] = word;
      if (kept && value[i] > 0) sum = fmaf(value[i], w[c], sum);
    }
  }
  return sum;
}

// Predictions of rows [first, first + count).
__device__ void HeadRows(const HeadArgs<float>& a, int slot, const float* affine, int first, int count, uint32_t* masks,
                         GroupRows& group) {
  const float* w = a.w[slot];
  const uint32_t threshold = DropoutThreshold(a.dropout_rate);
  for (int r = static_cast<int>(threadIdx.x) / kWarp; r < count; r += kWarps) {
    const int n = first + r;
    float sum = RowDot(a, a.models.state[slot], a.z[slot] + static_cast<int64_t>(n) * a.channels, w, affine, n,
                       threshold, masks + r * (a.channels / kWarp));
#pragma unroll
    for (int other = kWarp / 2; other > 0; other /= 2) sum += __shfl_xor_sync(kAllLanes, sum, other);
    if (static_cast<int>(threadIdx.x) % kWarp == 0) a.out[slot][n] = group.out[r] = sum + w[a.channels];
  }
}

// Loss and gradient of row n, the group's r.
__device__ void HeadLoss(const HeadArgs<float>& a, int slot, int rows, int n, int r, GroupRows& group) {
  const RowLoss row = LossOf(a.loss_kind, static_cast<double>(group.out[r]), static_cast<double>(a.targets[slot][n]));
  group.loss[r] = row.loss / rows;
  group.gradient[r] = a.output_gradient ? 1.0f : static_cast<float>(row.gradient / rows);
}

// dh of rows [first, first + count) of channel c; dw and the batch norm's sums grow by them (fresh: begin with them).
__device__ void HeadChannel(const HeadArgs<float>& a, int slot, const float* affine, int c, int first, int count,
                            const uint32_t* masks, const GroupRows& group, bool fresh, float* sums, float* dw) {
  const float scale = affine[c], shift = affine[a.channels + c], w = a.w[slot][c];
  const float mean = a.mean[slot][c], rstd = a.rstd[slot][c];
  const float factor = static_cast<float>(DropoutScale(a.dropout_rate));
  const float* z = a.z[slot] + static_cast<int64_t>(first) * a.channels + c;
  float* dh = a.dh[slot] + static_cast<int64_t>(first) * a.channels + c;
  float sum_dh = fresh ? 0 : sums[c], sum_xhat = fresh ? 0 : sums[a.channels + c], sum_w = fresh ? 0 : dw[c];
#pragma unroll 4
  for (int r = 0; r < count; ++r) {
    const bool on = masks[r * (a.channels / kWarp) + c / kWarp] >> c % kWarp & 1u;
    const float value = z[static_cast<int64_t>(r) * a.channels], gradient = group.gradient[r];
    const float d = on ? gradient * factor * w : 0.0f;
    dh[static_cast<int64_t>(r) * a.channels] = d;
    sum_w = fmaf(gradient, on ? fmaf(value, scale, shift) : 0.0f, sum_w);
    sum_dh += d;
    sum_xhat = fmaf(d, (value - mean) * rstd, sum_xhat);
  }
  sums[c] = sum_dh, sums[a.channels + c] = sum_xhat, dw[c] = sum_w;
}

__global__ void __launch_bounds__(kThreads, 4) HeadKernel(HeadArgs<float> a) {
  DependencyWait();
  RB_DYNAMIC_SHARED(float, affine);  // [2][C], then the group's masks [kGroup][C / 32]
  RB_SHARED(group, GroupRows);
  const int slot = a.models.live[blockIdx.y], rows = a.models.state[slot].rows;
  if (rows == 0) return;
  uint32_t* masks = reinterpret_cast<uint32_t*>(affine + 2 * a.channels);
  const int thread = static_cast<int>(threadIdx.x), chunk = static_cast<int>(blockIdx.x);
  const ChunkRows of = RowsOfChunk(rows, chunk);
  float* sums = a.chunk_sums[slot] + static_cast<int64_t>(chunk) * 2 * a.channels;
  float* dw = a.dw[slot] + chunk * a.dw_chunk_stride;
  ShareAffine(a.mean[slot], a.rstd[slot], a.gamma[slot], a.beta[slot], a.channels,
              static_cast<float>(DropoutScale(a.dropout_rate)), thread, kThreads, affine);
  __syncthreads();
  double loss = 0;
  float bias = 0;
  int first = of.begin;
  do {  // an empty chunk has one empty group: zeros
    const int count = of.end - first < kGroup ? of.end - first : kGroup;
    HeadRows(a, slot, affine, first, count, masks, group);
    __syncthreads();
    if (thread < count) HeadLoss(a, slot, rows, first + thread, thread, group);
    __syncthreads();
    for (int c = thread; c < a.channels; c += kThreads) {
      HeadChannel(a, slot, affine, c, first, count, masks, group, first == of.begin, sums, dw);
    }
    if (thread == 0) {
      for (int r = 0; r < count; ++r) loss += group.loss[r], bias += group.gradient[r];
    }
    first += kGroup;
    __syncthreads();  // before the next group's rows
  } while (first < of.end);
  if (thread == 0) dw[a.channels] = bias, a.loss[slot][chunk] = loss;
}

}  // namespace

namespace RB_MACHINE {

DeviceError HeadForwardBackward(const HeadArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  LaunchConfig config;
  config.grid = dim3(kBatchChunks, static_cast<unsigned>(args.models.count));
  config.block = dim3(kThreads);
  config.shared = (2 * static_cast<size_t>(args.channels) + kGroup * static_cast<size_t>(args.channels / kWarp)) * 4;
  config.stream = run.stream;
  return Launch(config, HeadKernel, args);
}

}  // namespace RB_MACHINE
}  // namespace rb
