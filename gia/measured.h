// Global importance straight from measurements [Koo 2021, Eq. 1]: the mean score of the probes that carry a pattern
// minus the mean of all. Confounded by what else such probes have in common, which is what null sequences are for; here
// to be set beside the model's answer.
#ifndef RB_GIA_MEASURED_H_
#define RB_GIA_MEASURED_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "gia/pattern.h"
#include "gia/statistics.h"

namespace rb {

struct MeasuredEffect {
  int64_t carriers = 0;   // probes with the pattern and a score
  SampleSummary summary;  // of their scores minus the mean of all; NaN for fewer carriers than asked for
};

// scores: [sequences.size()], NaN missing. `anywhere`: a pattern of one element at any place, else every element where
// it stands. A carrier's bases are all known there and among those that the element's letters stand for.
// InvalidArgument: a pattern with stems or a PWM, of several elements for `anywhere`, another length, or no score at
// all.
absl::StatusOr<MeasuredEffect> MeasurePattern(const Embedding& pattern, bool anywhere, const Sequences& sequences,
                                              std::span<const float> scores, int64_t min_carriers);

}  // namespace rb

#endif  // RB_GIA_MEASURED_H_
