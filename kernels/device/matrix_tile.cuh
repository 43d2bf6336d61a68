// One tile of a matrix product by one block: c[i,j] = sum over d of a[i,d] * b[d,j], at most 128 x 128 values of c,
// both operands fp32 in global memory, any of the project's arithmetics.
//
// Mapping: 256 threads. Operands travel through shared memory in pieces of 32 depths, three pieces in a ring filled by
// cp.async, as they lie in memory: `kDepthLast` has an index's depths side by side, `kDepthFirst` a depth's indices.
// tf32 and bf16: 2 x 4 warps, 64 x 32 values each; operands are rounded between shared memory and registers. fp32: 16 x
// 16 threads, 8 x 8 values each. Every value of c is one chain of additions in order of depth (a tensor core's step of
// 8 or 16 depths at a time), whatever the tile's place and fill.
//
// Shared memory: 3 * (128 + 128) * 32 * 4 = 98,304 bytes, so that two blocks fit a multiprocessor of compute capability
// 9.0 and two of the three pieces are on their way while the third is used: 128 KB in flight, four times what DRAM
// latency (1 us) at an even share of 4.3 TB/s asks for. 64 sums a thread and 256 threads leave 128 registers for those
// two blocks. A 128 x 128 tile reads 1 byte of L2 for every 32 FLOP: 64-wide tiles would make L2 the limit.
#ifndef RB_KERNELS_DEVICE_MATRIX_TILE_CUH_
#define RB_KERNELS_DEVICE_MATRIX_TILE_CUH_

#include "kernels/device/dialect.h"
#include "kernels/precision.h"

namespace rb::device {

inline constexpr int kTile = 128;      // values of i, and of j
inline constexpr int kTileDepth = 32;  // depths of a piece
inline constexpr int kTileStages = 3;  // pieces in the ring
inline constexpr int kTileThreads = 256;
inline constexpr int kTilePiece = kTile * kTileDepth;  // values of one operand's piece
inline constexpr int kTileBytes = kTileStages * 2 * kTilePiece * 4;

enum class Layout { kDepthLast, kDepthFirst };

// a or b from the tile's first index on. Indices and depths beyond the counts are taken as zeros. What lies side by
// side in memory begins at multiples of 16 bytes and comes in multiples of 4 indices or kTileDepth depths.
template <Layout kLayout>
struct TileOperand {
  const float* base;
  int64_t pitch;  // values from one index (kDepthLast) or depth (kDepthFirst) to the next
  int indices, depth;
};

// ------------------------------------------------------------------------------------------------- shared memory

// A piece is rows of 16-byte units: 128 rows (indices) of 8 units, or 32 rows (depths) of 32 units. A row's units are
// permuted by exclusive or with a function of the row, below 8, so that the eight-byte loads of MmaTile (kDepthLast:
// rows g, units t/2), its four-byte loads (kDepthFirst: rows 2t, units g/4) and the 16-byte loads of FmaTile
// (consecutive rows, or consecutive units) are free of bank conflicts. In the place of a value, row * pitch + 4 * unit
// + rest, the permutation flips bits 2 to 4 only: a thread keeps one place and reaches other units by flipping its
// bits.
template <Layout kLayout>
__device__ inline int Place(int row, int unit) {
  constexpr int kPitch = kLayout == Layout::kDepthLast ? kTileDepth : kTile;
  const int permutation = kLayout == Layout::kDepthLast ? (row & 3) << 1 | (row >> 2 & 1) : row & 6;
  return row * kPitch + ((unit ^ permutation) << 2);
}

// Copies an operand piece by piece. A thread has one unit of every kRows-th row: all at the same permutation.
template <Layout kLayout>
class PieceCopier {
 public:
  __device__ explicit PieceCopier(const TileOperand<kLayout>& operand) {
    const int unit = static_cast<int>(threadIdx.x) % kUnits, row = static_cast<int>(threadIdx.x) / kUnits;
    from_ = operand.base + row * operand.pitch + 4 * unit;
    step_ = static_cast<int>(kRows * operand.pitch);
    place_ = Place<kLayout>(row, unit);
    left_ = kLast ? operand.indices - row : 4 * unit < operand.indices ? operand.depth - row : 0;
  }
  // Starts the copy of the next piece.
  __device__ void Start(float* piece) {
#pragma unroll
    for (int pass = 0; pass < kTilePiece / 4 / kTileThreads; ++pass) {
      CpAsync16Zero(piece + place_ + pass * (4 * kTileThreads), from_ + pass * step_, pass * kRows < left_);
    }
    from_ += kLast ? kTileDepth : kTileDepth / kRows * step_;
    if (!kLast) left_ -= kTileDepth;
  }

 private:
  static constexpr bool kLast = kLayout == Layout::kDepthLast;
  static constexpr int kUnits = (kLast ? kTileDepth : kTile) / 4, kRows = kTileThreads / kUnits;
  static_assert(kRows % 8 == 0);
  const float* from_;
  int step_, place_, left_;  // left_: rows to come, this thread's first among them
};

// ---------------------------------------------------------------------------------------------------------- fp32

// Thread (r, c) = (thread / 16, thread % 16) owns kRows x 8 values. Index n of the kRows (or 8) is r + 16 n where depth
// lies last, 4 r + n % 4 + 64 (n / 4) where it lies first: what 16-byte loads bring. kRows 7 is for tiles of at most
// 112 rows: a batch of 100 in 7 x 16.
template <Layout kA, Layout kB, int kRows>
class FmaTile {
 public:
  __device__ FmaTile(int rows, int columns) : rows_(rows), columns_(columns) {}

  __device__ void Add(const float* a, const float* b, int depth) {
    const int quads = depth < kTileDepth ? (depth + 3) / 4 : kTileDepth / 4;
#pragma unroll 1
    for (int quad = 0; quad < quads; ++quad) {
      float x[kRows][4];
      Load<kA, kRows>(a, row_, 0, quad, x);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float y[4][4];
        Load<kB, 4>(b, column_, 4 * half, quad, y);
#pragma unroll
        for (int d = 0; d < 4; ++d) {
#pragma unroll
          for (int i = 0; i < kRows; ++i) {
#pragma unroll
            for (int j = 0; j < 4; ++j) sum_[i][4 * half + j] = fmaf(x[i][d], y[j][d], sum_[i][4 * half + j]);
          }
        }
      }
    }
  }

  // f(row, column, values from there on: float or float4).
  template <class F>
  __device__ void ForEach(const F& f) const {
    constexpr int kWidth = kB == Layout::kDepthLast ? 1 : 4;
#pragma unroll
    for (int j = 0; j < 8; j += kWidth) {
      const int column = Index<kB>(column_, j);
      if (column >= columns_) continue;
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const int row = Index<kA>(row_, i);
        if (row >= rows_) continue;
        if constexpr (kWidth == 1) {
          f(row, column, sum_[i][j]);
        } else {
          f(row, column, make_float4(sum_[i][j], sum_[i][j + 1], sum_[i][j + 2], sum_[i][j + 3]));
        }
      }
    }
  }

 private:
  template <Layout kLayout>
  __device__ static int Index(int thread, int n) {
    return kLayout == Layout::kDepthLast ? thread + 16 * n : 4 * thread + 64 * (n / 4) + n % 4;
  }
  // Depths 4 quad to 4 quad + 3 of kCount indices from `first` on.
  template <Layout kLayout, int kCount>
  __device__ static void Load(const float* piece, int thread, int first, int quad, float (&out)[kCount][4]) {
    if constexpr (kLayout == Layout::kDepthLast) {
      const float* from = piece + (Place<kLayout>(thread, 0) ^ 4 * quad) + first * 16 * kTileDepth;
#pragma unroll
      for (int n = 0; n < kCount; ++n) {
        const float4 v = *reinterpret_cast<const float4*>(from + n * 16 * kTileDepth);
        out[n][0] = v.x, out[n][1] = v.y, out[n][2] = v.z, out[n][3] = v.w;
      }
    } else {
      const float* rows = piece + quad * 4 * kTile + first * 16;
      const int unit = 4 * thread ^ quad % 2 * 16;  // the permutation's part of the quad
#pragma unroll
      for (int d = 0; d < 4; ++d) {
        const float* from = rows + d * kTile + (unit ^ d / 2 * 8);
#pragma unroll
        for (int n = 0; n < kCount; n += 4) {
          const float4 v = *reinterpret_cast<const float4*>(from + n * 16);
          out[n][d] = v.x, out[n + 1][d] = v.y, out[n + 2][d] = v.z, out[n + 3][d] = v.w;
        }
      }
    }
  }

  const int row_ = static_cast<int>(threadIdx.x) / 16, column_ = static_cast<int>(threadIdx.x) % 16;
  const int rows_, columns_;
  float sum_[kRows][8] = {};
};

// -------------------------------------------------------------------------------------------------- tensor cores

// Lane (g, t) = (lane / 4, lane % 4) loads depths 2t and 2t + 1 of each eight as a pair: in bf16 a register of
// mma.m16n8k16; in tf32 the two registers of mma.m16n8k8, whose columns t and t + 4 thereby stand for depths 2t and
// 2t + 1, in both operands. An operand of a warp: indices first + 8 j + g.
template <Precision kPrecision, Layout kLayout>
class MmaOperand {
 public:
  static constexpr int kStep = kPrecision == Precision::kBf16 ? 16 : 8;

  __device__ explicit MmaOperand(int first) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
    place_ = kLayout == Layout::kDepthLast ? Place<kLayout>(first + g, t / 2) + t % 2 * 2
                                           : Place<kLayout>(2 * t, first / 4 + g / 4) + g % 4;
  }
  // Registers low and high of fragment j: depths [d, d + kStep).
  __device__ void Load(const float* piece, int d, int j, uint32_t& low, uint32_t& high) const {
    const float2 pair = Pair(piece, d, j);
    if constexpr (kPrecision == Precision::kBf16) {
      const float2 pair8 = Pair(piece, d + 8, j);
      low = PackBf16(pair.x, pair.y), high = PackBf16(pair8.x, pair8.y);
    } else {
      low = ToTf32(pair.x), high = ToTf32(pair.y);
    }
  }

 private:
  __device__ float2 Pair(const float* piece, int d, int j) const {
    if constexpr (kLayout == Layout::kDepthLast) {
      return *reinterpret_cast<const float2*>(piece + (place_ ^ d) + j * 8 * kTileDepth);
    } else {
      const float* from = piece + (place_ ^ j % 4 * 8) + j / 4 * 32 + d * kTile;
      return make_float2(from[0], from[kTile]);
    }
  }
  int place_;
};

// Warp (r, c) owns 4 x 4 fragments of 16 x 8 values from (64 r, 32 c) on; what lies beyond the tile's filled part is
// skipped.
template <Precision kPrecision, Layout kA, Layout kB>
class MmaTile {
 public:
  __device__ MmaTile(int rows, int columns) : a_(Row()), b_(Column()), rows_(columns > Column() ? rows - Row() : 0) {}

  __device__ void Add(const float* a, const float* b, int depth) {
    if (rows_ > 48) {
      AddFragments<4>(a, b, depth);
    } else if (kA == Layout::kDepthLast && rows_ > 32) {  // rows 64 to 99 of a batch of 100
      AddFragments<3>(a, b, depth);
    } else if (rows_ > 0) {
      AddFragments<2>(a, b, depth);
    }
  }

  // f(row, column, float2 from there on).
  template <class F>
  __device__ void ForEach(const F& f) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
    for (int m = 0; m < 8; ++m) {
      const int row = 8 * m + lane / 4;
      if (row >= rows_) continue;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const float* sum = sum_[m / 2][n] + m % 2 * 2;
        f(Row() + row, Column() + 8 * n + 2 * (lane % 4), make_float2(sum[0], sum[1]));
      }
    }
  }

 private:
  template <int kFragments>
  __device__ void AddFragments(const float* a, const float* b, int depth) {
    constexpr int kStep = MmaOperand<kPrecision, kA>::kStep;
    constexpr bool kWhole = kA == Layout::kDepthLast || kB == Layout::kDepthLast;  // pieces are
#pragma unroll 1
    for (int d = 0; d < kTileDepth; d += kStep) {
      if (!kWhole && d >= depth) break;
      uint32_t y[4][2];
#pragma unroll
      for (int n = 0; n < 4; ++n) b_.Load(b, d, n, y[n][0], y[n][1]);
#pragma unroll
      for (int m = 0; m < kFragments; ++m) {
        if (m == 2) __syncwarp();  // keeps later loads behind it: they would not find registers
        uint32_t x[4];
        a_.Load(a, d, 2 * m, x[0], x[2]);
        a_.Load(a, d, 2 * m + 1, x[1], x[3]);
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          if constexpr (kPrecision == Precision::kBf16) {
            Mma16816(sum_[m][n], x, y[n]);
          } else {
            Mma1688(sum_[m][n], x, y[n]);
          }
        }
      }
    }
  }

  // The warp's first row and column.
  __device__ static int Row() { return static_cast<int>(threadIdx.x) / (4 * kWarp) * 64; }
  __device__ static int Column() { return static_cast<int>(threadIdx.x) / kWarp % 4 * 32; }

  const MmaOperand<kPrecision, kA> a_;
  const MmaOperand<kPrecision, kB> b_;
  const int rows_;  // from the warp's first on
  float sum_[4][4][4] = {};
};

// ------------------------------------------------------------------------------------------------------- product

// All pieces of both operands through the ring. `shared` holds kTileBytes and is free again on return.
template <Layout kA, Layout kB, class Tile>
__device__ inline void AddPieces(const TileOperand<kA>& a, const TileOperand<kB>& b, float* shared, Tile& tile) {
  PieceCopier<kA> copy_a(a);
  PieceCopier<kB> copy_b(b);
  const auto start = [&](bool any, int stage) {
    if (any) {
      float* to = shared + stage * 2 * kTilePiece;
      copy_a.Start(to);
      copy_b.Start(to + kTilePiece);
    }
    CpAsyncCommit();  // groups stay aligned with pieces, empty ones too
  };
#pragma unroll
  for (int stage = 0; stage < kTileStages - 1; ++stage) start(stage * kTileDepth < a.depth, stage);
  int stage = 0;
#pragma unroll 1
  for (int left = a.depth; left > 0; left -= kTileDepth) {
    CpAsyncWait<kTileStages - 2>();
    __syncthreads();  // the piece is there for all; the one before it is used up
    start(left > (kTileStages - 1) * kTileDepth, stage == 0 ? kTileStages - 1 : stage - 1);
    const float* piece = shared + stage * 2 * kTilePiece;
    tile.Add(piece, piece + kTilePiece, left);
    stage = stage == kTileStages - 1 ? 0 : stage + 1;
  }
  __syncthreads();
}

// The tile's values to f(row, column, value), value float, float2 or float4 along a row, all of it inside the operands'
// indices (b's a multiple of 32). `shared` is free when f is called.
template <Precision kPrecision, Layout kA, Layout kB, class F>
__device__ inline void TileProduct(const TileOperand<kA>& a, const TileOperand<kB>& b, float* shared, const F& f) {
  const auto run = [&](auto tile) {
    AddPieces(a, b, shared, tile);
    tile.ForEach(f);
  };
  if constexpr (kPrecision != Precision::kFp32) {
    run(MmaTile<kPrecision, kA, kB>(a.indices, b.indices));
  } else if (kA == Layout::kDepthLast && a.indices <= 7 * 16) {
    run(FmaTile < kA, kB, kA == Layout::kDepthLast ? 7 : 8 > (a.indices, b.indices));
  } else {
    run(FmaTile<kA, kB, 8>(a.indices, b.indices));
  }
}

// Values side by side to memory of their alignment.
__device__ inline void StoreValues(float* to, float v) { *to = v; }
__device__ inline void StoreValues(float* to, float2 v) { *reinterpret_cast<float2*>(to) = v; }
__device__ inline void StoreValues(float* to, float4 v) { *reinterpret_cast<float4*>(to) = v; }

}  // namespace rb::device

#endif  // RB_KERNELS_DEVICE_MATRIX_TILE_CUH_
