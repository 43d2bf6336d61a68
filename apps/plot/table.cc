#include "apps/plot/table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "data/line_reader.h"
#include "data/text_value.h"
#include "engine/check.h"

namespace rb::plot {
namespace {

// Tests give infinite t and empty intervals have none: neither has a place in a picture.
bool IsInfinite(const std::string& cell) {
  return absl::EqualsIgnoreCase(cell, "inf") || absl::EqualsIgnoreCase(cell, "-inf");
}

std::string Some(const std::set<std::string>& names) {
  std::vector<std::string> some(names.begin(), std::next(names.begin(), std::min<ptrdiff_t>(std::ssize(names), 5)));
  return absl::StrCat(absl::StrJoin(some, ", "), names.size() > 5 ? ", .." : "");
}

}  // namespace

absl::StatusOr<Table> Table::Read(const std::string& path) {
  RB_ASSIGN_OR_RETURN(LineReader reader, LineReader::Open(path));
  Table table;
  table.path_ = reader.name();
  Line line;
  RB_ASSIGN_OR_RETURN(bool more, reader.NextLine(&line));
  if (!more || line.text.empty()) return reader.Error(1, 1, "an empty file", "a header line with the columns' names");
  std::vector<std::string_view> fields;
  SplitTabs(StripCarriageReturn(line.text), &fields);
  for (const std::string_view field : fields) {
    if (table.Has(std::string(field))) {
      return reader.Error(1, ColumnOf(line, field), Quoted(field), "each column's name once");
    }
    table.names_.emplace_back(field);
  }
  while (true) {
    RB_ASSIGN_OR_RETURN(more, reader.NextLine(&line));
    if (!more) return table;
    line.text = StripCarriageReturn(line.text);
    if (line.text.empty()) continue;
    SplitTabs(line.text, &fields);
    RB_RETURN_IF_ERROR(CheckFieldCount(reader.name(), line, fields, table.names_.size()));
    if (table.lines_.size() == kMostRows) {
      return absl::ResourceExhaustedError(
          absl::StrCat(table.path_, ": has more than ", kMostRows, " rows; expected at most that for a picture"));
    }
    table.lines_.push_back(line.number);
    table.cells_.insert(table.cells_.end(), fields.begin(), fields.end());
  }
}

bool Table::Has(const std::string& column) const {
  return std::find(names_.begin(), names_.end(), column) != names_.end();
}

absl::StatusOr<int> Table::Find(const std::string& column) const {
  const auto it = std::find(names_.begin(), names_.end(), column);
  if (it != names_.end()) return static_cast<int>(it - names_.begin());
  std::string some = absl::StrJoin(names_.begin(), names_.begin() + std::min<size_t>(names_.size(), 20), ", ");
  if (some.size() > 200) some = some.substr(0, 200) + " ..";
  return absl::NotFoundError(absl::StrCat(path_, ": has no column ", Quoted(column), "; expected one of ", some));
}

absl::StatusOr<std::vector<double>> Table::Numbers(const std::string& column) const {
  RB_ASSIGN_OR_RETURN(const int at, Find(column));
  std::vector<double> numbers;
  for (size_t i = 0; i < rows(); ++i) {
    const std::string& cell = Cell(i, at);
    float value = 0;
    if (IsInfinite(cell)) {
      value = std::numeric_limits<float>::quiet_NaN();
    } else if (!ParseScore(cell, &value)) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ":", lines_[i], ": found ", Quoted(cell), " in column ",
                                                     column, "; expected ", std::string(kScoreExpected)));
    }
    numbers.push_back(value);
  }
  return numbers;
}

absl::StatusOr<std::vector<std::string>> Table::Texts(const std::string& column) const {
  RB_ASSIGN_OR_RETURN(const int at, Find(column));
  std::vector<std::string> texts;
  for (size_t i = 0; i < rows(); ++i) texts.push_back(Cell(i, at));
  return texts;
}

absl::StatusOr<Table> Table::Of(const std::string& column, std::string name) const {
  RB_ASSIGN_OR_RETURN(const std::vector<std::string> cells, Texts(column));
  if (cells.empty()) return absl::NotFoundError(absl::StrCat(path_, ": has no rows; expected at least one"));
  const std::set<std::string> names(cells.begin(), cells.end());
  if (name.empty() && names.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": has ", names.size(), " in its column ", column,
                                                   "; expected --", column, " with one of ", Some(names)));
  }
  if (name.empty()) name = *names.begin();
  if (names.count(name) == 0) {
    return absl::NotFoundError(
        absl::StrCat(path_, ": has no ", column, " ", Quoted(name), "; expected one of ", Some(names)));
  }
  std::vector<bool> keep;
  for (const std::string& cell : cells) keep.push_back(cell == name);
  return Only(keep);
}

Table Table::Only(const std::vector<bool>& keep) const {
  Table table;
  table.path_ = path_;
  table.names_ = names_;
  const auto width = static_cast<std::ptrdiff_t>(names_.size());
  for (size_t i = 0; i < rows(); ++i) {
    if (!keep[i]) continue;
    const auto first = cells_.begin() + static_cast<std::ptrdiff_t>(i) * width;
    table.cells_.insert(table.cells_.end(), first, first + width);
    table.lines_.push_back(lines_[i]);
  }
  return table;
}

}  // namespace rb::plot
