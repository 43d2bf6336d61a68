#include "gia/runner.h"

#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "gia/distributions.h"
#include "gia/embed.h"

namespace rb {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Mean, tests and interval of the values that are not NaN.
Effect Describe(std::string label, std::string pattern, std::span<const double> values) {
  Effect effect;
  effect.label = std::move(label);
  effect.pattern = std::move(pattern);
  std::vector<double> present;
  for (const double v : values) {
    if (!std::isnan(v)) present.push_back(v);
  }
  effect.summary = Summarize(present);
  const TTest test = PairedTTest(present);
  effect.t = test.t;
  effect.p = test.p;
  effect.wilcoxon_p = WilcoxonSignedRank(present).p;
  return effect;
}

void TestUnpaired(std::span<const float> with, std::span<const float> without, Effect& effect) {
  const std::vector<double> a(with.begin(), with.end()), b(without.begin(), without.end());
  const TTest test = WelchTTest(a, b);
  effect.t = test.t;
  effect.p = test.p;
  const double half = StudentQuantile(0.05, test.df) * test.se;
  effect.summary.ci_low = effect.summary.mean - half;
  effect.summary.ci_high = effect.summary.mean + half;
}

void CorrectForFamily(std::vector<Effect>& effects) {
  std::vector<double> p;
  for (const Effect& effect : effects) p.push_back(effect.p);
  const std::vector<double> q = BenjaminiHochberg(p);
  for (size_t i = 0; i < effects.size(); ++i) effects[i].q = q[i];
}

class Runner {
 public:
  Runner(const Experiment& experiment, const Sequences& nulls, const ScoreFunction& score, const RunnerOptions& options)
      : experiment_(experiment), nulls_(nulls), score_(score), options_(options) {}

  absl::StatusOr<ExperimentResult> Run() {
    result_.name = experiment_.name;
    result_.local.assign(experiment_.questions.size() * static_cast<size_t>(nulls_.size()), kNan);
    for (size_t i = 0; i < experiment_.questions.size(); ++i) RB_RETURN_IF_ERROR(Ask(i));
    CorrectForFamily(result_.effects);
    for (const Contrast& contrast : experiment_.contrasts) AddContrast(contrast);
    CorrectForFamily(result_.contrasts);
    for (const Line& line : experiment_.lines) AddLine(line);
    for (const Ratio& ratio : experiment_.ratios) AddRatio(ratio);
    return std::move(result_);
  }

 private:
  absl::StatusOr<Embedding> Parse(const std::string& text) const {
    auto parsed = ParseEmbedding(text, nulls_.length, options_.read_pwm);
    if (parsed.ok()) return parsed;
    return absl::Status(parsed.status().code(), absl::StrCat(experiment_.name, ": ", parsed.status().message()));
  }

  absl::Status Ask(size_t index) {
    const Question& question = experiment_.questions[index];
    RB_ASSIGN_OR_RETURN(const Embedding pattern, Parse(question.pattern));
    Embedding baseline = StemsOf(pattern);
    if (!question.baseline.empty()) {
      RB_ASSIGN_OR_RETURN(baseline, Parse(question.baseline));
    }
    auto pair = EmbedPair(pattern, baseline, nulls_, options_.key);
    if (!pair.ok()) {
      return absl::Status(pair.status().code(),
                          absl::StrCat(experiment_.name, ", ", question.label, ": ", pair.status().message()));
    }
    RB_ASSIGN_OR_RETURN(const std::vector<float> with, score_(pair->with));
    RB_ASSIGN_OR_RETURN(const std::vector<float> without, Without(baseline, *pair));
    RB_CHECK(with.size() == pair->rows.size() && without.size() == pair->rows.size());
    const std::vector<double> local = Differences(with, without);
    float* const kept = Local(index);
    for (size_t i = 0; i < local.size(); ++i) kept[pair->rows[i]] = static_cast<float>(local[i]);
    Effect effect = Describe(question.label, pattern.text, local);
    if (options_.welch) TestUnpaired(with, without, effect);
    effect.x = question.x;
    effect.control = question.control;
    effect.left_out = pair->left_out;
    effect.warning = pattern.warning;
    result_.effects.push_back(std::move(effect));
    return absl::OkStatus();
  }

  // Many questions have the same sequences to compare with: the nulls under the same stems and elements.
  absl::StatusOr<std::vector<float>> Without(const Embedding& baseline, const EmbeddedPair& pair) {
    auto [known, is_new] = without_.try_emplace({baseline.text, pair.rows});
    if (is_new) {
      RB_ASSIGN_OR_RETURN(known->second, score_(pair.without));
    }
    return known->second;
  }

  float* Local(size_t question) { return result_.local.data() + question * static_cast<size_t>(nulls_.size()); }

  void AddContrast(const Contrast& contrast) {
    std::vector<double> values(static_cast<size_t>(nulls_.size()), 0.0);
    for (const auto& [question, weight] : contrast.terms) {
      const float* const local = Local(static_cast<size_t>(question));
      for (size_t i = 0; i < values.size(); ++i) values[i] += weight * local[i];
    }
    Effect effect = Describe(contrast.label, contrast.formula, values);
    effect.x = std::numeric_limits<double>::quiet_NaN();
    effect.left_out = nulls_.size() - effect.summary.n;
    result_.contrasts.push_back(std::move(effect));
  }
  void AddLine(const Line& line) {
    std::vector<double> x, y;
    for (int i = line.first; i < line.first + line.count; ++i) {
      x.push_back(result_.effects[static_cast<size_t>(i)].x);
      y.push_back(result_.effects[static_cast<size_t>(i)].summary.mean);
    }
    result_.lines.push_back({line.label, FitLine(x, y)});
  }
  void AddRatio(const Ratio& ratio) {
    double above = 0;
    for (const auto& [question, weight] : ratio.above) {
      above += weight * result_.effects[static_cast<size_t>(question)].summary.mean;
    }
    const double below = result_.effects[static_cast<size_t>(ratio.below)].summary.mean;
    result_.ratios.push_back({ratio.label, ratio.formula, above / below});
  }

  const Experiment& experiment_;
  const Sequences& nulls_;
  const ScoreFunction& score_;
  const RunnerOptions& options_;
  ExperimentResult result_;
  std::map<std::pair<std::string, std::vector<int64_t>>, std::vector<float>> without_;
};

}  // namespace

absl::StatusOr<ExperimentResult> RunExperiment(const Experiment& experiment, const Sequences& nulls,
                                               const ScoreFunction& score, const RunnerOptions& options) {
  if (nulls.size() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(experiment.name, ": no null sequences; expected at least one"));
  }
  return Runner(experiment, nulls, score, options).Run();
}

}  // namespace rb
