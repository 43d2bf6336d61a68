// Models that are no network: scoring against plain loops, ridge regression against dense normal equations, files.
#include "model/baseline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "data/alphabet.h"
#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/kmer_fit.h"
#include "model/predictor.h"
#include "model/saliency.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;
using ::testing::HasSubstr;

constexpr int kLength = 20;

// Short ones, some with N, one of N alone, one of a single letter.
Sequences HostileSequences(int n, uint64_t key) {
  Sequences sequences;
  sequences.length = kLength;
  PhiloxStream random(key);
  for (const char* text : {"NNNNNNNN", "A", "ACG", "ACGNUUU", "ACGUACGUACGUACGUACGU"}) sequences.AppendCentred(text);
  while (sequences.size() < n) {
    std::string letters(1 + random.Below(kLength), ' ');
    for (char& letter : letters) letter = random.Below(12) == 0 ? 'N' : "ACGU"[random.Below(4)];
    sequences.AppendCentred(letters);
  }
  return sequences;
}

std::vector<uint8_t> CodesOf(const Sequences& sequences, int64_t i) {
  std::vector<uint8_t> codes(kLength);
  UnpackBases(sequences.packed(i), kLength, codes.data());
  return codes;
}

// All windows of known letters, by the plainest of loops.
std::vector<std::vector<uint8_t>> WindowsOf(const Sequences& sequences, int64_t i, int width) {
  const std::vector<uint8_t> codes = CodesOf(sequences, i);
  std::vector<std::vector<uint8_t>> windows;
  for (int p = 0; p + width <= kLength; ++p) {
    std::vector<uint8_t> window(codes.begin() + p, codes.begin() + p + width);
    if (std::count(window.begin(), window.end(), kUnknownBase) == 0) windows.push_back(window);
  }
  return windows;
}

size_t Number(const std::vector<uint8_t>& window) {
  size_t number = 0;
  for (const uint8_t code : window) number = 4 * number + code;
  return number;
}

Baseline RandomKmerModel(int k, uint64_t key) {
  Baseline b;
  b.kind = ModelKind::kKmer;
  b.k = k;
  b.penalty = 30;
  PhiloxStream random(key);
  for (size_t m = 0; m < size_t{1} << (2 * k); ++m) b.weights.push_back(static_cast<float>(random.Uniform() - 0.5));
  b.intercept = 0.25f;
  return b;
}

Baseline RandomMatrix(int width, WindowScan scan, uint64_t key) {
  Baseline b;
  b.kind = ModelKind::kPwm;
  b.k = 7, b.top = 10;
  b.scan = scan;
  PhiloxStream random(key);
  for (int i = 0; i < 4 * width; ++i) b.weights.push_back(static_cast<float>(3 * random.Uniform() - 2));
  b.intercept = -0.5f, b.slope = 0.75f;
  return b;
}

std::vector<float> Scores(const Baseline& baseline, const Sequences& sequences) {
  std::vector<float> scores(static_cast<size_t>(sequences.size()), NAN);
  const auto scorer = NewBaselineScorer(baseline, sequences.length);
  EXPECT_TRUE(scorer->Score(sequences.bases.data(), nullptr, nullptr, sequences.size(), scores.data()).ok());
  return scores;
}

TEST(BaselineScorer, KmerModelIsASumOverWindows) {
  const Sequences sequences = HostileSequences(60, 3);
  for (int k = 1; k <= kMaxRegressionKmer; ++k) {
    const Baseline b = RandomKmerModel(k, static_cast<uint64_t>(k));
    const std::vector<float> found = Scores(b, sequences);
    for (int64_t i = 0; i < sequences.size(); ++i) {
      double sum = b.intercept;
      for (const auto& window : WindowsOf(sequences, i, k)) sum += b.weights[Number(window)];
      ExpectWithin(found[i], sum, 1e-6 * (1 + std::abs(sum)));
    }
    ExpectEqual(found[0], b.intercept, "no known letter, no k-mer");
  }
}

TEST(BaselineScorer, MatrixIsItsBestWindowOrTheirSum) {
  const Sequences sequences = HostileSequences(60, 4);
  for (const WindowScan scan : {WindowScan::kBest, WindowScan::kSum}) {
    for (const int width : {1, 4, 7, kLength}) {
      const Baseline b = RandomMatrix(width, scan, 5);
      const std::vector<float> found = Scores(b, sequences);
      double worst = 0;
      for (int c = 0; c < width; ++c) {
        worst += *std::min_element(b.weights.begin() + 4 * c, b.weights.begin() + 4 * c + 4);
      }
      for (int64_t i = 0; i < sequences.size(); ++i) {
        std::vector<double> odds;
        for (const auto& window : WindowsOf(sequences, i, width)) {
          odds.push_back(0);
          for (int c = 0; c < width; ++c) odds.back() += b.weights[4 * c + window[c]];
        }
        double score = worst, sum = 0;
        for (const double o : odds) sum += std::exp(o);
        if (!odds.empty())
          score = scan == WindowScan::kSum ? std::log(sum) : *std::max_element(odds.begin(), odds.end());
        ExpectWithin(found[i], b.intercept + b.slope * score, 2e-6 * (1 + std::abs(score)));
      }
    }
  }
}

ModelFile FileOf(const Baseline& baseline) {
  ModelFile model;
  model.config.shape.length = kLength;
  model.config.seed = 9;
  model.config.preset = Preset::kPublished;
  model.config.transform = TransformKind::kClip;
  model.config.valid_fraction = 0.2;
  model.experiment = "EXP1";
  model.transform = {TransformKind::kClip, 0, 7.5, 1.0 / 3, 2.0 / 3};
  model.best_metric = 0.1 + 0.2;
  model.profile.assign(kLength * 4, 0.25f);
  model.extra = {{"note", "kept"}};
  model.baseline = baseline;
  return model;
}

// A scan by definition: each k-mer written into each sequence.
TEST(BaselineScorer, ScansThroughThePredictor) {
  ThreadPool pool(2);
  const auto machine = MakeCpuBackend<float>(pool);
  const Sequences sequences = HostileSequences(40, 6);
  for (const Baseline& b : {RandomKmerModel(3, 8), RandomMatrix(5, WindowScan::kSum, 9)}) {
    const auto predictor = Predictor::Create(FileOf(b), Precision::kFp32, *machine);
    ASSERT_TRUE(predictor.ok()) << predictor.status();
    const auto scan = predictor->ScanKmers(sequences, 2, 9);
    ASSERT_TRUE(scan.ok()) << scan.status();
    const std::vector<float> without = Scores(b, sequences);
    for (int64_t m = 0; m < 16; ++m) {
      Sequences written = sequences;
      for (int64_t i = 0; i < written.size(); ++i) {
        WriteKmer(written.bases.data() + i * PackedWords(kLength), kLength, m, 2, 9);
      }
      const std::vector<float> with = Scores(b, written);
      double mean = 0;
      for (size_t i = 0; i < with.size(); ++i) mean += (static_cast<double>(with[i]) - without[i]) / std::ssize(with);
      ExpectWithin(scan->effects[m].mean, mean, 1e-12);
    }
    for (size_t i = 1; i < scan->order.size(); ++i) {
      ExpectEqual(scan->effects[scan->order[i - 1]].mean >= scan->effects[scan->order[i]].mean, true);
    }
  }
}

TEST(BaselineScorer, TracksDoNotMatterAndGradientsAreRefused) {
  ThreadPool pool(1);
  const auto machine = MakeCpuBackend<float>(pool);
  const ModelFile model = FileOf(RandomKmerModel(4, 10));
  const auto predictor = Predictor::Create(model, Precision::kBf16, *machine);
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const Dataset with = test::ToyDataset(30, 1, kLength, 5);
  Sequences without = with.sequences;
  without.DropTracks();
  test::ExpectSameBits<float>(predictor->Predict(with.sequences).value(), predictor->Predict(without).value(),
                              "tracks");
  const std::vector<int32_t> rows = {29, 0, 0};
  const std::vector<float> all = predictor->Predict(without).value(), some = predictor->Predict(without, rows).value();
  for (size_t i = 0; i < rows.size(); ++i) ExpectEqual(some[i], all[rows[i]]);
  ExpectEqual(predictor->Predict(test::ToyDataset(5, 1, 21).sequences).ok(), false);
  const auto saliency = Saliency::Create(model, *machine);
  ExpectEqual(saliency.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(saliency.status().message()), HasSubstr("kmer"));
  ExpectEqual(RequireNetwork(ModelFile(), "x").ok(), true);
}

// --- ridge regression
// --------------------------------------------------------------------------------------------------

struct Problem {
  Sequences sequences;
  std::vector<int32_t> train, valid;
  std::vector<float> train_targets, valid_targets;
  BaselineData data() const { return {sequences, train, valid, train_targets, valid_targets}; }
};

// Targets f(sequence) of all sequences; the last fifth validates.
template <class F>
Problem MakeProblem(const Sequences& sequences, const F& f) {
  Problem p;
  p.sequences = sequences;
  for (int32_t i = 0; i < sequences.size(); ++i) {
    const bool train = i < sequences.size() * 4 / 5;
    (train ? p.train : p.valid).push_back(i);
    (train ? p.train_targets : p.valid_targets).push_back(static_cast<float>(f(i)));
  }
  return p;
}

// Solves a x = b in place by elimination with pivots; a is [n][n].
std::vector<double> SolveDense(std::vector<std::vector<double>> a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c + 1; r < n; ++r) pivot = std::abs(a[r][c]) > std::abs(a[pivot][c]) ? r : pivot;
    std::swap(a[c], a[pivot]);
    std::swap(b[c], b[pivot]);
    for (size_t r = c + 1; r < n; ++r) {
      const double factor = a[r][c] / a[c][c];
      for (size_t j = c; j < n && factor != 0; ++j) a[r][j] -= factor * a[c][j];
      b[r] -= factor * b[c];
    }
  }
  for (size_t c = n; c-- > 0;) {
    for (size_t j = c + 1; j < n; ++j) b[c] -= a[c][j] * b[j];
    b[c] /= a[c][c];
  }
  return b;
}

// Weights and, last, the intercept: the normal equations with an unpenalised column of ones.
std::vector<double> DenseRidge(const Problem& p, int k, double penalty) {
  const size_t n = (size_t{1} << (2 * k)) + 1;
  std::vector<std::vector<double>> gram(n, std::vector<double>(n, 0.0));
  std::vector<double> right(n, 0.0);
  for (size_t i = 0; i < p.train.size(); ++i) {
    std::vector<double> x(n, 0.0);
    x[n - 1] = 1;
    for (const auto& window : WindowsOf(p.sequences, p.train[i], k)) ++x[Number(window)];
    for (size_t a = 0; a < n; ++a) {
      right[a] += x[a] * p.train_targets[i];
      for (size_t b = 0; b < n; ++b) gram[a][b] += x[a] * x[b];
    }
  }
  for (size_t a = 0; a + 1 < n; ++a) gram[a][a] += penalty;
  return SolveDense(gram, right);
}

// k = 1 and three probes, AA -> 3, C -> 1, G -> 2, penalty 2. Centred counts of A (4/3, -2/3, -2/3), C (-1/3, 2/3,
// -1/3), G (-1/3, -1/3, 2/3), targets (1, -1, 0): the normal equations times three are in whole numbers.
TEST(KmerFit, WholeNumbers) {
  Sequences sequences;
  sequences.length = kLength;
  for (const char* text : {"AA", "C", "G", "A", "C"}) sequences.AppendCentred(text);
  Problem p;
  p.sequences = sequences;
  p.train = {0, 1, 2}, p.train_targets = {3, 1, 2};
  p.valid = {3, 4}, p.valid_targets = {1, 0};
  ThreadPool pool(1);
  const double penalty[] = {2};
  const auto fit = FitKmers(p.data(), 1, penalty, pool);
  ASSERT_TRUE(fit.ok()) << fit.status();
  const std::vector<float>& w = fit->model.weights;
  ExpectWithin(14.0 * w[0] - 2.0 * w[1] - 2.0 * w[2], 6, 1e-5);
  ExpectWithin(-2.0 * w[0] + 8.0 * w[1] - 1.0 * w[2], -3, 1e-5);
  ExpectWithin(-2.0 * w[0] - 1.0 * w[1] + 8.0 * w[2], 0, 1e-5);
  ExpectEqual(w[3], 0.0f, "a k-mer that no probe has");
  ExpectWithin(fit->model.intercept, 2 - (2.0 * w[0] + w[1] + w[2]) / 3, 1e-6);
  ExpectEqual(fit->trials[0].valid_pearson > 0.999, true);
}

TEST(KmerFit, EqualsDenseNormalEquations) {
  const Sequences sequences = HostileSequences(300, 11);
  PhiloxStream random(12);
  const Problem p = MakeProblem(sequences, [&](int32_t i) {
    return static_cast<double>(WindowsOf(sequences, i, 1).size()) * 0.1 + random.Uniform();
  });
  ThreadPool pool(2);
  for (int k = 1; k <= 4; ++k) {
    for (const double penalty : {100.0, 1.0, 0.01}) {
      const auto fit = FitKmers(p.data(), k, std::span(&penalty, 1), pool);
      ASSERT_TRUE(fit.ok()) << fit.status();
      const std::vector<double> expected = DenseRidge(p, k, penalty);
      double largest = 0;
      for (const double w : expected) largest = std::max(largest, std::abs(w));
      for (size_t m = 0; m < fit->model.weights.size(); ++m) {
        ExpectWithin(fit->model.weights[m], expected[m], 2e-7 * largest, "weight");
      }
      ExpectWithin(fit->model.intercept, expected.back(), 2e-7 * largest, "intercept");
      ExpectEqual(fit->trials[0].residual <= 1e-9, true);
    }
  }
}

TEST(KmerFit, FindsPlantedWeightsAndChoosesByValidation) {
  const Sequences sequences = HostileSequences(6000, 13);
  const Baseline truth = RandomKmerModel(2, 14);
  const std::vector<float> clean = Scores(truth, sequences);
  PhiloxStream random(15);
  const Problem p = MakeProblem(sequences, [&](int32_t i) { return clean[i] + 0.1 * (random.Uniform() - 0.5); });
  ThreadPool pool(2);
  const auto fit = FitKmers(p.data(), 2, KmerPenalties(), pool);
  ASSERT_TRUE(fit.ok()) << fit.status();
  ExpectEqual(fit->trials.size(), KmerPenalties().size());
  for (size_t m = 0; m < 16; ++m) ExpectWithin(fit->model.weights[m], truth.weights[m], 0.01);
  ExpectWithin(fit->model.intercept, truth.intercept, 0.02);
  for (size_t i = 0; i < fit->trials.size(); ++i) {
    const KmerTrial &t = fit->trials[i], &best = fit->trials[fit->best];
    ExpectEqual(i < fit->best ? t.valid_pearson < best.valid_pearson : t.valid_pearson <= best.valid_pearson, true);
  }
  ExpectEqual(fit->model.penalty, fit->trials[fit->best].penalty);
}

TEST(KmerFit, ThreadsDoNotMatter) {
  const Sequences sequences = HostileSequences(2000, 16);
  PhiloxStream random(17);
  const Problem p = MakeProblem(sequences, [&](int32_t) { return random.Uniform(); });
  ThreadPool one(1), three(3);
  const auto a = FitKmers(p.data(), 4, KmerPenalties(), one), b = FitKmers(p.data(), 4, KmerPenalties(), three);
  ASSERT_TRUE(a.ok() && b.ok());
  test::ExpectSameBits<float>(a->model.weights, b->model.weights, "weights");
  ExpectEqual(a->model.intercept, b->model.intercept);
  for (size_t i = 0; i < a->trials.size(); ++i) ExpectEqual(a->trials[i].residual, b->trials[i].residual);
}

TEST(KmerFit, Refusals) {
  ThreadPool pool(1);
  const auto message = [&](const Problem& p, int k) {
    const auto fit = FitKmers(p.data(), k, KmerPenalties(), pool);
    ExpectEqual(fit.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(fit.status().message());
  };
  Sequences unknown, one;
  unknown.length = one.length = kLength;
  for (int i = 0; i < 10; ++i) unknown.AppendCentred("ACNGU");
  EXPECT_THAT(message(MakeProblem(unknown, [](int32_t i) { return i; }), 3), HasSubstr("3-mer"));
  // One probe, and constant scores: weights of zero predict nothing.
  one.AppendCentred("ACGU");
  one.AppendCentred("ACGG");
  Problem p = MakeProblem(one, [](int32_t i) { return i; });
  ExpectEqual(p.train.size(), size_t{1});
  EXPECT_THAT(message(p, 2), HasSubstr("every penalty"));
  EXPECT_THAT(message(MakeProblem(HostileSequences(100, 18), [](int32_t) { return 3; }), 2),
              HasSubstr("scores that differ"));
}

// --- files
// -------------------------------------------------------------------------------------------------------------

TEST(BaselineFile, RoundTrip) {
  const test::TemporaryFolder folder;
  for (const Baseline& b : {RandomKmerModel(4, 20), RandomMatrix(9, WindowScan::kSum, 21)}) {
    const ModelFile model = FileOf(b);
    const std::string path = folder.path("model.safetensors");
    ASSERT_TRUE(WriteModel(model, path).ok());
    const auto read = ReadModel(path);
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectEqual(IsNetwork(*read), false);
    ExpectEqual(SettingsOf(read->config) == SettingsOf(model.config), true);
    ExpectEqual(read->baseline.kind == b.kind && read->baseline.scan == b.scan, true);
    ExpectEqual(read->baseline.k, b.k);
    ExpectEqual(read->baseline.top, b.top);
    ExpectEqual(read->baseline.penalty, b.penalty);
    test::ExpectSameBits<float>(read->baseline.weights, b.weights, "weights");
    ExpectEqual(read->baseline.intercept, b.intercept);
    ExpectEqual(read->baseline.slope, b.slope);
    ExpectEqual(read->transform.clip, model.transform.clip);
    ExpectEqual(read->best_metric, model.best_metric);
    ExpectEqual(read->profile == model.profile, true);
    ExpectEqual(read->extra == model.extra, true);
    ExpectEqual(read->parameters.empty(), true);
  }
}

TEST(BaselineFile, EveryFlippedByteAndCutIsNoticed) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  ASSERT_TRUE(WriteModel(FileOf(RandomMatrix(4, WindowScan::kBest, 22)), path).ok());
  const std::string bytes = test::ReadBytes(path);
  for (size_t i = 0; i < bytes.size(); i += 7) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    test::WriteBytes(path, damaged);
    ExpectEqual(ReadModel(path).ok(), false, "byte " + std::to_string(i));
    test::WriteBytes(path, bytes.substr(0, i));
    ExpectEqual(ReadModel(path).ok(), false, "cut to " + std::to_string(i));
  }
}

TEST(BaselineFile, Refusals) {
  const auto message = [](const SafeTensors& content) {
    // Through bytes, which carry the checksums.
    const auto parsed = ParseSafeTensors(SerializeSafeTensors(content).value(), "x");
    const auto read = ModelFromSafeTensors(*parsed, "x");
    ExpectEqual(read.ok(), false);
    return std::string(read.status().message());
  };
  const SafeTensors kmer = ModelToSafeTensors(FileOf(RandomKmerModel(3, 23)));
  const SafeTensors pwm = ModelToSafeTensors(FileOf(RandomMatrix(5, WindowScan::kBest, 24)));
  const auto with = [](SafeTensors content, const std::string& key, const std::string& value) {
    content.metadata[key] = value;
    return content;
  };
  EXPECT_THAT(message(with(kmer, "model", "forest")), HasSubstr("forest"));
  EXPECT_THAT(message(with(kmer, "model", "residualbind")), HasSubstr("expected kmer or pwm"));
  EXPECT_THAT(message(with(kmer, "baseline.k", "4")), HasSubstr("[256]"));
  EXPECT_THAT(message(with(kmer, "baseline.k", "99")), HasSubstr("99"));
  EXPECT_THAT(message(with(kmer, "baseline.k", "-1")), HasSubstr("-1"));
  EXPECT_THAT(message(with(kmer, "baseline.penalty", "much")), HasSubstr("baseline.penalty"));
  EXPECT_THAT(message(with(kmer, "shape.length", "9999999")), HasSubstr("length"));
  EXPECT_THAT(message(with(pwm, "baseline.scan", "worst")), HasSubstr("worst"));
  SafeTensors changed = kmer;
  changed.metadata.erase("seed");
  EXPECT_THAT(message(changed), HasSubstr("seed"));
  changed = kmer;
  changed.metadata.erase("model");
  EXPECT_THAT(message(changed), HasSubstr("missing"));
  const auto put = [](SafeTensors content, const NamedTensor& tensor) {
    for (NamedTensor& t : content.tensors) {
      if (t.name == tensor.name) return t = tensor, content;
    }
    content.tensors.push_back(tensor);
    return content;
  };
  EXPECT_THAT(message(put(kmer, TensorF32("more", {1}, std::vector<float>{1}))), HasSubstr("no part"));
  EXPECT_THAT(message(put(kmer, TensorF32("line", {3}, std::vector<float>{1, 2, 3}))), HasSubstr("line"));
  EXPECT_THAT(message(put(kmer, TensorF32("line", {2}, std::vector<float>{1, NAN}))), HasSubstr("not finite"));
  EXPECT_THAT(message(put(pwm, TensorF32("log_odds", {0, 4}, std::vector<float>{}))), HasSubstr("0 columns"));
  EXPECT_THAT(message(put(pwm, TensorF32("log_odds", {kLength + 1, 4}, std::vector<float>(4 * kLength + 4)))),
              HasSubstr("21 columns"));
  EXPECT_THAT(message(put(pwm, TensorF32("log_odds", {20}, std::vector<float>(20)))), HasSubstr("log_odds"));
  EXPECT_THAT(message(put(pwm, TensorF64("log_odds", {5, 4}, std::vector<double>(20)))), HasSubstr("F64"));
  changed = pwm;
  std::erase_if(changed.tensors, [](const NamedTensor& t) { return t.name == "log_odds"; });
  EXPECT_THAT(message(changed), HasSubstr("log_odds"));
  test::CountComparisons(17);
}

}  // namespace
}  // namespace rb
