// Experiments asked of a linear model, whose every answer is known in closed form: the score is a sum of one weight a
// position and base, so that a pattern's local effect is the weights of its letters minus those of the letters it
// replaces.
#include "gia/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gia/distributions.h"
#include "gia/experiment.h"
#include "gia/null_profile.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;
using ::testing::HasSubstr;

constexpr int kLength = 41, kNulls = 75;
constexpr double kRounding = 2e-5;  // of predictions, which are float

class LinearModel {
 public:
  LinearModel() {
    PhiloxStream random(17);
    for (double& w : weights_) w = static_cast<double>(random.Next() % 2048) / 512 - 2;  // exact in float
  }
  double Weight(int p, int base) const { return weights_[p * 4 + base]; }
  double Score(const uint32_t* words) const {
    double sum = 0;
    for (int p = 0; p < kLength; ++p) {
      if (const int base = BaseAt(words, kLength, p); base < 4) sum += Weight(p, base);
    }
    return sum;
  }
  ScoreFunction function() const {
    return [this](const Sequences& sequences) -> absl::StatusOr<std::vector<float>> {
      std::vector<float> scores;
      for (int64_t i = 0; i < sequences.size(); ++i) scores.push_back(static_cast<float>(Score(sequences.packed(i))));
      return scores;
    };
  }

 private:
  std::array<double, kLength * 4> weights_;
};

Sequences Nulls() { return DrawProfileNulls(std::vector<float>(kLength * 4, 0.25f), kLength, kNulls, 3).value(); }

int Code(char letter) { return static_cast<int>(std::string("ACGU").find(letter)); }

// Local effects of letters by position, each sequence by itself.
std::vector<double> Expected(const LinearModel& model, const Sequences& nulls, const std::map<int, char>& letters) {
  std::vector<double> effects;
  for (int64_t i = 0; i < nulls.size(); ++i) {
    double sum = 0;
    for (const auto& [p, letter] : letters) {
      sum += model.Weight(p, Code(letter)) - model.Weight(p, BaseAt(nulls.packed(i), kLength, p));
    }
    effects.push_back(sum);
  }
  return effects;
}

std::map<int, char> Letters(const std::string& motif, int position) {
  std::map<int, char> letters;
  for (size_t i = 0; i < motif.size(); ++i) letters[position + static_cast<int>(i)] = motif[i];
  return letters;
}
// Later ones win.
std::map<int, char> Together(std::map<int, char> first, const std::map<int, char>& second) {
  for (const auto& [p, letter] : second) first[p] = letter;
  return first;
}

double MeanOf(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

class RunnerTest : public ::testing::Test {
 protected:
  ExperimentResult Ask(const std::string& name, ExperimentSettings settings) {
    settings.key = 5;
    const auto experiment = MakeExperiment(name, settings);
    EXPECT_TRUE(experiment.ok()) << experiment.status();
    experiment_ = *experiment;
    auto result = RunExperiment(experiment_, nulls_, model_.function(), {9, {}});
    EXPECT_TRUE(result.ok()) << result.status();
    return *std::move(result);
  }
  static ExperimentSettings Motif(const std::string& motif) {
    ExperimentSettings settings;
    settings.motif = motif;
    return settings;
  }
  // The effect of that label: local effects, mean, spread, interval.
  void ExpectEffect(const ExperimentResult& result, const std::string& label, const std::vector<double>& expected) {
    const auto found =
        std::find_if(result.effects.begin(), result.effects.end(), [&](const Effect& e) { return e.label == label; });
    ASSERT_NE(found, result.effects.end()) << label;
    const size_t index = static_cast<size_t>(found - result.effects.begin());
    for (int i = 0; i < kNulls; ++i) {
      ExpectWithin(result.local[index * kNulls + i], expected[i], kRounding, label);
    }
    ExpectEqual(found->summary.n, int64_t{kNulls});
    const double mean = MeanOf(expected);
    double squares = 0;
    for (const double v : expected) squares += (v - mean) * (v - mean);
    const double sd = std::sqrt(squares / (kNulls - 1));
    ExpectWithin(found->summary.mean, mean, kRounding, label);
    ExpectWithin(found->summary.sd, sd, kRounding, label);
    ExpectWithin(found->t, mean / (sd / std::sqrt(kNulls)), 1e-3 * std::abs(found->t) + 1e-3, label);
    ExpectWithin(found->summary.ci_high - mean, 1.99254 * sd / std::sqrt(kNulls), 1e-4, label);  // t(0.975, 74)
    ExpectEqual(found->q >= found->p, true, label);
  }
  std::vector<double> Of(const std::map<int, char>& letters) { return Expected(model_, nulls_, letters); }

  LinearModel model_;
  Sequences nulls_ = Nulls();
  Experiment experiment_;
};

TEST_F(RunnerTest, Mutate) {
  const ExperimentResult result = Ask("mutate", Motif("ugcatg"));
  ExpectEffect(result, "UGCAUG", Of(Letters("UGCAUG", 17)));
  ExpectEffect(result, "AGCAUG", Of(Letters("AGCAUG", 17)));
  ExpectEffect(result, "UGCAUA", Of(Letters("UGCAUA", 17)));
  int mutants = 0;
  for (const Effect& e : result.effects) mutants += !e.control;
  ExpectEqual(mutants, 19);
  ExpectEqual(result.effects.size(), size_t{29});  // five controls of either kind
}

TEST_F(RunnerTest, WelchTestsTheTwoSamples) {
  const LinearModel model;
  const Sequences nulls = Nulls();
  RunnerOptions options;
  options.welch = true;
  const Experiment experiment = MakeExperiment("mutate", Motif("UGCAUG")).value();
  const ExperimentResult result = RunExperiment(experiment, nulls, model.function(), options).value();
  std::vector<double> with, without;
  const std::vector<double> local = Expected(model, nulls, Letters("UGCAUG", 17));
  for (int64_t i = 0; i < nulls.size(); ++i) {
    without.push_back(model.Score(nulls.packed(i)));
    with.push_back(without.back() + local[static_cast<size_t>(i)]);
  }
  const TTest test = WelchTTest(with, without);
  const Effect& effect = result.effects[0];
  ExpectWithin(effect.summary.mean, test.difference, 1e-12, "mean");
  ExpectWithin(effect.t, test.t, 1e-9 * std::abs(test.t), "t");
  ExpectWithin(effect.p, test.p, 1e-9, "p");
  const double half = StudentQuantile(0.05, test.df) * test.se;
  ExpectWithin(effect.summary.ci_low, test.difference - half, 1e-9, "interval");
  ExpectWithin(effect.summary.ci_high, test.difference + half, 1e-9, "interval");
}

TEST_F(RunnerTest, EnumeratedEmbeddings) {
  ExperimentSettings settings;
  settings.embed = {"URC@17 + stem@6-9:28-31 + Y@20"};
  settings.enumerate = true;
  const Experiment experiment = MakeExperiment("custom", settings).value();
  std::vector<std::string> patterns;
  for (const Question& question : experiment.questions) patterns.push_back(question.pattern);
  ExpectEqual(patterns, std::vector<std::string>({"UAC@17+stem@6-9:28-31+C@20", "UAC@17+stem@6-9:28-31+U@20",
                                                  "UGC@17+stem@6-9:28-31+C@20", "UGC@17+stem@6-9:28-31+U@20"}));
  settings.embed = {"NNNNNNN@10"};
  const absl::Status most = MakeExperiment("custom", settings).status();
  ExpectEqual(most.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(most.message()), HasSubstr("more than 4096"));
}

TEST_F(RunnerTest, Position) {
  const ExperimentResult result = Ask("position", Motif("UGCAUG"));
  for (const int at : {3, 10, 16, 22, 28, 34}) {
    ExpectEffect(result, "position " + std::to_string(at), Of(Letters("UGCAUG", at)));
  }
}

TEST_F(RunnerTest, SitesOfAnAdditiveModelAreAdditive) {
  for (const Preset preset : {Preset::kPaper, Preset::kPublished}) {
    ExperimentSettings settings = Motif("UGCAUG");
    settings.preset = preset;
    const ExperimentResult result = Ask("sites", settings);
    const std::vector<int> sites = preset == Preset::kPaper ? std::vector<int>{4, 11, 18} : std::vector<int>{4, 12, 20};
    std::map<int, char> letters;
    std::vector<double> means;
    for (int i = 0; i < 3; ++i) {
      letters = Together(letters, Letters("UGCAUG", sites[i]));
      ExpectEffect(result, std::to_string(i + 1) + (i == 0 ? " site" : " sites"), Of(letters));
      means.push_back(MeanOf(Of(letters)));
    }
    ASSERT_EQ(result.contrasts.size(), 1u);
    ExpectWithin(result.contrasts[0].summary.mean, 0, 4 * kRounding, "non-additivity");
    ASSERT_EQ(result.lines.size(), 1u);
    ExpectEqual(result.lines[0].line.n, int64_t{3});
    ExpectWithin(result.lines[0].line.slope, (means[2] - means[0]) / 2, kRounding, "slope");
    const double residual = means[0] - 2 * means[1] + means[2];  // a line's through three points: its square / 6
    double total = 0;
    for (const double mean : means) total += (mean - MeanOf(means)) * (mean - MeanOf(means));
    ExpectWithin(result.lines[0].line.r_squared, 1 - residual * residual / 6 / total, 1e-4, "R2");
  }
}

TEST_F(RunnerTest, Spacing) {
  const ExperimentResult result = Ask("spacing", Motif("UGCAUG"));
  ExpectEffect(result, "at 17 and 17", Of(Letters("UGCAUG", 17)));
  ExpectEffect(result, "at 16 and 20", Of(Together(Letters("UGCAUG", 16), Letters("UGCAUG", 20))));
  ExpectEffect(result, "at 13 and 22", Of(Together(Letters("UGCAUG", 13), Letters("UGCAUG", 22))));
  for (const int distance : {6, 17, 31}) {
    ExpectEffect(result, "distance " + std::to_string(distance),
                 Of(Together(Letters("UGCAUG", 4), Letters("UGCAUG", 4 + distance))));
  }
  for (const Effect& e : result.effects) {
    ExpectEqual(e.warning.empty(), e.label != "at 16 and 20", e.label);
    if (!e.control) ExpectEqual(e.x, e.label[0] == 'd' ? std::stod(e.label.substr(9)) : e.x, e.label);
  }
}

TEST_F(RunnerTest, Gc) {
  const ExperimentResult result = Ask("gc", Motif("UUAUUU"));
  const auto motif = Letters("UUAUUU", 17), right = Letters("GCGCGC", 34), left = Letters("GCGCGC", 2);
  ExpectEffect(result, "motif", Of(motif));
  ExpectEffect(result, "GC right", Of(right));
  ExpectEffect(result, "GC left", Of(left));
  ExpectEffect(result, "motif + GC right", Of(Together(motif, right)));
  ExpectEffect(result, "motif + GC left", Of(Together(motif, left)));
  const double m = MeanOf(Of(motif)), r = MeanOf(Of(right)), l = MeanOf(Of(left));
  ASSERT_EQ(result.ratios.size(), 3u);
  ExpectWithin(result.ratios[0].value, -r / m, 1e-4 * (1 + std::abs(r / m)));
  ExpectWithin(result.ratios[1].value, -l / m, 1e-4 * (1 + std::abs(l / m)));
  ExpectWithin(result.ratios[2].value, (r - l) / m, 1e-4 * (1 + std::abs((r - l) / m)));
  ExpectWithin(result.contrasts[0].summary.mean, r - l, 4 * kRounding);
  ExpectWithin(result.contrasts[1].summary.mean, 0, 4 * kRounding);
  ExpectWithin(result.contrasts[2].summary.mean, 0, 4 * kRounding);
}

// The stem's 3' side mirrors the null's own 5' side, or the motif within it.
TEST_F(RunnerTest, Hairpin) {
  const ExperimentResult result = Ask("hairpin", Motif("UGCAUG"));
  ExpectEffect(result, "loop", Of(Letters("UGCAUG", 17)));
  ExpectEffect(result, "centre", Of(Letters("UGCAUG", 17)));
  ExpectEffect(result, "left", Of(Letters("UGCAUG", 9)));
  std::vector<double> stem;
  for (int64_t i = 0; i < kNulls; ++i) {
    double sum = 0;
    for (int j = 0; j < 6; ++j) {
      const int p = 9 + j, partner = 33 - (p - 6), is = Code("UGCAUG"[j]), was = BaseAt(nulls_.packed(i), kLength, p);
      sum += model_.Weight(p, is) - model_.Weight(p, was);
      sum += model_.Weight(partner, 3 - is) - model_.Weight(partner, 3 - was);  // A-U, C-G
    }
    stem.push_back(sum);
  }
  ExpectEffect(result, "stem", stem);
  ExpectWithin(result.contrasts[0].summary.mean, MeanOf(Of(Letters("UGCAUG", 17))) - MeanOf(stem), 4 * kRounding);
  ExpectWithin(result.contrasts[1].summary.mean, 0, 4 * kRounding, "the loop is no special place to a linear model");
}

TEST_F(RunnerTest, PairAndCustom) {
  ExperimentSettings settings = Motif("UGCAUG");
  settings.second = "gaattc";
  const ExperimentResult pair = Ask("pair", settings);
  ExpectEffect(pair, "both", Of(Together(Letters("UGCAUG", 17), Letters("GAAUUC", 27))));
  ExpectWithin(pair.contrasts[0].summary.mean, 0, 4 * kRounding);
  // Overlapping motifs do interact, even in a linear model: the overlap counts once.
  settings.second_position = 20;
  const ExperimentResult over = Ask("pair", settings);
  const auto a = Letters("UGCAUG", 17), b = Letters("GAAUUC", 20);
  ExpectWithin(over.contrasts[0].summary.mean, MeanOf(Of(Together(a, b))) - MeanOf(Of(a)) - MeanOf(Of(b)),
               4 * kRounding);
  ExperimentSettings custom;
  custom.embed = {"UGCAUG@17+GCGCGC@34", "ACG@0"};
  const ExperimentResult own = Ask("custom", custom);
  ExpectEffect(own, "UGCAUG@17+GCGCGC@34", Of(Together(Letters("UGCAUG", 17), Letters("GCGCGC", 34))));
  ExpectEffect(own, "ACG@0", Of(Letters("ACG", 0)));
  ExpectEqual(own.effects.size(), size_t{2});
}

// Sequences whose padding a pattern would overwrite have no local effect; the others' are as ever.
TEST_F(RunnerTest, PaddedNulls) {
  for (int i = 0; i < kNulls; i += 3) {
    uint32_t* const words = nulls_.bases.data() + i * PackedWords(kLength);
    std::vector<uint8_t> codes(kLength);
    UnpackBases(words, kLength, codes.data());
    codes[0] = codes[1] = codes[39] = codes[40] = kUnknownBase;
    PackBases(codes.data(), kLength, words);
    nulls_.widths[i] = kLength - 4;
  }
  ExperimentSettings custom;
  custom.embed = {"ACG@0", "ACG@17"};
  const ExperimentResult result = Ask("custom", custom);
  ExpectEqual(result.effects[0].left_out, int64_t{25});
  ExpectEqual(result.effects[0].summary.n, int64_t{50});
  ExpectEqual(result.effects[1].left_out, int64_t{0});
  const std::vector<double> expected = Of(Letters("ACG", 17));
  for (int i = 0; i < kNulls; ++i) {
    ExpectEqual(std::isnan(result.local[i]), i % 3 == 0);
    ExpectWithin(result.local[kNulls + i], expected[i], kRounding);
  }
}

TEST_F(RunnerTest, Refusals) {
  const auto refused = [&](const std::string& name, const ExperimentSettings& settings, const std::string& part) {
    const auto experiment = MakeExperiment(name, settings);
    ExpectEqual(experiment.status().code(), absl::StatusCode::kInvalidArgument, name);
    EXPECT_THAT(std::string(experiment.status().message()), HasSubstr(part));
    EXPECT_EQ(experiment.status().message().find('\n'), absl::string_view::npos);
  };
  refused("dance", Motif("UGCAUG"), "dance");
  refused("sites", Motif(""), "no motif");
  refused("sites", Motif("UGXAUG"), "'X'");
  refused("mutate", Motif("UGNAUG"), "several bases");
  refused("pair", Motif("UGCAUG"), "second");
  refused("custom", {}, "nothing to embed");
  refused("sites", Motif(std::string(40, 'A')), "sites");
  ExperimentSettings small = Motif("UGCAUG");
  small.length = 20;
  refused("gc", small, "gc");
  ExperimentSettings twice;
  twice.embed = {"ACG@3", "ACG@3"};
  refused("custom", twice, "twice");
  Experiment bad;
  bad.name = "custom";
  bad.questions = {{"x", "ACG@40", "", 0}};
  const auto off = RunExperiment(bad, nulls_, model_.function(), {1, {}});
  ExpectEqual(off.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(off.status().message()), HasSubstr("custom"));
  Sequences none;
  ExpectEqual(RunExperiment(bad, none, model_.function(), {1, {}}).ok(), false);
  // A scorer's own error comes through.
  const ScoreFunction failing = [](const Sequences&) -> absl::StatusOr<std::vector<float>> {
    return absl::DataLossError("gone");
  };
  bad.questions[0].pattern = "ACG@4";
  ExpectEqual(RunExperiment(bad, nulls_, failing, {1, {}}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(RunnerTest, ControlsAreNotTheMotif) {
  const ExperimentResult result = Ask("position", Motif("UGCAUG"));
  std::set<std::string> patterns;
  int controls = 0;
  for (const Effect& e : result.effects) {
    if (!e.control) continue;
    ++controls;
    patterns.insert(e.pattern);
    ExpectEqual(e.pattern == "UGCAUG@17", false);
  }
  ExpectEqual(controls, 10);
  ExpectEqual(patterns.size() >= 9, true);  // a scrambled one may come up as one of the same GC content
  ExperimentSettings none = Motif("UGCAUG");
  none.controls = 0;
  ExpectEqual(Ask("position", none).effects.size(), size_t{6});
}

}  // namespace
}  // namespace rb
