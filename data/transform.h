// Target transforms (paper, Methods: RNAcompete data): clip or log, then z-score. Constants are stored with the model.
#ifndef RB_DATA_TRANSFORM_H_
#define RB_DATA_TRANSFORM_H_

#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace rb {

enum class TransformKind { kNone, kLog, kClip };  // kNone: neither clipped, logged nor z-scored
enum class Preset { kPaper, kPublished };

absl::StatusOr<TransformKind> ParseTransform(std::string_view name);  // none | log | clip
std::string_view TransformName(TransformKind kind);
absl::StatusOr<Preset> ParsePreset(std::string_view name);  // paper | published
std::string_view PresetName(Preset preset);

// y -> (g(y) - mean) / sd; g = log(y - minimum + 1), min(y, clip) or identity.
struct Transform {
  TransformKind kind = TransformKind::kLog;
  double minimum = 0;  // S_min (log)
  double clip = 0;     // upper bound (clip)
  double mean = 0;
  double sd = 1;  // population sd

  double Apply(double y) const;  // NaN stays NaN; under kLog a score below `minimum` counts as `minimum`
};

// Fits as docs/numerics.md says for `paper`: minimum over all non-missing scores of the experiment (`all`);
// percentile 99.9 (linear interpolation), mean and sd over the training part only (`train`). With `published` pass the
// same split as both: clip is 4 * sd(y) about zero, and each split is fitted by itself. NaN entries are ignored. Fails
// when fewer than two values or sd = 0.
absl::StatusOr<Transform> FitTransform(TransformKind kind, Preset preset, std::span<const float> all,
                                       std::span<const float> train);

}  // namespace rb

#endif  // RB_DATA_TRANSFORM_H_
