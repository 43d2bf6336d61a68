// In-silico mutagenesis against models that are known in closed form.
#include "gia/ism.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "data/alphabet.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::ExpectWithin;

Sequences FromLetters(const std::vector<std::string>& letters) {
  Sequences sequences;
  sequences.length = static_cast<int>(letters[0].size());
  for (const std::string& text : letters) {
    std::vector<uint8_t> codes;
    for (const char c : text) codes.push_back(BaseCode(c));
    sequences.bases.resize(sequences.bases.size() + PackedWords(sequences.length));
    PackBases(codes.data(), sequences.length,
              sequences.bases.data() + sequences.bases.size() - PackedWords(sequences.length));
    sequences.widths.push_back(static_cast<uint16_t>(sequences.length));
  }
  return sequences;
}

std::string LettersOf(const Sequences& sequences, int64_t row) {
  std::string letters;
  for (int p = 0; p < sequences.length; ++p)
    letters += kBaseLetters[BaseAt(sequences.packed(row), sequences.length, p)];
  return letters;
}

// Any function of all letters: a hash of the text, as a number in [0, 1).
float HashScore(const std::string& letters) {
  return static_cast<float>(static_cast<double>(StableId(letters) >> 40) / (1 << 24));
}

// Scores by HashScore and keeps what it was asked.
struct Recorder {
  std::vector<std::string> asked;
  std::vector<int64_t> blocks;
  SequenceScorer Scorer() {
    return [this](const Sequences& sequences) -> absl::StatusOr<std::vector<float>> {
      std::vector<float> scores;
      EXPECT_EQ(sequences.bases.size(), static_cast<size_t>(sequences.size() * PackedWords(sequences.length)));
      for (int64_t i = 0; i < sequences.size(); ++i) {
        asked.push_back(LettersOf(sequences, i));
        scores.push_back(HashScore(asked.back()));
      }
      blocks.push_back(sequences.size());
      return scores;
    };
  }
};

const std::vector<std::string> kSequences = {"ACGUACGUACGUACGUACGUACGUACGUACGUACG",  // 35: two words of known bits
                                             "NNUGCAUGNNNNNNNNNNNNNNNNNNNNNNNNNNN",
                                             "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN"};

TEST(MutateSinglesTest, EveryMutantOnceAndInItsPlace) {
  const Sequences sequences = FromLetters(kSequences);
  for (const int64_t block : {int64_t{1}, int64_t{7}, int64_t{1000}}) {
    Recorder recorder;
    const auto found = MutateSingles(sequences, recorder.Scorer(), block);
    ASSERT_TRUE(found.ok()) << found.status();
    ExpectEqual(found->length, 35);
    ExpectEqual(found->effects.size(), size_t{3 * 35 * 4});
    for (const int64_t size : recorder.blocks) EXPECT_LE(size, block);
    // Wild types and 35 * 3 + 6 * 3 mutants, none twice, and no wild type among the mutants.
    ExpectEqual(recorder.asked.size(), size_t{3 + 35 * 3 + 6 * 3});
    ExpectEqual(std::set<std::string>(recorder.asked.begin(), recorder.asked.end()).size(), recorder.asked.size());
    for (int n = 0; n < 3; ++n) {
      ExpectEqual(found->wild[n], HashScore(kSequences[n]));
      for (int p = 0; p < 35; ++p) {
        for (int b = 0; b < 4; ++b) {
          std::string mutant = kSequences[n];
          float expected = 0;
          if (mutant[p] != 'N' && mutant[p] != kBaseLetters[b]) {
            mutant[p] = kBaseLetters[b];
            expected = HashScore(mutant) - HashScore(kSequences[n]);
          }
          ExpectEqual(found->effects[(n * 35 + p) * 4 + b], expected, mutant);
        }
      }
    }
  }
}

TEST(MutatePairsTest, EveryPairOnceAndInItsPlace) {
  const Sequences sequences = FromLetters(kSequences);
  for (const int row : {0, 1, 2}) {
    for (const int64_t block : {int64_t{5}, int64_t{100000}}) {
      Recorder recorder;
      const auto found = MutatePairs(sequences, row, recorder.Scorer(), block);
      ASSERT_TRUE(found.ok()) << found.status();
      const std::string wild = kSequences[row];
      const size_t known = row == 0 ? 35 : row == 1 ? 6 : 0;
      ExpectEqual(recorder.asked.size(), 1 + known * (known - 1) / 2 * 9 * (known > 0));
      ExpectEqual(std::set<std::string>(recorder.asked.begin(), recorder.asked.end()).size(), recorder.asked.size());
      for (const int64_t size : recorder.blocks) EXPECT_LE(size, block);
      ExpectEqual(found->wild, HashScore(wild));
      ASSERT_EQ(found->effects.size(), size_t{35 * 34 / 2 * 16});
      size_t at = 0;  // pairs in the documented order
      for (int i = 0; i < 35; ++i) {
        for (int j = i + 1; j < 35; ++j) {
          ExpectEqual(static_cast<size_t>(PairIndex(i, j, 35)) * 16, at);
          for (int a = 0; a < 4; ++a) {
            for (int b = 0; b < 4; ++b, ++at) {
              const char x = kBaseLetters[a], y = kBaseLetters[b];
              float expected = 0;
              if (wild[i] != 'N' && wild[j] != 'N' && wild[i] != x && wild[j] != y) {
                std::string mutant = wild;
                mutant[i] = x;
                mutant[j] = y;
                expected = HashScore(mutant) - HashScore(wild);
              }
              ExpectEqual(found->effects[at], expected);
            }
          }
        }
      }
    }
  }
  ExpectEqual(NumPairs(35), int64_t{595});
  ExpectEqual(NumPairs(1), int64_t{0});
}

TEST(MutatePairsTest, InteractionsOfAnAdditiveModelAndOfAPair) {
  const int length = 9;
  const Sequences sequences = FromLetters({"ACNUACGUA"});
  const std::string wild = "ACNUACGUA";
  // Whole numbers: exact in float. Additive but for 16 when positions 1 and 4 are G and U together.
  const SequenceScorer scorer = [&](const Sequences& s) -> absl::StatusOr<std::vector<float>> {
    std::vector<float> scores;
    for (int64_t n = 0; n < s.size(); ++n) {
      float sum = 0;
      for (int p = 0; p < length; ++p) sum += static_cast<float>(BaseAt(s.packed(n), length, p) * (p + 1) % 7);
      if (BaseAt(s.packed(n), length, 1) == 2 && BaseAt(s.packed(n), length, 4) == 3) sum += 16;
      scores.push_back(sum);
    }
    return scores;
  };
  const auto singles = MutateSingles(sequences, scorer);
  const auto pairs = MutatePairs(sequences, 0, scorer);
  ASSERT_TRUE(singles.ok() && pairs.ok());
  const std::vector<double> found = PairInteractions(*pairs, singles->effects);
  ASSERT_EQ(found.size(), size_t{81});
  for (int i = 0; i < length; ++i) {
    for (int j = 0; j < length; ++j) {
      ExpectEqual(found[i * length + j], (i == 1 && j == 4) || (i == 4 && j == 1) ? 16.0 : 0.0);
    }
  }
}

TEST(MutateTest, TracksAndWidthsComeAlong) {
  Sequences sequences = FromLetters({"ACGU", "GGGG"});
  sequences.structure_channels = 2;
  sequences.widths = {4, 3};
  for (int i = 0; i < 16; ++i) sequences.tracks.push_back(static_cast<float>(i));
  sequences.ids = {"a", "b"};
  int64_t checked = 0;
  const SequenceScorer scorer = [&](const Sequences& s) -> absl::StatusOr<std::vector<float>> {
    EXPECT_EQ(s.structure_channels, 2);
    EXPECT_EQ(s.tracks.size(), static_cast<size_t>(s.size() * 8));
    EXPECT_TRUE(s.ids.empty());
    for (int64_t n = 0; n < s.size(); ++n, ++checked) {
      const int row = s.widths[n] == 4 ? 0 : 1;
      for (int i = 0; i < 8; ++i) EXPECT_EQ(s.tracks[n * 8 + i], static_cast<float>(row * 8 + i));
    }
    return std::vector<float>(s.size(), 1.0f);
  };
  ASSERT_TRUE(MutateSingles(sequences, scorer, 5).ok());
  ExpectEqual(checked, int64_t{2 + 24});
  ASSERT_TRUE(MutatePairs(sequences, 1, scorer, 5).ok());
  ExpectEqual(checked, int64_t{26 + 1 + 6 * 9});
}

TEST(MutateTest, Errors) {
  const Sequences sequences = FromLetters({"ACGU"});
  Recorder recorder;
  ExpectError(MutateSingles(sequences, recorder.Scorer(), 0), StatusCode::kInvalidArgument,
              {"blocks of 0", "expected"});
  ExpectError(MutatePairs(sequences, 0, recorder.Scorer(), 0), StatusCode::kInvalidArgument, {"blocks of 0"});
  ExpectError(MutatePairs(sequences, 1, recorder.Scorer()), StatusCode::kInvalidArgument,
              {"sequence 1; expected 0 to 0"});
  ExpectError(MutatePairs(sequences, -1, recorder.Scorer()), StatusCode::kInvalidArgument, {"sequence -1"});
  int calls = 0;
  const SequenceScorer failing = [&](const Sequences& s) -> absl::StatusOr<std::vector<float>> {
    if (++calls > 2) return absl::UnavailableError("no machine");
    return std::vector<float>(s.size());
  };
  ExpectError(MutateSingles(sequences, failing, 4), StatusCode::kUnavailable, {"no machine"});
  calls = 0;
  ExpectError(MutatePairs(sequences, 0, failing, 4), StatusCode::kUnavailable, {"no machine"});
  const SequenceScorer shorter = [](const Sequences& s) -> absl::StatusOr<std::vector<float>> {
    return std::vector<float>(s.size() - (s.size() > 1));
  };
  ExpectError(MutateSingles(sequences, shorter, 100), StatusCode::kInternal, {"returned 11 predictions; expected 12"});
  const Sequences none = {};
  const auto empty = MutateSingles(none, recorder.Scorer());
  ASSERT_TRUE(empty.ok());
  ExpectEqual(empty->effects.size() + empty->wild.size(), size_t{0});
}

TEST(LogoHeightsTest, NormAndSquares) {
  const std::vector<float> effects = {3, 0, -4, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1};
  const std::vector<double> norm = LogoHeights(effects, LogoHeight::kNorm);
  const std::vector<double> squares = LogoHeights(effects, LogoHeight::kSquares);
  const double expected[] = {25, 0, 3, 4};
  ExpectEqual(norm.size(), size_t{4});
  for (int p = 0; p < 4; ++p) {
    ExpectEqual(squares[p], expected[p]);
    ExpectEqual(norm[p], std::sqrt(expected[p]));
  }
}

}  // namespace
}  // namespace rb
