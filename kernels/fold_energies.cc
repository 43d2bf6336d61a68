// Boltzmann factors of a parameter set (kernels/fold_energies.h).
#include "kernels/fold_energies.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace rb {
namespace {

double Factor(double energy) { return std::exp(-10 * energy / kFoldKt); }

// Whole arrays of energies at once.
void Factors(const int32_t* energies, int64_t count, double* factors) {
  for (int64_t i = 0; i < count; ++i) factors[i] = Factor(energies[i]);
}

double TerminalEnergy(const FoldEnergies& e, int type) { return type > 1 ? e.terminal_au : 0; }

void HairpinFactors(const FoldEnergies& e, FoldFactors* f) {
  std::fill(f->hairpin, f->hairpin + kMinHairpin, 0.0);
  for (int u = kMinHairpin; u <= kMaxFoldLength; ++u) {
    const double beyond = u > kMaxLoop ? e.long_loop * std::log(u / double{kMaxLoop}) : 0;
    f->hairpin[u] = Factor(e.hairpin[std::min(u, kMaxLoop)] + beyond);
  }
  Factors(&e.mismatch_hairpin[0][0][0], sizeof e.mismatch_hairpin / sizeof(int32_t), &f->mismatch_hairpin[0][0][0]);
  std::fill(f->tetraloop, f->tetraloop + kTetraloops, 1.0);
  for (int i = 0; i < e.num_tetraloops; ++i) {
    uint8_t bases[6];
    for (int b = 0; b < 6; ++b) bases[b] = FoldBase(e.tetraloops[i].codes[b]);
    f->tetraloop[TetraloopIndex(bases)] = Factor(e.tetraloops[i].bonus);
  }
}

// Loops without a table of their own: by their two lengths; mismatches are the pairs'.
void InteriorFactors(const FoldEnergies& e, FoldFactors* f) {
  for (int u1 = 0; u1 <= kMaxLoop; ++u1) {
    for (int u2 = 0; u2 <= kMaxLoop; ++u2) {
      const bool other = u1 == 0 || u2 == 0 || (u1 <= 2 && u2 <= 2) || u1 + u2 > kMaxLoop;
      const int asymmetry = std::min(e.max_asymmetry, e.asymmetry * std::abs(u1 - u2));
      f->interior[u1][u2] = other ? 0 : Factor(double{1} * e.interior[u1 + u2] + asymmetry);
    }
  }
  for (int u = 0; u <= kMaxLoop; ++u) f->bulge[u] = u < 2 ? 0 : Factor(e.bulge[u]);
  for (int t = 0; t < kPairTypes; ++t) {
    f->terminal[t] = Factor(TerminalEnergy(e, t));
    for (int t2 = 0; t2 < kPairTypes; ++t2) {
      f->stack[t][t2] = Factor(e.stack[t][t2]);
      f->bulge1[t][t2] = Factor(double{1} * e.bulge[1] + e.stack[t][t2]);
    }
    for (int a = 0; a <= kBeyondEnd; ++a) {
      for (int b = 0; b <= kBeyondEnd; ++b) {
        const bool inside = a < kBeyondEnd && b < kBeyondEnd;
        f->mismatch_interior[t][a][b] = inside ? Factor(e.mismatch_interior[t][a][b]) : 0;
      }
    }
  }
  Factors(&e.int11[0][0][0][0], sizeof e.int11 / sizeof(int32_t), &f->int11[0][0][0][0]);
  Factors(&e.int21[0][0][0][0][0], sizeof e.int21 / sizeof(int32_t), &f->int21[0][0][0][0][0]);
  Factors(&e.int22[0][0][0][0][0][0], sizeof e.int22 / sizeof(int32_t), &f->int22[0][0][0][0][0][0]);
}

void StemFactors(const FoldEnergies& e, FoldFactors* f) {
  for (int t = 0; t < kPairTypes; ++t) {
    for (int a = 0; a <= kBeyondEnd; ++a) {
      for (int b = 0; b <= kBeyondEnd; ++b) {
        const double before = a < kBeyondEnd ? SmoothedDangle(e.dangle5[t][a]) : 0;
        const double behind = b < kBeyondEnd ? SmoothedDangle(e.dangle3[t][b]) : 0;
        f->stem[t][a][b] = Factor(TerminalEnergy(e, t) - before - behind);
      }
    }
  }
  f->multi_base = Factor(e.multi_base);
  f->multi_stem = Factor(e.multi_stem);
  f->multi_closing = Factor(double{1} * e.multi_closing + e.multi_stem);
}

}  // namespace

double SmoothedDangle(double energy) {
  const double x = -energy, y = x / 10;
  if (y < -1.2283697) return 0;
  if (y > 0.8660254) return x;
  const double wave = std::sin(y - 0.34242663) + 1;
  return 3.8490018 * wave * wave;
}

FoldFactors MakeFoldFactors(const FoldEnergies& energies) {
  FoldFactors factors;
  for (int a = 0; a <= kBeyondEnd; ++a) {
    for (int b = 0; b <= kBeyondEnd; ++b) factors.pair_type[a][b] = static_cast<uint8_t>(PairType(a, b));
  }
  HairpinFactors(energies, &factors);
  InteriorFactors(energies, &factors);
  StemFactors(energies, &factors);
  return factors;
}

const FoldFactors& Turner1999Factors() {
  static const FoldFactors& factors = *new FoldFactors(MakeFoldFactors(Turner1999()));
  return factors;
}

}  // namespace rb
