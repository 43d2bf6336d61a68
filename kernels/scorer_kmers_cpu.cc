// All k-mers at one place of a sequence: layers are recomputed only where a k-mer's letters reach.
//
// A row of layer i sees the letters at most reach[i] positions away: half the first width, plus half a tap's dilated
// reach for every residual layer below. All planes of one background stay in the cache, one a layer; from one k-mer to
// the next, in alphabetical order, only the rows that see a letter that changed are computed. For the paper's network
// and a 6-mer that are 13, 17 and 25 rows of the residual layers for three k-mers of four (18, 22 and 30 when the first
// letter changes) instead of 3 * 41. Rows behind those that see the first letter depend on the k-mer's last letters
// alone: they are kept, by these letters, the first time they are made, which leaves 8, 12 and 20 rows. So a k-mer
// costs 2.2 of 6.8 MFLOP; limited, like the whole scorer, by the multiply-add ports, with shorter tiles.
//
// Mapping: a task is one background sequence. Pooled rows of kBlock k-mers pass the dense layer together. A row is the
// same chain of multiply-adds whoever asks for it, so no bit differs from the whole path.
#include <cassert>
#include <type_traits>

#include "kernels/scorer_internal.h"

namespace rb::cpu {
namespace {

using internal::Block;
using internal::kBlock;
using internal::Layers;
using internal::Network;
using internal::Scratch;
using internal::ScratchSizes;

// Rows are kept for at most this many last letters: 1,364 rows a layer, 2.1 MB in fp32 for the paper's network.
constexpr int kKeptLetters = 5;

int64_t Kmers(int letters) { return int64_t{1} << (2 * letters); }

// Rows [begin, end).
struct Rows {
  int begin = 0, end = 0;
};

// A scan's shape: which rows of a layer see which letters.
struct Scan {
  int k = 0, position = 0, length = 0, planes = 0, channels = 0;
  bool keeps = false;
  int reach[internal::kMaxPlanes] = {};

  Scan(const Network& net, int k_letters, int at, KmerSharing sharing)
      : k(k_letters), position(at), length(net.geometry.length), planes(net.geometry.residual_layers + 1) {
    channels = net.geometry.filters;
    keeps = sharing == KmerSharing::kLetters;
    reach[0] = net.first_half();
    for (int i = 1; i < planes; ++i) reach[i] = reach[i - 1] + net.geometry.width / 2 * net.geometry.dilations[i - 1];
  }
  // Rows of a layer that see letter `first` or one behind it.
  Rows Seeing(int layer, int first) const {
    return {std::max(0, position + first - reach[layer]), std::min(length, position + k + reach[layer])};
  }
  // The row of a layer that sees the last `letters` letters and no others; may lie behind the sequence.
  int RowOfLast(int layer, int letters) const { return position + reach[layer] + k - letters; }
  int most_kept() const { return keeps ? std::min(k - 1, kKeptLetters) : 0; }
  // Place of the kept row of a layer for k-mer `kmer`'s last letters: [layer][letters][4^letters].
  int64_t KeptAt(int layer, int letters, int64_t kmer) const {
    const int64_t before = (Kmers(letters) - 4) / 3;  // 4 + 16 + ..
    return layer * KeptRows() + before + (kmer & (Kmers(letters) - 1));
  }
  int64_t KeptRows() const { return (Kmers(most_kept() + 1) - 4) / 3; }  // a layer
};

// One background under all k-mers.
template <class T>
class Background {
 public:
  static size_t Bytes(const Network& net, const Scan& scan) {
    return ScratchSizes<T>(net).total(scan.planes) + internal::AlignUp(sizeof(T) * net.dense_inputs()) +
           sizeof(T) * scan.planes * scan.KeptRows() * scan.channels;
  }
  Background(const Network& net, const Layers<T>& layers, const Scan& scan, void* memory)
      : net_(net), layers_(layers), scan_(scan), s_(internal::CarveScratch<T>(net, scan.planes, memory)) {
    auto* p = static_cast<unsigned char*>(memory) + ScratchSizes<T>(net).total(scan.planes);
    pooled_ = reinterpret_cast<T*>(p);
    kept_ = reinterpret_cast<T*>(p + internal::AlignUp(sizeof(T) * net.dense_inputs()));
  }

  void Score(const Block& block, float* out) {
    internal::LoadSequence(net_, block, 0, s_);
    for (int i = 0; i < scan_.planes; ++i) Layer(i, {0, scan_.length});
    layers_.pool(net_, 0, net_.geometry.pools(), s_.plane[scan_.planes - 1], pooled_);
    const int64_t kmers = Kmers(scan_.k);
    int waiting = 0;
    for (int64_t kmer = 0; kmer < kmers; ++kmer) {
      Write(kmer);
      std::memcpy(s_.pooled + static_cast<int64_t>(waiting) * net_.dense_inputs(), pooled_,
                  sizeof(T) * net_.dense_inputs());
      if (++waiting < kBlock && kmer + 1 < kmers) continue;
      layers_.dense_head(net_, s_, waiting, out);
      out += waiting;
      waiting = 0;
    }
  }

 private:
  void Layer(int i, Rows rows) const {
    if (rows.begin >= rows.end) return;
    if (i == 0) return layers_.embed(net_, s_, rows.begin, rows.end, s_.plane[0]);
    layers_.conv(net_, i - 1, rows.begin, rows.end, s_.plane[i - 1], i + 1 == scan_.planes ? s_.plane[0] : nullptr,
                 s_.plane[i]);
  }
  T* Row(int layer, int row) const { return s_.plane[layer] + static_cast<int64_t>(row) * scan_.channels; }
  T* Kept(int layer, int letters, int64_t kmer) const {
    return kept_ + scan_.KeptAt(layer, letters, kmer) * scan_.channels;
  }

  // From the k-mer before this one to this one.
  void Write(int64_t kmer) {
    int first = scan_.k - 1;  // the first letter that changed
    if (kmer == 0 || !scan_.keeps) first = 0;
    for (int64_t m = kmer; first > 0 && (m & 3) == 0; m >>= 2) --first;
    for (int j = first; j < scan_.k; ++j) {
      const int letter = static_cast<int>(KmerCode(kmer, scan_.k, j));
      s_.base_row[net_.first_half() + scan_.position + j] = letter * scan_.channels;
    }
    // The most last letters whose rows were kept by an earlier k-mer: those before the first one have all been met.
    int met = 0;
    while (met < scan_.most_kept() && Kmers(met + 1) <= kmer) ++met;
    for (int i = 0; i < scan_.planes; ++i) WriteLayer(i, first, met, kmer);
    Pool(scan_.Seeing(scan_.planes - 1, first));
  }
  void WriteLayer(int i, int first, int met, int64_t kmer) {
    const Rows rows = scan_.Seeing(i, first);
    Layer(i, {rows.begin, met > 0 ? std::min(rows.end, scan_.RowOfLast(i, met)) : rows.end});
    const size_t bytes = sizeof(T) * scan_.channels;
    for (int letters = scan_.most_kept(); letters > 0; --letters) {
      const int row = scan_.RowOfLast(i, letters);
      if (row < rows.begin || row >= rows.end) continue;
      if (letters <= met) {
        std::memcpy(Row(i, row), Kept(i, letters, kmer), bytes);
      } else {
        std::memcpy(Kept(i, letters, kmer), Row(i, row), bytes);
      }
    }
  }
  void Pool(Rows rows) const {
    const int size = net_.geometry.pool, begin = rows.begin / size,
              end = std::min(net_.geometry.pools(), (rows.end + size - 1) / size);
    if (begin < end) layers_.pool(net_, begin, end, s_.plane[scan_.planes - 1], pooled_);
  }

  const Network& net_;
  const Layers<T>& layers_;
  const Scan& scan_;
  Scratch<T> s_;
  T* pooled_;  // of the k-mer written last
  T* kept_;
};

}  // namespace

void CpuScorer::ScoreKmers(const uint32_t* bases, int64_t n, int k, int position, float* out, Parallel& parallel,
                           KmerSharing sharing) const {
  const Network& net = packed_->net;
  assert(net.geometry.structure == 0 && k >= 1 && k <= kMaxKmer);
  assert(position >= 0 && position + k <= net.geometry.length);
  const Scan scan(net, k, position, sharing);
  internal::WithLayers(net, [&](const auto& layers) {
    using T = typename std::decay_t<decltype(layers)>::Activation;
    const size_t bytes = Background<T>::Bytes(net, scan);
    parallel.Run(n, [&](int64_t task, int thread) {
      Background<T> background(net, layers, scan, parallel.Scratch(thread, bytes));
      background.Score({bases, nullptr, nullptr, task, 1, nullptr}, out + task * Kmers(k));
    });
  });
}

}  // namespace rb::cpu
