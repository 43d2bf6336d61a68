// Networks and sequences for the tests of the scorers.
#ifndef RB_TESTS_KERNELS_SCORER_CASE_H_
#define RB_TESTS_KERNELS_SCORER_CASE_H_

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "kernels/scorer.h"
#include "tests/support/device_memory.h"
#include "tests/support/scorer_oracle.h"

namespace rb::test::scorer {

struct Case {
  std::string name;
  ScorerGeometry g;
  int sequences = 6;
};

inline ScorerGeometry Geometry(int length, int structure, int filters, int hidden, int pool,
                               std::vector<int> dilations) {
  ScorerGeometry g;
  g.length = length, g.structure = structure, g.filters = filters, g.hidden = hidden, g.pool = pool;
  g.residual_layers = static_cast<int>(dilations.size());
  std::copy(dilations.begin(), dilations.end(), g.dilations);
  return g;
}

// pool: 10 as in the paper, or a power of two where sums must stay exact.
inline std::vector<Case> Cases(int pool) {
  std::vector<Case> cases = {
      {"paper", Geometry(41, 0, 96, 256, pool, {1, 2, 4}), 29},
      {"published", Geometry(41, 0, 96, 256, pool, {1, 2, 4, 8}), 15},
      {"paper, two tracks", Geometry(41, 2, 96, 256, pool, {1, 2, 4})},
      {"paper, five tracks", Geometry(41, 5, 96, 256, pool, {1, 2, 4})},
      {"short, padding beyond the sequence", Geometry(16, 0, 32, 32, pool, {1, 2, 4, 8, 16})},
      {"64 positions, 64 filters", Geometry(64, 5, 64, 64, pool, {2, 8, 4})},
      {"100 positions, 128 filters", Geometry(100, 2, 128, 64, pool, {3, 1}), 3},
      {"longest", Geometry(512, 0, 32, 32, pool, {1, 2, 4, 8}), 2},
      {"longest, 96 filters", Geometry(512, 5, 96, 32, pool, {4}), 2},
      {"eight layers", Geometry(41, 0, 32, 32, pool, {1, 1, 2, 2, 4, 4, 8, 8})},
  };
  Case wide = {"widths 5 and 7", Geometry(50, 2, 64, 64, pool, {1, 3, 2})};
  wide.g.first_width = 7, wide.g.width = 5;
  Case narrow = {"widths 1", Geometry(33, 0, 160, 96, pool, {1, 2})};
  narrow.g.first_width = 1, narrow.g.width = 1;
  cases.push_back(wide);
  cases.push_back(narrow);
  return cases;
}

// Owns a network's weights and some sequences.
struct Bed {
  // fill(random, fan-in of the layer or 0 for a bias, is it the dense layer or the head) -> a weight.
  template <class Fill>
  Bed(const Case& c, const Fill& fill, int seed = 41) : g(c.g), n(c.sequences), random(seed) {
    const auto take = [&](size_t count, int fan_in, bool top = false) {
      std::vector<float>& v = arrays.emplace_back(count);
      for (float& x : v) x = fill(random, fan_in, top);
      return v.data();
    };
    const size_t filters = g.filters;
    w.embed = take(g.first_width * (4 + g.structure) * filters, g.first_width);
    w.embed_bias = take(filters, 0);
    for (int i = 0; i < g.residual_layers; ++i) {
      w.conv[i] = take(g.width * filters * filters, g.width * g.filters);
      w.conv_bias[i] = take(filters, 0);
    }
    w.dense = take(g.pools() * filters * g.hidden, g.pools() * g.filters, true);
    w.dense_bias = take(g.hidden, 0);
    w.head = take(g.hidden + 1, g.hidden, true);
    MakeSequences();
  }

  // Every third sequence has unknown bases throughout, every third is padded at both ends.
  void MakeSequences() {
    codes.resize(size_t(n) * g.length);
    words.resize(size_t(n) * PackedWords(g.length));
    for (int i = 0; i < n; ++i) {
      uint8_t* code = &codes[size_t(i) * g.length];
      for (int p = 0; p < g.length; ++p) {
        const bool unknown = (i % 3 == 1 && random.Below(8) == 0) || (i % 3 == 2 && (p < 2 || p + 3 >= g.length));
        const uint32_t base = random.Below(4);
        code[p] = unknown ? kUnknownBase : static_cast<uint8_t>(base);
      }
      PackBases(code, g.length, &words[size_t(i) * PackedWords(g.length)]);
    }
    tracks.resize(size_t(n) * g.length * g.structure);
    for (float& t : tracks) t = static_cast<float>(random.Below(3));
  }

  std::vector<ScorerOracle::Prediction> Expected(ScorerOracle& oracle) const {
    std::vector<ScorerOracle::Prediction> expected;
    for (int i = 0; i < n; ++i) {
      expected.push_back(
          oracle.Score(&codes[size_t(i) * g.length], tracks.data() + size_t(i) * g.length * g.structure));
    }
    return expected;
  }

  ScorerGeometry g;
  int n;
  PhiloxStream random;
  std::vector<std::vector<float>> arrays;
  FoldedWeights w;
  std::vector<uint8_t> codes;
  DeviceVector<uint32_t> words;
  DeviceVector<float> tracks;
};

// -1, 0 or 1, about `terms` of a sum's inputs not zero, 40 in the dense layer and the head, whose sums are not stored;
// biases 0 or 1.
inline auto SparseIntegers(double terms) {
  return [terms](PhiloxStream& random, int fan_in, bool top) -> float {
    if (fan_in == 0) return static_cast<float>(random.Below(2));
    const double u = random.Uniform() * fan_in / (top ? 40 : terms);
    return u < 0.6 ? 1.0f : u < 1 ? -1.0f : 0.0f;
  };
}

// Uniform, of a size that keeps activations of order one from layer to layer.
inline float Smooth(PhiloxStream& random, int fan_in, bool /*top*/) {
  const double size = fan_in == 0 ? 0.1 : std::sqrt(5.0 / fan_in);
  return static_cast<float>(size * (2 * random.Uniform() - 1));
}

}  // namespace rb::test::scorer

#endif  // RB_TESTS_KERNELS_SCORER_CASE_H_
