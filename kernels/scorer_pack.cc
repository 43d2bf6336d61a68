// Construction and entry point of the CPU scorer: packing of weights, cutting of a batch into tasks. No vector code.
#include <cassert>
#include <cmath>
#include <cstdio>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/common.h"
#include "kernels/scorer_internal.h"

namespace rb {

int64_t FlopsPerSequence(const ScorerGeometry& g) {
  // Rows of the sequence that a tap shifted by `reach` positions sees; the others read padding.
  const auto visible = [&](int reach) { return static_cast<int64_t>(std::max(0, g.length - std::abs(reach))); };
  int64_t embed_rows = 0, conv_rows = 0;
  for (int t = 0; t < g.first_width; ++t) embed_rows += visible(t - g.first_width / 2);
  for (int i = 0; i < g.residual_layers; ++i) {
    for (int t = 0; t < g.width; ++t) conv_rows += visible((t - g.width / 2) * g.dilations[i]);
  }
  const int64_t filters = g.filters, hidden = g.hidden;
  return embed_rows * filters * (1 + 2 * g.structure) + conv_rows * filters * filters * 2 +
         g.pools() * filters * hidden * 2 + hidden * 2;
}

}  // namespace rb

namespace rb::cpu {
namespace {

// Hands out aligned pieces of one allocation; with a null base it only counts.
class Carver {
 public:
  explicit Carver(void* base) : base_(static_cast<unsigned char*>(base)) {}
  template <class T>
  T* Take(size_t count) {
    unsigned char* at = base_ == nullptr ? nullptr : base_ + used_;
    used_ += internal::AlignUp(count * sizeof(T));
    return reinterpret_cast<T*>(at);
  }
  size_t used() const { return used_; }

 private:
  unsigned char* base_;
  size_t used_ = 0;
};

template <class T>
T* Copy(Carver& carver, const float* from, size_t count) {
  T* to = carver.Take<T>(count);
  if (to != nullptr) std::memcpy(to, from, count * sizeof(T));
  return to;
}

// w[rows = taps * channels][outputs] -> panels of kPanel outputs; bf16 keeps two successive rows side by side.
const void* CopyPanels(Carver& carver, const float* w, int rows, int outputs, Precision precision) {
  const size_t count = static_cast<size_t>(rows) * outputs;
  if (precision == Precision::kBf16) {
    uint16_t* to = carver.Take<uint16_t>(count);
    if (to == nullptr) return to;
    for (int panel = 0; panel < outputs / kPanel; ++panel) {
      for (int pair = 0; pair < rows / 2; ++pair) {
        const float* from = w + static_cast<int64_t>(2 * pair) * outputs + panel * kPanel;
        for (int o = 0; o < kPanel; ++o) {
          to[((static_cast<int64_t>(panel) * rows / 2 + pair) * kPanel + o) * 2] = FloatToBf16(from[o]);
          to[((static_cast<int64_t>(panel) * rows / 2 + pair) * kPanel + o) * 2 + 1] = FloatToBf16(from[outputs + o]);
        }
      }
    }
    return to;
  }
  float* to = carver.Take<float>(count);
  if (to == nullptr) return to;
  for (int panel = 0; panel < outputs / kPanel; ++panel) {
    for (int row = 0; row < rows; ++row) {
      std::memcpy(to + (static_cast<int64_t>(panel) * rows + row) * kPanel,
                  w + static_cast<int64_t>(row) * outputs + panel * kPanel, kPanel * sizeof(float));
    }
  }
  return to;
}

// Layer 1: w[first_width][4+S][C] -> a table with a fifth row of zeros, and the tracks' weights apart.
void CopyEmbed(Carver& carver, const FoldedWeights& weights, internal::Network& net) {
  const ScorerGeometry& g = net.geometry;
  const size_t row = g.filters, from_tap = (4 + g.structure) * row, table_tap = internal::kBaseRows * row,
               track_tap = g.structure * row;
  float* table = carver.Take<float>(g.first_width * table_tap);
  float* tracks = carver.Take<float>(g.first_width * track_tap);
  if (table != nullptr) {
    for (int t = 0; t < g.first_width; ++t) {
      const float* from = weights.embed + t * from_tap;
      std::memcpy(table + t * table_tap, from, 4 * row * sizeof(float));
      std::memset(table + t * table_tap + 4 * row, 0, row * sizeof(float));
      std::memcpy(tracks + t * track_tap, from + 4 * row, track_tap * sizeof(float));
    }
  }
  net.embed = table;
  net.tracks = tracks;
}

// Lays out, or with a null base only measures, everything.
size_t Pack(void* base, const FoldedWeights& weights, internal::Network& net) {
  const ScorerGeometry& g = net.geometry;
  Carver carver(base);
  CopyEmbed(carver, weights, net);
  net.embed_bias = Copy<float>(carver, weights.embed_bias, g.filters);
  for (int i = 0; i < g.residual_layers; ++i) {
    net.conv[i] = CopyPanels(carver, weights.conv[i], g.width * g.filters, g.filters, net.precision);
    net.conv_bias[i] = Copy<float>(carver, weights.conv_bias[i], g.filters);
  }
  net.dense = CopyPanels(carver, weights.dense, net.dense_inputs(), g.hidden, net.precision);
  net.dense_bias = Copy<float>(carver, weights.dense_bias, g.hidden);
  net.head = Copy<float>(carver, weights.head, g.hidden + 1);
  return carver.used();
}

// Layer 1's output stays for the skip, the others take turns.
constexpr int kPlanesInTurn = 3;

template <class T>
void ScoreBlock(const internal::Network& net, const internal::Layers<T>& layers, const internal::Block& block,
                const internal::Scratch<T>& s) {
  const ScorerGeometry& g = net.geometry;
  for (int i = 0; i < block.count; ++i) {
    internal::LoadSequence(net, block, i, s);
    layers.embed(net, s, 0, g.length, s.plane[0]);
    const T* x = s.plane[0];
    for (int layer = 0; layer < g.residual_layers; ++layer) {
      T* y = s.plane[1 + layer % 2];
      const bool last = layer + 1 == g.residual_layers;
      layers.conv(net, layer, 0, g.length, x, last ? s.plane[0] : nullptr, y);
      x = y;
    }
    layers.pool(net, 0, g.pools(), x, s.pooled + static_cast<int64_t>(i) * net.dense_inputs());
  }
  layers.dense_head(net, s, block.count, block.out + block.first);
}

}  // namespace

float internal::FinishHead(const Network& net, float sum) {
  const float z = sum + net.head[net.geometry.hidden];
  return net.geometry.sigmoid ? 1.0f / (1.0f + std::exp(-z)) : z;
}

CpuScorer::CpuScorer(const ScorerGeometry& geometry, const FoldedWeights& weights, Precision precision)
    : packed_(std::make_unique<Packed>()) {
  const ScorerGeometry& g = geometry;
  assert(g.filters % kPanel == 0 && g.hidden % kPanel == 0 && g.first_width % 2 == 1 && g.width % 2 == 1);
  assert(g.residual_layers >= 1 && g.residual_layers <= kMaxResidualLayers && g.pools() >= 1);
  internal::Network& net = packed_->net;
  net.geometry = geometry;
  net.precision = precision == Precision::kBf16 ? Precision::kBf16 : Precision::kFp32;
  if (net.precision == Precision::kBf16 && !HasBf16()) {
    std::fprintf(stderr, "CpuScorer: bf16 was asked of a processor without it; callers check HasBf16()\n");
    std::abort();
  }
  for (int i = 0; i < g.residual_layers; ++i) net.margin = std::max(net.margin, g.width / 2 * g.dilations[i]);
  // A page's alignment keeps the packed panels' cache lines and pages the same from run to run.
  constexpr size_t kPage = 4096;
  const size_t bytes = (Pack(nullptr, weights, net) + kPage - 1) / kPage * kPage;
  net.storage.reset(std::aligned_alloc(kPage, bytes));
  if (net.storage == nullptr) throw std::bad_alloc();
  Pack(net.storage.get(), weights, net);
}

CpuScorer::~CpuScorer() = default;
CpuScorer::CpuScorer(CpuScorer&&) noexcept = default;
CpuScorer& CpuScorer::operator=(CpuScorer&&) noexcept = default;

const ScorerGeometry& CpuScorer::geometry() const { return packed_->net.geometry; }
Precision CpuScorer::precision() const { return packed_->net.precision; }

void CpuScorer::Score(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t n, float* out,
                      Parallel& parallel) const {
  const internal::Network& net = packed_->net;
  assert(net.geometry.structure == 0 || tracks != nullptr);
  internal::WithLayers(net, [&](const auto& layers) {
    using T = typename std::decay_t<decltype(layers)>::Activation;
    const size_t bytes = internal::ScratchSizes<T>(net).total(kPlanesInTurn);
    parallel.Run((n + internal::kBlock - 1) / internal::kBlock, [&](int64_t task, int thread) {
      const int64_t first = task * internal::kBlock;
      const int count = static_cast<int>(std::min<int64_t>(internal::kBlock, n - first));
      ScoreBlock(net, layers, {bases, tracks, rows, first, count, out},
                 internal::CarveScratch<T>(net, kPlanesInTurn, parallel.Scratch(thread, bytes)));
    });
  });
}

}  // namespace rb::cpu
