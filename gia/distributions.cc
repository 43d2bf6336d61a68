#include "gia/distributions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace rb {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// What Stirling's formula leaves out: log Gamma(z) - (z - 1/2) log z + z - log(2 pi) / 2 [Abramowitz & Stegun 6.1.41].
// Small z climb by log Gamma(z + 1) = log Gamma(z) + log z to where the series converges.
double StirlingRest(double z) {
  double sum = 0;
  for (; z < 16; z += 1) sum += (z + 0.5) * std::log1p(1 / z) - 1;
  const double w = 1 / (z * z);
  return sum + (1.0 / 12 - w * (1.0 / 360 - w * (1.0 / 1260 - w * (1.0 / 1680 - w * (1.0 / 1188))))) / z;
}

// v log(v / m) + m - v >= 0 without cancellation where m is near v.
double Deviance(double v, double m) {
  const double d = m / v - 1;
  if (std::abs(d) > 0.5) return v * (std::log(v) - std::log(m)) + (m - v);
  return v * (d - std::log1p(d));
}

// x^a y^b / B(a, b) in saddle-point form [after Loader 2000]: the large logarithms of x^a y^b and of the gamma
// functions cancel on paper instead of in rounding.
double PowerTerm(double a, double b, double x, double y) {
  if (x <= 0 || y <= 0) return 0;
  const double n = a + b;
  const double exponent = StirlingRest(n) - StirlingRest(a) - StirlingRest(b) - Deviance(a, n * x) - Deviance(b, n * y);
  return std::sqrt(a / n * b / (2 * std::numbers::pi)) * std::exp(exponent);
}

// I_x(a, b) / PowerTerm where x <= (a + 1) / (a + b + 2): the continued fraction of DLMF 8.17.22 contracted to its even
// part, whose terms stay positive for large a, by Lentz's method in Thompson and Barnett's form.
double BetaFraction(double a, double b, double x, double y) {
  constexpr double kTiny = 1e-300;
  const auto denominator = [&](double m) {
    return m + m * (b - m) * x / (a + 2 * m - 1) + (a + m) / (a + 2 * m + 1) * (a * y - b * x + 1 + m * (2 - x));
  };
  // m = 0 apart: the second term is 0 there, also for a = 1.
  double f = a / (a + 1) * (a * y - b * x + 1);
  if (f == 0) f = kTiny;
  double c = f, d = 0;
  for (int m = 1; m < 10'000'000; ++m) {
    const double s = a + 2.0 * m - 1;
    const double alpha = (a + m - 1) / s * ((a + b + m - 1) / s) * m * (b - m) * x * x;
    const double beta = denominator(m);
    d = beta + alpha * d;
    if (d == 0) d = kTiny;
    d = 1 / d;
    c = beta + alpha / c;
    if (c == 0) c = kTiny;
    f *= c * d;
    if (std::abs(c * d - 1) <= kEpsilon) break;
  }
  return 1 / f;
}

// P(|T| >= t) for t^2 / df beyond 1e30, where x = df / t^2 and all but the first term of the power series vanish. By
// logarithms, as t^2 may overflow.
double FarTail(double t, double df) {
  const double a = df / 2, log_x = std::log(df) - 2 * std::log(t);
  // log (a B(a, 1/2)) = log Gamma(a + 1) - log Gamma(a + 1/2) + log(pi) / 2
  const double h = a + 0.5;
  const double log_ab =
      StirlingRest(a + 1) - StirlingRest(h) + h * std::log1p(0.5 / h) - 0.5 + 0.5 * std::log(h * std::numbers::pi);
  return std::exp(a * log_x - log_ab);
}

}  // namespace

double IncompleteBeta(double a, double b, double x, double y) {
  if (!(a > 0 && b > 0 && x >= 0 && y >= 0 && x <= 1 && y <= 1)) return kNan;
  if (x == 0) return 0;
  if (y == 0) return 1;
  if (x <= (a + 1) / (a + b + 2)) return std::min(1.0, PowerTerm(a, b, x, y) * BetaFraction(a, b, x, y));
  return std::max(0.0, 1 - PowerTerm(b, a, y, x) * BetaFraction(b, a, y, x));
}

double StudentTwoSidedP(double t, double df) {
  if (std::isnan(t) || !(df > 0)) return kNan;
  t = std::abs(t);
  // From here on the normal distribution is nearer than the rounding of t.
  if (df > 1e17) return std::erfc(t / std::numbers::sqrt2);
  if (std::isinf(t)) return 0;
  const double r = t / std::sqrt(df);
  if (r > 1e15) return FarTail(t, df);
  const double square = r * r;
  return IncompleteBeta(df / 2, 0.5, 1 / (1 + square), square / (1 + square));
}

double StudentQuantile(double p, double df) {
  if (!(p > 0 && p <= 1 && df > 0)) return kNan;
  if (p == 1) return 0;
  double low = 1, high = 1;
  while (StudentTwoSidedP(high, df) > p && high < 1e300) high *= 2;
  while (StudentTwoSidedP(low, df) < p && low > 1e-300) low /= 2;
  // Newton, kept inside the shrinking bracket. d p / d t = -2 x^a y^b / (B(a, b) t).
  double t = low;
  for (int step = 0; step < 2000 && low < high; ++step) {
    const double found = StudentTwoSidedP(t, df);
    if (found == p) return t;
    (found > p ? low : high) = t;
    const double r = t / std::sqrt(df), square = r * r;
    const double slope = df > 1e17 ? std::sqrt(2 / std::numbers::pi) * std::exp(-t * t / 2)
                                   : 2 * PowerTerm(df / 2, 0.5, 1 / (1 + square), square / (1 + square)) / t;
    double next = t + (found - p) / slope;
    if (!(next > low && next < high)) next = low + (high - low) / 2;
    if (std::abs(next - t) <= 2 * kEpsilon * t || next == low || next == high) return next;
    t = next;
  }
  return t;
}

}  // namespace rb
