#include "apps/motif/files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/command.h"
#include "apps/common/outputs.h"
#include "data/alphabet.h"
#include "data/line_reader.h"
#include "data/text_value.h"
#include "engine/check.h"
#include "gia/iupac.h"

namespace rb::apps {
namespace {

absl::Status Annotate(const absl::Status& status, const std::string& source) {
  return absl::Status(status.code(), absl::StrCat(source, ": ", status.message()));
}

absl::Status CheckKmer(const LineReader& reader, const Line& line, std::string_view kmer, size_t k) {
  const auto refuse = [&](size_t at, const std::string& found, const std::string& expected) {
    return reader.Error(line.number, ColumnOf(line, kmer) + static_cast<int64_t>(at), found, expected);
  };
  for (size_t i = 0; i < kmer.size(); ++i) {
    if (BaseCode(kmer[i]) >= kUnknownBase) {
      return refuse(i, absl::StrCat("the letter ", Quoted(kmer.substr(i, 1)), " in a k-mer"), "A, C, G, U or T");
    }
  }
  if (kmer.empty()) return refuse(0, "no k-mer", "one of A, C, G, U or T");
  if (k != 0 && kmer.size() != k) {
    return refuse(0, absl::StrCat("a k-mer of ", kmer.size(), " letters"), absl::StrCat(k, " letters, as before"));
  }
  return absl::OkStatus();
}

std::string RnaLetters(std::string_view kmer) {
  std::string letters;
  for (const char letter : kmer) letters += kBaseLetters[BaseCode(letter)];
  return letters;
}

}  // namespace

absl::StatusOr<MotifFormat> ChooseMotifFormat(const std::string& format, const std::string& path) {
  if (!format.empty()) return ParseMotifFormat(format);
  const std::string extension = std::filesystem::path(path).extension().string();
  const auto known = ParseMotifFormat(extension.empty() ? extension : extension.substr(1));
  if (known.ok()) return known;
  return UsageError(absl::StrCat("--out ", path,
                                 ": its extension names no format; expected .meme, .jaspar, .transfac or .tsv, or "
                                 "--format"));
}

absl::Status WriteMotifFile(const std::string& path, const std::vector<MotifRecord>& motifs, MotifFormat format,
                            bool dna, const std::string& source) {
  if (const auto text = FormatMotifs(motifs, format, dna); !text.ok()) return Annotate(text.status(), source);
  RB_RETURN_IF_ERROR(MakeFolder(ParentFolder(path)));
  return WriteMotifs(path, motifs, format, dna);
}

absl::StatusOr<MotifRecord> ReadOneMotif(const std::string& argument) {
  std::error_code error;
  const size_t colon = argument.rfind(':');
  const bool whole = colon == std::string::npos || std::filesystem::exists(argument, error);
  const std::string path = whole ? argument : argument.substr(0, colon);
  const std::string name = whole ? "" : argument.substr(colon + 1);
  RB_ASSIGN_OR_RETURN(const std::vector<MotifRecord> motifs, ReadMotifs(path));
  if (whole && motifs.size() == 1) return motifs[0];
  for (const MotifRecord& motif : motifs) {
    if (!whole && (motif.pwm.name == name || motif.description == name)) return motif;
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min<size_t>(motifs.size(), 5); ++i) names.push_back(motifs[i].pwm.name);
  const std::string some = absl::StrCat(absl::StrJoin(names, ", "), motifs.size() > names.size() ? ", .." : "");
  if (!whole) {
    return absl::NotFoundError(absl::StrCat(path, ": holds no motif ", Quoted(name), "; expected one of ", some));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": holds ", motifs.size(), " motifs; expected FILE:NAME with one of ", some));
}

absl::StatusOr<std::vector<WeightedSequence>> ReadKmerTable(const std::string& path) {
  RB_ASSIGN_OR_RETURN(LineReader reader, LineReader::Open(path));
  Line line;
  RB_ASSIGN_OR_RETURN(bool more, reader.NextLine(&line));
  if (!more) return reader.Error(1, 1, "an empty file", "the columns kmer, effect and se, as scan writes them");
  RB_ASSIGN_OR_RETURN(const std::vector<int> columns,
                      FindColumns(reader.name(), line, {{{"kmer"}}, {{"effect"}}, {{"se"}}}, /*others_allowed=*/true));
  std::vector<std::string_view> fields;
  SplitTabs(line.text, &fields);
  const size_t num_columns = fields.size();
  std::vector<WeightedSequence> kmers;
  std::unordered_set<std::string> seen;
  while (true) {
    RB_ASSIGN_OR_RETURN(more, reader.NextLine(&line));
    if (!more) break;
    SplitTabs(line.text, &fields);
    RB_RETURN_IF_ERROR(CheckFieldCount(reader.name(), line, fields, num_columns));
    const std::string_view kmer = fields[columns[0]], effect = fields[columns[1]], se = fields[columns[2]];
    RB_RETURN_IF_ERROR(CheckKmer(reader, line, kmer, kmers.empty() ? 0 : kmers[0].letters.size()));
    float weight = 0, error = 0;
    if (!ParseScore(effect, &weight) || std::isnan(weight)) {
      return reader.Error(line.number, ColumnOf(line, effect), Quoted(effect), "a finite number");
    }
    if (!ParseScore(se, &error)) return reader.Error(line.number, ColumnOf(line, se), Quoted(se), kScoreExpected);
    kmers.push_back({RnaLetters(kmer), weight});
    if (!seen.insert(kmers.back().letters).second) {
      return reader.Error(line.number, ColumnOf(line, kmer), Quoted(kmer), "each k-mer once");
    }
  }
  if (kmers.empty()) return reader.Error(2, 1, "no k-mers", "at least one row");
  return kmers;
}

std::string Consensus(const Pwm& pwm) {
  std::string letters;
  for (const auto& column : pwm.columns) {
    std::array<int, 4> order = {0, 1, 2, 3};
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return column[a] > column[b]; });
    const double first = column[order[0]], second = column[order[1]];
    if (first > 0.5 && first > 2 * second) {
      letters += kBaseLetters[order[0]];
    } else if (first + second > 0.75) {
      letters += kIupacLetters[(1u << order[0] | 1u << order[1]) - 1];
    } else {
      letters += 'N';
    }
  }
  return letters;
}

}  // namespace rb::apps
