// How the kernels of the dilated convolutions go through a chunk (conv_tile.cuh, conv_sums.cuh): tile by tile, 128 rows
// by 128 rows, slice of channels by slice, tap by tap. Also the packing of weights that comes before.
#ifndef RB_KERNELS_DEVICE_CONV_RUN_CUH_
#define RB_KERNELS_DEVICE_CONV_RUN_CUH_

#include "kernels/device/conv_sums.cuh"
#include "kernels/device/conv_tile.cuh"

namespace rb::device {

// Job: what a kernel does around the sums.
//   Prefetch(sequence)                    starts copies of the tile that begins there; may do nothing
//   Fill(sequence, rows, slice, first)    operands of a slice into shared memory; first: the first of these rows'
//   passes Filled(sequence, rows)                after the barrier behind Fill, when the tile is one slice Finish(sums,
//   sequence, rows, row0)    results of rows [row0, row0 + kConvRows)
template <class Math, int kTile, class Job>
__device__ inline void RunConv(const ConvPlan& plan, const ConvPass<Math>& pass, ChunkRows chunk, unsigned char* shared,
                               Job& job) {
  using Operand = typename Math::Operand;
  WeightStream<Math, kTile> stream(pass, reinterpret_cast<Operand*>(shared), plan.slots);
  const Operand* const operands = reinterpret_cast<const Operand*>(shared + plan.operand);
  const int slices = pass.depth / kTile, zero_row = plan.sequences * pass.length;
  ConvSums<Math, kTile> sums;
  job.Prefetch(chunk.begin);
  for (int sequence = chunk.begin; sequence < chunk.end; sequence += plan.sequences) {
    const int left = chunk.end - sequence, rows = (left < plan.sequences ? left : plan.sequences) * pass.length;
    for (int row0 = 0; row0 < rows; row0 += kConvRows) {
      for (int slice = 0; slice < slices; ++slice) {
        if (slices > 1 || row0 == 0) {
          if (stream.resident()) CpAsyncWait<0>();
          __syncthreads();  // copies are there for all; the last tile's memory is free
          job.Fill(sequence, rows, slice, row0 == 0);
          __syncthreads();
          if (slices == 1) job.Filled(sequence, rows);
        }
        if (slice == 0) sums.Start(row0, rows, pass.length);
#pragma unroll 1
        for (int tap = 0; tap < pass.taps; ++tap) {
          const int shift = (tap - pass.taps / 2) * pass.step;
          const Operand* const weights = stream.Acquire(slice * pass.taps + tap);
          if (shift < pass.length && -shift < pass.length) sums.Add(operands, shift, pass.length, zero_row, weights);
          stream.Release(slice * pass.taps + tap);
        }
      }
      __syncthreads();  // operands are free for results
      job.Finish(sums, sequence, rows, row0);
    }
  }
  DependencyTrigger();  // what is left is this block's last sums
  CpAsyncWait<0>();
}

// --------------------------------------------------------------------------------------------------- packed weights

// packed[k][c][o] (or [k][o][c] when kTransposed) = operand of w[k][c][o]: a block a 32 x 32 piece, 8 KB read and
// written for nothing else; grid (C/32 * O/32, models, K). Limit: the launch.
template <class Math, bool kTransposed>
__global__ void __launch_bounds__(kConvThreads)
    PackWeights(Models models, int in, int out, PerModel<const float> w, PerModel<float> packed) {
  using Operand = typename Math::Operand;
  DependencyWait();
  RB_SHARED(piece, float[32][33]);
  const int slot = models.live[blockIdx.y];
  if (models.state[slot].rows == 0) return;
  const int c0 = static_cast<int>(blockIdx.x) / (out / 32) * 32, o0 = static_cast<int>(blockIdx.x) % (out / 32) * 32;
  const int64_t block = static_cast<int64_t>(blockIdx.z) * in * out;
  const int column = static_cast<int>(threadIdx.x) % 16 * 2, row0 = static_cast<int>(threadIdx.x) / 16;
  Operand* const to = reinterpret_cast<Operand*>(packed[slot]) + block;
  for (int row = row0; row < 32; row += 16) {
    const float2 two =
        *reinterpret_cast<const float2*>(w[slot] + block + static_cast<int64_t>(c0 + row) * out + o0 + column);
    piece[row][column] = two.x;
    piece[row][column + 1] = two.y;
  }
  __syncthreads();
  for (int row = row0; row < 32; row += 16) {
    if (kTransposed) {
      StoreOperandPair(piece[column][row], piece[column + 1][row],
                       to + static_cast<int64_t>(o0 + row) * in + c0 + column);
    } else {
      StoreOperandPair(piece[row][column], piece[row][column + 1],
                       to + static_cast<int64_t>(c0 + row) * out + o0 + column);
    }
  }
}

template <class Math, bool kTransposed>
DeviceError LaunchPackWeights(const Models& models, const DilatedConvGeometry& g, PerModel<const float> w,
                              PerModel<float> packed, void* stream) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(g.in / 32 * (g.out / 32)), static_cast<unsigned>(models.count),
                     static_cast<unsigned>(g.width));
  config.block = dim3(kConvThreads);
  config.stream = stream;
  return Launch(config, PackWeights<Math, kTransposed>, models, g.in, g.out, w, packed);
}

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_CONV_RUN_CUH_
