// RNA secondary structure: the partition function of a sequence over all its structures, and the context of each base.
//
// Z = sum over structures of exp(-energy / kT), energies by nearest neighbours (kernels/fold_energies.h), computed by
// McCaskill's recursions [McCaskill 1990, Biopolymers 29:1105] over the whole sequence. Pairs: A-U, C-G, G-U; at least
// 3 bases in a hairpin, at most 30 unpaired ones in an interior loop; lonely pairs count; pseudoknots do not exist.
//
// An unpaired base belongs to the loop of its innermost enclosing pair: none E (external); a pair that closes no other
// H (hairpin); one other I (internal; bulges too); several M (multiloop). P is paired. The five probabilities add up
// to 1.
//
// Energies: a hairpin of u: hairpin[u]; u = 3: terminal; else mismatch_hairpin; u = 4: + tetraloop. Two pairs in a row:
// stack. A bulge of one: bulge[1] + stack; longer: bulge[u] + terminal of both pairs. Interior loops 1x1, 1x2, 2x1,
// 2x2: int11, int21, int22; others: interior[u1 + u2] + mismatch_interior of both pairs + min(max_asymmetry, asymmetry
// |u1 - u2|). A stem, external or in a multiloop: terminal + dangle5 + dangle3, each where there is a neighbour, paired
// or not; in a multiloop + multi_stem. The pair that closes a multiloop is such a stem seen from inside, +
// multi_closing.
//
// An unknown base pairs with nothing; in mismatches and small loops it has the table's energy for any base, as a dangle
// none. Positions outside a sequence are no part of it.
#ifndef RB_KERNELS_FOLD_H_
#define RB_KERNELS_FOLD_H_

#include <cstddef>
#include <cstdint>

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/fold_energies.h"
#include "kernels/packed_bases.h"
#include "kernels/parallel.h"

namespace rb {

inline constexpr int kFoldTracks = 5;  // P, H, I, M, E: paired, hairpin, internal, multi, external

// All in double; T is what the tracks are stored in. Sequences longer than kMaxFoldLength are not allowed.
template <class T>
struct FoldArgs {
  const FoldFactors* factors = nullptr;
  const uint32_t* bases = nullptr;   // [N][PackedWords(L)]
  const uint16_t* widths = nullptr;  // [N], bases of a sequence; they start at position (L - width) / 2. Null: all L
  int64_t count = 0;                 // N
  int length = 0;                    // L
  T* tracks = nullptr;               // [N][L][kFoldTracks], overwritten; 0 outside the sequence
  double* log_partition = nullptr;   // [N] ln Z, overwritten; may be null
  // Of a device, where the triangles do not fit shared memory (89 positions and more of 227 KB): FoldWorkspaceBytes.
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
};

// Interior loops of n bases that are summed in each of the two passes, were all pairs possible: those of up to kMaxLoop
// unpaired bases but stacks and bulges of one. A multiply-add each.
constexpr int64_t FoldLoopTerms(int n) {
  int64_t terms = 0;
  for (int distance = kMinHairpin + 1; distance < n; ++distance) {  // of the outer pair
    const int room = distance - 2 - (kMinHairpin + 1), unpaired = room < kMaxLoop ? room : kMaxLoop;
    if (room < 0) continue;
    terms += (n - distance) * (int64_t{unpaired + 1} * (unpaired + 2) / 2 - (room > 0 ? 3 : 1));
  }
  return terms;
}

// What a device keeps of a sequence: triangles of n (n + 1) / 2 values, (i, j) with i <= j.
inline constexpr int kFoldTriangles = 7;
RB_HOST_DEVICE constexpr int64_t FoldTriangleBytes(int n) { return int64_t{8} * kFoldTriangles * n * (n + 1) / 2; }

inline constexpr int kFoldBlocks = 2112;  // 16 for each of an H200's multiprocessors
// With which up to `blocks` warps work at a time; results do not depend on it.
constexpr size_t FoldWorkspaceBytes(int length, int blocks) {
  return static_cast<size_t>(FoldTriangleBytes(length)) * static_cast<size_t>(blocks);
}

namespace cpu {
// The same bits for any number of threads and any sequences beside it.
template <class T>
void Fold(const FoldArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_OPERATOR(Fold, FoldArgs)

}  // namespace rb

#endif  // RB_KERNELS_FOLD_H_
