// Models that are no network: scoring against plain loops, scans, files.
#include "model/baseline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/kmer_fit.h"
#include "model/predictor.h"
#include "model/saliency.h"
#include "tests/model/baseline_models.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;
using test::HostileSequences;
using test::kLength;
using test::RandomKmerModel;
using test::RandomMatrix;
using test::Scores;
using test::WindowsOf;
using ::testing::HasSubstr;

TEST(BaselineScorer, KmerModelIsASumOverWindows) {
  const Sequences sequences = HostileSequences(60, 3);
  for (int k = 1; k <= kMaxRegressionKmer; ++k) {
    const Baseline b = RandomKmerModel(k, static_cast<uint64_t>(k));
    const std::vector<float> found = Scores(b, sequences);
    for (int64_t i = 0; i < sequences.size(); ++i) {
      double sum = b.intercept;
      for (const auto& window : WindowsOf(sequences, i, k)) sum += b.weights[test::Number(window)];
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
