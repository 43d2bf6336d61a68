// kernels/packed_bases.h: the layout that its banner states, and the way there and back.
#include "kernels/packed_bases.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/philox.h"
#include "tests/support/comparisons.h"

namespace rb::test {
namespace {

TEST(PackedBases, Sizes) {
  ExpectEqual(PackedWords(41), 5);
  for (int length = 1; length <= 600; ++length) {
    int codes = 0, known = 0;
    while (codes * 16 < length) ++codes;
    while (known * 32 < length) ++known;
    ExpectEqual(CodeWords(length), codes);
    ExpectEqual(PackedWords(length), codes + known);
  }
}

TEST(PackedBases, Layout) {
  std::vector<uint8_t> codes(41, kUnknownBase);
  codes[0] = 1, codes[15] = 3, codes[16] = 2, codes[33] = 0, codes[40] = 2;
  std::vector<uint32_t> words(PackedWords(41), 0xDEADBEEF);
  PackBases(codes.data(), 41, words.data());
  ExpectEqual(words, std::vector<uint32_t>{1u | 3u << 30, 2u, 2u << 16, 1u | 1u << 15 | 1u << 16, 1u << 1 | 1u << 8});
}

// Any code from 4 on is unknown; words beside the sequence stay as they are.
TEST(PackedBases, RoundTrip) {
  PhiloxStream stream(1);
  for (const int length : {1, 15, 16, 17, 20, 31, 32, 33, 41, 64, 100, 512}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::vector<uint8_t> codes(length), back(length + 1, 99);
      for (uint8_t& code : codes) code = static_cast<uint8_t>(stream.Below(repeat % 2 ? 4 : 7));
      std::vector<uint32_t> words(PackedWords(length) + 1, 0xDEADBEEF);
      PackBases(codes.data(), length, words.data());
      ExpectEqual(words.back(), 0xDEADBEEFu, "guard");
      UnpackBases(words.data(), length, back.data());
      ExpectEqual(back.back(), 99, "guard");
      for (int p = 0; p < length; ++p) {
        const int want = codes[p] < 4 ? codes[p] : kUnknownBase;
        ExpectEqual<int, int>(BaseAt(words.data(), length, p), want);
        ExpectEqual<int, int>(back[p], want);
      }
    }
  }
}

// Equal sequences have equal words, so that words can be hashed and compared: nothing beyond the sequence is set.
TEST(PackedBases, UnusedBitsAreZero) {
  for (const int length : {1, 17, 33, 41}) {
    std::vector<uint8_t> codes(length, 3);
    std::vector<uint32_t> words(PackedWords(length), 0xDEADBEEF);
    PackBases(codes.data(), length, words.data());
    for (int p = length; p < CodeWords(length) * 16; ++p) ExpectEqual(words[p / 16] >> (2 * (p % 16)) & 3u, 0u);
    for (int p = length; p < KnownWords(length) * 32; ++p) {
      ExpectEqual(words[CodeWords(length) + p / 32] >> (p % 32) & 1u, 0u);
    }
  }
}

}  // namespace
}  // namespace rb::test
