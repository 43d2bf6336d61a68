// What training one model needs of the data set: rows, targets, transform. Made once, before anything is written.
#ifndef RB_MODEL_TRAIN_JOB_H_
#define RB_MODEL_TRAIN_JOB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/split.h"
#include "model/config.h"
#include "model/model_file.h"
#include "model/trainer.h"

namespace rb {

struct TrainJob {
  int64_t experiment = 0;           // in the data set
  uint64_t id = 0;                  // StableId(name, replicate)
  std::vector<int32_t> train_rows;  // rows with a target
  std::vector<int32_t> valid_rows;
  std::vector<float> valid_targets;  // [valid_rows], transformed
  ModelFile model;                   // all but parameters, epochs and best metric
};

// One job per model. InvalidArgument or NotFound, naming the experiment: unknown names, folders that are named twice or
// lead elsewhere, models of different seeds or validation fractions, fewer than two rows in a part, infinite scores,
// validation targets that do not differ (a metric would be undefined), classification targets other than 0 and 1.
absl::StatusOr<std::vector<TrainJob>> MakeTrainJobs(const std::vector<PlannedModel>& models, const Dataset& dataset,
                                                    const Split& split);

// Transformed training targets by sequence, 0 at all other rows: [sequences].
absl::StatusOr<std::vector<float>> TrainTargets(const TrainJob& job, const Dataset& dataset);

// SHA-256 over everything of the data that training a model reads: sequences and tracks (SequencesFingerprint, the same
// for all jobs that take as many tracks), its rows and raw scores.
std::string SequencesFingerprint(const Dataset& dataset, int structure);
std::string DataFingerprint(const std::string& sequences, const TrainJob& job, const Dataset& dataset);

}  // namespace rb

#endif  // RB_MODEL_TRAIN_JOB_H_
