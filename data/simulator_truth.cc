// Draws planted truths and scores probes under them.
#include "data/simulator_truth.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>

#include "absl/strings/str_format.h"
#include "data/alphabet.h"
#include "kernels/philox.h"

namespace rb {
namespace {

constexpr double kStrongSite = 0.25;  // match at which a site takes part in steric hindrance
constexpr int kTail = 10;             // 3' positions of the GC effect
constexpr uint64_t kTruthKey = 1;     // id of the key that draws the motifs

bool Eligible(const std::string& kmer) {
  if (std::set<char>(kmer.begin(), kmer.end()).size() < 3) return false;
  for (int i = 0; i + 2 < kMotif; ++i) {
    if (kmer[i] == kmer[i + 1] && kmer[i] == kmer[i + 2]) return false;
  }
  for (int shift = 1; shift <= 3; ++shift) {
    if (kmer.compare(shift, kMotif - shift, kmer, 0, kMotif - shift) == 0) return false;
  }
  return true;
}

// Probabilities with the consensus letter on top; the other three share the rest unevenly.
std::vector<double> DrawPwmRow(uint8_t consensus, PhiloxStream* random) {
  const double top = 0.82 + 0.12 * random->Uniform();
  std::array<double, 3> rest;
  for (double& r : rest) r = 0.2 + random->Uniform();
  const double total = rest[0] + rest[1] + rest[2];
  std::vector<double> row(4);
  for (int base = 0, k = 0; base < 4; ++base) row[base] = base == consensus ? top : (1 - top) * rest[k++] / total;
  return row;
}

}  // namespace

std::vector<PlantedTruth> DrawTruth(const SimulatorOptions& options) {
  std::vector<PlantedTruth> truth;
  std::set<std::string> taken;
  PhiloxStream letters(DeriveKey(options.seed, Purpose::kSimulate, kTruthKey));
  while (static_cast<int>(truth.size()) < options.experiments) {
    std::string kmer;
    for (int j = 0; j < kMotif; ++j) kmer += kBaseLetters[letters.Below(4)];
    if (!Eligible(kmer) || !taken.insert(kmer).second) continue;
    PlantedTruth one;
    one.experiment = absl::StrFormat("SIM%05d", truth.size() + 1);
    one.kmer = kmer;
    PhiloxStream random(DeriveKey(options.seed, Purpose::kSimulate, kTruthKey), truth.size() + 1);
    for (const char letter : kmer) one.pwm.push_back(DrawPwmRow(BaseCode(letter), &random));
    one.site_effect = 1.0 + 0.4 * random.Uniform();
    one.best_spacing = 8 + static_cast<int>(random.Below(5));
    one.steric_penalty = 0.4 + 0.3 * random.Uniform();
    one.loop_preference = 0.3 + 0.4 * random.Uniform();
    one.gc_effect = 0.03 + 0.05 * random.Uniform();
    truth.push_back(std::move(one));
  }
  return truth;
}

bool InHairpinLoop(std::span<const uint8_t> probe, int start) {
  const int width = static_cast<int>(probe.size());
  for (int left = start; left >= std::max(kMinStem, start + kMotif - kMaxLoop); --left) {  // loop is [left, right)
    for (int right = start + kMotif; right <= std::min(width - kMinStem, left + kMaxLoop); ++right) {
      int pairs = 0;
      while (pairs < kMinStem && probe[left - 1 - pairs] + probe[right + pairs] == 3) ++pairs;
      if (pairs == kMinStem) return true;
    }
  }
  return false;
}

double PlantedSignal(const PlantedTruth& truth, std::span<const uint8_t> probe) {
  const int windows = static_cast<int>(probe.size()) - kMotif + 1;
  std::array<std::array<double, 4>, kMotif> ratio;  // pwm relative to its best letter
  for (int j = 0; j < kMotif; ++j) {
    const double best = *std::max_element(truth.pwm[j].begin(), truth.pwm[j].end());
    for (int base = 0; base < 4; ++base) ratio[j][base] = truth.pwm[j][base] / best;
  }
  std::vector<double> match(static_cast<size_t>(std::max(windows, 0)), 1.0);
  for (int w = 0; w < windows; ++w) {
    for (int j = 0; j < kMotif; ++j) match[w] *= ratio[j][probe[w + j]];
  }
  double signal = 0;
  for (int w = 0; w < windows; ++w) {
    double effect = truth.site_effect * match[w];
    if (match[w] >= kStrongSite) {
      if (InHairpinLoop(probe, w)) effect *= 1 + truth.loop_preference;
      for (int v = std::max(0, w - truth.best_spacing + 1); v < std::min(windows, w + truth.best_spacing); ++v) {
        // The weaker loses, of equals the later.
        if (v != w && match[v] >= kStrongSite && (match[v] > match[w] || (match[v] == match[w] && v < w))) {
          effect *= 1 - truth.steric_penalty;
          break;
        }
      }
    }
    signal += effect;
  }
  int gc = 0;
  const int tail = std::min(kTail, static_cast<int>(probe.size()));
  for (int p = static_cast<int>(probe.size()) - tail; p < static_cast<int>(probe.size()); ++p) {
    gc += probe[p] == 1 || probe[p] == 2;
  }
  return signal + truth.gc_effect * (gc - kTail / 2);
}

}  // namespace rb
