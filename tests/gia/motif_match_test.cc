// Motif comparison against all placements of all column tuples, counted one by one.
#include "gia/motif_match.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "gia/statistics.h"
#include "kernels/philox.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::ExpectWithin;
using Column = std::array<double, 4>;

Pwm RandomPwm(int width, PhiloxStream* random) {
  Pwm pwm;
  pwm.name = "random";
  for (int p = 0; p < width; ++p) {
    Column column;
    double sum = 0;
    for (double& x : column) sum += x = -std::log(1 - random->Uniform());
    for (double& x : column) x /= sum;
    pwm.columns.push_back(column);
  }
  return pwm;
}

Pwm FromLetters(const std::string& letters) {
  Pwm pwm;
  pwm.name = letters;
  for (const char c : letters) {
    pwm.columns.push_back({0, 0, 0, 0});
    pwm.columns.back()[std::string("ACGU").find(c)] = 1;
  }
  return pwm;
}

Pwm ReverseComplement(Pwm pwm) {
  std::reverse(pwm.columns.begin(), pwm.columns.end());
  for (Column& column : pwm.columns) std::reverse(column.begin(), column.end());
  return pwm;
}

TEST(ScoreColumnsTest, PearsonAndEuclidean) {
  const Column a = {0.4, 0.3, 0.2, 0.1}, b = {0.1, 0.2, 0.3, 0.4}, uniform = {0.25, 0.25, 0.25, 0.25};
  ExpectWithin(ScoreColumns(a, a, ColumnScore::kPearson), 1, 1e-15);
  ExpectWithin(ScoreColumns(a, b, ColumnScore::kPearson), -1, 1e-15);
  ExpectEqual(ScoreColumns(a, uniform, ColumnScore::kPearson), 0.0);
  ExpectEqual(ScoreColumns({1.0 / 3, 1.0 / 3, 1.0 / 3, 1 - 2.0 / 3}, a, ColumnScore::kPearson), 0.0);
  ExpectWithin(ScoreColumns({1, 0, 0, 0}, {0, 1, 0, 0}, ColumnScore::kPearson), -1.0 / 3, 1e-15);
  ExpectEqual(ScoreColumns(a, a, ColumnScore::kEuclidean), 0.0);
  ExpectWithin(ScoreColumns({1, 0, 0, 0}, {0, 1, 0, 0}, ColumnScore::kEuclidean), -std::sqrt(2.0), 1e-15);
  ExpectWithin(ScoreColumns(a, b, ColumnScore::kEuclidean), -std::sqrt(0.2), 1e-15);
}

// The whole definition, slowly: p of an offset by going through every tuple of target columns.
class Oracle {
 public:
  Oracle(const Pwm& query, std::vector<Pwm> targets, MatchOptions options)
      : query_(query), targets_(std::move(targets)), options_(options) {
    for (const Pwm& t : targets_) {
      for (const Column& c : t.columns) all_.push_back(c);
      if (!options_.reverse_complement) continue;
      for (const Column& c : ReverseComplement(t).columns) all_.push_back(c);
    }
    for (const Column& q : query_.columns) {
      for (const Column& c : all_) {
        low_ = std::min(low_, ScoreColumns(q, c, options_.score));
        high_ = std::max(high_, ScoreColumns(q, c, options_.score));
      }
    }
  }

  MotifMatch Best(int target) const {
    MotifMatch best;
    best.p = 2;
    int places = 0;
    for (int reverse = 0; reverse <= (options_.reverse_complement ? 1 : 0); ++reverse) {
      const Pwm t = reverse ? ReverseComplement(targets_[target]) : targets_[target];
      const int wq = static_cast<int>(query_.columns.size()), wt = static_cast<int>(t.columns.size());
      for (int offset = -wq; offset <= wt; ++offset) {
        MotifMatch m;
        m.target = target, m.offset = offset, m.reverse = reverse != 0;
        int steps = 0, first = -1;
        for (int i = 0; i < wq; ++i) {
          if (i + offset < 0 || i + offset >= wt) continue;
          if (first < 0) first = i;
          ++m.overlap;
          m.score += ScoreColumns(query_.columns[i], t.columns[i + offset], options_.score);
          steps += Step(i, t.columns[i + offset]);
        }
        if (m.overlap < std::min({options_.min_overlap, wq, wt}) || m.overlap == 0) continue;
        ++places;
        m.p = Probability(first, m.overlap, steps);
        // p values of equal chances differ by nothing here: they are whole numbers over one power of n.
        const auto rank = [](const MotifMatch& x) {
          return std::make_tuple(x.p, -x.overlap, x.reverse, std::abs(x.offset), x.offset);
        };
        if (rank(m) < rank(best)) best = m;
      }
    }
    best.p = 1 - std::pow(1 - best.p, places);
    return best;
  }

 private:
  int Step(int q, const Column& c) const {
    return static_cast<int>(
        std::lround((ScoreColumns(query_.columns[q], c, options_.score) - low_) / (high_ - low_) * options_.bins));
  }
  double Probability(int first, int columns, int steps) const {
    int64_t tuples = 1, reached = 0;
    const int64_t n = static_cast<int64_t>(all_.size());
    for (int i = 0; i < columns; ++i) tuples *= n;
    for (int64_t tuple = 0; tuple < tuples; ++tuple) {
      int sum = 0;
      int64_t rest = tuple;
      for (int i = 0; i < columns; ++i, rest /= n) sum += Step(first + i, all_[rest % n]);
      reached += sum >= steps;
    }
    return static_cast<double>(reached) / static_cast<double>(tuples);
  }

  const Pwm& query_;
  std::vector<Pwm> targets_;
  MatchOptions options_;
  std::vector<Column> all_;
  double low_ = std::numeric_limits<double>::infinity(), high_ = -low_;
};

TEST(MatchMotifTest, EqualsCountingAllTuples) {
  PhiloxStream random(21);
  for (const ColumnScore score : {ColumnScore::kPearson, ColumnScore::kEuclidean}) {
    for (const bool reverse : {false, true}) {
      for (const int min_overlap : {1, 2, 5}) {
        const Pwm query = RandomPwm(3, &random);
        const std::vector<Pwm> targets = {RandomPwm(2, &random), RandomPwm(5, &random), RandomPwm(1, &random)};
        MatchOptions options;
        options.score = score;
        options.reverse_complement = reverse;
        options.min_overlap = min_overlap;
        options.bins = 37;
        const auto found = MatchMotif(query, targets, options);
        ASSERT_TRUE(found.ok()) << found.status();
        ExpectEqual(found->size(), targets.size());
        const Oracle oracle(query, targets, options);
        std::vector<double> p;
        for (int t = 0; t < 3; ++t) {
          const MotifMatch expected = oracle.Best(t), &m = found->at(t);
          const std::string what = "target " + std::to_string(t);
          ExpectWithin(m.p, expected.p, 1e-13, what);
          ExpectEqual(m.target, t, what);
          ExpectEqual(m.overlap, expected.overlap, what);
          ExpectEqual(m.offset, expected.offset, what);
          ExpectEqual(m.reverse, expected.reverse, what);
          ExpectWithin(m.score, expected.score, 1e-14, what);
          ExpectWithin(m.e, 3 * m.p, 1e-15, what);
          p.push_back(m.p);
        }
        const std::vector<double> q = BenjaminiHochberg(p);
        for (int t = 0; t < 3; ++t) ExpectEqual(found->at(t).q, q[t]);
      }
    }
  }
}

TEST(MatchMotifTest, FindsThePlantedPlace) {
  PhiloxStream random(8);
  const Pwm query = RandomPwm(7, &random);
  std::vector<Pwm> targets;
  for (int i = 0; i < 30; ++i) targets.push_back(RandomPwm(6 + i % 5, &random));
  // Inside a longer motif; a part of it that hangs over; its other strand.
  for (int i = 0; i < 7; ++i) targets[4].columns[i + 2] = query.columns[i];
  targets[9].columns.assign(query.columns.begin() + 2, query.columns.end());
  targets[14] = ReverseComplement(query);
  for (const ColumnScore score : {ColumnScore::kPearson, ColumnScore::kEuclidean}) {
    MatchOptions options;
    options.score = score;
    const auto one = MatchMotif(query, targets, options).value();
    ExpectEqual(one[4].offset, 2);
    ExpectEqual(one[4].overlap, 7);
    ExpectWithin(one[4].score, score == ColumnScore::kPearson ? 7 : 0, 1e-14);
    ExpectEqual(one[9].offset, -2);
    ExpectEqual(one[9].overlap, 5);
    for (int t = 0; t < 30; ++t) {
      ExpectEqual(one[t].reverse, false);
      ExpectEqual(t == 4 || one[t].p > one[4].p, true);
      ExpectEqual(one[t].q >= one[t].p && one[t].q <= 1, true);
    }
    ExpectEqual(one[4].e < 1e-6, true);
    options.reverse_complement = true;
    const auto both = MatchMotif(query, targets, options).value();
    ExpectEqual(both[14].reverse, true);
    ExpectEqual(both[14].offset, 0);
    ExpectEqual(both[14].overlap, 7);
    ExpectEqual(both[4].reverse, false);
  }
}

// Random queries against random targets: p values of at most 0.1 come about a tenth of the time, not more.
TEST(MatchMotifTest, PValuesHoldTheirLevel) {
  PhiloxStream random(31);
  std::vector<Pwm> targets;
  std::vector<Column> pool;
  for (int i = 0; i < 40; ++i) {
    targets.push_back(RandomPwm(8, &random));
    pool.insert(pool.end(), targets.back().columns.begin(), targets.back().columns.end());
  }
  int below = 0, all = 0;
  for (int run = 0; run < 40; ++run) {
    const Pwm query = RandomPwm(6, &random);
    const std::vector<MotifMatch> matches = MatchMotif(query, targets, MatchOptions{}).value();
    for (const MotifMatch& m : matches) {
      ++all;
      below += m.p <= 0.1;
    }
  }
  // 1600 values; those of one query share its columns. Expected at most 160, standard deviation 12 if independent.
  ExpectEqual(below <= 210, true, std::to_string(below));
  ExpectEqual(below >= 80, true, std::to_string(below));
  ExpectEqual(all, 1600);
}

TEST(MatchMotifTest, DegenerateInputs) {
  // All scores alike: nothing can be told.
  const Pwm query = FromLetters("AA");
  const std::vector<Pwm> same = {FromLetters("AAAA")};
  const auto flat = MatchMotif(query, same, MatchOptions{}).value();
  ExpectEqual(flat[0].p, 1.0);
  ExpectEqual(flat[0].e, 1.0);
  ExpectEqual(flat[0].offset, 0);
  ExpectEqual(flat[0].overlap, 2);
  // The longest overlap wins among equals, then the offset nearest 0.
  MatchOptions short_overlaps;
  short_overlaps.min_overlap = 1;
  const Pwm four = FromLetters("AAAA");
  const std::vector<Pwm> two = {query};
  for (const auto& tied : {MatchMotif(query, same, short_overlaps), MatchMotif(four, two, short_overlaps)}) {
    ExpectEqual(tied->at(0).overlap, 2);
    ExpectEqual(tied->at(0).offset, 0);
  }
  // Exact p: query AC against ACGU; the null has each letter once, so two matches have p 1/16, at 3 offsets.
  const Pwm ac = FromLetters("AC");
  const std::vector<Pwm> acgu = {FromLetters("ACGU")};
  const auto exact = MatchMotif(ac, acgu, MatchOptions{}).value();
  ExpectWithin(exact[0].p, 1 - std::pow(15.0 / 16, 3), 1e-15);
  ExpectEqual(exact[0].offset, 0);
  // A palindrome: both strands are equal, the forward one is reported. Six placements.
  MatchOptions both;
  both.reverse_complement = true;
  const auto palindrome = MatchMotif(ac, acgu, both).value();
  ExpectEqual(palindrome[0].reverse, false);
  ExpectWithin(palindrome[0].p, 1 - std::pow(15.0 / 16, 6), 1e-15);
  // Widest motifs: p stays a probability.
  PhiloxStream random(2);
  const Pwm wide = RandomPwm(kMaxMatchColumns, &random);
  const std::vector<Pwm> itself = {wide, RandomPwm(3, &random)};
  MatchOptions coarse;
  coarse.bins = 10;
  const auto found = MatchMotif(wide, itself, coarse).value();
  ExpectEqual(found[0].offset, 0);
  ExpectEqual(found[0].p >= 0 && found[0].p < 1e-30, true);
}

TEST(MatchMotifTest, Refusals) {
  const std::vector<Pwm> targets = {FromLetters("ACGU")};
  const auto expect = [](const Pwm& query, std::vector<Pwm> motifs, MatchOptions options, std::string part) {
    ExpectError(MatchMotif(query, motifs, options), StatusCode::kInvalidArgument, {part, "expected"});
  };
  const Pwm query = FromLetters("AC");
  expect(query, {}, {}, "no target motifs");
  expect(Pwm{"q", {}}, targets, {}, "the query 'q' has 0 columns");
  expect(query, {targets[0], Pwm{"t", {}}}, {}, "the target 't' has 0 columns");
  expect(FromLetters(std::string(101, 'A')), targets, {}, "101 columns");
  Pwm bad = query;
  bad.columns[1][2] = std::numeric_limits<double>::quiet_NaN();
  expect(bad, targets, {}, "'AC' has the value nan at position 1");
  MatchOptions options;
  options.min_overlap = 0;
  expect(query, targets, options, "overlap is 0");
  options = {};
  options.bins = 9;
  expect(query, targets, options, "9 bins");
  options.bins = 1001;
  expect(query, targets, options, "1001 bins");
}

}  // namespace
}  // namespace rb
