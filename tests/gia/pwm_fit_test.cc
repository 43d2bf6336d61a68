// Matrices from measured scores: z scores and log odds by hand, a planted motif, what cannot be fitted.
#include "gia/pwm_fit.h"

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/gia/gia_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectRefused;
using test::ExpectWithin;

struct Problem {
  Sequences sequences;
  std::vector<int32_t> train, valid;
  std::vector<float> train_targets, valid_targets;
  BaselineData data() const { return {sequences, train, valid, train_targets, valid_targets}; }
};

template <class F>
Problem MakeProblem(const std::vector<std::string>& texts, const F& f) {
  Problem p;
  p.sequences = test::Pack(texts, 41);
  for (size_t i = 0; i < texts.size(); ++i) {
    const bool train = i < texts.size() * 4 / 5;
    (train ? p.train : p.valid).push_back(static_cast<int32_t>(i));
    (train ? p.train_targets : p.valid_targets).push_back(static_cast<float>(f(texts[i])));
  }
  return p;
}

TEST(KmerZScores, EqualTheirDefinition) {
  const auto length = [](const std::string& text) { return static_cast<double>(text.size() % 7); };
  const Problem p = MakeProblem(test::RandomTexts(200, 1, 41, 5), length);
  const double n = static_cast<double>(p.train.size());
  double mean = 0, squares = 0;
  for (const float y : p.train_targets) mean += y / n;
  for (const float y : p.train_targets) squares += (y - mean) * (y - mean);
  std::map<std::string, std::vector<double>> by_kmer;
  for (size_t i = 0; i < p.train.size(); ++i) {
    const std::string letters = test::Unpack(p.sequences, p.train[i]);
    std::set<std::string> own;
    for (size_t at = 0; at + 3 <= letters.size(); ++at) own.insert(letters.substr(at, 3));
    for (const std::string& kmer : own) {
      if (kmer.find('.') == std::string::npos) by_kmer[kmer].push_back(p.train_targets[i]);
    }
  }
  const std::vector<WeightedSequence> found = KmerZScores(p.data(), 3);
  ExpectEqual(found.size(), by_kmer.size());
  auto expected = by_kmer.begin();
  for (const WeightedSequence& kmer : found) {
    ExpectEqual(kmer.letters, expected->first);
    double own = 0;
    for (const double y : expected->second) own += y / std::ssize(expected->second);
    ExpectWithin(kmer.weight, (own - mean) / (std::sqrt(squares / n) / std::sqrt(std::ssize(expected->second))), 1e-9);
    ++expected;
  }
}

TEST(LogOdds, ByHand) {
  AlignmentMotif motif;
  motif.sums = {{8, 0, 0, 0}, {2, 2, 0, 0}};
  const std::vector<float> odds = LogOdds(motif, 10, {0.5, 0.25, 0.125, 0.125});  // 1 of weight added
  ExpectWithin(odds[0], std::log((8 + 0.5) / 9 / 0.5), 1e-6);
  ExpectWithin(odds[1], std::log(0.25 / 9 / 0.25), 1e-6);
  ExpectWithin(odds[5], std::log((2 + 0.25) / 5 / 0.25), 1e-6);
  ExpectWithin(odds[7], std::log(0.125 / 5 / 0.125), 1e-6);
}

// Probes score 2 for each UGCAUG, but for noise.
Problem Planted() {
  std::vector<std::string> texts = test::RandomTexts(4000, 30, 41, 6);
  for (size_t i = 0; i < texts.size(); i += 5) texts[i].replace(i % 20, 6, "UGCAUG");
  uint64_t draw = 0;
  return MakeProblem(texts, [&](const std::string& text) {
    double score = PhiloxStream(7, draw++).Uniform();
    for (size_t at = text.find("UGCAUG"); at != std::string::npos; at = text.find("UGCAUG", at + 1)) score += 2;
    return score;
  });
}

std::string Consensus(const Baseline& model) {
  std::string letters;
  for (int c = 0; c < model.width(); ++c) {
    const auto column = model.weights.begin() + 4 * c;
    const auto best = std::max_element(column, column + 4);
    letters += *best > 0.5 ? "ACGU"[best - column] : '.';
  }
  return letters;
}

// The matrix of one who knows the motif: a tenth of the weight is on the background, as in those that are fitted.
Baseline TrueMatrix(WindowScan scan) {
  AlignmentMotif motif;
  for (const char letter : std::string("UGCAUG")) motif.sums.emplace_back()[BaseCode(letter)] = 1;
  Baseline model;
  model.kind = ModelKind::kPwm;
  model.scan = scan;
  model.weights = LogOdds(motif, 1, {0.25, 0.25, 0.25, 0.25});
  return model;
}

TEST(FitPwm, FindsAPlantedMotif) {
  const Problem p = Planted();
  for (const WindowScan scan : {WindowScan::kBest, WindowScan::kSum}) {
    PwmFitOptions options;
    options.k = 6;
    options.scan = scan;
    options.tops = {1, 5, 10};
    const auto fit = FitPwm(p.data(), options);
    ASSERT_TRUE(fit.ok()) << fit.status();
    ExpectEqual(Consensus(fit->model).find("UGCAUG") != std::string::npos, true, Consensus(fit->model));
    ExpectEqual(fit->trials.size(), size_t{3});
    const double found = fit->trials[fit->best].valid_pearson, known = *ValidPearson(TrueMatrix(scan), p.data());
    ExpectEqual(known > 0.75 && found > known - 0.02, true, std::to_string(found) + " of " + std::to_string(known));
    ExpectEqual(fit->model.slope > 0, true);
    ExpectEqual(fit->model.top, options.tops[fit->best]);
    for (const PwmTrial& trial : fit->trials) {
      ExpectEqual(trial.valid_pearson <= fit->trials[fit->best].valid_pearson, true);
    }
    options.width = 4;
    options.tops = {10};
    const auto narrow = FitPwm(p.data(), options);
    ASSERT_TRUE(narrow.ok()) << narrow.status();
    ExpectEqual(narrow->model.width(), 4);
    ExpectEqual(std::string("UGCAUG").find(Consensus(narrow->model)) != std::string::npos, true);
  }
}

// Of 64 3-mers few score above the mean where there is a motif: greater numbers than that come to the same matrix.
TEST(FitPwm, TellsHowManyKmersItAligned) {
  const Problem p = Planted();
  const std::vector<WeightedSequence> kmers = KmerZScores(p.data(), 3);
  const auto above =
      std::count_if(kmers.begin(), kmers.end(), [](const WeightedSequence& kmer) { return kmer.weight > 0; });
  ASSERT_GT(above, 10);
  ASSERT_LT(above, 20);
  PwmFitOptions options;
  options.k = 3;
  const auto fit = FitPwm(p.data(), options);
  ASSERT_TRUE(fit.ok()) << fit.status();
  std::vector<int> tops;
  for (const PwmTrial& trial : fit->trials) tops.push_back(trial.top);
  ExpectEqual(tops, std::vector<int>({10, static_cast<int>(above)}));
  ExpectEqual(fit->model.top, tops[fit->best]);
  options.tops = {500};
  const auto all = FitPwm(p.data(), options);
  ASSERT_TRUE(all.ok()) << all.status();
  ExpectEqual(all->model.top, static_cast<int>(above));
}

// The line is the least-squares one: residuals of the training part add up to nothing, alone and times the score.
TEST(FitPwm, LineIsLeastSquares) {
  const Problem p = Planted();
  PwmFitOptions options;
  options.tops = {20};
  const auto fit = FitPwm(p.data(), options);
  ASSERT_TRUE(fit.ok()) << fit.status();
  std::vector<float> f(p.train.size());
  ASSERT_TRUE(NewBaselineScorer(fit->model, 41)
                  ->Score(p.sequences.bases.data(), nullptr, p.train.data(), std::ssize(p.train), f.data())
                  .ok());
  double alone = 0, times = 0;
  for (size_t i = 0; i < f.size(); ++i) {
    alone += (p.train_targets[i] - f[i]) / std::ssize(f);
    times += (p.train_targets[i] - f[i]) * f[i] / std::ssize(f);
  }
  ExpectWithin(alone, 0, 1e-5);
  ExpectWithin(times, 0, 1e-5);
}

TEST(FitPwm, Refusals) {
  PwmFitOptions options;
  const std::vector<std::string> texts = test::RandomTexts(50, 20, 41, 8);
  ExpectRefused(FitPwm(MakeProblem(texts, [](const std::string&) { return 1; }).data(), options).status(),
                "scores that differ");
  const std::vector<std::string> unknown(20, "ACGNNACG");
  int i = 0;
  ExpectRefused(FitPwm(MakeProblem(unknown, [&](const std::string&) { return i++; }).data(), options).status(),
                "no 7-mer");
  // Validation probes without a window.
  std::vector<std::string> late = texts;
  for (size_t at = 40; at < late.size(); ++at) late[at] = "ACGU";
  ExpectRefused(FitPwm(MakeProblem(late, [&](const std::string&) { return i++; }).data(), options).status(),
                "scores all validation probes alike");
}

}  // namespace
}  // namespace rb
