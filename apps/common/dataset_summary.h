// What a data set holds and how its targets will be transformed: train and prepare show it before they work.
#ifndef RB_APPS_COMMON_DATASET_SUMMARY_H_
#define RB_APPS_COMMON_DATASET_SUMMARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/split.h"
#include "data/transform.h"

namespace rb::apps {

struct ExperimentSummary {
  std::string experiment;
  int64_t missing = 0;
  int64_t train = 0, valid = 0, test = 0;  // rows with a target
  Transform transform;                     // fitted as training fits it (`published`: on the training part)
};

// Also fails when an experiment cannot be trained on: no targets in a part, or constant ones.
absl::StatusOr<std::vector<ExperimentSummary>> SummarizeDataset(const Dataset& dataset, const Split& split,
                                                                TransformKind kind, Preset preset);

std::string SummaryText(const std::vector<ExperimentSummary>& rows);  // for people
std::string SummaryTsv(const std::vector<ExperimentSummary>& rows);   // summary.tsv

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_DATASET_SUMMARY_H_
