// Fits and applies the target transforms.
#include "data/transform.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/text.h"

namespace rb {
namespace {

constexpr double kClipQuantile = 0.999;  // [Koo 2021, Methods: RNAcompete data: 99.9th percentile]
constexpr double kPublishedClip = 4;     // published code: clip y > 4 * std(y)

absl::StatusOr<std::vector<double>> PresentValues(std::span<const float> values) {
  std::vector<double> present;
  for (const float y : values) {
    if (std::isnan(y)) continue;
    if (std::isinf(y)) return absl::InvalidArgumentError("found an infinite score; expected finite scores");
    present.push_back(y);
  }
  return present;
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double y : values) sum += y;
  return sum / static_cast<double>(values.size());
}

// Population standard deviation, about the mean (two passes).
double StandardDeviation(const std::vector<double>& values, double mean) {
  double sum = 0;
  for (const double y : values) sum += (y - mean) * (y - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// Linear interpolation between order statistics at (n - 1) * quantile, numpy's default.
double Percentile(std::vector<double> values, double quantile) {
  const double at = static_cast<double>(values.size() - 1) * quantile;
  const size_t below = static_cast<size_t>(at);
  const auto middle = values.begin() + static_cast<ptrdiff_t>(below);
  std::nth_element(values.begin(), middle, values.end());
  const double low = *middle;
  if (below + 1 >= values.size()) return low;
  const double high = *std::min_element(middle + 1, values.end());
  return low + (high - low) * (at - static_cast<double>(below));
}

// g of the header: what is done before the z-score.
double BeforeZScore(const Transform& transform, double y) {
  switch (transform.kind) {
    case TransformKind::kLog:
      return std::log(std::max(y - transform.minimum, 0.0) + 1);
    case TransformKind::kClip:
      return y > transform.clip ? transform.clip : y;
    case TransformKind::kNone:
      break;
  }
  return y;
}

}  // namespace

absl::StatusOr<TransformKind> ParseTransform(std::string_view name) {
  for (const TransformKind kind : {TransformKind::kNone, TransformKind::kLog, TransformKind::kClip}) {
    if (name == TransformName(kind)) return kind;
  }
  return absl::InvalidArgumentError(Concat("transform '", name, "'; expected none, log or clip"));
}

std::string_view TransformName(TransformKind kind) {
  switch (kind) {
    case TransformKind::kLog:
      return "log";
    case TransformKind::kClip:
      return "clip";
    case TransformKind::kNone:
      break;
  }
  return "none";
}

absl::StatusOr<Preset> ParsePreset(std::string_view name) {
  for (const Preset preset : {Preset::kPaper, Preset::kPublished}) {
    if (name == PresetName(preset)) return preset;
  }
  return absl::InvalidArgumentError(Concat("preset '", name, "'; expected paper or published"));
}

std::string_view PresetName(Preset preset) { return preset == Preset::kPaper ? "paper" : "published"; }

double Transform::Apply(double y) const {
  if (std::isnan(y) || kind == TransformKind::kNone) return y;
  return (BeforeZScore(*this, y) - mean) / sd;
}

absl::StatusOr<Transform> FitTransform(TransformKind kind, Preset preset, std::span<const float> all,
                                       std::span<const float> train) {
  Transform transform;
  transform.kind = kind;
  if (kind == TransformKind::kNone) return transform;
  const auto everything = PresentValues(all);
  if (!everything.ok()) return everything.status();
  auto values = PresentValues(train);
  if (!values.ok()) return values.status();
  if (values->size() < 2 || everything->empty()) {
    return absl::InvalidArgumentError(
        Concat("found ", values->size(), " scores to fit the transform on; expected at least 2"));
  }
  if (kind == TransformKind::kLog) {
    transform.minimum = *std::min_element(everything->begin(), everything->end());
  } else if (preset == Preset::kPaper) {
    transform.clip = Percentile(*values, kClipQuantile);
  } else {
    transform.clip = kPublishedClip * StandardDeviation(*values, Mean(*values));
  }
  for (double& y : *values) y = BeforeZScore(transform, y);
  const auto [low, high] = std::minmax_element(values->begin(), values->end());
  transform.mean = Mean(*values);
  transform.sd = StandardDeviation(*values, transform.mean);
  if (*low == *high || !(transform.sd > 0)) {
    return absl::InvalidArgumentError(Concat("found ", values->size(), " scores that are all ", *low, " after the ",
                                             TransformName(kind), " transform; expected scores that differ"));
  }
  return transform;
}

}  // namespace rb
