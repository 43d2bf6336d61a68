#include "gia/null_profile.h"

#include <array>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/packed_bases.h"
#include "kernels/profile_draws.h"

namespace rb {
namespace {

// The smallest number of draws' 53 bits whose letter lies behind `bound`: a letter is drawn when bits / 2^53, times the
// total, lies below its bound and not below the one before.
uint64_t Threshold(double bound, double total) {
  uint64_t low = 0, high = kProfileUnit;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    const double at = static_cast<double>(middle) * (1.0 / static_cast<double>(kProfileUnit)) * total;
    if (at < bound) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

absl::StatusOr<std::vector<uint64_t>> ProfileThresholds(std::span<const float> profile, int length) {
  if (profile.size() != static_cast<size_t>(length) * 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("the nucleotide profile has ", profile.size(), " values; expected ", length,
                     " positions of 4 (training stores them, and so does model import with --data)"));
  }
  std::vector<uint64_t> thresholds;
  for (int p = 0; p < length; ++p) {
    std::array<double, 4> cumulative;
    double sum = 0;
    bool valid = true;
    for (int b = 0; b < 4; ++b) {
      const double f = profile[static_cast<size_t>(p) * 4 + b];
      valid = valid && f >= 0 && std::isfinite(f);
      cumulative[b] = sum += f;
    }
    if (!valid || !(sum > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the nucleotide profile has no usable frequencies at position ", p));
    }
    int last = 3;  // the last letter that has any share
    while (last > 0 && cumulative[last] == cumulative[last - 1]) --last;
    for (int b = 0; b < kProfileThresholds; ++b) {
      thresholds.push_back(b < last ? Threshold(cumulative[b], sum) : kProfileUnit);
    }
  }
  return thresholds;
}

absl::StatusOr<Sequences> DrawProfileNulls(std::span<const float> profile, int length, int64_t n, uint64_t key,
                                           int64_t first) {
  const auto thresholds = ProfileThresholds(profile, length);
  if (!thresholds.ok()) return thresholds.status();
  Sequences sequences;
  sequences.length = length;
  sequences.widths.assign(static_cast<size_t>(n), static_cast<uint16_t>(length));
  sequences.bases.resize(static_cast<size_t>(n) * PackedWords(length));
  std::vector<uint8_t> codes(static_cast<size_t>(length));
  for (int64_t i = 0; i < n; ++i) {
    for (int p = 0; p < length; ++p) {
      const uint64_t bits = ProfileBits(key, static_cast<uint64_t>(first + i), p);
      codes[p] = static_cast<uint8_t>(ProfileBase(thresholds->data() + p * kProfileThresholds, bits));
    }
    PackBases(codes.data(), length, sequences.bases.data() + i * PackedWords(length));
  }
  return sequences;
}

}  // namespace rb
