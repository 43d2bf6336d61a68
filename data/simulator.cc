// Simulates RNAcompete-like data with a planted truth.
//
// Probes (shared by all experiments) are random; about half of them carry sites: each such probe belongs to one
// experiment and gets one, two or three copies of its consensus or of a near miss of it, a third of them in the loop of
// a hairpin. The score of probe n is S = exp(kBackground + signal + noise), so that log(S - S_min + 1) is close to
// linear in
//   signal = sum over windows w of site_effect * match(w) * loop(w) * steric(w) + gc_effect * (GC of the last ten - 5)
//   match  = product over the six positions of pwm[j][base] / max(pwm[j])          (1 for the consensus)
//   loop   = 1 + loop_preference where a stem of five Watson-Crick pairs closes a loop around the site, else 1
//   steric = 1 - steric_penalty for the weaker of two strong sites whose starts are nearer than best_spacing, else 1
//   noise  = Student t, 4 degrees of freedom, scaled to sd = noise * sd(signal), cut at 8 times the scale: heavy tails,
//   but
//            not so heavy that one probe outweighs all others once its noise is exponentiated.
#include "data/simulator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <span>

#include "absl/strings/str_format.h"
#include "data/alphabet.h"
#include "data/readers.h"
#include "data/simulator_truth.h"
#include "data/text.h"
#include "kernels/philox.h"

namespace rb {
namespace {

constexpr double kBackground = 2.0;  // log score of a probe without sites: about 7.4 units
constexpr double kDesigned = 0.5;    // probes that carry sites on purpose
constexpr double kHairpin = 0.3;     // of those, with the site in the loop of a hairpin
constexpr double kNearMiss = 0.5;    // of the sites, with one letter off
constexpr double kNoiseBound = 8;    // of the t variable
constexpr uint64_t kProbeKey = 0;    // id of the key that draws probes; experiments draw under their names

using Codes = std::vector<uint8_t>;

void Place(const Codes& piece, int start, Codes* probe) {
  std::copy(piece.begin(), piece.end(), probe->begin() + start);
}

// The consensus, or one letter away from it. Ends are hit more often, so that a k-mer that only overlaps the site is
// not as good a predictor as the site.
Codes DrawSite(const PlantedTruth& truth, PhiloxStream* random) {
  Codes site;
  for (const char letter : truth.kmer) site.push_back(BaseCode(letter));
  if (random->Uniform() < kNearMiss) {
    constexpr int positions[] = {0, 0, 0, 1, 2, 3, 4, 5, 5, 5};
    const int at = positions[random->Below(10)];
    site[at] = static_cast<uint8_t>((site[at] + 1 + random->Below(3)) % 4);
  }
  return site;
}

// Sites at random places, not overlapping each other.
void PlantSites(const PlantedTruth& truth, PhiloxStream* random, Codes* probe) {
  const int width = static_cast<int>(probe->size());
  const double u = random->Uniform();
  const int wanted = u < 0.88 ? 1 : u < 0.98 ? 2 : 3;
  std::vector<int> starts;
  for (int attempt = 0; attempt < 20 && static_cast<int>(starts.size()) < wanted; ++attempt) {
    const int start = static_cast<int>(random->Below(static_cast<uint32_t>(width - kMotif + 1)));
    const bool free = std::all_of(starts.begin(), starts.end(), [&](int s) { return std::abs(s - start) >= kMotif; });
    if (!free) continue;
    Place(DrawSite(truth, random), start, probe);
    starts.push_back(start);
  }
}

// A site in the loop of a stem of 5 to 8 pairs, somewhere in the probe.
void PlantHairpin(const PlantedTruth& truth, PhiloxStream* random, Codes* probe) {
  const int width = static_cast<int>(probe->size());
  const int stem = kMinStem + static_cast<int>(random->Below(4));
  const int extra = static_cast<int>(random->Below(kMaxLoop - kMotif + 1));
  const int total = 2 * stem + kMotif + extra;
  if (total > width) return PlantSites(truth, random, probe);
  const int begin = static_cast<int>(random->Below(static_cast<uint32_t>(width - total + 1)));
  for (int k = 0; k < stem; ++k) (*probe)[begin + total - 1 - k] = static_cast<uint8_t>(3 - (*probe)[begin + k]);
  Place(DrawSite(truth, random), begin + stem + static_cast<int>(random->Below(static_cast<uint32_t>(extra + 1))),
        probe);
}

Codes DrawProbe(const SimulatorOptions& options, const std::vector<PlantedTruth>& truth, int64_t index) {
  PhiloxStream random(DeriveKey(options.seed, Purpose::kSimulate, kProbeKey), static_cast<uint64_t>(index));
  const int widths = options.length - options.min_width + 1;
  Codes probe(static_cast<size_t>(options.min_width) + random.Below(static_cast<uint32_t>(widths)));
  for (uint8_t& code : probe) code = static_cast<uint8_t>(random.Below(4));
  if (random.Uniform() >= kDesigned) return probe;
  const PlantedTruth& owner = truth[random.Below(static_cast<uint32_t>(truth.size()))];
  if (random.Uniform() < kHairpin) {
    PlantHairpin(owner, &random, &probe);
  } else {
    PlantSites(owner, &random, &probe);
  }
  return probe;
}

// Student t with four degrees of freedom and variance 2: a normal over the root of a chi-square of four degrees / 4;
// cut at kNoiseBound, which takes 5% of the variance.
double DrawStudent4(PhiloxStream* random) {
  const double u = 1 - random->Uniform(), v = random->Uniform();
  const double normal = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  const double chi_square = -2 * std::log((1 - random->Uniform()) * (1 - random->Uniform()));
  return std::clamp(normal / std::sqrt(chi_square / 4), -kNoiseBound, kNoiseBound);
}

// Noisy scores of one experiment.
void DrawScores(const SimulatorOptions& options, const PlantedTruth& truth, const std::vector<Codes>& probes,
                float* targets) {
  std::vector<double> signal;
  double sum = 0, squares = 0;
  for (const Codes& probe : probes) signal.push_back(PlantedSignal(truth, probe));
  for (const double s : signal) sum += s;
  const double mean = sum / static_cast<double>(signal.size());
  for (const double s : signal) squares += (s - mean) * (s - mean);
  const double sd = std::sqrt(squares / static_cast<double>(signal.size()));
  const double scale = options.noise * sd / std::numbers::sqrt2;  // the t variable's own sd is sqrt(2)
  const uint64_t key = DeriveKey(options.seed, Purpose::kSimulate, StableId(truth.experiment));
  for (size_t i = 0; i < probes.size(); ++i) {
    PhiloxStream random(key, i);
    // The clamp keeps float finite under absurd noise options only.
    const double score = std::exp(std::clamp(kBackground + signal[i] + scale * DrawStudent4(&random), -40.0, 40.0));
    const bool missing = random.Uniform() < options.missing && i > 0;  // the first probe always has a score
    targets[i] = missing ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(score);
  }
}

absl::Status CheckOptions(const SimulatorOptions& options) {
  const auto refuse = [](std::string_view what, std::string_view expected) {
    return absl::InvalidArgumentError(Concat("simulation with ", what, "; expected ", expected));
  };
  if (options.experiments < 1 || options.experiments > kMaxPlanted) {
    return refuse(Concat(options.experiments, " experiments"), Concat("1 to ", kMaxPlanted));
  }
  if (options.probes < 20 || options.probes > 100000000) {
    return refuse(Concat(options.probes, " probes"), "20 to 100000000");
  }
  if (options.min_width < 12 || options.length < options.min_width || options.length > 4096) {
    return refuse(Concat("probes of ", options.min_width, " to ", options.length, " nt"),
                  "lengths within 12 to 4096, the shorter first");
  }
  if (!(options.missing >= 0 && options.missing <= 0.9)) {
    return refuse(Concat("a missing fraction of ", options.missing), "0 to 0.9");
  }
  if (!(options.noise >= 0 && options.noise <= 10)) return refuse(Concat("noise of ", options.noise), "0 to 10");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Simulation> Simulate(const SimulatorOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  Simulation simulation;
  simulation.truth = DrawTruth(options);
  Dataset& dataset = simulation.dataset;
  dataset.sequences.length = options.length;
  const size_t words = static_cast<size_t>(PackedWords(options.length));
  dataset.sequences.bases.resize(static_cast<size_t>(options.probes) * words);
  std::vector<Codes> probes;
  std::string letters;
  for (int64_t i = 0; i < options.probes; ++i) {
    probes.push_back(DrawProbe(options, simulation.truth, i));
    letters.clear();
    for (const uint8_t code : probes.back()) letters += kBaseLetters[code];
    PackCentred(letters, options.length, dataset.sequences.bases.data() + static_cast<size_t>(i) * words);
    dataset.sequences.widths.push_back(static_cast<uint16_t>(probes.back().size()));
    dataset.folds.push_back(i % 2 == 0 ? Fold::kA : Fold::kB);
  }
  dataset.targets.resize(simulation.truth.size() * probes.size());
  for (size_t e = 0; e < simulation.truth.size(); ++e) {
    dataset.experiments.push_back(simulation.truth[e].experiment);
    DrawScores(options, simulation.truth[e], probes, dataset.targets.data() + e * probes.size());
  }
  return simulation;
}

std::string TruthToJson(const SimulatorOptions& options, const std::vector<PlantedTruth>& truth) {
  nlohmann::ordered_json root;
  root["options"] = {{"experiments", options.experiments},
                     {"probes", options.probes},
                     {"seed", options.seed},
                     {"length", options.length},
                     {"min_width", options.min_width},
                     {"missing", options.missing},
                     {"noise", options.noise}};
  root["experiments"] = nlohmann::ordered_json::array();
  for (const PlantedTruth& one : truth) {
    root["experiments"].push_back({{"experiment", one.experiment},
                                   {"kmer", one.kmer},
                                   {"pwm", one.pwm},
                                   {"site_effect", one.site_effect},
                                   {"best_spacing", one.best_spacing},
                                   {"steric_penalty", one.steric_penalty},
                                   {"loop_preference", one.loop_preference},
                                   {"gc_effect", one.gc_effect}});
  }
  return root.dump(2) + "\n";
}

}  // namespace rb
