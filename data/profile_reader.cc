#include "data/profile_reader.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "data/alphabet.h"
#include "data/line_reader.h"
#include "data/sequence_letters.h"
#include "data/text.h"
#include "data/text_value.h"

namespace rb {
namespace {

constexpr int kFullRows = 5, kMostRows = 5;
constexpr float kRoundOff = 0.001f, kSumRoundOff = 0.01f;

class ProfileReader {
 public:
  ProfileReader(LineReader& reader, int channels, const ProfileTargets& targets)
      : reader_(reader), channels_(channels), targets_(targets) {}

  int channels() const { return channels_; }

  // The record of sequence i as [width][channels].
  absl::StatusOr<std::span<const float>> Next(int64_t i) {
    if (auto status = ReadHeader(i); !status.ok()) return status;
    int rows = 0;
    while (rows < kMostRows) {
      const auto more = ReadRow(i, rows);
      if (!more.ok()) return more.status();
      if (!*more) break;
      ++rows;
    }
    if (auto status = CheckRows(i, rows); !status.ok()) return status;
    return Store(i, rows);
  }

  absl::Status CheckEnd() {
    const auto more = NextFilled();
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    return Error(line_.text, Quoted(line_.text), Concat("the end behind ", targets_.count, " records, one a sequence"));
  }

 private:
  // The next line that is not blank.
  absl::StatusOr<bool> NextFilled() {
    for (;;) {
      const auto more = reader_.NextLine(&line_);
      if (!more.ok() || !*more || !StripBlanks(line_.text).empty()) return more;
    }
  }
  absl::Status Error(std::string_view at, std::string_view found, std::string_view expected) const {
    return reader_.Error(line_.number, ColumnOf(line_, at), found, expected);
  }
  std::string Sequence(int64_t i) const {
    const std::string name = targets_.name(i);
    return name.empty() ? Concat("sequence ", i + 1) : Concat("sequence ", i + 1, ", ", name);
  }

  absl::Status ReadHeader(int64_t i) {
    const auto more = NextFilled();
    if (!more.ok()) return more.status();
    if (!*more) {
      return reader_.Error(reader_.line_number() + 1, 1, Concat("the end behind ", i, " records"),
                           Concat(targets_.count, ", one a sequence"));
    }
    const std::string_view text = StripBlanks(line_.text);
    if (text.front() != '>') return Error(text, Quoted(text), Concat("'>' and a name, for ", Sequence(i)));
    const std::string_view title = StripBlanks(text.substr(1)), word = title.substr(0, title.find_first_of(" \t"));
    const std::string name = targets_.name(i);
    if (word.empty() || name.empty() || word == name) return CheckLetters(i, word, false);
    return CheckLetters(i, word, true);
  }

  // A name that spells a sequence must spell this one; `must`: no other name will do.
  absl::Status CheckLetters(int64_t i, std::string_view word, bool must) const {
    std::string spelt;
    for (const char letter : word) {
      const uint8_t code = BaseCode(letter);
      if (code == kBadBase) break;
      spelt += kBaseLetters[code];
    }
    const bool sequence = spelt.size() == word.size() && static_cast<int64_t>(word.size()) >= targets_.width(i);
    if (!must && !sequence) return absl::OkStatus();
    if (sequence && spelt == targets_.letters(i)) return absl::OkStatus();
    return Error(word, Quoted(word), Concat(Sequence(i), ": records are in the sequences' order"));
  }

  // False at the next record or the end.
  absl::StatusOr<bool> ReadRow(int64_t i, int row) {
    const auto more = NextFilled();
    if (!more.ok() || !*more) return more;
    if (StripBlanks(line_.text).front() == '>') {
      reader_.PutBack();
      return false;
    }
    const std::vector<std::string_view> fields = SplitBlanks(line_.text);
    const size_t width = static_cast<size_t>(targets_.width(i));
    if (fields.size() != width) {
      return Error(fields[std::min(width, fields.size() - 1)], Concat(fields.size(), " values"),
                   Concat(width, ", one a base of ", Sequence(i)));
    }
    rows_[row].resize(width);
    for (size_t p = 0; p < width; ++p) {
      float& value = rows_[row][p];
      if (!ParseScore(fields[p], &value) || !(value >= -kRoundOff && value <= 1 + kRoundOff)) {
        return Error(fields[p], Quoted(fields[p]), "a probability");
      }
      value = std::clamp(value, 0.0f, 1.0f);
    }
    return true;
  }

  absl::Status CheckRows(int64_t i, int rows) {
    const auto refuse = [&](std::string_view expected) {
      return reader_.Error(reader_.line_number(), 1, Concat(rows, " rows for ", Sequence(i)), expected);
    };
    if (rows != 2 && rows != 4 && rows != kFullRows)
      return refuse("5 (P H I M E), 4 (P L M U) or 2 (paired, unpaired)");
    if (channels_ == 0) channels_ = rows == kFullRows ? kFullRows : 2;
    if (channels_ == kFullRows && rows != kFullRows) return refuse("5 (P H I M E) for these tracks");
    for (size_t p = 0; p < rows_[0].size(); ++p) {
      float sum = 0;
      for (int row = 0; row < rows; ++row) sum += rows_[row][p];
      if (std::abs(sum - 1) <= kSumRoundOff) continue;
      return refuse(Concat("rows that add up to 1 at each base, not to ", sum, " at base ", p + 1,
                           ": is the row of paired bases there?"));
    }
    return absl::OkStatus();
  }

  std::span<const float> Store(int64_t i, int rows) {
    const size_t width = static_cast<size_t>(targets_.width(i));
    values_.resize(width * static_cast<size_t>(channels_));
    for (size_t p = 0; p < width; ++p) {
      if (channels_ == kFullRows) {
        for (int row = 0; row < rows; ++row) values_[p * kFullRows + static_cast<size_t>(row)] = rows_[row][p];
      } else {
        values_[2 * p] = rows_[0][p];
        values_[2 * p + 1] = 0;
        for (int row = 1; row < rows; ++row) values_[2 * p + 1] += rows_[row][p];
      }
    }
    return values_;
  }

  LineReader& reader_;
  int channels_;
  const ProfileTargets& targets_;
  Line line_;
  std::vector<float> rows_[kMostRows], values_;
};

}  // namespace

absl::StatusOr<int> ReadProfiles(const std::string& path, int channels, const ProfileTargets& targets,
                                 const std::function<void(int64_t i, std::span<const float> values)>& store) {
  auto reader = LineReader::Open(path);
  if (!reader.ok()) return reader.status();
  ProfileReader profiles(*reader, channels, targets);
  for (int64_t i = 0; i < targets.count; ++i) {
    const auto values = profiles.Next(i);
    if (!values.ok()) return values.status();
    store(i, *values);
  }
  if (auto status = profiles.CheckEnd(); !status.ok()) return status;
  return profiles.channels();
}

absl::Status AddGivenTracks(const std::string& path, int channels, Sequences& sequences) {
  const int length = sequences.length;
  ProfileTargets targets;
  targets.count = sequences.size();
  targets.width = [&](int64_t i) { return sequences.widths[i]; };
  targets.name = [&](int64_t i) { return sequences.ids.empty() ? std::string() : sequences.ids[i]; };
  targets.letters = [&](int64_t i) { return LettersOf(sequences, i); };
  std::vector<float> tracks;
  const auto store = [&](int64_t i, std::span<const float> values) {
    const size_t width = sequences.widths[i], channels_here = values.size() / width;
    if (tracks.empty()) tracks.assign(static_cast<size_t>(sequences.size() * length) * channels_here, 0.0f);
    const size_t first = static_cast<size_t>(i * length + LeftPadding(length, sequences.widths[i]));
    std::copy(values.begin(), values.end(), tracks.begin() + static_cast<int64_t>(first * channels_here));
  };
  const auto read = ReadProfiles(path, channels, targets, store);
  if (!read.ok()) return read.status();
  sequences.structure_channels = *read;
  sequences.structure_source = kGivenProfiles;
  sequences.tracks = std::move(tracks);
  return absl::OkStatus();
}

}  // namespace rb
