// Control patterns: what they keep, that they are distinct while possible, drawn evenly, and prefixes of more.
#include "gia/controls.h"

#include <algorithm>
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

std::string Sorted(std::string text) {
  std::sort(text.begin(), text.end());
  return text;
}

int64_t Gc(const std::string& text) {
  return std::count(text.begin(), text.end(), 'G') + std::count(text.begin(), text.end(), 'C');
}

// The `possible` others come once each before any comes twice.
void ExpectRounds(const std::vector<std::string>& controls, size_t possible, const std::string& pattern) {
  for (size_t first = 0; first < controls.size(); first += possible) {
    const auto begin = controls.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = controls.begin() + static_cast<std::ptrdiff_t>(std::min(first + possible, controls.size()));
    const std::set<std::string> distinct(begin, end);
    ExpectEqual(distinct.size(), static_cast<size_t>(end - begin), pattern);
    ExpectEqual(distinct.count(pattern), size_t{0}, pattern);
  }
}

TEST(ScrambledControls, ArePermutations) {
  const std::pair<const char*, size_t> cases[] = {
      {"UGCAUG", 179}, {"AC", 1}, {"AAAU", 3}, {"GCGCGC", 19}, {"RNRY", 11}};
  for (const auto& [pattern, possible] : cases) {
    const size_t count = 2 * possible + possible / 2 + 1;
    const auto controls = ScrambledControls(pattern, static_cast<int64_t>(count), 5);
    ASSERT_TRUE(controls.ok()) << controls.status();
    ExpectEqual(controls->size(), count);
    for (const std::string& control : *controls) ExpectEqual(Sorted(control), Sorted(pattern));
    ExpectRounds(*controls, possible, pattern);
  }
  ExpectEqual(*ScrambledControls("tgcatg", 20, 5) == *ScrambledControls("UGCAUG", 20, 5), true);
}

TEST(MatchedGcControls, KeepTheGcCount) {
  // 2^k binomial(k, gc) - 1
  const std::pair<const char*, size_t> cases[] = {{"A", 1}, {"GC", 3}, {"AG", 7}, {"UGCA", 95}, {"UUUUU", 31}};
  for (const auto& [pattern, possible] : cases) {
    const size_t count = 2 * possible + possible / 2 + 1;
    const auto controls = MatchedGcControls(pattern, static_cast<int64_t>(count), 5);
    ASSERT_TRUE(controls.ok()) << controls.status();
    ExpectEqual(controls->size(), count);
    for (const std::string& control : *controls) {
      ExpectEqual(control.size(), std::string(pattern).size());
      ExpectEqual(Gc(control), Gc(pattern), control);
      ExpectEqual(control.find_first_not_of("ACGU"), std::string::npos);
    }
    ExpectRounds(*controls, possible, pattern);
  }
}

TEST(Controls, FirstOneIsDrawnEvenly) {
  std::map<std::string, int> scrambled, matched;
  const int draws = 20000;
  for (uint64_t key = 0; key < draws; ++key) {
    ++scrambled[ScrambledControls("ACGG", 1, key).value()[0]];
    ++matched[MatchedGcControls("AGU", 1, key).value()[0]];
  }
  ExpectEqual(scrambled.size(), size_t{11});
  ExpectEqual(matched.size(), size_t{23});
  const auto expect_even = [](const std::map<std::string, int>& counts, double limit) {
    const double expected = draws / static_cast<double>(counts.size());
    double statistic = 0;
    for (const auto& [text, count] : counts) statistic += (count - expected) * (count - expected) / expected;
    ExpectWithin(statistic, 0, limit);
  };
  expect_even(scrambled, 29.6);  // 0.1 % point of chi-square, 10 degrees of freedom
  expect_even(matched, 48.3);    // 22
}

TEST(Controls, MoreExtendFewerAndKeysDiffer) {
  for (const auto& make : {ScrambledControls, MatchedGcControls}) {
    const auto few = make("UGCAUG", 10, 1).value(), many = make("UGCAUG", 100, 1).value();
    ExpectEqual(std::equal(few.begin(), few.end(), many.begin()), true);
    ExpectEqual(make("UGCAUG", 10, 2).value() == few, false);
    const auto long_ones = make("ACGUACGUACGUACGUACGUACGUACGUACGUACGUACGUACGUACGUACGU", 50, 1).value();
    ExpectEqual(long_ones.size(), size_t{50});
  }
}

TEST(Controls, Refusals) {
  for (const auto& make : {ScrambledControls, MatchedGcControls}) {
    ExpectRefused(make("", 5, 1).status(), "an empty pattern");
    ExpectRefused(make("ACXG", 5, 1).status(), "column 3: found 'X'");
    ExpectRefused(make("ACG", 0, 1).status(), "0 controls; expected 1 to 10000");
    ExpectRefused(make("ACG", 10001, 1).status(), "10001 controls");
  }
  ExpectRefused(ScrambledControls("AAAA", 5, 1).status(), "AAAA cannot be scrambled");
  ExpectRefused(MatchedGcControls("ACRG", 5, 1).status(), "column 3: found 'R'; expected A, C, G or U");
}

}  // namespace
}  // namespace rb
