#include "gia/null_profile.h"

#include <array>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"

namespace rb {
namespace {

using Cumulative = std::array<double, 4>;

absl::StatusOr<std::vector<Cumulative>> Cumulate(std::span<const float> profile, int length) {
  if (profile.size() != static_cast<size_t>(length) * 4) {
    return absl::InvalidArgumentError(absl::StrCat("the nucleotide profile has ", profile.size(), " values; expected ",
                                                   length,
                                                   " positions of 4 (train the model again to have one stored)"));
  }
  std::vector<Cumulative> cumulative(static_cast<size_t>(length));
  for (int p = 0; p < length; ++p) {
    double sum = 0;
    bool valid = true;
    for (int b = 0; b < 4; ++b) {
      const double f = profile[static_cast<size_t>(p) * 4 + b];
      valid = valid && f >= 0 && std::isfinite(f);
      cumulative[p][b] = sum += f;
    }
    if (!valid || !(sum > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the nucleotide profile has no usable frequencies at position ", p));
    }
  }
  return cumulative;
}

// The letter whose share of the total holds `uniform`; a letter of frequency 0 is never drawn.
uint8_t Draw(const Cumulative& cumulative, double uniform) {
  const double at = uniform * cumulative[3];
  for (uint8_t b = 0; b < 4; ++b) {
    if (at < cumulative[b]) return b;
  }
  // Rounding may lift `at` to the total: then the last letter that has any share.
  uint8_t last = 3;
  while (last > 0 && cumulative[last] == cumulative[last - 1]) --last;
  return last;
}

}  // namespace

absl::StatusOr<Sequences> DrawProfileNulls(std::span<const float> profile, int length, int64_t n, uint64_t key,
                                           int64_t first) {
  const auto cumulative = Cumulate(profile, length);
  if (!cumulative.ok()) return cumulative.status();
  Sequences sequences;
  sequences.length = length;
  sequences.widths.assign(static_cast<size_t>(n), static_cast<uint16_t>(length));
  sequences.bases.resize(static_cast<size_t>(n) * PackedWords(length));
  std::vector<uint8_t> codes(static_cast<size_t>(length));
  for (int64_t i = 0; i < n; ++i) {
    PhiloxStream stream(key, static_cast<uint64_t>(first + i));
    for (int p = 0; p < length; ++p) codes[p] = Draw((*cumulative)[p], stream.Uniform());
    PackBases(codes.data(), length, sequences.bases.data() + i * PackedWords(length));
  }
  return sequences;
}

}  // namespace rb
