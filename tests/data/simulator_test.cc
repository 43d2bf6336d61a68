// The simulator: same seed, same bits; what is planted can be found by counting.
#include "data/simulator.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "data/alphabet.h"
#include "data/simulator_truth.h"
#include "data/transform.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::ExpectWithin;

Simulation Simulated(int experiments, int probes, uint64_t seed) {
  SimulatorOptions options;
  options.experiments = experiments;
  options.probes = probes;
  options.seed = seed;
  return Simulate(options).value();
}

std::vector<uint8_t> Codes(const std::string& letters) {
  std::vector<uint8_t> codes;
  for (const char letter : letters) codes.push_back(BaseCode(letter));
  return codes;
}

// The 6-mer with the highest mean of g(score) over the probes that hold it.
template <class G>
std::string TopKmer(const Dataset& dataset, int64_t experiment, G g) {
  std::vector<double> sum(4096, 0.0), count(4096, 0.0);
  for (int64_t i = 0; i < dataset.num_probes(); ++i) {
    const float y = dataset.target(experiment)[i];
    if (std::isnan(y)) continue;
    const int length = dataset.sequences.length, width = dataset.sequences.widths[i], left = LeftPadding(length, width);
    std::set<int> here;
    for (int w = left; w + 6 <= left + width; ++w) {
      int kmer = 0;
      for (int j = 0; j < 6; ++j) kmer = kmer * 4 + BaseAt(dataset.sequences.packed(i), length, w + j);
      here.insert(kmer);
    }
    for (const int kmer : here) sum[kmer] += g(y), ++count[kmer];
  }
  int best = -1;
  for (int kmer = 0; kmer < 4096; ++kmer) {
    if (count[kmer] >= 5 && (best < 0 || sum[kmer] / count[kmer] > sum[best] / count[best])) best = kmer;
  }
  std::string letters;
  for (int shift = 10; shift >= 0; shift -= 2) letters += kBaseLetters[best >> shift & 3];
  return letters;
}

TEST(Simulator, SameSeedSameBits) {
  const Simulation a = Simulated(3, 1000, 5), b = Simulated(3, 1000, 5), c = Simulated(3, 1000, 6);
  test::ExpectSameBits<float>(a.dataset.targets, b.dataset.targets, "targets");
  test::ExpectSameBits<uint32_t>(a.dataset.sequences.bases, b.dataset.sequences.bases, "bases");
  ExpectEqual(TruthToJson({}, a.truth), TruthToJson({}, b.truth));
  ExpectEqual(a.dataset.sequences.bases == c.dataset.sequences.bases, false);
  ExpectEqual(a.truth[0].kmer == c.truth[0].kmer && a.truth[1].kmer == c.truth[1].kmer, false);
}

TEST(Simulator, HasTheShapeThatWasAskedFor) {
  const Dataset dataset = Simulated(4, 20000, 1).dataset;
  ExpectEqual(dataset.num_probes(), int64_t{20000});
  ExpectEqual(dataset.experiments, std::vector<std::string>({"SIM00001", "SIM00002", "SIM00003", "SIM00004"}));
  ExpectEqual(std::count(dataset.folds.begin(), dataset.folds.end(), Fold::kA), ptrdiff_t{10000});
  const auto [low, high] = std::minmax_element(dataset.sequences.widths.begin(), dataset.sequences.widths.end());
  ExpectEqual(*low, uint16_t{30});
  ExpectEqual(*high, uint16_t{41});
  int64_t missing = 0, bad = 0;
  for (const float y : dataset.targets) missing += std::isnan(y), bad += !std::isnan(y) && !(y > 0 && std::isfinite(y));
  test::CountComparisons(static_cast<int64_t>(dataset.targets.size()));
  ExpectEqual(bad, int64_t{0});
  // 80,000 draws at 0.7%: 560 +- 24; six deviations.
  ExpectWithin(static_cast<double>(missing), 560, 144);
}

TEST(Simulator, PlantedMotifsAreDistinctAndNotTrivial) {
  const std::vector<PlantedTruth> truth = Simulated(300, 20, 2).truth;
  std::set<std::string> kmers;
  for (const PlantedTruth& one : truth) {
    kmers.insert(one.kmer);
    ExpectEqual(std::set<char>(one.kmer.begin(), one.kmer.end()).size() >= 3, true, one.kmer);
    for (int j = 0; j < 6; ++j) {
      double sum = 0;
      for (const double p : one.pwm[j]) sum += p;
      ExpectWithin(sum, 1, 1e-12);
      const auto top = std::max_element(one.pwm[j].begin(), one.pwm[j].end()) - one.pwm[j].begin();
      ExpectEqual(kBaseLetters[top], one.kmer[j]);
    }
  }
  ExpectEqual(kmers.size(), size_t{300});
}

TEST(Simulator, TopKmerByMeanScoreIsThePlantedOne) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    for (const int experiments : {1, 5}) {
      const Simulation simulation = Simulated(experiments, 20000, seed);
      for (int e = 0; e < experiments; ++e) {
        const std::string& planted = simulation.truth[e].kmer;
        ExpectEqual(TopKmer(simulation.dataset, e, [](double y) { return y; }), planted, "raw scores");
        ExpectEqual(TopKmer(simulation.dataset, e, [](double y) { return std::log(y); }), planted, "logarithms");
      }
    }
  }
}

TEST(Simulator, NoiseLeavesTheSignalItPromises) {
  // sd(noise) is half of sd(signal), so the noise-free signal correlates with the logarithm at 1 / sqrt(1.25) = 0.894.
  const Simulation simulation = Simulated(1, 20000, 3);
  const Dataset& dataset = simulation.dataset;
  double n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  for (int64_t i = 0; i < dataset.num_probes(); ++i) {
    if (std::isnan(dataset.target(0)[i])) continue;
    std::vector<uint8_t> probe;
    const int left = LeftPadding(41, dataset.sequences.widths[i]);
    for (int p = 0; p < dataset.sequences.widths[i]; ++p)
      probe.push_back(BaseAt(dataset.sequences.packed(i), 41, left + p));
    const double x = PlantedSignal(simulation.truth[0], probe), y = std::log(dataset.target(0)[i]);
    ++n, sx += x, sy += y, sxx += x * x, syy += y * y, sxy += x * y;
  }
  const double r = (n * sxy - sx * sy) / std::sqrt((n * sxx - sx * sx) * (n * syy - sy * sy));
  ExpectWithin(r, 1 / std::sqrt(1.25), 0.02);
}

TEST(Simulator, SignalFollowsItsParts) {
  PlantedTruth truth;
  truth.kmer = "UGCAUC";
  for (const char letter : truth.kmer) {
    truth.pwm.emplace_back(4, 0.04);
    truth.pwm.back()[BaseCode(letter)] = 0.88;
  }
  truth.site_effect = 1;
  truth.best_spacing = 10;
  truth.steric_penalty = 0.5;
  truth.loop_preference = 0.6;
  truth.gc_effect = 0.1;
  const auto signal = [&](const std::string& letters) { return PlantedSignal(truth, Codes(letters)); };
  const std::string a(40, 'A');
  const auto with = [&](std::initializer_list<int> starts) {
    std::string probe = a;
    for (const int s : starts) probe.replace(s, 6, truth.kmer);
    return signal(probe);
  };
  const double none = signal(a);
  ExpectWithin(none, -0.5, 1e-3);                 // no GC in the tail; windows of A match to (0.04/0.88)^5
  ExpectWithin(with({5}) - none, 1, 0.01);        // one site
  ExpectWithin(with({3, 20}) - none, 2, 0.02);    // two add
  ExpectWithin(with({3, 12}) - none, 1.5, 0.02);  // nearer than best_spacing: the second loses half
  ExpectWithin(with({3, 13}) - none, 2, 0.02);    // at best_spacing nothing is lost
  ExpectWithin(signal(std::string(30, 'A') + "GGGGGGGGGG") - none, 1, 1e-3);  // ten GC letters at the 3' end
  const std::string loop = "AAAACCACG" + truth.kmer + "CGUGGAAAAAAAAAAAAAAAAAAAA";
  ExpectEqual(InHairpinLoop(Codes(loop), 9), true);
  ExpectWithin(signal(loop) - none, 1.6, 0.01);
  const std::string broken = "AAAACCAAG" + truth.kmer + "CGUGGAAAAAAAAAAAAAAAAAAAA";
  ExpectEqual(InHairpinLoop(Codes(broken), 9), false);
  ExpectEqual(InHairpinLoop(Codes("GGGGG" + truth.kmer + "AAAACCCCC"), 5), true);    // a loop of ten
  ExpectEqual(InHairpinLoop(Codes("GGGGG" + truth.kmer + "AAAAACCCCC"), 5), false);  // of eleven
}

TEST(Simulator, TruthIsJson) {
  SimulatorOptions options;
  options.experiments = 2;
  options.seed = 18446744073709551615ull;
  const auto json = nlohmann::json::parse(TruthToJson(options, Simulate(options).value().truth));
  ExpectEqual(json["options"]["seed"].get<uint64_t>(), options.seed);
  ExpectEqual(json["experiments"].size(), size_t{2});
  ExpectEqual(json["experiments"][1]["experiment"].get<std::string>(), std::string("SIM00002"));
  ExpectEqual(json["experiments"][0]["pwm"].size(), size_t{6});
}

TEST(Simulator, RefusesBadOptions) {
  const auto bad = [](auto change, const std::string& what) {
    SimulatorOptions options;
    change(options);
    ExpectError(Simulate(options), StatusCode::kInvalidArgument, {what, "expected"});
  };
  bad([](SimulatorOptions& o) { o.experiments = 0; }, "0 experiments");
  bad([](SimulatorOptions& o) { o.experiments = 501; }, "501 experiments");
  bad([](SimulatorOptions& o) { o.probes = 3; }, "3 probes");
  bad([](SimulatorOptions& o) { o.min_width = 5; }, "5 to 41 nt");
  bad([](SimulatorOptions& o) { o.length = 20; }, "30 to 20 nt");
  bad([](SimulatorOptions& o) { o.missing = 1; }, "fraction of 1");
  bad([](SimulatorOptions& o) { o.noise = std::nan(""); }, "noise of nan");
}

}  // namespace
}  // namespace rb
