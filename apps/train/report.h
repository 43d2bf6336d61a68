// What every `train` says about its data and writes about its tests, whatever model it trains.
#ifndef RB_APPS_TRAIN_REPORT_H_
#define RB_APPS_TRAIN_REPORT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/common/dataset_summary.h"
#include "apps/common/reporter.h"
#include "apps/common/run_record.h"
#include "apps/train/flags.h"
#include "data/dataset.h"
#include "data/split.h"
#include "model/predictor.h"

namespace rb::apps {

// all_train: training rows before --max-probes.
void SayData(const TrainFlags& flags, const Dataset& dataset, const Split& split, size_t all_train,
             const std::vector<ExperimentSummary>& summary, Reporter& reporter);

// metrics.tsv (where there is a test part), run.json, and the table on stdout. `names`: as MetricsTsv takes them.
absl::Status WriteTests(const TrainFlags& flags, const std::vector<Evaluation>& tests,
                        const std::vector<std::string>& names, const Split& split, RunRecord& record,
                        Reporter& reporter);

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_REPORT_H_
