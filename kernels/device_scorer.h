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

// out[slot][i] = prediction of sequence rows[slot][i] (or of sequence i when rows is null) by that slot's model, i in
// [0, num_rows[slot]). A slot with num_rows 0 is idle. run.precision is the one the weights were packed in.
template <class T>
struct ScoreSequencesArgs {
  ScorerGeometry geometry;
  const int32_t* live = nullptr;
  int count = 0;
  PerModel<const unsigned char> packed;
  const uint32_t* bases = nullptr;  // [sequences][PackedWords(L)]
  const float* tracks = nullptr;    // [sequences][L][S] or null
  PerModel<const int32_t> rows;
  const int32_t* num_rows = nullptr;  // by slot
  int max_rows = 0;                   // none of num_rows is larger; known to the host
  PerModel<T> out;
  void* workspace = nullptr;  // 128-byte aligned; what it holds has no meaning before or after
  size_t workspace_bytes = 0;
  bool stream_weights = false;  // read weights through L2 even where they fit shared memory; for studies
};

RB_DEVICE_OPERATOR(PackScorer, PackScorerArgs)
RB_DEVICE_OPERATOR(ScoreSequences, ScoreSequencesArgs)

}  // namespace rb

#endif  // RB_KERNELS_DEVICE_SCORER_H_
