#include "gia/measured.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "gia/iupac.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

bool Carries(const uint32_t* words, int length, const PatternElement& element, int position) {
  for (size_t i = 0; i < element.letters.size(); ++i) {
    const uint8_t base = BaseAt(words, length, position + static_cast<int>(i));
    if (base == kUnknownBase || (IupacMask(element.letters[i]) >> base & 1) == 0) return false;
  }
  return true;
}

bool Carries(const uint32_t* words, const Embedding& pattern, bool anywhere) {
  if (!anywhere) {
    for (const PatternElement& element : pattern.elements) {
      if (!Carries(words, pattern.length, element, element.position)) return false;
    }
    return true;
  }
  const PatternElement& element = pattern.elements[0];
  const int last = pattern.length - static_cast<int>(element.letters.size());
  for (int p = 0; p <= last; ++p) {
    if (Carries(words, pattern.length, element, p)) return true;
  }
  return false;
}

absl::Status CheckPattern(const Embedding& pattern, bool anywhere, const Sequences& sequences) {
  const auto refuse = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat(pattern.text, ": ", what));
  };
  if (!pattern.stems.empty()) return refuse("probes are not measured by their stems; expected letters");
  for (const PatternElement& element : pattern.elements) {
    if (element.letters.empty()) return refuse("no probe carries a matrix or not; expected letters");
  }
  if (anywhere && pattern.elements.size() != 1) return refuse("expected one element to look for anywhere");
  if (pattern.length != sequences.length) return refuse("the pattern is for sequences of another length");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MeasuredEffect> MeasurePattern(const Embedding& pattern, bool anywhere, const Sequences& sequences,
                                              std::span<const float> scores, int64_t min_carriers) {
  RB_RETURN_IF_ERROR(CheckPattern(pattern, anywhere, sequences));
  RB_CHECK(static_cast<int64_t>(scores.size()) == sequences.size());
  std::vector<double> all, carriers;
  for (int64_t i = 0; i < sequences.size(); ++i) {
    if (std::isnan(scores[static_cast<size_t>(i)])) continue;
    all.push_back(scores[static_cast<size_t>(i)]);
    if (Carries(sequences.packed(i), pattern, anywhere)) carriers.push_back(all.back());
  }
  if (all.empty()) return absl::InvalidArgumentError("no probe has a score; expected measurements");
  const double mean = Mean(all);
  for (double& score : carriers) score -= mean;
  MeasuredEffect effect;
  effect.carriers = static_cast<int64_t>(carriers.size());
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  effect.summary = effect.carriers < min_carriers ? SampleSummary{effect.carriers, kNan, kNan, kNan, kNan, kNan}
                                                  : Summarize(carriers);
  return effect;
}

}  // namespace rb
