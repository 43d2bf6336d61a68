// Tables that carry score and sequence in the same row: the 2009 per-protein tables and "score sequence" lines.
#include "data/line_tables_reader.h"

#include <string_view>
#include <utility>
#include <vector>

#include "data/line_reader.h"
#include "data/probes.h"
#include "data/text.h"
#include "data/text_value.h"
#include "data/wide_table_reader.h"

namespace rb {
namespace {

constexpr std::string_view kScoreLine = "a line of two blank-separated fields, score and sequence";

std::vector<ColumnSpec> ProteinColumns() {
  return {{{"set"}}, {{"score"}}, {{"sequence", "seq"}}, {{"design"}, false}};
}

// The data set of one experiment that takes its name from the file.
absl::StatusOr<Dataset> StartDataset(const std::string& path, const ReadOptions& options) {
  if (absl::Status status = CheckLength(options); !status.ok()) return status;
  Dataset dataset;
  dataset.sequences.length = options.length;
  dataset.experiments = {ExperimentName(path)};
  const auto chosen = ChooseExperiments(DisplayName(path), dataset.experiments, options.experiments);
  if (!chosen.ok()) return chosen.status();
  return dataset;
}

absl::Status CheckRows(const LineReader& reader, const Dataset& dataset) {
  if (dataset.num_probes() == 0) {
    return reader.Error(reader.line_number() + 1, 1, "the end of the file", "at least one row with a score");
  }
  if (FindEmptyExperiment(dataset) >= 0) {
    return reader.Error(reader.line_number(), 1, Concat("experiment ", dataset.experiments[0], " without any value"),
                        "at least one score that is a number");
  }
  return absl::OkStatus();
}

absl::Status AppendScore(const LineReader& reader, const Line& line, std::string_view field, Dataset* dataset) {
  float score = 0;
  if (!ParseScore(field, &score)) {
    return reader.Error(line.number, ColumnOf(line, field), Concat("the score ", Quoted(field)), kScoreExpected);
  }
  dataset->targets.push_back(score);
  return absl::OkStatus();
}

absl::StatusOr<Dataset> ReadProteinRows(LineReader reader, const std::string& path, const ReadOptions& options) {
  auto dataset = StartDataset(path, options);
  if (!dataset.ok()) return dataset;
  const std::string& file = reader.name();
  Line line;
  absl::StatusOr<bool> more = reader.NextLine(&line);
  if (!more.ok()) return more.status();
  if (!*more) return TextError(file, 1, 1, "an empty file", "a header with the columns set, score and sequence");
  const auto columns = FindColumns(file, line, ProteinColumns(), /*others_allowed=*/false);
  if (!columns.ok()) return columns.status();
  const size_t num_columns = (*columns)[3] < 0 ? 3 : 4;
  std::vector<std::string_view> fields;
  for (more = reader.NextLine(&line); more.ok() && *more; more = reader.NextLine(&line)) {
    SplitTabs(line.text, &fields);
    absl::Status status = CheckFieldCount(file, line, fields, num_columns);
    if (status.ok()) status = AppendFold(file, line, fields[(*columns)[0]], &dataset->folds);
    if (status.ok()) status = AppendScore(reader, line, fields[(*columns)[1]], &*dataset);
    if (status.ok()) status = AppendProbe(file, line, fields[(*columns)[2]], options, &dataset->sequences);
    if (!status.ok()) return status;
  }
  if (!more.ok()) return more.status();
  if (absl::Status status = CheckRows(reader, *dataset); !status.ok()) return status;
  return dataset;
}

absl::StatusOr<Dataset> ReadScoreRows(LineReader reader, const std::string& path, const ReadOptions& options) {
  auto dataset = StartDataset(path, options);
  if (!dataset.ok()) return dataset;
  const std::string& file = reader.name();
  Line line;
  absl::StatusOr<bool> more;
  for (more = reader.NextLine(&line); more.ok() && *more; more = reader.NextLine(&line)) {
    const std::vector<std::string_view> fields = SplitBlanks(line.text);
    if (fields.empty()) continue;
    if (fields.size() != 2) {
      const int64_t column = fields.size() > 2 ? ColumnOf(line, fields[2]) : static_cast<int64_t>(line.text.size()) + 1;
      return TextError(file, line.number, column, Concat("a line of ", fields.size(), " fields"), kScoreLine);
    }
    absl::Status status = AppendScore(reader, line, fields[0], &*dataset);
    if (status.ok()) status = AppendProbe(file, line, fields[1], options, &dataset->sequences);
    if (!status.ok()) return status;
    dataset->folds.push_back(Fold::kA);
  }
  if (!more.ok()) return more.status();
  if (reader.line_number() == 0) return TextError(file, 1, 1, "an empty file", kScoreLine);
  if (absl::Status status = CheckRows(reader, *dataset); !status.ok()) return status;
  return dataset;
}

}  // namespace

absl::StatusOr<Dataset> ReadProteinTable(const std::string& path, const ReadOptions& options) {
  auto reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  return ReadProteinRows(*std::move(reader), path, options);
}

absl::StatusOr<Dataset> ReadScoreLines(const std::string& path, const ReadOptions& options) {
  auto reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  return ReadScoreRows(*std::move(reader), path, options);
}

absl::StatusOr<Dataset> ReadLineTable(const std::string& path, const ReadOptions& options) {
  auto reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  Line line;
  const absl::StatusOr<bool> more = reader->NextLine(&line);
  if (!more.ok()) return more.status();
  if (!*more) {
    return TextError(reader->name(), 1, 1, "an empty file",
                     "a table with the columns set, design, score, sequence, or lines of score and sequence");
  }
  if (IsWideHeader(line.text)) {
    reader->PutBack();
    return ReadWideTable(*std::move(reader), options);
  }
  for (const ColumnSpec& spec : ProteinColumns()) {
    if (!HasColumn(line.text, spec)) continue;
    reader->PutBack();
    return ReadProteinRows(*std::move(reader), path, options);
  }
  const std::vector<std::string_view> fields = SplitBlanks(line.text);
  float score = 0;
  if (fields.size() == 1 || fields.size() > 2 || (fields.size() == 2 && !ParseScore(fields[0], &score))) {
    return TextError(reader->name(), line.number, 1, Quoted(line.text),
                     Concat("a header with the tab-separated columns set, design, score, sequence, or ", kScoreLine));
  }
  reader->PutBack();
  return ReadScoreRows(*std::move(reader), path, options);
}

}  // namespace rb
