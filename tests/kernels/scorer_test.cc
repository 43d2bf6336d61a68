// The CPU scorer against the double oracle, on every vector target of this machine and in bf16 where it has it.
//
// Exact first: small integers, where every correct program gives the same bits. Then random weights within derived
// bounds. Then that a prediction depends on nothing but its sequence: batch, place, rows, threads.
#include "kernels/scorer.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/philox.h"
#include "tests/kernels/scorer_case.h"
#include "tests/support/comparisons.h"
#include "tests/support/scorer_oracle.h"
#include "tests/support/test_parallel.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectSameBits;
using test::ExpectWithin;
using test::ScorerOracle;
using test::TestParallel;
using test::scorer::Bed;
using test::scorer::Case;
using test::scorer::Cases;
using test::scorer::Smooth;
using test::scorer::SparseIntegers;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Dispatch sees only one vector target while this lives.
class OnlyTarget {
 public:
  explicit OnlyTarget(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  ~OnlyTarget() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

// One way of computing: a vector target in fp32, or bf16.
struct Path {
  int64_t target = 0;
  Precision precision = Precision::kFp32;
  std::string name;
  bool bf16() const { return precision == Precision::kBf16; }
};

std::vector<Path> Paths() {
  std::vector<Path> paths;
  const int64_t lowest = HWY_BASELINE_SCALAR;
  for (const int64_t target : {int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, lowest}) {
    if ((hwy::SupportedTargets() & HWY_TARGETS & target) != 0)
      paths.push_back({target, Precision::kFp32, hwy::TargetName(target)});
  }
  if (cpu::HasBf16()) paths.push_back({hwy::SupportedTargets(), Precision::kBf16, "bf16"});
  return paths;
}

std::vector<float> Score(const Bed& bed, const cpu::CpuScorer& scorer, Parallel& parallel, const int32_t* rows,
                         int64_t count) {
  std::vector<float> out(count, kNan);
  scorer.Score(bed.words.data(), bed.g.structure > 0 ? bed.tracks.data() : nullptr, rows, count, out.data(), parallel);
  return out;
}
std::vector<float> ScoreAll(const Bed& bed, const Path& path) {
  const OnlyTarget only(path.target);
  const cpu::CpuScorer scorer(bed.g, bed.w, path.precision);
  TestParallel parallel;
  return Score(bed, scorer, parallel, nullptr, bed.n);
}

TEST(Scorer, VectorTargetIsTheOneAllowed) {
  for (const Path& path : Paths()) {
    if (path.bf16()) continue;
    const OnlyTarget only(path.target);
    ExpectEqual(std::string(cpu::VectorTarget()), path.name);
  }
}

TEST(Scorer, SmallIntegersAreExact) {
  for (const Case& c : Cases(8)) {
    for (const bool bf16 : {false, true}) {
      // bf16 stores 8 significant bits, so its sums stay shorter.
      const Bed bed(c, SparseIntegers(bf16 ? 1.7 : 4));
      ScorerOracle oracle(bed.g, bed.w, ScorerOracle::Mode::kFloat);
      std::vector<float> expected;
      for (const ScorerOracle::Prediction& y : bed.Expected(oracle)) expected.push_back(static_cast<float>(y.value));
      // The premises: no partial sum (in eighths) needs more than 24 bits, nothing was rounded, and the test can see.
      ASSERT_LT(oracle.largest_magnitude() * 8, 1 << 24) << c.name;
      ASSERT_TRUE(oracle.fits_bf16() || !bf16) << c.name;
      ASSERT_NE(*std::min_element(expected.begin(), expected.end()),
                *std::max_element(expected.begin(), expected.end()))
          << c.name;
      for (const Path& path : Paths()) {
        if (path.bf16() != bf16) continue;
        const std::vector<float> y = ScoreAll(bed, path);
        ExpectSameBits(std::span<const float>(y), std::span<const float>(expected), c.name + ", " + path.name);
      }
    }
  }
}

double RootMeanSquare(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum / static_cast<double>(x.size()));
}

TEST(Scorer, RandomWeightsStayWithinTheirBounds) {
  for (Case c : Cases(10)) {
    for (const bool bf16 : {false, true}) {
      c.g.sigmoid = c.name == "published";
      const Bed bed(c, Smooth);
      ScorerOracle oracle(bed.g, bed.w, bf16 ? ScorerOracle::Mode::kBf16 : ScorerOracle::Mode::kFloat);
      const std::vector<ScorerOracle::Prediction> expected = bed.Expected(oracle);
      for (const Path& path : Paths()) {
        if (path.bf16() != bf16) continue;
        const std::vector<float> y = ScoreAll(bed, path);
        double worst = 0, widest = 0;
        for (int i = 0; i < bed.n; ++i) {
          const auto [value, bound] = expected[i];
          ExpectWithin(y[i], value, bound, c.name + ", " + path.name + ", sequence " + std::to_string(i));
          worst = std::max(worst, std::abs(y[i] - value) / bound);
          widest = std::max(widest, bound);
        }
        std::printf("%-36s %-7s y %.2f .. %.2f, bounds up to %.1e, errors up to %.2g of them\n", c.name.c_str(),
                    path.name.c_str(), *std::min_element(y.begin(), y.end()), *std::max_element(y.begin(), y.end()),
                    widest, worst);
      }
    }
  }
}

// Against an oracle that rounds at the same points, what is left are values so near a rounding boundary that fp32 sums
// cross it. Five kinds of stored tensors make the rounding noise; a program that left one out, or rounded one more,
// would keep 1/sqrt(5) = 0.45 of the noise. (Another rounding mode would shift every value and keep more than all of
// it.)
TEST(Scorer, Bf16RoundsWhereItSays) {
  if (!cpu::HasBf16()) GTEST_SKIP() << "this processor has no AVX512-BF16";
  std::vector<double> ratios;
  for (const Case& c : Cases(10)) {
    const Bed bed(c, Smooth);
    ScorerOracle rounded(bed.g, bed.w, ScorerOracle::Mode::kBf16Rounded),
        plain(bed.g, bed.w, ScorerOracle::Mode::kBf16);
    const std::vector<float> y = ScoreAll(bed, Paths().back());
    const auto same = bed.Expected(rounded), exact = bed.Expected(plain);
    std::vector<double> left, noise;
    for (int i = 0; i < bed.n; ++i) {
      left.push_back(y[i] - same[i].value);
      noise.push_back(exact[i].value - same[i].value);
    }
    ratios.push_back(RootMeanSquare(left) / RootMeanSquare(noise));
  }
  ExpectWithin(RootMeanSquare(ratios), 0, 1.0 / 3, "share of the rounding noise that is left");
  std::printf("share of the rounding noise that is left: %.2f\n", RootMeanSquare(ratios));
}

// The same sequence gives the same bits alone, in any batch, at any place, in any order, with any number of threads.
TEST(Scorer, PredictionDependsOnItsSequenceAlone) {
  for (Case c : {Cases(10)[0], Cases(10)[5]}) {
    c.sequences = 31;
    const Bed bed(c, Smooth);
    for (const Path& path : Paths()) {
      const OnlyTarget only(path.target);
      const cpu::CpuScorer scorer(bed.g, bed.w, path.precision);
      TestParallel one, three(3), reverse(2, true);
      const std::string what = c.name + ", " + path.name;
      const std::vector<float> all = Score(bed, scorer, one, nullptr, bed.n);
      for (Parallel* parallel : {static_cast<Parallel*>(&three), static_cast<Parallel*>(&reverse)}) {
        const std::vector<float> y = Score(bed, scorer, *parallel, nullptr, bed.n);
        ExpectSameBits(std::span<const float>(y), std::span<const float>(all), what + ", threads");
      }
      for (const int count : {0, 1, 13, 14, 15, 29}) {
        // A stride prime to 31 visits sequences in another order, each at another place.
        std::vector<int32_t> rows(count);
        for (int i = 0; i < count; ++i) rows[i] = (5 + i * 17) % bed.n;
        std::vector<float> expected(count);
        for (int i = 0; i < count; ++i) expected[i] = all[rows[i]];
        const std::vector<float> y = Score(bed, scorer, one, rows.data(), count);
        ExpectSameBits(std::span<const float>(y), std::span<const float>(expected), what + ", rows");
      }
    }
  }
}

TEST(Scorer, WritesOnlyItsOutputsAndMoves) {
  const Bed bed(Cases(10)[0], Smooth);
  cpu::CpuScorer first(bed.g, bed.w, Precision::kTf32);
  ExpectEqual(first.precision(), Precision::kFp32, "this machine has no tf32");
  cpu::CpuScorer scorer(std::move(first));
  ExpectEqual(scorer.geometry().filters, 96);
  TestParallel parallel;
  std::vector<float> out(bed.n + 2, kNan);
  scorer.Score(bed.words.data(), nullptr, nullptr, bed.n, out.data() + 1, parallel);
  ExpectEqual(std::bit_cast<uint32_t>(out.front()), std::bit_cast<uint32_t>(kNan), "before");
  ExpectEqual(std::bit_cast<uint32_t>(out.back()), std::bit_cast<uint32_t>(kNan), "after");
  const std::vector<float> expected = Score(bed, scorer, parallel, nullptr, bed.n);
  ExpectSameBits(std::span<const float>(out).subspan(1, bed.n), std::span<const float>(expected), "offset output");
}

TEST(Scorer, FlopsOfThePapersNetwork) {
  // 421 row-taps of layer 1, 355 of the convolutions (3 * 3 * 41 - 2 * (1 + 2 + 4)), 384 x 256, 256.
  ExpectEqual(FlopsPerSequence(ScorerGeometry()), int64_t{421 * 96 + 355 * 96 * 96 * 2 + 384 * 256 * 2 + 256 * 2});
}

TEST(Bf16, RoundsToNearestEven) {
  PhiloxStream random(3);
  for (int i = 0; i < 20000; ++i) {
    uint32_t bits = random.Next();
    if (i % 4 == 0) bits = (bits & 0xffff0000u) | 0x8000u;  // ties
    const uint32_t exponent = bits >> 23 & 0xffu;
    if (exponent < 1 || exponent > 253) continue;  // normal, and not rounded to infinity
    const float value = std::bit_cast<float>(bits);
    ExpectEqual(static_cast<double>(Bf16ToFloat(FloatToBf16(value))), test::RoundToBf16(value));
  }
  ExpectEqual(Bf16ToFloat(FloatToBf16(std::numeric_limits<float>::infinity())), std::numeric_limits<float>::infinity());
  test::CountComparisons();
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(kNan))));
}

}  // namespace
}  // namespace rb
