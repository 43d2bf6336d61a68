// IUPAC's letters for sets of bases [Cornish-Bowden 1985]; either case, T and U are one letter.
#ifndef RB_GIA_IUPAC_H_
#define RB_GIA_IUPAC_H_

#include <cstdint>
#include <string_view>

namespace rb {

// Letter of set number m - 1: bit b of m stands for base b (A 1, C 2, G 4, U 8).
inline constexpr std::string_view kIupacLetters = "ACMGRSVUWYHKDBN";
inline constexpr std::string_view kIupacExpected = "an IUPAC letter (A C G U R Y S W K M B D H V N)";

// The set of a letter as such a mask, or 0 when it is none.
constexpr uint8_t IupacMask(char letter) {
  if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  if (letter == 'T') letter = 'U';
  const size_t at = kIupacLetters.find(letter);
  return at == std::string_view::npos ? 0 : static_cast<uint8_t>(at + 1);
}

}  // namespace rb

#endif  // RB_GIA_IUPAC_H_
