// The folded network in double, one clear loop a layer, and the bound within which a correct program must stay
// (tolerance.h: "Layer on layer"): forwards with each value's roundings, then derivatives backwards.
#ifndef RB_TESTS_SUPPORT_SCORER_ORACLE_H_
#define RB_TESTS_SUPPORT_SCORER_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/scorer.h"
#include "tests/support/tolerance.h"

namespace rb::test {

// Nearest bf16 (8 significant bits), ties to even, by arithmetic alone. Normal range only.
inline double RoundToBf16(double v) {
  if (v == 0) return 0;
  int exponent;
  std::frexp(v, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(v, 8 - exponent)), exponent - 8);
}

// Nearest tf32 (11 significant bits), ties away from zero, as cvt.rna rounds.
inline double RoundToTf32(double v) {
  if (v == 0) return 0;
  int exponent;
  std::frexp(v, &exponent);
  return std::ldexp(std::round(std::ldexp(v, 11 - exponent)), exponent - 11);
}

class ScorerOracle {
 public:
  struct Prediction {
    double value = 0, bound = 0;
  };

  // kFloat: nothing is rounded. kTf32, kBf16: weights are; stored activations only enter the bound. kBf16Rounded: they
  // are too, at the points where the bf16 scorer stores them.
  enum class Mode { kFloat, kTf32, kBf16, kBf16Rounded };
  // What layer 1 does with its weights and tracks: a look-up and multiply-adds in fp32, or a product like the others.
  enum class First { kLookUp, kProduct };

  ScorerOracle(const ScorerGeometry& g, const FoldedWeights& w, Mode mode, First first = First::kLookUp)
      : g_(g), mode_(mode), round_first_(first == First::kProduct && mode != Mode::kFloat) {
    const size_t c = g.filters;
    const bool round = mode != Mode::kFloat;
    embed_ = Copy(w.embed, g.first_width * (4 + g.structure) * c, round_first_);
    embed_bias_ = Copy(w.embed_bias, c, false);
    for (int i = 0; i < g.residual_layers; ++i) {
      conv_.push_back(Copy(w.conv[i], g.width * c * c, round));
      conv_bias_.push_back(Copy(w.conv_bias[i], c, false));
    }
    dense_ = Copy(w.dense, g.pools() * c * g.hidden, round);
    dense_bias_ = Copy(w.dense_bias, g.hidden, false);
    head_ = Copy(w.head, g.hidden + 1, false);
  }

  // codes[L] (0..3 or unknown), tracks[L][S].
  Prediction Score(const uint8_t* codes, const float* tracks) {
    std::vector<Values> a = {Embed(codes, tracks)};
    for (int i = 0; i < g_.residual_layers; ++i) {
      a.push_back(Conv(i, a[i], i + 1 == g_.residual_layers ? &a[0] : nullptr));
    }
    const Values p = Pool(a.back()), h = Dense(p);
    double z = head_[g_.hidden], magnitude = std::abs(z);
    for (int o = 0; o < g_.hidden; ++o) {
      z += h.value[o] * head_[o];
      magnitude += std::abs(h.value[o] * head_[o]);
    }
    const double local = Spread(g_.hidden + 2.0, magnitude);
    const double bound = kDeviations * std::sqrt(local * local + SquaredErrors(a, p, h));
    if (!g_.sigmoid) return {z, bound};
    return {1 / (1 + std::exp(-z)), SigmoidBound(bound)};
  }

  // Largest sum of magnitudes met so far, and whether rounding to bf16 would change any stored value: what exact tests
  // rely on.
  double largest_magnitude() const { return largest_magnitude_; }
  bool fits_bf16() const { return fits_bf16_; }

 private:
  using Doubles = std::vector<double>;

  // One layer's stored values and the spread of each one's own roundings.
  struct Values {
    explicit Values(size_t n) : value(n), spread(n) {}
    Doubles value, spread;
  };

  // One row of outputs while it adds up.
  struct Sums {
    explicit Sums(const Doubles& bias) : value(bias), magnitude(bias) {
      for (double& m : magnitude) m = std::abs(m);
    }
    void Add(double x, const double* w) {
      if (x == 0) return;
      for (size_t o = 0; o < value.size(); ++o) {
        value[o] += x * w[o];
        magnitude[o] += std::abs(x * w[o]);
      }
    }
    Doubles value, magnitude;
  };

  double Round(double v) const { return mode_ == Mode::kTf32 ? RoundToTf32(v) : RoundToBf16(v); }
  Doubles Copy(const float* from, size_t n, bool round) const {
    Doubles to(from, from + n);
    if (round) std::transform(to.begin(), to.end(), to.begin(), [this](double v) { return Round(v); });
    return to;
  }

  double Spread(double depth, double magnitude) {
    largest_magnitude_ = std::max(largest_magnitude_, magnitude);
    return RoundingSpread(depth, magnitude, mode_ != Mode::kFloat);
  }

  // A sum's value goes through ReLU, when there is one, into storage.
  void Store(double sum, double spread, bool relu, Values& to, size_t at) {
    const double v = relu ? std::max(sum, 0.0) : sum, rounded = RoundToBf16(v);
    fits_bf16_ = fits_bf16_ && rounded == v;
    to.value[at] = mode_ == Mode::kBf16Rounded ? rounded : v;
    const double storing = mode_ == Mode::kFloat ? 0 : (mode_ == Mode::kTf32 ? kTf32Roundoff : kBf16Roundoff) * v;
    to.spread[at] = relu && sum < -kDeviations * spread ? 0 : std::hypot(spread, storing);
  }

  Values Embed(const uint8_t* codes, const float* tracks) {
    const int channels = 4 + g_.structure, c = g_.filters;
    Values a(static_cast<size_t>(g_.length) * c);
    for (int l = 0; l < g_.length; ++l) {
      Sums sums(embed_bias_);
      for (int k = 0; k < g_.first_width; ++k) {
        const int p = l + k - g_.first_width / 2;
        if (p < 0 || p >= g_.length) continue;
        const double* w = &embed_[static_cast<size_t>(k) * channels * c];
        if (codes[p] < 4) sums.Add(1, w + codes[p] * c);
        for (int s = 0; s < g_.structure; ++s) {
          const double track = tracks[p * g_.structure + s];
          sums.Add(round_first_ ? Round(track) : track, w + (4 + s) * c);
        }
      }
      const double depth = g_.first_width * (1.0 + g_.structure) + 2;  // adds, the bias, a product
      for (int o = 0; o < c; ++o) {
        Store(sums.value[o], Spread(depth, sums.magnitude[o]), true, a, static_cast<size_t>(l) * c + o);
      }
    }
    return a;
  }

  // Calls f(l, p, w) for every pair of an output row and a tap inside the sequence; w is the tap's [C][C].
  template <class F>
  void ForEachTap(int layer, const F& f) const {
    for (int l = 0; l < g_.length; ++l) {
      for (int k = 0; k < g_.width; ++k) {
        const int p = l + (k - g_.width / 2) * g_.dilations[layer];
        if (p >= 0 && p < g_.length) f(l, p, &conv_[layer][static_cast<size_t>(k) * g_.filters * g_.filters]);
      }
    }
  }

  Values Conv(int layer, const Values& x, const Values* skip) {
    const size_t c = g_.filters;
    Values a(x.value.size());
    std::vector<Sums> sums(g_.length, Sums(conv_bias_[layer]));
    ForEachTap(layer, [&](int l, int p, const double* w) {
      for (size_t i = 0; i < c; ++i) sums[l].Add(x.value[p * c + i], w + i * c);
    });
    const double depth = g_.width * static_cast<double>(c) + 3;  // adds, the bias, the skip, a product
    for (size_t at = 0; at < a.value.size(); ++at) {
      const double s = skip ? skip->value[at] : 0;
      Store(sums[at / c].value[at % c] + s, Spread(depth, sums[at / c].magnitude[at % c] + std::abs(s)), true, a, at);
    }
    return a;
  }

  Values Pool(const Values& x) {
    const int c = g_.filters;
    Values p(static_cast<size_t>(g_.pools()) * c);
    for (size_t at = 0; at < p.value.size(); ++at) {
      double value = 0, magnitude = 0;
      for (int r = 0; r < g_.pool; ++r) {
        const double v = x.value[(at / c * g_.pool + r) * c + at % c] / g_.pool;
        value += v;
        magnitude += std::abs(v);
      }
      Store(value, Spread(g_.pool + 2.0, magnitude), false, p, at);  // adds, 1/pool and its product
    }
    return p;
  }

  Values Dense(const Values& p) {
    Sums sums(dense_bias_);
    for (size_t i = 0; i < p.value.size(); ++i) sums.Add(p.value[i], &dense_[i * g_.hidden]);
    Values h(g_.hidden);
    for (int o = 0; o < g_.hidden; ++o) {
      h.value[o] = std::max(sums.value[o], 0.0);  // never leaves its register: fp32 in every mode
      h.spread[o] = Spread(p.value.size() + 2.0, sums.magnitude[o]);
    }
    return h;
  }

  // sum over values of (derivative * spread)^2; turns the derivatives into those before the layer's ReLU.
  static double Collect(const Values& values, bool relu, Doubles& g) {
    double sum = 0;
    for (size_t i = 0; i < g.size(); ++i) {
      sum += g[i] * g[i] * values.spread[i] * values.spread[i];
      if (relu && values.value[i] <= 0) g[i] = 0;
    }
    return sum;
  }

  double SquaredErrors(const std::vector<Values>& a, const Values& p, const Values& h) const {
    const size_t c = g_.filters;
    Doubles g(head_.begin(), head_.end() - 1);
    double sum = Collect(h, true, g);
    Doubles gp(p.value.size());
    for (size_t i = 0; i < gp.size(); ++i) {
      for (int o = 0; o < g_.hidden; ++o) gp[i] += dense_[i * g_.hidden + o] * g[o];
    }
    sum += Collect(p, false, gp);
    g.assign(a[0].value.size(), 0);
    for (size_t at = 0; at < g.size(); ++at) {
      const size_t pool = at / c / g_.pool;
      if (pool < static_cast<size_t>(g_.pools())) g[at] = gp[pool * c + at % c] / g_.pool;
    }
    Doubles skip;
    for (int layer = g_.residual_layers; layer-- > 0;) {
      sum += Collect(a[layer + 1], true, g);
      if (skip.empty()) skip = g;
      Doubles gx(g.size());
      ForEachTap(layer, [&](int l, int from, const double* w) {
        for (size_t i = 0; i < c; ++i) {
          for (size_t o = 0; o < c; ++o) gx[from * c + i] += w[i * c + o] * g[l * c + o];
        }
      });
      g = gx;
    }
    for (size_t at = 0; at < g.size(); ++at) g[at] += skip[at];
    return sum + Collect(a[0], true, g);
  }

  ScorerGeometry g_;
  Mode mode_;
  bool round_first_;
  Doubles embed_, embed_bias_, dense_, dense_bias_, head_;
  std::vector<Doubles> conv_, conv_bias_;
  double largest_magnitude_ = 0;
  bool fits_bf16_ = true;
};

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_SCORER_ORACLE_H_
