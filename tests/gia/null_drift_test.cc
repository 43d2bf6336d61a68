// Null sequences against real ones: distances by definition, the verdict, the text.
#include "gia/null_drift.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gia/null_profile.h"
#include "tests/gia/gia_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectRefused;
using test::ExpectWithin;
using test::Pack;

std::map<std::string, double> Frequencies(const std::vector<std::string>& texts) {
  std::map<std::string, double> frequencies;
  double windows = 0;
  for (const std::string& text : texts) {
    for (size_t i = 0; i + 3 <= text.size(); ++i) {
      const std::string kmer = text.substr(i, 3);
      if (kmer.find('N') != std::string::npos) continue;
      ++frequencies[kmer];
      ++windows;
    }
  }
  for (auto& [kmer, frequency] : frequencies) frequency /= windows;
  return frequencies;
}

// The largest difference of the distribution functions over all scores, by definition.
double NaiveKs(const std::vector<float>& a, const std::vector<float>& b) {
  const auto share = [](const std::vector<float>& values, float at) {
    double below = 0;
    for (const float value : values) below += value <= at;
    return below / static_cast<double>(values.size());
  };
  double largest = 0;
  for (const auto* values : {&a, &b}) {
    for (const float at : *values) largest = std::max(largest, std::abs(share(a, at) - share(b, at)));
  }
  return largest;
}

TEST(NullDrift, EqualsTheDefinitions) {
  for (uint64_t round = 0; round < 40; ++round) {
    PhiloxStream stream(3, round);
    const int n = 1 + static_cast<int>(stream.Below(30)), m = 1 + static_cast<int>(stream.Below(30));
    const auto a = test::RandomTexts(n, 8, 41, 10 + round), b = test::RandomTexts(m, 8, 41, 500 + round);
    std::vector<float> x, y;  // few values: ties within a side and between them
    for (int i = 0; i < n; ++i) x.push_back(static_cast<float>(stream.Below(12)));
    for (int i = 0; i < m; ++i) y.push_back(static_cast<float>(stream.Below(12)) - 3);
    const auto drift = CompareWithReal(Pack(a, 41), x, Pack(b, 41), y);
    ASSERT_TRUE(drift.ok()) << drift.status();
    ExpectWithin(drift->ks, NaiveKs(x, y), 1e-12);
    ExpectEqual(drift->null_sequences, int64_t{n});
    ExpectEqual(drift->real_sequences, int64_t{m});
    ExpectWithin(drift->ks_noise, 1.628 * std::sqrt(1.0 / n + 1.0 / m), 1e-12);
    double mean = 0, squares = 0;
    for (const float value : x) mean += value / static_cast<double>(n);
    for (const float value : x) squares += (value - mean) * (value - mean);
    ExpectWithin(drift->null_mean, mean, 1e-12);
    if (n > 1) ExpectWithin(drift->null_sd, std::sqrt(squares / (n - 1)), 1e-12);
    if (n == 1) ExpectEqual(std::isnan(drift->null_sd), true);
    auto f = Frequencies(a), g = Frequencies(b);
    double sum = 0, largest = 0;
    for (const char* first = "ACGU"; *first; ++first) {
      for (const char* second = "ACGU"; *second; ++second) {
        for (const char* third = "ACGU"; *third; ++third) {
          const std::string kmer = {*first, *second, *third};
          sum += std::abs(f[kmer] - g[kmer]);
          largest = std::max(largest, std::abs(f[kmer] - g[kmer]));
        }
      }
    }
    ExpectWithin(drift->total_variation, sum / 2, 1e-12);
    ExpectWithin(std::abs(drift->largest_difference), largest, 1e-12);
    ExpectWithin(drift->largest_difference, f[drift->largest_kmer] - g[drift->largest_kmer], 1e-12);
  }
}

TEST(NullDrift, SmallestCaseByHand) {
  // AAAC: AAA and AAC; real GGGG: GGG twice. Scores {1, 3} against {2}.
  const auto drift =
      CompareWithReal(Pack({"AAAC", "N"}, 6), std::vector<float>{1, 3}, Pack({"GGGG"}, 6), std::vector<float>{2});
  ASSERT_TRUE(drift.ok()) << drift.status();
  ExpectEqual(drift->ks, 0.5);
  ExpectEqual(drift->null_mean, 2.0);
  ExpectWithin(drift->null_sd, std::sqrt(2.0), 1e-15);
  ExpectEqual(drift->total_variation, 1.0);
  ExpectEqual(drift->largest_difference, -1.0);
  ExpectEqual(drift->largest_kmer, std::string("GGG"));
  ExpectWithin(drift->total_variation_noise, 4.0, 1e-15);  // sqrt(64 (1/2 + 1/2)) / 2
}

// Sequences of independent letters with the given share of G and C, and scores from the same stream.
Sequences Composed(int n, double gc, uint64_t key) {
  std::vector<float> profile;
  for (int p = 0; p < 41; ++p) {
    for (const double share : {1 - gc, gc, gc, 1 - gc}) profile.push_back(static_cast<float>(share / 2));
  }
  return DrawProfileNulls(profile, 41, n, key).value();
}

std::vector<float> Scores(int n, double shift, uint64_t key) {
  PhiloxStream stream(key);
  std::vector<float> scores;
  for (int i = 0; i < n; ++i) scores.push_back(static_cast<float>(stream.Uniform() + shift));
  return scores;
}

TEST(NullDrift, VerdictNeitherCondemnsNoiseNorPassesDrift) {
  for (const int n : {5, 20, 100, 1000}) {
    for (uint64_t key = 0; key < 20; ++key) {
      const auto drift =
          CompareWithReal(Composed(n, 0.5, key), Scores(n, 0, key), Composed(800, 0.5, 77), Scores(800, 0, 77));
      ExpectEqual(drift->drifted(), false, FormatDrift(*drift));
      ExpectEqual(drift->total_variation < drift->total_variation_noise * 1.5, true, FormatDrift(*drift));
    }
  }
  const auto real = Composed(800, 0.5, 77);
  const auto scores = Scores(800, 0, 77);
  ExpectEqual(CompareWithReal(Composed(500, 0.5, 1), Scores(500, 0.5, 1), real, scores)->drifted(), true);
  ExpectEqual(CompareWithReal(Composed(500, 0.5, 1), Scores(500, -0.5, 1), real, scores)->drifted(), true);
  ExpectEqual(CompareWithReal(Composed(500, 0.5, 1), Scores(500, 0.2, 1), real, scores)->drifted(), false);
  ExpectEqual(CompareWithReal(Composed(500, 0.7, 1), Scores(500, 0, 1), real, scores)->drifted(), true);
  ExpectEqual(CompareWithReal(Composed(500, 0.53, 1), Scores(500, 0, 1), real, scores)->drifted(), false);
}

TEST(NullDrift, TwoLinesOfText) {
  NullDrift drift;
  drift.null_sequences = 1000;
  drift.real_sequences = 5000;
  drift.null_mean = -0.1234;
  drift.null_sd = 0.5;
  drift.real_mean = 0.25;
  drift.real_sd = 1;
  drift.ks = 0.125;
  drift.ks_noise = 0.05;
  drift.total_variation = 0.0625;
  drift.total_variation_noise = 0.01;
  drift.largest_difference = -0.0123;
  drift.largest_kmer = "UGU";
  ExpectEqual(
      FormatDrift(drift),
      std::string("null against real sequences: similar; scores -0.123 +- 0.500 (n 1000) against 0.250 +- 1.000 "
                  "(n 5000), Kolmogorov-Smirnov distance 0.125 (at most 0.300)\n"
                  "3-mers: total variation 0.062 (at most 0.110), largest difference -0.0123 at UGU"));
  drift.ks = 0.31;
  ExpectEqual(
      FormatDrift(drift, true).find("sequences: they differ, read effects with care; scores") != std::string::npos,
      true);
  ExpectEqual(FormatDrift(drift, true).find("at TGT") != std::string::npos, true);
}

TEST(NullDrift, Refusals) {
  const Sequences one = Pack({"ACGUACGU"}, 10), none = Pack({}, 10), short_one = Pack({"ACNGU"}, 10);
  const std::vector<float> score = {1};
  ExpectRefused(CompareWithReal(none, {}, one, score).status(), "no null sequences");
  ExpectRefused(CompareWithReal(one, score, none, {}).status(), "no real sequences");
  ExpectRefused(CompareWithReal(one, {}, one, score).status(), "0 scores of null sequences");
  ExpectRefused(CompareWithReal(one, score, one, std::vector<float>{1, 2}).status(), "2 scores of real sequences");
  ExpectRefused(CompareWithReal(one, std::vector<float>{NAN}, one, score).status(), "null sequence 0 scores nan");
  ExpectRefused(CompareWithReal(one, score, short_one, score).status(), "bases in a row in any real sequence");
}

}  // namespace
}  // namespace rb
