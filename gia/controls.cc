#include "gia/controls.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "data/text.h"
#include "engine/check.h"
#include "gia/iupac.h"
#include "kernels/philox.h"

namespace rb {
namespace {

// The pattern in upper-case RNA letters. bases: sets of several bases are refused.
absl::StatusOr<std::string> Normalize(std::string_view pattern, int64_t count, bool bases) {
  if (pattern.empty()) return absl::InvalidArgumentError("an empty pattern has no controls; expected letters");
  if (count < 1 || count > kMaxControls) {
    return absl::InvalidArgumentError(Concat(count, " controls; expected 1 to ", kMaxControls));
  }
  std::string letters;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const uint8_t mask = IupacMask(pattern[i]);
    if (mask == 0 || (bases && (mask & (mask - 1)) != 0)) {
      return absl::InvalidArgumentError(Concat("pattern \"", absl::CEscape(AbslView(pattern)), "\", column ", i + 1,
                                               ": found '", absl::CEscape(AbslView(pattern.substr(i, 1))),
                                               "'; expected ", bases ? "A, C, G or U" : kIupacExpected));
    }
    letters += kIupacLetters[mask - 1u];
  }
  return letters;
}

void Shuffle(std::string* letters, PhiloxStream& stream) {
  for (size_t i = letters->size(); i > 1; --i) {
    std::swap((*letters)[i - 1], (*letters)[stream.Below(static_cast<uint32_t>(i))]);
  }
}

// Repeats uniform draws until `count` are accepted. `total`: patterns there are, the original among them; a double, as
// it only has to be exact where all can be drawn.
template <class Draw>
std::vector<std::string> DrawDistinct(const std::string& original, double total, int64_t count, uint64_t key,
                                      const Draw& draw) {
  std::vector<std::string> controls;
  std::set<std::string> seen = {original};
  for (uint64_t i = 0; static_cast<int64_t>(controls.size()) < count; ++i) {
    if (static_cast<double>(seen.size()) >= total) seen = {original};  // all were taken: a new round
    PhiloxStream stream(key, i);
    std::string control = draw(stream);
    if (seen.insert(control).second) controls.push_back(std::move(control));
  }
  return controls;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ScrambledControls(std::string_view pattern, int64_t count, uint64_t key) {
  RB_ASSIGN_OR_RETURN(const std::string letters, Normalize(pattern, count, /*bases=*/false));
  // Arrangements: the multinomial coefficient, a product of integers binomial(i, copies so far).
  std::map<char, int> copies;
  double total = 1;
  for (size_t i = 0; i < letters.size(); ++i) total = total * static_cast<double>(i + 1) / ++copies[letters[i]];
  if (copies.size() < 2) {
    return absl::InvalidArgumentError(
        Concat("pattern ", letters, " cannot be scrambled; expected letters that differ"));
  }
  return DrawDistinct(letters, total, count, key, [&](PhiloxStream& stream) {
    std::string control = letters;
    Shuffle(&control, stream);
    return control;
  });
}

absl::StatusOr<std::vector<std::string>> MatchedGcControls(std::string_view pattern, int64_t count, uint64_t key) {
  RB_ASSIGN_OR_RETURN(const std::string letters, Normalize(pattern, count, /*bases=*/true));
  const std::ptrdiff_t gc = std::count_if(letters.begin(), letters.end(), [](char c) { return c == 'G' || c == 'C'; });
  // 2^k binomial(k, gc).
  double total = 1;
  for (size_t i = 0; i < letters.size(); ++i) {
    total *= 2;
    if (static_cast<std::ptrdiff_t>(i) < gc) total = total * static_cast<double>(letters.size() - i) / (i + 1.0);
  }
  return DrawDistinct(letters, total, count, key, [&](PhiloxStream& stream) {
    std::string control(letters.size(), 'W');
    std::fill_n(control.begin(), gc, 'S');
    Shuffle(&control, stream);
    for (char& letter : control) letter = (letter == 'S' ? "GC" : "AU")[stream.Below(2)];
    return control;
  });
}

}  // namespace rb
