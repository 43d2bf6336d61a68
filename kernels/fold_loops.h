// Weights of single loops (kernels/fold.h), one source for all machines.
#ifndef RB_KERNELS_FOLD_LOOPS_H_
#define RB_KERNELS_FOLD_LOOPS_H_

#include "kernels/fold_energies.h"
#include "kernels/host_device.h"

namespace rb {

inline constexpr int kPairDistance = kMinHairpin + 1;  // smallest j - i

// A sequence's base indices, kBeyondEnd before and behind, and the factors of its loops.
struct FoldLoops {
  const FoldFactors& f;
  const uint8_t* s = nullptr;

  RB_HOST_DEVICE int Type(int i, int j) const { return f.pair_type[s[i]][s[j]]; }
  RB_HOST_DEVICE double Stem(int type, int i, int j) const { return f.stem[type][s[i - 1]][s[j + 1]]; }
  // Seen from inside: the stem of the pair that closes a multiloop, with the loop.
  RB_HOST_DEVICE double Closing(int type, int i, int j) const {
    return f.stem[type ^ 1][s[j - 1]][s[i + 1]] * f.multi_closing;
  }
  RB_HOST_DEVICE double OuterMismatch(int type, int i, int j) const {
    return f.mismatch_interior[type][s[i + 1]][s[j - 1]];
  }
  RB_HOST_DEVICE double InnerMismatch(int type, int k, int l) const {
    return f.mismatch_interior[type ^ 1][s[l + 1]][s[k - 1]];
  }
  RB_HOST_DEVICE double Hairpin(int type, int i, int j) const {
    const int u = j - i - 1;
    if (u == kMinHairpin) return f.hairpin[u] * f.terminal[type];
    double factor = f.hairpin[u] * f.mismatch_hairpin[type][s[i + 1]][s[j - 1]];
    if (u == 4) {
      const int word = TetraloopIndex(s + i);
      if (word >= 0) factor *= f.tetraloop[word];
    }
    return factor;
  }
  // The loop between (i, j) of type t and (k, l) of type t2, read from inside, for the lengths of ForSmallLoops.
  RB_HOST_DEVICE double Small(int u1, int u2, int i, int j, int t, int k, int l, int t2) const {
    switch (3 * u1 + u2) {
      case 0:
        return f.stack[t][t2];
      case 1:
      case 3:
        return f.bulge1[t][t2];
      case 4:
        return f.int11[t][t2][s[i + 1]][s[j - 1]];
      case 5:
        return f.int21[t][t2][s[i + 1]][s[l + 1]][s[j - 1]];
      case 7:
        return f.int21[t2][t][s[l + 1]][s[i + 1]][s[k - 1]];
      default:
        return f.int22[t][t2][s[i + 1]][s[k - 1]][s[l + 1]][s[j - 1]];
    }
  }
};

// visit(u1, u2) for the loops with tables of their own. Inlined by force: on a CPU its callers are compiled for more
// instructions than it is.
template <class F>
RB_HOST_DEVICE __attribute__((always_inline)) inline void ForSmallLoops(const F& visit) {
  visit(0, 0), visit(0, 1), visit(1, 0), visit(1, 1), visit(1, 2), visit(2, 1), visit(2, 2);
}

}  // namespace rb

#endif  // RB_KERNELS_FOLD_LOOPS_H_
