// The operators once more, in double, as plain loops written from the equations in kernels/*.h. Arrays are one model's,
// row-major, rows first. Every result carries, beside its value, the sum of the absolute values of its terms
// (tolerance.h).
#ifndef RB_TESTS_SUPPORT_ORACLE_H_
#define RB_TESTS_SUPPORT_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/common.h"
#include "kernels/philox.h"
#include "tests/support/operator_bed.h"
#include "tests/support/tolerance.h"

namespace rb::test::oracle {

using Values = std::vector<double>;

// Values v and their magnitudes m.
struct Field {
  Values v, m;
  Field() = default;
  explicit Field(size_t size) : v(size), m(size) {}
  // Exactly known values.
  explicit Field(Values values) : v(std::move(values)), m(v.size()) {
    for (size_t i = 0; i < v.size(); ++i) m[i] = std::abs(v[i]);
  }
  size_t size() const { return v.size(); }
};

template <class T>
Values Doubles(std::span<T> values) {
  return Values(values.begin(), values.end());
}

// Rows [begin, end) of a chunk.
inline int FirstRow(int rows, int chunk) { return static_cast<int>(std::floor(rows * chunk / 8.0)); }

// ------------------------------------------------------------------------------------------------------ dropout

inline uint32_t Threshold(double rate) { return static_cast<uint32_t>(std::floor(rate * 65536 + 0.5)); }
inline double KeepScale(double rate) { return 65536.0 / (65536.0 - Threshold(rate)); }
// One Philox call covers eight elements, two to a word, the lower half first.
inline bool Kept(const StepState& state, uint32_t layer, uint64_t element, double rate) {
  const PhiloxBlock block =
      Philox(state.dropout_key, static_cast<uint32_t>(element / 8), layer,
             static_cast<uint32_t>(state.step % 0x100000000ull), static_cast<uint32_t>(state.step / 0x100000000ull));
  const uint32_t word = block.word[element % 8 / 2];
  return (element % 2 == 0 ? word % 65536 : word / 65536) >= Threshold(rate);
}
inline bool BitOf(std::span<const uint32_t> words, size_t i) { return words[i / 32] >> (i % 32) & 1u; }

// --------------------------------------------------------------------------------------------------- batch norm

struct Norm {
  Values mean, rstd, gamma, beta;
  int channels() const { return static_cast<int>(mean.size()); }
};

// gamma * (x - mean) * rstd + beta, channels fastest.
inline Field Normalise(const Values& x, const Norm& norm) {
  Field z(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % norm.mean.size();
    const double scale = norm.gamma[c] * norm.rstd[c];
    z.v[i] = scale * (x[i] - norm.mean[c]) + norm.beta[c];
    z.m[i] = std::abs(scale) * (std::abs(x[i]) + std::abs(norm.mean[c])) + std::abs(norm.beta[c]);
  }
  return z;
}

// An activation with what decided it: z is the value before ReLU, kept the dropout's choice.
struct Activation {
  Field a, z;
  std::vector<uint8_t> kept;
  bool on(size_t i) const { return kept[i] && z.v[i] > 0; }
};

// dropout(relu(z)).
inline Activation Activate(Field z, const StepState& state, uint32_t layer, double rate) {
  Activation out;
  out.a = Field(z.size());
  out.kept.resize(z.size());
  const double scale = KeepScale(rate);
  for (size_t i = 0; i < z.size(); ++i) {
    out.kept[i] = Kept(state, layer, i, rate);
    out.a.v[i] = out.kept[i] && z.v[i] > 0 ? z.v[i] * scale : 0;
    out.a.m[i] = out.kept[i] ? z.m[i] * scale : 0;  // also where z <= 0: rounding may lift it above
  }
  out.z = std::move(z);
  return out;
}

// d loss / d y from dz = d loss / d z through a batch norm over `count` values a channel; sums[0] = sum dz, sums[1] =
// sum dz * xhat.
inline Field NormGrad(const Field& dz, const Values& y, const Norm& norm, const Values& sums, double count) {
  Field dy(y.size());
  const size_t channels = norm.mean.size();
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t c = i % channels;
    const double scale = norm.gamma[c] * norm.rstd[c], xhat = (y[i] - norm.mean[c]) * norm.rstd[c];
    dy.v[i] = scale * (dz.v[i] - sums[c] / count - xhat * sums[channels + c] / count);
    dy.m[i] = std::abs(scale) *
              (dz.m[i] + std::abs(sums[c] / count) +
               (std::abs(y[i]) + std::abs(norm.mean[c])) * std::abs(norm.rstd[c] * sums[channels + c] / count));
  }
  return dy;
}

// [2][C]: sum of dz and of dz * xhat over values [begin, end).
inline Field NormGradSums(const Field& dz, const Values& x, const Norm& norm, size_t begin, size_t end) {
  const size_t channels = norm.mean.size();
  Field sums(2 * channels);
  for (size_t i = begin; i < end; ++i) {
    const size_t c = i % channels;
    sums.v[c] += dz.v[i];
    sums.m[c] += dz.m[i];
    sums.v[channels + c] += dz.v[i] * (x[i] - norm.mean[c]) * norm.rstd[c];
    sums.m[channels + c] += dz.m[i] * (std::abs(x[i]) + std::abs(norm.mean[c])) * std::abs(norm.rstd[c]);
  }
  return sums;
}

// Mean and M2 of each channel over values [begin, end), with what M2Bound needs.
struct Moments {
  Values mean, m2, s1, mean_abs;
  int64_t count = 0;
};
inline Moments MomentsOf(const Values& y, int channels, size_t begin, size_t end) {
  Moments out = {Values(channels), Values(channels), Values(channels), Values(channels)};
  out.count = static_cast<int64_t>(end - begin) / channels;
  if (out.count == 0) return out;
  for (size_t i = begin; i < end; ++i) {
    out.mean[i % channels] += y[i] / static_cast<double>(out.count);
    out.mean_abs[i % channels] += std::abs(y[i]) / static_cast<double>(out.count);
  }
  for (size_t i = begin; i < end; ++i) {
    const double delta = y[i] - out.mean[i % channels];
    out.m2[i % channels] += delta * delta;
    out.s1[i % channels] += std::abs(delta);
  }
  return out;
}

// ------------------------------------------------------------------------------------------------- convolutions

struct ConvShape {
  int length = 0, in = 0, out = 0, width = 0, dilation = 1;
  // The input position of tap k at output position l; outside [0, length) is padding.
  int Source(int l, int k) const { return l + (k - (width - 1) / 2) * dilation; }
  bool Inside(int l) const { return l >= 0 && l < length; }
};

// Calls f(n, l, k, source position) for every tap that falls inside, of rows [begin, end).
template <class F>
void ForEachTap(const ConvShape& s, int begin, int end, const F& f) {
  for (int n = begin; n < end; ++n) {
    for (int l = 0; l < s.length; ++l) {
      for (int k = 0; k < s.width; ++k) {
        if (s.Inside(s.Source(l, k))) f(n, l, k, s.Source(l, k));
      }
    }
  }
}

// y[n,l,o] = sum_k sum_c a[n, source(l,k), c] * w[k,c,o].
inline Field Conv(const ConvShape& s, const Field& a, const Values& w, int rows) {
  Field y(static_cast<size_t>(rows) * s.length * s.out);
  ForEachTap(s, 0, rows, [&](int n, int l, int k, int p) {
    double* v = &y.v[(static_cast<size_t>(n) * s.length + l) * s.out];
    double* m = &y.m[(static_cast<size_t>(n) * s.length + l) * s.out];
    for (int c = 0; c < s.in; ++c) {
      const size_t at = (static_cast<size_t>(n) * s.length + p) * s.in + c;
      if (a.m[at] == 0) continue;
      const double* weight = &w[(static_cast<size_t>(k) * s.in + c) * s.out];
      for (int o = 0; o < s.out; ++o) {
        v[o] += a.v[at] * weight[o];
        m[o] += a.m[at] * std::abs(weight[o]);
      }
    }
  });
  return y;
}

// d loss / d a: every product of the forward equation, read backwards.
inline Field ConvDataGrad(const ConvShape& s, const Field& dy, const Values& w, int rows) {
  Field da(static_cast<size_t>(rows) * s.length * s.in);
  ForEachTap(s, 0, rows, [&](int n, int l, int k, int p) {
    const double* v = &dy.v[(static_cast<size_t>(n) * s.length + l) * s.out];
    const double* m = &dy.m[(static_cast<size_t>(n) * s.length + l) * s.out];
    for (int c = 0; c < s.in; ++c) {
      const double* weight = &w[(static_cast<size_t>(k) * s.in + c) * s.out];
      double sum = 0, magnitude = 0;
      for (int o = 0; o < s.out; ++o) {
        sum += v[o] * weight[o];
        magnitude += m[o] * std::abs(weight[o]);
      }
      const size_t at = (static_cast<size_t>(n) * s.length + p) * s.in + c;
      da.v[at] += sum;
      da.m[at] += magnitude;
    }
  });
  return da;
}

// d loss / d w over rows [begin, end).
inline Field ConvWeightGrad(const ConvShape& s, const Field& a, const Field& dy, int begin, int end) {
  Field dw(static_cast<size_t>(s.width) * s.in * s.out);
  ForEachTap(s, begin, end, [&](int n, int l, int k, int p) {
    const size_t from = (static_cast<size_t>(n) * s.length + l) * s.out;
    for (int c = 0; c < s.in; ++c) {
      const size_t at = (static_cast<size_t>(n) * s.length + p) * s.in + c;
      if (a.m[at] == 0) continue;
      const size_t to = (static_cast<size_t>(k) * s.in + c) * s.out;
      for (int o = 0; o < s.out; ++o) {
        dw.v[to + o] += a.v[at] * dy.v[from + o];
        dw.m[to + o] += a.m[at] * dy.m[from + o];
      }
    }
  });
  return dw;
}

// ----------------------------------------------------------------------------------------------------- pooling

// dz[n,l,c] = on ? dp[n, l/pool, c] : 0; 0 beyond the last whole pool. on: a predicate of the flat index (n, l, c).
template <class On>
Field ExpandPool(const Field& dp, int rows, int length, int channels, int pool, const On& on) {
  const int pools = length / pool;
  Field dz(static_cast<size_t>(rows) * length * channels);
  for (int n = 0; n < rows; ++n) {
    for (int l = 0; l < pools * pool; ++l) {
      for (int c = 0; c < channels; ++c) {
        const size_t to = (static_cast<size_t>(n) * length + l) * channels + c;
        const size_t from = (static_cast<size_t>(n) * pools + l / pool) * channels + c;
        if (!on(to)) continue;
        dz.v[to] = dp.v[from];
        dz.m[to] = dp.m[from];
      }
    }
  }
  return dz;
}

// -------------------------------------------------------------------------------------------------- comparisons

// What values of a type are computed in: bf16 is only stored.
template <class T>
using Arithmetic = std::conditional_t<std::is_same_v<std::remove_const_t<T>, BFloat16>, float, std::remove_const_t<T>>;

// Operator against oracle: equal in integer cases (whose premise, that nothing is rounded, is checked: multiples of
// `grain` that fit float's 24 bits, bf16's 8), else within gamma(depth) * magnitude. roundoff: what rounding to a
// narrower format inside (operands, stored values) may add, relative to the magnitude.
template <class T>
void ExpectField(std::span<T> got, const Field& want, double depth, Fill fill, const std::string& what,
                 double grain = 1, double roundoff = 0) {
  ASSERT_LE(want.size(), got.size()) << what;
  const Values values = Doubles(got.first(want.size()));
  Values bound(want.size());
  if (fill != Fill::kInteger) {
    for (size_t i = 0; i < bound.size(); ++i)
      bound[i] = SumBound<Arithmetic<T>>(depth, want.m[i]) + roundoff * want.m[i];
  } else {
    const double most = std::is_same_v<std::remove_const_t<T>, BFloat16> ? 256 : 16777216;
    for (const double m : want.m) ASSERT_LT(m, most * grain) << what << ": not an exact case";
  }
  ExpectAllWithin<double, double, double>(values, want.v, bound, what);
}

// Mask words against an activation: equal wherever rounding cannot have changed the sign of z. `covered(i)`: whether
// the bit of element i is defined.
template <class T, class Covered>
void ExpectMask(std::span<const uint32_t> words, const Activation& want, double depth, Fill fill,
                const Covered& covered, const std::string& what) {
  int64_t bad = 0, compared = 0;
  for (size_t i = 0; i < want.kept.size(); ++i) {
    const bool sure =
        fill == Fill::kInteger || std::abs(want.z.v[i]) > SumBound<T>(depth, want.z.m[i]) || !want.kept[i];
    if (!covered(i) || !sure) continue;
    ++compared;
    bad += BitOf(words, i) != want.on(i);
  }
  CountComparisons(compared);
  EXPECT_EQ(bad, 0) << what << ": wrong mask bits, of " << compared;
  EXPECT_GE(compared, static_cast<int64_t>(want.kept.size() / 4)) << what;
}

// moments[chunk][2][C] of the stored values y[rows][positions][C], chunk by chunk; an empty chunk is zero.
template <class T>
void ExpectMoments(std::span<T> moments, const Values& y, int rows, int positions, int channels, int block_rows,
                   const std::string& what) {
  const size_t row = static_cast<size_t>(positions) * channels;
  for (int chunk = 0; chunk < 8; ++chunk) {
    const int begin = FirstRow(rows, chunk), end = FirstRow(rows, chunk + 1);
    const Moments want = MomentsOf(y, channels, begin * row, end * row);
    const int blocks = (end - begin + block_rows - 1) / block_rows;
    Values mean_bound(channels), m2_bound(channels), mean_abs(channels);
    for (int n = begin; n < end; n += block_rows) {
      const Moments block = MomentsOf(y, channels, n * row, std::min(end, n + block_rows) * row);
      for (int c = 0; c < channels; ++c) mean_abs[c] = std::max(mean_abs[c], block.mean_abs[c]);
    }
    const int64_t n = static_cast<int64_t>(positions) * block_rows;
    for (int c = 0; c < channels; ++c) {
      mean_bound[c] = MeanBound<T>(n, blocks, mean_abs[c]);
      m2_bound[c] = M2Bound<T>(n, blocks, want.count, want.m2[c], want.s1[c], mean_abs[c]);
    }
    const auto part = moments.subspan(static_cast<size_t>(chunk) * 2 * channels, 2 * channels);
    ExpectAllWithin<double, double, double>(Doubles(part.first(channels)), want.mean, mean_bound, what + " mean");
    ExpectAllWithin<double, double, double>(Doubles(part.last(channels)), want.m2, m2_bound, what + " M2");
  }
}

}  // namespace rb::test::oracle

#endif  // RB_TESTS_SUPPORT_ORACLE_H_
