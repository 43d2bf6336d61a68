// The k-mer scan against one prediction at a time, and the profile null model.
#include "gia/kmer_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "gia/null_profile.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;
using ::testing::HasSubstr;

ModelFile SmallModel(int length = 41) {
  ModelFile model;
  Shape& s = model.config.shape;
  s.length = length;
  s.filters = 32;
  s.hidden = 32;
  s.first_width = 5;
  model.experiment = "EXP1";
  const ParameterTable table(s);
  model.parameters.resize(static_cast<size_t>(table.storage()));
  InitializeParameters(table, 1, 2, model.parameters.data());
  for (int p = 0; p < length; ++p) {
    for (const float f : {0.4f, 0.3f, 0.2f, 0.1f}) model.profile.push_back(f);
  }
  return model;
}

Sequences Nulls(const ModelFile& model, int64_t n, uint64_t seed = 5) {
  const uint64_t key = DeriveKey(seed, Purpose::kNullModel, StableId("EXP1", 0));
  return DrawProfileNulls(model.profile, model.config.shape.length, n, key).value();
}

TEST(NullProfile, FollowsTheFrequencies) {
  const int length = 20, n = 4000;
  std::vector<float> profile(length * 4, 0.25f);
  const float first[] = {0.7f, 0.0f, 0.1f, 0.2f};
  std::copy(first, first + 4, profile.begin());
  profile[4] = profile[5] = profile[6] = 0;  // position 1: U alone
  profile[7] = 1;
  const auto nulls = DrawProfileNulls(profile, length, n, 99);
  ASSERT_TRUE(nulls.ok()) << nulls.status();
  ExpectEqual(nulls->size(), int64_t{n});
  std::vector<int> counts(length * 5, 0);
  for (int i = 0; i < n; ++i) {
    for (int p = 0; p < length; ++p) ++counts[p * 5 + BaseAt(nulls->packed(i), length, p)];
  }
  for (int p = 0; p < length; ++p) {
    ExpectEqual(counts[p * 5 + kUnknownBase], 0);
    for (int b = 0; b < 4; ++b) {
      const double f = profile[p * 4 + b];
      ExpectWithin(counts[p * 5 + b], n * f, 5 * std::sqrt(n * f * (1 - f)) + 1e-9);  // five standard deviations
    }
  }
}

TEST(NullProfile, MoreSequencesExtendFewer) {
  const std::vector<float> profile(16 * 4, 0.25f);
  const auto few = DrawProfileNulls(profile, 16, 5, 1), many = DrawProfileNulls(profile, 16, 50, 1);
  const auto other = DrawProfileNulls(profile, 16, 5, 2);
  test::ExpectSameBits<uint32_t>(few->bases, std::span(many->bases).first(few->bases.size()), "prefix");
  ExpectEqual(few->bases == other->bases, false);
}

TEST(NullProfile, Refusals) {
  std::vector<float> profile(16 * 4, 0.25f);
  ExpectEqual(DrawProfileNulls(profile, 17, 5, 1).ok(), false);
  for (const float bad : {-0.1f, NAN, INFINITY}) {
    std::vector<float> damaged = profile;
    damaged[9] = bad;
    ExpectEqual(DrawProfileNulls(damaged, 16, 5, 1).ok(), false);
  }
  std::fill_n(profile.begin() + 8, 4, 0.0f);
  ExpectEqual(DrawProfileNulls(profile, 16, 5, 1).ok(), false);
}

// Every effect from single predictions of sequences put together letter by letter.
TEST(KmerScan, EqualsOnePredictionAtATime) {
  ThreadPool pool(2);
  const auto backend = MakeCpuBackend<float>(pool);
  const ModelFile model = SmallModel();
  const auto predictor = Predictor::Create(model, Precision::kFp32, *backend);
  ASSERT_TRUE(predictor.ok());
  KmerScanOptions options;
  options.k = 3;
  const Sequences nulls = Nulls(model, 7);
  for (const int position : {0, 17, 30, 38}) {  // across words of the packing too
    options.position = position;
    const auto effects = ScanKmers(*predictor, nulls, options);
    ASSERT_TRUE(effects.ok()) << effects.status();
    ExpectEqual(effects->size(), size_t{64});
    std::string seen;
    for (size_t e = 0; e < effects->size(); ++e) {
      const KmerEffect& effect = effects->at(e);
      EXPECT_EQ(seen.find(effect.kmer), std::string::npos);
      seen += effect.kmer + " ";
      if (e > 0) ExpectEqual(effects->at(e - 1).effect >= effect.effect, true);
      double sum = 0, squares = 0;
      for (int32_t i = 0; i < 7; ++i) {
        std::vector<uint8_t> codes(41);
        UnpackBases(nulls.packed(i), 41, codes.data());
        for (int j = 0; j < 3; ++j)
          codes[position + j] = static_cast<uint8_t>(std::string("ACGU").find(effect.kmer[j]));
        Sequences one;
        one.widths = {41};
        one.bases.resize(PackedWords(41));
        PackBases(codes.data(), 41, one.bases.data());
        const double difference = static_cast<double>(predictor->Predict(one).value()[0]) -
                                  predictor->Predict(nulls, std::vector<int32_t>{i}).value()[0];
        sum += difference;
        squares += difference * difference;
      }
      ExpectEqual(effect.n, int64_t{7});
      const double variance = (squares - sum * sum / 7) / 6;
      ExpectWithin(effect.effect, sum / 7, 1e-12, effect.kmer);
      ExpectWithin(effect.se, std::sqrt(variance / 7), 1e-8, effect.kmer);
    }
  }
}

TEST(KmerScan, AllHexamersInBlocksAndThreads) {
  const ModelFile model = SmallModel(20);
  KmerScanOptions options;
  options.position = 8;
  std::vector<std::vector<KmerEffect>> runs;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const auto backend = MakeCpuBackend<float>(pool);
    const auto predictor = Predictor::Create(model, Precision::kFp32, *backend);
    runs.push_back(ScanKmers(*predictor, Nulls(model, 70), options).value());
  }
  ExpectEqual(runs[0].size(), size_t{4096});
  for (size_t i = 0; i < runs[0].size(); ++i) {
    ExpectEqual(runs[0][i].kmer, runs[1][i].kmer);
    ExpectEqual(runs[0][i].effect, runs[1][i].effect);
    ExpectEqual(runs[0][i].se, runs[1][i].se);
  }
}

// Sequences with padding where the k-mer goes are left out, whatever side it is on.
TEST(KmerScan, LeavesOutWhatHasPaddingThere) {
  ThreadPool pool(1);
  const auto backend = MakeCpuBackend<float>(pool);
  const ModelFile model = SmallModel(20);
  const auto predictor = Predictor::Create(model, Precision::kFp32, *backend);
  Sequences nulls = Nulls(model, 6);
  const int widths[] = {20, 12, 16, 14, 20, 15};  // padding before 4, 2, 3, 2
  for (int i = 0; i < 6; ++i) {
    const int left = LeftPadding(20, widths[i]);
    std::vector<uint8_t> codes(20);
    UnpackBases(nulls.packed(i), 20, codes.data());
    for (int p = 0; p < 20; ++p) {
      if (p < left || p >= left + widths[i]) codes[p] = kUnknownBase;
    }
    PackBases(codes.data(), 20, nulls.bases.data() + i * PackedWords(20));
    nulls.widths[i] = static_cast<uint16_t>(widths[i]);
  }
  for (const int position : {0, 2, 3, 4, 9, 14, 15, 16, 17, 18}) {
    const auto effects = ScanKmers(*predictor, nulls, {2, position});
    ASSERT_TRUE(effects.ok()) << effects.status();
    int64_t expected = 0;
    for (const int width : widths) {
      const int left = LeftPadding(20, width);
      expected += position >= left && position + 2 <= left + width;
    }
    ExpectEqual(effects->at(0).n, expected);
  }
  Sequences shorts = nulls;
  shorts.widths = {12};
  shorts.bases.assign(nulls.bases.begin() + PackedWords(20), nulls.bases.begin() + 2 * PackedWords(20));
  ExpectEqual(ScanKmers(*predictor, shorts, {2, 0}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(KmerScan, Refusals) {
  ThreadPool pool(1);
  const auto backend = MakeCpuBackend<float>(pool);
  const ModelFile model = SmallModel(20);
  const auto predictor = Predictor::Create(model, Precision::kFp32, *backend);
  const Sequences nulls = Nulls(model, 3);
  const auto expect_refused = [&](const Predictor& p, KmerScanOptions options, const char* part) {
    const auto effects = ScanKmers(p, nulls, options);
    ExpectEqual(effects.status().code(), absl::StatusCode::kInvalidArgument, part);
    EXPECT_THAT(std::string(effects.status().message()), HasSubstr(part));
  };
  expect_refused(*predictor, {0, 3}, "k is 0");
  expect_refused(*predictor, {9, 3}, "k is 9");
  expect_refused(*predictor, {6, 15}, "does not fit 20 positions");
  expect_refused(*predictor, {6, -1}, "does not fit");
  ExpectEqual(std::isnan(ScanKmers(*predictor, Nulls(model, 1), {1, 3})->at(0).se), true);
}

}  // namespace
}  // namespace rb
