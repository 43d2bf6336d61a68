// kernels/feistel.h: a bijection of [0, n) for every n, different for every key.
#include "kernels/feistel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/comparisons.h"

namespace rb::test {
namespace {

void ExpectBijection(uint32_t n, uint64_t key) {
  const FeistelPermutation order(n, key);
  std::vector<uint8_t> seen(n);
  uint32_t distinct = 0;
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t image = order(i);
    ASSERT_LT(image, n) << "n " << n << ", key " << key;
    distinct += !seen[image];
    seen[image] = 1;
  }
  ExpectEqual(distinct, n, "distinct images");
  CountComparisons(n);
}

TEST(Feistel, IsABijectionOfEverySize) {
  for (uint32_t n = 1; n <= 300; ++n) {
    for (uint64_t key = 0; key < 3; ++key) ExpectBijection(n, MixBits(key));
  }
  for (const uint32_t n : {1u << 10, (1u << 10) + 1, (1u << 16) - 1, 65537u, 241357u, 1000000u}) ExpectBijection(n, n);
}

TEST(Feistel, KeysGiveDifferentOrders) {
  constexpr uint32_t kSize = 1000;
  for (uint64_t a = 0; a < 6; ++a) {
    for (uint64_t b = 0; b < a; ++b) {
      const FeistelPermutation left(kSize, DeriveKey(1, Purpose::kEpochOrder, a)),
          right(kSize, DeriveKey(1, Purpose::kEpochOrder, b));
      int same = 0;
      for (uint32_t i = 0; i < kSize; ++i) same += left(i) == right(i);
      ExpectWithin(same, 1, 9, "coincidences of two random orders are Poisson(1)");
    }
  }
}

// Each of the six orders of three elements turns up equally often over keys: 5 standard deviations of a binomial.
TEST(Feistel, SmallOrdersAreUniform) {
  constexpr int kKeys = 60000;
  std::vector<int> count(27);
  for (int key = 0; key < kKeys; ++key) {
    const FeistelPermutation order(3, MixBits(key));
    ++count[order(0) * 9 + order(1) * 3 + order(2)];
  }
  int orders = 0;
  for (const int n : count) {
    if (n == 0) continue;
    ++orders;
    ExpectWithin(n, kKeys / 6.0, 5 * std::sqrt(kKeys * 5 / 36.0), "one order of three");
  }
  ExpectEqual(orders, 6);
}

// No trace of the old order: the images of neighbours are uncorrelated.
TEST(Feistel, NeighboursPart) {
  constexpr uint32_t kSize = 100000;
  const FeistelPermutation order(kSize, 12345);
  double sum = 0;
  for (uint32_t i = 0; i + 1 < kSize; ++i) {
    sum += (order(i) / double{kSize} - 0.5) * (order(i + 1) / double{kSize} - 0.5);
  }
  ExpectWithin(sum / kSize * 12, 0, 5 / std::sqrt(double{kSize}), "correlation of neighbours");
}

}  // namespace
}  // namespace rb::test
