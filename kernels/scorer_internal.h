// What the fp32 and bf16 paths of the CPU scorer share: packed weights, a task's scratch, the unpacking of bases.
//
// A task scores kBlock sequences. Each runs alone through the convolutions (at 41 positions and 96 filters one
// activation plane is 15.7 KB in fp32, so two of them stay in L1 while a layer's 110 KB of weights stream from L2);
// their pooled rows then pass the dense layer together, so that its 393 KB of weights are read once per tile of rows.
#ifndef RB_KERNELS_SCORER_INTERNAL_H_
#define RB_KERNELS_SCORER_INTERNAL_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "kernels/packed_bases.h"
#include "kernels/scorer.h"

namespace rb::cpu::internal {

// Sequences a task: one dense tile of AVX-512's 14 rows; about 0.4 ms of work in fp32, so that a batch of 100 still
// feeds eight threads.
inline constexpr int kBlock = 14;
// Rows of a layer-1 tap's table: four bases and a row of zeros for an unknown or padded position.
inline constexpr int kBaseRows = 5;
// Most lanes of a vector: partial sums of the head are kept a vector per sequence.
inline constexpr int kMaxLanes = 16;
inline constexpr size_t kAlignment = 64;  // one cache line, one AVX-512 vector

constexpr size_t AlignUp(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};

// One network, packed once. All arrays lie in `storage`. Panels: [outputs/kPanel][taps][channels][kPanel] in fp32,
// [outputs/kPanel][taps][channels/2][kPanel][2] in bf16 (the dot-product instruction takes channels in pairs).
struct Network {
  ScorerGeometry geometry;
  Precision precision = Precision::kFp32;
  int margin = 0;  // rows of zeros above and below an activation plane: the furthest reach of any tap
  std::unique_ptr<void, FreeDeleter> storage;
  const float* embed = nullptr;   // [first_width][kBaseRows][C]
  const float* tracks = nullptr;  // [first_width][S][C]
  const float* embed_bias = nullptr;
  const float* conv_bias[kMaxResidualLayers] = {};
  const float* dense_bias = nullptr;
  const float* head = nullptr;  // [hidden + 1]
  const void* conv[kMaxResidualLayers] = {};
  const void* dense = nullptr;

  int first_half() const { return geometry.first_width / 2; }
  int dense_inputs() const { return geometry.pools() * geometry.filters; }
};

// The arguments of Score, and one task's part of them.
struct Block {
  const uint32_t* bases = nullptr;
  const float* tracks = nullptr;
  const int32_t* rows = nullptr;
  int64_t first = 0;
  int count = 0;  // 1 .. kBlock
  float* out = nullptr;

  int64_t Sequence(int i) const { return rows != nullptr ? rows[first + i] : first + i; }
};

// Activation planes of a task: three in turn, or one for layer 1 and each residual layer.
inline constexpr int kMaxPlanes = kMaxResidualLayers + 1;

// A task's memory. T is the type of activations: float, or uint16_t for bf16 bits.
template <class T>
struct Scratch {
  T* plane[kMaxPlanes] = {};    // row 0 of [margin + L + margin][C]; the margins are zero
  T* pooled = nullptr;          // [kBlock][pools*C]
  float* head_sums = nullptr;   // [kBlock][kMaxLanes]
  float* tracks = nullptr;      // [half + L + half][S]; the margins are zero
  int32_t* base_row = nullptr;  // [half + L + half]: code * C, an offset into a tap's table
};

template <class T>
struct ScratchSizes {
  size_t plane, pooled, sums, tracks, base_row;

  explicit ScratchSizes(const Network& net) {
    const ScorerGeometry& g = net.geometry;
    const size_t positions = g.length + 2 * net.first_half();
    plane = AlignUp(sizeof(T) * (g.length + 2 * net.margin) * g.filters);
    pooled = AlignUp(sizeof(T) * kBlock * net.dense_inputs());
    sums = AlignUp(sizeof(float) * kBlock * kMaxLanes);
    tracks = AlignUp(sizeof(float) * positions * g.structure);
    base_row = AlignUp(sizeof(int32_t) * positions);
  }
  size_t total(int planes) const { return planes * plane + pooled + sums + tracks + base_row; }
};

// Cuts a task's scratch of ScratchSizes<T>::total(planes) bytes and sets its margins, which no layer writes.
template <class T>
Scratch<T> CarveScratch(const Network& net, int planes, void* memory) {
  const ScorerGeometry& g = net.geometry;
  const ScratchSizes<T> sizes(net);
  const size_t margin = static_cast<size_t>(net.margin) * g.filters, rows = static_cast<size_t>(g.length) * g.filters;
  auto* p = static_cast<unsigned char*>(memory);
  Scratch<T> s;
  for (int i = 0; i < planes; ++i, p += sizes.plane) {
    T* const plane = s.plane[i] = reinterpret_cast<T*>(p) + margin;
    std::fill_n(plane - margin, margin, T(0));
    std::fill_n(plane + rows, margin, T(0));
  }
  s.pooled = reinterpret_cast<T*>(p);
  s.head_sums = reinterpret_cast<float*>(p += sizes.pooled);
  s.tracks = reinterpret_cast<float*>(p += sizes.sums);
  s.base_row = reinterpret_cast<int32_t*>(p += sizes.tracks);
  const int half = net.first_half(), end = half + g.length;
  std::fill_n(s.base_row, half, kUnknownBase * g.filters);
  std::fill_n(s.base_row + end, half, kUnknownBase * g.filters);
  std::fill_n(s.tracks, half * g.structure, 0.0f);
  std::fill_n(s.tracks + end * g.structure, half * g.structure, 0.0f);
  return s;
}

// One sequence's bases as table offsets, and its tracks, between the margins.
template <class T>
void LoadSequence(const Network& net, const Block& block, int i, const Scratch<T>& s) {
  const ScorerGeometry& g = net.geometry;
  const int64_t sequence = block.Sequence(i);
  const uint32_t* words = block.bases + sequence * PackedWords(g.length);
  int32_t* base_row = s.base_row + net.first_half();
  for (int p = 0; p < g.length; ++p) base_row[p] = BaseAt(words, g.length, p) * g.filters;
  if (g.structure > 0) {
    const size_t values = static_cast<size_t>(g.length) * g.structure;
    std::memcpy(s.tracks + net.first_half() * g.structure, block.tracks + sequence * values, values * sizeof(float));
  }
}

// Adds up a sequence's head and applies the sigmoid, when there is one.
float FinishHead(const Network& net, float sum);

// The layers in one arithmetic, with the vector code of one target. Rows and pools are [begin, end) of one sequence.
template <class T>
struct Layers {
  using Activation = T;
  // Layer 1 with bias and ReLU, from s.base_row and s.tracks.
  void (*embed)(const Network& net, const Scratch<T>& s, int begin, int end, T* y);
  // Residual layer i: y = relu(conv(x) + bias [+ skip]).
  void (*conv)(const Network& net, int i, int begin, int end, const T* x, const T* skip, T* y);
  // pooled[pool*C + channel] = mean of the pool's rows.
  void (*pool)(const Network& net, int begin, int end, const T* x, T* pooled);
  // Dense layer and head of `count` rows of s.pooled: out[0 .. count). Overwrites s.head_sums.
  void (*dense_head)(const Network& net, const Scratch<T>& s, int count, float* out);
};
const Layers<float>& LayersFp32();
// Only on processors where HasBf16().
const Layers<uint16_t>& LayersBf16();

// Calls f with the layers of the network's precision.
template <class F>
auto WithLayers(const Network& net, const F& f) {
  return net.precision == Precision::kBf16 ? f(LayersBf16()) : f(LayersFp32());
}

}  // namespace rb::cpu::internal

namespace rb::cpu {
struct CpuScorer::Packed {
  internal::Network net;
};
}  // namespace rb::cpu

#endif  // RB_KERNELS_SCORER_INTERNAL_H_
