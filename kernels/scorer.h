// The fused scorer: packed bases in, predictions out, whole sequences kept in cache through all layers.
//
// Inference folds every batch norm into weights and biases once; one path then serves validation, evaluate, predict and
// global importance analysis. Layer by layer, for one sequence:
//   a0 = relu(embed(x) + b0);  a_i = relu(conv_i(a_{i-1}) + b_i), i = 1..R-1;  r = relu(conv_R(a_{R-1}) + b_R + a0)
//   p = mean pool of r;  h = relu(p . W + b);  out = h . w + bias
// A prediction is a pure function of its sequence and the weights: never of the batch, its place in it, or the threads.
#ifndef RB_KERNELS_SCORER_H_
#define RB_KERNELS_SCORER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/host_device.h"
#include "kernels/parallel.h"
#include "kernels/precision.h"

namespace rb {

inline constexpr int kMaxResidualLayers = 8;

struct ScorerGeometry {
  int length = 41;    // L, up to 512
  int structure = 0;  // S: 0, 2 or 5 tracks beside the four bases
  int filters = 96;   // C, multiple of kPanel
  int first_width = 11;
  int width = 3;
  int residual_layers = 3;
  int dilations[kMaxResidualLayers] = {1, 2, 4};
  int pool = 10;
  int hidden = 256;      // multiple of kPanel
  bool sigmoid = false;  // classification: out = 1 / (1 + exp(-out))
  RB_HOST_DEVICE constexpr int pools() const { return length / pool; }
};

// Arithmetic of one prediction, as benchmarks count it: a multiply and an add are two; a layer-1 base costs one add a
// tap and filter (a look-up), a track two; taps that fall on zero padding are not counted, whether or not they are
// computed; biases, ReLUs, the skip and the pooling are not counted. The paper's network: 6.78 MFLOP.
int64_t FlopsPerSequence(const ScorerGeometry& geometry);

// Folded weights, canonical layouts, float. Pointers need to live only during construction of a CpuScorer.
struct FoldedWeights {
  const float* embed = nullptr;                     // [first_width][4+S][C]
  const float* embed_bias = nullptr;                // [C]
  const float* conv[kMaxResidualLayers] = {};       // [width][C][C]
  const float* conv_bias[kMaxResidualLayers] = {};  // [C]
  const float* dense = nullptr;                     // [pools*C][hidden], row = pool*C + channel
  const float* dense_bias = nullptr;                // [hidden]
  const float* head = nullptr;                      // [hidden + 1], bias last
};

inline constexpr int kMaxKmer = 8;
// What the k-mers of a scan share beside their background sequence's rows, which none of them reaches.
enum class KmerSharing {
  kBackground,  // every row that a letter of the k-mer reaches is computed for every k-mer
  kLetters,     // rows that see only its first, or only its last, letters are computed once for these letters
};

namespace cpu {

// True when this processor runs the bf16 scorer (AVX512-BF16); otherwise Precision::kBf16 is refused by the caller.
bool HasBf16();
// Name of the vector target that run-time dispatch chose: "AVX3", "AVX2", "SCALAR", ...
const char* VectorTarget();

// Packed weights of one network, immutable after construction; Score may be called from many threads. kTf32 is computed
// in fp32 here, and precision() says so.
class CpuScorer {
 public:
  CpuScorer(const ScorerGeometry& geometry, const FoldedWeights& weights, Precision precision);
  ~CpuScorer();
  CpuScorer(CpuScorer&&) noexcept;
  CpuScorer& operator=(CpuScorer&&) noexcept;

  // out[i] = prediction of sequence rows[i] (or of sequence i when rows is null), i in [0, n).
  // bases [sequences][PackedWords(L)], tracks [sequences][L][S] or null.
  void Score(const uint32_t* bases, const float* tracks, const int32_t* rows, int64_t n, float* out,
             Parallel& parallel) const;

  // out[i][m] = prediction of sequence i with k-mer m written at positions [position, position + k), for all 4^k k-mers
  // in alphabetical order (A, C, G, U); the same bits as Score gives for sequences written out. Networks of sequence
  // alone (structure == 0), 1 <= k <= kMaxKmer, position + k <= length. `sharing` changes the time only.
  void ScoreKmers(const uint32_t* bases, int64_t n, int k, int position, float* out, Parallel& parallel,
                  KmerSharing sharing = KmerSharing::kLetters) const;

  const ScorerGeometry& geometry() const;
  Precision precision() const;

  struct Packed;  // for this library's own sources

 private:
  std::unique_ptr<Packed> packed_;
};

}  // namespace cpu
}  // namespace rb

#endif  // RB_KERNELS_SCORER_H_
