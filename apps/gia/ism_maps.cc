#include "apps/gia/ism_maps.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "data/alphabet.h"
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
  for (const NamedSequence& sequence : input) packed.AppendCentred(sequence.bases);
  return packed;
}

// Calls store(wild's letter or kUnknownBase, the position's four values, place of letter b's) for one sequence's [L][4]
// values.
template <class Store>
void ForEachPosition(const Sequences& packed, int64_t row, std::span<const float> values, int64_t place,
                     const Store& store) {
  const int length = packed.length;
  for (int p = 0; p < length; ++p) {
    const auto at = [=](int b) { return static_cast<size_t>((place * 4 + b) * length + p); };
    store(BaseAt(packed.packed(row), length, p), values.subspan(static_cast<size_t>(4 * p), 4), at);
  }
}

void StoreEffects(const Sequences& packed, int64_t row, std::span<const float> effects, int64_t place, IsmMaps& maps) {
  const auto store = [&](uint8_t wild, std::span<const float> own, const auto& at) {
    if (wild == kUnknownBase) return;
    const double mean = (double{own[0]} + own[1] + own[2] + own[3]) / 4;
    for (int b = 0; b < 4; ++b) {
      maps.effects[at(b)] = own[b];
      maps.hypothetical[at(b)] = static_cast<float>(own[b] - mean);
    }
    maps.one_hot[at(wild)] = 1.0f;
  };
  ForEachPosition(packed, row, effects, place, store);
}

void StoreGradients(const Sequences& packed, int64_t row, std::span<const float> gradients, int64_t place,
                    IsmMaps& maps) {
  const auto store = [&](uint8_t wild, std::span<const float> own, const auto& at) {
    for (int b = 0; b < 4; ++b) maps.hypothetical[at(b)] = own[b];
    if (wild == kUnknownBase) return;
    maps.contributions[at(wild)] = own[wild];
    maps.one_hot[at(wild)] = 1.0f;
  };
  ForEachPosition(packed, row, gradients, place, store);
}

void Reserve(std::span<const NamedSequence> input, IsmMaps& maps) {
  const size_t n = input.size(), length = static_cast<size_t>(maps.options.length);
  maps.predictions.resize(n);
  std::vector<float>& others = maps.options.method == IsmMethod::kMutate ? maps.effects : maps.contributions;
  for (std::vector<float>* map : {&maps.one_hot, &maps.hypothetical, &others}) map->assign(n * 4 * length, 0.0f);
  maps.heights.resize(n * length);
  for (std::vector<float>* map : {&maps.structure, &maps.structure_gradients}) {
    map->resize(n * static_cast<size_t>(maps.options.structure) * length);
  }
  for (const NamedSequence& sequence : input) {
    maps.names.push_back(sequence.id);
    maps.sequences.push_back(sequence.bases);
    maps.sequences.back() = InAlphabet(std::move(maps.sequences.back()), maps.options.dna);
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

void StoreHeights(std::span<const float> values, LogoHeight rule, int64_t first, IsmMaps& maps) {
  const std::vector<double> heights = LogoHeights(values, rule);
  std::copy(heights.begin(), heights.end(), maps.heights.begin() + first * maps.options.length);
}

// Of the sequences `packed`, the first of which is sequence `first` of the maps.
absl::Status AddMutants(const Sequences& packed, int64_t first, const SequenceScorer& scorer,
                        const std::function<void(int64_t)>& progress, IsmMaps& maps) {
  RB_ASSIGN_OR_RETURN(const SingleMutants singles, MutateSingles(packed, scorer, maps.options.block));
  std::copy(singles.wild.begin(), singles.wild.end(), maps.predictions.begin() + first);
  StoreHeights(singles.effects, maps.options.height, first, maps);
  const size_t values = 4 * static_cast<size_t>(packed.length);
  for (int64_t row = 0; row < packed.size(); ++row) {
    const std::span own = std::span(singles.effects).subspan(static_cast<size_t>(row) * values, values);
    StoreEffects(packed, row, own, first + row, maps);
    if (maps.options.order < 2) continue;
    RB_RETURN_IF_ERROR(AddPairs(packed, row, own, scorer, first + row, maps));
    progress(first + row + 1);
  }
  return absl::OkStatus();
}

// The structure channels of [N][L][4+S] gradients, and the tracks; leaves the letters' [N][L][4].
void TakeStructure(const Sequences& packed, int64_t first, std::vector<float>& gradients, IsmMaps& maps) {
  const int64_t channels = packed.structure_channels, length = packed.length, positions = packed.size() * length;
  for (int64_t at = 0; at < positions; ++at) {
    const float* const own = &gradients[at * (4 + channels)];
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t to = ((first + at / length) * channels + c) * length + at % length;
      maps.structure[to] = packed.tracks[at * channels + c];
      maps.structure_gradients[to] = own[4 + c];
    }
    std::copy_n(own, 4, &gradients[at * 4]);  // forwards, in place
  }
  gradients.resize(static_cast<size_t>(4 * positions));
}

absl::Status AddGradients(Sequences& packed, int64_t first, const IsmSources& sources, IsmMaps& maps) {
  RB_RETURN_IF_ERROR(sources.add_tracks(packed));
  RB_ASSIGN_OR_RETURN(const std::vector<float> predictions, sources.scorer(packed));
  RB_ASSIGN_OR_RETURN(std::vector<float> gradients, sources.gradients(packed));
  std::copy(predictions.begin(), predictions.end(), maps.predictions.begin() + first);
  if (packed.structure_channels > 0) TakeStructure(packed, first, gradients, maps);
  StoreHeights(gradients, LogoHeight::kNorm, first, maps);
  const size_t values = 4 * static_cast<size_t>(packed.length);
  for (int64_t row = 0; row < packed.size(); ++row) {
    const std::span own = std::span(gradients).subspan(static_cast<size_t>(row) * values, values);
    StoreGradients(packed, row, own, first + row, maps);
  }
  return absl::OkStatus();
}

}  // namespace

double IsmBytes(int64_t n, const IsmOptions& options) {
  const double length = options.length, singles = length * (3 * 4 + 1 + 2 * options.structure) * sizeof(float);
  const double pairs = (16.0 * static_cast<double>(NumPairs(options.length)) + length * length) * sizeof(float);
  return static_cast<double>(n) * (singles + (options.order > 1 ? pairs : 0));
}

absl::StatusOr<IsmMaps> MakeIsmMaps(std::span<const NamedSequence> input, const IsmOptions& options,
                                    const IsmSources& sources, const std::function<void(int64_t)>& progress) {
  RB_RETURN_IF_ERROR(CheckInput(input, options.length));
  IsmMaps maps;
  maps.options = options;
  Reserve(input, maps);
  const int64_t total = std::ssize(input), part = std::max<int64_t>(1, kMutantsAtOnce / (3 * options.length));
  for (int64_t first = 0; first < total; first += part) {
    const int64_t count = std::min(part, total - first);
    Sequences packed = Pack(input.subspan(static_cast<size_t>(first), static_cast<size_t>(count)), options.length);
    RB_RETURN_IF_ERROR(options.method == IsmMethod::kMutate ? AddMutants(packed, first, sources.scorer, progress, maps)
                                                            : AddGradients(packed, first, sources, maps));
    progress(first + count);
  }
  return maps;
}

std::vector<NamedArray> IsmArrays(const IsmMaps& maps) {
  const int64_t n = std::ssize(maps.names), length = maps.options.length, pairs = std::ssize(maps.pairs) / 2;
  const bool mutate = maps.options.method == IsmMethod::kMutate;
  const std::span<const float> others = mutate ? maps.effects : maps.contributions;
  std::vector<NamedArray> arrays = {{"names", {n}, std::span<const std::string>(maps.names)},
                                    {"sequences", {n}, std::span<const std::string>(maps.sequences)},
                                    {"starts", {n}, std::span<const int64_t>(maps.starts)},
                                    {"one_hot", {n, 4, length}, std::span<const float>(maps.one_hot)},
                                    {mutate ? "effects" : "contributions", {n, 4, length}, others},
                                    {"hypothetical", {n, 4, length}, std::span<const float>(maps.hypothetical)},
                                    {"predictions", {n}, std::span<const float>(maps.predictions)},
                                    {"heights", {n, length}, std::span<const float>(maps.heights)}};
  if (const int64_t tracks = maps.options.structure; tracks > 0) {
    arrays.push_back({"structure", {n, tracks, length}, std::span<const float>(maps.structure)});
    arrays.push_back({"structure_gradients", {n, tracks, length}, std::span<const float>(maps.structure_gradients)});
  }
  if (maps.options.order > 1) {
    arrays.push_back({"pairs", {pairs, 2}, std::span<const int64_t>(maps.pairs)});
    arrays.push_back({"pair_effects", {n, pairs, 4, 4}, std::span<const float>(maps.pair_effects)});
    arrays.push_back({"interactions", {n, length, length}, std::span<const float>(maps.interactions)});
  }
  return arrays;
}

}  // namespace rb::apps
