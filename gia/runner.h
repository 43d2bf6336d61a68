// Answers to the questions of an experiment: local effects, their statistics, lines and contrasts.
#ifndef RB_GIA_RUNNER_H_
#define RB_GIA_RUNNER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "gia/experiment.h"
#include "gia/null_model.h"
#include "gia/pattern.h"
#include "gia/statistics.h"

namespace rb {

// The local effects of one question or contrast, and what they say of its global importance.
struct Effect {
  std::string label, pattern;  // pattern: of a contrast, its formula
  double x = 0;
  SampleSummary summary;  // n, mean = global importance, sd, 95 % interval
  double t = 0, p = 0;    // t-test against no effect, paired or (RunnerOptions::welch) not
  double q = 0;           // Benjamini-Hochberg over the experiment's questions (or contrasts)
  double wilcoxon_p = 0;  // signed ranks; NaN where no local effects were kept
  int64_t left_out = 0;   // null sequences whose padding the pattern would have overwritten
  bool control = false;   // Question::control
  std::string warning;    // overlaps within the pattern
};

struct FittedLine {
  std::string label;
  StraightLine line;
};
struct RatioValue {
  std::string label, formula;
  double value = 0;
};

struct ExperimentResult {
  std::string name;
  std::vector<Effect> effects;  // one a question
  std::vector<Effect> contrasts;
  std::vector<FittedLine> lines;
  std::vector<RatioValue> ratios;
  std::vector<float> local;  // [questions][nulls]: f(with) - f(without); NaN where a null was left out
};

struct RunnerOptions {
  uint64_t key = 0;  // of what patterns draw: DeriveKey(seed, Purpose::kPattern, id)
  PwmReader read_pwm;
  // Questions are tested by Welch's t-test of f(with) against f(without), as the published notebooks do, and not in
  // pairs; their intervals are that test's.
  bool welch = false;
};

// Asks every question of `experiment` in all `nulls`. Results do not depend on how `score` spreads its work. The
// scorer's errors are passed on; InvalidArgument with the experiment's name for embeddings that cannot be written.
absl::StatusOr<ExperimentResult> RunExperiment(const Experiment& experiment, const Sequences& nulls,
                                               const ScoreFunction& score, const RunnerOptions& options);

}  // namespace rb

#endif  // RB_GIA_RUNNER_H_
