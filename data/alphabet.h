// The letters of RNA and DNA as 2-bit codes: A 0, C 1, G 2, U or T 3, N unknown; either case.
#ifndef RB_DATA_ALPHABET_H_
#define RB_DATA_ALPHABET_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "kernels/packed_bases.h"

namespace rb {

inline constexpr char kBaseLetters[] = "ACGUN";  // letter of code 0..3 and of kUnknownBase
inline constexpr uint8_t kBadBase = 255;

namespace internal {
constexpr std::array<uint8_t, 256> MakeBaseCodes() {
  std::array<uint8_t, 256> codes{};
  for (auto& code : codes) code = kBadBase;
  constexpr char letters[] = "AaCcGgUuTtNn";
  constexpr uint8_t values[] = {0, 0, 1, 1, 2, 2, 3, 3, 3, 3, kUnknownBase, kUnknownBase};
  for (int i = 0; i < 12; ++i) codes[static_cast<unsigned char>(letters[i])] = values[i];
  return codes;
}
inline constexpr std::array<uint8_t, 256> kBaseCodes = MakeBaseCodes();
}  // namespace internal

// 0..3, kUnknownBase for N, kBadBase for anything else.
constexpr uint8_t BaseCode(char letter) { return internal::kBaseCodes[static_cast<unsigned char>(letter)]; }

// RNA letters as a reader wants to see them.
inline std::string InAlphabet(std::string letters, bool dna) {
  if (dna) std::replace(letters.begin(), letters.end(), 'U', 'T');
  return letters;
}

// The letters that messages offer.
constexpr const char* AlphabetName(bool dna) { return dna ? "A, C, G, T or N" : "A, C, G, U or N"; }

}  // namespace rb

#endif  // RB_DATA_ALPHABET_H_
