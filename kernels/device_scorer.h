// The fused scorer (kernels/scorer.h) on a device, for many models at once: folded weights are packed once into the
// order in which the kernels' matrix products take them, then any number of sequences are scored with them.
//
// Arithmetic: fp32; or operands of layer 1, the convolutions and the dense layer rounded to tf32 or bf16 (weights when
// they are packed, tracks when they are read, activations and pooled values when they are stored), sums in fp32.
// Biases, the skip's addition, the pooling's sum and the head are fp32 always.
#ifndef RB_KERNELS_DEVICE_SCORER_H_
#define RB_KERNELS_DEVICE_SCORER_H_

#include <cstddef>
#include <cstdint>

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/effect_moments.h"
#include "kernels/profile_draws.h"
#include "kernels/scorer.h"

namespace rb {

// Bytes of one model's packed weights; a multiple of 128.
size_t PackedScorerBytes(const ScorerGeometry& geometry, Precision precision);
// Bytes of workspace with which up to `blocks` thread blocks work at a time. Every positive number gives the same
// predictions; kScorerBlocks keeps the largest device busy.
size_t ScorerWorkspaceBytes(const ScorerGeometry& geometry, Precision precision, int blocks);
// Eight for each of an H200's 132 multiprocessors.
inline constexpr int kScorerBlocks = 1056;

// packed[slot] = the weights of slots live[0 .. count), in run.precision. Overwrites all PackedScorerBytes.
template <class T>
struct PackScorerArgs {
  ScorerGeometry geometry;
  const int32_t* live = nullptr;
  int count = 0;
  FoldedWeights folded;  // the tensors of slot 0, on the device; slot m's lie m * folded_stride elements on
  int64_t folded_stride = 0;
  PerModel<unsigned char> packed;  // 128-byte aligned rows
};

// A scan writes patterns over all of a slot's sequences, and may keep of every pattern only the moments of its local
// effects. Nothing of it is anywhere but in the multiprocessor that scores it: sequences are put together there, base
// by base, when layer 1 reads them.
struct PatternScan {
  const uint32_t* patterns = nullptr;  // [count][PackedWords(L)]: a known base replaces the sequence's own
  int count = 1;                       // without patterns one, of nothing; count * ScorerGroups(max_rows) fits an int
  // Of the sequences without a pattern, by slot; with moments only.
  PerModel<const float> without;
  // By slot: [count][ScorerGroups(num_rows[slot])], of the differences prediction - without, group by group of
  // ScorerGroup sequences.
  PerModel<EffectMoments> moments;
};

// Sequences that are scored together, the last of a list perhaps fewer; not of the precision or the device.
int ScorerGroup(const ScorerGeometry& geometry);
inline int ScorerGroups(const ScorerGeometry& geometry, int rows) {
  const int group = ScorerGroup(geometry);
  return (rows + group - 1) / group;
}

// out[slot][p * num_rows[slot] + i] = prediction, by that slot's model, of sequence rows[slot][i] (or of sequence i
// when rows is null) under pattern p, i in [0, num_rows[slot]). A slot with num_rows 0 is idle. run.precision is the
// one the weights were packed in.
template <class T>
struct ScoreSequencesArgs {
  ScorerGeometry geometry;
  const int32_t* live = nullptr;
  int count = 0;
  PerModel<const unsigned char> packed;
  const uint32_t* bases = nullptr;  // [sequences][PackedWords(L)]
  const float* tracks = nullptr;    // [sequences][L][S] or null
  PerModel<const int32_t> rows;
  ProfileDraws draws;                 // with keys: sequence i is a profile's draw first + i; no bases, rows, tracks
  const int32_t* num_rows = nullptr;  // by slot
  int max_rows = 0;                   // none of num_rows is larger; known to the host
  PatternScan scan;
  PerModel<T> out;            // may be null when the scan keeps moments
  void* workspace = nullptr;  // 128-byte aligned; what it holds has no meaning before or after
  size_t workspace_bytes = 0;
  bool stream_weights = false;  // read weights through L2 even where they fit shared memory; for studies
};

RB_DEVICE_OPERATOR(PackScorer, PackScorerArgs)
// effects[slot][p] = the moments of pattern p's groups put together, in their order.
template <class T>
struct MergeEffectsArgs {
  const int32_t* live = nullptr;
  int count = 0;
  const int32_t* num_rows = nullptr;  // by slot; 0: idle
  int group = 0;                      // ScorerGroup(geometry)
  int num_patterns = 0;
  PerModel<const EffectMoments> moments;  // PatternScan's
  PerModel<EffectMoments> effects;
};

RB_DEVICE_OPERATOR(ScoreSequences, ScoreSequencesArgs)
RB_DEVICE_OPERATOR(MergeEffects, MergeEffectsArgs)

}  // namespace rb

#endif  // RB_KERNELS_DEVICE_SCORER_H_
