// kernels/philox.h against Random123's known answers, and the streams built on it.
#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tests/support/comparisons.h"

namespace rb::test {
namespace {

void ExpectBlock(const PhiloxBlock& block, const std::array<uint32_t, 4>& want) {
  for (int i = 0; i < 4; ++i) ExpectEqual(block.word[i], want[i], "word " + std::to_string(i));
}

// philox4x32-10 of Random123's kat_vectors.
TEST(Philox, KnownAnswers) {
  ExpectBlock(Philox(0, 0, 0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const uint32_t ones = 0xffffffff;
  ExpectBlock(Philox(~uint64_t{0}, ones, ones, ones, ones), {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  ExpectBlock(Philox(0x299f31d0a4093822ull, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
              {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(Philox, IsAConstantExpression) {
  constexpr PhiloxBlock block = Philox(0, 0, 0, 0, 0);
  static_assert(block.word[0] == 0x6627e8d5);
  ExpectEqual(block.word[3], 0x9b00dbd8u);
}

TEST(PhiloxStream, DrawsTheBlocksInOrder) {
  constexpr uint64_t kKey = 0x0123456789abcdefull, kStream = 0xfedcba9876543210ull;
  PhiloxStream stream(kKey, kStream);
  for (uint32_t i = 0; i < 10; ++i) {
    const PhiloxBlock block = Philox(kKey, i, 0, static_cast<uint32_t>(kStream), static_cast<uint32_t>(kStream >> 32));
    for (const uint32_t word : block.word) ExpectEqual(stream.Next(), word);
  }
}

// Counts in bins are binomial: 5 standard deviations (a fixed seed, so the test cannot flicker).
TEST(PhiloxStream, IsUniform) {
  constexpr int kDraws = 200000, kBins = 20;
  PhiloxStream stream(DeriveKey(1, Purpose::kSimulate, 2));
  std::vector<int> uniform(kBins), below(kBins);
  double sum = 0, squares = 0, products = 0, previous = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = stream.Uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    ++uniform[static_cast<int>(u * kBins)];
    const uint32_t b = stream.Below(kBins);
    ASSERT_LT(b, static_cast<uint32_t>(kBins));
    ++below[b];
    sum += u - 0.5;
    squares += (u - 0.5) * (u - 0.5);
    products += (u - 0.5) * previous;
    previous = u - 0.5;
  }
  const double expected = static_cast<double>(kDraws) / kBins, deviation = std::sqrt(expected * (1 - 1.0 / kBins));
  for (int i = 0; i < kBins; ++i) {
    ExpectWithin(uniform[i], expected, 5 * deviation, "bin of Uniform");
    ExpectWithin(below[i], expected, 5 * deviation, "bin of Below");
  }
  ExpectWithin(sum / kDraws, 0, 5 * std::sqrt(1 / 12.0 / kDraws), "mean");
  ExpectWithin(squares / kDraws, 1 / 12.0, 5 * std::sqrt(1 / 180.0 / kDraws), "variance");
  ExpectWithin(products / kDraws, 0, 5 / 12.0 / std::sqrt(kDraws), "covariance of neighbours");
}

TEST(PhiloxStream, BelowReachesEverything) {
  for (const uint32_t n : {1u, 2u, 3u, 7u}) {
    PhiloxStream stream(n);
    std::set<uint32_t> seen;
    for (int i = 0; i < 400; ++i) seen.insert(stream.Below(n));
    ExpectEqual(seen.size(), static_cast<size_t>(n));
    ExpectEqual(*seen.rbegin(), n - 1);
  }
}

// Any one of seed, purpose and id changes the key; names and replicates change the id.
TEST(Keys, AreDistinct) {
  std::set<uint64_t> keys, ids;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t purpose = 1; purpose <= 6; ++purpose) {
      for (uint64_t id = 0; id < 20; ++id) keys.insert(DeriveKey(seed, static_cast<Purpose>(purpose), id));
    }
  }
  ExpectEqual(keys.size(), size_t{20 * 6 * 20});
  for (const char* name : {"", "a", "b", "ab", "ba", "RNCMPT00001", "RNCMPT00010"}) {
    for (uint64_t replicate = 0; replicate < 50; ++replicate) ids.insert(StableId(name, replicate));
  }
  ExpectEqual(ids.size(), size_t{7 * 50});
}

// splitmix64 with seed 0 yields MixBits(0), MixBits(golden), ...: the published first outputs.
TEST(Keys, MixBitsIsSplitmix64) {
  ExpectEqual(MixBits(0), uint64_t{0xe220a8397b1dcdafull});
  ExpectEqual(MixBits(0x9E3779B97F4A7C15ull), uint64_t{0x6e789e6aa1b965f4ull});
}

}  // namespace
}  // namespace rb::test
