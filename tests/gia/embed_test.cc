// Embedding against letters written one at a time, hairpins, draws, and padding.
#include "gia/embed.h"

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "tests/gia/gia_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectRefused;
using test::ExpectWithin;
using test::Pack;
using test::Unpack;

Embedding Parse(const std::string& text, int length = 41, const PwmReader& reader = {}) {
  const auto embedding = ParseEmbedding(text, length, reader);
  EXPECT_TRUE(embedding.ok()) << text << ": " << embedding.status();
  return embedding.ok() ? *embedding : Embedding{};
}

Embedding Nothing(int length = 41) { return StemsOf(Parse("A@0", length)); }

EmbeddedPair Pair(const std::string& text, const Sequences& nulls, uint64_t key = 1) {
  const Embedding pattern = Parse(text, nulls.length);
  const auto pair = EmbedPair(pattern, StemsOf(pattern), nulls, key);
  EXPECT_TRUE(pair.ok()) << text << ": " << pair.status();
  return pair.ok() ? *pair : EmbeddedPair{};
}

Sequences FullLength(int n, int length, uint64_t key) {
  return Pack(test::RandomTexts(n, length, length, key), length);
}

bool Pairs(char left, char right, bool wobble) {
  const std::string pair = {left, right};
  for (const char* allowed : {"AU", "UA", "GC", "CG"}) {
    if (pair == allowed) return true;
  }
  return wobble && (pair == "GU" || pair == "UG");
}

TEST(Embed, LettersAreWrittenInOrder) {
  for (const int length : {12, 16, 33, 41, 70}) {  // patterns across words of both kinds
    const Sequences nulls = FullLength(5, length, 3);
    for (uint64_t round = 0; round < 60; ++round) {
      PhiloxStream stream(4, round);
      std::vector<std::string> expected = test::UnpackAll(nulls);
      const std::vector<std::string> before = expected;
      std::string text;
      for (uint32_t e = 0, n = 1 + stream.Below(3); e < n; ++e) {
        std::string letters(1 + stream.Below(8), ' ');
        for (char& letter : letters) letter = "ACGU"[stream.Below(4)];
        const uint32_t at = stream.Below(static_cast<uint32_t>(length) - static_cast<uint32_t>(letters.size()) + 1);
        text += (e ? "+" : "") + letters + "@" + std::to_string(at);
        for (std::string& sequence : expected) sequence.replace(at, letters.size(), letters);
      }
      const EmbeddedPair pair = Pair(text, nulls);
      ExpectEqual(test::UnpackAll(pair.with), expected, text);
      ExpectEqual(test::UnpackAll(pair.without), before, text);
      ExpectEqual(pair.left_out, int64_t{0});
      // Code bits of unknown positions stay 0, which the packing promises.
      Sequences again = Pack(std::vector<std::string>(5, std::string(static_cast<size_t>(length), 'A')), length);
      for (int i = 0; i < 5; ++i) {
        std::vector<uint8_t> codes(static_cast<size_t>(length));
        UnpackBases(pair.with.packed(i), length, codes.data());
        PackBases(codes.data(), length, again.bases.data() + i * PackedWords(length));
      }
      test::ExpectSameBits<uint32_t>(pair.with.bases, again.bases, text);
    }
  }
}

// Pearson's statistic of counts against shares, below its 0.1 % point for 1 to 3 degrees of freedom.
void ExpectShares(const std::array<int, 4>& counts, const std::array<double, 4>& weights, const std::string& what) {
  double n = 0, total = 0, statistic = 0;
  int df = -1;
  for (int b = 0; b < 4; ++b) n += counts[b], total += weights[b];
  for (int b = 0; b < 4; ++b) {
    if (weights[b] == 0) {
      ExpectEqual(counts[b], 0, what);
      continue;
    }
    const double expected = n * weights[b] / total;
    statistic += (counts[b] - expected) * (counts[b] - expected) / expected;
    ++df;
  }
  const double limits[] = {1e-9, 10.83, 13.82, 16.27};
  ExpectWithin(statistic, 0, limits[df], what);
}

std::array<int, 4> CountAt(const Sequences& sequences, int position) {
  std::array<int, 4> counts{};
  for (int64_t i = 0; i < sequences.size(); ++i) ++counts[BaseAt(sequences.packed(i), sequences.length, position)];
  return counts;
}

TEST(Embed, SetsOfBasesAreDrawnEvenly) {
  const Sequences nulls = FullLength(4000, 20, 5);
  const EmbeddedPair pair = Pair("ANRYBU@3+W@12", nulls);
  const std::array<double, 4> shares[] = {{1, 0, 0, 0}, {1, 1, 1, 1}, {1, 0, 1, 0},
                                          {0, 1, 0, 1}, {0, 1, 1, 1}, {0, 0, 0, 1}};
  for (int i = 0; i < 6; ++i) ExpectShares(CountAt(pair.with, 3 + i), shares[i], std::to_string(i));
  ExpectShares(CountAt(pair.with, 12), {1, 0, 0, 1}, "W");
  // Neighbouring positions, and elements, are independent: N followed by R, R followed by W.
  std::array<int, 4> joint{}, across{};
  for (int64_t i = 0; i < 4000; ++i) {
    const std::string text = Unpack(pair.with, i);
    ++joint[(text[5] == 'G') * 2 + (text[6] == 'U')];
    ++across[(text[5] == 'G') * 2 + (text[12] == 'U')];
  }
  ExpectShares(joint, {1, 1, 1, 1}, "neighbours");
  ExpectShares(across, {1, 1, 1, 1}, "elements");
}

TEST(Embed, PwmColumnsAreDrawnByTheirShares) {
  const std::vector<std::array<double, 4>> columns = {
      {0.1, 0.2, 0.3, 0.4}, {0, 0.5, 0, 0.5}, {3, 0, 1, 0}, {0, 0, 1, 0}};
  const PwmReader reader = [&](const std::string&, const std::string& name) -> absl::StatusOr<Pwm> {
    return Pwm{name, columns};
  };
  const Embedding pattern = Parse("f:m@5", 20, reader);
  const auto pair = EmbedPair(pattern, Nothing(20), FullLength(5000, 20, 6), 9);
  for (int c = 0; c < 4; ++c) ExpectShares(CountAt(pair->with, 5 + c), columns[c], std::to_string(c));
}

TEST(Embed, DrawsDependOnKeyIndexAndElementAlone) {
  const Sequences many = FullLength(200, 41, 7);
  Sequences few = many;
  few.widths.resize(50);
  few.bases.resize(50 * PackedWords(41));
  const EmbeddedPair all = Pair("NNNNNN@17", many), some = Pair("NNNNNN@17", few),
                     followed = Pair("NNNNNN@17+NNN@30", many);
  const EmbeddedPair moved = Pair("NNNNNN@4", many), other = Pair("NNNNNN@17", many, 2);
  const EmbeddedPair second = Pair("A@0+NNNNNN@17", many);
  int same_key = 0, same_element = 0, same_index = 0;
  for (int64_t i = 0; i < 200; ++i) {
    const std::string drawn = Unpack(all.with, i).substr(17, 6);
    if (i < 50) ExpectEqual(Unpack(some.with, i), Unpack(all.with, i));
    ExpectEqual(Unpack(followed.with, i).substr(17, 6), drawn);
    ExpectEqual(Unpack(moved.with, i).substr(4, 6), drawn);
    same_key += Unpack(other.with, i).substr(17, 6) == drawn;
    same_element += Unpack(second.with, i).substr(17, 6) == drawn;
    if (i > 0) same_index += Unpack(all.with, i - 1).substr(17, 6) == drawn;
    std::vector<uint32_t> words(many.packed(i), many.packed(i) + PackedWords(41));
    EmbedInto(Parse("NNNNNN@17"), 1, static_cast<uint64_t>(i), words.data());
    test::ExpectSameBits<uint32_t>(words, std::span(all.with.packed(i), words.size()), "EmbedInto");
  }
  ExpectEqual(same_key < 3 && same_element < 3 && same_index < 3, true);  // of 200 with probability 1/4096 each
}

TEST(Hairpin, PaperPreset) {
  const Sequences nulls = FullLength(300, 41, 8);
  const Sequences untouched = nulls;
  for (const char* motif : {"UGCAUG@17", "UGCAUG@9", "UGCAUG@12", "UGCAUG@27"}) {  // loop, stem, both, 3' side
    const std::string text = std::string("stem@6-16:23-33+") + motif;
    const EmbeddedPair pair = Pair(text, nulls);
    const int at = std::stoi(std::string(motif).substr(7));
    for (int64_t i = 0; i < 300; ++i) {
      const std::string null = Unpack(nulls, i), with = Unpack(pair.with, i), without = Unpack(pair.without, i);
      ExpectEqual(with.substr(static_cast<size_t>(at), 6), std::string("UGCAUG"));
      for (int k = 0; k < 11; ++k) {
        ExpectEqual(Pairs(with[6 + k], with[33 - k], false), true, with);
        ExpectEqual(Pairs(without[6 + k], without[33 - k], false), true, without);
        if (null[6 + k] != '.') ExpectEqual(without[6 + k], null[6 + k]);  // the 5' side is the null's own
      }
      for (int p = 0; p < 41; ++p) {
        const int partner = (p >= 6 && p <= 16) || (p >= 23 && p <= 33) ? 39 - p : p;
        const bool written = (p >= at && p < at + 6) || (partner >= at && partner < at + 6);
        if (!written) ExpectEqual(with[p], without[p], "the same stem, loop and flanks");
        if (p < 6 || p > 33 || (p > 16 && p < 23)) ExpectEqual(without[p], null[p]);
      }
    }
  }
  test::ExpectSameBits<uint32_t>(nulls.bases, untouched.bases, "the nulls are not changed");
}

// Random stems and elements, wobbling or not, drawn or not.
TEST(Hairpin, PairsHoldWhateverIsWritten) {
  const Sequences nulls = FullLength(20, 41, 9);
  for (uint64_t round = 0; round < 400; ++round) {
    PhiloxStream stream(10, round);
    const int size = 1 + static_cast<int>(stream.Below(14)), loop = 3 + static_cast<int>(stream.Below(10));
    const int left = static_cast<int>(stream.Below(static_cast<uint32_t>(41 - 2 * size - loop + 1)));
    const int right = left + 2 * size + loop - 1;
    const bool wobble = stream.Below(2), drawn = stream.Below(2);
    std::string text = "stem@" + std::to_string(left) + "-" + std::to_string(left + size - 1) + ":" +
                       std::to_string(right - size + 1) + "-" + std::to_string(right) + (wobble ? ":wobble" : "") +
                       (drawn ? ":drawn" : "");
    std::vector<int> writer(41, -1);  // by the order of the text
    std::vector<char> written(41, ' ');
    for (int e = 0, n = static_cast<int>(stream.Below(4)); e < n; ++e) {
      const uint32_t length = 1 + stream.Below(9), at = stream.Below(41 - length + 1);
      std::string letters(length, ' ');
      for (uint32_t i = 0; i < length; ++i) {
        written[at + i] = letters[i] = "ACGU"[stream.Below(4)];
        writer[at + i] = e;
      }
      text += "+" + letters + "@" + std::to_string(at);
    }
    const EmbeddedPair pair = Pair(text, nulls, round);
    for (int64_t i = 0; i < 20; ++i) {
      const std::string with = Unpack(pair.with, i), without = Unpack(pair.without, i);
      for (int p = 0; p < 41; ++p) {
        const bool in_stem = (p >= left && p < left + size) || (p <= right && p > right - size);
        const int partner = in_stem ? left + right - p : p;
        const int l = std::min(p, partner), r = std::max(p, partner);
        if (in_stem) {
          ExpectEqual(Pairs(with[l], with[r], wobble), true, text + " " + with);
          ExpectEqual(Pairs(without[l], without[r], wobble), true, text + " " + without);
        }
        const int kept = writer[r] > writer[l] ? r : l;
        if (writer[kept] >= 0) {
          ExpectEqual(with[kept], written[kept], text + " " + with);
        } else {
          ExpectEqual(with[p], without[p], text);
        }
      }
    }
  }
}

TEST(Hairpin, WobbleHasItsProbability) {
  const Sequences nulls = FullLength(2000, 41, 11);
  const EmbeddedPair pair = Pair("stem@6-16:23-33:wobble:drawn", nulls);
  std::array<int, 4> five{}, g{}, u{};
  for (int64_t i = 0; i < 2000; ++i) {
    const std::string text = Unpack(pair.with, i);
    for (int k = 0; k < 11; ++k) {
      const char left = text[6 + k], right = text[33 - k];
      ++five[BaseCode(left)];
      if (left == 'G') ++g[BaseCode(right)];
      if (left == 'U') ++u[BaseCode(right)];
      if (left == 'A') ExpectEqual(right, 'U');
      if (left == 'C') ExpectEqual(right, 'G');
    }
  }
  ExpectShares(five, {1, 1, 1, 1}, "drawn 5' side");
  ExpectShares(g, {0, 0.8, 0, 0.2}, "partner of G");
  ExpectShares(u, {0.8, 0, 0.2, 0}, "partner of U");
  ExpectEqual(test::UnpackAll(pair.with), test::UnpackAll(pair.without));
}

TEST(Hairpin, PublishedStemsDifferBetweenNullAndPattern) {
  const Sequences nulls = FullLength(50, 41, 12);
  const auto pair = EmbedPair(Parse("stem@8-16:24-32+UGCAUG@9"), Parse("stem@7-15:23-31"), nulls, 3);
  ASSERT_TRUE(pair.ok()) << pair.status();
  for (int64_t i = 0; i < 50; ++i) {
    const std::string with = Unpack(pair->with, i), without = Unpack(pair->without, i);
    for (int k = 0; k < 9; ++k) {
      ExpectEqual(Pairs(with[8 + k], with[32 - k], false), true);
      ExpectEqual(Pairs(without[7 + k], without[31 - k], false), true);
    }
  }
}

// Widths 41, 38 (positions 1 to 38), 30 (5 to 34): a pattern at 36 to 38 fits the first two alone.
TEST(Padding, SequencesWithPaddingUnderThePatternAreLeftOut) {
  const Sequences nulls =
      Pack({std::string(41, 'A'), std::string(38, 'A'), std::string(30, 'A'), std::string(38, 'C')}, 41);
  const EmbeddedPair pair = Pair("GGG@36", nulls);
  ExpectEqual(pair.rows, std::vector<int64_t>({0, 1, 3}));
  ExpectEqual(pair.left_out, int64_t{1});
  ExpectEqual(pair.with.widths, std::vector<uint16_t>({41, 38, 38}));
  ExpectEqual(pair.without.widths, pair.with.widths);
  ExpectEqual(Unpack(pair.with, 1), "." + std::string(35, 'A') + "GGG..");
  ExpectEqual(Unpack(pair.without, 1), "." + std::string(38, 'A') + "..");
  ExpectEqual(Unpack(pair.without, 2), "." + std::string(38, 'C') + "..");
  // One position further on either side does not fit.
  ExpectEqual(Pair("GGG@37", nulls).rows, std::vector<int64_t>({0}));
  ExpectEqual(Pair("GGG@5", nulls).rows.size(), size_t{4});
  ExpectEqual(Pair("GGG@4", nulls).rows, std::vector<int64_t>({0, 1, 3}));
  ExpectEqual(Pair("GGG@0", nulls).rows, std::vector<int64_t>({0}));
  // The baseline counts too.
  const auto both = EmbedPair(Parse("GGG@17"), Parse("A@0"), nulls, 1);
  ExpectEqual(both->rows, std::vector<int64_t>({0}));
  ExpectEqual(both->left_out, int64_t{3});
}

TEST(Padding, DrawsFollowTheRowInTheNulls) {
  const Sequences nulls = Pack({std::string(20, 'A'), std::string(41, 'A')}, 41);
  const EmbeddedPair pair = Pair("NNNNNNNN@0", nulls);
  std::vector<uint32_t> words(nulls.packed(1), nulls.packed(1) + PackedWords(41));
  EmbedInto(Parse("NNNNNNNN@0"), 1, 1, words.data());
  test::ExpectSameBits<uint32_t>(pair.with.bases, words, "row 1");
}

TEST(Padding, IsWrittenWhenAskedFor) {
  const Sequences nulls = Pack({std::string(10, 'A'), "NNNNNNNNNN"}, 16);
  const Embedding pattern = Parse("GC@1+UU@6", 16);
  const auto pair = EmbedPair(pattern, Nothing(16), nulls, 1, PaddingPolicy::kWrite);
  ASSERT_TRUE(pair.ok()) << pair.status();
  ExpectEqual(pair->left_out, int64_t{0});
  ExpectEqual(Unpack(pair->with, 0), std::string(".GCAAAUUAAAAA..."));
  ExpectEqual(Unpack(pair->with, 1), std::string(".GC...UU........"));
  ExpectEqual(pair->with.widths[0], uint16_t{10});
  ExpectEqual(Unpack(pair->without, 0), std::string("...AAAAAAAAAA..."));
}

TEST(Padding, NsAreOverwrittenAndDrawnInStems) {
  const Sequences nulls = Pack({"ANNNNNNNNNNNNNNA"}, 16);
  ExpectEqual(Unpack(Pair("GC@1", nulls).with, 0), std::string("AGC............A"));
  const std::string stem = Unpack(Pair("stem@1-4:9-12", nulls).with, 0);
  for (int k = 0; k < 4; ++k) ExpectEqual(Pairs(stem[1 + k], stem[12 - k], false), true, stem);
  ExpectEqual(stem.substr(5, 4), std::string("...."));
}

TEST(EmbedPair, Refusals) {
  const Sequences nulls = Pack({"ACGU", "ACG"}, 16);
  ExpectRefused(EmbedPair(Parse("A@0", 17), Nothing(16), nulls, 1).status(), "A@0 is meant for 17 positions; expected");
  ExpectRefused(EmbedPair(Parse("A@0", 16), Nothing(17), nulls, 1).status(), "17 positions");
  ExpectRefused(EmbedPair(Parse("A@0+C@4", 16), Nothing(16), nulls, 1).status(),
                "reaches into the padding of all 2 null sequences; expected some with bases at positions 0 to 4");
}

}  // namespace
}  // namespace rb
