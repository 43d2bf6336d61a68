// What the scorer's two kernels share around a group of sequences: which groups there are, and where predictions go.
#ifndef RB_KERNELS_DEVICE_SCORER_SCAN_CUH_
#define RB_KERNELS_DEVICE_SCORER_SCAN_CUH_

#include "kernels/device/scorer_dense.cuh"
#include "kernels/device_scorer.h"

namespace rb::device::scorer {

// Of a kernel; Map: what its shared memory holds.
template <class Map>
struct ScorerArgs {
  ScorerGeometry g;
  Layout layout;
  Map map;
  const int32_t* live;
  int count;
  PerModel<const unsigned char> packed;
  const int32_t* num_rows;
  PerModel<float> out;
  unsigned char* workspace;
  int64_t block_workspace;
  SequenceSource source;
  PatternScan scan;
};

// Sequences [first, first + count) of a slot's list under one pattern: the `number`-th group of all patterns'. It lies
// in shared memory, and what leads to it is found anew by one thread: a register that lives through a tile is one too
// many.
struct Group {
  int slot, number, pattern, first, count;
};

// f() for each of the block's groups of the `model`-th live slot, of up to `size` sequences, patterns one after the
// other; *group says which it is. Every thread calls it.
template <class Map, class F>
__device__ inline void ForEachGroup(const ScorerArgs<Map>& args, int model, int size, Group* group, const F& f) {
  const auto advance = [&](int by) {
    __syncthreads();  // the group before is done
    if (threadIdx.x == 0) {
      const int slot = args.live[model], rows = args.num_rows[slot], per_pattern = (rows + size - 1) / size;
      const int number = by + static_cast<int>(by == 0 ? blockIdx.x : group->number);
      const bool any = number < per_pattern * args.scan.count;
      const int pattern = any ? number / per_pattern : 0, first = (number - pattern * per_pattern) * size;
      *group = {slot, number, pattern, first, any ? min(size, rows - first) : 0};
    }
    __syncthreads();
  };
  for (advance(0); group->count > 0; advance(gridDim.x)) f();
}

// The group's dense layer and head; predictions, or the moments of their differences, to where the arguments say.
// `partial` as DenseAndHead's.
template <Precision kPrecision, int kM, int kUnrolled, class Map>
__device__ inline void FinishGroup(const ScorerArgs<Map>& args, const Group& group, const unsigned char* packed,
                                   const void* pooled, float* partial) {
  const int64_t slot = group.slot;
  float* const out =
      args.out ? args.out[slot] + static_cast<int64_t>(group.pattern) * args.num_rows[slot] + group.first : nullptr;
  const bool moments = static_cast<bool>(args.scan.moments);
  DenseAndHead<kPrecision, kM, kUnrolled>(args.g, args.layout, packed, pooled, partial, group.count,
                                          [&](int row, float prediction) {
                                            if (out != nullptr) out[row] = prediction;
                                            if (moments) partial[row] = prediction;
                                          });
  if (!moments) return;
  __syncthreads();
  if (threadIdx.x >= kWarp) return;
  // A group is summed lane by lane and then in a fixed tree.
  const float* const without = args.scan.without[slot] + group.first;
  const auto sum = [&](double mean, bool square) {
    double total = 0;
    for (int row = threadIdx.x; row < group.count; row += kWarp) {
      const double d = static_cast<double>(partial[row]) - static_cast<double>(without[row]) - mean;
      total += square ? d * d : d;
    }
    for (int bit = kWarp / 2; bit > 0; bit /= 2) total += __shfl_xor_sync(kAllLanes, total, bit);
    return total;
  };
  const double mean = sum(0.0, false) / group.count;
  const double squares = sum(mean, true);
  if (threadIdx.x == 0) args.scan.moments[slot][group.number] = {mean, squares};
}

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_SCAN_CUH_
