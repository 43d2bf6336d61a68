// The fused scorer's kernel: packed bases in, predictions out, every activation in shared memory or registers.
//
// Mapping: a block of 256 threads works on groups of up to 48 sequences of one model, tile by tile, and passes a group
// through the dense layer together. A tile is floor(128 / L) whole sequences, 128 rows, one per position. Layer 1 is a
// product with one-hot rows that are ranges of one small array; a convolution is `width` products with shifted rows, a
// row beyond its sequence replaced by zeros. All columns of a layer stay in registers until the last row is read, then
// they overwrite the tile in place; the skip stays in registers.
//
// Weights: resident (bf16, 96 filters, 227 KB) all convolutions' stay in shared memory, 165,888 of 231,680 bytes for
// the paper's network, and each half of the block has a tile of its own, so that one half multiplies while the other
// stores, pools or loads. Streamed, they come from L2 through a ring of slices of 32 depths, for one tile or for two
// that go through it together. Two tiles give a warp 64 rows and half the columns, one tile 32 rows.
//
// The paper's network in bf16, a tile of 3 sequences: 57 products of 128 x 96 x 16, 5,472 mma.m16n8k16 (22.4
// MFLOP, 19.7 of them useful). A tap's loop, 9 times a tile, is 253 instructions of a warp, 144 of them mma. Shared
// memory: 0.82 MB of operands, 0.2 MB of stores, pooling, biases and rows, 8,000 cycles at 128 bytes each; mma.sync at
// the 62 % of the tensor cores' rate that it is known to reach, 8,800. L2: 4.1 KB a sequence for the dense layer, 30 KB
// more when streamed. So mma.sync limits, shared memory is close behind. tf32 takes twice the instructions and bytes;
// its 96 skip values, 96 sums and operands are up to 12 registers more than there are, which costs 12 KB of L1 a tile.
//
// A group's sequences are read, or drawn from a profile, and a pattern is written over them, when layer 1's input is
// made (scorer_source.cuh): a draw is 10 rounds of Philox for a position, 130 instructions beside the 2,300 that a warp
// spends on the taps of a tile. A scan's 48 predictions become one mean and sum of squares, 16 bytes.
#ifndef RB_KERNELS_DEVICE_SCORER_FUSED_CUH_
#define RB_KERNELS_DEVICE_SCORER_FUSED_CUH_

#include <utility>

#include "kernels/device/scorer_ring.cuh"
#include "kernels/device/scorer_scan.cuh"

namespace rb::device::scorer {

// Shared memory of a block, byte offsets.
struct FusedMap {
  int zeros = 0;
  int weights = 0;                  // resident: all convolutions; streamed: the ring
  int embed = -1;                   // resident and room for it: layer 1's weights
  int inputs = 0, input_bytes = 0;  // of one tile
  int rows = 0;                     // [128] TileRow
  int bias = 0;                     // [residual_layers + 1][C]
  int partial = 0;                  // DenseAndHead's
  int group = 0;                    // Group
  int bytes = 0;
};

// What a row of a tile is: position `place` of its n-th sequence; its layer-1 input begins at inputs[from], its
// activations `at` bytes into the plane. Rows behind the last sequence have a place that no tap moves into a sequence.
// A table and not registers: compilers would keep dozens of addresses made from it.
struct TileRow {
  int from, at;
  int16_t place, n;
};
inline constexpr int kOutside = -(1 << 14);

using FusedArgs = ScorerArgs<FusedMap>;

template <Precision kPrecision, int kFilters, bool kResident>
struct FusedShape {
  // Tiles at a time. Two give a warp 64 rows, a third less to read from shared memory per multiplication.
  static constexpr int kTiles = kPrecision != Precision::kFp32 && (kFilters == 64 || kFilters == 96) ? 2 : 1;
  static constexpr int kTileThreads = kThreads / kTiles;
  static constexpr int kRowWarps = kTileThreads / kWarp / 2;  // beside two columns of warps
  static constexpr int kM = kTileRows / 16 / kRowWarps, kN = kFilters / 16;
  static constexpr int kSliceBytes = kSliceDepth * kFilters * StoredBytes(kPrecision);
  // A slice of 96 filters is multiplied in about 600 (bf16, two tiles), 1200 (tf32, two) or 3000 cycles (fp32, one); L2
  // answers in up to 1000.
  static constexpr int kStages = kPrecision == Precision::kBf16 ? 4 : 3;
  // Sums and skip values take 48 (32 filters) to 192 registers of a thread (tf32, 96 filters), operands of a step 28
  // (fp32: 28 as well), twice that when they are loaded ahead: two blocks of 128 registers fit only with 32 filters.
  static constexpr int kBlocks = kFilters == 32 && kPrecision != Precision::kFp32 ? 2 : 1;
  static constexpr bool kAhead = kPrecision == Precision::kBf16;
  using TilePlane = Plane<kPrecision, kFilters>;

  static FusedMap Map(const ScorerGeometry& g, int most) {
    FusedMap map;
    const int embed_bytes =
        static_cast<int>(RoundUp(EmbedDepths(g), StepDepth(kPrecision)) * kFilters * StoredBytes(kPrecision));
    const auto take = [&](int bytes) { return std::exchange(map.bytes, map.bytes + RoundUp(bytes, 128)); };
    take(kTiles * kTileRows * TilePlane::kRowBytes);
    map.zeros = take(TilePlane::kZeroBytes);
    map.weights = take(kSliceBytes * (kResident ? g.residual_layers * ConvSlices(g) : kStages));
    map.input_bytes = RoundUp(InputValues(g, TileSequences(g)) * StoredBytes(kPrecision), 128);
    map.inputs = take(kTiles * map.input_bytes);
    map.rows = take(kTileRows * sizeof(TileRow));
    map.bias = take((g.residual_layers + 1) * kFilters * 4);
    map.partial = take(kWarps * kDenseRows * 4);
    map.group = take(sizeof(Group));
    if (kResident && map.bytes + RoundUp(embed_bytes, 128) <= most) map.embed = take(embed_bytes);
    return map;
  }
};

template <Precision kPrecision, int kFilters, bool kResident>
class FusedBlock {
  using Shape = FusedShape<kPrecision, kFilters, kResident>;
  using Sums = WarpSums<kPrecision, Shape::kM, Shape::kN>;
  using Activations = Left<kPrecision, Shape::kM>;
  using Weights = Right<kPrecision, Shape::kN>;
  using Pair = StoredPair<kPrecision>;
  using TilePlane = typename Shape::TilePlane;
  static constexpr int kStepsPerSlice = kSliceDepth / StepDepth(kPrecision);
  static constexpr int kStep = kFilters * kStepBytes<kPrecision>;  // bytes of a step's weights

 public:
  __device__ FusedBlock(const FusedArgs& args, unsigned char* shared)
      : args_(args),
        shared_(shared),
        tile_thread_(threadIdx.x % Shape::kTileThreads),
        tile_(threadIdx.x / Shape::kTileThreads),
        row_(tile_thread_ / kWarp / 2 * 16 * Shape::kM),
        warp_column_(tile_thread_ / kWarp % 2),
        plane_{shared, tile_ * kTileRows * TilePlane::kRowBytes, args.map.zeros},
        inputs_{reinterpret_cast<Stored<kPrecision>*>(shared + args.map.inputs + tile_ * args.map.input_bytes)} {
    const ScorerGeometry& g = args.g;
    if (threadIdx.x < kTileRows) {
      const int n = threadIdx.x / g.length, place = threadIdx.x % g.length;
      const bool inside = n < TileSequences(g);
      reinterpret_cast<TileRow*>(shared + args.map.rows)[threadIdx.x] = {
          inside ? Inputs<kPrecision>::Range(g, n, place) : 0, TilePlane{nullptr, 0, 0}.RowAt(threadIdx.x),
          static_cast<int16_t>(inside ? place : kOutside), static_cast<int16_t>(n)};
    }
    inputs_.Clear(g, TileSequences(g), tile_thread_, Shape::kTileThreads);
    for (int i = threadIdx.x; i < TilePlane::kZeroBytes / 4; i += kThreads) {
      reinterpret_cast<uint32_t*>(shared + args.map.zeros)[i] = 0;
    }
  }

  // This block's groups of one model.
  __device__ void ScoreModel(int model) {
    packed_ = nullptr;
    ForEachGroup(args_, model, GroupSequences(args_.g), CurrentGroup(), [&] {
      if (packed_ == nullptr) {
        packed_ = args_.packed[CurrentGroup()->slot];
        LoadModel();
      }
      ScoreGroup();
      __syncthreads();
      FinishGroup<kPrecision, kDenseRows / 16, 4 / Shape::kBlocks>(
          args_, *CurrentGroup(), packed_, Pooled(), reinterpret_cast<float*>(shared_ + args_.map.partial));
    });
    CpAsyncWait<0>();  // the ring has run ahead
  }

 private:
  // A barrier of the warps that share the tile.
  __device__ void TileBarrier() const {
    if constexpr (!kResident) {
      __syncthreads();
    } else {
      BlockBarrier(1 + tile_, Shape::kTileThreads);
    }
  }

  __device__ void LoadModel() {
    const ScorerGeometry& g = args_.g;
    const float* bias = reinterpret_cast<const float*>(packed_ + args_.layout.bias);
    float* to = reinterpret_cast<float*>(shared_ + args_.map.bias);
    for (int i = threadIdx.x; i < (g.residual_layers + 1) * kFilters; i += kThreads) to[i] = bias[i];
    if constexpr (kResident) {
      const int embed_bytes = EmbedSteps() * kStep;
      CopyAsync(shared_ + args_.map.weights, packed_ + args_.layout.conv,
                static_cast<int>(g.residual_layers * args_.layout.conv_bytes));
      if (args_.map.embed >= 0) CopyAsync(shared_ + args_.map.embed, packed_ + args_.layout.embed, embed_bytes);
      CpAsyncCommit();
      CpAsyncWait<0>();
      embed_ = args_.map.embed >= 0 ? shared_ + args_.map.embed : packed_ + args_.layout.embed;
    } else {
      ring_.Start(packed_, StreamBytes(), shared_ + args_.map.weights);
    }
    __syncthreads();
  }

  // Layer 1 and the convolutions.
  __device__ int StreamBytes() const { return static_cast<int>(args_.layout.dense); }
  __device__ const unsigned char* NextSlice() {
    return ring_.Next(packed_, StreamBytes(), shared_ + args_.map.weights);
  }
  __device__ TileRow RowOf(int row) const { return reinterpret_cast<const TileRow*>(shared_ + args_.map.rows)[row]; }

  __device__ Group* CurrentGroup() const { return reinterpret_cast<Group*>(shared_ + args_.map.group); }

  // The block's workspace.
  __device__ unsigned char* Pooled() const {
    return args_.workspace + (static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x) * args_.block_workspace;
  }
  __device__ int EmbedSteps() const {
    return (EmbedDepths(args_.g) + StepDepth(kPrecision) - 1) / StepDepth(kPrecision);
  }
  __device__ const float* Bias(int layer) const {
    return reinterpret_cast<const float*>(shared_ + args_.map.bias) + layer * kFilters + warp_column_ * 8 * Shape::kN;
  }

  // The group's sequences, pooled into rows 0, 1, ... of Pooled().
  __device__ void ScoreGroup() {
    const ScorerGeometry& g = args_.g;
    const Group& group = *CurrentGroup();
    const int size = TileSequences(g), step = Shape::kTiles * size;
    // The sequence that the thread's position of the tile at sequence `at` of the group belongs to; -1: none.
    const auto sequence_at = [&](int at) {
      if (tile_thread_ >= kTileRows) return -1;
      const TileRow row = RowOf(tile_thread_);
      return row.place >= 0 && at + row.n < group.count ? args_.source.Sequence(group.slot, group.first + at + row.n)
                                                        : -1;
    };
    const auto fetch = [&](int sequence) {
      return sequence < 0 ? SequenceSource::Words{}
                          : args_.source.Fetch(g, group.slot, group.pattern, sequence, RowOf(tile_thread_).place);
    };
    const auto store = [&](int sequence, SequenceSource::Words words) {
      if (tile_thread_ >= size * g.length) return;
      const TileRow row = RowOf(tile_thread_);
      inputs_.Store(g, args_.source, row.n, row.place, sequence, words);
    };
    int at = tile_ * size;
    if constexpr (kResident) {
      // The next tile's bases and the one's after it numbers are on their way while a tile is computed.
      int sequence = sequence_at(at), next = sequence_at(at + step);
      SequenceSource::Words words = fetch(sequence);
      for (; at < group.count; at += step) {
        store(sequence, words);
        TileBarrier();
        sequence = next;
        words = fetch(sequence);
        next = sequence_at(at + 2 * step);
        ScoreTile(at, min(size, group.count - at));
      }
    } else {  // tiles go through the ring together
      for (int first_of_all = 0; first_of_all < group.count; first_of_all += step, at += step) {
        const int sequence = sequence_at(at);
        store(sequence, fetch(sequence));
        ScoreTile(at, min(size, group.count - at));  // begins with a barrier, the ring's
      }
    }
  }

  __device__ void ScoreTile(int at, int sequences) {
    const ScorerGeometry& g = args_.g;
    Pair skip[Sums::kPairs];
    Embed(skip);
    for (int layer = 0; layer < g.residual_layers; ++layer) {
      if constexpr (kResident) TileBarrier();  // a ring's Next has one
      Sums sums;
      sums.Set(Bias(1 + layer));
      for (int tap = 0; tap < g.width; ++tap) ConvTap(layer, tap, sums);
      TileBarrier();  // the tile is read
      const bool last = layer + 1 == g.residual_layers;
      Store(sums, [&](int pair, float low, float high) {
        if (last) low += skip[pair].low(), high += skip[pair].high();
        return Pair::Round(fmaxf(low, 0.0f), fmaxf(high, 0.0f));
      });
    }
    TileBarrier();
    Pool(at, sequences);
  }

  // The warp's part of the plane = f(pair, sum, sum of the next column).
  template <class F>
  __device__ void Store(const Sums& sums, const F& f) const {
    int at[2 * Shape::kM];
#pragma unroll
    for (int i = 0; i < 2 * Shape::kM; ++i) at[i] = plane_.begin + RowOf(row_ + 8 * i + threadIdx.x % kWarp / 4).at;
    sums.ForEachPair([&](int pair, int, int column, float low, float high) {
      column += warp_column_ * 8 * Shape::kN;
      f(pair, low, high).Store(plane_.In(at[pair / Shape::kN], column * StoredBytes(kPrecision)));
    });
  }

  // Layer 1: inputs -> plane and skip.
  __device__ void Embed(Pair (&skip)[Sums::kPairs]) {
    int from[2 * Shape::kM];
#pragma unroll
    for (int i = 0; i < 2 * Shape::kM; ++i) {
      from[i] = RowOf(row_ + 8 * i + threadIdx.x % kWarp / 4).from;
    }
    Sums sums;
    sums.Set(Bias(0));
    const int steps = EmbedSteps();
    if constexpr (kResident) {  // weights one step ahead: those of networks with tracks come from L1 or L2
      Weights b;
      b.Load(embed_, kFilters, warp_column_);
#pragma unroll 2
      for (int step = 0; step < steps; ++step) {
        Weights next;
        next.Load(embed_ + min(step + 1, steps - 1) * kStep, kFilters, warp_column_);
        Activations a;
        a.LoadRanges(inputs_.values, from, step);
        Multiply(a, b, sums);
        b = next;
      }
    } else {
      const unsigned char* slice = nullptr;
      for (int step = 0; step < steps; ++step) {
        slice = step % kStepsPerSlice == 0 ? NextSlice() : slice + kStep;
        Activations a;
        Weights b;
        a.LoadRanges(inputs_.values, from, step);
        b.Load(slice, kFilters, warp_column_);
        Multiply(a, b, sums);
      }
    }
    Store(sums, [&](int pair, float low, float high) {
      return skip[pair] = Pair::Round(fmaxf(low, 0.0f), fmaxf(high, 0.0f));
    });
  }

  // sums += rows shifted by the tap . its weights.
  __device__ void ConvTap(int layer, int tap, Sums& sums) {
    const ScorerGeometry& g = args_.g;
    const int shift = (tap - g.width / 2) * g.dilations[layer];
    int rows[Activations::kAddresses];
#pragma unroll
    for (int i = 0; i < Activations::kAddresses; ++i) {
      const int row = row_ + Activations::Row(i);
      const bool inside = static_cast<unsigned>(RowOf(row).place + shift) < static_cast<unsigned>(g.length);
      rows[i] = plane_.RowAt(row + shift, Activations::Byte(), inside);
    }
    constexpr int kPieces = kFilters / kSliceDepth, kMultiplied = kResident ? kPieces : 1;
    [[maybe_unused]] constexpr int kUnrolled = kOnTensorCores<kPrecision> ? kPieces : 1;
#pragma unroll kUnrolled
    for (int piece = 0; piece < kPieces; piece += kMultiplied) {
      const unsigned char* weights;
      if constexpr (kResident) {
        weights = shared_ + args_.map.weights + (layer * g.width + tap) * kPieces * Shape::kSliceBytes;
      } else {
        weights = NextSlice();
      }
      MultiplySteps<kMultiplied * kStepsPerSlice, Shape::kAhead>(
          sums,
          [&](Activations& a, int step) {
            a.Load([&](int i) { return plane_.In(rows[i], (piece * kStepsPerSlice + step) * kStepBytes<kPrecision>); });
          },
          [&](int step) { return weights + step * kStep; }, kFilters, warp_column_);
    }
  }

  // Mean pool of the tile's first `sequences` sequences to rows [at, ...) of Pooled().
  __device__ void Pool(int at, int sequences) const {
    const ScorerGeometry& g = args_.g;
    const int pools = g.pools();
    const float scale = 1.0f / static_cast<float>(g.pool);
    for (int i = tile_thread_; i < sequences * pools * (kFilters / 2); i += Shape::kTileThreads) {
      const int channel = i % (kFilters / 2) * 2, n = i / (kFilters / 2) / pools, pool = i / (kFilters / 2) % pools;
      const int row = n * g.length + pool * g.pool;
      Pair pair = Pair::Load(plane_.At(row, channel));
      float low = pair.low(), high = pair.high();
      for (int r = 1; r < g.pool; ++r) {
        pair = Pair::Load(plane_.At(row + r, channel));
        low += pair.low(), high += pair.high();
      }
      StoreFragments<kPrecision>(Pooled(), DenseInputs(g), at + n, pool * kFilters + channel, low * scale,
                                 high * scale);
    }
  }

  const FusedArgs& args_;
  unsigned char* const shared_;
  const int tile_thread_, tile_;  // the thread's number among those of its tile; the tile's
  const int row_, warp_column_;   // the warp's first row, and its half of the columns
  const TilePlane plane_;
  const Inputs<kPrecision> inputs_;
  const unsigned char* packed_ = nullptr;
  const unsigned char* embed_ = nullptr;
  SliceRing<Shape::kStages, Shape::kSliceBytes> ring_;
};

}  // namespace rb::device::scorer

#endif  // RB_KERNELS_DEVICE_SCORER_FUSED_CUH_
