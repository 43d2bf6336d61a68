// The table of predictions: its columns, and its rows as windows of sequences are scored.
#ifndef RB_APPS_PREDICT_TABLE_H_
#define RB_APPS_PREDICT_TABLE_H_

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/common/outputs.h"
#include "apps/predict/shards.h"

namespace rb::apps {

// A column a model, named by its experiment, or by its path where several models share that. Or, as an ensemble, two an
// experiment: the mean of its models and their standard deviation (ddof 1; nan for one model).
struct PredictColumns {
  std::vector<std::string> names;            // "ID_sd" of spreads left out
  std::vector<std::vector<size_t>> members;  // models, by name
  bool ensemble = false;
};
PredictColumns ColumnsOf(const std::vector<LoadedModel>& models, bool ensemble);
// Whether the members of each column may be averaged: FailedPrecondition naming two whose predictions are not on one
// scale (another task, target transform or preset).
absl::Status CheckMembers(const std::vector<LoadedModel>& models, const PredictColumns& columns);

// Where rows go: to a file that stays open over blocks, or into a shard.
struct PredictSink {
  std::FILE* file = nullptr;
  std::string name;  // of the file, for messages
  PredictShard* shard = nullptr;
};

class PredictTable {
 public:
  // windows: max, mean or all. An ensemble takes its models' maxima (means), then their mean.
  PredictTable(const PredictColumns& columns, const std::string& windows, const PredictSink& sink)
      : columns_(columns), windows_(windows), sink_(sink) {}

  absl::Status Header();
  // scores[model][window] of a sequence's windows [first, first + count), which begin at `begin`.
  absl::Status Windows(const std::string& id, const std::vector<std::vector<float>>& scores, int64_t begin,
                       int64_t count, int64_t first);
  // All windows of `id` have been given.
  absl::Status EndSequence(const std::string& id, int64_t windows);

 private:
  // The columns of one row; `values` by model.
  std::string Cells(const std::vector<float>& values) const;
  absl::Status Put(const std::string& text);

  const PredictColumns& columns_;
  const std::string windows_;
  const PredictSink sink_;
  std::vector<float> best_;
  std::vector<double> sum_;
};

}  // namespace rb::apps

#endif  // RB_APPS_PREDICT_TABLE_H_
