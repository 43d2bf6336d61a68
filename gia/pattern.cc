#include "gia/pattern.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "data/alphabet.h"
#include "data/text.h"
#include "engine/check.h"
#include "gia/iupac.h"

namespace rb {
namespace {

constexpr std::string_view kStem = "stem@";
constexpr std::string_view kElementExpected = "LETTERS@POSITION, FILE:NAME@POSITION or stem@A-B:C-D";

// Messages show what may come from anywhere on one line.
std::string Shown(std::string_view text) { return absl::CEscape(AbslView(text)); }

// A part of the text; parts know their column.
struct Part {
  std::string_view whole, text;

  Part Sub(size_t first, size_t count = std::string_view::npos) const { return {whole, text.substr(first, count)}; }
  absl::Status Refuse(const std::string& what) const {
    return absl::InvalidArgumentError(
        Concat("embedding \"", Shown(whole), "\", column ", text.data() - whole.data() + 1, ": ", what));
  }
};

absl::StatusOr<int> ParsePosition(const Part& part, const char* what = "a position") {
  int value = 0;
  const bool digits =
      !part.text.empty() && part.text.size() < 7 && part.text.find_first_not_of("0123456789") == std::string_view::npos;
  if (digits && absl::SimpleAtoi(AbslView(part.text), &value)) return value;
  return part.Refuse(Concat("found '", Shown(part.text), "'; expected ", what, ", counted from 0"));
}

// "A-B" -> {A, B}.
absl::StatusOr<std::pair<int, int>> ParseRange(const Part& part) {
  const size_t dash = part.text.find('-');
  if (dash == std::string_view::npos) {
    return part.Refuse(Concat("found '", Shown(part.text), "'; expected a side of the stem, FIRST-LAST"));
  }
  RB_ASSIGN_OR_RETURN(const int first, ParsePosition(part.Sub(0, dash)));
  RB_ASSIGN_OR_RETURN(const int last, ParsePosition(part.Sub(dash + 1)));
  if (first > last) return part.Refuse(Concat("the side ", first, "-", last, " is empty; expected FIRST-LAST"));
  return std::pair(first, last);
}

absl::Status ParseStemFlags(const Part& part, size_t at, Stem* stem) {
  while (at < part.text.size()) {
    const size_t end = std::min(part.text.find(':', at + 1), part.text.size());
    const Part flag = part.Sub(at + 1, end - at - 1);
    bool* const target = flag.text == "wobble" ? &stem->wobble : flag.text == "drawn" ? &stem->drawn : nullptr;
    if (target == nullptr) return flag.Refuse(Concat("found '", Shown(flag.text), "'; expected wobble or drawn"));
    *target = true;
    at = end;
  }
  return absl::OkStatus();
}

absl::StatusOr<Stem> ParseStem(const Part& part, int length) {
  const size_t colon = part.text.find(':');
  if (colon == std::string_view::npos) return part.Refuse("one side only; expected stem@A-B:C-D");
  const size_t end = std::min(part.text.find(':', colon + 1), part.text.size());
  RB_ASSIGN_OR_RETURN(const auto left, ParseRange(part.Sub(kStem.size(), colon - kStem.size())));
  RB_ASSIGN_OR_RETURN(const auto right, ParseRange(part.Sub(colon + 1, end - colon - 1)));
  Stem stem;
  RB_RETURN_IF_ERROR(ParseStemFlags(part, end, &stem));
  stem.text = Concat("stem@", left.first, "-", left.second, ":", right.first, "-", right.second,
                     stem.wobble ? ":wobble" : "", stem.drawn ? ":drawn" : "");
  stem.left = left.first;
  stem.right = right.second;
  stem.size = left.second - left.first + 1;
  if (right.second - right.first + 1 != stem.size) {
    return part.Refuse(Concat("sides of ", stem.size, " and ", right.second - right.first + 1,
                              " positions; expected sides of one length, which pair"));
  }
  if (const int loop = right.first - left.second - 1; loop < kMinLoop) {
    return part.Refuse(Concat("the loop between ", left.second, " and ", right.first, " has ", loop,
                              " positions; expected the 5' side first and at least ", kMinLoop));
  }
  if (stem.right >= length) {
    return part.Refuse(Concat("the stem reaches position ", stem.right, "; expected 0 to ", length - 1));
  }
  return stem;
}

absl::StatusOr<std::vector<std::array<double, 4>>> LetterColumns(const Part& part) {
  std::vector<std::array<double, 4>> columns;
  for (size_t i = 0; i < part.text.size(); ++i) {
    const uint8_t mask = IupacMask(part.text[i]);
    if (mask == 0) {
      return part.Sub(i).Refuse(Concat("found '", Shown(part.text.substr(i, 1)), "'; expected ", kIupacExpected));
    }
    std::array<double, 4> column{};
    for (int b = 0; b < 4; ++b) column[b] = mask >> b & 1;
    columns.push_back(column);
  }
  return columns;
}

absl::StatusOr<std::vector<std::array<double, 4>>> PwmColumns(const Part& part, const PwmReader& read_pwm) {
  const size_t colon = part.text.rfind(':');
  const std::string file(part.text.substr(0, colon)), name(part.text.substr(colon + 1));
  if (file.empty() || name.empty()) return part.Refuse("expected FILE:NAME, the motif NAME of a motif file");
  if (!read_pwm) return part.Refuse("a motif of a file; expected letters, no motif files are read here");
  RB_ASSIGN_OR_RETURN(Pwm pwm, read_pwm(file, name));
  if (pwm.columns.empty()) return part.Refuse(Concat("the motif ", Shown(name), " has no columns; expected some"));
  for (size_t c = 0; c < pwm.columns.size(); ++c) {
    double sum = 0;
    bool valid = true;
    for (const double weight : pwm.columns[c]) {
      valid = valid && weight >= 0 && std::isfinite(weight);
      sum += weight;
    }
    if (valid && sum > 0 && std::isfinite(sum)) continue;
    return part.Refuse(Concat("column ", c + 1, " of the motif ", Shown(name),
                              " is no distribution; expected probabilities of A, C, G and U"));
  }
  return std::move(pwm.columns);
}

std::string RnaLetters(std::string_view letters) {
  std::string result;
  for (const char letter : letters) result += kIupacLetters[IupacMask(letter) - 1u];
  return result;
}

absl::StatusOr<PatternElement> ParseElement(const Part& part, int length, const PwmReader& read_pwm) {
  const size_t at = part.text.rfind('@');
  if (at == std::string_view::npos) {
    return part.Refuse(Concat("found '", Shown(part.text), "'; expected ", kElementExpected));
  }
  const Part what = part.Sub(0, at);
  if (what.text.empty()) return part.Refuse(Concat("an empty pattern; expected ", kElementExpected));
  PatternElement element;
  RB_ASSIGN_OR_RETURN(element.position, ParsePosition(part.Sub(at + 1)));
  if (what.text.find(':') == std::string_view::npos) {
    RB_ASSIGN_OR_RETURN(element.columns, LetterColumns(what));
    element.letters = RnaLetters(what.text);
  } else {
    RB_ASSIGN_OR_RETURN(element.columns, PwmColumns(what, read_pwm));
  }
  element.text = Concat(element.letters.empty() ? Shown(what.text) : element.letters, "@", element.position);
  if (element.end() > length) {
    return part.Refuse(Concat(element.text, " covers positions ", element.position, " to ", element.end() - 1,
                              "; expected 0 to ", length - 1));
  }
  return element;
}

absl::Status CheckApart(const Part& part, const std::vector<Stem>& others, const Stem& stem) {
  for (const Stem& other : others) {
    for (int k = 0; k < stem.size; ++k) {
      for (const int p : {stem.left + k, stem.right - k}) {
        if ((p < other.left || p >= other.left + other.size) && (p <= other.right - other.size || p > other.right)) {
          continue;
        }
        return part.Refuse(Concat("position ", p, " is in ", other.text, " already; expected stems that are apart"));
      }
    }
  }
  return absl::OkStatus();
}

void AddWarning(const std::string& text, std::string* warning) { Append(warning, warning->empty() ? "" : "; ", text); }

void WarnOfOverlaps(Embedding* embedding) {
  const std::vector<PatternElement>& elements = embedding->elements;
  for (size_t b = 1; b < elements.size(); ++b) {
    for (size_t a = 0; a < b; ++a) {
      const int first = std::max(elements[a].position, elements[b].position);
      const int last = std::min(elements[a].end(), elements[b].end()) - 1;
      if (first > last) continue;
      const std::string where = first == last ? Concat("position ", first) : Concat("positions ", first, "-", last);
      AddWarning(Concat(elements[a].text, " and ", elements[b].text, " overlap at ", where, ", the later one is kept"),
                 &embedding->warning);
    }
  }
}

// Who writes a position last: the number of an element, or -1.
int WriterOf(const Embedding& embedding, int position) {
  for (int e = static_cast<int>(embedding.elements.size()) - 1; e >= 0; --e) {
    const PatternElement& element = embedding.elements[static_cast<size_t>(e)];
    if (position >= element.position && position < element.end()) return e;
  }
  return -1;
}

// Decides which base of each pair follows the other after the elements are written: the one that was written later
// stays, the 5' one where a single element wrote both.
void DirectPairs(Embedding* embedding) {
  for (Stem& stem : embedding->stems) {
    stem.mirrors.assign(static_cast<size_t>(stem.size), false);
    std::string both;
    for (int k = 0; k < stem.size; ++k) {
      const int left = WriterOf(*embedding, stem.left + k), right = WriterOf(*embedding, stem.right - k);
      stem.mirrors[static_cast<size_t>(k)] = right > left;
      if (left >= 0 && right >= 0) Append(&both, both.empty() ? "" : ", ", stem.left + k, "-", stem.right - k);
    }
    if (both.empty()) continue;
    AddWarning(Concat("both positions of the pairs ", both, " of ", stem.text,
                      " are written, the later element's base is kept (in one element the 5' one)"),
               &embedding->warning);
  }
}

void Finish(Embedding* embedding) {
  embedding->first = embedding->length;
  embedding->last = -1;
  embedding->text.clear();
  const auto cover = [&](const std::string& text, int first, int last) {
    embedding->first = std::min(embedding->first, first);
    embedding->last = std::max(embedding->last, last);
    Append(&embedding->text, embedding->text.empty() ? "" : "+", text);
  };
  for (const Stem& stem : embedding->stems) cover(stem.text, stem.left, stem.right);
  for (const PatternElement& element : embedding->elements) cover(element.text, element.position, element.end() - 1);
  embedding->warning.clear();
  WarnOfOverlaps(embedding);
  DirectPairs(embedding);
}

}  // namespace

absl::StatusOr<Embedding> ParseEmbedding(std::string_view text, int length, const PwmReader& read_pwm) {
  Embedding embedding;
  embedding.length = length;
  if (StripBlanks(text).empty()) {
    return absl::InvalidArgumentError(Concat("the embedding is empty; expected ", kElementExpected));
  }
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find('+', first), text.size());
    const Part all{text, text.substr(first, end - first)};
    const Part part{text, StripBlanks(all.text)};
    first = end + 1;
    if (part.text.empty()) return all.Refuse(Concat("an empty pattern; expected ", kElementExpected));
    if (absl::StartsWithIgnoreCase(AbslView(part.text), AbslView(kStem))) {
      RB_ASSIGN_OR_RETURN(Stem stem, ParseStem(part, length));
      RB_RETURN_IF_ERROR(CheckApart(part, embedding.stems, stem));
      embedding.stems.push_back(std::move(stem));
    } else {
      RB_ASSIGN_OR_RETURN(PatternElement element, ParseElement(part, length, read_pwm));
      embedding.elements.push_back(std::move(element));
    }
  }
  Finish(&embedding);
  return embedding;
}

std::vector<ElementText> SplitEmbedding(std::string_view text) {
  std::vector<ElementText> elements;
  const std::string all(text);
  for (const absl::string_view piece : absl::StrSplit(all, '+')) {
    ElementText& element = elements.emplace_back(ElementText{std::string(absl::StripAsciiWhitespace(piece)), "", ""});
    if (element.text.starts_with(kStem)) continue;
    const std::string what = element.text.substr(0, element.text.rfind('@'));
    const size_t colon = what.rfind(':');
    (colon == std::string::npos ? element.letters : element.file) = what.substr(0, colon);
  }
  return elements;
}

Embedding StemsOf(const Embedding& embedding) {
  Embedding result = embedding;
  result.elements.clear();
  Finish(&result);
  return result;
}

absl::StatusOr<std::vector<std::string>> Enumerate(std::string_view iupac, int64_t limit) {
  if (iupac.empty()) return absl::InvalidArgumentError(Concat("an empty pattern; expected ", kIupacExpected));
  int64_t total = 1;
  for (size_t i = 0; i < iupac.size(); ++i) {
    const uint8_t mask = IupacMask(iupac[i]);
    if (mask == 0) {
      return absl::InvalidArgumentError(Concat("pattern \"", Shown(iupac), "\", column ", i + 1, ": found '",
                                               Shown(iupac.substr(i, 1)), "'; expected ", kIupacExpected));
    }
    total *= __builtin_popcount(mask);
    if (total > limit) {
      return absl::InvalidArgumentError(
          Concat("pattern \"", Shown(iupac), "\" stands for more than ", limit, " sequences; expected at most that"));
    }
  }
  std::vector<std::string> result = {""};
  for (const char letter : iupac) {
    std::vector<std::string> longer;
    for (const std::string& start : result) {
      for (int b = 0; b < 4; ++b) {
        if (IupacMask(letter) >> b & 1) longer.push_back(start + kBaseLetters[b]);
      }
    }
    result = std::move(longer);
  }
  return result;
}

}  // namespace rb
