// Every tolerance of the tests, with its derivation. A tolerance changes only together with its derivation.
//
// Notation: u = eps/2, the largest relative error of one correctly rounded operation (2^-24 float, 2^-53 double).
//
// Sums of products. Let y = sum_i t_i, every term t_i a product of inputs, and let a program compute it with additions
// in any order, products and sums fused or not. Each term then reaches the result times at most `depth` factors (1 +
// d), |d| <= u, where depth = (operations inside a term) + (additions above it) [Higham 2002, section 3.1]. Hence
//
//   |computed - y| <= gamma(depth) * sum_i |t_i|,   gamma(k) = k*u / (1 - k*u).
//
// The double oracle returns sum_i |t_i| beside y (its "magnitude"). Its own error, the same expression with u of
// double, is covered for the operators in double by counting depth twice. ReLU and masks are 1-Lipschitz, so they keep
// the bound even where a rounding error flips the sign of a value near zero.
#ifndef RB_TESTS_SUPPORT_TOLERANCE_H_
#define RB_TESTS_SUPPORT_TOLERANCE_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/precision.h"

namespace rb::test {

template <class T>
inline constexpr double kUnitRoundoff = std::numeric_limits<T>::epsilon() / 2;

// gamma(depth) * magnitude; twice the depth in double, where operator and oracle err alike. The addend covers
// underflow: every operation may also err by half the smallest subnormal.
template <class T>
double SumBound(double depth, double magnitude) {
  const double ku = depth * kUnitRoundoff<T> * (std::is_same_v<T, double> ? 2 : 1);
  return ku / (1 - ku) * magnitude + depth * std::numeric_limits<T>::denorm_min();
}

// Operations inside a term before the summation starts.
//
// x * gamma*rstd*factor + (beta - mean*gamma*rstd)*factor, the folded batch norm with the dropout scale: the longest
// chain is mean * (gamma * rstd) subtracted from beta, times the factor (itself rounded), added to the product: 6.
inline constexpr int kActivationDepth = 6;
// dy = scale*dz + (slope*y + offset), offset = scale*(mean*s1 - s0), s1 = sums*inverse*rstd: the longest chain is
// 1/count, two products to s1, * mean, - s0, * scale (itself rounded), + slope*y, + scale*dz: 9.
inline constexpr int kNormGradDepth = 9;
// The activation behind a residual sum, and the pooling's factor (rounded once, multiplied once).
inline constexpr int kScaleDepth = 2;
// xhat = (x - mean) * rstd times dz: 3.
inline constexpr int kXhatDepth = 3;

// Matrix products on tensor cores. Operands are rounded to the precision, each by at most OperandRoundoff of its value.
// A step adds 8 or 16 exact products to the sum, every addend cut to the 24 bits of the largest: an error of at most 2u
// of the magnitude for each of 9 addends per 8 depths [Fasi et al. 2021, section 4], 9/4 of a rounded sum's.
inline double OperandRoundoff(Precision precision) {
  return precision == Precision::kFp32 ? 0 : precision == Precision::kTf32 ? 1.0 / 2048 : 1.0 / 256;
}
inline double ProductDepth(Precision precision, double depth) {
  return precision == Precision::kFp32 ? depth : 2.25 * depth;
}

// Moments made of blocks of `n` values a channel, merged by Chan's update in `blocks` steps; mean_abs is the largest
// mean |y| of a block.
//
// Mean: a block's own sum and its product with the rounded 1/n: depth n + 2. A merge, old + (block - old) * weight,
// adds at most 6 roundings of values no larger than mean_abs (the difference counts double), while the error of the
// older mean shrinks by 1 - weight: depth n + 2 + 6 * blocks in all.
template <class T>
double MeanBound(int64_t n, int blocks, double mean_abs) {
  return SumBound<T>(n + 2.0 + 6.0 * blocks, mean_abs);
}
// M2: with exact means the squares and merge terms are positive and add up to M2 itself: depth n + 8 + 4 * blocks. A
// mean wrong by E adds n*E^2 to a block's sum of squares, and at most n_b * (2 |delta_b| 2E + 4E^2) to a merge's term,
// with sum_b n_b |delta_b| <= (1 + blocks) * S1, S1 = sum |y - mean| (a block's own share, and the older mean's, whose
// weight falls as 1/b). `total` is the number of values of all blocks.
template <class T>
double M2Bound(int64_t n, int blocks, int64_t total, double m2, double s1, double mean_abs) {
  const double e = MeanBound<T>(n, blocks, mean_abs);
  return SumBound<T>(n + 8.0 + 4.0 * blocks, m2) + 4 * (1 + blocks) * s1 * e + 5 * total * e * e;
}

// The same of a stream (device layer 1): blocks of at most `n` values, each about as long as all before it together, of
// differences d to the older mean (the first block: to its first value).
//
// Mean: differences, their sum and its quotient make depth n + 3 of values up to 2 y_max; the rest as above.
// M2 of a block is sum d^2 - (sum d)^2 / n_b: three terms of depth n + 3 of at most sum d^2 (Cauchy). The first block
// has at most 7 values, one of them the shift: sum d^2 <= (1 + 7) its M2. A later one has n_b <= 7/4 N values, N those
// before, so its n_b delta^2 is at most 11/4 of the merge's term delta^2 n_b N / (n_b + N), which is part of M2. So
// sum d^2 <= 8 M2. Errors of means enter as above, since n_b |older mean - mean| <= 7/4 S1.
template <class T>
double StreamedMeanBound(int64_t n, int blocks, double y_max) {
  return MeanBound<T>(2 * n + 5, blocks, y_max);
}
template <class T>
double StreamedM2Bound(int64_t n, int blocks, int64_t total, double m2, double s1, double y_max) {
  const double e = StreamedMeanBound<T>(n, blocks, y_max);
  return SumBound<T>(3 * n + 9.0 + 4.0 * blocks, 8 * m2) + 4 * (1 + 2 * blocks) * s1 * e + 5 * total * e * e;
}

// rstd = 1/sqrt(variance + epsilon): a relative error r of variance + epsilon becomes r/2 (+ r^2), and division,
// addition, square root and reciprocal add 4 roundings.
template <class T>
double RstdBound(double rstd, double variance_error, double epsilon_plus_variance) {
  const double r = variance_error / epsilon_plus_variance;
  return rstd * (r / 2 + r * r) + SumBound<T>(4, rstd);
}

// Layer on layer (the fused scorer). A sum of magnitude m and depth k makes at most k roundings a term, the r-th of at
// most u times a partial sum, |d_r| <= u*m; storing a value v in bf16 adds one of at most kBf16Roundoff * |v| (in tf32,
// kTf32Roundoff * |v|). To first
// order the prediction is off by sum g_j d_r over all roundings r of all values j, where g_j is its derivative by value
// j (the oracle propagates it backwards; ReLU makes the network piecewise linear, so first order is exact but for
// values within their error of a kink). Roundings are independent and centred; by Hoeffding's inequality
//
//   |sum g_j d_r| > kDeviations * sqrt(sum (g_j d_max)^2)   has probability below 2 exp(-kDeviations^2 / 2) = 3e-14.
//
// (Worst cases instead, products of absolute row sums, exceed the prediction itself after five layers.)
// The dot-product instruction also flushes subnormals, at most 2^-126 each.
inline constexpr double kDeviations = 8;
inline constexpr double kBf16Roundoff = 1.0 / 256;   // 8 significant bits: half an ulp is at most 2^-8 of the value
inline constexpr double kTf32Roundoff = 1.0 / 2048;  // 11 significant bits
// sqrt(sum_r d_max^2) of one sum.
inline double RoundingSpread(double depth, double magnitude, bool flushes) {
  return std::sqrt(depth) * (kUnitRoundoff<float> * magnitude + (flushes ? std::ldexp(1.0, -126) : 0.0));
}
// 1/(1 + exp(-z)) is 1/4-Lipschitz; exp (under one ulp), sum and quotient add at most 4 roundings of values below one.
inline double SigmoidBound(double inherited) { return inherited / 4 + SumBound<float>(4, 1); }

// Functions of a transcendental in double (log1p, exp: below one unit in the last place each) rounded to T afterwards.
inline constexpr int kLossDepth = 8;

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_TOLERANCE_H_
