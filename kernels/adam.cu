// Adam on the device (kernels/adam.h), all live models in one launch. Blocks (tile runs, models): the model's tensors
// are cut into tiles of kTile values, dealt to the model's blocks in turn; a thread takes four values of a tile.
//
// Bytes a value: p, m, v read and written (24) and 4 for each gradient chunk: 56 with eight chunks; some 20 operations.
// Limit: memory. A thread has 3 + chunks loads of 16 bytes in flight before the first use: with eight chunks and 768
// threads a multiprocessor (80 registers) 135 KB, several times what hides the memory's latency (4.3 TB/s x 0.6 us over
// 132 multiprocessors: 20 KB).
// Every value is computed by itself, so the number of blocks changes no bit.
#include "kernels/adam.h"

#include "kernels/device/dialect.h"

namespace rb {
namespace {

inline constexpr int kThreads = 256;
inline constexpr int kValues = 4;  // a thread, 16 bytes
inline constexpr int kTile = kThreads * kValues;
inline constexpr int kUsualChunks = kBatchChunks;  // loaded at once
inline constexpr int64_t kWantedBlocks = 2048;     // about two rounds of 132 multiprocessors x 8 blocks
inline constexpr int64_t kMostBlocks = 256;        // of one model: 256 tiles are 262,144 values, the paper's 190,000

// Tile `tile` of all segments in order: its segment and its first value there; segment -1 behind the last tile. Each
// lane looks at one of 32 segments; all lanes get the answer.
struct TilePlace {
  int segment;
  int64_t first;
};
__device__ inline TilePlace FindTile(const GradientSegment* segments, int num_segments, int64_t tile) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int64_t before = 0;  // tiles of earlier rounds' segments
  for (int s = 0; s < num_segments; s += kWarp) {
    const int mine = s + lane < num_segments ? static_cast<int>((segments[s + lane].size + kTile - 1) / kTile) : 0;
    int end = mine;  // inclusive sum over lanes
#pragma unroll
    for (int step = 1; step < kWarp; step *= 2) {
      const int below = __shfl_up_sync(kAllLanes, end, step);
      if (lane >= step) end += below;
    }
    const int64_t at = tile - before;
    const unsigned found = __ballot_sync(kAllLanes, at < end);
    if (found != 0) {
      const int owner = __ffs(static_cast<int>(found)) - 1;
      const int first = __shfl_sync(kAllLanes, end - mine, owner);
      return {s + owner, (at - first) * kTile};
    }
    before += __shfl_sync(kAllLanes, end, kWarp - 1);
  }
  return {-1, 0};
}

__device__ inline float4 Load4(const float* from) { return *reinterpret_cast<const float4*>(from); }

// Sum of a value's gradient chunks, in chunk order.
__device__ inline float4 SumOfChunks(const float* gradient, const GradientSegment& segment) {
  float4 part[kUsualChunks];
#pragma unroll
  for (int chunk = 0; chunk < kUsualChunks; ++chunk) {
    if (chunk < segment.chunks) part[chunk] = Load4(gradient + chunk * segment.chunk_stride);
  }
  float4 sum = part[0];
  const auto add = [&sum](const float4& x) { sum.x += x.x, sum.y += x.y, sum.z += x.z, sum.w += x.w; };
#pragma unroll
  for (int chunk = 1; chunk < kUsualChunks; ++chunk) {
    if (chunk < segment.chunks) add(part[chunk]);
  }
  for (int chunk = kUsualChunks; chunk < segment.chunks; ++chunk) add(Load4(gradient + chunk * segment.chunk_stride));
  return sum;
}

struct AdamFactors {
  float beta1, rest1, beta2, rest2, epsilon, alpha;

  __device__ void Update(float gradient, float& p, float& m, float& v) const {
    m = fmaf(beta1, m, rest1 * gradient);
    v = fmaf(beta2, v, rest2 * (gradient * gradient));
    p -= alpha * m / (sqrtf(v) + epsilon);
  }
};

// Four values from value i of a segment on. Storage is padded to 128 bytes and padding gradients are zero, so the last
// four of a segment need no care.
__device__ inline void UpdateFour(const AdamArgs<float>& a, int slot, const GradientSegment& segment, int64_t i,
                                  const AdamFactors& factors) {
  float4* const to_p = reinterpret_cast<float4*>(a.parameters[slot] + segment.offset + i);
  float4* const to_m = reinterpret_cast<float4*>(a.m[slot] + segment.offset + i);
  float4* const to_v = reinterpret_cast<float4*>(a.v[slot] + segment.offset + i);
  float4 p = *to_p, m = *to_m, v = *to_v;
  const float4 g = SumOfChunks(a.gradients[slot] + segment.gradient_offset + i, segment);
  factors.Update(g.x, p.x, m.x, v.x);
  factors.Update(g.y, p.y, m.y, v.y);
  factors.Update(g.z, p.z, m.z, v.z);
  factors.Update(g.w, p.w, m.w, v.w);
  *to_p = p, *to_m = m, *to_v = v;
}

__global__ void __launch_bounds__(kThreads) AdamTiles(AdamArgs<float> a) {
  DependencyWait();
  const int slot = a.models.live[blockIdx.y];
  const StepState& state = a.models.state[slot];
  if (state.rows == 0) return;
  const AdamFactors factors = {a.beta1, 1.0f - a.beta1, a.beta2, 1.0f - a.beta2, a.epsilon, state.adam_alpha};
  int64_t tile = blockIdx.x;
  TilePlace place = FindTile(a.segments, a.num_segments, tile);
  while (place.segment >= 0) {
    const GradientSegment segment = a.segments[place.segment];
    const int64_t i = place.first + kValues * static_cast<int64_t>(threadIdx.x);
    if (i < segment.size) UpdateFour(a, slot, segment, i, factors);
    tile += gridDim.x;
    place = FindTile(a.segments, a.num_segments, tile);
  }
}

}  // namespace

namespace RB_MACHINE {

DeviceError Adam(const AdamArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0 || args.num_segments == 0) return {};
  int64_t blocks = (kWantedBlocks + args.models.count - 1) / args.models.count;
  blocks = blocks < 32 ? 32 : blocks > kMostBlocks ? kMostBlocks : blocks;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(args.models.count));
  return Launch({grid, dim3(kThreads), 0, run.stream}, AdamTiles, args);
}

}  // namespace RB_MACHINE
}  // namespace rb
