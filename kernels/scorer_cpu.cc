// The scorer's fp32 path, compiled once per vector target and chosen at run time.
//
// Mapping: a task is internal::kBlock sequences on one thread. Layer 1 is a look-up (one add of a table row per tap and
// position, one multiply-add per structure track); residual convolutions and the dense layer are register tiles of
// tile-inl.h with bias, skip and ReLU in the epilogue; the head adds up lane by lane while the dense tiles finish.
// For the paper's network a sequence reads 20 bytes, writes 4 and costs 6.8 MFLOP (FlopsPerSequence): 96.5 %
// convolutions, 2.9 % dense, 0.6 % layer 1. Limited by the two multiply-add ports; weights stream from L2 at about 9
// bytes a cycle. Every output is one chain of multiply-adds in tap-major order, so tile shapes and neighbours change no
// bit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/scorer_cpu.cc"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include <hwy/highway.h>

#include "kernels/scorer_internal.h"
#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {
namespace {

using internal::Network;
using internal::Scratch;

// Vectors a layer-1 tile spans: 2 rows x 6 vectors are 12 accumulators, within AVX2's 16 registers, enough independent
// adds to hide their latency; two rows share each load of a track's weights.
constexpr int kEmbedRows = 2;
constexpr int kEmbedVectors = 6;

// Layer 1 at rows [row, row + kRows), outputs [output, output + kVectors * lanes).
template <bool kTracks, int kRows, int kVectors>
HWY_INLINE void EmbedTile(const Network& net, const Scratch<float>& s, int row, int output, float* y) {
  const Tag<float> d;
  const int lanes = static_cast<int>(hn::Lanes(d)), channels = net.geometry.filters,
            tracks = kTracks ? net.geometry.structure : 0;
  Vec<float> acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) {
    acc[0][v] = hn::Load(d, net.embed_bias + output + v * lanes);
    if constexpr (kRows > 1) acc[1][v] = acc[0][v];
  }
  const float* table = net.embed + output;
  const float* track_weights = net.tracks + output;
  for (int t = 0; t < net.geometry.first_width; ++t, table += internal::kBaseRows * channels) {
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      const float* w = table + s.base_row[row + r + t];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Add(acc[r][v], hn::Load(d, w + v * lanes));
    }
    for (int j = 0; j < tracks; ++j, track_weights += channels) {
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) {
        const Vec<float> x = hn::Set(d, s.tracks[(row + r + t) * tracks + j]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          acc[r][v] = hn::MulAdd(x, hn::Load(d, track_weights + v * lanes), acc[r][v]);
        }
      }
    }
  }
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
    float* to = y + static_cast<int64_t>(row + r) * channels + output;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) hn::Store(hn::Max(acc[r][v], hn::Zero(d)), d, to + v * lanes);
  }
}

template <bool kTracks, int kVectors>
HWY_INLINE void EmbedColumns(const Network& net, const Scratch<float>& s, int begin, int end, int output, float* y) {
  int row = begin;
  for (; row + kEmbedRows <= end; row += kEmbedRows) EmbedTile<kTracks, kEmbedRows, kVectors>(net, s, row, output, y);
  if (row < end) EmbedTile<kTracks, 1, kVectors>(net, s, row, output, y);
}

template <bool kTracks>
void EmbedRowsWith(const Network& net, const Scratch<float>& s, int begin, int end, float* y) {
  const int lanes = static_cast<int>(hn::Lanes(Tag<float>()));
  int output = 0;
  for (; output + kEmbedVectors * lanes <= net.geometry.filters; output += kEmbedVectors * lanes) {
    EmbedColumns<kTracks, kEmbedVectors>(net, s, begin, end, output, y);
  }
  for (; output < net.geometry.filters; output += 2 * lanes) EmbedColumns<kTracks, 2>(net, s, begin, end, output, y);
}

// Rows [begin, end) of layer 1 with bias and ReLU.
void EmbedRows(const Network& net, const Scratch<float>& s, int begin, int end, float* y) {
  net.geometry.structure > 0 ? EmbedRowsWith<true>(net, s, begin, end, y) : EmbedRowsWith<false>(net, s, begin, end, y);
}

// y = relu(acc + bias [+ skip]).
struct ConvEpilogue {
  const float* bias;
  const float* skip;  // null: none
  float* y;
  int channels;

  template <int kRows>
  HWY_INLINE void operator()(int row, int output, Vec<float> (&acc)[kRows][2]) const {
    const Tag<float> d;
    const int64_t lanes = hn::Lanes(d), at = static_cast<int64_t>(row) * channels + output;
    const Vec<float> zero = hn::Zero(d), b0 = hn::Load(d, bias + output), b1 = hn::Load(d, bias + output + lanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      acc[r][0] = hn::Add(acc[r][0], b0);
      acc[r][1] = hn::Add(acc[r][1], b1);
    }
    if (skip != nullptr) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const float* from = skip + at + static_cast<int64_t>(r) * channels;
        acc[r][0] = hn::Add(acc[r][0], hn::Load(d, from));
        acc[r][1] = hn::Add(acc[r][1], hn::Load(d, from + lanes));
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      float* to = y + at + static_cast<int64_t>(r) * channels;
      hn::Store(hn::Max(acc[r][0], zero), d, to);
      hn::Store(hn::Max(acc[r][1], zero), d, to + lanes);
    }
  }
};

// Rows [begin, end) of residual layer i: x -> y.
void ConvRowsForward(const Network& net, int i, int begin, int end, const float* x, const float* skip, float* y) {
  const ScorerGeometry& g = net.geometry;
  const ConvRows rows = {g.length, begin, end, g.filters, g.filters, g.width, g.dilations[i]};
  ConvSequence(rows, x, static_cast<const float*>(net.conv[i]), ConvEpilogue{net.conv_bias[i], skip, y, g.filters});
}

// Pools [begin, end) of one sequence: pooled[pool*C + channel] = mean of the pool's rows.
void PoolRows(const Network& net, int begin, int end, const float* x, float* pooled) {
  const Tag<float> d;
  const int lanes = static_cast<int>(hn::Lanes(d)), channels = net.geometry.filters, size = net.geometry.pool;
  const Vec<float> scale = hn::Set(d, 1.0f / static_cast<float>(size));
  for (int pool = begin; pool < end; ++pool) {
    const float* from = x + static_cast<int64_t>(pool) * size * channels;
    for (int c = 0; c < channels; c += 2 * lanes) {
      Vec<float> sum0 = hn::Load(d, from + c), sum1 = hn::Load(d, from + c + lanes);
      for (int r = 1; r < size; ++r) {
        sum0 = hn::Add(sum0, hn::Load(d, from + r * channels + c));
        sum1 = hn::Add(sum1, hn::Load(d, from + r * channels + c + lanes));
      }
      hn::Store(hn::Mul(sum0, scale), d, pooled + pool * channels + c);
      hn::Store(hn::Mul(sum1, scale), d, pooled + pool * channels + c + lanes);
    }
  }
}

// sums[row][lane] += relu(acc + bias) * head, over the outputs of one panel after the other.
struct HeadEpilogue {
  const float* bias;
  const float* head;
  float* sums;

  template <int kRows>
  HWY_INLINE void operator()(int row, int output, Vec<float> (&acc)[kRows][2]) const {
    const Tag<float> d;
    const size_t lanes = hn::Lanes(d);
    const Vec<float> zero = hn::Zero(d), b0 = hn::Load(d, bias + output), b1 = hn::Load(d, bias + output + lanes);
    const Vec<float> h0 = hn::Load(d, head + output), h1 = hn::Load(d, head + output + lanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      float* at = sums + (row + r) * internal::kMaxLanes;
      const Vec<float> sum = hn::MulAdd(hn::Max(hn::Add(acc[r][0], b0), zero), h0, hn::Load(d, at));
      hn::Store(hn::MulAdd(hn::Max(hn::Add(acc[r][1], b1), zero), h1, sum), d, at);
    }
  }
};

void DenseHead(const Network& net, const Scratch<float>& s, int count, float* out) {
  std::fill_n(s.head_sums, count * internal::kMaxLanes, 0.0f);
  MatrixProduct(s.pooled, net.dense_inputs(), count, net.dense_inputs(), static_cast<const float*>(net.dense),
                net.geometry.hidden, HeadEpilogue{net.dense_bias, net.head, s.head_sums});
  const Tag<float> d;
  for (int i = 0; i < count; ++i) {
    const Vec<float> sums = hn::Load(d, s.head_sums + i * internal::kMaxLanes);
    out[i] = internal::FinishHead(net, hn::GetLane(hn::SumOfLanes(d, sums)));
  }
}

const internal::Layers<float>* TargetLayers() {
  static constexpr internal::Layers<float> kLayers = {&EmbedRows, &ConvRowsForward, &PoolRows, &DenseHead};
  return &kLayers;
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {

HWY_EXPORT(TargetLayers);
HWY_EXPORT(TargetName);

const char* VectorTarget() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

const internal::Layers<float>& internal::LayersFp32() { return *HWY_DYNAMIC_DISPATCH(TargetLayers)(); }

}  // namespace rb::cpu
#endif  // HWY_ONCE
