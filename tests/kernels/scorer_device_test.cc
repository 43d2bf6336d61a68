// The scorer of devices against the double oracle, and against itself: that a prediction depends on nothing but its
// sequence and its model.
#include "kernels/device_scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/kernels/scorer_case.h"
#include "tests/kernels/scorer_networks.h"
#include "tests/support/comparisons.h"
#include "tests/support/machines.h"
#include "tests/support/operator_bed.h"
#include "tests/support/scorer_oracle.h"

namespace rb {
namespace {

using test::ExpectSameBits;
using test::ExpectWithin;
using test::ScorerOracle;
using test::Tensor;
using test::TestMachine;
using test::scorer::Bed;
using test::scorer::Case;
using test::scorer::Cases;
using test::scorer::Geometry;
using test::scorer::Lists;
using test::scorer::Networks;
using test::scorer::SmoothBeds;
using test::scorer::SparseIntegers;

ScorerOracle::Mode ModeOf(Precision precision) {
  return precision == Precision::kBf16   ? ScorerOracle::Mode::kBf16
         : precision == Precision::kTf32 ? ScorerOracle::Mode::kTf32
                                         : ScorerOracle::Mode::kFloat;
}

// The networks of the CPU's tests, and shapes at the edges of the kernels': tiles with room left, exactly full, and the
// first that do not fit; pools of one position and of all; the widest and largest layers.
std::vector<Case> DeviceCases(int pool) {
  std::vector<Case> cases = Cases(pool);
  cases[0].sequences = 53;  // more than a group of 48
  cases.push_back({"20 positions", Geometry(20, 2, 32, 64, pool, {1, 2}), 5});
  cases.push_back({"128 positions", Geometry(128, 0, 32, 32, 16, {5}), 2});
  cases.push_back({"130 positions", Geometry(130, 2, 64, 32, 1, {1, 2, 4}), 2});
  cases.push_back({"every position a pool", Geometry(16, 0, 64, 288, 1, {1}), 9});
  Case wide = {"widths 31", Geometry(16, 5, 32, 32, 16, {1, 1}), 9};
  wide.g.first_width = wide.g.width = 31;
  cases.push_back(wide);
  Case large = {"1024 filters, 4096 hidden units", Geometry(16, 0, 1024, 4096, 16, {1}), 2};
  large.g.width = 1;
  cases.push_back(large);
  return cases;
}

constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32, Precision::kBf16};

// Small integers are exact in every precision when sums stay short: 8 bits where activations are bf16.
double Terms(Precision precision) { return precision == Precision::kFp32 ? 4 : 1.7; }

void ExpectExact(const Case& c, Precision precision, const std::vector<unsigned>& seeds, bool stream_weights = false) {
  std::vector<Bed> beds;
  beds.emplace_back(c, SparseIntegers(Terms(precision)));
  ScorerOracle oracle(c.g, beds[0].w, ModeOf(precision), ScorerOracle::First::kProduct);
  std::vector<float> expected;
  for (const ScorerOracle::Prediction& y : beds[0].Expected(oracle)) expected.push_back(static_cast<float>(y.value));
  // The premises: no partial sum (in parts of a pool) needs more than 24 bits, nothing was rounded, and the test can
  // see.
  ASSERT_LT(oracle.largest_magnitude() * c.g.pool, 1 << 24) << c.name;
  ASSERT_TRUE(oracle.fits_bf16() || precision == Precision::kFp32) << c.name;
  ASSERT_NE(*std::min_element(expected.begin(), expected.end()), *std::max_element(expected.begin(), expected.end()))
      << c.name;
  const Networks networks(beds);
  for (const unsigned seed : seeds) {
    const TestMachine machine = TestMachine::Emulated(precision, seed);
    Lists lists = {{0}, {}, {c.sequences}};
    lists.stream_weights = stream_weights;
    const Tensor<float> y = networks.Score(machine, lists);
    ExpectSameBits(std::span<const float>(y[0]), std::span<const float>(expected), c.name + ", " + machine.name());
  }
}

TEST(DeviceScorer, SmallIntegersAreExact) {
  for (const Case& c : DeviceCases(8)) {
    const bool small = c.g.filters == 32;
    for (const Precision precision : kPrecisions) {
      ExpectExact(c, precision, small ? std::vector<unsigned>{0, 1, 2} : std::vector<unsigned>{0});
      if (precision == Precision::kBf16 && c.g.filters == 96) ExpectExact(c, precision, {0}, true);
    }
  }
}

// Every kind of kernel once, small enough for sanitizers.
TEST(DeviceScorer, TinyNetworksAreExact) {
  for (const Precision precision : kPrecisions) {
    ExpectExact({"tiny", Geometry(16, 2, 32, 32, 8, {1, 2}), 9}, precision, {0, 1, 2});
    ExpectExact({"tiny pair of tiles", Geometry(64, 0, 64, 32, 8, {1}), 4}, precision, {1});
    ExpectExact({"tiny by layers", Geometry(130, 0, 32, 32, 8, {1, 2}), 2}, precision, {1});
  }
  ExpectExact({"tiny resident", Geometry(41, 0, 96, 32, 8, {1}), 6}, Precision::kBf16, {1});
}

double RootMeanSquare(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum / static_cast<double>(x.size()));
}

TEST(DeviceScorer, RandomWeightsStayWithinTheirBounds) {
  for (Case c : DeviceCases(10)) {
    c.sequences = std::min(c.sequences, 6);
    c.g.sigmoid = c.name == "published";
    const std::vector<Bed> beds = SmoothBeds(c);
    const Networks networks(beds);
    for (const Precision precision : kPrecisions) {
      ScorerOracle oracle(c.g, beds[0].w, ModeOf(precision), ScorerOracle::First::kProduct);
      const std::vector<ScorerOracle::Prediction> expected = beds[0].Expected(oracle);
      const TestMachine machine = TestMachine::Emulated(precision);
      const Tensor<float> y = networks.Score(machine, {{0}, {}, {c.sequences}});
      double worst = 0, widest = 0;
      for (int i = 0; i < c.sequences; ++i) {
        const auto [value, bound] = expected[i];
        ExpectWithin(y[0][i], value, bound, c.name + ", " + machine.name() + ", sequence " + std::to_string(i));
        worst = std::max(worst, std::abs(y[0][i] - value) / bound);
        widest = std::max(widest, bound);
      }
      std::printf("%-36s %-22s bounds up to %.1e, errors up to %.2g of them\n", c.name.c_str(), machine.name().c_str(),
                  widest, worst);
    }
  }
}

// As the CPU's test of that name: a program that rounded at one point less or more would keep at least 0.45 of the
// noise.
TEST(DeviceScorer, Bf16RoundsWhereItSays) {
  std::vector<double> ratios;
  for (Case c : Cases(10)) {
    c.sequences = std::min(c.sequences, 6);
    const std::vector<Bed> beds = SmoothBeds(c);
    using Oracle = ScorerOracle;
    Oracle rounded(c.g, beds[0].w, Oracle::Mode::kBf16Rounded, Oracle::First::kProduct),
        plain(c.g, beds[0].w, Oracle::Mode::kBf16, Oracle::First::kProduct);
    const Tensor<float> y = Networks(beds).Score(TestMachine::Emulated(Precision::kBf16), {{0}, {}, {c.sequences}});
    const auto same = beds[0].Expected(rounded), exact = beds[0].Expected(plain);
    std::vector<double> left, noise;
    for (int i = 0; i < c.sequences; ++i) {
      left.push_back(y[0][i] - same[i].value);
      noise.push_back(exact[i].value - same[i].value);
    }
    ratios.push_back(RootMeanSquare(left) / RootMeanSquare(noise));
  }
  ExpectWithin(RootMeanSquare(ratios), 0, 1.0 / 3, "share of the rounding noise that is left");
  std::printf("share of the rounding noise that is left: %.2f\n", RootMeanSquare(ratios));
}

// Five slots, four of them live, one of those without work: each model with its own list of sequences in its own order.
// Against each model alone with all sequences in order, bit for bit; and nothing else is written.
void ExpectCompanyDoesNotMatter(Case c, Precision precision, const std::vector<int>& counts) {
  const std::vector<Bed> beds = SmoothBeds(c, 5);
  const Networks networks(beds);
  const int n = c.sequences;
  std::vector<Tensor<float>> alone(5);
  for (const int slot : {0, 1, 4}) {
    Lists lists = {{slot}, {}, test::DeviceVector<int32_t>(5, 0)};
    lists.num_rows[slot] = n;
    alone[slot] = networks.Score(TestMachine::Emulated(precision), lists);
  }
  Lists lists = {{4, 0, 3, 1}, std::vector<std::vector<int32_t>>(5), {counts[0], counts[1], 7, 0, counts[2]}};
  for (int slot = 0; slot < 5; ++slot) {
    // A stride prime to the number of sequences visits them in another order, each at another place.
    for (int i = 0; i < lists.num_rows[slot]; ++i) lists.rows[slot].push_back((5 + slot + i * 17) % n);
  }
  for (const unsigned seed : {0u, 1u, 2u}) {
    lists.blocks = seed == 0 ? 1 : seed == 1 ? 3 : 40;
    lists.stream_weights = seed == 2;
    const TestMachine machine = TestMachine::Emulated(precision, seed);
    const Tensor<float> y = networks.Score(machine, lists);
    const Tensor<float> expected(5, y.count());
    for (const int slot : lists.live) {
      for (int i = 0; i < lists.num_rows[slot]; ++i) expected[slot][i] = alone[slot][slot][lists.rows[slot][i]];
    }
    ExpectSameBits(y.all(), expected.all(), c.name + ", " + machine.name());
  }
}

TEST(DeviceScorer, PredictionDependsOnItsSequenceAndModelAlone) {
  for (const Precision precision : kPrecisions) {
    ExpectCompanyDoesNotMatter({"small", Geometry(20, 2, 32, 64, 5, {1, 2}), 101}, precision, {101, 1, 60});
    ExpectCompanyDoesNotMatter({"by layers", Geometry(130, 0, 32, 32, 10, {2}), 11}, precision, {11, 5, 9});
    ExpectCompanyDoesNotMatter({"paper", Geometry(41, 0, 96, 256, 10, {1, 2, 4}), 7}, precision, {7, 2, 4});
  }
}

TEST(DeviceScorer, TinyNetworksDoNotMindCompany) {
  ExpectCompanyDoesNotMatter({"tiny", Geometry(16, 0, 32, 32, 8, {1}), 13}, Precision::kFp32, {13, 1, 9});
  ExpectCompanyDoesNotMatter({"tiny by layers", Geometry(130, 0, 32, 32, 8, {1}), 9}, Precision::kTf32, {9, 1, 2});
  ExpectCompanyDoesNotMatter({"tiny resident", Geometry(41, 0, 96, 32, 8, {1}), 4}, Precision::kBf16, {4, 1, 2});
}

TEST(DeviceScorer, RefusesAWorkspaceThatIsTooSmall) {
  ScoreSequencesArgs<float> args;
  args.count = args.max_rows = 1;
  args.workspace_bytes = ScorerWorkspaceBytes(args.geometry, Precision::kFp32, 1) - 1;
  test::ExpectEqual(emu::ScoreSequences(args, {}).code, -1);
}

}  // namespace
}  // namespace rb
