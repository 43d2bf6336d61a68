// What several kernels do to values on their way: batch norm as one multiply-add, dropout bits, the gradient behind a
// batch norm, and where a block finds its model. Semantics: kernels/batch_norm.h.
#ifndef RB_KERNELS_DEVICE_NORM_CUH_
#define RB_KERNELS_DEVICE_NORM_CUH_

#include "kernels/batch_norm.h"
#include "kernels/device/dialect.h"
#include "kernels/philox.h"

namespace rb::device {

// The rows of one chunk of one model: block (chunk, live index).
struct ChunkRows {
  int begin, end;
  __device__ int count() const { return end - begin; }
};
__device__ inline ChunkRows RowsOfChunk(int rows, int chunk) {
  return {ChunkBegin(rows, chunk), ChunkBegin(rows, chunk + 1)};
}

// Keep bits of 8 consecutive elements, element/8 = counter: bit j is element j.
__device__ inline uint32_t DropoutByte(const StepState& state, uint32_t layer, uint32_t counter, uint32_t threshold) {
  const PhiloxBlock block = Philox(state.dropout_key, counter, layer, static_cast<uint32_t>(state.step),
                                   static_cast<uint32_t>(state.step >> 32));
  uint32_t bits = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    bits |= static_cast<uint32_t>((block.word[j] & 0xFFFFu) >= threshold) << (2 * j);
    bits |= static_cast<uint32_t>(block.word[j] >> 16 >= threshold) << (2 * j + 1);
  }
  return bits;
}
// The same for the 32 elements of one mask word (element / 32 = word); threshold 0 keeps all.
__device__ inline uint32_t DropoutWord(const StepState& state, uint32_t layer, uint32_t word, uint32_t threshold) {
  if (threshold == 0) return 0xFFFFFFFFu;
  uint32_t bits = 0;
#pragma unroll
  for (int byte = 0; byte < 4; ++byte) bits |= DropoutByte(state, layer, 4 * word + byte, threshold) << (8 * byte);
  return bits;
}

// scale and shift of channel c: a = x * scale + shift, the dropout scale folded in by `factor`.
struct ScaleShift {
  float scale, shift;
};
__device__ inline ScaleShift AffineOf(const float* mean, const float* rstd, const float* gamma, const float* beta,
                                      int c, float factor) {
  const float scale = gamma[c] * rstd[c];
  return {scale * factor, (beta[c] - mean[c] * scale) * factor};
}

// dy = scale * (dz - mean_dz - (y - mean) * slope): batch norm's gradient of channel c over `count` values.
struct NormGradChannel {
  float scale, mean_dz, mean, slope;
  __device__ float operator()(float dz, float y) const { return scale * (dz - mean_dz - (y - mean) * slope); }
};
// norm.mean null: dy = dz.
__device__ inline NormGradChannel NormGradOf(const NormGrad<float>& norm, int64_t slot, int channels, int c,
                                             float inverse_count) {
  if (!norm.mean) return {1.0f, 0.0f, 0.0f, 0.0f};
  const float rstd = norm.rstd[slot][c];
  const float* sums = norm.sums[slot];
  return {norm.gamma[slot][c] * rstd, sums[c] * inverse_count, norm.mean[slot][c],
          rstd * sums[channels + c] * inverse_count};
}

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_NORM_CUH_
