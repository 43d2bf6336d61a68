// main() of every test binary: prints the count of comparisons and fails when nothing was compared.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>

#include "tests/support/comparisons.h"

namespace rb::test {
namespace {
std::atomic<int64_t> comparisons{0};
}
void CountComparisons(int64_t n) { comparisons += n; }
int64_t NumComparisons() { return comparisons; }
}  // namespace rb::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  const auto& unit = *::testing::UnitTest::GetInstance();
  const long long count = rb::test::NumComparisons();
  std::printf("comparisons: %lld, tests: %d, skipped: %d\n", count, unit.test_to_run_count(),
              unit.skipped_test_count());
  if (result == 0 && count == 0 && unit.skipped_test_count() == 0) {
    std::printf("no comparison was made: this is a failure\n");
    return 1;
  }
  return result;
}
