// Transforms against numbers computed by hand.
#include "data/transform.h"

#include <cmath>
#include <limits>
#include <vector>

#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::ExpectWithin;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// Values of order one, a handful of double operations each.
constexpr double kRounding = 1e-12;

TEST(Transform, LogUsesTheMinimumOfAllAndTheMomentsOfTraining) {
  // S_min = -1 comes from a row outside training; g = log(S + 2).
  const std::vector<float> all = {-1, 0, 2, kNan, 6}, train = {0, 2, kNan, 6};
  const Transform t = FitTransform(TransformKind::kLog, Preset::kPaper, all, train).value();
  ExpectEqual(t.minimum, -1.0);
  const double a = std::log(2.0), b = std::log(4.0), c = std::log(8.0);  // log 2 times 1, 2, 3
  ExpectWithin(t.mean, 2 * a, kRounding);
  ExpectWithin(t.sd, a * std::sqrt(2.0 / 3), kRounding);  // population sd of 1, 2, 3 is sqrt(2/3)
  ExpectWithin(t.Apply(0), (a - b) / t.sd, kRounding);
  ExpectWithin(t.Apply(6), (c - b) / t.sd, kRounding);
  ExpectWithin(t.Apply(-1), (0 - b) / t.sd, kRounding);
  ExpectWithin(t.Apply(2), 0, kRounding);
  ExpectEqual(std::isnan(t.Apply(kNan)), true);
}

TEST(Transform, ClipTakesThePercentileOfTraining) {
  // 1001 values 0..1000: the 99.9th percentile is at index 999 exactly.
  std::vector<float> train;
  for (int i = 1000; i >= 0; --i) train.push_back(static_cast<float>(i));
  train.push_back(kNan);
  const Transform t = FitTransform(TransformKind::kClip, Preset::kPaper, train, train).value();
  ExpectWithin(t.clip, 999, 1e-9);
  ExpectWithin(t.mean, (1000.0 * 1001 / 2 - 1) / 1001, 1e-9);
  ExpectWithin(t.Apply(1000), t.Apply(999), kRounding);
  ExpectEqual(t.Apply(998) < t.Apply(999), true);
  // Three values 0, 10, 20: at (3 - 1) * 0.999 = 1.998, so 10 + 0.998 * 10.
  const std::vector<float> three = {20, 0, 10};
  const Transform u = FitTransform(TransformKind::kClip, Preset::kPaper, three, three).value();
  ExpectWithin(u.clip, 19.98, 1e-9);
  ExpectWithin(u.mean, (0 + 10 + 19.98) / 3, 1e-9);
}

TEST(Transform, PublishedClipsAtFourDeviationsAboutZero) {
  // 99 zeros and one 100: mean 1, sd sqrt(100^2 / 100 - 1) = sqrt(99).
  std::vector<float> y(100, 0.0f);
  y[42] = 100;
  const Transform t = FitTransform(TransformKind::kClip, Preset::kPublished, y, y).value();
  ExpectWithin(t.clip, 4 * std::sqrt(99.0), 1e-9);
  ExpectWithin(t.mean, t.clip / 100, 1e-9);
  ExpectWithin(t.sd, t.clip * std::sqrt(0.01 - 0.0001), 1e-9);
  ExpectWithin(t.Apply(100), (t.clip - t.mean) / t.sd, kRounding);
}

TEST(Transform, TransformedTrainingHasMeanZeroAndUnitVariance) {
  std::mt19937 random(3);
  std::vector<float> y;
  for (int i = 0; i < 5000; ++i) y.push_back(static_cast<float>(random() % 10007) / 100.0f);
  for (const TransformKind kind : {TransformKind::kLog, TransformKind::kClip}) {
    for (const Preset preset : {Preset::kPaper, Preset::kPublished}) {
      const Transform t = FitTransform(kind, preset, y, y).value();
      double sum = 0, squares = 0;
      for (const float v : y) sum += t.Apply(v), squares += t.Apply(v) * t.Apply(v);
      ExpectWithin(sum / 5000, 0, 1e-10);
      ExpectWithin(squares / 5000, 1, 1e-10);
    }
  }
}

TEST(Transform, NoneLeavesScoresAlone) {
  const std::vector<float> y = {3};
  const Transform t = FitTransform(TransformKind::kNone, Preset::kPaper, y, y).value();
  ExpectEqual(t.Apply(3.25), 3.25);
  ExpectEqual(std::isnan(t.Apply(kNan)), true);
}

TEST(Transform, RefusesWhatCannotBeFitted) {
  const std::vector<float> one = {kNan, 5}, same = {7, 7, 7}, infinite = {1, std::numeric_limits<float>::infinity()};
  for (const TransformKind kind : {TransformKind::kLog, TransformKind::kClip}) {
    ExpectError(FitTransform(kind, Preset::kPaper, one, one), StatusCode::kInvalidArgument,
                {"found 1 scores", "at least 2"});
    ExpectError(FitTransform(kind, Preset::kPaper, same, same), StatusCode::kInvalidArgument,
                {"all", "expected scores that differ"});
    ExpectError(FitTransform(kind, Preset::kPaper, infinite, infinite), StatusCode::kInvalidArgument, {"infinite"});
  }
}

TEST(Transform, NamesRoundTrip) {
  for (const auto kind : {TransformKind::kNone, TransformKind::kLog, TransformKind::kClip}) {
    ExpectEqual(ParseTransform(TransformName(kind)).value(), kind);
  }
  for (const auto preset : {Preset::kPaper, Preset::kPublished})
    ExpectEqual(ParsePreset(PresetName(preset)).value(), preset);
  ExpectError(ParseTransform("Log"), StatusCode::kInvalidArgument, {"'Log'", "none, log or clip"});
  ExpectError(ParsePreset(""), StatusCode::kInvalidArgument, {"paper or published"});
}

}  // namespace
}  // namespace rb
