// Cells of text tables.
#ifndef RB_DATA_TEXT_VALUE_H_
#define RB_DATA_TEXT_VALUE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "data/line_reader.h"

namespace rb {

// A score: a finite number, or NaN for a missing one (empty, NA, nan in any case). False for anything else, infinities
// and numbers beyond float included. Blanks around the number are allowed; magnitudes below float's smallest become 0.
bool ParseScore(std::string_view cell, float* value);

// What ParseScore accepts, for messages.
inline constexpr std::string_view kScoreExpected = "a finite number, or nothing, NA or nan where the value is missing";

// Cuts `line` at tabs. `fields` is reused.
void SplitTabs(std::string_view line, std::vector<std::string_view>* fields);

// The fields of a line that is cut at runs of blanks.
std::vector<std::string_view> SplitBlanks(std::string_view line);

// 1-based column of a field of `line`.
inline int64_t ColumnOf(const Line& line, std::string_view field) { return field.data() - line.text.data() + 1; }

// Refuses a row that has not `expected` fields. The place is the row's end when it is short, the first field too many
// otherwise.
absl::Status CheckFieldCount(std::string_view file, const Line& line, const std::vector<std::string_view>& fields,
                             size_t expected);

// One column that a table may have, by any of its names (letter case is ignored; the first name is used in messages).
struct ColumnSpec {
  std::vector<std::string_view> names;
  bool required = true;
};

// For each spec the 0-based column of `header` that bears its name, or -1 when it is optional and absent.
// InvalidArgument, with the place: no known name at all (the header is missing), an unknown name (unless
// `others_allowed`), a name twice, a required one absent.
absl::StatusOr<std::vector<int>> FindColumns(std::string_view file, const Line& header,
                                             const std::vector<ColumnSpec>& specs, bool others_allowed);

// True when some tab-separated field of `line` is one of the names.
bool HasColumn(std::string_view line, const ColumnSpec& spec);

}  // namespace rb

#endif  // RB_DATA_TEXT_VALUE_H_
