// Shuffles: what they keep, and that every outcome is as likely as any other.
#include "gia/shuffle.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "data/alphabet.h"
#include "kernels/packed_bases.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

std::vector<uint8_t> Codes(const std::string& letters) {
  std::vector<uint8_t> codes;
  for (const char letter : letters) codes.push_back(BaseCode(letter));
  return codes;
}

std::string Letters(const std::vector<uint8_t>& codes) {
  std::string letters;
  for (const uint8_t code : codes) letters += kBaseLetters[code];
  return letters;
}

std::array<int, 25> Pairs(const std::vector<uint8_t>& codes) {
  std::array<int, 25> counts{};
  for (size_t i = 0; i + 1 < codes.size(); ++i) ++counts[codes[i] * 5 + codes[i + 1]];
  return counts;
}

std::array<int, 5> Singles(const std::vector<uint8_t>& codes) {
  std::array<int, 5> counts{};
  for (const uint8_t code : codes) ++counts[code];
  return counts;
}

// Random sequences over 1 to 4 letters with a biased composition, some with padding and Ns.
std::vector<uint8_t> RandomCodes(uint64_t number) {
  PhiloxStream stream(12345, number);
  const uint32_t length = 1 + stream.Below(60), letters = 1 + stream.Below(4);
  std::vector<uint8_t> codes(length);
  for (uint8_t& code : codes) code = static_cast<uint8_t>(std::min(stream.Below(letters), stream.Below(letters)));
  if (stream.Below(2) == 0) {
    for (uint32_t i = 0; i < stream.Below(3); ++i) codes[stream.Below(length)] = kUnknownBase;
    std::fill_n(codes.begin(), stream.Below(4) % length, kUnknownBase);
  }
  return codes;
}

bool SameUnknowns(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if ((a[i] == kUnknownBase) != (b[i] == kUnknownBase)) return false;
  }
  return true;
}

TEST(ShuffleBases, KeepsCountsAndUnknowns) {
  int changed = 0;
  for (uint64_t number = 0; number < 3000; ++number) {
    const std::vector<uint8_t> before = RandomCodes(number);
    std::vector<uint8_t> after = before;
    PhiloxStream stream(7, number);
    ShuffleBases(after, stream);
    ExpectEqual(Singles(after), Singles(before));
    ExpectEqual(SameUnknowns(before, after), true);
    changed += after != before;
  }
  ExpectEqual(changed > 2000, true);
}

TEST(ShuffleDinucleotides, KeepsPairsEndsAndUnknowns) {
  int changed = 0;
  for (uint64_t number = 0; number < 5000; ++number) {
    const std::vector<uint8_t> before = RandomCodes(number);
    std::vector<uint8_t> after = before;
    PhiloxStream stream(7, number);
    ShuffleDinucleotides(after, stream);
    ExpectEqual(Pairs(after), Pairs(before), Letters(before) + " " + Letters(after));
    ExpectEqual(SameUnknowns(before, after), true);
    ExpectEqual(after.front() == before.front() && after.back() == before.back(), true);
    changed += after != before;
  }
  ExpectEqual(changed > 2000, true);
}

// Pearson's statistic of equal expectations, and its 0.1 % point by Wilson and Hilferty's approximation.
template <class Shuffle>
void ExpectUniform(const std::string& text, size_t outcomes, int draws, const Shuffle& shuffle) {
  std::map<std::string, int> counts;
  for (int i = 0; i < draws; ++i) {
    std::vector<uint8_t> codes = Codes(text);
    PhiloxStream stream(99, static_cast<uint64_t>(i));
    shuffle(codes, stream);
    ++counts[Letters(codes)];
  }
  ExpectEqual(counts.size(), outcomes, text);
  const double expected = static_cast<double>(draws) / static_cast<double>(outcomes);
  double statistic = 0;
  for (const auto& [letters, count] : counts) statistic += (count - expected) * (count - expected) / expected;
  const double df = static_cast<double>(outcomes) - 1, spread = 2 / (9 * df);
  const double limit = df * std::pow(1 - spread + 3.09 * std::sqrt(spread), 3);
  ExpectWithin(statistic, 0, limit, text);
  // Too even would be as wrong: the 0.1 % point of the other tail.
  ExpectEqual(statistic >= df * std::pow(std::max(0.0, 1 - spread - 3.09 * std::sqrt(spread)), 3), true, text);
}

TEST(ShuffleBases, EveryOrderIsAsLikely) {
  const auto shuffle = [](std::vector<uint8_t>& codes, PhiloxStream& stream) { ShuffleBases(codes, stream); };
  ExpectUniform("ACGU", 24, 24000, shuffle);
  ExpectUniform("AACGN", 12, 12000, shuffle);
  ExpectUniform("NAAUUUN", 10, 10000, shuffle);
}

// The sequences with a text's pair counts by trying all orders of its letters.
size_t CountByEnumeration(const std::string& text) {
  std::vector<uint8_t> codes = Codes(text);
  const auto pairs = Pairs(codes);
  const uint8_t first = codes.front();
  std::sort(codes.begin(), codes.end());
  size_t count = 0;
  do {
    count += codes.front() == first && Pairs(codes) == pairs;
  } while (std::next_permutation(codes.begin(), codes.end()));
  return count;
}

TEST(ShuffleDinucleotides, EverySequenceWithThePairsIsAsLikely) {
  const auto shuffle = [](std::vector<uint8_t>& codes, PhiloxStream& stream) { ShuffleDinucleotides(codes, stream); };
  // Few outcomes and many, ends equal and different, pairs of one letter, many parallel exits, all four letters.
  for (const char* text :
       {"ACAGAUA", "AACCAACGA", "ACGACUAGC", "AAACACCAU", "ACGUAGCUAC", "UUGUUCUUAU", "ACCGGUUACGU"}) {
    const size_t outcomes = CountByEnumeration(text);
    ExpectEqual(outcomes > 2, true, text);
    ExpectUniform(text, outcomes, static_cast<int>(outcomes) * 1500, shuffle);
  }
}

TEST(ShuffleDinucleotides, StretchesBetweenUnknownsAreShuffledByThemselves) {
  const auto shuffle = [](std::vector<uint8_t>& codes, PhiloxStream& stream) { ShuffleDinucleotides(codes, stream); };
  ExpectUniform("ACAGAUANNUAUGUCUN", 36, 36000, shuffle);  // six orders each
}

TEST(Shuffles, NothingToMove) {
  for (const char* text : {"", "N", "A", "AC", "ACG", "NNNN", "AAAAAA", "NACGN"}) {
    std::vector<uint8_t> codes = Codes(text);
    PhiloxStream stream(1, 1);
    ShuffleDinucleotides(codes, stream);
    ExpectEqual(Letters(codes), std::string(text));
  }
  std::vector<uint8_t> codes = Codes("NNAAANNA");
  PhiloxStream stream(1, 1);
  ShuffleBases(codes, stream);
  ExpectEqual(Letters(codes), std::string("NNAAANNA"));
}

}  // namespace
}  // namespace rb
