// Folding on the CPU (kernels/fold.h).
//
// Mapping: a task is a few sequences, one after the other; vectors run over the 3' end j of a row of pairs (i, .), so
// that every value is one chain of multiply-adds in an order that does not depend on the vector's width. Loops with
// tables of their own (up to 2x2, stacks, bulges of one) are looked up pair by pair; of all others the weight is a
// product of the outer pair's mismatch, the inner pair's and a factor of the two lengths, so that they are a
// convolution of rows.
// Multiply-adds at 41 bases: 71,340 of loops inside and as many outside, 17,952 of multiloop sums.
//
// Inside, rows from the last to the first: q(i, j), the weight of what (i, j) encloses, given the pair. In a multiloop,
// one(i, j): a stem from i, unpaired bases up to j; many(i, j): one or more stems in i..j; two(i, j): two or more:
//
//   two(i, j) = sum_k many(i, k - 1) one(k, j)      many(i, j) = two(i, j) + sum_k base^(k - i) one(k, j)
//
// Outside, rows from the first to the last: derivatives of ln Z by each of these, d_*; o(i, j) is that by q, o q the
// pair's probability. The contexts of bases need no more than the pairs': with the probability that (i, j) closes a
// hairpin, an interior loop or a multiloop, and that (k, l) is a stem of one of the latter two, the unpaired bases of
// all loops are differences of intervals: (i, j) adds to i+1..j-1, (k, l) takes k..l away.
#include "kernels/fold.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/fold_cpu.cc"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/fold_loops.h"

HWY_BEFORE_NAMESPACE();
namespace rb::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int kMaxLanes = 8;  // columns of zeros behind each row
inline constexpr int kTaskSequences = 16;
using FoldTag = hn::CappedTag<double, kMaxLanes>;

// One sequence at a time, in a thread's scratch. Matrices are [n][stride], 0 where i and j cannot be what is meant.
class Folder {
 public:
  static int Stride(int n) { return (n + 2 * kMaxLanes - 1) / kMaxLanes * kMaxLanes; }
  static size_t ScratchBytes(int n) { return sizeof(double) * (kMatrices * n + kRows) * Stride(n); }

  Folder(const FoldFactors& factors, int n, double* scratch)
      : f_(factors), n_(n), stride_(Stride(n)), loops_{factors, nullptr} {
    const int64_t size = int64_t{n} * stride_;
    std::memset(scratch, 0, ScratchBytes(n));
    double** const matrices[] = {&q_,          &stem_, &hairpin_, &loop_, &inner_, &inner_bulge_, &one_,
                                 &one_by_end_, &many_, &two_,     &o_,    &outer_, &outer_bulge_, &d_two_};
    static_assert(sizeof matrices / sizeof *matrices == kMatrices);
    for (double** matrix : matrices) *matrix = scratch, scratch += size;
    double** const rows[] = {&tail_, &closing_, &d_tail_,  &d_many_,      &d_one_,       &sum_,        &sum_bulge_,
                             &five_, &three_,   contexts_, contexts_ + 1, contexts_ + 2, contexts_ + 3};
    static_assert(sizeof rows / sizeof *rows == kRows);
    for (double** row : rows) *row = scratch, scratch += stride_;
  }

  // bases: indices of FoldBase, kBeyondEnd before and behind. Returns ln Z.
  double Run(const uint8_t* bases) {
    loops_.s = bases;
    for (int i = n_ - 1 - kPairDistance; i >= 0; --i) InsideRow(i);
    Exterior();
    for (int i = 0; i < n_ - kPairDistance; ++i) OutsideRow(i);
    return std::log(five_[n_]);
  }

  template <class T>
  void Store(T* tracks) {
    const auto clamp = [](double p) { return static_cast<T>(std::min(std::max(p, 0.0), 1.0)); };
    double running[3] = {};
    for (int p = 0; p < n_; ++p, tracks += kFoldTracks) {
      tracks[0] = clamp(contexts_[3][p]);
      for (int c = 0; c < 3; ++c) tracks[1 + c] = clamp(running[c] += contexts_[c][p]);
      tracks[4] = clamp(five_[p] * three_[p + 1] / five_[n_]);
    }
  }

 private:
  static constexpr int kMatrices = 14, kRows = 13;

  double* Row(double* matrix, int i) const { return matrix + i * stride_; }
  double& At(double* matrix, int i, int j) const { return matrix[i * stride_ + j]; }
  // Sums over the pairs inside (side 1) or outside (side -1) of (i, j) for all j of row i from `first` on:
  //   sum[j]   = sum_{u1, u2} interior[u1][u2] pairs(i + side (1 + u1), j - side (1 + u2))
  //   bulge[j] = the same of `bulges` with u1 or u2 = 0
  template <int side>
  void LoopSums(const double* pairs, const double* bulges, int i, int first, double* sum, double* bulge) const {
    const FoldTag d;
    const int lanes = static_cast<int>(hn::Lanes(d));
    for (int j = first; j < n_; j += lanes) {
      // u1 + u2 may not be more than kMaxLoop, nor than fits into the sequence beside the vector's widest pair.
      const int room = side > 0 ? std::min(j + lanes, n_) - 1 - i - 2 - kPairDistance : i - 1;
      const int room2 = side > 0 ? room : n_ - 2 - j;
      auto total = hn::Zero(d), other = hn::Zero(d), short_bulge = hn::Zero(d);
      for (int u1 = 1; u1 <= std::min(room, kMaxLoop); ++u1) {
        const double* row = pairs + (i + side * (1 + u1)) * stride_ + j - side;
        const int last = std::min(kMaxLoop - u1, side > 0 ? room - u1 : room2);
        for (int u2 = 1; u2 <= last; u2 += 2) {
          total = hn::MulAdd(hn::Set(d, f_.interior[u1][u2]), hn::LoadU(d, row - side * u2), total);
          if (u2 < last) {
            other = hn::MulAdd(hn::Set(d, f_.interior[u1][u2 + 1]), hn::LoadU(d, row - side * (u2 + 1)), other);
          }
        }
        short_bulge = hn::MulAdd(hn::Set(d, f_.bulge[u1]),
                                 hn::LoadU(d, bulges + (i + side * (1 + u1)) * stride_ + j - side), short_bulge);
      }
      if (side > 0 || i > 0) {
        const double* row = bulges + (i + side) * stride_ + j - side;
        for (int u2 = 2; u2 <= std::min(room2, kMaxLoop); ++u2) {
          short_bulge = hn::MulAdd(hn::Set(d, f_.bulge[u2]), hn::LoadU(d, row - side * u2), short_bulge);
        }
      }
      hn::StoreU(hn::Add(total, other), d, sum + j);
      hn::StoreU(short_bulge, d, bulge + j);
    }
  }

  // to[j] += factor * row[j], j in first..end - 1, and up to a vector's zeros of `row` beyond.
  static void AddRow(double factor, const double* row, int first, int end, double* to) {
    const FoldTag d;
    const auto by = hn::Set(d, factor);
    const int lanes = static_cast<int>(hn::Lanes(d));
    for (int j = first; j < end; j += lanes) {
      hn::StoreU(hn::MulAdd(by, hn::LoadU(d, row + j), hn::LoadU(d, to + j)), d, to + j);
    }
  }

  double SmallLoopsInside(int i, int j, int t) const {
    double sum = 0;
    ForSmallLoops([&](int u1, int u2) HWY_ATTR {
      const int k = i + 1 + u1, l = j - 1 - u2;
      if (l - k < kPairDistance) return;
      const int type = loops_.Type(k, l);
      if (type != kNoPair) sum += loops_.Small(u1, u2, i, j, t, k, l, type ^ 1) * At(q_, k, l);
    });
    return sum;
  }

  void InsidePair(int i, int j, int t) {
    const double hairpin = loops_.Hairpin(t, i, j);
    const double loop =
        SmallLoopsInside(i, j, t) + loops_.OuterMismatch(t, i, j) * sum_[j] + f_.terminal[t] * sum_bulge_[j];
    const double q = hairpin + loop + loops_.Closing(t, i, j) * At(two_, i + 1, j - 1);
    At(hairpin_, i, j) = hairpin;
    At(loop_, i, j) = loop;
    At(q_, i, j) = q;
    At(inner_, i, j) = q * loops_.InnerMismatch(t, i, j);
    At(inner_bulge_, i, j) = q * f_.terminal[t];
  }

  void InsideRow(int i) {
    LoopSums<1>(inner_, inner_bulge_, i, i + kPairDistance, sum_, sum_bulge_);
    double stem = 0;  // one(i, j)
    double* const many = Row(many_, i);
    for (int j = i + kPairDistance; j < n_; ++j) {
      const int t = loops_.Type(i, j);
      stem *= f_.multi_base;
      if (t != kNoPair) {
        InsidePair(i, j, t);
        At(stem_, i, j) = At(q_, i, j) * loops_.Stem(t, i, j);
        stem += At(stem_, i, j) * f_.multi_stem;
      }
      At(one_, i, j) = At(one_by_end_, j, i) = stem;
      tail_[j] = stem + f_.multi_base * tail_[j];  // sum_k base^(k - i) one(k, j)
    }
    double* const two = Row(two_, i);
    for (int j = i + kPairDistance; j < n_; ++j) {
      many[j] = two[j] + tail_[j];
      if (j + 1 + kPairDistance < n_) AddRow(many[j], Row(one_, j + 1), j + 1 + kPairDistance, n_, two);
    }
  }

  // five[j]: weight of the first j bases; three[i]: of those from i on.
  void Exterior() {
    std::fill(five_, five_ + n_ + 1, 1.0);
    for (int i = 0; i < n_; ++i) {
      double added = 0;  // by stems from i on
      for (int j = i + kPairDistance; j < n_; ++j) {
        added += five_[i] * At(stem_, i, j);
        five_[j + 1] += added;
      }
    }
    three_[n_] = 1;
    for (int i = n_ - 1; i >= 0; --i) {
      double sum = three_[i + 1];
      for (int j = i + kPairDistance; j < n_; ++j) sum += At(stem_, i, j) * three_[j + 1];
      three_[i] = sum;
    }
  }

  // Derivatives by the multiloop sums of row i. A stem takes kPairDistance + 1 bases, two stems twice as many.
  void OutsideMulti(int i) {
    double *const d_two = Row(d_two_, i), *const d_many = d_many_, *const d_one = d_one_;
    const int first = i + kPairDistance;
    std::fill(d_many, d_many + stride_, 0.0);
    for (int j = n_ - 1; j > first + kPairDistance; --j) {
      // two(i, j) is part of many(i, j) and of what (i - 1, j + 1) closes: closing_ is that of row i - 1.
      d_two[j] = d_many[j] + closing_[j + 1];
      if (d_two[j] != 0) AddRow(d_two[j], Row(one_by_end_, j) + 1, first, j - kPairDistance, d_many);
    }
    for (int j = first; j < n_; ++j) d_tail_[j] = d_many[j] + f_.multi_base * d_tail_[j];
    const FoldTag d;
    for (int j = first; j < n_; j += static_cast<int>(hn::Lanes(d))) {
      auto sum = hn::LoadU(d, d_tail_ + j);
      for (int h = 0; h + kPairDistance < i; ++h) {
        sum = hn::MulAdd(hn::Set(d, At(many_, h, i - 1)), hn::LoadU(d, Row(d_two_, h) + j), sum);
      }
      hn::StoreU(sum, d, d_one + j);
    }
    for (int j = n_ - 2; j >= first; --j) d_one[j] += f_.multi_base * d_one[j + 1];
  }

  double SmallLoopsOutside(int k, int l, int t2) const {
    double sum = 0;
    ForSmallLoops([&](int u1, int u2) HWY_ATTR {
      const int i = k - 1 - u1, j = l + 1 + u2;
      if (i < 0 || j >= n_) return;
      const int type = loops_.Type(i, j);
      if (type != kNoPair) sum += loops_.Small(u1, u2, i, j, type, k, l, t2 ^ 1) * At(o_, i, j);
    });
    return sum;
  }

  // An interval i..j of probability p, added to context c (H, I, M).
  void AddInterval(int c, int i, int j, double p) {
    contexts_[c][i] += p;
    contexts_[c][j + 1] -= p;
  }

  void OutsidePair(int i, int j, int t) {
    const double stem = loops_.Stem(t, i, j), q = At(q_, i, j);
    const double in_multi = d_one_[j] * stem * f_.multi_stem;
    const double in_loop =
        SmallLoopsOutside(i, j, t) + loops_.InnerMismatch(t, i, j) * sum_[j] + f_.terminal[t] * sum_bulge_[j];
    const double o = five_[i] * (three_[j + 1] / five_[n_]) * stem + in_loop + in_multi;
    const double closing = o * loops_.Closing(t, i, j);
    At(o_, i, j) = o;
    At(outer_, i, j) = o * loops_.OuterMismatch(t, i, j);
    At(outer_bulge_, i, j) = o * f_.terminal[t];
    closing_[j] = closing;
    AddInterval(0, i + 1, j - 1, o * At(hairpin_, i, j));
    AddInterval(1, i + 1, j - 1, o * At(loop_, i, j));
    AddInterval(1, i, j, -in_loop * q);
    AddInterval(2, i + 1, j - 1, closing * At(two_, i + 1, j - 1));
    AddInterval(2, i, j, -in_multi * q);
    contexts_[3][i] += o * q;
    contexts_[3][j] += o * q;
  }

  void OutsideRow(int i) {
    LoopSums<-1>(outer_, outer_bulge_, i, i + kPairDistance, sum_, sum_bulge_);
    OutsideMulti(i);
    std::fill(closing_, closing_ + stride_, 0.0);
    for (int j = i + kPairDistance; j < n_; ++j) {
      const int t = loops_.Type(i, j);
      if (t != kNoPair) OutsidePair(i, j, t);
    }
  }

  const FoldFactors& f_;
  int n_, stride_;
  FoldLoops loops_;
  double *q_, *hairpin_, *loop_, *stem_;      // of all loops, of hairpins, of interior loops; q times the stem
  double *inner_, *inner_bulge_;              // q times the inner pair's part of an interior loop or bulge
  double *one_, *one_by_end_, *many_, *two_;  // one_by_end [j][i]
  double *o_, *outer_, *outer_bulge_;         // o; times the outer pair's part
  double* d_two_;
  double *tail_, *closing_, *d_tail_, *d_many_, *d_one_, *sum_, *sum_bulge_;  // of one row
  double *five_, *three_;
  double* contexts_[4];  // differences of H, I, M; P
};

template <class T>
void FoldImpl(const FoldArgs<T>& a, Parallel& parallel) {
  const int64_t words = PackedWords(a.length);
  parallel.Run((a.count + kTaskSequences - 1) / kTaskSequences, [&](int64_t task, int thread) {
    auto* scratch = static_cast<double*>(parallel.Scratch(thread, Folder::ScratchBytes(a.length)));
    uint8_t bases[kMaxFoldLength + 2];
    for (int64_t n = task * kTaskSequences; n < std::min((task + 1) * kTaskSequences, a.count); ++n) {
      const int width = a.widths ? a.widths[n] : a.length, first = (a.length - width) / 2;
      bases[0] = bases[width + 1] = kBeyondEnd;
      for (int p = 0; p < width; ++p) bases[p + 1] = FoldBase(BaseAt(a.bases + n * words, a.length, first + p));
      Folder folder(*a.factors, width, scratch);
      const double log_partition = folder.Run(bases + 1);
      if (a.log_partition) a.log_partition[n] = log_partition;
      T* const tracks = a.tracks + n * a.length * kFoldTracks;
      std::fill(tracks, tracks + int64_t{a.length} * kFoldTracks, T(0));
      folder.Store(tracks + int64_t{first} * kFoldTracks);
    }
  });
}

RB_CPU_TARGET(Fold, FoldArgs)

}  // namespace rb::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace rb::cpu {
RB_CPU_OPERATOR(Fold, FoldArgs)
}  // namespace rb::cpu
#endif  // HWY_ONCE
