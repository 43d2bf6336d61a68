// Nearest-neighbour energies of RNA secondary structures, and their Boltzmann factors as kernels/fold.h takes them.
//
// Pair types: 0 C-G, 1 G-C, 2 G-U, 3 U-G, 4 A-U, 5 U-A; type ^ 1 is the pair read from its other side. Base indices:
// 0 unknown, 1 A, 2 C, 3 G, 4 U; factors know 5 as well, the place beyond an end of the sequence.
#ifndef RB_KERNELS_FOLD_ENERGIES_H_
#define RB_KERNELS_FOLD_ENERGIES_H_

#include <cstdint>

#include "kernels/packed_bases.h"

namespace rb {

inline constexpr int kPairTypes = 6;
inline constexpr int kNoPair = kPairTypes;
inline constexpr int kFoldBases = 5;           // unknown, A, C, G, U
inline constexpr int kBeyondEnd = kFoldBases;  // one more base index, of factors only
inline constexpr int kMaxLoop = 30;            // unpaired bases of an interior loop; tabulated hairpin lengths
inline constexpr int kMinHairpin = 3;          // unpaired bases of a hairpin
inline constexpr int kMaxFoldLength = 200;     // bases that fold without scaling in double
inline constexpr int kMaxTetraloops = 64;      // entries of FoldEnergies::tetraloops
inline constexpr int kTetraloops = 1 << 12;    // six-letter words
inline constexpr int32_t kForbiddenEnergy = 1000000;
inline constexpr double kFoldKt = 1.98717 * 310.15;  // kT at 37 C, cal/mol: 616.3208

// Base index of a code 0..3 or kUnknownBase.
RB_HOST_DEVICE constexpr uint8_t FoldBase(uint8_t code) { return code < kUnknownBase ? code + 1 : 0; }

// Pair type of base indices 5' a and 3' b; kNoPair when they do not pair.
RB_HOST_DEVICE constexpr int PairType(int a, int b) {
  switch (8 * a + b) {
    case 8 * 2 + 3:
      return 0;
    case 8 * 3 + 2:
      return 1;
    case 8 * 3 + 4:
      return 2;
    case 8 * 4 + 3:
      return 3;
    case 8 * 1 + 4:
      return 4;
    case 8 * 4 + 1:
      return 5;
    default:
      return kNoPair;
  }
}

// A parameter set, in 0.01 kcal/mol at 37 C. Loops are read from their outer pair (type t) inwards; t2 is the inner
// pair's type read from inside the loop. i, j the outer pair, k, l the inner one.
struct FoldEnergies {
  int32_t stack[kPairTypes][kPairTypes];  // [t][t2]
  int32_t hairpin[kMaxLoop + 1];          // by unpaired bases, as the next two
  int32_t bulge[kMaxLoop + 1];
  int32_t interior[kMaxLoop + 1];
  int32_t mismatch_interior[kPairTypes][kFoldBases][kFoldBases];                          // [t][i+1][j-1]
  int32_t mismatch_hairpin[kPairTypes][kFoldBases][kFoldBases];                           // [t][i+1][j-1]
  int32_t dangle5[kPairTypes][kFoldBases];                                                // [t][i-1]
  int32_t dangle3[kPairTypes][kFoldBases];                                                // [t][j+1]
  int32_t int11[kPairTypes][kPairTypes][kFoldBases][kFoldBases];                          // [t][t2][i+1][j-1]
  int32_t int21[kPairTypes][kPairTypes][kFoldBases][kFoldBases][kFoldBases];              // [t][t2][i+1][l+1][j-1]
  int32_t int22[kPairTypes][kPairTypes][kFoldBases][kFoldBases][kFoldBases][kFoldBases];  // ..[i+1][k-1][l+1][j-1]
  int32_t multi_base, multi_closing, multi_stem;  // of a multiloop: each unpaired base, the loop, each stem
  int32_t terminal_au;                            // each end that is not C-G or G-C
  int32_t asymmetry, max_asymmetry;               // of an interior loop: each base of difference, at most
  double long_loop;                               // factor of ln(length / 30) for longer hairpins
  int32_t num_tetraloops;
  struct Tetraloop {
    uint8_t codes[6];  // 0..3, the closing pair included
    int32_t bonus;
  } tetraloops[kMaxTetraloops];
};

// exp(-energy / kT) of all that a loop's weight is made of. Plain data: a device takes it as it is.
struct FoldFactors {
  uint8_t pair_type[kFoldBases + 1][kFoldBases + 1];  // PairType
  double stack[kPairTypes][kPairTypes];
  double bulge1[kPairTypes][kPairTypes];        // one unpaired base; stacked
  double bulge[kMaxLoop + 1];                   // of two and more; 0 below
  double interior[kMaxLoop + 1][kMaxLoop + 1];  // [u1][u2]; 0 where a loop has a table of its own, or is too long
  double mismatch_interior[kPairTypes][kFoldBases + 1][kFoldBases + 1];  // 0 beyond an end
  double terminal[kPairTypes];
  double hairpin[kMaxFoldLength + 1];
  double mismatch_hairpin[kPairTypes][kFoldBases][kFoldBases];
  double tetraloop[kTetraloops];  // by TetraloopIndex; 1 where there is no bonus
  double int11[kPairTypes][kPairTypes][kFoldBases][kFoldBases];
  double int21[kPairTypes][kPairTypes][kFoldBases][kFoldBases][kFoldBases];
  double int22[kPairTypes][kPairTypes][kFoldBases][kFoldBases][kFoldBases][kFoldBases];
  double stem[kPairTypes][kFoldBases + 1][kFoldBases + 1];  // [t][i-1][j+1]: both dangles, smoothed, and the pair's end
  double multi_base, multi_stem;
  double multi_closing;  // the loop and its closing stem
};

// Index of six bases 1..4 from `at` on; -1 when one is unknown.
RB_HOST_DEVICE inline int TetraloopIndex(const uint8_t* at) {
  int index = 0;
  for (int i = 0; i < 6; ++i) {
    if (at[i] == 0) return -1;
    index = 4 * index + at[i] - 1;
  }
  return index;
}

// The Turner 1999 parameters.
FoldEnergies Turner1999();

// Dangles are smoothed one by one: with x = -energy and y = x / 10, 0 for y < -1.2283697, x for y > 0.8660254, else
// 3.8490018 (sin(y - 0.34242663) + 1)^2.
double SmoothedDangle(double energy);

FoldFactors MakeFoldFactors(const FoldEnergies& energies);
// Of Turner1999(), made once.
const FoldFactors& Turner1999Factors();

}  // namespace rb

#endif  // RB_KERNELS_FOLD_ENERGIES_H_
