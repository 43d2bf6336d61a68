// What the dilated convolutions' kernels (kernels/dilated_conv*.cu) have in common below the arithmetic: how a tile of
// activations and a block of weights lie in shared memory, who loads which channels, and how weights arrive.
//
// A tile is whole sequences of one chunk, as many as 128 rows (n,l) hold, or one longer sequence, over kTile channels;
// kTile is 96, 64 or 32. Rows lie dense, one row of zeros behind the last: a tap that leaves its sequence is pointed
// there by the lane that would load it, so no dilation costs shared memory. Rows are 16 bytes longer than their values:
// eight rows' 16-byte units (ldmatrix) then fall on different banks, as do rows 2t at four-byte columns g (the weight
// gradient in tf32).
#ifndef RB_KERNELS_DEVICE_CONV_TILE_CUH_
#define RB_KERNELS_DEVICE_CONV_TILE_CUH_

#include "kernels/device/dialect.h"
#include "kernels/device/octet.cuh"
#include "kernels/dilated_conv.h"

namespace rb::device {

inline constexpr int kConvThreads = 256;
inline constexpr int kConvRows = 128;  // rows of one pass of the arithmetic: 3 of the paper's sequences are 123

// The arithmetics: what activations are stored as, what products take, how far a row of weights is padded (tf32 loads
// them four bytes at a time, rows t at columns g: a row 8 banks after the one before; bf16 by ldmatrix), how many
// blocks of the forward kernel share a multiprocessor, and how many rows' loads a thread has under way when it fills a
// tile (one where tiles were copied to shared memory beforehand and registers are short).
struct Fp32Math {
  using Stored = float;
  using Operand = float;
  static constexpr int kWeightPad = 0, kForwardBlocks = 1;
};
struct Tf32Math {
  using Stored = float;
  using Operand = uint32_t;
  static constexpr int kWeightPad = 8, kForwardBlocks = 1;
};
struct Bf16Math {
  using Stored = BFloat16;
  using Operand = BFloat16;
  static constexpr int kWeightPad = 8, kForwardBlocks = 2;
};

template <class Math, int kTile>
struct ConvTile {
  using Operand = typename Math::Operand;
  static constexpr int kPitch = kTile + 16 / static_cast<int>(sizeof(Operand));  // of a row, in values
  static constexpr int kPitchBytes = kPitch * static_cast<int>(sizeof(Operand));
  static constexpr int kWeightPitch = kTile + Math::kWeightPad;
  static constexpr int kWeightValues = kTile * kWeightPitch;  // of one block of weights: kTile depths x kTile columns
  // What threads' sums over rows (QuadPlace) need to meet: two a channel and a count, by group.
  static constexpr int kReduceBytes = kConvThreads / (kTile / 4) * (2 * kTile + 1) * 4;
};

// Four channels: what a thread holds where sums over rows are made, half the registers of an octet's, and 16-byte units
// of fp32 side by side.
struct Quad {
  float v[4];
};
__device__ inline Quad LoadQuad(const float* from) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  return {{four.x, four.y, four.z, four.w}};
}
__device__ inline Quad LoadQuad(const BFloat16* from) {
  const uint2 two = *reinterpret_cast<const uint2*>(from);
  return {{FloatOf(two.x << 16), FloatOf(two.x & 0xFFFF0000u), FloatOf(two.y << 16), FloatOf(two.y & 0xFFFF0000u)}};
}
__device__ inline void StoreQuad(const Quad& x, float* to) {
  *reinterpret_cast<float4*>(to) = make_float4(x.v[0], x.v[1], x.v[2], x.v[3]);
}
__device__ inline void StoreQuad(const Quad& x, BFloat16* to) {
  *reinterpret_cast<uint2*>(to) = make_uint2(PackBf16(x.v[0], x.v[1]), PackBf16(x.v[2], x.v[3]));
}
// What the low four bits keep, zeros elsewhere.
__device__ inline Quad Keep(uint32_t bits, Quad x) {
#pragma unroll
  for (int i = 0; i < 4; ++i) x.v[i] = (bits >> i & 1u) != 0 ? x.v[i] : 0.0f;
  return x;
}
__device__ inline void StoreOperands(const Quad& x, float* to) { StoreQuad(x, to); }
__device__ inline void StoreOperands(const Quad& x, BFloat16* to) { StoreQuad(x, to); }
__device__ inline void StoreOperands(const Quad& x, uint32_t* to) {
  *reinterpret_cast<uint4*>(to) = make_uint4(ToTf32(x.v[0]), ToTf32(x.v[1]), ToTf32(x.v[2]), ToTf32(x.v[3]));
}

// Octets of four-byte values are 32 bytes apart from thread to thread: every other four threads take the second half
// first, so that eight threads' 16-byte units fall on different banks.
__device__ inline bool SecondHalfFirst() { return (threadIdx.x & 4u) != 0; }
__device__ inline Octet LoadSharedOctet(const BFloat16* from) { return LoadOctet(from); }
__device__ inline Octet LoadSharedOctet(const float* from) {
  const int swap = SecondHalfFirst() ? 4 : 0;
  const Quad a = LoadQuad(from + swap), b = LoadQuad(from + (swap ^ 4));
  Octet x;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    x.v[i] = swap != 0 ? b.v[i] : a.v[i];
    x.v[i + 4] = swap != 0 ? a.v[i] : b.v[i];
  }
  return x;
}
__device__ inline void StoreOperands(const Octet& x, BFloat16* to) { StoreOctet(x, to); }
template <class Operand>
__device__ inline void StoreOperands(const Octet& x, Operand* to) {
  const int swap = SecondHalfFirst() ? 4 : 0;
  Quad a, b;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    a.v[i] = swap != 0 ? x.v[i + 4] : x.v[i];
    b.v[i] = swap != 0 ? x.v[i] : x.v[i + 4];
  }
  StoreOperands(a, to + swap);
  StoreOperands(b, to + (swap ^ 4));
}

__device__ inline void StorePair(float a, float b, float* to) { *reinterpret_cast<float2*>(to) = make_float2(a, b); }
__device__ inline void StorePair(float a, float b, BFloat16* to) { *reinterpret_cast<uint32_t*>(to) = PackBf16(a, b); }
__device__ inline void StoreOperandPair(float a, float b, float* to) { StorePair(a, b, to); }
__device__ inline void StoreOperandPair(float a, float b, BFloat16* to) { StorePair(a, b, to); }
__device__ inline void StoreOperandPair(float a, float b, uint32_t* to) {
  *reinterpret_cast<uint2*>(to) = make_uint2(ToTf32(a), ToTf32(b));
}

// A thread's part of a tile of rows: kCount channels from `channel` on, rows group, group + kGroups, ...
template <int kTile, int kCount>
struct ChannelPlace {
  static constexpr int kParts = kTile / kCount, kGroups = kConvThreads / kParts;
  int group, channel;
  __device__ ChannelPlace() {
    const int thread = ThreadNow();  // not kept between steps of a kernel
    group = thread / kParts;
    channel = thread % kParts * kCount;
  }
  __device__ bool active() const { return group < kGroups; }

  // use(row, load(row)) for this thread's rows, kBatch loads ahead of their uses.
  template <int kBatch, class Load, class Use>
  __device__ void ForRows(int rows, const Load& load, const Use& use) const {
    if (!active()) return;
#pragma unroll 1  // kBatch is how far it is unrolled
    for (int first = group; first < rows; first += kBatch * kGroups) {
      decltype(load(0)) loaded[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (first + b * kGroups < rows) loaded[b] = load(first + b * kGroups);
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (first + b * kGroups < rows) use(first + b * kGroups, loaded[b]);
      }
    }
  }
};
template <int kTile>
using OctetPlace = ChannelPlace<kTile, kOctet>;
template <int kTile>
using QuadPlace = ChannelPlace<kTile, 4>;

// rows x kTile values as they are to shared memory; rows lie `pitch` values apart in global memory, `to_pitch` there.
template <int kTile, class A>
__device__ inline void CopyRows(const A* from, int pitch, int rows, A* to, int to_pitch) {
  constexpr int kUnit = 16 / static_cast<int>(sizeof(A)), kUnits = kTile / kUnit;
  for (int i = ThreadNow(); i < rows * kUnits; i += kConvThreads) {
    const int row = i / kUnits, column = i % kUnits * kUnit;
    CpAsync16(to + row * to_pitch + column, from + static_cast<int64_t>(row) * pitch + column);
  }
}
// `count` values side by side on their way to L2.
template <class A>
__device__ inline void PrefetchValues(const A* from, int count) {
  constexpr int kLine = 128 / static_cast<int>(sizeof(A));
  for (int i = ThreadNow() * kLine; i < count; i += kConvThreads * kLine) PrefetchL2(from + i);
}

template <class Operand>
__device__ inline void ZeroRow(Operand* row, int bytes) {
  for (int i = ThreadNow(); i < bytes / 16; i += kConvThreads) {
    reinterpret_cast<uint4*>(row)[i] = make_uint4(0, 0, 0, 0);
  }
}

// ------------------------------------------------------------------------------------------------- shared memory

// Where things lie, in bytes from the start of dynamic shared memory (weights at 0), and how much is resident. A
// function of shape, precision and architecture.
struct ConvPlan {
  int sequences = 0;               // whole sequences of a tile
  int slots = 0;                   // blocks of weights; all of them: loaded once
  bool staged = false;             // raw tiles are copied ahead
  int operand = 0;                 // first tile of operands
  int second = 0;                  // second one (fused backward: a)
  int out = 0;                     // results on their way to memory
  int stage = 0, stage_bytes = 0;  // raw tiles
  int tables = 0;                  // per-channel tables
  int bytes = 0;                   // 0: does not fit
  float keep_scale = 1;            // DropoutScale, divided on the host
};

struct ConvNeeds {
  int slices = 1;         // of kTile depths
  int operand_tiles = 1;  // 2: the second one doubles as `out`
  int stage_tiles = 0;    // raw tiles when staged
  int table_floats = 0;
  int blocks = 1;  // wanted on a multiprocessor
};

template <class Math, int kTile>
ConvPlan PlanConv(const DilatedConvGeometry& g, const ConvNeeds& needs) {
  using Shape = ConvTile<Math, kTile>;
  const int64_t limit = SharedMemoryLimit();
  const int steps = g.width * needs.slices, sequences = g.length >= kConvRows ? 1 : kConvRows / g.length;
  const int64_t rows = int64_t{sequences} * g.length, tile = (rows + 1) * Shape::kPitchBytes;
  const int64_t stage = rows * kTile * static_cast<int>(sizeof(typename Math::Stored));
  const auto plan = [&](int slots, bool staged, int blocks) -> ConvPlan {
    ConvPlan p;
    if (staged && (needs.stage_tiles == 0 || needs.slices > 1 || rows > kConvRows)) return p;
    int64_t at = int64_t{slots} * Shape::kWeightValues * static_cast<int>(sizeof(typename Math::Operand));
    const auto take = [&](int64_t bytes) {
      const int64_t from = at;
      at += (bytes + 15) / 16 * 16;
      return static_cast<int>(from);
    };
    p.sequences = sequences;
    p.slots = slots;
    p.staged = staged;
    p.operand = take(tile > Shape::kReduceBytes ? tile : Shape::kReduceBytes);
    p.out = p.operand;
    if (needs.operand_tiles == 2) {
      p.out = p.second = take(tile);
    } else if (rows > kConvRows) {
      p.out = take(int64_t{kConvRows} * Shape::kPitchBytes);
    }
    p.stage_bytes = static_cast<int>(stage);
    p.stage = take(staged ? needs.stage_tiles * stage : 0);
    p.tables = take(int64_t{needs.table_floats} * 4);
    // A multiprocessor has 1 KB more than a block can use, and each resident block takes 1 KB of it.
    if (at <= (limit + 1024) / blocks - 1024) p.bytes = static_cast<int>(at);
    return p;
  };
  const int two = steps < 2 ? steps : 2;
  const ConvPlan plans[] = {plan(steps, true, needs.blocks),
                            plan(steps, false, needs.blocks),
                            plan(steps, true, 1),
                            plan(steps, false, 1),
                            plan(two, false, 1),
                            plan(1, false, 1)};
  for (const ConvPlan& p : plans) {
    if (p.bytes > 0) return p;
  }
  return {};
}

// ------------------------------------------------------------------------------------------------------- weights

// One convolution of a block: `depth` channels of operands, taps at (k - h) * step.
template <class Math>
struct ConvPass {
  const typename Math::Operand* weights;  // packed[K][depth][columns], from the block's first column on
  int length, taps, step, depth, columns;
};

// Blocks of packed weights in the order they are used: step = slice * taps + tap, over and over. With a slot for each
// they are loaded once; otherwise the step `count` ahead is fetched when one was used.
template <class Math, int kTile>
class WeightStream {
 public:
  using Operand = typename Math::Operand;
  using Shape = ConvTile<Math, kTile>;
  __device__ WeightStream(const ConvPass<Math>& pass, Operand* slots, int count)
      : pass_(pass), slots_(slots), count_(count) {
    for (int step = 0; step < count_; ++step) {
      Fetch(step, step);
      CpAsyncCommit();
    }
  }
  __device__ int steps() const { return pass_.taps * (pass_.depth / kTile); }
  __device__ bool resident() const { return count_ >= steps(); }

  // The block of a step. Resident blocks must have been waited for.
  __device__ const Operand* Acquire(int step) {
    if (resident()) return slots_ + step * Shape::kWeightValues;
    if (count_ == 2) {
      CpAsyncWait<1>();
    } else {
      CpAsyncWait<0>();
    }
    __syncthreads();
    return slots_ + slot_ * Shape::kWeightValues;
  }
  __device__ void Release(int step) {
    if (resident()) return;
    __syncthreads();
    Fetch((step + count_) % steps(), slot_);
    CpAsyncCommit();
    if (++slot_ == count_) slot_ = 0;
  }

 private:
  __device__ void Fetch(int step, int slot) {
    constexpr int kUnit = 16 / sizeof(Operand), kUnits = kTile / kUnit;
    const Operand* const from =
        pass_.weights +
        (static_cast<int64_t>(step % pass_.taps) * pass_.depth + step / pass_.taps * kTile) * pass_.columns;
    Operand* const to = slots_ + slot * Shape::kWeightValues;
#pragma unroll 1
    for (int i = ThreadNow(); i < kTile * kUnits; i += kConvThreads) {
      const int row = i / kUnits, column = i % kUnits * kUnit;
      CpAsync16(to + row * Shape::kWeightPitch + column, from + static_cast<int64_t>(row) * pass_.columns + column);
    }
  }

  const ConvPass<Math>& pass_;
  Operand* const slots_;
  const int count_;
  int slot_ = 0;
};

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_CONV_TILE_CUH_
