#include "gia/embed.h"

#include <algorithm>

#include "data/text.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"

namespace rb {
namespace {

enum Base : uint8_t { kA, kC, kG, kU };

void SetBase(int length, int p, uint8_t base, uint32_t* words) {
  const int shift = 2 * (p % 16);
  words[p / 16] = (words[p / 16] & ~(3u << shift)) | static_cast<uint32_t>(base) << shift;
  words[CodeWords(length) + p / 32] |= 1u << (p % 32);
}

double Unit(uint32_t word) { return word * 0x1p-32; }

// Key of an element (or, in the upper half, of a stem).
uint64_t ElementKey(uint64_t key, size_t number, bool stem) {
  return MixBits(key ^ MixBits(static_cast<uint64_t>(number) << 1 | (stem ? 1 : 0)));
}

PhiloxBlock DrawAt(uint64_t key, uint64_t index, int place) {
  return Philox(key, static_cast<uint32_t>(place), 0, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32));
}

// The base whose share of the column's total holds `at` in [0, 1); one of weight 0 is never drawn.
uint8_t DrawBase(const std::array<double, 4>& weights, double at) {
  const double target = at * (weights[0] + weights[1] + weights[2] + weights[3]);
  double sum = 0;
  uint8_t last = 0;
  for (uint8_t b = 0; b < 4; ++b) {
    if (!(weights[b] > 0)) continue;
    sum += weights[b];
    if (target < sum) return b;
    last = b;  // rounding may lift the target to the total
  }
  return last;
}

void WriteElement(const PatternElement& element, int length, uint64_t key, uint64_t index, uint32_t* words) {
  for (size_t c = 0; c < element.columns.size(); ++c) {
    const int column = static_cast<int>(c);
    const double at = Unit(DrawAt(key, index, column).word[0]);
    SetBase(length, element.position + column, DrawBase(element.columns[c], at), words);
  }
}

// Wobbles keep to the pair: the same choice before and after the elements.
uint8_t PartnerOf(uint8_t base, bool wobbles) {
  switch (base) {
    case kA:
      return kU;
    case kC:
      return kG;
    case kG:
      return wobbles ? kU : kC;
    default:
      return wobbles ? kG : kA;
  }
}

// First call (mirrors ignored): makes the stem. Later: lets the partners of written bases follow.
void WriteStem(const Stem& stem, int length, uint64_t key, uint64_t index, bool first, uint32_t* words) {
  for (int k = 0; k < stem.size; ++k) {
    const int left = stem.left + k, right = stem.right - k;
    const PhiloxBlock draw = DrawAt(key, index, k);
    const bool wobbles = stem.wobble && Unit(draw.word[1]) < kWobbleProbability;
    if (first && (stem.drawn || BaseAt(words, length, left) == kUnknownBase)) {
      SetBase(length, left, static_cast<uint8_t>(draw.word[0] >> 30), words);
    }
    if (!first && stem.mirrors[static_cast<size_t>(k)]) {
      SetBase(length, left, PartnerOf(BaseAt(words, length, right), wobbles), words);
    } else {
      SetBase(length, right, PartnerOf(BaseAt(words, length, left), wobbles), words);
    }
  }
}

// Whether an embedding writes nothing outside the bases of a sequence of this width.
bool Fits(const Embedding& embedding, int width) {
  if (embedding.last < 0) return true;
  const int left = LeftPadding(embedding.length, width);
  return embedding.first >= left && embedding.last < left + width;
}

}  // namespace

void EmbedInto(const Embedding& embedding, uint64_t key, uint64_t index, uint32_t* words) {
  const auto write_stems = [&](bool first) {
    for (size_t s = 0; s < embedding.stems.size(); ++s) {
      WriteStem(embedding.stems[s], embedding.length, ElementKey(key, s, true), index, first, words);
    }
  };
  write_stems(true);
  if (embedding.elements.empty()) return;
  for (size_t e = 0; e < embedding.elements.size(); ++e) {
    WriteElement(embedding.elements[e], embedding.length, ElementKey(key, e, false), index, words);
  }
  write_stems(false);
}

absl::StatusOr<EmbeddedPair> EmbedPair(const Embedding& pattern, const Embedding& baseline, const Sequences& nulls,
                                       uint64_t key, PaddingPolicy policy) {
  for (const Embedding* embedding : {&pattern, &baseline}) {
    if (embedding->length == nulls.length) continue;
    return absl::InvalidArgumentError(Concat("the embedding ", embedding->text, " is meant for ", embedding->length,
                                             " positions; expected the null sequences' ", nulls.length));
  }
  EmbeddedPair result;
  result.with.length = result.without.length = nulls.length;
  for (int64_t i = 0; i < nulls.size(); ++i) {
    const uint16_t width = nulls.widths[static_cast<size_t>(i)];
    if (policy == PaddingPolicy::kLeaveOut && !(Fits(pattern, width) && Fits(baseline, width))) {
      ++result.left_out;
      continue;
    }
    result.rows.push_back(i);
    const auto add = [&](const Embedding& embedding, Sequences* to) {
      EmbedInto(embedding, key, static_cast<uint64_t>(i), to->Append(nulls.packed(i), width));
    };
    add(pattern, &result.with);
    add(baseline, &result.without);
  }
  if (result.rows.empty()) {
    return absl::InvalidArgumentError(Concat("the embedding ", pattern.text, " reaches into the padding of all ",
                                             nulls.size(), " null sequences; expected some with bases at positions ",
                                             std::min(pattern.first, baseline.first), " to ",
                                             std::max(pattern.last, baseline.last)));
  }
  return result;
}

}  // namespace rb
