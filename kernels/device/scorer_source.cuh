// Where the scorer's kernels take sequences from, and the array that layer 1 reads them as.
//
// Sequences are stored, or drawn on the spot, and a pattern may be written over them. A position's base is asked for in
// three steps, so that a kernel may start each long before the next: which sequence, its data, the base.
#ifndef RB_KERNELS_DEVICE_SCORER_SOURCE_CUH_
#define RB_KERNELS_DEVICE_SCORER_SOURCE_CUH_

#include "kernels/bf16.h"
#include "kernels/device/dialect.h"
#include "kernels/device/scorer_layout.h"
#include "kernels/packed_bases.h"
#include "kernels/profile_draws.h"

namespace rb::device::scorer {

struct SequenceSource {
  const uint32_t* bases;         // [sequences][PackedWords(L)]
  const float* tracks;           // [sequences][L][S]
  PerModel<const int32_t> rows;  // null: sequence i
  ProfileDraws draws;            // instead of the above where it has keys
  const uint32_t* patterns;      // [patterns][PackedWords(L)]; null: none

  // What the position's base is made of.
  struct Words {
    uint32_t codes, known;
  };

  // The sequence at `index` of the slot's list.
  __device__ int Sequence(int64_t slot, int index) const { return rows ? rows[slot][index] : index; }
  __device__ static Words Load(const ScorerGeometry& g, const uint32_t* packed, int64_t index, int position) {
    const uint32_t* words = packed + index * PackedWords(g.length);
    return {words[position / 16], words[CodeWords(g.length) + position / 32]};
  }
  // Sequence `sequence` under pattern `pattern`.
  __device__ Words Fetch(const ScorerGeometry& g, int64_t slot, int pattern, int sequence, int position) const {
    if (patterns != nullptr) {
      const Words words = Load(g, patterns, pattern, position);
      if (Base(words, position) != kUnknownBase) return words;
    }
    if (draws.keys == nullptr) return Load(g, bases, sequence, position);
    const uint64_t bits = ProfileBits(draws.keys[slot], draws.first + sequence, position);
    const int base = ProfileBase(draws.thresholds[slot] + position * kProfileThresholds, bits);
    return {static_cast<uint32_t>(base) * 0x55555555u, ~0u};  // at every position
  }
  // 0..3 or kUnknownBase.
  __device__ static int Base(Words words, int position) {
    return words.known >> (position % 32) & 1u ? static_cast<int>(words.codes >> (2 * (position % 16)) & 3u)
                                               : int{kUnknownBase};
  }
  // f(track, value) for each track.
  template <class F>
  __device__ void ForEachTrack(const ScorerGeometry& g, int sequence, int position, const F& f) const {
    const float* from = tracks + (static_cast<int64_t>(sequence) * g.length + position) * g.structure;
    for (int j = 0; j < g.structure; ++j) f(j, from[j]);
  }
};

template <Precision kPrecision>
using Stored = std::conditional_t<kPrecision == Precision::kBf16, BFloat16, float>;

// The value as an operand of a matrix product in this precision.
template <Precision kPrecision>
__device__ inline float RoundOperand(float value) {
  if constexpr (kPrecision == Precision::kTf32) return FloatOf(ToTf32(value));
  return value;
}

// values[position][InputChannels]: a base as four values (one 1, or none for an unknown base), then its tracks,
// sequences SequencePitch apart. A row of layer 1's product, tap after tap, is then simply a range of it: first_width *
// InputChannels values from the position `first_width / 2` before the row's own on. It overlaps its neighbours' and is
// never copied.
template <Precision kPrecision>
struct Inputs {
  using T = Stored<kPrecision>;
  T* values;

  // Where the range of position `position` of sequence `n` begins.
  __device__ static int Range(const ScorerGeometry& g, int n, int position) {
    return (n * SequencePitch(g) + position) * InputChannels(g);
  }
  __device__ void Clear(const ScorerGeometry& g, int sequences, int thread, int threads) const {
    for (int i = thread; i < InputValues(g, sequences); i += threads) values[i] = T(0.0f);
  }
  // Position `position` of the n-th sequence here is what the source has there; sequence < 0: nothing.
  __device__ void Store(const ScorerGeometry& g, const SequenceSource& source, int n, int position, int sequence,
                        SequenceSource::Words words) const {
    T* at = values + Range(g, n, position) + g.first_width / 2 * InputChannels(g);
    const int base = sequence < 0 ? int{kUnknownBase} : SequenceSource::Base(words, position);
#pragma unroll
    for (int b = 0; b < 4; ++b) at[b] = T(base == b ? 1.0f : 0.0f);
    if (g.structure == 0) return;
    if (sequence < 0) {
      for (int j = 0; j < g.structure; ++j) at[4 + j] = T(0.0f);
    } else {
      source.ForEachTrack(g, sequence, position,
                          [&](int j, float value) { at[4 + j] = T(RoundOperand<kPrecision>(value)); });
    }
  }
};

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_SOURCE_CUH_
