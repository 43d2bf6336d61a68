// Counted comparisons. Every test binary prints how many values it compared; a binary that compared none fails.
#ifndef RB_TESTS_SUPPORT_COMPARISONS_H_
#define RB_TESTS_SUPPORT_COMPARISONS_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace rb::test {

// Adds n to this binary's count. The helpers below call it; call it yourself beside a bare EXPECT.
void CountComparisons(int64_t n = 1);
int64_t NumComparisons();

// a == b, counted.
template <class A, class B>
void ExpectEqual(const A& a, const B& b, const std::string& what = "") {
  CountComparisons();
  EXPECT_EQ(a, b) << what;
}

// |a - b| <= bound, counted; NaN on either side fails.
inline void ExpectWithin(double a, double b, double bound, const std::string& what = "") {
  CountComparisons();
  EXPECT_TRUE(std::abs(a - b) <= bound) << what << ": " << a << " against " << b << ", difference " << std::abs(a - b)
                                        << ", allowed " << bound;
}

// The same for arrays with one bound each; stops talking after five failures but counts all.
template <class A, class B, class C>
void ExpectAllWithin(std::span<const A> a, std::span<const B> b, std::span<const C> bound, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  ASSERT_EQ(a.size(), bound.size()) << what;
  int bad = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (difference <= static_cast<double>(bound[i])) continue;
    if (++bad <= 5) {
      ADD_FAILURE() << what << " [" << i << "]: " << a[i] << " against " << b[i] << ", difference " << difference
                    << ", allowed " << bound[i];
    }
  }
  CountComparisons(static_cast<int64_t>(a.size()));
  EXPECT_EQ(bad, 0) << what << ": values outside their bounds, of " << a.size();
}

// Bitwise equality of arrays, counted.
template <class T>
void ExpectSameBits(std::span<const T> a, std::span<const T> b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  int64_t bad = 0;
  for (size_t i = 0; i < a.size(); ++i) bad += std::memcmp(&a[i], &b[i], sizeof(T)) != 0;
  CountComparisons(static_cast<int64_t>(a.size()));
  EXPECT_EQ(bad, 0) << what << ": values whose bits differ, of " << a.size();
}

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_COMPARISONS_H_
