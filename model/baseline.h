// Models that are no network, to see what the network adds: a linear model of k-mer counts, and a position weight
// matrix that is scanned over the sequence. They read the letters alone and are scored on the host, in double, whatever
// machine and precision there are.
#ifndef RB_MODEL_BASELINE_H_
#define RB_MODEL_BASELINE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "engine/machine.h"

namespace rb {

enum class ModelKind : uint8_t { kNetwork, kKmer, kPwm };
std::string_view ModelKindName(ModelKind kind);  // residualbind, kmer, pwm
std::optional<ModelKind> FindModelKind(std::string_view name);

// How the windows of a sequence make one score: the best one's log odds, or log of the sum of exp(log odds).
enum class WindowScan : uint8_t { kBest, kSum };
std::string_view WindowScanName(WindowScan scan);  // best, sum
std::optional<WindowScan> FindWindowScan(std::string_view name);

// The values of such a model. A window counts when all its positions are known bases.
//
// kKmer: f = intercept + sum over windows of k letters of weights[k-mer], k-mers numbered as in kernels/packed_bases.h.
//
// kPwm: f = intercept + slope * score(windows of weights.size() / 4 letters). A sequence without a window has the score
// of the worst window that there can be.
struct Baseline {
  ModelKind kind = ModelKind::kNetwork;  // kNetwork: none of this
  int k = 0;                             // of kPwm: letters of the k-mers it was made from
  double penalty = 0;                    // kKmer: of the squared weights
  int top = 0;                           // kPwm: k-mers it was made from
  WindowScan scan = WindowScan::kBest;   // kPwm
  std::vector<float> weights;            // kKmer: [4^k]; kPwm: log odds (natural) [width][4]
  float intercept = 0, slope = 1;

  int width() const { return static_cast<int>(weights.size() / 4); }  // of kPwm
};
// What it is, in a line: "kmer: linear in the counts of all 6-mers, penalty 30".
std::string BaselineText(const Baseline& baseline);

// Numbers of the k-mers in packed bases of `length` positions, from left to right; numbers: [length]. Returns how many.
int KmersOf(const uint32_t* packed, int length, int k, int32_t* numbers);

// Sequences of `length` positions; tracks are not read.
std::unique_ptr<Scorer> NewBaselineScorer(const Baseline& baseline, int length);

// What a baseline is fitted to: rows of the sequences, and their scores as training sees them.
struct BaselineData {
  const Sequences& sequences;
  std::span<const int32_t> train, valid;
  std::span<const float> train_targets, valid_targets;  // [train], [valid]
};

// Pearson correlation of a model's predictions and the validation scores; NaN when undefined.
absl::StatusOr<double> ValidPearson(const Baseline& baseline, const BaselineData& data);

}  // namespace rb

#endif  // RB_MODEL_BASELINE_H_
