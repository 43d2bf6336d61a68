// Numbers, fields and headers of text tables.
#include "data/text_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"

#include "data/text.h"

namespace rb {
namespace {

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(AbslView(a), AbslView(b));
}

bool IsMissing(std::string_view text) {
  if (text.empty()) return true;
  if (text.front() == '-' || text.front() == '+') text.remove_prefix(1);  // printf writes -nan
  return EqualsIgnoreCase(text, "nan") || EqualsIgnoreCase(text, "NA");
}

bool Names(const ColumnSpec& spec, std::string_view field) {
  for (const std::string_view name : spec.names) {
    if (EqualsIgnoreCase(name, field)) return true;
  }
  return false;
}

std::string SpecList(const std::vector<ColumnSpec>& specs) {
  return absl::StrJoin(specs, ", ", [](std::string* out, const ColumnSpec& spec) {
    Append(out, spec.names.front(), spec.required ? "" : " (optional)");
  });
}

}  // namespace

bool ParseScore(std::string_view cell, float* value) {
  const std::string_view text = StripBlanks(cell);
  if (IsMissing(text)) {
    *value = std::numeric_limits<float>::quiet_NaN();
    return true;
  }
  const char* begin = text.data();
  const char* const end = begin + text.size();
  if (*begin == '+') ++begin;
  // from_chars would take "inf" and "nan(7)" too; a number starts with a digit or a point.
  const char* digits = begin;
  if (digits < end && *digits == '-' && text.front() != '+') ++digits;
  if (digits == end || !(absl::ascii_isdigit(static_cast<unsigned char>(*digits)) || *digits == '.')) return false;
  const auto [stop, error] = std::from_chars(begin, end, *value);
  if (stop != end) return false;
  if (error == std::errc()) return true;
  if (error != std::errc::result_out_of_range) return false;
  double wide = 0;  // out of float's range: too small is zero, too large is refused
  if (std::from_chars(begin, end, wide).ec == std::errc() && std::abs(wide) > 1) return false;
  if (wide == 0) {  // beyond double as well: the sign of the exponent tells which way
    const size_t exponent = text.find_first_of("eE");
    if (exponent == std::string_view::npos || text.substr(exponent + 1, 1) != "-") return false;
  }
  *value = static_cast<float>(wide);
  return true;
}

void SplitTabs(std::string_view line, std::vector<std::string_view>* fields) {
  fields->clear();
  while (true) {
    const size_t tab = line.find('\t');
    fields->push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return;
    line.remove_prefix(tab + 1);
  }
}

std::vector<std::string_view> SplitBlanks(std::string_view line) {
  std::vector<std::string_view> fields;
  for (line = StripBlanks(line); !line.empty(); line = StripBlanks(line)) {
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    fields.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return fields;
}

absl::Status CheckFieldCount(std::string_view file, const Line& line, const std::vector<std::string_view>& fields,
                             size_t expected) {
  if (fields.size() == expected) return absl::OkStatus();
  const int64_t column =
      fields.size() < expected ? static_cast<int64_t>(line.text.size()) + 1 : ColumnOf(line, fields[expected]);
  return TextError(file, line.number, column, Concat("a row of ", fields.size(), " tab-separated fields"),
                   Concat(expected, " as in the header"));
}

absl::StatusOr<std::vector<int>> FindColumns(std::string_view file, const Line& header,
                                             const std::vector<ColumnSpec>& specs, bool others_allowed) {
  std::vector<std::string_view> fields;
  SplitTabs(header.text, &fields);
  std::vector<int> found(specs.size(), -1);
  int unknown = -1, known = 0;
  for (int i = 0; i < static_cast<int>(fields.size()); ++i) {
    size_t spec = 0;
    while (spec < specs.size() && !Names(specs[spec], fields[i])) ++spec;
    if (spec == specs.size()) {
      if (unknown < 0) unknown = i;
      continue;
    }
    if (found[spec] >= 0) {
      return TextError(file, header.number, ColumnOf(header, fields[i]),
                       Concat("column ", Quoted(fields[i]), " a second time"), "each column once");
    }
    found[spec] = i;
    ++known;
  }
  const std::string wanted = Concat("a header with the tab-separated columns ", SpecList(specs));
  if (known == 0) return TextError(file, header.number, 1, Quoted(header.text), wanted);
  if (unknown >= 0 && !others_allowed) {
    return TextError(file, header.number, ColumnOf(header, fields[unknown]),
                     Concat("unknown column ", Quoted(fields[unknown])), wanted);
  }
  for (size_t spec = 0; spec < specs.size(); ++spec) {
    if (!specs[spec].required || found[spec] >= 0) continue;
    return TextError(file, header.number, static_cast<int64_t>(header.text.size()) + 1,
                     Concat("no column ", specs[spec].names.front()), wanted);
  }
  return found;
}

bool HasColumn(std::string_view line, const ColumnSpec& spec) {
  std::vector<std::string_view> fields;
  SplitTabs(line, &fields);
  for (const std::string_view field : fields) {
    if (Names(spec, field)) return true;
  }
  return false;
}

}  // namespace rb
