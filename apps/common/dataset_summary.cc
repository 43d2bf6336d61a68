#include "apps/common/dataset_summary.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/text.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

std::vector<float> Values(std::span<const float> target, const std::vector<int32_t>& rows) {
  std::vector<float> values;
  values.reserve(rows.size());
  for (const int32_t row : rows) values.push_back(target[static_cast<size_t>(row)]);
  return values;
}

// The constants that matter for the kind, as text.
std::string Constants(const Transform& t) {
  if (t.kind == TransformKind::kNone) return "none";
  const std::string bound = t.kind == TransformKind::kLog ? absl::StrCat("log, minimum ", Fixed(t.minimum, 4))
                                                          : absl::StrCat("clip at ", Fixed(t.clip, 4));
  return absl::StrCat(bound, ", mean ", Fixed(t.mean, 4), ", sd ", Fixed(t.sd, 4));
}

}  // namespace

absl::StatusOr<std::vector<ExperimentSummary>> SummarizeDataset(const Dataset& dataset, const Split& split,
                                                                TransformKind kind, Preset preset) {
  std::vector<ExperimentSummary> rows;
  for (size_t e = 0; e < dataset.experiments.size(); ++e) {
    const std::span<const float> target = dataset.target(static_cast<int64_t>(e));
    ExperimentSummary row;
    row.experiment = dataset.experiments[e];
    row.missing = std::count_if(target.begin(), target.end(), [](float y) { return std::isnan(y); });
    row.train = static_cast<int64_t>(PresentRows(split.train, target).size());
    row.valid = static_cast<int64_t>(PresentRows(split.valid, target).size());
    row.test = static_cast<int64_t>(PresentRows(split.test, target).size());
    if (row.train < 2 || row.valid < 2) {
      return absl::FailedPreconditionError(
          absl::StrCat(row.experiment, ": ", row.train, " training and ", row.valid,
                       " validation probes have a target; expected at least 2 of each (more set-A probes, or a larger "
                       "--valid-fraction)"));
    }
    const std::vector<float> train = Values(target, split.train);
    const auto all = preset == Preset::kPublished ? std::span<const float>(train) : target;
    absl::StatusOr<Transform> transform = FitTransform(kind, preset, all, train);
    if (!transform.ok()) {
      return absl::Status(transform.status().code(),
                          absl::StrCat(row.experiment, ": ", std::string(transform.status().message())));
    }
    row.transform = *transform;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string SummaryText(const std::vector<ExperimentSummary>& rows) {
  std::vector<std::vector<std::string>> table = {{"experiment", "missing", "train", "valid", "test", "transform"}};
  for (const ExperimentSummary& r : rows) {
    table.push_back({r.experiment, Grouped(r.missing), Grouped(r.train), Grouped(r.valid), Grouped(r.test),
                     Constants(r.transform)});
  }
  std::string text = AlignedTable(table);
  text.pop_back();
  return text;
}

std::string SummaryTsv(const std::vector<ExperimentSummary>& rows) {
  std::string text = "experiment\tmissing\ttrain\tvalid\ttest\ttransform\tminimum\tclip\tmean\tsd\n";
  for (const ExperimentSummary& r : rows) {
    absl::StrAppend(&text,
                    absl::StrJoin({r.experiment, std::to_string(r.missing), std::to_string(r.train),
                                   std::to_string(r.valid), std::to_string(r.test),
                                   std::string(TransformName(r.transform.kind)), Shortest(r.transform.minimum),
                                   Shortest(r.transform.clip), Shortest(r.transform.mean), Shortest(r.transform.sd)},
                                  "\t"),
                    "\n");
  }
  return text;
}

}  // namespace rb::apps
