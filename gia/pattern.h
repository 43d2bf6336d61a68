// What to embed, and where: the text of an embedding, read and checked.
//
//   embedding = element { "+" element }           blanks around an element are ignored
//   element   = LETTERS "@" POSITION              UGCAUG@17, IUPAC letters in either case, T = U
//             | FILE ":" NAME "@" POSITION        rbfox.meme:RBFOX1@17, a PWM (no "+" in the file's name)
//             | "stem@" A "-" B ":" C "-" D { ":wobble" | ":drawn" }
//
// Positions count from 0 in the padded frame of `length` positions and include both ends. In a stem, position A + k
// pairs with D - k: the 3' side is the mirrored complement of the 5' side.
#ifndef RB_GIA_PATTERN_H_
#define RB_GIA_PATTERN_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gia/pwm.h"

namespace rb {

// The motif of this name in this file; its errors are passed on.
using PwmReader = std::function<absl::StatusOr<Pwm>(const std::string& file, const std::string& name)>;

inline constexpr int kMinLoop = 3;  // a hairpin loop has at least three bases [Turner 1999 rules]

struct PatternElement {
  std::string text;                            // for messages; RNA letters: "UGCAUG@17"
  std::string letters;                         // IUPAC, upper case, U; empty for a PWM
  int position = 0;                            // 0-based start
  std::vector<std::array<double, 4>> columns;  // weights of A, C, G, U at each position; a set of bases has equal ones

  int end() const { return position + static_cast<int>(columns.size()); }
};

struct Stem {
  std::string text;           // "stem@6-16:23-33"
  int left = 0;               // first position of the 5' side
  int right = 0;              // last position of the 3' side: left + k pairs with right - k
  int size = 0;               // pairs
  bool wobble = false;        // G may pair with U (see gia/embed.h for how often)
  bool drawn = false;         // the 5' side is drawn uniformly; otherwise it is the null sequence's own
  std::vector<bool> mirrors;  // [size]: true where an element wrote the 3' base last, so that the 5' base follows it
};

// Stems hold before and after the elements are written: the order among them and elements does not matter. Of two
// elements at one position the later one wins.
struct Embedding {
  std::string text;
  int length = 0;
  std::vector<PatternElement> elements;
  std::vector<Stem> stems;
  int first = 0, last = -1;  // all positions written lie in first..last
  std::string warning;       // one line that names positions written twice, or empty
};

// The elements of an embedding's text, blanks around them removed, nothing checked: the letters of one that is letters,
// the file of one that is a motif's, neither for a stem.
struct ElementText {
  std::string text, letters, file;
};
std::vector<ElementText> SplitEmbedding(std::string_view text);

// InvalidArgument, one line with the column in `text`: nothing to embed, a letter that is none, no position, an element
// off the end, sides of a stem that differ in length, a loop below kMinLoop, stems that share positions, a PWM without
// columns or with one that is no distribution.
absl::StatusOr<Embedding> ParseEmbedding(std::string_view text, int length, const PwmReader& read_pwm = {});

// The stems alone: what the null sequences of a hairpin experiment get, with the same bases as under the elements.
// Without stems an embedding that writes nothing.
Embedding StemsOf(const Embedding& embedding);

// All sequences of A, C, G, U that IUPAC letters stand for, in alphabetical order. InvalidArgument: no letters, one
// that is none, or more than `limit` sequences (1 or more).
absl::StatusOr<std::vector<std::string>> Enumerate(std::string_view iupac, int64_t limit);

}  // namespace rb

#endif  // RB_GIA_PATTERN_H_
