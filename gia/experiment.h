// The experiments of global importance analysis, as lists of questions [Koo 2021, Methods: Global importance analysis;
// docs/numerics.md has the positions of both presets].
//
// A question compares a pattern with its baseline in the same null sequences; an experiment is questions that belong
// together, with the straight lines and contrasts that are drawn through their answers. Nothing here runs a model.
#ifndef RB_GIA_EXPERIMENT_H_
#define RB_GIA_EXPERIMENT_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/config.h"

namespace rb {

struct Question {
  std::string label;    // what a reader sees, unique in its experiment: "2 sites", "motif + GC right"
  std::string pattern;  // an embedding (gia/pattern.h)
  // The embedding compared with; empty: the pattern's stems alone, so the null sequences as they are without stems.
  std::string baseline;
  double x = std::numeric_limits<double>::quiet_NaN();  // what a line or curve runs over: sites, distance, position
  bool control = false;                                 // a scrambled motif, or one of the same GC content
};

// sum over its questions of weight * local effect, sequence by sequence: an interaction for instance.
struct Contrast {
  std::string label, formula;
  std::vector<std::pair<int, double>> terms;  // question, weight
};

// (sum of `above`'s mean effects, weighted) / (mean effect of question `below`): the paper's GC effect sizes.
struct Ratio {
  std::string label, formula;
  std::vector<std::pair<int, double>> above;
  int below = 0;
};

// A straight line of mean effect over x through questions [first, first + count).
struct Line {
  std::string label;
  int first = 0, count = 0;
};

struct Experiment {
  std::string name;
  std::vector<Question> questions;
  std::vector<Contrast> contrasts;
  std::vector<Ratio> ratios;
  std::vector<Line> lines;
};

struct ExperimentSettings {
  Preset preset = Preset::kPaper;
  int length = 41;                 // L, the model's
  int position = 17;               // of a single motif
  std::string motif;               // IUPAC letters; single letters for mutate
  std::string second;              // pair: the other motif
  int second_position = 27;        // pair: where it stands
  int controls = 5;                // of either kind beside the motif; 0: none
  uint64_t key = 0;                // draws the controls: DeriveKey(seed, Purpose::kPattern, id)
  std::vector<std::string> embed;  // custom: embeddings
  bool enumerate = false;          // custom: every sequence that IUPAC letters stand for, instead of draws among them
};

inline constexpr int64_t kMostEnumerated = 4096;  // of one embedding

// mutate, position, sites, spacing, gc, hairpin, pair, custom: in the order in which `all` runs them.
const std::vector<std::string>& ExperimentNames();
// Those that need only a motif.
const std::vector<std::string>& MotifExperiments();

// The experiment of that name. InvalidArgument: an unknown name, a motif that does not fit, nothing to embed.
absl::StatusOr<Experiment> MakeExperiment(std::string_view name, const ExperimentSettings& settings);

}  // namespace rb

#endif  // RB_GIA_EXPERIMENT_H_
