// The dropout bits of every operator that draws them, on every vector target, against the scalar definition in
// kernels/batch_norm.h: bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "kernels/dilated_conv.h"
#include "kernels/head.h"
#include "kernels/residual_pool.h"
#include "tests/support/operator_bed.h"
#include "tests/support/operator_inputs.h"
#include "tests/support/oracle.h"

namespace rb::test {
namespace {

// A convolution of one tap whose input is positive everywhere: its mask is the keep bits.
std::vector<uint32_t> ConvMask(const StepState& state, int length, int channels, float rate, uint32_t layer) {
  ModelSet models = OneModel(state.rows);
  models.state(0) = state;
  PrologueInputs<float> prologue(models, channels, length, rate, layer, 1, Fill::kRandom);
  prologue.norm.MakeAlwaysPositive();
  const Tensor<float> x = DrawnValues<float>(models, int64_t{state.rows} * length * channels, 2, Fill::kRandom);
  const Tensor<float> w = DrawnValues<float>(models, channels * 32, 3, Fill::kRandom);
  const Tensor<float> packed(1, channels * 32), y(1, int64_t{state.rows} * length * 32);
  TestParallel parallel;
  cpu::DilatedConvForward<float>(
      {models.models(), {length, channels, 32, 1, 1, state.rows}, x, prologue.view(), w, packed, y, {}}, parallel);
  return {prologue.mask[0].begin(), prologue.mask[0].end()};
}

// The head's bits show in dh, which is nowhere else zero here.
std::vector<uint32_t> HeadMask(const StepState& state, int channels, float rate, uint32_t layer) {
  ModelSet models = OneModel(state.rows);
  models.state(0) = state;
  NormInputs<float> norm(models, channels, 1, 1, Fill::kRandom);
  norm.MakeAlwaysPositive();
  const Tensor<float> z = DrawnValues<float>(models, int64_t{state.rows} * channels, 2, Fill::kRandom);
  const Tensor<float> w(1, channels + 1), out(1, state.rows), dh(1, z.count());
  std::fill(w[0].begin(), w[0].end(), 1.0f);
  const Tensor<float> targets = DrawnValues<float>(models, state.rows, 3, Fill::kRandom);
  const Tensor<float> sums(1, kBatchChunks * 2 * channels), dw(1, kBatchChunks * (channels + 32));
  const Tensor<double> loss(1, kBatchChunks);
  TestParallel parallel;
  cpu::HeadForwardBackward<float>({models.models(),
                                   channels,
                                   state.rows,
                                   Loss::kSquaredError,
                                   z,
                                   norm.mean,
                                   norm.rstd,
                                   norm.gamma,
                                   norm.beta,
                                   rate,
                                   layer,
                                   w,
                                   targets,
                                   out,
                                   dh,
                                   sums,
                                   dw,
                                   channels + 32,
                                   loss,
                                   true},
                                  parallel);
  std::vector<uint32_t> words(z.count() / 32);
  for (int64_t i = 0; i < z.count(); ++i) words[i / 32] |= static_cast<uint32_t>(dh[0][i] != 0) << (i % 32);
  return words;
}

void ExpectDefinition(const std::vector<uint32_t>& words, const StepState& state, float rate, uint32_t layer) {
  int64_t bad = 0;
  for (size_t i = 0; i < words.size() * 32; ++i) {
    bad += oracle::BitOf(words, i) != oracle::Kept(state, layer, i, rate);
  }
  CountComparisons(static_cast<int64_t>(words.size()) * 32);
  EXPECT_EQ(bad, 0) << "keep bits that differ from the definition, rate " << rate << ", layer " << layer;
}

const std::vector<StepState> kStates = {{.dropout_key = 0x0123456789abcdefull, .step = 0, .rows = 9},
                                        {.dropout_key = ~0ull, .step = 0xfedcba9876543210ull, .rows = 3},
                                        {.dropout_key = 1, .step = 0xffffffffull, .rows = 1}};

TEST(Dropout, FollowsTheDefinitionOnEveryTarget) {
  ForEachTarget([] {
    for (const StepState& state : kStates) {
      for (const float rate : {0.0f, 0.1f, 0.25f, 0.5f, 0.9f, 0.99999f}) {
        for (const uint32_t layer : {0u, 66u, 0xffffffffu}) {
          ExpectDefinition(ConvMask(state, 41, 32, rate, layer), state, rate, layer);
          ExpectDefinition(ConvMask(state, 16, 96, rate, layer), state, rate, layer);
          for (const int channels : {32, 64, 96})
            ExpectDefinition(HeadMask(state, channels, rate, layer), state, rate, layer);
        }
      }
    }
  });
}

TEST(Dropout, ThresholdAndScale) {
  ExpectEqual(DropoutThreshold(0), 0u);
  ExpectEqual(DropoutThreshold(0.5f), 32768u);
  ExpectEqual(DropoutThreshold(0.1f), 6554u);
  ExpectEqual(DropoutThreshold(0.2f), 13107u);
  ExpectEqual(DropoutScale(0), 1.0);
  ExpectEqual(DropoutScale(0.5f), 2.0);
  for (const float rate : {0.1f, 0.2f, 0.3f, 0.5f, 0.75f}) {
    ExpectEqual(DropoutThreshold(rate), oracle::Threshold(rate));
    ExpectEqual(DropoutScale(rate), oracle::KeepScale(rate));
    // Kept share times scale is one: dropout leaves the mean as it is.
    ExpectWithin((65536.0 - DropoutThreshold(rate)) / 65536 * DropoutScale(rate), 1, 4e-16, "kept share times scale");
  }
}

// The share of kept bits is binomial (5 standard deviations), and another step, layer or key is another draw.
TEST(Dropout, DropsItsRate) {
  const StepState state = {.dropout_key = 77, .step = 5, .rows = 8};
  StepState next = state, other = state;
  next.step = 6;
  other.dropout_key = 78;
  for (const float rate : {0.1f, 0.5f}) {
    const std::vector<uint32_t> words = ConvMask(state, 41, 96, rate, 1);
    const std::vector<uint32_t> variants[] = {ConvMask(next, 41, 96, rate, 1), ConvMask(other, 41, 96, rate, 1),
                                              ConvMask(state, 41, 96, rate, 2)};
    const double count = static_cast<double>(words.size()) * 32, kept = 1 - oracle::Threshold(rate) / 65536.0;
    int64_t ones = 0;
    for (const uint32_t word : words) ones += std::popcount(word);
    ExpectWithin(ones, count * kept, 5 * std::sqrt(count * kept * (1 - kept)), "kept");
    for (const std::vector<uint32_t>& variant : variants) {
      int64_t both = 0;
      for (size_t i = 0; i < words.size(); ++i) both += std::popcount(words[i] & variant[i]);
      const double share = kept * kept;
      ExpectWithin(both, count * share, 5 * std::sqrt(count * share * (1 - share)), "kept in both draws");
    }
  }
}

}  // namespace
}  // namespace rb::test
