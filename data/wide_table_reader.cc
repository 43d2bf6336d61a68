#include "data/wide_table_reader.h"

#include <unordered_set>
#include <utility>
#include <vector>

#include "data/probes.h"
#include "data/text.h"
#include "data/text_value.h"

namespace rb {
namespace {

std::vector<ColumnSpec> Columns() {
  return {{{"Probe_Set", "fold", "fold_id", "Fold ID", "set"}},
          {{"RNA_Seq", "seq", "sequence"}},
          {{"Probe_ID", "id"}, false},
          {{"design"}, false}};
}

// "A" of "SetA".
std::string_view WithoutSet(std::string_view fold) {
  const bool set = fold.size() == 4 && (fold.substr(0, 3) == "Set" || fold.substr(0, 3) == "set");
  return set ? fold.substr(3) : fold;
}

class WideTable {
 public:
  WideTable(LineReader reader, const ReadOptions& options) : reader_(std::move(reader)), options_(options) {}

  absl::StatusOr<Dataset> Read() {
    if (absl::Status status = CheckLength(options_); !status.ok()) return status;
    dataset_.sequences.length = options_.length;
    Line line;
    absl::StatusOr<bool> more = reader_.NextLine(&line);
    if (!more.ok()) return more.status();
    if (absl::Status status = ReadHeader(line); !status.ok()) return status;
    for (more = reader_.NextLine(&line); more.ok() && *more; more = reader_.NextLine(&line)) {
      if (absl::Status status = ReadRow(line); !status.ok()) return status;
    }
    if (!more.ok()) return more.status();
    return Finish();
  }

 private:
  absl::Status ReadHeader(const Line& line) {
    const auto columns = FindColumns(reader_.name(), line, Columns(), /*others_allowed=*/true);
    if (!columns.ok()) return columns.status();
    fold_ = (*columns)[0], sequence_ = (*columns)[1], id_ = (*columns)[2];
    std::vector<std::string_view> fields;
    SplitTabs(line.text, &fields);
    names_.assign(fields.begin(), fields.end());
    for (size_t c = 0; c < names_.size(); ++c) {
      bool other = true;
      for (const int known : *columns) other &= static_cast<int>(c) != known;
      if (other) candidates_.push_back(c);
    }
    return absl::OkStatus();
  }

  // Which columns hold scores, told by the first row, and which of them are wanted.
  absl::Status ChooseColumns(const Line& line, const std::vector<std::string_view>& fields) {
    std::vector<std::string> names;
    std::vector<size_t> places;
    std::unordered_set<std::string> seen;
    for (const size_t c : candidates_) {
      float value = 0;
      if (!ParseScore(fields[c], &value)) continue;
      if (names_[c].empty() || !seen.insert(names_[c]).second) {
        return reader_.Error(1, 1, Concat("the column ", Quoted(names_[c]), " in place ", c + 1),
                             "a name for each experiment, and each once");
      }
      names.push_back(names_[c]);
      places.push_back(c);
    }
    if (names.empty()) {
      return reader_.Error(line.number, 1, "a row without a score",
                           Concat("columns of scores beside ", names_[fold_], " and ", names_[sequence_]));
    }
    const auto chosen = ChooseExperiments(reader_.name(), names, options_.experiments);
    if (!chosen.ok()) return chosen.status();
    for (const int i : *chosen) {
      dataset_.experiments.push_back(names[i]);
      scores_.push_back(places[i]);
    }
    targets_.resize(scores_.size());
    return absl::OkStatus();
  }

  absl::Status ReadRow(const Line& line) {
    SplitTabs(line.text, &fields_);
    const std::string& file = reader_.name();
    absl::Status status = CheckFieldCount(file, line, fields_, names_.size());
    if (status.ok() && scores_.empty()) status = ChooseColumns(line, fields_);
    if (status.ok()) status = AppendFold(file, line, WithoutSet(StripBlanks(fields_[fold_])), &dataset_.folds);
    if (status.ok()) status = AppendProbe(file, line, StripBlanks(fields_[sequence_]), options_, &dataset_.sequences);
    if (!status.ok()) return status;
    if (id_ >= 0) dataset_.sequences.ids.emplace_back(StripBlanks(fields_[id_]));
    for (size_t e = 0; e < scores_.size(); ++e) {
      const std::string_view cell = fields_[scores_[e]];
      float value = 0;
      if (!ParseScore(cell, &value)) {
        return reader_.Error(line.number, ColumnOf(line, cell), Concat(Quoted(cell), " in column ", names_[scores_[e]]),
                             kScoreExpected);
      }
      targets_[e].push_back(value);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Dataset> Finish() {
    if (dataset_.num_probes() == 0) {
      return reader_.Error(reader_.line_number() + 1, 1, "the end of the file", "at least one row after the header");
    }
    dataset_.targets.reserve(targets_.size() * targets_[0].size());
    for (std::vector<float>& column : targets_) {
      dataset_.targets.insert(dataset_.targets.end(), column.begin(), column.end());
      column = {};
    }
    if (const int64_t empty = FindEmptyExperiment(dataset_); empty >= 0) {
      return reader_.Error(1, 1, Concat("experiment ", dataset_.experiments[empty], " without any value"),
                           "at least one number in each column");
    }
    return std::move(dataset_);
  }

  LineReader reader_;
  const ReadOptions& options_;
  Dataset dataset_;
  std::vector<std::string> names_;
  std::vector<size_t> candidates_, scores_;  // columns
  int fold_ = -1, sequence_ = -1, id_ = -1;
  std::vector<std::string_view> fields_;
  std::vector<std::vector<float>> targets_;  // by experiment
};

}  // namespace

bool IsWideHeader(std::string_view header) {
  const std::vector<ColumnSpec> specs = Columns();
  if (!HasColumn(header, specs[0]) || !HasColumn(header, specs[1]) || HasColumn(header, {{"score"}})) return false;
  std::vector<std::string_view> fields;
  SplitTabs(header, &fields);
  size_t known = 0;
  for (const ColumnSpec& spec : specs) known += HasColumn(header, spec);
  return fields.size() > known;
}

absl::StatusOr<Dataset> ReadWideTable(LineReader reader, const ReadOptions& options) {
  return WideTable(std::move(reader), options).Read();
}

}  // namespace rb
