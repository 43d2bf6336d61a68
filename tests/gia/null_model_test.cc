// Null models: what each kind keeps of its source, prefixes, quartiles and the filter.
#include "gia/null_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "gia/null_profile.h"
#include "kernels/feistel.h"
#include "tests/gia/gia_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectRefused;
using test::Pack;
using test::Unpack;
using test::UnpackAll;

// 300 sequences of 30 to 41 letters; rows are the even ones; scores are mixed, one in seven and the first four missing.
struct Toy {
  Sequences sequences = Pack(test::RandomTexts(300, 30, 41, 1), 41);
  std::vector<int32_t> rows;
  std::vector<float> scores;
  std::vector<float> profile = std::vector<float>(41 * 4, 0.25f);
  Sequences file = Pack(test::RandomTexts(40, 20, 41, 2), 41);

  Toy() {
    for (int32_t row = 0; row < 300; row += 2) rows.push_back(row);
    for (int i = 0; i < 300; ++i) scores.push_back(i % 7 == 3 || i < 4 ? NAN : static_cast<float>((i * 37) % 101));
  }
  NullSources sources() const { return {41, profile, &sequences, rows, scores, &file}; }
};

NullOptions Options(NullKind kind, int64_t n, uint64_t seed = 5) {
  NullOptions options;
  options.kind = kind;
  options.n = n;
  options.seed = seed;
  options.id = StableId("EXP1", 2);
  return options;
}

constexpr NullKind kAll[] = {NullKind::kProfile,   NullKind::kShuffle,   NullKind::kDinucleotide, NullKind::kQuartile1,
                             NullKind::kQuartile2, NullKind::kQuartile3, NullKind::kQuartile4,    NullKind::kFile};

std::array<int, 25> PairCounts(const std::string& letters) {
  std::array<int, 25> counts{};
  const std::string alphabet = "ACGU.";
  for (size_t i = 0; i + 1 < letters.size(); ++i) {
    ++counts[alphabet.find(letters[i]) * 5 + alphabet.find(letters[i + 1])];
  }
  return counts;
}

TEST(NullKind, NamesGoBothWays) {
  for (const NullKind kind : kAll) {
    const auto found = FindNullKind(NullKindName(kind));
    ExpectEqual(found.has_value(), kind != NullKind::kFile);
    if (found) ExpectEqual(*found, kind);
  }
  ExpectEqual(NullKindName(NullKind::kQuartile3), std::string_view("quartile3"));
  for (const char* name : {"", "Profile", "quartile5", "quartile", "nulls.fa", "file"}) {
    ExpectEqual(FindNullKind(name).has_value(), false, name);
  }
}

TEST(NullModel, MoreSequencesExtendFewerAndSeedsDiffer) {
  const Toy toy;
  for (const NullKind kind : kAll) {
    const std::string name(NullKindName(kind));
    const auto few = DrawNulls(Options(kind, 9), toy.sources()), many = DrawNulls(Options(kind, 30), toy.sources());
    const auto other = DrawNulls(Options(kind, 9, 6), toy.sources());
    ASSERT_TRUE(few.ok() && many.ok() && other.ok()) << name << few.status() << many.status() << other.status();
    ExpectEqual(many->sequences.size(), int64_t{30}, name);
    ExpectEqual(many->draws.size(), size_t{30}, name);
    ExpectEqual(many->draws[29], int64_t{29}, name);
    ExpectEqual(many->scored, int64_t{0}, name);
    ExpectEqual(many->sequences.length, 41);
    ExpectEqual(many->sequences.structure_channels, 0);
    for (int i = 0; i < 9; ++i) {
      ExpectEqual(Unpack(few->sequences, i), Unpack(many->sequences, i), name);
      ExpectEqual(few->sequences.widths[i], many->sequences.widths[i], name);
    }
    ExpectEqual(few->sequences.bases == other->sequences.bases, kind == NullKind::kFile, name);
    const std::vector<std::string> texts = UnpackAll(many->sequences);
    ExpectEqual(std::set<std::string>(texts.begin(), texts.end()).size(), size_t{30}, name);
    NullOptions stranger = Options(kind, 9);
    stranger.id = StableId("EXP1", 3);
    ExpectEqual(DrawNulls(stranger, toy.sources())->sequences.bases == few->sequences.bases, kind == NullKind::kFile);
  }
}

TEST(NullModel, ProfileIsTheScansNull) {
  const Toy toy;
  const auto nulls = DrawNulls(Options(NullKind::kProfile, 50), toy.sources());
  const auto expected = DrawProfileNulls(toy.profile, 41, 50, DeriveKey(5, Purpose::kNullModel, StableId("EXP1", 2)));
  test::ExpectSameBits<uint32_t>(nulls->sequences.bases, expected->bases, "profile");
}

// Which row draw i takes: the permutation of the training rows, round after round.
int32_t SourceRow(const Toy& toy, int i) {
  const uint32_t n = static_cast<uint32_t>(toy.rows.size());
  const FeistelPermutation permutation(n, DeriveKey(5, Purpose::kNullModel, StableId("EXP1", 2)));
  return toy.rows[permutation(static_cast<uint32_t>(i) % n)];
}

TEST(NullModel, ShufflesKeepTheirSequencesContent) {
  const Toy toy;
  const auto mono = DrawNulls(Options(NullKind::kShuffle, 400), toy.sources());
  const auto pairs = DrawNulls(Options(NullKind::kDinucleotide, 400), toy.sources());
  ASSERT_TRUE(mono.ok() && pairs.ok()) << mono.status() << pairs.status();
  std::map<int32_t, int> used;
  for (int i = 0; i < 400; ++i) {
    const int32_t row = SourceRow(toy, i);
    ++used[row];
    const std::string before = Unpack(toy.sequences, row);
    const std::string a = Unpack(mono->sequences, i), b = Unpack(pairs->sequences, i);
    ExpectEqual(mono->sequences.widths[i], toy.sequences.widths[row]);
    ExpectEqual(pairs->sequences.widths[i], toy.sequences.widths[row]);
    for (int p = 0; p < 41; ++p) {
      EXPECT_EQ(a[p] == '.', before[p] == '.');
      EXPECT_EQ(b[p] == '.', before[p] == '.');
    }
    ExpectEqual(PairCounts(b), PairCounts(before), before + " " + b);
    ExpectEqual(std::is_permutation(a.begin(), a.end(), before.begin(), before.end()), true);
    ExpectEqual(a != before && b != before, true);
  }
  // 150 rows, 400 draws: each row twice, and a hundred of them once more.
  ExpectEqual(used.size(), size_t{150});
  for (const auto& [row, count] : used) ExpectEqual(count == 2 || count == 3, true);
  // A row's second shuffle is another one.
  ExpectEqual(SourceRow(toy, 0), SourceRow(toy, 150));
  ExpectEqual(Unpack(mono->sequences, 0) != Unpack(mono->sequences, 150), true);
}

TEST(NullModel, QuartilesAreTheRankedRows) {
  const Toy toy;
  std::vector<int32_t> ranked;
  for (const int32_t row : toy.rows) {
    if (!std::isnan(toy.scores[row])) ranked.push_back(row);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](int32_t a, int32_t b) { return toy.scores[a] > toy.scores[b]; });
  const size_t m = ranked.size();
  ExpectEqual(m % 4, size_t{3});  // so that rounding of the bounds matters
  size_t total = 0;
  for (size_t q = 1; q <= 4; ++q) {
    const NullKind kind = kAll[2 + q];
    const size_t first = (q - 1) * m / 4, end = q * m / 4;
    const auto refused = DrawNulls(Options(kind, 200), toy.sources());
    ExpectRefused(refused.status(), "quartile" + std::to_string(q) + " has " + std::to_string(end - first) + " seq");
    const auto nulls = DrawNulls(Options(kind, static_cast<int64_t>(end - first)), toy.sources());
    ASSERT_TRUE(nulls.ok()) << nulls.status();
    std::vector<std::string> expected, found = UnpackAll(nulls->sequences);
    for (size_t i = first; i < end; ++i) expected.push_back(Unpack(toy.sequences, ranked[i]));
    ExpectEqual(found == expected, false);  // drawn at random, not by rank
    std::sort(found.begin(), found.end());
    std::sort(expected.begin(), expected.end());
    ExpectEqual(found, expected);
    total += found.size();
  }
  ExpectEqual(total, m);
}

TEST(NullModel, FilesKeepTheirOrder) {
  const Toy toy;
  const auto nulls = DrawNulls(Options(NullKind::kFile, 40), toy.sources());
  ASSERT_TRUE(nulls.ok()) << nulls.status();
  test::ExpectSameBits<uint32_t>(nulls->sequences.bases, toy.file.bases, "file");
  ExpectEqual(nulls->sequences.widths, toy.file.widths);
  ExpectRefused(DrawNulls(Options(NullKind::kFile, 41), toy.sources()).status(), "file has 40 sequences; expected 41");
}

// Some number that depends on the letters alone.
float Score(const Sequences& sequences, int64_t i) {
  const uint64_t sum = MixBits(sequences.packed(i)[0] ^ MixBits(sequences.packed(i)[1]));
  return static_cast<float>(sum % 100003) / 100.0f;
}

absl::StatusOr<std::vector<float>> ScoreAll(const Sequences& sequences) {
  std::vector<float> scores;
  for (int64_t i = 0; i < sequences.size(); ++i) scores.push_back(Score(sequences, i));
  return scores;
}

double Percentile(std::vector<float> scores, double percent) {
  std::sort(scores.begin(), scores.end());
  const double at = static_cast<double>(scores.size() - 1) * percent / 100, below = std::floor(at);
  const double low = scores[static_cast<size_t>(below)];
  return low + (scores[static_cast<size_t>(std::ceil(at))] - low) * (at - below);
}

TEST(NullFilter, KeepsDrawsBetweenThePoolsPercentiles) {
  const Toy toy;
  for (const auto& [low, high] : {std::pair{10.0, 90.0}, {0.0, 25.0}, {60.0, 100.0}, {49.0, 51.0}}) {
    for (const NullKind kind : {NullKind::kProfile, NullKind::kShuffle, NullKind::kDinucleotide}) {
      const auto all = DrawNulls(Options(kind, 40000), toy.sources());
      const std::vector<float> scores = ScoreAll(all->sequences).value();
      const std::vector<float> pool(scores.begin(), scores.begin() + kNullPool);
      const double from = low > 0 ? Percentile(pool, low) : -1e30, to = high < 100 ? Percentile(pool, high) : 1e30;
      std::vector<int64_t> expected;
      for (int64_t i = 0; i < 40000 && expected.size() < 300; ++i) {
        if (scores[i] >= from && scores[i] <= to) expected.push_back(i);
      }
      for (const int64_t n : {1, 20, 300}) {
        NullOptions options = Options(kind, n);
        options.filter_low = low;
        options.filter_high = high;
        const auto kept = DrawNulls(options, toy.sources(), ScoreAll);
        ASSERT_TRUE(kept.ok()) << kept.status();
        ExpectEqual(kept->draws, std::vector<int64_t>(expected.begin(), expected.begin() + n));
        ExpectEqual(kept->scored, expected[n - 1] + 1);
        if (low > 0) test::ExpectWithin(kept->low, from, 1e-9);
        if (high < 100) test::ExpectWithin(kept->high, to, 1e-9);
        ExpectEqual(std::isinf(kept->low), low == 0);
        ExpectEqual(std::isinf(kept->high), high == 100);
        for (int64_t i = 0; i < n; ++i) {
          ExpectEqual(Unpack(kept->sequences, i), Unpack(all->sequences, expected[i]));
          ExpectEqual(kept->sequences.widths[i], all->sequences.widths[expected[i]]);
        }
      }
    }
  }
}

TEST(NullFilter, FiniteSourcesRunOut) {
  const Toy toy;
  NullOptions options = Options(NullKind::kFile, 20);
  options.filter_low = 25;
  options.filter_high = 75;  // of 40 scores ranks 10.75 to 30.25: 20 of them
  const auto kept = DrawNulls(options, toy.sources(), ScoreAll);
  ASSERT_TRUE(kept.ok()) << kept.status();
  ExpectEqual(kept->sequences.size(), int64_t{20});
  options.n = 21;
  ExpectRefused(DrawNulls(options, toy.sources(), ScoreAll).status(),
                "the filter from percentile 25 to 75 kept 20 of 40 sequences of the null model file; expected 21");
}

TEST(NullFilter, EqualScoresAllPassAndBoundsAreIncluded) {
  const Toy toy;
  NullOptions options = Options(NullKind::kProfile, 1500);
  options.filter_low = 50;
  options.filter_high = 60;
  const auto constant = [](const Sequences& s) -> absl::StatusOr<std::vector<float>> {
    return std::vector<float>(static_cast<size_t>(s.size()), 1.5f);
  };
  const auto kept = DrawNulls(options, toy.sources(), constant);
  ASSERT_TRUE(kept.ok()) << kept.status();
  ExpectEqual(kept->draws.back(), int64_t{1499});
  // The pool scores alike, later sequences otherwise: an endless model gives up and says so.
  int calls = 0;
  const auto moving = [&](const Sequences& s) -> absl::StatusOr<std::vector<float>> {
    return std::vector<float>(static_cast<size_t>(s.size()), calls++ == 0 ? 1.0f : 2.0f);
  };
  ExpectRefused(DrawNulls(options, toy.sources(), moving).status(), "kept 1000 of ");
}

TEST(NullFilter, ScoresAreChecked) {
  const Toy toy;
  NullOptions options = Options(NullKind::kProfile, 10);
  options.filter_low = 10;
  const auto with = [&](const ScoreFunction& score) { return DrawNulls(options, toy.sources(), score).status(); };
  ExpectRefused(with([](const Sequences&) { return absl::DataLossError("score broke"); }), "score broke",
                absl::StatusCode::kDataLoss);
  ExpectRefused(with([](const Sequences&) { return std::vector<float>(3); }), "3 scores", absl::StatusCode::kInternal);
  for (const float bad : {NAN, INFINITY}) {
    ExpectRefused(with([bad](const Sequences& s) {
                    std::vector<float> scores(static_cast<size_t>(s.size()), 0.0f);
                    scores[17] = bad;
                    return scores;
                  }),
                  "null sequence 17 scores");
  }
}

TEST(NullModel, Refusals) {
  const Toy toy;
  const auto with = [&](NullKind kind, int64_t n, double low, double high, const NullSources& sources) {
    NullOptions options = Options(kind, n);
    options.filter_low = low;
    options.filter_high = high;
    return DrawNulls(options, sources, ScoreAll).status();
  };
  const NullSources good = toy.sources();
  ExpectRefused(with(NullKind::kProfile, 0, 0, 100, good), "0 null sequences; expected 1 to 1000000");
  ExpectRefused(with(NullKind::kProfile, 1'000'001, 0, 100, good), "1000001 null sequences");
  for (const auto& [low, high] : {std::pair{-1.0, 50.0}, {50.0, 50.0}, {60.0, 40.0}, {0.0, 101.0}, {NAN, 90.0}}) {
    ExpectRefused(with(NullKind::kProfile, 10, low, high, good), "expected 0 to 100, the lower one first");
  }
  NullSources bad = good;
  bad.profile = {};
  ExpectRefused(with(NullKind::kProfile, 10, 0, 100, bad), "profile");
  bad = good;
  bad.length = 40;
  ExpectRefused(with(NullKind::kShuffle, 10, 0, 100, bad), "41 positions; expected the model's 40");
  ExpectRefused(with(NullKind::kFile, 10, 0, 100, bad), "41 positions; expected the model's 40");
  bad = good;
  bad.rows = {};
  ExpectRefused(with(NullKind::kDinucleotide, 10, 0, 100, bad), "dinucleotide has no sequences");
  bad = good;
  const std::vector<float> missing(300, NAN);
  bad.scores = missing;
  ExpectRefused(with(NullKind::kQuartile2, 10, 0, 100, bad), "expected some with a measured score");
}

}  // namespace
}  // namespace rb
