// Packed bases: what goes in comes out, for every length class from 1 to 512 and beyond.
#include <string>
#include <vector>

#include "data/alphabet.h"
#include "data/readers.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;

TEST(Packing, CentresAndRoundTrips) {
  std::mt19937 random(11);
  std::vector<int> lengths = {1, 2, 15, 513, 1000};
  for (int length = 16; length <= 512; ++length) lengths.push_back(length);
  for (const int length : lengths) {
    for (const int width : {1, length / 2, length - 1, length}) {
      if (width < 1) continue;
      std::string bases;
      for (int i = 0; i < width; ++i) bases += "ACGUN"[random() % 5];
      std::vector<uint32_t> words(static_cast<size_t>(PackedWords(length)) + 1, 0xDEADBEEFu);
      PackCentred(bases, length, words.data());
      std::string back;
      for (int p = 0; p < length; ++p) back += kBaseLetters[BaseAt(words.data(), length, p)];
      const int left = (length - width) / 2;
      const std::string expected = std::string(left, 'N') + bases + std::string(length - width - left, 'N');
      ExpectEqual(back, expected);
      ExpectEqual(words.back(), 0xDEADBEEFu, "written behind the end");
    }
  }
}

TEST(Packing, PaddingIsThePapers) {
  // 38 of 41: one position to the left, two to the right.
  ExpectEqual(LeftPadding(41, 38), 1);
  ExpectEqual(LeftPadding(41, 41), 0);
  ExpectEqual(LeftPadding(41, 30), 5);
}

TEST(Packing, UnknownPositionsHaveCodeZero) {
  std::vector<uint32_t> words(static_cast<size_t>(PackedWords(41)));
  PackCentred("NNN", 41, words.data());
  for (const uint32_t word : words) ExpectEqual(word, 0u);
  PackCentred("U", 41, words.data());
  ExpectEqual(words[20 / 16], 3u << (2 * (20 % 16)));
  ExpectEqual(words[3], 1u << 20);
}

TEST(Packing, LettersAreAsDocumented) {
  int accepted = 0;
  for (int c = 0; c < 256; ++c) accepted += BaseCode(static_cast<char>(c)) != kBadBase;
  ExpectEqual(accepted, 12);
  const std::string letters = "ACGUTNacgutn";
  const uint8_t codes[] = {0, 1, 2, 3, 3, 4, 0, 1, 2, 3, 3, 4};
  for (size_t i = 0; i < letters.size(); ++i) ExpectEqual(BaseCode(letters[i]), codes[i]);
}

}  // namespace
}  // namespace rb
