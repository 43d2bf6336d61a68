// The scorer's dense layer and head for the sequences of one block: out = relu(p . W + b) . w + bias.
//
// Mapping: 8 warps, each takes every 8th panel of 32 hidden units for all 16 kM sequences. Both operands are read from
// global memory as whole fragments, the weights exactly once, the pooled vectors (which this block wrote) by every
// warp. Per 48 sequences of the paper's network in bf16: 197 KB of weights from L2 and 8 x 37 KB of pooled vectors from
// L1 or L2 for 9.4 MFLOP, 4 % of the block's work.
#ifndef RB_KERNELS_DEVICE_SCORER_DENSE_CUH_
#define RB_KERNELS_DEVICE_SCORER_DENSE_CUH_

#include "kernels/device/scorer_tile.cuh"

namespace rb::device::scorer {

// A block's pooled vectors go through; `partial` is [kWarps][16 kM] in shared memory. Every thread calls it, with the
// pooled vectors visible to all; emit(row, prediction) is called for rows [0, count), after the last use of
// partial[row]. kUnrolled steps' loads are under way at a time.
template <Precision kPrecision, int kM, int kUnrolled, class Emit>
__device__ inline void DenseAndHead(const ScorerGeometry& g, const Layout& layout, const unsigned char* packed,
                                    const void* pooled, float* partial, int count, const Emit& emit) {
  constexpr int kFragments = kDensePanel / 8, kDepth = StepDepth(kPrecision);
  const int inputs = DenseInputs(g), lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const unsigned char* weights = packed + layout.dense;
  const float* bias = reinterpret_cast<const float*>(packed + layout.dense_bias);
  const float* head = reinterpret_cast<const float*>(packed + layout.head);
  const int64_t step_bytes = static_cast<int64_t>(g.hidden) * kStepBytes<kPrecision>;

  float z[2 * kM] = {};
  for (int panel = warp; panel < g.hidden / kDensePanel; panel += kWarps) {
    WarpSums<kPrecision, kM, kFragments> sums;
    sums.Set(bias + panel * kDensePanel);
    const unsigned char* from = weights;
#pragma unroll kUnrolled
    for (int step = 0; step < inputs / kDepth; ++step, from += step_bytes) {
      Left<kPrecision, kM> a;
      Right<kPrecision, kFragments> b;
      a.LoadFragments(pooled, inputs, step);
      b.Load(from, g.hidden, panel);
      Multiply(a, b, sums);
    }
    sums.ForEachPair([&](int pair, int, int column, float low, float high) {
      const float2 w = *reinterpret_cast<const float2*>(head + panel * kDensePanel + column);
      float& to = z[pair / kFragments];
      to = fmaf(fmaxf(low, 0.0f), w.x, to);
      to = fmaf(fmaxf(high, 0.0f), w.y, to);
    });
  }
#pragma unroll
  for (int i = 0; i < 2 * kM; ++i) {
    z[i] += __shfl_xor_sync(kAllLanes, z[i], 1);
    z[i] += __shfl_xor_sync(kAllLanes, z[i], 2);
    if (lane % 4 == 0) partial[warp * 16 * kM + 8 * i + lane / 4] = z[i];
  }
  __syncthreads();
  for (int row = threadIdx.x; row < count; row += kThreads) {
    float sum = 0.0f;
    for (int w = 0; w < kWarps; ++w) sum += partial[w * 16 * kM + row];
    sum += head[g.hidden];
    emit(row, g.sigmoid ? 1.0f / (1.0f + expf(-sum)) : sum);
  }
}

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_DENSE_CUH_
