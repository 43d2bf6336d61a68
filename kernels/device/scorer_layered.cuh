// The scorer's kernel for shapes whose tiles do not fit shared memory (more than 128 positions or filters): the same
// network layer by layer, activations in a workspace that each block has for itself.
//
// Mapping: a block of 256 threads works on groups of up to 16 sequences of one model, or about 1024 positions. A layer
// is cut into tiles of 128 rows x 32, 64 or 96 columns, 8 warps of 32 rows and half the columns each; rows shifted by a
// tap (zeros beyond their sequence) and weights come through a ring of slices of 32 channels. A group then passes the
// dense layer together (scorer_dense.cuh).
//
// 96 columns in bf16: a slice moves 14.3 KB from L2 to shared memory and 40 KB on to registers for 0.79 MFLOP; 64 or 32
// columns as many activations for two thirds or one third of that. Limited by shared memory and by L2, where the three
// planes of all blocks fit or not: 0.6 MB a block at 96 filters.
#ifndef RB_KERNELS_DEVICE_SCORER_LAYERED_CUH_
#define RB_KERNELS_DEVICE_SCORER_LAYERED_CUH_

#include <utility>

#include "kernels/device/scorer_scan.cuh"

namespace rb::device::scorer {

// Shared memory of a block, byte offsets; the ring is at 0.
struct LayeredMap {
  int inputs = 0, partial = 0, group = 0, bytes = 0;
};

using LayeredArgs = ScorerArgs<LayeredMap>;

template <Precision kPrecision, int kColumns>
struct LayeredShape {
  static constexpr int kM = 2, kN = kColumns / 16, kRowWarps = 4;
  static constexpr int kStages = 3;
  using Rows = Plane<kPrecision, kSliceDepth>;  // a slice of activations
  static constexpr int kRowsBytes = kTileRows * Rows::kRowBytes;
  static constexpr int kWeightBytes = kSliceDepth * kColumns * StoredBytes(kPrecision);
  static constexpr int kSlotBytes = kRowsBytes + kWeightBytes;

  static LayeredMap Map(const ScorerGeometry& g) {
    LayeredMap map;
    map.inputs = kStages * kSlotBytes;
    map.partial = RoundUp(map.inputs + InputValues(g, LayeredSequences(g)) * StoredBytes(kPrecision), 128);
    map.group = map.partial + kWarps * kLayeredDenseRows * static_cast<int>(sizeof(float));
    map.bytes = map.group + static_cast<int>(sizeof(Group));
    return map;
  }
};

template <Precision kPrecision, int kColumns>
class LayeredBlock {
  using Shape = LayeredShape<kPrecision, kColumns>;
  using Sums = WarpSums<kPrecision, Shape::kM, Shape::kN>;
  using Activations = Left<kPrecision, Shape::kM>;
  using Pair = StoredPair<kPrecision>;
  using T = Stored<kPrecision>;
  static constexpr int kStepsPerSlice = kSliceDepth / StepDepth(kPrecision);

 public:
  __device__ LayeredBlock(const LayeredArgs& args, unsigned char* shared)
      : args_(args),
        shared_(shared),
        row_(threadIdx.x / kWarp / 2 * 16 * Shape::kM),
        warp_column_(threadIdx.x / kWarp % 2),
        inputs_{reinterpret_cast<T*>(shared + args.map.inputs)},
        pooled_(args.workspace + (static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * args.block_workspace),
        planes_(pooled_ + RoundUp<int64_t>(static_cast<int64_t>(kLayeredDenseRows) * DenseInputs(args.g) * sizeof(T),
                                           kAlignment)) {}

  // This block's groups of one model.
  __device__ void ScoreModel(int model) {
    const ScorerGeometry& g = args_.g;
    ForEachGroup(args_, model, LayeredSequences(g), CurrentGroup(), [&] {
      const Group& group = *CurrentGroup();
      packed_ = args_.packed[group.slot];
      Load(group);
      for (int layer = -1; layer < g.residual_layers; ++layer) Layer(layer, group.count * g.length);
      __syncthreads();
      Pool(group.count);
      __syncthreads();
      FinishGroup<kPrecision, kLayeredDenseRows / 16, 4>(args_, group, packed_, pooled_,
                                                         reinterpret_cast<float*>(shared_ + args_.map.partial));
    });
  }

 private:
  __device__ Group* CurrentGroup() const { return reinterpret_cast<Group*>(shared_ + args_.map.group); }
  __device__ T* PlaneOf(int layer) const {  // layer 1 (-1) writes plane 0, which the skip reads; the others take turns
    return reinterpret_cast<T*>(planes_ + (layer < 0 ? 0 : 1 + layer % 2) * LayeredPlaneBytes(args_.g, kPrecision));
  }

  __device__ void Load(const Group& group) const {
    const ScorerGeometry& g = args_.g;
    inputs_.Clear(g, LayeredSequences(g), threadIdx.x, kThreads);
    __syncthreads();
    for (int i = threadIdx.x; i < group.count * g.length; i += kThreads) {
      const int n = i / g.length, position = i % g.length,
                sequence = args_.source.Sequence(group.slot, group.first + n);
      inputs_.Store(g, args_.source, n, position, sequence,
                    args_.source.Fetch(g, group.slot, group.pattern, sequence, position));
    }
  }

  // Layer -1 is layer 1. Reads and writes `rows` rows.
  __device__ void Layer(int layer, int rows) const {
    for (int row = 0; row < rows; row += kTileRows) {
      for (int column = 0; column < args_.g.filters; column += kColumns) Tile(layer, rows, row, column);
    }
  }

  // Rows [first, first + 128), as far as they exist, and columns [column, column + kColumns) of a layer.
  __device__ void Tile(int layer, int rows, int first, int column) const {
    const ScorerGeometry& g = args_.g;
    const float* bias = reinterpret_cast<const float*>(packed_ + args_.layout.bias) + (layer + 1) * g.filters;
    column += warp_column_ * 8 * Shape::kN;
    Sums sums;
    sums.Set(bias + column);
    if (layer < 0) {
      Embed(first, rows, column, sums);
    } else {
      Convolve(layer, first, rows, column, sums);
    }
    const T* skip = PlaneOf(-1);
    T* to = PlaneOf(layer);
    const bool last = layer + 1 == g.residual_layers;
    sums.ForEachPair([&](int, int row, int n, float low, float high) {
      row += first + row_;
      if (row >= rows) return;
      const int64_t at = static_cast<int64_t>(row) * g.filters + column + n;
      if (last) {
        const Pair pair = Pair::Load(skip + at);
        low += pair.low(), high += pair.high();
      }
      Pair::Round(fmaxf(low, 0.0f), fmaxf(high, 0.0f)).Store(to + at);
    });
  }

  // Runs the ring: copy(slice, slot) starts the copies of a slice, use(slice, slot) multiplies it.
  template <class Copy, class Use>
  __device__ void Slices(int slices, const Copy& copy, const Use& use) const {
    const auto start = [&](int slice) {
      if (slice < slices) copy(slice, shared_ + slice % Shape::kStages * Shape::kSlotBytes);
      CpAsyncCommit();
    };
    __syncthreads();  // the tile before is done with the slots, what this one reads is written
    for (int slice = 0; slice + 1 < Shape::kStages; ++slice) start(slice);
    for (int slice = 0; slice < slices; ++slice) {
      CpAsyncWait<Shape::kStages - 2>();
      __syncthreads();
      start(slice + Shape::kStages - 1);
      use(slice, slice % Shape::kStages * Shape::kSlotBytes);
    }
  }

  // Columns [block * kColumns, ...) of a slice of the matrix packed at `from`.
  __device__ void CopyWeights(const unsigned char* from, int slice, int column, unsigned char* to) const {
    // Rows of packed memory: steps on tensor cores, single depths in fp32.
    constexpr int kRows = kOnTensorCores<kPrecision> ? kStepsPerSlice : kSliceDepth;
    constexpr int kBytes = Shape::kWeightBytes / kRows;
    const int64_t pitch = static_cast<int64_t>(kBytes / kColumns) * args_.g.filters;
    from += slice * kRows * pitch + static_cast<int64_t>(kBytes / kColumns) * column;
    for (int i = threadIdx.x; i < Shape::kWeightBytes / 16; i += kThreads) {
      CpAsync16(to + 16 * i, from + i / (kBytes / 16) * pitch + i % (kBytes / 16) * 16);
    }
  }

  // `column` is the warp's first.
  __device__ int BlockColumn(int column) const { return column - warp_column_ * 8 * Shape::kN; }

  __device__ void Embed(int first, int rows, int column, Sums& sums) const {
    const ScorerGeometry& g = args_.g;
    int from[2 * Shape::kM];
#pragma unroll
    for (int i = 0; i < 2 * Shape::kM; ++i) {
      const int row = first + row_ + 8 * i + static_cast<int>(threadIdx.x) % kWarp / 4;
      from[i] = row < rows ? Inputs<kPrecision>::Range(g, row / g.length, row % g.length) : 0;
    }
    Slices(
        EmbedSlices(g),
        [&](int slice, unsigned char* slot) {
          CopyWeights(packed_ + args_.layout.embed, slice, BlockColumn(column), slot + Shape::kRowsBytes);
        },
        [&](int slice, int slot) {
          Multiplied(slot, sums, [&](Activations& a, int step) {
            a.LoadRanges(inputs_.values, from, slice * kStepsPerSlice + step);
          });
        });
  }

  // Multiplies a slot's weights with what left(operand, step) loads.
  template <class LoadLeft>
  __device__ void Multiplied(int slot, Sums& sums, const LoadLeft& left) const {
    const unsigned char* weights = shared_ + slot + Shape::kRowsBytes;
    MultiplySteps<kStepsPerSlice, false>(
        sums, left, [&](int step) { return weights + step * kColumns * kStepBytes<kPrecision>; }, kColumns,
        warp_column_);
  }

  __device__ void Convolve(int layer, int first, int rows, int column, Sums& sums) const {
    const ScorerGeometry& g = args_.g;
    const T* x = PlaneOf(layer - 1);
    const unsigned char* weights = packed_ + args_.layout.conv + layer * args_.layout.conv_bytes;
    // The rows and the 16-byte unit of each that the thread copies.
    constexpr int kUnit = 16 / static_cast<int>(sizeof(T)), kUnits = kSliceDepth / kUnit;
    constexpr int kPasses = kTileRows * kUnits / kThreads;
    const int unit = threadIdx.x % kUnits, copied = threadIdx.x / kUnits;
    int place[kPasses];  // in their sequences
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const int row = first + copied + i * (kThreads / kUnits);
      place[i] = row < rows ? row % g.length : -(1 << 20);
    }
    const auto copy = [&](int slice, unsigned char* slot) {
      const int pieces = g.filters / kSliceDepth, tap = slice / pieces, piece = slice % pieces;
      const int shift = (tap - g.width / 2) * g.dilations[layer];
      const typename Shape::Rows to = {slot, 0, 0};
#pragma unroll
      for (int i = 0; i < kPasses; ++i) {
        const int row = copied + i * (kThreads / kUnits);
        const bool inside = static_cast<unsigned>(place[i] + shift) < static_cast<unsigned>(g.length);
        const int64_t from = static_cast<int64_t>(first + row + shift) * g.filters + piece * kSliceDepth + unit * kUnit;
        CpAsync16Zero(to.At(row, unit * kUnit), inside ? x + from : x, inside);
      }
      CopyWeights(weights, slice, BlockColumn(column), slot + Shape::kRowsBytes);
    };
    Slices(ConvSlices(g), copy, [&](int, int slot) {
      const typename Shape::Rows from = {shared_, slot, 0};
      int row[Activations::kAddresses];
#pragma unroll
      for (int i = 0; i < Activations::kAddresses; ++i) {
        row[i] = from.RowAt(row_ + Activations::Row(i), Activations::Byte(), true);
      }
      Multiplied(slot, sums, [&](Activations& a, int step) {
        a.Load([&](int i) { return from.In(row[i], step * kStepBytes<kPrecision>); });
      });
    });
  }

  // Mean pool of the group's sequences to the operands of the dense layer.
  __device__ void Pool(int sequences) const {
    const ScorerGeometry& g = args_.g;
    const int pools = g.pools(), pairs = g.filters / 2;
    const float scale = 1.0f / static_cast<float>(g.pool);
    const T* x = PlaneOf(g.residual_layers - 1);
    for (int i = threadIdx.x; i < sequences * pools * pairs; i += kThreads) {
      const int channel = i % pairs * 2, n = i / pairs / pools, pool = i / pairs % pools;
      const T* from = x + static_cast<int64_t>(n * g.length + pool * g.pool) * g.filters + channel;
      Pair pair = Pair::Load(from);
      float low = pair.low(), high = pair.high();
      for (int r = 1; r < g.pool; ++r) {
        pair = Pair::Load(from + static_cast<int64_t>(r) * g.filters);
        low += pair.low(), high += pair.high();
      }
      StoreFragments<kPrecision>(pooled_, DenseInputs(g), n, pool * g.filters + channel, low * scale, high * scale);
    }
  }

  const LayeredArgs& args_;
  unsigned char* const shared_;
  const int row_, warp_column_;  // the warp's first row of a tile, and its half of the columns
  const Inputs<kPrecision> inputs_;
  unsigned char* const pooled_;
  unsigned char* const planes_;
  const unsigned char* packed_ = nullptr;
};

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_LAYERED_CUH_
