// Host twins of the dialect's tensor-core, asynchronous-copy, cluster and counter functions. Fragment layouts are those
// of the PTX manual (mma.m16n8k16 with bf16, mma.m16n8k8 with tf32, ldmatrix), written once as functions of lane and
// register.
#ifndef RB_KERNELS_EMULATED_INTRINSICS_H_
#define RB_KERNELS_EMULATED_INTRINSICS_H_

#include <atomic>
#include <cstdint>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/emulated/observer.h"
#include "kernels/emulated/scheduler.h"

namespace rb::emu {

inline uint32_t PackBf16(float low, float high) {
  return FloatToBf16(low) | static_cast<uint32_t>(FloatToBf16(high)) << 16;
}

inline uint32_t ToTf32(float x) {
  const uint32_t bits = BitsOf(x);
  if ((bits & 0x7F800000u) == 0x7F800000u) return (bits & 0x7FFFFFu) ? 0x7FFFFFFFu : bits;  // NaN, infinity
  return (bits + 0x1000u) & ~0x1FFFu;
}

// --- Matrix products -------------------------------------------------------------------------------------------------
// Lane = 4 * group + member.

template <int kDepth>
struct MmaOperands {
  uint32_t a[4], b[2];
  float c[4];
};

// One product of a 16 x kDepth and a kDepth x 8 matrix, given how a lane's registers fill them. Each sum is made in
// fp32 in order of depth behind the accumulator: one of the orders a device may take.
template <int kDepth, class Unpack>
const char* MmaCombine(const Lanes& lanes, const Unpack& unpack) {
  ++lanes.counters->mma;
  float a[16][kDepth], b[kDepth][8], d[16][8];
  const auto accumulator = [&](int lane, int r) -> float& { return d[lane / 4 + r / 2 * 8][lane % 4 * 2 + r % 2]; };
  for (int lane = 0; lane < 32; ++lane) {
    const auto& in = *static_cast<const MmaOperands<kDepth>*>(lanes.in[lane]);
    unpack(in, lane / 4, lane % 4, a, b);
    for (int r = 0; r < 4; ++r) accumulator(lane, r) = in.c[r];
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int r = 0; r < 4; ++r) static_cast<float*>(lanes.out[lane])[r] = accumulator(lane, r);
  }
  return nullptr;
}

template <int kDepth>
void Mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Combine combine, const char* what,
         const Where& where) {
  MmaOperands<kDepth> in;
  for (int i = 0; i < 4; ++i) in.a[i] = a[i], in.c[i] = d[i];
  for (int i = 0; i < 2; ++i) in.b[i] = b[i];
  WarpOperation(0xFFFFFFFFu, &in, d, combine, false, what, where);
}

inline void Mma16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Where where = Where::current()) {
  const auto combine = [](const Lanes& lanes) {
    return MmaCombine<16>(lanes,
                          [](const MmaOperands<16>& in, int group, int member, float(&a)[16][16], float(&b)[16][8]) {
                            for (int r = 0; r < 4; ++r) {
                              float* const pair = &a[group + r % 2 * 8][member * 2 + r / 2 * 8];
                              pair[0] = Bf16ToFloat(static_cast<uint16_t>(in.a[r]));
                              pair[1] = Bf16ToFloat(static_cast<uint16_t>(in.a[r] >> 16));
                            }
                            for (int r = 0; r < 2; ++r) {
                              const int k = member * 2 + r * 8;
                              b[k][group] = Bf16ToFloat(static_cast<uint16_t>(in.b[r]));
                              b[k + 1][group] = Bf16ToFloat(static_cast<uint16_t>(in.b[r] >> 16));
                            }
                          });
  };
  Mma<16>(d, a, b, combine, "Mma16816", where);
}

// The lowest 13 bits of an operand are not looked at.
inline void Mma1688(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Where where = Where::current()) {
  const auto combine = [](const Lanes& lanes) {
    return MmaCombine<8>(lanes, [](const MmaOperands<8>& in, int group, int member, float(&a)[16][8], float(&b)[8][8]) {
      for (int r = 0; r < 4; ++r) a[group + r % 2 * 8][member + r / 2 * 4] = FloatOf(in.a[r] & ~0x1FFFu);
      for (int r = 0; r < 2; ++r) b[member + r * 4][group] = FloatOf(in.b[r] & ~0x1FFFu);
    });
  };
  Mma<8>(d, a, b, combine, "Mma1688", where);
}

// --- ldmatrix --------------------------------------------------------------------------------------------------------

struct MatrixRow {
  uint16_t value[8];
  const void* from;
  uintptr_t place;
};

// Each lane reads its row, as far as the sanitizers see; then rows are dealt out.
template <int kMatrices, bool kTransposed>
RB_UNCOUNTED void LdMatrix(uint32_t (&r)[kMatrices], const void* row, const char* what, const Where& where) {
  const unsigned lane = Self()->lane;
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) Fail(where, "%s: lane %u's row is not 16-byte aligned", what, lane);
  if (!InShared(row, 16)) Fail(where, "%s: lane %u's row is not in shared memory", what, lane);
  MatrixRow mine{{}, row, RB_CALLER};
  if (lane < 8 * kMatrices) {
    const uint16_t* const from = static_cast<const uint16_t*>(row);
    for (int i = 0; i < 8; ++i) mine.value[i] = from[i];
  }
  const auto combine = [](const Lanes& lanes) -> const char* {
    const auto at = [&](int matrix, int row, int column) -> uint32_t {
      return static_cast<const MatrixRow*>(lanes.in[8 * matrix + row])->value[column];
    };
    if (observer) {
      const void* rows[8 * kMatrices];
      for (int i = 0; i < 8 * kMatrices; ++i) rows[i] = static_cast<const MatrixRow*>(lanes.in[i])->from;
      observer->MatrixRows(rows, kMatrices, static_cast<const MatrixRow*>(lanes.in[0])->place);
    }
    for (int lane = 0; lane < 32; ++lane) {
      uint32_t* const out = static_cast<uint32_t*>(lanes.out[lane]);
      const int group = lane / 4, pair = lane % 4 * 2;
      for (int m = 0; m < kMatrices; ++m) {
        out[m] = kTransposed ? at(m, pair, group) | at(m, pair + 1, group) << 16
                             : at(m, group, pair) | at(m, group, pair + 1) << 16;
      }
    }
    return nullptr;
  };
  WarpOperation(0xFFFFFFFFu, &mine, r, combine, false, what, where);
}

inline void LdMatrix4(uint32_t (&r)[4], const void* row, Where where = Where::current()) {
  LdMatrix<4, false>(r, row, "LdMatrix4", where);
}
inline void LdMatrix4Trans(uint32_t (&r)[4], const void* row, Where where = Where::current()) {
  LdMatrix<4, true>(r, row, "LdMatrix4Trans", where);
}
inline void LdMatrix2(uint32_t (&r)[2], const void* row, Where where = Where::current()) {
  LdMatrix<2, false>(r, row, "LdMatrix2", where);
}
inline void LdMatrix2Trans(uint32_t (&r)[2], const void* row, Where where = Where::current()) {
  LdMatrix<2, true>(r, row, "LdMatrix2Trans", where);
}

// --- Asynchronous copies ---------------------------------------------------------------------------------------------
// Carried out at the wait; until then the destination is poisoned, as if the copy took its time.

struct alignas(16) CopyUnit {
  uint64_t half[2];
};

RB_UNCOUNTED inline void Copy(const PendingCopy& copy) {
  *static_cast<CopyUnit*>(copy.to) = copy.from ? *static_cast<const CopyUnit*>(copy.from) : CopyUnit{};
}

RB_UNCOUNTED inline void CpAsync16Zero(void* to, const void* from, bool valid, Where where = Where::current()) {
  ThreadContext& self = *Self();
  if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0) {
    Fail(where, "CpAsync16: %s is not 16-byte aligned", reinterpret_cast<uintptr_t>(to) % 16 ? "to" : "from");
  }
  if (!InShared(to, 16)) Fail(where, "CpAsync16: to is not in this block's shared memory");
  if (valid && InShared(from, 16)) Fail(where, "CpAsync16: from is in shared memory");
  CountCopy();
  if (observer) observer->Copies(to, valid ? from : nullptr, RB_CALLER);
  const PendingCopy copy{to, valid ? from : nullptr, self.copy_groups};
  if (!self.defer_copies) return Copy(copy);
  *static_cast<CopyUnit*>(to) = {{~uint64_t{0}, ~uint64_t{0}}};
  self.copies.push_back(copy);
}
inline void CpAsync16(void* to, const void* from, Where where = Where::current()) {
  CpAsync16Zero(to, from, true, where);
}
inline void CpAsyncCommit() { ++Self()->copy_groups; }
// All groups but the last kPending are there.
template <int kPending>
void CpAsyncWait() {
  ThreadContext& self = *Self();
  size_t kept = 0;
  for (const PendingCopy& copy : self.copies) {
    if (copy.group < self.copy_groups - kPending) {
      Copy(copy);
    } else {
      self.copies[kept++] = copy;
    }
  }
  self.copies.resize(kept);
}

// --- Clusters, counters, order of launches
// -----------------------------------------------------------------------------

inline unsigned ClusterRank() { return Self()->block->cluster_rank; }
inline void ClusterSync(Where where = Where::current()) { ClusterBarrier(where); }
template <class T>
T* ClusterMap(T* pointer, unsigned rank, Where where = Where::current()) {
  return static_cast<T*>(ClusterAddress(pointer, rank, where));
}

inline int TicketArrive(int* counter) { return std::atomic_ref<int>(*counter).fetch_add(1, std::memory_order_acq_rel); }

// A launch begins when the one before it has ended. Every thread must ask for that all the same.
inline void DependencyWait() { Self()->waited = true; }
inline void DependencyTrigger() {}

}  // namespace rb::emu

#endif  // RB_KERNELS_EMULATED_INTRINSICS_H_
