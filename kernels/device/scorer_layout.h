// How a folded network lies packed in a device's memory, and which kernel scores it (kernels/device_scorer.h).
//
// Every weight matrix [depths][columns] (layer 1 and convolutions: taps x channels; dense: inputs) is cut
// into steps of the depth that one tensor-core instruction multiplies, and a step lies in the order in which a warp's
// lanes hold it: a lane's 16-byte load brings its registers of two neighbouring 16 x 8 (tf32: 8 x 8) operands. fp32 has
// steps of one row, in the order in which the lanes of FMA tiles that imitate those fragments read it. Layer 1 comes
// first, padded with zeros to whole slices of 32 depths, the convolutions directly behind, so that a block may stream a
// whole network as one row of slices. The fp32 vectors follow.
#ifndef RB_KERNELS_DEVICE_SCORER_LAYOUT_H_
#define RB_KERNELS_DEVICE_SCORER_LAYOUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/common.h"
#include "kernels/host_device.h"
#include "kernels/precision.h"
#include "kernels/scorer.h"

namespace rb::device::scorer {

inline constexpr int kSliceDepth = 32;  // depths that travel to shared memory together
inline constexpr int kTileRows = 128;   // positions a tile of the fused kernel holds
inline constexpr int kDensePanel = 32;  // hidden units a warp computes at a time
inline constexpr int kThreads = 256;    // of a block
inline constexpr int kWarps = kThreads / 32;
inline constexpr int64_t kAlignment = 128;

// Depths of one step of a matrix product, and bytes of one stored operand.
RB_HOST_DEVICE constexpr int StepDepth(Precision p) {
  return p == Precision::kBf16 ? 16 : p == Precision::kTf32 ? 8 : 4;
}
RB_HOST_DEVICE constexpr int StoredBytes(Precision p) { return p == Precision::kBf16 ? 2 : 4; }
template <class T>
RB_HOST_DEVICE constexpr T RoundUp(T value, T unit) {
  return (value + unit - 1) / unit * unit;
}

// Shapes whose tiles live in shared memory; others go layer by layer through global memory.
RB_HOST_DEVICE constexpr bool FitsTile(const ScorerGeometry& g) {
  return g.length <= kTileRows && g.filters <= kTileRows;
}
// Columns that one block computes at a time, and the 8-wide fragments of them that a warp holds (two warps share them).
RB_HOST_DEVICE constexpr int BlockColumns(const ScorerGeometry& g) {
  return FitsTile(g) ? g.filters : g.filters % 96 == 0 ? 96 : g.filters % 64 == 0 ? 64 : 32;
}
RB_HOST_DEVICE constexpr int WarpFragments(const ScorerGeometry& g) { return BlockColumns(g) / 16; }

// Values of layer 1's input at a position: four for the base and the tracks, made even by a zero, so that bf16 values
// can be read in pairs.
RB_HOST_DEVICE constexpr int InputChannels(const ScorerGeometry& g) { return RoundUp(4 + g.structure, 2); }
RB_HOST_DEVICE constexpr int EmbedDepths(const ScorerGeometry& g) { return g.first_width * InputChannels(g); }
RB_HOST_DEVICE constexpr int EmbedSlices(const ScorerGeometry& g) {
  return (EmbedDepths(g) + kSliceDepth - 1) / kSliceDepth;
}
RB_HOST_DEVICE constexpr int ConvSlices(const ScorerGeometry& g) { return g.width * g.filters / kSliceDepth; }
RB_HOST_DEVICE constexpr int DenseInputs(const ScorerGeometry& g) { return g.pools() * g.filters; }

// Byte offsets of a network's parts, all multiples of kAlignment.
struct Layout {
  int64_t embed = 0, conv = 0, dense = 0;  // conv: all layers, one behind the other
  int64_t conv_bytes = 0;                  // of one layer
  int64_t bias = 0;                        // [residual_layers + 1][C], layer 1's first
  int64_t dense_bias = 0, head = 0;        // [hidden], [hidden + 1]
  int64_t bytes = 0;

  Layout() = default;
  Layout(const ScorerGeometry& g, Precision precision) {
    const int64_t stored = StoredBytes(precision), filters = g.filters, hidden = g.hidden, values = sizeof(float);
    conv = EmbedSlices(g) * kSliceDepth * filters * stored;
    conv_bytes = g.width * filters * filters * stored;
    dense = conv + g.residual_layers * conv_bytes;
    bias = dense + DenseInputs(g) * hidden * stored;
    dense_bias = RoundUp(bias + (g.residual_layers + 1) * filters * values, kAlignment);
    head = RoundUp(dense_bias + hidden * values, kAlignment);
    bytes = RoundUp(head + (hidden + 1) * values, kAlignment);
  }
};

// Sequences in one tile of the fused kernel, and those that pass the dense layer together: up to 48, three operands of
// 16 rows, in whole tiles.
inline constexpr int kDenseRows = 48;
RB_HOST_DEVICE constexpr int TileSequences(const ScorerGeometry& g) { return kTileRows / g.length; }
RB_HOST_DEVICE constexpr int GroupSequences(const ScorerGeometry& g) {
  return kDenseRows / TileSequences(g) * TileSequences(g);
}

// The layered kernel takes up to 16 sequences, one operand of 16 rows, or about 1024 positions at a time.
inline constexpr int kLayeredDenseRows = 16;
RB_HOST_DEVICE constexpr int LayeredSequences(const ScorerGeometry& g) {
  const int sequences = 1024 / g.length;
  return sequences < kLayeredDenseRows ? sequences : kLayeredDenseRows;
}

// One block's workspace: pooled vectors, operands of the dense layer; layered: before them three activation planes.
RB_HOST_DEVICE constexpr int64_t LayeredPlaneBytes(const ScorerGeometry& g, Precision precision) {
  return RoundUp<int64_t>(static_cast<int64_t>(LayeredSequences(g)) * g.length * g.filters * StoredBytes(precision),
                          kAlignment);
}
RB_HOST_DEVICE constexpr int64_t BlockWorkspace(const ScorerGeometry& g, Precision precision) {
  const int64_t row = static_cast<int64_t>(DenseInputs(g)) * StoredBytes(precision);
  return FitsTile(g) ? RoundUp(kDenseRows * row, kAlignment)
                     : RoundUp(kLayeredDenseRows * row, kAlignment) + 3 * LayeredPlaneBytes(g, precision);
}

// Positions beside each other in the array that layer 1 reads (scorer_source.cuh), and its values: sequences with
// `first_width / 2` zero positions before, between and behind them, and zeros that the last slice's padding reads.
RB_HOST_DEVICE constexpr int SequencePitch(const ScorerGeometry& g) { return g.length + g.first_width / 2; }
RB_HOST_DEVICE constexpr int InputValues(const ScorerGeometry& g, int sequences) {
  return (g.first_width / 2 + sequences * SequencePitch(g)) * InputChannels(g) + kSliceDepth;
}

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_LAYOUT_H_
