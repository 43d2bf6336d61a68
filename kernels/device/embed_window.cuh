// Layer 1's windows (kernels/embed_conv.cu): weights, or sums of their gradients, of eleven taps in registers, chosen
// by a branch on the position's base, which all lanes of a warp share.
#ifndef RB_KERNELS_DEVICE_EMBED_WINDOW_CUH_
#define RB_KERNELS_DEVICE_EMBED_WINDOW_CUH_

#include "kernels/device/dialect.h"
#include "kernels/device/embed.cuh"
#include "kernels/device/norm.cuh"

namespace rb::device {

inline constexpr int kTaps = 11;      // in registers at once: the paper's width
inline constexpr int kStepGroup = 4;  // positions unrolled: their codes come as one word

// -------------------------------------------------------------------------------------------------------- forward

// sum[j] belongs to the output j positions behind the one that leaves next and lacks its taps K-1-j .. K-1; w[j] is the
// weight of tap K-1-j, zero where there is none.
template <int kRow, int kRows>
__device__ inline void ShiftAdd(const float (&w)[kTaps][kRows], float (&sum)[kTaps]) {
#pragma unroll
  for (int j = 0; j < kTaps - 1; ++j) sum[j] = sum[j + 1] + w[j][kRow];
  sum[kTaps - 1] = w[kTaps - 1][kRow];
}
template <int kRows>
__device__ inline void AddPosition(uint32_t code, const float* tracks, const float (&w)[kTaps][kRows],
                                   float (&sum)[kTaps]) {
  switch (code) {
    case 0:
      ShiftAdd<0>(w, sum);
      break;
    case 1:
      ShiftAdd<1>(w, sum);
      break;
    case 2:
      ShiftAdd<2>(w, sum);
      break;
    case 3:
      ShiftAdd<3>(w, sum);
      break;
    default:
#pragma unroll
      for (int j = 0; j < kTaps - 1; ++j) sum[j] = sum[j + 1];
      sum[kTaps - 1] = 0.0f;
  }
#pragma unroll
  for (int s = 0; s < kRows - kBases; ++s) {
#pragma unroll
    for (int j = 0; j < kTaps; ++j) sum[j] = fmaf(tracks[s], w[j][kBases + s], sum[j]);
  }
}

// ------------------------------------------------------------------------------------------------- weight gradient

// dz and y of a warp's rows on their way to shared memory, kPositions at a time for the lanes' 32 channels, row after
// row. Three stages ahead of the one in use: 16 warps x 3 x 1 KB = 48 KB in bf16, where 20 KB hide the memory's
// latency.
template <class A>
class GradientStream {
 public:
  static constexpr int kPositions = 8, kStages = 4;
  static constexpr int kValues = kPositions * kPanel;  // of one tensor in one stage
  static constexpr size_t kBytes = sizeof(A) * kStages * 2 * kValues;

  // Rows row, row + row_step, .. below end. `dz` and `y` point at the block's panel; y null: read as zero.
  __device__ GradientStream(A* ring, const A* dz, const A* y, int length, int filters, int parts, int row, int row_step,
                            int end)
      : ring_(ring),
        dz_(dz),
        y_(y),
        length_(length),
        filters_(filters),
        parts_(parts),
        row_(row),
        row_step_(row_step),
        end_(end) {
    if (!y) {
      for (int i = Lane(); i < kStages * kValues; i += kWarp)
        ring[(i / kValues * 2 + 1) * kValues + i % kValues] = A(0);
    }
    for (int i = 0; i < kStages - 1; ++i) Issue();
  }
  // The next stage, dz[kPositions][32] and y behind it; the one before it is given back. Beyond the row: zeros.
  __device__ const A* Next() {
    CpAsyncWait<kStages - 2>();
    __syncwarp();
    Issue();
    const A* const stage = ring_ + taken_ * 2 * kValues;
    taken_ = (taken_ + 1) % kStages;
    return stage;
  }

 private:
  __device__ static int Lane() { return static_cast<int>(threadIdx.x) % kWarp; }
  __device__ void Issue() {
    constexpr int kPiece = 16 / sizeof(A), kPieces = kValues / kPiece;
    if (row_ < end_) {
      A* const to = ring_ + issued_ * 2 * kValues;
#pragma unroll
      for (int i = 0; i < kPieces; i += kWarp) {
        const int at = (i + Lane()) * kPiece, position = part_ * kPositions + at / kPanel;
        const int64_t from = (static_cast<int64_t>(row_) * length_ + position) * filters_ + at % kPanel;
        const bool inside = position < length_;
        CpAsync16Zero(to + at, dz_ + (inside ? from : 0), inside);
        if (y_) CpAsync16Zero(to + kValues + at, y_ + (inside ? from : 0), inside);
      }
      issued_ = (issued_ + 1) % kStages;
      if (++part_ == parts_) part_ = 0, row_ += row_step_;
    }
    CpAsyncCommit();
  }

  A* ring_;
  const A* dz_;
  const A* y_;
  int length_, filters_, parts_, row_, row_step_, end_;
  int part_ = 0, issued_ = 0, taken_ = 0;
};

// Adds the window dy[q], dy[q-1], .. to the sums of the base at the position of tap 0.
template <int kRow, int kRows>
__device__ inline void AddWindow(const float* window, float (&sum)[kTaps][kRows]) {
#pragma unroll
  for (int t = 0; t < kTaps; ++t) sum[t][kRow] += window[t];
}
template <int kRows>
__device__ inline void AddGradient(uint32_t code, const float* tracks, const float* window,
                                   float (&sum)[kTaps][kRows]) {
  switch (code) {
    case 0:
      AddWindow<0>(window, sum);
      break;
    case 1:
      AddWindow<1>(window, sum);
      break;
    case 2:
      AddWindow<2>(window, sum);
      break;
    case 3:
      AddWindow<3>(window, sum);
      break;
    default:
      break;
  }
#pragma unroll
  for (int s = 0; s < kRows - kBases; ++s) {
#pragma unroll
    for (int t = 0; t < kTaps; ++t) sum[t][kBases + s] = fmaf(tracks[s], window[t], sum[t][kBases + s]);
  }
}

// One row's part: steps q = 0, 1, ..; the base at position q + first_tap - half meets dy[q - t] in tap first_tap + t.
// dy lacks the factor `norm.scale`. `steps` is a multiple of the stream's positions.
template <int kRows, class A>
__device__ inline void AddRowGradient(const Steps& sequence, int steps, GradientStream<A>& stream, int length,
                                      const NormGradChannel& norm, float (&sum)[kTaps][kRows]) {
  using Stream = GradientStream<A>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float window[kStepGroup + kTaps - 1] = {};  // newest first
  const A* stage = nullptr;
  for (int step = 0; step < steps; step += kStepGroup) {
    if (step % Stream::kPositions == 0) stage = stream.Next() + lane;
    const A* const from = stage + step % Stream::kPositions * kPanel;
#pragma unroll
    for (int j = kStepGroup + kTaps - 2; j >= kStepGroup; --j) window[j] = window[j - kStepGroup];
#pragma unroll
    for (int i = 0; i < kStepGroup; ++i) {
      const float dz = from[i * kPanel], y = from[Stream::kValues + i * kPanel];
      const float dy = dz - norm.mean_dz - (y - norm.mean) * norm.slope;
      window[kStepGroup - 1 - i] = step + i < length ? dy : 0.0f;
    }
    const uint32_t codes = sequence.FourCodes(step);
#pragma unroll
    for (int i = 0; i < kStepGroup; ++i) {
      AddGradient(codes >> (8 * i) & 0xFFu, sequence.tracks + (step + i) * (kRows - kBases),
                  window + kStepGroup - 1 - i, sum);
    }
  }
}

// Warps' sums -> warp 0's, halving the warps until one is left. `slots`: [warps / 2][kTaps * kRows][32].
template <int kRows>
__device__ inline void AddWarps(int warps, float* slots, float (&sum)[kTaps][kRows]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  for (int half = warps / 2; half > 0; half /= 2) {
    float* const slot = slots + static_cast<int64_t>(warp % half) * kTaps * kRows * kWarp + lane;
    __syncthreads();
    if (warp >= half && warp < 2 * half) {
#pragma unroll
      for (int i = 0; i < kTaps * kRows; ++i) slot[i * kWarp] = sum[i / kRows][i % kRows];
    }
    __syncthreads();
    if (warp >= half) continue;
#pragma unroll
    for (int i = 0; i < kTaps * kRows; ++i) sum[i / kRows][i % kRows] += slot[i * kWarp];
  }
}

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_EMBED_WINDOW_CUH_
