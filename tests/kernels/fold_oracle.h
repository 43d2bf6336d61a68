// Folding by its definition: every structure of a short sequence, one after the other, with an energy function that
// walks over the loops of a structure.
#ifndef RB_TESTS_KERNELS_FOLD_ORACLE_H_
#define RB_TESTS_KERNELS_FOLD_ORACLE_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/fold_energies.h"

namespace rb::test {

struct FoldedByDefinition {
  double partition = 0;
  int64_t structures = 0;
  std::vector<std::array<double, 5>> tracks;  // P, H, I, M, E
};

class FoldOracle {
 public:
  FoldOracle(const FoldEnergies& energies, std::string_view letters)
      : e_(energies), letters_(letters), n_(static_cast<int>(letters.size())), partner_(letters.size(), -1) {}

  FoldedByDefinition Run() {
    result_.tracks.resize(n_);
    std::vector<std::pair<int, int>> segments = {{0, n_ - 1}};
    Enumerate(&segments);
    for (auto& base : result_.tracks) {
      for (double& track : base) track /= result_.partition;
    }
    return result_;
  }

 private:
  int Base(int i) const { return static_cast<int>(std::string_view("NACGU").find(letters_[i])); }
  int Type(int i, int j) const {
    const std::string pair = {letters_[i], letters_[j]};
    const std::array<std::string, 6> pairs = {"CG", "GC", "GU", "UG", "AU", "UA"};
    return static_cast<int>(std::find(pairs.begin(), pairs.end(), pair) - pairs.begin());
  }
  double Terminal(int type) const { return type > 1 ? e_.terminal_au : 0; }

  // Visits every way to pair bases inside the segments, which wait to be decided.
  void Enumerate(std::vector<std::pair<int, int>>* segments) {
    if (segments->empty()) return Visit();
    const auto segment = segments->back();
    const auto [first, last] = segment;
    segments->pop_back();
    if (last - first < 4) {
      Enumerate(segments);
    } else {
      segments->emplace_back(first + 1, last);
      Enumerate(segments);
      segments->pop_back();
      for (int j = first + 4; j <= last; ++j) {
        if (Type(first, j) == 6) continue;
        partner_[first] = j, partner_[j] = first;
        segments->emplace_back(j + 1, last);
        segments->emplace_back(first + 1, j - 1);
        Enumerate(segments);
        segments->pop_back();
        segments->pop_back();
        partner_[first] = partner_[j] = -1;
      }
    }
    segments->push_back(segment);
  }

  void Visit() {
    context_.assign(n_, 0);
    const double energy = Outside();
    if (energy == std::numeric_limits<double>::infinity()) return;
    const double weight = std::exp(-10 * energy / kFoldKt);
    result_.partition += weight;
    ++result_.structures;
    for (int i = 0; i < n_; ++i) result_.tracks[i][context_[i]] += weight;
  }

  // Energy of all; sets the contexts of unpaired bases.
  double Outside() {
    double energy = 0;
    for (int p = 0; p < n_; ++p) {
      if (partner_[p] < 0) {
        context_[p] = 4;
      } else {
        energy += Stem(p, partner_[p]) + Loop(p, partner_[p]);
        p = partner_[p];
      }
    }
    return energy;
  }

  double Smooth(double dangle) const {
    const double x = -dangle, y = x / 10;
    if (y < -1.2283697) return 0;
    return -(y > 0.8660254 ? x : 3.8490018 * std::pow(std::sin(y - 0.34242663) + 1, 2));
  }
  double Stem(int i, int j) const {
    const int type = Type(i, j);
    double energy = Terminal(type);
    if (i > 0) energy += Smooth(e_.dangle5[type][Base(i - 1)]);
    if (j + 1 < n_) energy += Smooth(e_.dangle3[type][Base(j + 1)]);
    return energy;
  }

  // The loop that (i, j) closes, and all inside it.
  double Loop(int i, int j) {
    std::vector<std::pair<int, int>> inner;
    std::vector<int> unpaired;
    for (int p = i + 1; p < j; ++p) {
      if (partner_[p] < 0) {
        unpaired.push_back(p);
      } else {
        inner.emplace_back(p, partner_[p]);
        p = partner_[p];
      }
    }
    for (const int p : unpaired) context_[p] = inner.empty() ? 1 : inner.size() == 1 ? 2 : 3;
    double energy = inner.empty()       ? Hairpin(i, j)
                    : inner.size() == 1 ? Interior(i, j, inner[0].first, inner[0].second)
                                        : Multi(i, j, inner, static_cast<int>(unpaired.size()));
    for (const auto& [k, l] : inner) energy += Loop(k, l);
    return energy;
  }

  double Hairpin(int i, int j) const {
    const int u = j - i - 1, type = Type(i, j);
    double energy = u > 30 ? e_.hairpin[30] + e_.long_loop * std::log(u / 30.0) : e_.hairpin[u];
    energy += u == 3 ? Terminal(type) : e_.mismatch_hairpin[type][Base(i + 1)][Base(j - 1)];
    for (int t = 0; u == 4 && t < e_.num_tetraloops; ++t) {
      std::string word;
      for (const uint8_t code : e_.tetraloops[t].codes) word += "ACGU"[code];
      if (letters_.substr(i, 6) == word) energy += e_.tetraloops[t].bonus;
    }
    return energy;
  }

  double Interior(int i, int j, int k, int l) const {
    const int u1 = k - i - 1, u2 = j - l - 1, t = Type(i, j), t2 = Type(l, k);
    const int a = Base(i + 1), b = Base(j - 1), c = Base(k - 1), d = Base(l + 1);
    if (u1 + u2 > 30) return std::numeric_limits<double>::infinity();
    if (u1 + u2 == 0) return e_.stack[t][t2];
    if (u1 + u2 == 1) return e_.bulge[1] + e_.stack[t][t2];
    if (u1 == 0 || u2 == 0) return e_.bulge[u1 + u2] + Terminal(t) + Terminal(t2);
    if (u1 == 1 && u2 == 1) return e_.int11[t][t2][a][b];
    if (u1 == 1 && u2 == 2) return e_.int21[t][t2][a][d][b];
    if (u1 == 2 && u2 == 1) return e_.int21[t2][t][d][a][c];
    if (u1 == 2 && u2 == 2) return e_.int22[t][t2][a][c][d][b];
    return e_.interior[u1 + u2] + e_.mismatch_interior[t][a][b] + e_.mismatch_interior[t2][d][c] +
           std::min(e_.max_asymmetry, e_.asymmetry * std::abs(u1 - u2));
  }

  double Multi(int i, int j, const std::vector<std::pair<int, int>>& inner, int unpaired) const {
    const int type = Type(j, i);
    double energy = e_.multi_closing + e_.multi_stem + Terminal(type) + Smooth(e_.dangle5[type][Base(j - 1)]) +
                    Smooth(e_.dangle3[type][Base(i + 1)]) + unpaired * e_.multi_base;
    for (const auto& [k, l] : inner) energy += e_.multi_stem + Stem(k, l);
    return energy;
  }

  const FoldEnergies& e_;
  std::string_view letters_;
  int n_;
  std::vector<int> partner_, context_;
  FoldedByDefinition result_;
};

}  // namespace rb::test

#endif  // RB_TESTS_KERNELS_FOLD_ORACLE_H_
