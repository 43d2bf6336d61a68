// Tables of metrics: as a file, as text for people, and read back for comparison.
#ifndef RB_APPS_PREDICT_METRICS_TABLE_H_
#define RB_APPS_PREDICT_METRICS_TABLE_H_

#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/predictor.h"

namespace rb::apps {

struct MetricColumn {
  const char* name;
  double Evaluation::*value;
};
// pearson, spearman, mse, and auroc, aupr when `classification`.
std::span<const MetricColumn> MetricColumns(bool classification);

// By metric: {"mean", "sd" (population), "n"} of the rows that have it.
nlohmann::ordered_json MetricsSummary(const std::vector<Evaluation>& rows, bool classification);

// A column behind the metrics.
struct NamedColumn {
  std::string name;
  std::vector<std::string> values;  // by row
};

// metrics.tsv: experiment, n, pearson, spearman, mse, and auroc, aupr when `classification`. Values carry all digits.
// `models`: the rows' names in a column "model" behind the experiment, where experiments have several; or none.
// `more` follows.
std::string MetricsTsv(const std::vector<Evaluation>& rows, bool classification,
                       const std::vector<std::string>& models = {}, const std::vector<NamedColumn>& more = {});

// The same for reading (`models` instead of the experiments), with "mean" and "sd" (population) lines when there are
// several experiments.
std::string MetricsText(const std::vector<Evaluation>& rows, bool classification,
                        const std::vector<std::string>& models = {}, const std::vector<NamedColumn>& more = {});

// experiment -> value of `column`. The experiment is the column of that name, or the first one. Rows without a value
// are left out. Errors name file, line and column.
absl::StatusOr<std::map<std::string, double>> ReadMetricsColumn(const std::string& path, const std::string& column);

}  // namespace rb::apps

#endif  // RB_APPS_PREDICT_METRICS_TABLE_H_
