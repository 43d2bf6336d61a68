#include "apps/ism_maps.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/dataset.h"
#include "data/line_reader.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"

namespace rb::apps {
namespace {

// Mutants in flight between two reports of progress.
constexpr int64_t kMutantsAtOnce = 1 << 16;

absl::Status CheckInput(std::span<const NamedSequence> input, int length) {
  for (const NamedSequence& sequence : input) {
    if (!IsArrayText(sequence.id)) {
      return absl::InvalidArgumentError(absl::StrCat("the sequence name ", Quoted(sequence.id),
                                                     " is not UTF-8; expected a name that NumPy can hold"));
    }
    if (sequence.bases.size() <= static_cast<size_t>(length)) continue;
    return absl::InvalidArgumentError(absl::StrCat("sequence ", sequence.id, " has ", sequence.bases.size(),
                                                   " letters; expected at most the model's ", length,
                                                   " positions: cut it into windows first"));
  }
  return absl::OkStatus();
}

Sequences Pack(std::span<const NamedSequence> input, int length) {
  Sequences packed;
  packed.length = length;
  const size_t words = static_cast<size_t>(PackedWords(length));
  for (const NamedSequence& sequence : input) {
    packed.bases.resize(packed.bases.size() + words);
    PackCentred(sequence.bases, length, packed.bases.data() + packed.bases.size() - words);
    packed.widths.push_back(static_cast<uint16_t>(sequence.bases.size()));
  }
  return packed;
}

// One sequence's [L][4] effects to the channels-first arrays.
void StoreSingles(const uint32_t* packed, const float* effects, int length, size_t row, IsmMaps& maps) {
  const size_t begin = row * 4 * static_cast<size_t>(length);
  for (int p = 0; p < length; ++p) {
    const uint8_t wild = BaseAt(packed, length, p);
    if (wild == kUnknownBase) continue;
    const float* at = effects + 4 * p;
    const double mean = (double{at[0]} + at[1] + at[2] + at[3]) / 4;
    for (int b = 0; b < 4; ++b) {
      const size_t place = begin + static_cast<size_t>(b * length + p);
      maps.one_hot[place] = b == wild ? 1.0f : 0.0f;
      maps.effects[place] = at[b];
      maps.hypothetical[place] = static_cast<float>(at[b] - mean);
    }
  }
}

void Reserve(std::span<const NamedSequence> input, IsmMaps& maps) {
  const size_t n = input.size(), length = static_cast<size_t>(maps.options.length);
  maps.predictions.resize(n);
  for (std::vector<float>* map : {&maps.one_hot, &maps.effects, &maps.hypothetical}) map->assign(n * 4 * length, 0.0f);
  maps.heights.resize(n * length);
  for (const NamedSequence& sequence : input) {
    maps.names.push_back(sequence.id);
    maps.sequences.push_back(sequence.bases);
    if (maps.options.dna) std::replace(maps.sequences.back().begin(), maps.sequences.back().end(), 'U', 'T');
    maps.starts.push_back(LeftPadding(maps.options.length, static_cast<int>(sequence.bases.size())));
  }
  if (maps.options.order < 2) return;
  maps.pair_effects.resize(n * static_cast<size_t>(NumPairs(maps.options.length)) * 16);
  maps.interactions.resize(n * length * length);
  for (int i = 0; i < maps.options.length; ++i) {
    for (int j = i + 1; j < maps.options.length; ++j) maps.pairs.insert(maps.pairs.end(), {i, j});
  }
}

// The pairs of sequence `row` of `packed`, which is sequence `place` of the maps.
absl::Status AddPairs(const Sequences& packed, int64_t row, std::span<const float> singles,
                      const SequenceScorer& scorer, int64_t place, IsmMaps& maps) {
  RB_ASSIGN_OR_RETURN(const DoubleMutants pairs, MutatePairs(packed, row, scorer, maps.options.block));
  std::copy(pairs.effects.begin(), pairs.effects.end(), maps.pair_effects.begin() + place * std::ssize(pairs.effects));
  const std::vector<double> interactions = PairInteractions(pairs, singles);
  std::copy(interactions.begin(), interactions.end(), maps.interactions.begin() + place * std::ssize(interactions));
  return absl::OkStatus();
}

}  // namespace

double IsmBytes(int64_t n, const IsmOptions& options) {
  const double length = options.length, singles = length * (3 * 4 + 1) * sizeof(float);
  const double pairs = (16.0 * static_cast<double>(NumPairs(options.length)) + length * length) * sizeof(float);
  return static_cast<double>(n) * (singles + (options.order > 1 ? pairs : 0));
}

absl::StatusOr<IsmMaps> MakeIsmMaps(std::span<const NamedSequence> input, const IsmOptions& options,
                                    const SequenceScorer& scorer, const std::function<void(int64_t)>& progress) {
  RB_RETURN_IF_ERROR(CheckInput(input, options.length));
  IsmMaps maps;
  maps.options = options;
  Reserve(input, maps);
  const int length = options.length;
  const size_t total = input.size(), part = static_cast<size_t>(std::max<int64_t>(1, kMutantsAtOnce / (3 * length)));
  for (size_t first = 0; first < total; first += part) {
    const size_t count = std::min(part, total - first);
    const Sequences packed = Pack(input.subspan(first, count), length);
    RB_ASSIGN_OR_RETURN(const SingleMutants singles, MutateSingles(packed, scorer, options.block));
    const std::vector<double> heights = LogoHeights(singles.effects, options.height);
    std::copy(singles.wild.begin(), singles.wild.end(), maps.predictions.begin() + static_cast<int64_t>(first));
    std::copy(heights.begin(), heights.end(), maps.heights.begin() + static_cast<int64_t>(first) * length);
    for (size_t i = 0; i < count; ++i) {
      const std::span own = std::span(singles.effects).subspan(i * 4 * static_cast<size_t>(length), 4 * length);
      const int64_t row = static_cast<int64_t>(i), place = static_cast<int64_t>(first + i);
      StoreSingles(packed.packed(row), own.data(), length, first + i, maps);
      if (options.order < 2) continue;
      RB_RETURN_IF_ERROR(AddPairs(packed, row, own, scorer, place, maps));
      progress(place + 1);
    }
    progress(static_cast<int64_t>(first + count));
  }
  return maps;
}

std::vector<NamedArray> IsmArrays(const IsmMaps& maps) {
  const int64_t n = std::ssize(maps.names), length = maps.options.length, pairs = std::ssize(maps.pairs) / 2;
  std::vector<NamedArray> arrays = {{"names", {n}, std::span<const std::string>(maps.names)},
                                    {"sequences", {n}, std::span<const std::string>(maps.sequences)},
                                    {"starts", {n}, std::span<const int64_t>(maps.starts)},
                                    {"one_hot", {n, 4, length}, std::span<const float>(maps.one_hot)},
                                    {"effects", {n, 4, length}, std::span<const float>(maps.effects)},
                                    {"hypothetical", {n, 4, length}, std::span<const float>(maps.hypothetical)},
                                    {"predictions", {n}, std::span<const float>(maps.predictions)},
                                    {"heights", {n, length}, std::span<const float>(maps.heights)}};
  if (maps.options.order > 1) {
    arrays.push_back({"pairs", {pairs, 2}, std::span<const int64_t>(maps.pairs)});
    arrays.push_back({"pair_effects", {n, pairs, 4, 4}, std::span<const float>(maps.pair_effects)});
    arrays.push_back({"interactions", {n, length, length}, std::span<const float>(maps.interactions)});
  }
  return arrays;
}

}  // namespace rb::apps
