// Packed sequences as letters again.
#ifndef RB_DATA_SEQUENCE_LETTERS_H_
#define RB_DATA_SEQUENCE_LETTERS_H_

#include <string>

#include "data/alphabet.h"
#include "data/dataset.h"
#include "kernels/packed_bases.h"

namespace rb {

// The bases of sequence i (A C G U N) without its padding.
inline std::string LettersOf(const Sequences& sequences, int64_t i) {
  std::string letters;
  const int first = LeftPadding(sequences.length, sequences.widths[i]);
  for (int p = first; p < first + sequences.widths[i]; ++p) {
    letters += kBaseLetters[BaseAt(sequences.packed(i), sequences.length, p)];
  }
  return letters;
}

}  // namespace rb

#endif  // RB_DATA_SEQUENCE_LETTERS_H_
