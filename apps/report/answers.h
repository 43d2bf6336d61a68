// gia's tables, for a report.
#ifndef RB_APPS_REPORT_ANSWERS_H_
#define RB_APPS_REPORT_ANSWERS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "apps/plot/sources.h"
#include "apps/report/gather.h"

namespace rb::apps {

// A table's rows by a column's names. Tables of hundreds of models are taken apart once.
absl::StatusOr<std::map<std::string, plot::Table>> SplitTable(const plot::Table& table, const std::string& column);

class AnswerTables {
 public:
  // NotFound without effects.tsv; errors of Table.
  static absl::StatusOr<AnswerTables> Open(const std::string& folder);

  bool Has(const std::string& model) const { return effects_.contains(model); }
  // Of a model that it has. `preset`: how the k-mers are aligned.
  absl::StatusOr<ReportAnswers> Of(const std::string& model, Preset preset) const;

 private:
  std::string folder_;
  std::map<std::string, plot::Table> effects_, lines_, ratios_;
};

}  // namespace rb::apps

#endif  // RB_APPS_REPORT_ANSWERS_H_
