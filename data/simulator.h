// RNAcompete-like data with a planted truth (`residualbind simulate`).
#ifndef RB_DATA_SIMULATOR_H_
#define RB_DATA_SIMULATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace rb {

struct SimulatorOptions {
  int experiments = 1;
  int probes = 20000;
  uint64_t seed = 0;
  int length = 41;         // longest probe
  int min_width = 30;      // probes are min_width..length nt long (RNAcompete: 30-41)
  double missing = 0.007;  // fraction of NaN targets
  double noise = 0.5;      // sd of the log-scale noise relative to the signal's; Student t, 4 degrees, cut far out
};

// What was planted in one experiment.
struct PlantedTruth {
  std::string experiment;                // SIM00001, ..
  std::string kmer;                      // consensus 6-mer, RNA letters
  std::vector<std::vector<double>> pwm;  // [6][4] A C G U
  double site_effect = 0;                // log-scale effect of one perfect site; sites add
  int best_spacing = 0;                  // start-to-start distance of two sites without steric penalty
  double steric_penalty = 0;             // fraction lost by two sites closer than best_spacing
  double loop_preference = 0;            // a site inside a hairpin loop counts 1 + this
  double gc_effect = 0;                  // log-scale effect per GC letter of the last ten positions (3')
};

struct Simulation {
  Dataset dataset;
  std::vector<PlantedTruth> truth;
};

// A function of the options alone. Scores are positive; experiments share the probes; probe i is in set A when i is
// even. InvalidArgument for options out of range (1 to 500 experiments, 20 probes or more, widths of 12 to 4096,
// missing 0 to 0.9, noise 0 to 10).
absl::StatusOr<Simulation> Simulate(const SimulatorOptions& options);

// truth.json
std::string TruthToJson(const SimulatorOptions& options, const std::vector<PlantedTruth>& truth);

}  // namespace rb

#endif  // RB_DATA_SIMULATOR_H_
