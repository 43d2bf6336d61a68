// What the simulator plants, and what a probe scores under it (the formulas are in simulator.cc).
#ifndef RB_DATA_SIMULATOR_TRUTH_H_
#define RB_DATA_SIMULATOR_TRUTH_H_

#include <cstdint>
#include <span>
#include <vector>

#include "data/simulator.h"

namespace rb {

inline constexpr int kMotif = 6;         // letters of a planted motif
inline constexpr int kMinStem = 5;       // pairs that close a loop
inline constexpr int kMaxLoop = 10;      // letters of the longest loop that counts
inline constexpr int kMaxPlanted = 500;  // experiments; there are 3,096 eligible 6-mers

// One truth per experiment. Consensus 6-mers are distinct, have at least three different letters, no letter three times
// in a row and no overlap with themselves at shifts 1 to 3.
std::vector<PlantedTruth> DrawTruth(const SimulatorOptions& options);

// Noise-free log-scale signal of a probe (codes 0..3) relative to one without sites.
double PlantedSignal(const PlantedTruth& truth, std::span<const uint8_t> probe);

// Whether a stem of kMinStem Watson-Crick pairs closes a loop of at most kMaxLoop letters around [start, start +
// kMotif).
bool InHairpinLoop(std::span<const uint8_t> probe, int start);

}  // namespace rb

#endif  // RB_DATA_SIMULATOR_TRUTH_H_
