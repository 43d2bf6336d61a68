#include "apps/train/report.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "apps/common/structure_flags.h"
#include "apps/common/text.h"
#include "apps/predict/metrics_table.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/run_files.h"

namespace rb::apps {

void SayData(const TrainFlags& flags, const Dataset& dataset, const Split& split, size_t all_train,
             const std::vector<ExperimentSummary>& summary, Reporter& reporter) {
  reporter.Say("data",
               absl::StrCat(flags.data, ": ", Grouped(dataset.num_probes()), " probes, ", dataset.experiments.size(),
                            dataset.experiments.size() == 1 ? " experiment" : " experiments",
                            StructureText(dataset.sequences), "\n", SummaryText(summary)),
               {{"data", flags.data},
                {"probes", dataset.num_probes()},
                {"experiments", dataset.experiments},
                {"structure_channels", dataset.sequences.structure_channels},
                {"structure_source", dataset.sequences.TrackSource()},
                {"train_rows", split.train.size()},
                {"valid_rows", split.valid.size()},
                {"test_rows", split.test.size()}});
  if (split.train.size() == all_train) return;
  reporter.Say("subset",
               absl::StrCat("ATTENTION: --max-probes takes ", Grouped(static_cast<int64_t>(split.train.size())), " of ",
                            Grouped(static_cast<int64_t>(all_train)), " training probes; a trial, not a result"));
}

absl::Status WriteTests(const TrainFlags& flags, const std::vector<Evaluation>& tests,
                        const std::vector<std::string>& names, const Split& split, RunRecord& record,
                        Reporter& reporter) {
  const bool classification = flags.task == "classification";
  std::string table;
  if (split.test.empty()) {
    reporter.Say("test", "no test probes (set B is empty): no test metrics");
  } else {
    RB_RETURN_IF_ERROR(WriteFile(MetricsPath(flags.out), MetricsTsv(tests, classification, names)));
    table = MetricsText(tests, classification, names);
  }
  record.EndPhase("test");
  RB_RETURN_IF_ERROR(record.Write(RecordPath(flags.out)));
  reporter.Say("done", absl::StrCat("models are in ", flags.out, "; test set:"));
  std::fputs(table.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace rb::apps
