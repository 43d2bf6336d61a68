// The parts of a report as HTML.
#ifndef RB_APPS_REPORT_SECTIONS_H_
#define RB_APPS_REPORT_SECTIONS_H_

#include <map>
#include <string>

#include "apps/plot/pictures.h"
#include "apps/report/gather.h"

namespace rb::apps {

struct ReportOptions {
  std::string title;  // empty: by the models
  std::string hint;   // where there are no answers of gia: the command that would make them
  plot::Style style;  // of pictures; its title is not used
  // Pictures of data, by model, as DrawScatter made them; or none.
  std::map<std::string, plot::Drawing> scatters;
};

std::string ReportTitle(const ReportData& data, const ReportOptions& options);

// Everything inside <body>, but the script. Ids: models, filter, count, open-all, close-all, and m1.. of the models'
// sections; ids inside pictures begin with that of their section, or with "all".
std::string ReportBody(const ReportData& data, const ReportOptions& options);

// <figure> with a caption; nothing for a picture that has nothing to draw.
std::string ReportFigure(const absl::StatusOr<plot::Drawing>& drawing, const std::string& id,
                         const std::string& caption, const std::string& of);

// The table of all models (apps/report/table.cc) and one model's section (apps/report/model_section.cc).
std::string ReportTable(const ReportData& data, const ReportOptions& options);
std::string ReportSection(const ReportModel& model, size_t index, const ReportData& data, const ReportOptions& options);

// <dl> of labels and plain texts; command lines and checksums in a fixed font.
std::string ReportList(const ReportFacts& facts);

std::string MetricLabel(const std::string& name);  // of MetricColumns: "Pearson", "MSE"
// "Pearson" or "AUROC": the metric that stands for a model. The one behind it is shown beside it.
std::string MainMetric(bool classification);
size_t MainMetricIndex(bool classification);  // in ReportModel::metrics

}  // namespace rb::apps

#endif  // RB_APPS_REPORT_SECTIONS_H_
