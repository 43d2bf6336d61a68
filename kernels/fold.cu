// Folding on a device (kernels/fold.h): a warp a sequence, in double.
//
// Mapping: rows of pairs (i, .) one after the other, a lane takes every 32nd 3' end j. Seven triangles of n (n + 1) / 2
// values live in shared memory (48 KB at 41 bases, so 4 warps a multiprocessor), or, where they do not fit, in a
// workspace. What the recursions mean is told in fold_cpu.cc; here q's interior loops are summed by each pair's own
// lane, multiloop sums column by column with a barrier of the warp between, and the recurrences along a row by a scan.
//
// 41 bases: 71,340 multiply-adds of loops inside and as many outside, were all pairs possible; an operand of each from
// shared memory, one from the cached factors. So latency limits, with 4 warps a multiprocessor to hide it; bytes from
// memory are 22 in and 828 out a sequence.
#include "kernels/fold.h"

#include <algorithm>

#include "kernels/device/dialect.h"
#include "kernels/fold_loops.h"

namespace rb {
namespace {

constexpr int kRows = 14;

// Bytes of a warp's rows and bases, which are in shared memory always.
RB_HOST_DEVICE constexpr int RowBytes(int n) { return 8 * kRows * (n + 2) + (n + 2 + 7) / 8 * 8; }

__device__ double SumOfWarp(double v) {
  for (int bit = kWarp / 2; bit > 0; bit /= 2) v += __shfl_xor_sync(kAllLanes, v, bit);
  return v;
}

class WarpFolder {
 public:
  __device__ WarpFolder(const FoldFactors& factors, int length, double* triangles, unsigned char* rows)
      : f_(factors), lane_(static_cast<int>(threadIdx.x)), triangles_(triangles), length_(length) {
    double* row = reinterpret_cast<double*>(rows);
    double** const all[] = {&add_,   &tail_,        &closing_,     &d_tail_,      &d_many_,      &d_one_,   &five_,
                            &three_, &contexts_[0], &contexts_[1], &contexts_[2], &contexts_[3], &ends_[0], &ends_[1]};
    static_assert(sizeof all / sizeof *all == kRows);
    for (double** to : all) *to = row, row += length + 2;
    bases_ = reinterpret_cast<uint8_t*>(row);
  }

  // The sequence of `width` bases from position `first` on. Tracks [L][kFoldTracks].
  __device__ void Run(const uint32_t* packed, int first, int width, float* tracks, double* log_partition) {
    n_ = width;
    Clear(packed, first);
    for (int i = n_ - 1 - kPairDistance; i >= 0; --i) InsideRow(i);
    Exterior();
    for (int i = 0; i < n_ - kPairDistance; ++i) OutsideRow(i);
    Store(first, tracks);
    if (lane_ == 0 && log_partition != nullptr) *log_partition = log(five_[n_]);
    __syncwarp();
  }

 private:
  enum Triangle { kQ, kOne, kMany, kTwo, kProduct, kO, kDTwo };  // kProduct: q or o with its mismatch

  __device__ FoldLoops Loops() const { return {f_, bases_ + 1}; }
  __device__ double& At(Triangle t, int i, int j) const {
    return triangles_[t * (n_ * (n_ + 1) / 2) + i * n_ - i * (i + 1) / 2 + j];
  }
  // f(j) for the lane's columns of [first, end).
  template <class F>
  __device__ void ForColumns(int first, int end, const F& f) const {
    for (int j = first + lane_; j < end; j += kWarp) f(j);
  }

  __device__ void Clear(const uint32_t* packed, int first) {
    for (int i = lane_; i < kFoldTriangles * n_ * (n_ + 1) / 2; i += kWarp) triangles_[i] = 0;
    for (int i = lane_; i < kRows * (length_ + 2); i += kWarp) add_[i] = 0;
    for (int p = lane_; p < n_ + 2; p += kWarp) {
      bases_[p] =
          p == 0 || p == n_ + 1 ? static_cast<uint8_t>(kBeyondEnd) : FoldBase(BaseAt(packed, length_, first + p - 1));
    }
    __syncwarp();
  }

  // row[j] += base * row[j - 1] for j = first .. end - 1 in this order; backwards: row[j + 1], from the last on.
  template <bool kBackwards>
  __device__ void Recur(double* row, int first, int end) const {
    double carry = 0;
    for (int done = 0; done < end - first; done += kWarp) {
      const int at = done + lane_, j = kBackwards ? end - 1 - at : first + at;
      double v = at < end - first ? row[j] : 0, weight = f_.multi_base, step = f_.multi_base;
      for (int by = 1; by < kWarp; by *= 2, step *= step) {
        const double before = __shfl_up_sync(kAllLanes, v, by), power = __shfl_up_sync(kAllLanes, weight, by);
        if (lane_ >= by) v = fma(step, before, v), weight *= power;
      }
      v = fma(weight, carry, v);
      if (at < end - first) row[j] = v;
      carry = __shfl_sync(kAllLanes, v, kWarp - 1);
    }
    __syncwarp();
  }

  // Sums of a pair's interior loops without tables of their own, over the pairs inside (side 1) or outside (-1);
  // `bulge` of those with all unpaired bases on one side.
  template <int kSide>
  __device__ void LoopSums(int i, int j, double& sum, double& bulge) const {
    const FoldLoops loops = Loops();
    const Triangle pairs = kSide > 0 ? kQ : kO;
    const auto add_bulge = [&](int u, int k, int l) {
      const int t = loops.Type(k, l);
      if (t != kNoPair) bulge = fma(f_.bulge[u], At(pairs, k, l) * f_.terminal[t], bulge);
    };
    // Bases on either side that a loop may have.
    const int left = kSide > 0 ? j - i - 2 - kPairDistance : i - 1, right = kSide > 0 ? left : n_ - 2 - j;
    for (int u = 2; u <= min(left, kMaxLoop); ++u) {
      if (kSide > 0 || right >= 0) add_bulge(u, i + kSide * (1 + u), j - kSide);
    }
    for (int u = 2; u <= min(right, kMaxLoop); ++u) {
      if (kSide > 0 || left >= 0) add_bulge(u, i + kSide, j - kSide * (1 + u));
    }
    for (int u1 = 1; u1 <= min(left, kMaxLoop); ++u1) {
      const int last = min(kMaxLoop - u1, kSide > 0 ? left - u1 : right);
      for (int u2 = 1; u2 <= last; ++u2) {
        sum = fma(f_.interior[u1][u2], At(kProduct, i + kSide * (1 + u1), j - kSide * (1 + u2)), sum);
      }
    }
  }

  __device__ double SmallInside(int i, int j, int t) const {
    const FoldLoops loops = Loops();
    double sum = 0;
    ForSmallLoops([&](int u1, int u2) {
      const int k = i + 1 + u1, l = j - 1 - u2;
      if (l - k < kPairDistance) return;
      const int type = loops.Type(k, l);
      if (type != kNoPair) sum += loops.Small(u1, u2, i, j, t, k, l, type ^ 1) * At(kQ, k, l);
    });
    return sum;
  }
  __device__ double SmallOutside(int k, int l, int t2) const {
    const FoldLoops loops = Loops();
    double sum = 0;
    ForSmallLoops([&](int u1, int u2) {
      const int i = k - 1 - u1, j = l + 1 + u2;
      if (i < 0 || j >= n_) return;
      const int type = loops.Type(i, j);
      if (type != kNoPair) sum += loops.Small(u1, u2, i, j, type, k, l, t2 ^ 1) * At(kO, i, j);
    });
    return sum;
  }

  __device__ void InsideRow(int i) {
    const FoldLoops loops = Loops();
    ForColumns(i + kPairDistance, n_, [&](int j) {
      const int t = loops.Type(i, j);
      add_[j] = 0;
      if (t == kNoPair) return;
      double sum = 0, bulge = 0;
      LoopSums<1>(i, j, sum, bulge);
      const double loop = SmallInside(i, j, t) + loops.OuterMismatch(t, i, j) * sum + f_.terminal[t] * bulge;
      const double q = loops.Hairpin(t, i, j) + loop + loops.Closing(t, i, j) * At(kTwo, i + 1, j - 1);
      At(kQ, i, j) = q;
      At(kProduct, i, j) = q * loops.InnerMismatch(t, i, j);
      add_[j] = q * loops.Stem(t, i, j) * f_.multi_stem;
    });
    __syncwarp();
    Recur<false>(add_, i + kPairDistance, n_);
    ForColumns(i + kPairDistance, n_, [&](int j) {
      At(kOne, i, j) = add_[j];
      tail_[j] = fma(f_.multi_base, tail_[j], add_[j]);  // sum_k base^(k - i) one(k, j)
    });
    for (int j = i + kPairDistance; j < n_; ++j) {
      __syncwarp();
      const double many = At(kTwo, i, j) + tail_[j];
      if (lane_ == 0) At(kMany, i, j) = many;
      ForColumns(j + 1 + kPairDistance, n_,
                 [&](int end) { At(kTwo, i, end) = fma(many, At(kOne, j + 1, end), At(kTwo, i, end)); });
    }
    __syncwarp();
  }

  __device__ void Exterior() {
    const FoldLoops loops = Loops();
    const auto weight = [&](int i, int j) {
      const int t = loops.Type(i, j);
      return t == kNoPair ? 0.0 : At(kQ, i, j) * loops.Stem(t, i, j);
    };
    if (lane_ == 0) five_[0] = three_[n_] = 1;
    __syncwarp();
    for (int j = 0; j < n_; ++j) {
      double sum = 0;
      ForColumns(0, j - kPairDistance + 1, [&](int i) { sum = fma(five_[i], weight(i, j), sum); });
      sum = SumOfWarp(sum);
      if (lane_ == 0) five_[j + 1] = five_[j] + sum;
      __syncwarp();
    }
    for (int i = n_ - 1; i >= 0; --i) {
      double sum = 0;
      ForColumns(i + kPairDistance, n_, [&](int j) { sum = fma(weight(i, j), three_[j + 1], sum); });
      sum = SumOfWarp(sum);
      if (lane_ == 0) three_[i] = three_[i + 1] + sum;
      __syncwarp();
    }
  }

  // Derivatives by the multiloop sums of row i; closing_ is that of row i - 1.
  __device__ void OutsideMulti(int i) {
    ForColumns(0, n_ + 1, [&](int j) { d_many_[j] = 0; });
    for (int j = n_ - 1; j >= i + kPairDistance; --j) {
      __syncwarp();
      const double d_two = d_many_[j] + closing_[j + 1];
      if (lane_ == 0) At(kDTwo, i, j) = d_two;
      ForColumns(i, j - kPairDistance, [&](int k) { d_many_[k] = fma(d_two, At(kOne, k + 1, j), d_many_[k]); });
    }
    __syncwarp();
    ForColumns(i, n_, [&](int j) {
      double d_one = d_tail_[j] = fma(f_.multi_base, d_tail_[j], d_many_[j]);
      for (int h = 0; h + kPairDistance < i; ++h) d_one = fma(At(kMany, h, i - 1), At(kDTwo, h, j), d_one);
      d_one_[j] = d_one;
    });
    __syncwarp();
    Recur<true>(d_one_, i, n_);
  }

  // The probabilities of a row's pairs: to its columns, each lane its own; summed, to the row.
  __device__ void OutsideRow(int i) {
    const FoldLoops loops = Loops();
    OutsideMulti(i);
    ForColumns(0, n_ + 2, [&](int j) { closing_[j] = 0; });
    __syncwarp();
    double hairpins = 0, inner = 0, multi = 0, in_inner = 0, in_multi = 0, paired = 0;
    ForColumns(i + kPairDistance, n_, [&](int j) {
      const int t = loops.Type(i, j);
      At(kProduct, i, j) = 0;
      if (t == kNoPair) return;
      double sum = 0, bulge = 0;
      LoopSums<-1>(i, j, sum, bulge);
      const double stem = loops.Stem(t, i, j), q = At(kQ, i, j), from_multi = d_one_[j] * stem * f_.multi_stem;
      const double from_loop = SmallOutside(i, j, t) + loops.InnerMismatch(t, i, j) * sum + f_.terminal[t] * bulge;
      const double o = five_[i] * (three_[j + 1] / five_[n_]) * stem + from_loop + from_multi;
      const double closing = o * loops.Closing(t, i, j), hairpin = loops.Hairpin(t, i, j);
      const double two = At(kTwo, i + 1, j - 1);
      At(kO, i, j) = o;
      At(kProduct, i, j) = o * loops.OuterMismatch(t, i, j);
      closing_[j] = closing;
      const double p_hairpin = o * hairpin, p_multi = closing * two, p = o * q, p_inner = p - p_hairpin - p_multi;
      contexts_[0][j] -= p_hairpin, contexts_[1][j] -= p_inner, contexts_[2][j] -= p_multi, contexts_[3][j] += p;
      ends_[0][j] += from_loop * q, ends_[1][j] += from_multi * q;
      hairpins += p_hairpin, inner += p_inner, multi += p_multi, paired += p;
      in_inner += from_loop * q, in_multi += from_multi * q;
    });
    hairpins = SumOfWarp(hairpins), inner = SumOfWarp(inner), multi = SumOfWarp(multi);
    in_inner = SumOfWarp(in_inner), in_multi = SumOfWarp(in_multi), paired = SumOfWarp(paired);
    __syncwarp();
    if (lane_ == 0) {
      contexts_[0][i + 1] += hairpins, contexts_[1][i + 1] += inner, contexts_[2][i + 1] += multi;
      contexts_[1][i] -= in_inner, contexts_[2][i] -= in_multi, contexts_[3][i] += paired;
    }
    __syncwarp();
  }

  __device__ void Store(int first, float* tracks) const {
    __syncwarp();
    if (lane_ < 3) {  // differences to probabilities, a lane a context
      double running = 0;
      for (int p = 0; p < n_; ++p) {
        running += contexts_[lane_][p];
        if (p > 0 && lane_ > 0) running += ends_[lane_ - 1][p - 1];
        contexts_[lane_][p] = running;
      }
    }
    __syncwarp();
    const auto probability = [](double p) { return static_cast<float>(p < 0 ? 0.0 : p > 1 ? 1.0 : p); };
    for (int p = lane_; p < length_; p += kWarp) {
      float* const to = tracks + p * kFoldTracks;
      const int at = p - first;
      const bool inside = at >= 0 && at < n_;
      to[0] = inside ? probability(contexts_[3][at]) : 0.0f;
      for (int c = 0; c < 3; ++c) to[1 + c] = inside ? probability(contexts_[c][at]) : 0.0f;
      to[4] = inside ? probability(five_[at] * three_[at + 1] / five_[n_]) : 0.0f;
    }
  }

  const FoldFactors& f_;
  const int lane_;
  double* const triangles_;
  const int length_;
  int n_ = 0;
  uint8_t* bases_;
  double *add_, *tail_, *closing_, *d_tail_, *d_many_, *d_one_, *five_, *three_;
  double* contexts_[4];  // differences of H, I, M; P
  double* ends_[2];      // what ends behind a position: of I, of M
};

// Grid: any number of blocks. triangles: of each block, or null: behind the rows in shared memory.
__global__ void FoldSequences(const FoldArgs<float> args, unsigned char* triangles) {
  DependencyWait();
  RB_DYNAMIC_SHARED(unsigned char, shared);
  const int length = args.length;
  double* const mine = reinterpret_cast<double*>(
      triangles == nullptr ? shared + RowBytes(length) : triangles + blockIdx.x * FoldTriangleBytes(length));
  WarpFolder folder(*args.factors, length, mine, shared);
  for (int64_t n = blockIdx.x; n < args.count; n += gridDim.x) {
    const int width = args.widths != nullptr ? args.widths[n] : length;
    folder.Run(args.bases + n * PackedWords(length), (length - width) / 2, width,
               args.tracks + n * length * kFoldTracks,
               args.log_partition != nullptr ? args.log_partition + n : nullptr);
  }
}

}  // namespace

namespace RB_MACHINE {

DeviceError Fold(const FoldArgs<float>& args, const DeviceRun& run) {
  if (args.count == 0) return {};
  const int64_t triangle_bytes = FoldTriangleBytes(args.length);
  const bool in_shared = RowBytes(args.length) + triangle_bytes <= SharedMemoryLimit();
  int64_t blocks = std::min<int64_t>(args.count, kFoldBlocks);
  if (!in_shared) blocks = std::min<int64_t>(blocks, static_cast<int64_t>(args.workspace_bytes) / triangle_bytes);
  if (blocks == 0) return {-1};
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(blocks));
  config.block = dim3(kWarp);
  config.shared = static_cast<size_t>(RowBytes(args.length) + (in_shared ? triangle_bytes : 0));
  config.stream = run.stream;
  return Launch(config, FoldSequences, args, in_shared ? nullptr : static_cast<unsigned char*>(args.workspace));
}

}  // namespace RB_MACHINE
}  // namespace rb
