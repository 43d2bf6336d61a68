// Motif files read line by line.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "data/alphabet.h"
#include "data/line_reader.h"
#include "data/text.h"
#include "data/text_value.h"
#include "engine/check.h"
#include "gia/motif_io.h"

namespace rb {
namespace {

constexpr std::string_view kNumberExpected = "a number of 0 or more";
constexpr std::string_view kAnyFormat = "a MEME, JASPAR or TRANSFAC file: 'MEME version 4', '>name', or 'ID name'";
constexpr double kSumTolerance = 0.01;

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The reader, and the current line's pieces with their places.
class Parser {
 public:
  explicit Parser(LineReader reader) : reader_(std::move(reader)) {}

  // False at the end of the file.
  absl::StatusOr<bool> Next() {
    RB_ASSIGN_OR_RETURN(const bool more, reader_.NextLine(&line_));
    if (!more) return false;
    text_ = StripBlanks(StripCarriageReturn(line_.text));
    fields_ = SplitBlanks(text_);
    return true;
  }
  // Next, but no blank lines, and an error at the end of the file.
  absl::Status Require(std::string_view expected) {
    do {
      RB_ASSIGN_OR_RETURN(const bool more, Next());
      if (!more) return AtEnd(expected);
    } while (fields_.empty());
    return absl::OkStatus();
  }
  void PutBack() { reader_.PutBack(); }

  absl::Status AtEnd(std::string_view expected) const {
    return reader_.Error(reader_.line_number() + 1, 1, "the end of the file", expected);
  }
  absl::Status Wrong(std::string_view found, std::string_view expected) const {
    return reader_.Error(line_.number, ColumnOf(line_, found), Quoted(found), expected);
  }
  absl::Status WrongLine(std::string_view found, std::string_view expected) const {
    return reader_.Error(line_.number, 1, found, expected);
  }

  absl::StatusOr<double> Number(std::string_view field) const {
    std::string_view digits = field;
    if (digits.size() > 1 && digits[0] == '+') digits.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = end == digits.data() + digits.size() && !digits.empty() && digits[0] != '-';
    // E values below the smallest double are common; from_chars leaves `value` alone for them.
    const bool tiny = error == std::errc::result_out_of_range && digits.find_first_of("eE") != std::string_view::npos &&
                      digits[digits.find_first_of("eE") + 1] == '-';
    if (whole && tiny) return 0.0;
    if (!whole || error != std::errc() || !std::isfinite(value)) return Wrong(field, kNumberExpected);
    return value;
  }
  // Four numbers in fields first .. first + 3, in the order of `letters`.
  absl::StatusOr<std::array<double, 4>> Column(size_t first, const std::array<uint8_t, 4>& letters) const {
    std::array<double, 4> column{};
    for (size_t i = 0; i < 4; ++i) {
      RB_ASSIGN_OR_RETURN(column[letters[i]], Number(fields_[first + i]));
    }
    return column;
  }

  std::string_view text() const { return text_; }
  const std::vector<std::string_view>& fields() const { return fields_; }
  bool Begins(std::string_view start) const { return text_.substr(0, start.size()) == start; }

 private:
  LineReader reader_;
  Line line_;
  std::string_view text_;
  std::vector<std::string_view> fields_;
};

// Makes probabilities of counts. -1, or the first column without a finite positive sum.
int NormalizeCounts(MotifRecord* motif) {
  motif->sites = 0;
  for (size_t p = 0; p < motif->pwm.columns.size(); ++p) {
    auto& column = motif->pwm.columns[p];
    const double sum = column[0] + column[1] + column[2] + column[3];
    if (!(sum > 0) || !std::isfinite(sum)) return static_cast<int>(p);
    for (double& count : column) count /= sum;
    motif->sites = std::max(motif->sites, sum);
  }
  return -1;
}

// --- MEME ------------------------------------------------------------------------------------------------------------

constexpr std::string_view kMemeAlphabet = "the alphabet ACGU or ACGT";

absl::Status ReadMemeAlphabet(Parser* parser) {
  const std::string_view text = parser->text();
  if (text.find("RNA-LIKE") != std::string_view::npos || text.find("DNA-LIKE") != std::string_view::npos) {
    while (!parser->Begins("END ALPHABET")) RB_RETURN_IF_ERROR(parser->Require("a line END ALPHABET"));
    return absl::OkStatus();
  }
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return parser->Wrong(text, kMemeAlphabet);
  const std::string_view letters = StripBlanks(text.substr(equals + 1));
  if (letters != "ACGU" && letters != "ACGT") return parser->Wrong(letters, kMemeAlphabet);
  return absl::OkStatus();
}

// "alength= 4 w= 7 nsites= 20 E= 0": columns or -1 in *columns.
absl::Status ReadMatrixHeading(const Parser& parser, MotifRecord* motif, int* columns) {
  *columns = -1;
  std::string_view rest = parser.text().substr(parser.text().find(':') + 1);
  std::vector<std::string_view> pieces;
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t="), rest.size()));
    if (rest.empty()) break;
    const size_t end = std::min(rest.find_first_of(" \t="), rest.size());
    pieces.push_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  if (pieces.size() % 2 != 0) return parser.Wrong(pieces.back(), "pairs like 'alength= 4' and 'w= 7'");
  for (size_t i = 0; i < pieces.size(); i += 2) {
    const std::string_view key = pieces[i], value = pieces[i + 1];
    if (key != "alength" && key != "w" && key != "nsites" && key != "E") continue;
    RB_ASSIGN_OR_RETURN(const double number, parser.Number(value));
    if (key == "alength" && number != 4) return parser.Wrong(value, "an alphabet of 4 letters");
    if (key == "w") {
      if (!(number >= 1 && number <= kMaxMotifColumns) || number != std::floor(number)) {
        return parser.Wrong(value, Concat("a whole number of columns, 1 to ", kMaxMotifColumns));
      }
      *columns = static_cast<int>(number);
    }
    if (key == "nsites") motif->sites = number;
    if (key == "E") motif->e_value = number;
  }
  return absl::OkStatus();
}

// The rows of a letter-probability matrix, whose heading is the current line.
absl::Status ReadMemeMatrix(Parser* parser, MotifRecord* motif) {
  int columns = -1;
  RB_RETURN_IF_ERROR(ReadMatrixHeading(*parser, motif, &columns));
  for (int p = 0; columns < 0 || p < columns; ++p) {
    const std::string expected = Concat("four probabilities, row ", p + 1, columns < 0 ? "" : Concat(" of ", columns),
                                        " of motif ", Quoted(motif->pwm.name));
    RB_ASSIGN_OR_RETURN(const bool more, parser->Next());
    const auto& fields = parser->fields();
    // Without w the matrix ends where numbers do.
    const bool number = more && !fields.empty() && fields[0].find_first_of("0123456789") < 2;
    if (columns < 0 && p > 0 && !number) {
      if (more) parser->PutBack();
      return absl::OkStatus();
    }
    if (!more) return parser->AtEnd(expected);
    if (fields.size() != 4) return parser->WrongLine(Concat(fields.size(), " fields"), expected);
    if (p == kMaxMotifColumns) return parser->WrongLine("a further row", Concat("at most ", p, " columns"));
    RB_ASSIGN_OR_RETURN(const auto column, parser->Column(0, {0, 1, 2, 3}));
    const double sum = column[0] + column[1] + column[2] + column[3];
    if (!(std::abs(sum - 1) <= kSumTolerance)) {
      return parser->WrongLine(Concat("a row that adds up to ", sum), expected + " that add up to 1");
    }
    motif->pwm.columns.push_back(column);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MotifRecord>> ReadMeme(Parser& parser) {
  const auto& fields = parser.fields();
  const std::string_view version = fields.size() < 3 ? "" : fields[2].substr(0, fields[2].find('.'));
  int number = 0;
  if (IsDigits(version)) std::from_chars(version.data(), version.data() + version.size(), number);
  if (number < 4) return parser.Wrong(parser.text(), "'MEME version 4' or later");
  std::vector<MotifRecord> motifs;
  std::optional<MotifRecord> open;  // its matrix has not come yet
  const auto without = [&] { return Concat("the letter-probability matrix of motif ", Quoted(open->pwm.name)); };
  while (true) {
    RB_ASSIGN_OR_RETURN(const bool more, parser.Next());
    if (!more) break;
    if (fields.empty()) continue;
    if (parser.Begins("ALPHABET")) {
      RB_RETURN_IF_ERROR(ReadMemeAlphabet(&parser));
    } else if (fields[0] == "MOTIF") {
      if (open) return parser.Wrong(parser.text(), without());
      if (fields.size() < 2) return parser.Wrong(parser.text(), "MOTIF and a name");
      open.emplace();
      open->pwm.name = fields[1];
      if (fields.size() > 2 && fields[2] != "width") open->description = fields[2];
    } else if (parser.Begins("letter-probability matrix:")) {
      if (!open) return parser.Wrong(fields[0], "a line MOTIF before each matrix");
      RB_RETURN_IF_ERROR(ReadMemeMatrix(&parser, &*open));
      motifs.push_back(*std::exchange(open, std::nullopt));
    }
  }
  if (open) return parser.AtEnd(without());
  if (motifs.empty()) return parser.AtEnd("at least one MOTIF");
  return motifs;
}

// --- JASPAR ----------------------------------------------------------------------------------------------------------

// The numbers of one row; *letter is its letter's code, or kUnknownBase for a row without.
absl::StatusOr<std::vector<double>> ReadJasparRow(const Parser& parser, uint8_t* letter) {
  std::string_view text = parser.text();
  *letter = text.empty() ? kUnknownBase : BaseCode(text[0]);
  if (*letter < kUnknownBase) text = StripBlanks(text.substr(1));
  if (*letter > kUnknownBase) *letter = kUnknownBase;
  if (!text.empty() && text[0] == '[') {
    if (text.back() != ']') return parser.Wrong(text.substr(text.size() - 1), "']' at the end of the row");
    text = text.substr(1, text.size() - 2);
  }
  std::vector<double> counts;
  for (const std::string_view field : SplitBlanks(text)) {
    RB_ASSIGN_OR_RETURN(counts.emplace_back(), parser.Number(field));
  }
  if (counts.empty() || counts.size() > static_cast<size_t>(kMaxMotifColumns)) {
    return parser.WrongLine(Concat("a row of ", counts.size(), " counts"), Concat("1 to ", kMaxMotifColumns));
  }
  return counts;
}

absl::Status ReadJasparRows(Parser* parser, MotifRecord* motif) {
  std::array<bool, 4> seen{};
  bool lettered = false;
  for (int row = 0; row < 4; ++row) {
    RB_RETURN_IF_ERROR(
        parser->Require(Concat("four rows of counts, A, C, G and T or U, of motif ", Quoted(motif->pwm.name))));
    uint8_t letter = 0;
    RB_ASSIGN_OR_RETURN(const std::vector<double> counts, ReadJasparRow(*parser, &letter));
    if (row == 0) lettered = letter != kUnknownBase;
    if (lettered != (letter != kUnknownBase)) {
      return parser->Wrong(parser->text(), lettered ? "a row that begins with its letter" : "a row without a letter");
    }
    if (!lettered) letter = static_cast<uint8_t>(row);
    if (std::exchange(seen[letter], true)) {
      return parser->Wrong(parser->text().substr(0, 1), "each of A, C, G and T or U once");
    }
    auto& columns = motif->pwm.columns;
    if (row == 0) columns.assign(counts.size(), {0, 0, 0, 0});
    if (counts.size() != columns.size()) {
      return parser->WrongLine(Concat("a row of ", counts.size(), " counts"),
                               Concat(columns.size(), " as in the first row"));
    }
    for (size_t p = 0; p < counts.size(); ++p) columns[p][letter] = counts[p];
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MotifRecord>> ReadJaspar(Parser& parser) {
  std::vector<MotifRecord> motifs;
  do {
    if (!parser.fields().empty()) {
      if (!parser.Begins(">")) return parser.Wrong(parser.text(), "'>' and a motif's name");
      const auto words = SplitBlanks(parser.text().substr(1));
      if (words.empty()) return parser.Wrong(parser.text(), "'>' and a motif's name");
      MotifRecord motif;
      motif.pwm.name = words[0];
      if (words.size() > 1) motif.description = words[1];
      RB_RETURN_IF_ERROR(ReadJasparRows(&parser, &motif));
      if (const int empty = NormalizeCounts(&motif); empty >= 0) {
        return parser.WrongLine(Concat("no usable counts at position ", empty + 1, " of motif ", Quoted(words[0])),
                                "a positive sum");
      }
      motifs.push_back(std::move(motif));
    }
    RB_ASSIGN_OR_RETURN(const bool more, parser.Next());
    if (!more) return motifs;
  } while (true);
}

// --- TRANSFAC --------------------------------------------------------------------------------------------------------

struct TransfacRecord {
  std::string id, accession, name;
  MotifRecord motif;
  bool begun = false;  // anything but a heading has been seen
};

// The line P0 is current; reads the rows behind it.
absl::Status ReadTransfacMatrix(Parser* parser, TransfacRecord* record) {
  const auto& fields = parser->fields();
  std::array<uint8_t, 4> letters{};
  unsigned seen = 0;
  for (size_t i = 1; i < fields.size() && i <= 4; ++i) {
    letters[i - 1] = fields[i].size() == 1 ? BaseCode(fields[i][0]) : kBadBase;
    if (letters[i - 1] < kUnknownBase) seen |= 1u << letters[i - 1];
  }
  if (fields.size() != 5 || seen != 15) return parser->Wrong(parser->text(), "P0 and the letters A, C, G and T or U");
  if (!record->motif.pwm.columns.empty()) return parser->Wrong(fields[0], "one matrix a record");
  while (true) {
    const std::string expected = Concat("row ", record->motif.pwm.columns.size() + 1, " of the matrix, or '//'");
    RB_RETURN_IF_ERROR(parser->Require(expected));
    if (!IsDigits(fields[0])) break;
    if (fields.size() != 5 && fields.size() != 6) {
      return parser->WrongLine(Concat(fields.size(), " fields"), "a number, four counts, and perhaps a letter");
    }
    if (record->motif.pwm.columns.size() == static_cast<size_t>(kMaxMotifColumns)) {
      return parser->WrongLine("a further row", Concat("at most ", kMaxMotifColumns, " columns"));
    }
    RB_ASSIGN_OR_RETURN(record->motif.pwm.columns.emplace_back(), parser->Column(1, letters));
  }
  parser->PutBack();
  if (record->motif.pwm.columns.empty()) return parser->Wrong(fields[0], "row 1 of the matrix");
  return absl::OkStatus();
}

// At "//": the finished record, nothing for a heading without a matrix.
absl::Status CloseTransfac(const Parser& parser, TransfacRecord record, std::vector<MotifRecord>* motifs) {
  if (!record.begun) return absl::OkStatus();
  MotifRecord& motif = record.motif;
  motif.pwm.name = !record.id.empty() ? record.id : !record.accession.empty() ? record.accession : record.name;
  if (motif.pwm.name.empty()) return parser.WrongLine("a record without a name", "a line ID, AC or NA");
  if (motif.pwm.columns.empty()) {
    return parser.WrongLine(Concat("no matrix in ", Quoted(motif.pwm.name)), "a line P0 with rows behind it");
  }
  if (motif.pwm.name != record.name) motif.description = record.name;
  if (const int empty = NormalizeCounts(&motif); empty >= 0) {
    return parser.WrongLine(Concat("no usable counts at position ", empty + 1, " of motif ", Quoted(motif.pwm.name)),
                            "a positive sum");
  }
  motifs->push_back(std::move(motif));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MotifRecord>> ReadTransfac(Parser& parser) {
  std::vector<MotifRecord> motifs;
  TransfacRecord record;
  const auto& fields = parser.fields();
  for (bool more = true; more;) {
    if (!fields.empty()) {
      const std::string_view code = fields[0];
      const std::string second(fields.size() > 1 ? fields[1] : "");
      if (code == "ID") record.id = second;
      if (code == "AC") record.accession = second;
      if (code == "NA") record.name = second;
      record.begun = record.begun || code == "ID" || code == "AC" || code == "NA" || code == "P0" || code == "PO";
      if (code == "//") {
        RB_RETURN_IF_ERROR(CloseTransfac(parser, std::exchange(record, {}), &motifs));
      } else if (code == "P0" || code == "PO") {
        RB_RETURN_IF_ERROR(ReadTransfacMatrix(&parser, &record));
      }
    }
    RB_ASSIGN_OR_RETURN(more, parser.Next());
  }
  if (record.begun) return parser.AtEnd("'//' behind the last record");
  if (motifs.empty()) return parser.AtEnd("at least one record with a matrix");
  return motifs;
}

bool IsTransfacCode(std::string_view code) {
  constexpr std::string_view kCodes[] = {"ID", "AC", "NA", "VV", "XX", "DE", "CC", "BF", "P0", "PO", "DT", "CO", "//"};
  return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

}  // namespace

absl::StatusOr<std::vector<MotifRecord>> ReadMotifs(const std::string& path) {
  RB_ASSIGN_OR_RETURN(LineReader reader, LineReader::Open(path));
  Parser parser(std::move(reader));
  RB_RETURN_IF_ERROR(parser.Require(kAnyFormat));
  if (parser.Begins("MEME version")) return ReadMeme(parser);
  if (parser.Begins(">")) return ReadJaspar(parser);
  if (IsTransfacCode(parser.fields()[0])) return ReadTransfac(parser);
  return parser.Wrong(parser.text(), kAnyFormat);
}

}  // namespace rb
