// Student's distribution and the incomplete beta function against closed forms, sums and integrals in long double.
#include "gia/distributions.h"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

constexpr double kAccuracy = 1e-12;  // relative, as distributions.h promises
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void ExpectRelative(double found, double expected, const std::string& what, double accuracy = kAccuracy) {
  ExpectWithin(found, expected, std::abs(expected) * accuracy, what);
}

// P(|T| >= t) for 1, 2, 4 and 6 degrees of freedom; s = sin, c^2 = cos^2 of atan(t / sqrt(df)) [Abramowitz & Stegun
// 26.7.3], factored so that no digits cancel: 1 - s = c^2 / (1 + s).
double ClosedForm(double t, int df) {
  if (df == 1) return 2 / std::numbers::pi * std::atan(1 / t);
  const double r = t / std::sqrt(df), c2 = 1 / (1 + r * r), s = r / std::hypot(1.0, r), u = c2 / (1 + s);
  if (df == 2) return u;
  if (df == 4) return u * u * (2 + s) / 2;
  return u * u * u * (8 + 9 * s + 3 * s * s) / 8;
}

TEST(StudentTest, ClosedFormsFromTheMiddleToTheFarTail) {
  for (const int df : {1, 2, 4, 6}) {
    for (double t = 1e-8; t < 1e48; t *= 3.7) {
      const double expected = ClosedForm(t, df);
      ExpectRelative(StudentTwoSidedP(t, df), expected, "df " + std::to_string(df) + " t " + std::to_string(t));
      ExpectEqual(StudentTwoSidedP(-t, df), StudentTwoSidedP(t, df));
    }
  }
  // Far beyond the square root of the largest number.
  ExpectRelative(StudentTwoSidedP(1e200, 1), 2 / std::numbers::pi * 1e-200, "df 1, t 1e200");
  ExpectRelative(StudentTwoSidedP(1e300, 1), 2 / std::numbers::pi * 1e-300, "df 1, t 1e300");
  ExpectRelative(StudentTwoSidedP(1e140, 2), 1e-280, "df 2, t 1e140");
  // df = 10: x^5 / (5 B(5, 1/2)) with x = 10 / t^2 and B(5, 1/2) = 256 / 315.
  ExpectRelative(StudentTwoSidedP(1e25, 10), 1e-245 / (5 * 256.0 / 315), "df 10, t 1e25");
  ExpectRelative(StudentTwoSidedP(1e12, 10), 1e-115 / (5 * 256.0 / 315), "df 10, t 1e12");
  ExpectEqual(StudentTwoSidedP(1e100, 10), 0.0);  // 1e-995
}

TEST(StudentTest, TabulatedQuantiles) {
  // Both ways. 2.228 is the table's entry; the others solve Abramowitz & Stegun 26.7.3 and 26.7.4 in 60 digits.
  ExpectWithin(StudentTwoSidedP(2.228, 10), 0.05, 2e-5);
  const struct {
    double df, p, t;
  } table[] = {{10, 0.05, 2.2281388519862747},       {5, 0.01, 4.0321429835552281},   {30, 0.05, 2.0422724563012382},
               {3, 0.05, 3.1824463052837096},        {120, 0.01, 2.6174211451068660}, {1, 0.05, 12.706204736174705},
               {kInfinity, 0.05, 1.9599639845400545}};
  for (const auto& row : table) {
    ExpectRelative(StudentTwoSidedP(row.t, row.df), row.p, "p, df " + std::to_string(row.df));
    ExpectRelative(StudentQuantile(row.p, row.df), row.t, "t, df " + std::to_string(row.df));
  }
}

TEST(StudentTest, RealDegreesOfFreedomByIntegration) {
  for (const double df : {0.7, 2.5, 7.3, 41.9, 300.25}) {
    const long double constant =
        std::exp(std::lgamma((static_cast<long double>(df) + 1) / 2) - std::lgamma(static_cast<long double>(df) / 2)) /
        std::sqrt(df * std::numbers::pi_v<long double>);
    const auto density = [&](long double u) { return std::pow(1 + u * u / df, -(df + 1.0L) / 2); };
    for (const double t : {0.1, 1.0, 2.0, 3.5}) {
      constexpr int kSteps = 20000;  // Simpson's rule
      const long double h = static_cast<long double>(t) / kSteps;
      long double sum = density(0) + density(t);
      for (int i = 1; i < kSteps; ++i) sum += (i % 2 ? 4 : 2) * density(i * h);
      const double expected = static_cast<double>(1 - 2 * constant * sum * h / 3);
      ExpectWithin(StudentTwoSidedP(t, df), expected, kAccuracy * expected,
                   "df " + std::to_string(df) + " t " + std::to_string(t));
    }
  }
}

TEST(StudentTest, ManyDegreesOfFreedomApproachTheNormal) {
  for (const double df : {1e9, 1e10, 1e13, 1e16}) {
    for (const double t : {0.01, 0.5, 1.7, 1.8, 3.0, 5.0}) {
      // First term of Fisher's expansion: p = normal + phi(t) (t^3 + t) / (2 df) + O(1 / df^2).
      const double phi = std::exp(-t * t / 2) / std::sqrt(2 * std::numbers::pi);
      const double expected = std::erfc(t / std::numbers::sqrt2) + phi * (t * t * t + t) / (2 * df);
      ExpectRelative(StudentTwoSidedP(t, df), expected, "df " + std::to_string(df) + " t " + std::to_string(t));
    }
  }
  ExpectRelative(StudentTwoSidedP(2, kInfinity), std::erfc(2 / std::numbers::sqrt2), "normal", 1e-15);
  // 1e-280 or so: the same number from both sides of the change to erfc.
  ExpectRelative(StudentTwoSidedP(35.5, 1.1e17), StudentTwoSidedP(35.5, 0.9e17), "t 35.5", 1e-10);
}

TEST(StudentTest, Limits) {
  ExpectEqual(StudentTwoSidedP(0, 5), 1.0);
  ExpectEqual(StudentTwoSidedP(kInfinity, 5), 0.0);
  ExpectEqual(StudentTwoSidedP(-kInfinity, kInfinity), 0.0);
  ExpectEqual(StudentTwoSidedP(1e-300, 5), 1.0);
  for (const double df : {0.0, -1.0, kNan}) ExpectEqual(std::isnan(StudentTwoSidedP(1, df)), true);
  ExpectEqual(std::isnan(StudentTwoSidedP(kNan, 5)), true);
  double last = 1;
  for (double t = 0.01; t < 60; t += 0.01) {
    const double p = StudentTwoSidedP(t, 17);
    if (p >= last) ADD_FAILURE() << "p does not fall at t " << t;
    last = p;
  }
  test::CountComparisons(6000);
}

TEST(StudentTest, QuantileInvertsP) {
  for (const double df : {0.5, 1.0, 2.0, 9.5, 99.0, 1e6, 1e12, kInfinity}) {
    for (const double p : {0.999999, 0.9, 0.5, 0.3, 0.05, 1e-3, 1e-9, 1e-40}) {
      const double t = StudentQuantile(p, df);
      if (t > 1e150) continue;  // df 0.5, p 1e-40 and below
      // The quantile is right to rounding: dp/p = (t density / p) dt/t, and p is accurate to 1e-12.
      ExpectRelative(StudentTwoSidedP(t, df), p, "df " + std::to_string(df) + " p " + std::to_string(p), 3e-12);
    }
  }
  ExpectEqual(StudentQuantile(1, 3), 0.0);
  for (const double p : {0.0, -0.1, 1.1, kNan}) ExpectEqual(std::isnan(StudentQuantile(p, 5)), true);
  ExpectEqual(std::isnan(StudentQuantile(0.05, 0)), true);
}

TEST(IncompleteBetaTest, BinomialSums) {
  // I_x(a, b) = sum over j >= a of C(n, j) x^j y^(n - j), n = a + b - 1.
  for (const int a : {1, 2, 7, 40}) {
    for (const int b : {1, 3, 12, 55}) {
      for (const double x : {1e-6, 0.03, 0.3, 0.5, 0.71, 0.97}) {
        const int n = a + b - 1;
        long double sum = 0, choose = 1;
        for (int j = 0; j <= n; ++j) {
          if (j >= a) sum += choose * std::pow((long double)x, j) * std::pow(1 - (long double)x, n - j);
          choose = choose * (n - j) / (j + 1);
        }
        ExpectRelative(IncompleteBeta(a, b, x, 1 - x), static_cast<double>(sum),
                       std::to_string(a) + ", " + std::to_string(b) + " at " + std::to_string(x));
      }
    }
  }
}

TEST(IncompleteBetaTest, RealParameters) {
  for (const double a : {0.2, 0.5, 3.25, 20.5, 1234.5}) {
    for (const double x : {0.001, 0.2, 0.5, 0.9, 0.999}) {
      const std::string what = std::to_string(a) + " at " + std::to_string(x);
      ExpectRelative(IncompleteBeta(a, 1, x, 1 - x), std::pow(x, a), what);
      ExpectWithin(IncompleteBeta(a, a, 0.5, 0.5), 0.5, 1e-13, what);
      for (const double b : {0.4, 0.5, 6.75}) {
        const double whole = IncompleteBeta(a, b, x, 1 - x) + IncompleteBeta(b, a, 1 - x, x);
        ExpectWithin(whole, 1, 1e-13, what);
        // I_x(a, b) - I_x(a + 1, b) = x^a y^b / (a B(a, b))
        const double step =
            std::exp(a * std::log(x) + b * std::log1p(-x) + std::lgamma(a + b) - std::lgamma(a + 1) - std::lgamma(b));
        const double at = IncompleteBeta(a, b, x, 1 - x);
        ExpectWithin(at - IncompleteBeta(a + 1, b, x, 1 - x), step, 1e-11 * step + 4e-16 + 1e-14 * at, what);
      }
    }
  }
}

TEST(IncompleteBetaTest, EndsAndRefusals) {
  ExpectEqual(IncompleteBeta(2, 3, 0, 1), 0.0);
  ExpectEqual(IncompleteBeta(2, 3, 1, 0), 1.0);
  for (const auto& [a, b, x] : std::vector<std::array<double, 3>>{
           {0, 1, 0.5}, {1, 0, 0.5}, {-1, 1, 0.5}, {1, 1, -0.1}, {1, 1, 1.1}, {kNan, 1, 0.5}, {1, 1, kNan}}) {
    ExpectEqual(std::isnan(IncompleteBeta(a, b, x, 1 - x)), true);
  }
}

}  // namespace
}  // namespace rb
