// The two operand tiles of the dilated convolution's gradients (kernels/device/conv_tile.cuh): dy rebuilt from the
// gradient behind its batch norm, and the input's activation a rebuilt from the prologue's mask. A thread has the same
// four channels of every row it fills, their constants in registers (eight would be too many beside 108 sums).
#ifndef RB_KERNELS_DEVICE_CONV_FILL_CUH_
#define RB_KERNELS_DEVICE_CONV_FILL_CUH_

#include "kernels/device/conv_tile.cuh"
#include "kernels/device/norm.cuh"

namespace rb::device {

template <class Math>
using BackwardArgs = DilatedConvBackwardArgs<float, typename Math::Stored>;

// Rows of a tile: `rows` from a position of a sequence of the model's batch on, sequence after sequence.
struct TileRows {
  int sequence, position, rows;
  __device__ int64_t first(int length) const { return static_cast<int64_t>(sequence) * length + position; }
};

// Where raw rows are: in global memory or already copied to shared memory. Row 0 is the tile's first.
template <class A>
struct RawRows {
  const A* base;
  int pitch;
  __device__ const A* at(int row, int channel) const { return base + static_cast<int64_t>(row) * pitch + channel; }
};

// The rows from value `offset` of a slot on; a tensor that is absent is never read.
template <class A>
__device__ inline RawRows<A> RowsAt(const PerModel<const A>& tensor, int64_t slot, int64_t offset, int pitch) {
  return {tensor ? tensor[slot] + offset : nullptr, pitch};
}

// ------------------------------------------------------------------------------------------------- per-channel tables
// In shared memory. The batch norm of dy: [3][channels], dy = scale * dz + (slope * y + offset), NormGradChannel
// gathered.

__device__ inline void ShareNormGrad(const NormGrad<float>& norm, int64_t slot, int channels, int first, int count,
                                     float inverse_count, float* table) {
  for (int c = ThreadNow(); c < count; c += kConvThreads) {
    const NormGradChannel n = NormGradOf(norm, slot, channels, first + c, inverse_count);
    table[c] = n.scale;
    table[count + c] = -n.scale * n.slope;
    table[2 * count + c] = n.scale * fmaf(n.mean, n.slope, -n.mean_dz);
  }
}

// -------------------------------------------------------------------------------------------------- pooled gradients

// n / d for n, d < 2^16, by the high half of a product: ceil(2^32 / d) is too large by less than d / 2^32 of it.
class Divider {
 public:
  __device__ explicit Divider(int d) : factor_(d == 1 ? 0 : 0xFFFFFFFFu / static_cast<unsigned>(d) + 1) {}
  __device__ int operator()(int n) const {
    return factor_ == 0 ? n : static_cast<int>(__umulhi(static_cast<unsigned>(n), factor_));
  }

 private:
  uint32_t factor_;
};

// Where the gradients of a tile's rows are behind a pooling (PoolGrad).
class PooledRows {
 public:
  __device__ PooledRows(const PoolGrad<float>& pool, int64_t slot, TileRows tile, int length, int channels)
      : dp_(pool.dp[slot]),
        mask_(MaskBytes(pool.mask[slot]) + tile.first(length) * (channels / kOctet)),
        tile_(tile),
        length_(length),
        channels_(channels),
        pools_(length / pool.pool),
        by_length_(length),
        by_pool_(pool.pool) {}

  // A row's pool; null: no pool covers it.
  __device__ const float* Pool(int row) const {
    const int sequence = by_length_(tile_.position + row), position = tile_.position + row - sequence * length_;
    const int q = by_pool_(position);
    return q < pools_ ? dp_ + (static_cast<int64_t>(tile_.sequence + sequence) * pools_ + q) * channels_ : nullptr;
  }
  // Its mask from a channel on, at most up to the next multiple of 8.
  __device__ uint32_t Bits(int row, int channel) const {
    return static_cast<uint32_t>(mask_[static_cast<int64_t>(row) * (channels_ / kOctet) + channel / kOctet]) >>
           (channel % kOctet);
  }
  __device__ Quad At(int row, int channel) const {
    const float* const from = Pool(row);
    if (!from) return {};
    return Keep(Bits(row, channel), LoadQuad(from + channel));
  }

 private:
  const float* dp_;
  const uint8_t* mask_;
  TileRows tile_;
  int length_, channels_, pools_;
  Divider by_length_, by_pool_;
};

// ------------------------------------------------------------------------------------------------------- operands

// kBatch: rows whose loads a thread has under way at a time.
//
// Channels [channel0, channel0 + kTile) of dy. `table` is that of these channels, `table_channels` wide.
template <class Math, int kTile, int kBatch>
__device__ inline void FillDy(const BackwardArgs<Math>& args, int64_t slot, TileRows tile, int channel0,
                              const float* table, int table_channels, RawRows<typename Math::Stored> dz,
                              RawRows<typename Math::Stored> y, typename Math::Operand* operands) {
  constexpr int kPitch = ConvTile<Math, kTile>::kPitch;
  const QuadPlace<kTile> place;
  const int channel = place.channel;
  typename Math::Operand* const to = operands + channel;
  Quad scale = {}, slope = {}, offset = {};
  const bool normed = static_cast<bool>(args.norm.mean);
  if (normed && place.active()) {
    scale = LoadQuad(table + channel);
    slope = LoadQuad(table + table_channels + channel);
    offset = LoadQuad(table + 2 * table_channels + channel);
  }
  struct Raw {
    Quad dz, y;
  };
  const auto store = [&](int row, const Raw& raw) {
    Quad v = raw.dz;
    if (normed) {
#pragma unroll
      for (int i = 0; i < 4; ++i) v.v[i] = fmaf(v.v[i], scale.v[i], fmaf(raw.y.v[i], slope.v[i], offset.v[i]));
    }
    StoreOperands(v, to + row * kPitch);
  };
  const auto load_y = [&](int row) { return normed ? LoadQuad(y.at(row, channel)) : Quad(); };
  if (args.pool.dp) {
    const PooledRows pooled(args.pool, slot, tile, args.geometry.length, args.geometry.out);
    place.template ForRows<kBatch>(
        tile.rows,
        [&](int row) {
          return Raw{pooled.At(row, channel0 + channel), load_y(row)};
        },
        store);
  } else {
    place.template ForRows<kBatch>(
        tile.rows,
        [&](int row) {
          return Raw{LoadQuad(dz.at(row, channel)), load_y(row)};
        },
        store);
  }
}

// Rows of a that a tile reads: row + shift, zeros outside [low, high).
struct InputRows {
  int shift, low, high;
  __device__ bool Inside(int row) const {
    return static_cast<unsigned>(row + shift - low) < static_cast<unsigned>(high - low);
  }
};

// Channels [channel0, channel0 + kTile) of a. `affine` is [2][kTile] of these channels (prologue only).
template <class Math, int kTile, int kBatch>
__device__ inline void FillA(const BackwardArgs<Math>& args, int64_t slot, TileRows tile, InputRows input, int channel0,
                             const float* affine, RawRows<typename Math::Stored> x, typename Math::Operand* operands) {
  const QuadPlace<kTile> place;
  const bool active = static_cast<bool>(args.prologue.mean);
  typename Math::Operand* const to = operands + place.channel;
  const int octets = args.geometry.in / kOctet;
  const uint8_t* const mask = active ? MaskBytes(args.prologue.mask[slot]) + tile.first(args.geometry.length) * octets +
                                           (channel0 + place.channel) / kOctet
                                     : nullptr;
  struct Raw {
    Quad x;
    uint32_t bits;
  };
  const auto load = [&](int row) {
    Raw raw = {};
    if (!input.Inside(row)) return raw;
    raw.x = LoadQuad(x.at(row + input.shift, place.channel));
    if (active) raw.bits = static_cast<uint32_t>(mask[static_cast<int64_t>(row + input.shift) * octets]);
    return raw;
  };
  Quad scale = {}, shift = {};
  if (active && place.active()) {
    scale = LoadQuad(affine + place.channel);
    shift = LoadQuad(affine + kTile + place.channel);
  }
  place.template ForRows<kBatch>(tile.rows, load, [&](int row, const Raw& raw) {
    Quad v = raw.x;
    if (active) {
#pragma unroll
      for (int i = 0; i < 4; ++i) v.v[i] = fmaf(raw.x.v[i], scale.v[i], shift.v[i]);
      v = Keep(raw.bits >> (place.channel % kOctet), v);
    }
    StoreOperands(v, to + row * ConvTile<Math, kTile>::kPitch);
  });
}

// ShareAffine of kTile channels from `first` on.
template <int kTile>
__device__ inline void SharePrologue(const Prologue<float>& p, int64_t slot, int first, float keep_scale,
                                     float* table) {
  ShareAffine(p.mean[slot] + first, p.rstd[slot] + first, p.gamma[slot] + first, p.beta[slot] + first, kTile,
              keep_scale, static_cast<int>(threadIdx.x), kConvThreads, table);
}

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_CONV_FILL_CUH_
