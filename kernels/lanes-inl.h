// Pieces that CPU operators share beside the matrix tile: bit masks, dropout bits, activations, moments, scratch.
// Included once per vector target (Highway's scheme). All loops run over channels in whole vectors: channel counts are
// multiples of kPanel, so there are no remainders.
#if defined(RB_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef RB_KERNELS_LANES_INL_H_
#undef RB_KERNELS_LANES_INL_H_
#else
#define RB_KERNELS_LANES_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/batch_norm.h"
#include "kernels/common.h"
#include "kernels/parallel.h"
#include "kernels/philox.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---------------------------------------------------------------------------------------------------- bit masks

// The low Lanes(d) bits of `bits` as a vector mask.
template <class D>
HWY_INLINE hn::Mask<D> MaskOfBits(D d, uint32_t bits) {
#if HWY_TARGET <= HWY_AVX3
  (void)d;
  hn::Mask<D> mask;
  mask.raw = static_cast<decltype(mask.raw)>(bits);
  return mask;
#else
  uint8_t bytes[8] = {};
  std::memcpy(bytes, &bits, sizeof bits);
  return hn::LoadMaskBits(d, bytes);
#endif
}

template <class D>
HWY_INLINE uint32_t BitsOfMask(D d, hn::Mask<D> mask) {
#if HWY_TARGET <= HWY_AVX3
  (void)d;
  return static_cast<uint32_t>(mask.raw);
#else
  uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, mask, bytes);
  uint32_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return bits;
#endif
}

// ------------------------------------------------------------------------------------------------- dropout bits

// Keep bits of `words` * 32 consecutive elements from element `first` (a multiple of 32) on: see Prologue in
// batch_norm.h. Writes up to one word more than asked. Eight counters run beside each other in the low halves of 64-bit
// lanes; lane i holds counter (i % 2) * lanes/2 + i/2, which makes interleaving the words put channels in order.
inline void DropoutWords(uint64_t key, uint64_t step, uint32_t layer, uint32_t first, int words, uint32_t threshold,
                         uint32_t* out) {
  if (threshold == 0) {
    std::fill(out, out + words, ~0u);
    return;
  }
  uint32_t counter = first / 8;
#if HWY_TARGET <= HWY_AVX2
  const hn::CappedTag<uint64_t, 8> d64;
  const hn::Repartition<uint32_t, decltype(d64)> d32;
  const hn::Repartition<uint16_t, decltype(d64)> d16;
  constexpr int kLanes = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
  alignas(64) uint64_t order[kLanes];
  for (int i = 0; i < kLanes; ++i) order[i] = (i % 2) * (kLanes / 2) + i / 2;
  const auto lane_order = hn::Load(d64, order);
  const auto m0 = hn::Set(d32, kPhiloxM0), m1 = hn::Set(d32, kPhiloxM1);
  const auto limit = hn::Set(d16, static_cast<uint16_t>(threshold));
  const auto mul = [&](auto x, auto m) HWY_ATTR { return hn::MulEven(hn::BitCast(d32, x), m); };
  for (int w = 0; w < words; w += kLanes / 4, counter += kLanes) {
    // Only the low 32 bits of each lane count; garbage above them is never read.
    auto x0 = hn::Add(lane_order, hn::Set(d64, counter)), x1 = hn::Set(d64, uint64_t{layer});
    auto x2 = hn::Set(d64, step & 0xFFFFFFFFu), x3 = hn::Set(d64, step >> 32);
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round, k0 += kPhiloxW0, k1 += kPhiloxW1) {
      const auto p0 = mul(x0, m0), p1 = mul(x2, m1);
      x0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), x1), hn::Set(d64, uint64_t{k0}));
      x2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), x3), hn::Set(d64, uint64_t{k1}));
      x1 = p1;
      x3 = p0;
    }
    const auto low = hn::Set(d64, uint64_t{0xFFFFFFFFu});
    const auto a = hn::Or(hn::And(x0, low), hn::ShiftLeft<32>(x1)), b = hn::Or(hn::And(x2, low), hn::ShiftLeft<32>(x3));
    const auto lower = hn::BitCast(d16, hn::InterleaveLower(d64, a, b));
    const auto upper = hn::BitCast(d16, hn::InterleaveUpper(d64, a, b));
    uint8_t bits[8] = {};
    hn::StoreMaskBits(d16, hn::Not(hn::Lt(lower, limit)), bits);
    hn::StoreMaskBits(d16, hn::Not(hn::Lt(upper, limit)), bits + kLanes / 2);
    std::memcpy(out + w, bits, kLanes);
  }
#else
  for (int w = 0; w < words; ++w) {
    uint32_t bits = 0;
    for (int call = 0; call < 4; ++call, ++counter) {
      const PhiloxBlock block =
          Philox(key, counter, layer, static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32));
      for (int j = 0; j < 8; ++j) {
        const uint32_t draw = block.word[j / 2] >> (16 * (j % 2)) & 0xFFFFu;
        bits |= static_cast<uint32_t>(draw >= threshold) << (8 * call + j);
      }
    }
    out[w] = bits;
  }
#endif
}

// -------------------------------------------------------------------------------------------------- activations

// Batch norm as one multiply-add with the dropout scale folded in: a = x * scale + shift where positive and kept.
template <class T>
struct Affine {
  T* scale;  // [C]
  T* shift;  // [C]
};

template <class T>
HWY_INLINE void MakeAffine(const T* mean, const T* rstd, const T* gamma, const T* beta, T factor, int channels,
                           Affine<T> out) {
  for (int c = 0; c < channels; ++c) {
    const T scale = gamma[c] * rstd[c];
    out.scale[c] = scale * factor;
    out.shift[c] = (beta[c] - mean[c] * scale) * factor;
  }
}

// rows * C values of x -> out. bits: in, keep bits; out, positive and kept (forward). One word a panel.
template <class T>
HWY_INLINE void Activate(const T* x, int rows, int channels, Affine<T> affine, uint32_t* bits, T* out) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < channels; c += kPanel, ++bits) {
      uint32_t word = 0;
      for (int v = 0; v < kPanel; v += lanes, x += lanes, out += lanes) {
        const auto value =
            hn::MulAdd(hn::Load(d, x), hn::Load(d, affine.scale + c + v), hn::Load(d, affine.shift + c + v));
        const auto mask = hn::And(hn::Gt(value, hn::Zero(d)), MaskOfBits(d, *bits >> v));
        hn::Store(hn::IfThenElseZero(mask, value), d, out);
        word |= BitsOfMask(d, mask) << v;
      }
      *bits = word;
    }
  }
}

// The same values again from the stored bits (backward).
template <class T>
HWY_INLINE void Reactivate(const T* x, int rows, int channels, Affine<T> affine, const uint32_t* bits, T* out) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < channels; c += kPanel, ++bits) {
      for (int v = 0; v < kPanel; v += lanes, x += lanes, out += lanes) {
        const auto value =
            hn::MulAdd(hn::Load(d, x), hn::Load(d, affine.scale + c + v), hn::Load(d, affine.shift + c + v));
        hn::Store(hn::IfThenElseZero(MaskOfBits(d, *bits >> v), value), d, out);
      }
    }
  }
}

// ------------------------------------------------------------------------------------------------------ moments

// Calls f(vectors, c) over blocks of channels: six vectors at a time while they fit (six independent chains hide the
// latency of a sum over rows), then two.
template <class T, class F>
HWY_INLINE void ForChannelBlocks(int channels, const F& f) {
  const int lanes = static_cast<int>(hn::Lanes(Tag<T>()));
  int c = 0;
  for (; c + 6 * lanes <= channels; c += 6 * lanes) f(std::integral_constant<int, 6>(), c);
  for (; c < channels; c += 2 * lanes) f(std::integral_constant<int, 2>(), c);
}

// One block of AddMoments: kVectors vectors of channels.
template <int kVectors, class T>
HWY_INLINE void AddMomentsBlock(const T* y, int64_t row_stride, int rows, T weight, T cross, T* mean, T* m2) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  Vec<T> block_mean[kVectors], block_m2[kVectors];
  for (int v = 0; v < kVectors; ++v) block_mean[v] = block_m2[v] = hn::Zero(d);
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 6
    for (int v = 0; v < kVectors; ++v)
      block_mean[v] = hn::Add(block_mean[v], hn::Load(d, y + r * row_stride + v * lanes));
  }
  const auto inverse = hn::Set(d, T(1) / static_cast<T>(rows));
  for (int v = 0; v < kVectors; ++v) block_mean[v] = hn::Mul(block_mean[v], inverse);
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 6
    for (int v = 0; v < kVectors; ++v) {
      const auto delta = hn::Sub(hn::Load(d, y + r * row_stride + v * lanes), block_mean[v]);
      block_m2[v] = hn::MulAdd(delta, delta, block_m2[v]);
    }
  }
  for (int v = 0; v < kVectors; ++v, mean += lanes, m2 += lanes) {
    const auto delta = hn::Sub(block_mean[v], hn::Load(d, mean));
    const auto between = hn::Mul(hn::Mul(delta, delta), hn::Set(d, cross));
    hn::Store(hn::MulAdd(delta, hn::Set(d, weight), hn::Load(d, mean)), d, mean);
    hn::Store(hn::Add(hn::Add(hn::Load(d, m2), block_m2[v]), between), d, m2);
  }
}

// Adds `rows` rows of y to (mean, M2) over `count` earlier rows: the block's own two-pass moments, then Chan's merge.
template <class T>
HWY_INLINE void AddMoments(const T* y, int64_t row_stride, int rows, int channels, int64_t count, T* mean, T* m2) {
  const T n = static_cast<T>(rows), total = static_cast<T>(count + rows);
  ForChannelBlocks<T>(channels, [&](auto vectors, int c) HWY_ATTR {
    AddMomentsBlock<decltype(vectors)::value>(y + c, row_stride, rows, n / total, static_cast<T>(count) * n / total,
                                              mean + c, m2 + c);
  });
}

// Sum of a[c] * b[c]: one chain a lane, then over the lanes.
template <class T>
HWY_INLINE T Dot(const T* a, const T* b, int channels) {
  const Tag<T> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  for (int c = 0; c < channels; c += lanes) sum = hn::MulAdd(hn::Load(d, a + c), hn::Load(d, b + c), sum);
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// ------------------------------------------------------------------------------------------------------ scratch

// Carves a thread's scratch into aligned arrays.
class ScratchCarver {
 public:
  ScratchCarver(Parallel& parallel, int thread, size_t bytes)
      : at_(static_cast<unsigned char*>(parallel.Scratch(thread, bytes))) {}
  template <class T>
  T* Take(int64_t count) {
    T* result = reinterpret_cast<T*>(at_);
    at_ += Bytes<T>(count);
    return result;
  }
  // Bytes that Take(count) uses: whole 256-byte units.
  template <class T>
  static size_t Bytes(int64_t count) {
    return (static_cast<size_t>(count) * sizeof(T) + 255) / 256 * 256;
  }

 private:
  unsigned char* at_;
};

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // RB_KERNELS_LANES_INL_H_
