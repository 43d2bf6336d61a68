// The distributions behind the tests of gia/statistics.h.
//
// Relative errors are below 1e-12 for df up to 1e7 and p down to 1e-290 (tests/gia/distributions_test.cc); tails are
// computed as tails, never as 1 minus something near 1.
#ifndef RB_GIA_DISTRIBUTIONS_H_
#define RB_GIA_DISTRIBUTIONS_H_

namespace rb {

// The regularised incomplete beta function I_x(a, b), with y = 1 - x given too because it may be tiny where x is
// near 1. a, b > 0, 0 <= x, y <= 1; NaN for anything else.
double IncompleteBeta(double a, double b, double x, double y);

// P(|T| >= |t|) of Student's distribution with df > 0 degrees of freedom (any real number; infinity: the normal
// distribution): I_x(df / 2, 1 / 2) at x = df / (df + t^2). NaN for NaN, or df <= 0.
double StudentTwoSidedP(double t, double df);

// The t >= 0 with StudentTwoSidedP(t, df) = p, 0 < p <= 1; half of a confidence interval in standard errors. NaN for
// anything else.
double StudentQuantile(double p, double df);

}  // namespace rb

#endif  // RB_GIA_DISTRIBUTIONS_H_
