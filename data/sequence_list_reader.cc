// Sequences to score: FASTA, tables with a sequence column, or one sequence a line.
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "data/alphabet.h"
#include "data/line_reader.h"
#include "data/readers.h"
#include "data/text.h"
#include "data/text_value.h"

namespace rb {
namespace {

std::vector<ColumnSpec> ListColumns() { return {{{"seq", "sequence"}}, {{"id"}, false}}; }

// Collects sequences; letters are checked and made upper case, ids are kept unique.
class Collector {
 public:
  explicit Collector(std::string file) : file_(std::move(file)) {}

  absl::Status Start(const Line& line, std::string_view id) {
    if (id.empty()) return TextError(file_, line.number, ColumnOf(line, id), "a sequence without a name", "a name");
    return Add(line, ColumnOf(line, id), std::string(id));
  }
  absl::Status StartUnnamed(const Line& line) { return Add(line, 1, Concat("seq", sequences_.size() + 1)); }

  // Appends letters to the sequence started last.
  absl::Status Append(const Line& line, std::string_view letters) {
    std::string& bases = sequences_.back().bases;
    for (size_t i = 0; i < letters.size(); ++i) {
      const uint8_t code = BaseCode(letters[i]);
      if (code == kBadBase) {
        return TextError(file_, line.number, ColumnOf(line, letters) + static_cast<int64_t>(i),
                         Concat("the letter ", Quoted(letters.substr(i, 1)), " in a sequence"),
                         "A, C, G, U (or T) or N");
      }
      bases.push_back(kBaseLetters[code]);
    }
    return absl::OkStatus();
  }

  // Refuses an empty last sequence; `line` is where its letters should have been.
  absl::Status Finish(int64_t line) const {
    if (sequences_.empty() || !sequences_.back().bases.empty()) return absl::OkStatus();
    return TextError(file_, line, 1, Concat("no letters for sequence ", Quoted(sequences_.back().id)),
                     "at least one letter");
  }

  bool empty() const { return sequences_.empty(); }
  std::vector<NamedSequence> Take() { return std::move(sequences_); }

 private:
  absl::Status Add(const Line& line, int64_t column, std::string id) {
    if (!ids_.insert(id).second) {
      return TextError(file_, line.number, column, Concat("the id ", Quoted(id), " a second time"), "each id once");
    }
    sequences_.push_back({std::move(id), {}});
    return absl::OkStatus();
  }

  std::string file_;
  std::vector<NamedSequence> sequences_;
  std::unordered_set<std::string> ids_;
};

absl::Status ReadFasta(LineReader* reader, Collector* out) {
  Line line;
  absl::StatusOr<bool> more;
  for (more = reader->NextLine(&line); more.ok() && *more; more = reader->NextLine(&line)) {
    const std::string_view text = StripTrailingBlanks(line.text);
    if (text.empty()) continue;
    absl::Status status;
    if (text.front() == '>') {
      status = out->Finish(line.number);
      if (status.ok()) status = out->Start(line, text.substr(1, text.find_first_of(" \t") - 1));
    } else {
      status = out->Append(line, text);
    }
    if (!status.ok()) return status;
  }
  if (!more.ok()) return more.status();
  return out->Finish(reader->line_number() + 1);
}

absl::Status ReadListTable(LineReader* reader, Collector* out) {
  Line line;
  absl::StatusOr<bool> more = reader->NextLine(&line);
  if (!more.ok()) return more.status();
  const auto columns = FindColumns(reader->name(), line, ListColumns(), /*others_allowed=*/true);
  if (!columns.ok()) return columns.status();
  const int seq = (*columns)[0], id = (*columns)[1];
  std::vector<std::string_view> fields;
  SplitTabs(line.text, &fields);
  const size_t num_columns = fields.size();
  for (more = reader->NextLine(&line); more.ok() && *more; more = reader->NextLine(&line)) {
    SplitTabs(line.text, &fields);
    absl::Status status = CheckFieldCount(reader->name(), line, fields, num_columns);
    if (status.ok()) status = id < 0 ? out->StartUnnamed(line) : out->Start(line, fields[id]);
    if (status.ok()) status = out->Append(line, fields[seq]);
    if (status.ok()) status = out->Finish(line.number);
    if (!status.ok()) return status;
  }
  return more.status();
}

absl::Status ReadPlainList(LineReader* reader, Collector* out) {
  Line line;
  absl::StatusOr<bool> more;
  for (more = reader->NextLine(&line); more.ok() && *more; more = reader->NextLine(&line)) {
    const std::string_view text = StripBlanks(line.text);
    if (text.empty()) continue;
    absl::Status status = out->StartUnnamed(line);
    if (status.ok()) status = out->Append(line, text);
    if (!status.ok()) return status;
  }
  return more.status();
}

}  // namespace

absl::StatusOr<std::vector<NamedSequence>> ReadSequences(const std::string& path) {
  auto reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  Line line;
  absl::StatusOr<bool> more;
  do {
    more = reader->NextLine(&line);
  } while (more.ok() && *more && StripBlanks(line.text).empty());
  if (!more.ok()) return more.status();
  constexpr std::string_view expected = "FASTA, a table with a column seq or sequence, or one sequence a line";
  if (!*more) return TextError(reader->name(), 1, 1, "no sequences", expected);
  Collector out(reader->name());
  absl::Status status;
  const bool fasta = line.text.front() == '>';
  const bool table = line.text.find('\t') != std::string_view::npos || HasColumn(line.text, ListColumns()[0]);
  reader->PutBack();
  if (fasta) {
    status = ReadFasta(&*reader, &out);
  } else {
    status = table ? ReadListTable(&*reader, &out) : ReadPlainList(&*reader, &out);
  }
  if (!status.ok()) return status;
  if (out.empty()) return TextError(reader->name(), reader->line_number() + 1, 1, "no sequences", expected);
  return out.Take();
}

}  // namespace rb
