// Reads sequences.tsv and targets.tsv. The targets are parsed in pieces on all threads while one of them decompresses
// the next block: two blocks of about 2 MiB exist at a time, whatever the table's size.
#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_set>
#include <utility>

#include "data/line_reader.h"
#include "data/probes.h"
#include "data/readers.h"
#include "data/text.h"
#include "data/text_value.h"

namespace rb {
namespace {

constexpr int kPiecesPerThread = 2;

std::vector<ColumnSpec> SequenceColumns() {
  return {{{"Fold ID", "fold_id", "fold", "set"}}, {{"seq", "sequence"}}, {{"id"}, false}};
}

absl::Status ReadSequenceTable(const std::string& path, const ReadOptions& options, Dataset* dataset) {
  absl::StatusOr<LineReader> reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  const std::string& file = reader->name();
  Line line;
  absl::StatusOr<bool> more = reader->NextLine(&line);
  if (!more.ok()) return more.status();
  if (!*more) return TextError(file, 1, 1, "an empty file", "a header with the columns Fold ID and seq, and rows");
  const auto columns = FindColumns(file, line, SequenceColumns(), /*others_allowed=*/false);
  if (!columns.ok()) return columns.status();
  const int fold = (*columns)[0], seq = (*columns)[1], id = (*columns)[2];
  const size_t num_columns = id < 0 ? 2 : 3;
  std::vector<std::string_view> fields;
  std::unordered_set<std::string> ids;
  for (more = reader->NextLine(&line); more.ok() && *more; more = reader->NextLine(&line)) {
    SplitTabs(line.text, &fields);
    if (absl::Status status = CheckFieldCount(file, line, fields, num_columns); !status.ok()) return status;
    if (absl::Status status = AppendFold(file, line, fields[fold], &dataset->folds); !status.ok()) return status;
    if (absl::Status status = AppendProbe(file, line, fields[seq], options, &dataset->sequences); !status.ok()) {
      return status;
    }
    if (id < 0) continue;
    if (fields[id].empty() || !ids.emplace(fields[id]).second) {
      return TextError(file, line.number, ColumnOf(line, fields[id]), Concat("the id ", Quoted(fields[id])),
                       "an id that no earlier row has, and not an empty one");
    }
    dataset->sequences.ids.emplace_back(fields[id]);
  }
  if (!more.ok()) return more.status();
  if (dataset->num_probes() == 0) {
    return TextError(file, reader->line_number() + 1, 1, "the end of the file", "at least one row after the header");
  }
  if (dataset->num_probes() > std::numeric_limits<int32_t>::max()) {
    return TextError(file, reader->line_number(), 1, "more than 2147483647 rows", "fewer");
  }
  return absl::OkStatus();
}

// One column of the targets table.
struct TargetColumn {
  int64_t experiment = -1;  // row of Dataset::targets, or -1 when it was not asked for
};

// Parses lines of the table into Dataset::targets; const, so that any number of threads may share it.
class TargetParser {
 public:
  TargetParser(std::string file, std::vector<std::string> names, std::vector<TargetColumn> columns, int64_t first_line,
               Dataset* dataset)
      : file_(std::move(file)),
        names_(std::move(names)),
        columns_(std::move(columns)),
        first_line_(first_line),
        probes_(dataset->num_probes()),
        targets_(dataset->targets.data()) {}

  // Parses whole lines; the first has this 1-based number. Stops at the first bad one.
  absl::Status Parse(std::string_view text, int64_t line_number) const {
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const Line line{StripCarriageReturn(text.substr(0, end)), line_number};
      if (absl::Status status = ParseLine(line); !status.ok()) return status;
      text.remove_prefix(end + 1);
      ++line_number;
    }
    return absl::OkStatus();
  }

  int64_t first_line() const { return first_line_; }

 private:
  absl::Status ParseLine(const Line& line) const {
    const int64_t row = line.number - first_line_;
    if (row >= probes_) {
      return TextError(file_, line.number, 1, "one row more than there are sequences",
                       Concat(probes_, " rows, one for each sequence"));
    }
    const char* at = line.text.data();
    const char* const end = at + line.text.size();
    for (size_t c = 0; c < columns_.size(); ++c) {
      const char* stop = static_cast<const char*>(at == end ? nullptr : std::memchr(at, '\t', end - at));
      const bool last = stop == nullptr;
      if (last) stop = end;
      if (last != (c + 1 == columns_.size())) return Ragged(line);
      if (columns_[c].experiment >= 0) {
        float* const value = targets_ + columns_[c].experiment * probes_ + row;
        if (!ParseScore({at, static_cast<size_t>(stop - at)}, value)) return BadScore(line, c, at, stop);
      }
      at = last ? end : stop + 1;
    }
    return absl::OkStatus();
  }

  absl::Status Ragged(const Line& line) const {
    std::vector<std::string_view> fields;
    SplitTabs(line.text, &fields);
    return CheckFieldCount(file_, line, fields, columns_.size());
  }

  absl::Status BadScore(const Line& line, size_t column, const char* begin, const char* end) const {
    const std::string_view cell(begin, static_cast<size_t>(end - begin));
    return TextError(file_, line.number, ColumnOf(line, cell), Concat(Quoted(cell), " in column ", names_[column]),
                     kScoreExpected);
  }

  std::string file_;
  std::vector<std::string> names_;
  std::vector<TargetColumn> columns_;
  int64_t first_line_, probes_;
  float* targets_;
};

// Header -> experiment names. Errors: empty or repeated names, a row of numbers where the header should be.
absl::StatusOr<std::vector<std::string>> ParseTargetHeader(const std::string& file, const Line& line) {
  std::vector<std::string_view> fields;
  SplitTabs(line.text, &fields);
  std::unordered_set<std::string_view> seen;
  for (const std::string_view field : fields) {
    float value = 0;
    if (ParseScore(field, &value)) {
      return TextError(file, line.number, ColumnOf(line, field),
                       field.empty() ? "an empty experiment name" : Concat("the value ", Quoted(field)),
                       "a header of experiment names");
    }
    if (!seen.insert(field).second) {
      return TextError(file, line.number, ColumnOf(line, field), Concat("experiment ", Quoted(field), " a second time"),
                       "each experiment once");
    }
  }
  return std::vector<std::string>(fields.begin(), fields.end());
}

// A piece of a block: whole lines.
struct Piece {
  std::string_view text;
  int64_t first_line = 0;
};

std::vector<Piece> CutBlock(const LineBlock& block, int count) {
  std::vector<Piece> pieces;
  std::string_view rest = block.text;
  int64_t line = block.first_line;
  const size_t goal = rest.size() / static_cast<size_t>(count) + 1;
  while (!rest.empty()) {
    const size_t end = rest.find('\n', std::min(goal, rest.size()) - 1) + 1;  // a block ends with '\n', so there is one
    pieces.push_back({rest.substr(0, end), line});
    line += std::count(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(end), '\n');
    rest.remove_prefix(end);
  }
  return pieces;
}

// Parses everything that `reader` still has; returns the number of rows.
absl::StatusOr<int64_t> ParseBlocks(const TargetParser& parser, LineReader* reader, Parallel& parallel) {
  LineBlock blocks[2];
  int current = 0;
  int64_t rows = 0;
  absl::StatusOr<bool> more = reader->NextBlock(&blocks[current]);
  while (more.ok() && *more) {
    rows += blocks[current].num_lines;
    const std::vector<Piece> pieces = CutBlock(blocks[current], kPiecesPerThread * parallel.num_threads());
    std::vector<absl::Status> results(pieces.size());
    auto task = [&](int64_t i, int) {  // task 0 decompresses the next block, the others parse this one
      if (i == 0) {
        more = reader->NextBlock(&blocks[1 - current]);
      } else {
        results[i - 1] = parser.Parse(pieces[i - 1].text, pieces[i - 1].first_line);
      }
    };
    parallel.Run(static_cast<int64_t>(pieces.size()) + 1, task);
    for (const absl::Status& status : results) {
      if (!status.ok()) return status;  // the earliest line's
    }
    current = 1 - current;
  }
  if (!more.ok()) return more.status();
  return rows;
}

absl::Status ReadTargetTable(const std::string& path, const ReadOptions& options, Parallel& parallel,
                             Dataset* dataset) {
  absl::StatusOr<LineReader> reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  const std::string file = reader->name();
  Line header;
  const absl::StatusOr<bool> more = reader->NextLine(&header);
  if (!more.ok()) return more.status();
  if (!*more) return TextError(file, 1, 1, "an empty file", "a header of experiment names, and rows");
  auto names = ParseTargetHeader(file, header);
  if (!names.ok()) return names.status();
  std::vector<std::string_view> fields;
  SplitTabs(header.text, &fields);
  std::vector<int64_t> places;  // header columns, for messages
  for (const std::string_view field : fields) places.push_back(ColumnOf(header, field));
  const auto chosen = ChooseExperiments(file, *names, options.experiments);
  if (!chosen.ok()) return chosen.status();

  std::vector<TargetColumn> columns(names->size());
  for (size_t e = 0; e < chosen->size(); ++e) {
    columns[(*chosen)[e]].experiment = static_cast<int64_t>(e);
    dataset->experiments.push_back((*names)[(*chosen)[e]]);
  }
  const int64_t probes = dataset->num_probes();
  dataset->targets.resize(chosen->size() * static_cast<size_t>(probes));
  const TargetParser parser(file, *std::move(names), std::move(columns), header.number + 1, dataset);
  const absl::StatusOr<int64_t> rows = ParseBlocks(parser, &*reader, parallel);
  if (!rows.ok()) return rows.status();
  if (*rows != probes) {
    return TextError(file, parser.first_line() + *rows, 1, Concat("the end of the table after ", *rows, " rows"),
                     Concat(probes, " rows, one for each sequence"));
  }
  if (const int64_t empty = FindEmptyExperiment(*dataset); empty >= 0) {
    return TextError(file, 1, places[(*chosen)[empty]],
                     Concat("experiment ", dataset->experiments[empty], " without any value"),
                     "at least one number in each column");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> ReadTables(const std::string& sequences_path, const std::string& targets_path,
                                   const ReadOptions& options, Parallel& parallel) {
  if (absl::Status status = CheckLength(options); !status.ok()) return status;
  Dataset dataset;
  dataset.sequences.length = options.length;
  if (absl::Status status = ReadSequenceTable(sequences_path, options, &dataset); !status.ok()) return status;
  if (absl::Status status = ReadTargetTable(targets_path, options, parallel, &dataset); !status.ok()) return status;
  return dataset;
}

}  // namespace rb
