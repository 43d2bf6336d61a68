// Pieces of layer 1 on the device (kernels/embed_conv.cu): where a lane is, a warp's view of a sequence, moments.
#ifndef RB_KERNELS_DEVICE_EMBED_CUH_
#define RB_KERNELS_DEVICE_EMBED_CUH_

#include "kernels/device/dialect.h"
#include "kernels/device/norm.cuh"
#include "kernels/embed_conv.h"
#include "kernels/packed_bases.h"

namespace rb::device {

inline constexpr int kBases = 4;

RB_HOST_DEVICE constexpr int RoundUp(int x, int unit) { return (x + unit - 1) / unit * unit; }

// Blocks (chunk x panel of 32 channels, models), a lane a channel.
struct BlockPlace {
  int slot, chunk, channel;  // channel of this lane
  bool idle;
  ChunkRows rows;
};
__device__ inline BlockPlace PlaceOf(const Models& models, int filters) {
  const int panels = filters / kPanel, lane = static_cast<int>(threadIdx.x) % kWarp;
  BlockPlace place;
  place.slot = models.live[blockIdx.y];
  place.chunk = static_cast<int>(blockIdx.x) / panels;
  place.channel = static_cast<int>(blockIdx.x) % panels * kPanel + lane;
  const int rows = models.state[place.slot].rows;
  place.idle = rows == 0;
  place.rows = RowsOfChunk(rows, place.chunk);
  return place;
}

// A warp's view of one sequence in shared memory: step i is position first + i; steps outside the sequence have an
// unknown base and tracks of zero. `steps` is a multiple of four.
struct Steps {
  uint8_t* codes;  // [steps]
  float* tracks;   // [steps][S]

  RB_HOST_DEVICE static constexpr size_t Bytes(int steps, int tracks) {
    return RoundUp(steps, 16) + sizeof(float) * RoundUp(steps * tracks, 4);
  }
  __device__ static Steps Of(unsigned char* shared, int warp, int steps, int tracks) {
    unsigned char* const mine = shared + warp * Bytes(steps, tracks);
    return {mine, reinterpret_cast<float*>(mine + RoundUp(steps, 16))};
  }
  __device__ void Load(const EmbedConvGeometry& g, int64_t sequence, int first, int steps) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const uint32_t* const words = g.bases + sequence * PackedWords(g.length);
    __syncwarp();
#pragma unroll 1
    for (int i = lane; i < steps; i += kWarp) {
      const int p = first + i;
      codes[i] = p >= 0 && p < g.length ? BaseAt(words, g.length, p) : kUnknownBase;
    }
    const float* const from = g.tracks + sequence * g.length * g.structure;
#pragma unroll 1
    for (int i = lane; i < steps * g.structure; i += kWarp) {
      const int at = first * g.structure + i;
      tracks[i] = at >= 0 && at < g.length * g.structure ? from[at] : 0.0f;
    }
    __syncwarp();
  }
  __device__ uint32_t FourCodes(int step) const { return *reinterpret_cast<const uint32_t*>(codes + step); }
};

// Mean and M2 of a lane's channel, of one value after another. A block of values adds up differences to the mean of all
// values before it (the first block: to its first value), then merges by Chan's update. Blocks are about as long as all
// before them together, so the squares of those differences add up to no more than eight times M2 (derivation:
// tests/support/tolerance.h): a mean far from zero costs no digits, and merges are few.
struct StreamedMoments {
  float mean = 0.0f, m2 = 0.0f, shift = 0.0f, sum = 0.0f, squares = 0.0f;
  int count = 0, in_block = 0;

  __device__ void Add(float value) {
    if (count + in_block == 0) shift = value;
    const float difference = value - shift;
    sum += difference;
    squares = fmaf(difference, difference, squares);
    ++in_block;
  }
  // Called after every one to four values, and (at_end) after the last.
  __device__ void EndBlock(bool at_end = false) {
    if (in_block == 0 || (in_block < (count > 4 ? count : 4) && !at_end)) return;
    const float offset = sum / static_cast<float>(in_block), block_m2 = squares - sum * offset;
    Merge(shift + offset, block_m2 > 0.0f ? block_m2 : 0.0f, in_block);
    shift = mean, sum = 0.0f, squares = 0.0f, in_block = 0;
  }
  __device__ void Merge(float other_mean, float other_m2, int other_count) {
    if (other_count == 0) return;
    const float delta = other_mean - mean;
    const float weight = static_cast<float>(other_count) / static_cast<float>(count + other_count);
    mean = fmaf(delta, weight, mean);
    m2 += other_m2 + delta * delta * (static_cast<float>(count) * weight);
    count += other_count;
  }
};

// Moments of the chunk's rows, dealt to `warps` warps in turn, -> moments[chunk][2][O] (here the lane's place in it),
// in warp order. `shared`: MomentBytes, which may have been in use for something else.
constexpr size_t MomentBytes(int warps) { return sizeof(float) * 2 * kWarp * warps; }
__device__ inline void WriteMoments(StreamedMoments moments, int warps, int rows, int length, void* shared, float* mean,
                                    float* m2) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  float* const means = static_cast<float*>(shared) + lane;  // [warps][32]
  float* const squares = means + warps * kWarp;             // the same
  moments.EndBlock(true);
  __syncthreads();
  means[warp * kWarp] = moments.mean;
  squares[warp * kWarp] = moments.m2;
  __syncthreads();
  if (warp != 0) return;
  for (int w = 1; w < warps && w < rows; ++w) {
    moments.Merge(means[w * kWarp], squares[w * kWarp], (rows - w + warps - 1) / warps * length);
  }
  *mean = moments.mean;
  *m2 = moments.m2;
}

// Stores a value and returns it as stored.
__device__ inline float StoreValue(float value, float* to) { return *to = value; }
__device__ inline float StoreValue(float value, BFloat16* to) {
  const uint32_t bits = PackBf16(value, value);
  to->bits = static_cast<uint16_t>(bits);
  return FloatOf(bits << 16);
}

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_EMBED_CUH_
