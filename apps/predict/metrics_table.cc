#include "apps/predict/metrics_table.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/common/text.h"
#include "data/line_reader.h"
#include "data/text_value.h"
#include "engine/check.h"
#include "gia/statistics.h"

namespace rb::apps {
namespace {

constexpr MetricColumn kColumns[] = {{"pearson", &Evaluation::pearson},
                                     {"spearman", &Evaluation::spearman},
                                     {"mse", &Evaluation::mse},
                                     {"auroc", &Evaluation::auroc},
                                     {"aupr", &Evaluation::aupr}};

// Those of the rows that have it.
std::vector<double> Present(const std::vector<Evaluation>& rows, const MetricColumn& column) {
  std::vector<double> values;
  for (const Evaluation& row : rows) {
    if (!std::isnan(row.*column.value)) values.push_back(row.*column.value);
  }
  return values;
}

// One line of the text table: f of the present values of each column.
template <class F>
std::vector<std::string> Summary(const char* name, const std::vector<Evaluation>& rows, bool classification,
                                 const F& f) {
  std::vector<std::string> line = {name, ""};
  for (const MetricColumn& column : MetricColumns(classification)) {
    line.push_back(Fixed(f(Present(rows, column)), 4));
  }
  return line;
}

}  // namespace

std::span<const MetricColumn> MetricColumns(bool classification) {
  return std::span(kColumns).first(classification ? 5 : 3);
}

nlohmann::ordered_json MetricsSummary(const std::vector<Evaluation>& rows, bool classification) {
  nlohmann::ordered_json summary = nlohmann::ordered_json::object();
  for (const MetricColumn& column : MetricColumns(classification)) {
    const std::vector<double> values = Present(rows, column);
    summary[column.name] = {{"mean", Mean(values)}, {"sd", PopulationSd(values)}, {"n", values.size()}};
  }
  return summary;
}

std::string MetricsTsv(const std::vector<Evaluation>& rows, bool classification, const std::vector<std::string>& models,
                       const std::vector<NamedColumn>& more) {
  std::string text = models.empty() ? "experiment\tn" : "experiment\tmodel\tn";
  for (const MetricColumn& column : MetricColumns(classification)) absl::StrAppend(&text, "\t", column.name);
  for (const NamedColumn& column : more) absl::StrAppend(&text, "\t", column.name);
  for (size_t i = 0; i < rows.size(); ++i) {
    const Evaluation& row = rows[i];
    absl::StrAppend(&text, "\n", row.experiment, models.empty() ? "" : absl::StrCat("\t", models[i]), "\t", row.n);
    for (const MetricColumn& column : MetricColumns(classification))
      absl::StrAppend(&text, "\t", Shortest(row.*column.value));
    for (const NamedColumn& column : more) absl::StrAppend(&text, "\t", column.values[i]);
  }
  return text + "\n";
}

std::string MetricsText(const std::vector<Evaluation>& rows, bool classification,
                        const std::vector<std::string>& models, const std::vector<NamedColumn>& more) {
  std::vector<std::vector<std::string>> table(1, {models.empty() ? "experiment" : "model", "n"});
  for (const MetricColumn& column : MetricColumns(classification)) table[0].push_back(column.name);
  for (const NamedColumn& column : more) table[0].push_back(column.name);
  for (size_t i = 0; i < rows.size(); ++i) {
    const Evaluation& row = rows[i];
    table.push_back({models.empty() ? row.experiment : models[i], Grouped(row.n)});
    for (const MetricColumn& column : MetricColumns(classification))
      table.back().push_back(Fixed(row.*column.value, 4));
    for (const NamedColumn& column : more) table.back().push_back(column.values[i]);
  }
  if (rows.size() > 1) {
    table.push_back(Summary("mean", rows, classification, [](const auto& v) { return Mean(v); }));
    table.push_back(Summary("sd", rows, classification, [](const auto& v) { return PopulationSd(v); }));
  }
  return AlignedTable(table);
}

absl::StatusOr<std::map<std::string, double>> ReadMetricsColumn(const std::string& path, const std::string& column) {
  RB_ASSIGN_OR_RETURN(LineReader reader, LineReader::Open(path));
  Line line;
  RB_ASSIGN_OR_RETURN(const bool any, reader.NextLine(&line));
  if (!any) return reader.Error(1, 1, "an empty file", "a header line with experiment and metrics");
  std::vector<std::string_view> fields;
  SplitTabs(line.text, &fields);
  const std::vector<std::string> names(fields.begin(), fields.end());
  const auto find = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) - names.begin();
  };
  const size_t value_at = find(column);
  if (value_at == names.size()) {
    return reader.Error(1, 1, absl::StrCat("no column '", column, "'"),
                        absl::StrCat("one of ", absl::StrJoin(names, ", ")));
  }
  const size_t named = find("experiment"), name_at = named < names.size() ? named : 0;
  std::map<std::string, double> values;
  while (true) {
    RB_ASSIGN_OR_RETURN(const bool more, reader.NextLine(&line));
    if (!more) return values;
    if (line.text.empty()) continue;
    SplitTabs(line.text, &fields);
    RB_RETURN_IF_ERROR(CheckFieldCount(reader.name(), line, fields, names.size()));
    float value = 0;
    if (!ParseScore(fields[value_at], &value)) {
      return reader.Error(line.number, ColumnOf(line, fields[value_at]), Quoted(fields[value_at]), kScoreExpected);
    }
    const std::string name(fields[name_at]);
    if (values.count(name) != 0) {
      return reader.Error(line.number, ColumnOf(line, fields[name_at]), Quoted(name), "each experiment once");
    }
    if (!std::isnan(value)) values[name] = std::strtod(std::string(fields[value_at]).c_str(), nullptr);
  }
}

}  // namespace rb::apps
