// Motifs to text.
#include <charconv>
#include <cmath>

#include "data/line_reader.h"
#include "data/text.h"
#include "data/writers.h"
#include "engine/check.h"
#include "gia/alignment_motif.h"
#include "gia/motif_io.h"

namespace rb {
namespace {

std::string Number(double value) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  return std::string(digits, end);
}

// A word of printable ASCII, or of anything beyond ASCII.
bool IsWord(std::string_view text) {
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7F) return false;
  }
  return !text.empty();
}

bool IsProbability(const std::array<double, 4>& column) {
  double sum = 0;
  for (const double p : column) {
    if (!(p >= 0 && p <= 1)) return false;
    sum += p;
  }
  return std::abs(sum - 1) <= 0.01;
}

absl::Status CheckMotif(const MotifRecord& motif, size_t index) {
  const std::string where = Concat("motif ", index + 1, " (", Quoted(motif.pwm.name), ")");
  const auto refuse = [&](std::string_view found, std::string_view expected) {
    return absl::InvalidArgumentError(Concat(where, " has ", found, "; expected ", expected));
  };
  if (!IsWord(motif.pwm.name)) return refuse("a name that no file can hold", "one word of printable letters");
  if (!motif.description.empty() && !IsWord(motif.description)) {
    return refuse(Concat("the second name ", Quoted(motif.description)), "one word of printable letters, or none");
  }
  const size_t columns = motif.pwm.columns.size();
  if (columns < 1 || columns > static_cast<size_t>(kMaxMotifColumns)) {
    return refuse(Concat(columns, " columns"), Concat("1 to ", kMaxMotifColumns));
  }
  for (size_t p = 0; p < columns; ++p) {
    if (!IsProbability(motif.pwm.columns[p])) {
      return refuse(Concat("no probabilities at position ", p), "four numbers of 0 to 1 that add up to 1");
    }
  }
  if (!(motif.sites > 0) || !std::isfinite(motif.sites)) {
    return refuse(Concat(motif.sites, " sites"), "a positive number");
  }
  if (!(motif.e_value >= 0) || !std::isfinite(motif.e_value)) {
    return refuse(Concat("the E value ", motif.e_value), "a number of 0 or more");
  }
  return absl::OkStatus();
}

// probability * sites; a whole number where that is what it was made of.
double Count(double probability, double sites) {
  const double count = probability * sites, whole = std::round(count);
  return std::abs(count - whole) <= 1e-15 * sites ? whole : count;
}

std::string Title(const MotifRecord& motif) {
  return motif.description.empty() ? motif.pwm.name : Concat(motif.pwm.name, " ", motif.description);
}

void AppendMeme(const MotifRecord& motif, std::string* text) {
  Append(text, "\nMOTIF ", Title(motif), "\nletter-probability matrix: alength= 4 w= ", motif.pwm.columns.size(),
         " nsites= ", Number(motif.sites), " E= ", Number(motif.e_value), "\n");
  for (const auto& column : motif.pwm.columns) {
    for (const double p : column) Append(text, " ", Number(p));
    *text += '\n';
  }
}

void AppendJaspar(const MotifRecord& motif, std::string_view letters, std::string* text) {
  Append(text, ">", Title(motif), "\n");
  for (int b = 0; b < 4; ++b) {
    Append(text, letters.substr(b, 1), " [");
    for (const auto& column : motif.pwm.columns) Append(text, " ", Number(Count(column[b], motif.sites)));
    *text += " ]\n";
  }
}

void AppendTransfac(const MotifRecord& motif, std::string_view letters, std::string* text) {
  Append(text, "ID ", motif.pwm.name, "\nXX\n");
  if (!motif.description.empty()) Append(text, "NA ", motif.description, "\nXX\n");
  *text += "P0";
  for (int b = 0; b < 4; ++b) Append(text, "\t", letters.substr(b, 1));
  *text += '\n';
  for (size_t p = 0; p < motif.pwm.columns.size(); ++p) {
    Append(text, p < 9 ? "0" : "", p + 1);
    for (const double share : motif.pwm.columns[p]) Append(text, "\t", Number(Count(share, motif.sites)));
    *text += '\n';
  }
  *text += "XX\n//\n";
}

void AppendTable(const MotifRecord& motif, std::string* text) {
  for (size_t p = 0; p < motif.pwm.columns.size(); ++p) {
    Append(text, motif.pwm.name, "\t", p);
    for (const double share : motif.pwm.columns[p]) Append(text, "\t", Number(share));
    Append(text, "\t", Number(InformationContent(motif.pwm.columns[p])), "\n");
  }
}

std::string Heading(MotifFormat format, std::string_view letters) {
  if (format == MotifFormat::kMeme) {
    return Concat("MEME version 4\n\nALPHABET= ", letters, "\n\nstrands: +\n\nBackground letter frequencies\n",
                  "A 0.25 C 0.25 G 0.25 ", letters.substr(3), " 0.25\n");
  }
  if (format == MotifFormat::kTsv) return Concat("motif\tposition\tA\tC\tG\t", letters.substr(3), "\tbits\n");
  return "";
}

}  // namespace

absl::StatusOr<MotifFormat> ParseMotifFormat(std::string_view name) {
  if (name == "meme") return MotifFormat::kMeme;
  if (name == "jaspar") return MotifFormat::kJaspar;
  if (name == "transfac") return MotifFormat::kTransfac;
  if (name == "tsv") return MotifFormat::kTsv;
  return absl::InvalidArgumentError(
      Concat("the motif format is ", Quoted(name), "; expected meme, jaspar, transfac or tsv"));
}

absl::StatusOr<std::string> FormatMotifs(std::span<const MotifRecord> motifs, MotifFormat format, bool dna) {
  if (motifs.empty()) return absl::InvalidArgumentError("no motif to write; expected at least one");
  for (size_t i = 0; i < motifs.size(); ++i) RB_RETURN_IF_ERROR(CheckMotif(motifs[i], i));
  const std::string_view letters = dna ? "ACGT" : "ACGU";
  std::string text = Heading(format, letters);
  for (size_t i = 0; i < motifs.size(); ++i) {
    if (format == MotifFormat::kJaspar && i > 0) text += '\n';
    switch (format) {
      case MotifFormat::kMeme:
        AppendMeme(motifs[i], &text);
        break;
      case MotifFormat::kJaspar:
        AppendJaspar(motifs[i], letters, &text);
        break;
      case MotifFormat::kTransfac:
        AppendTransfac(motifs[i], letters, &text);
        break;
      case MotifFormat::kTsv:
        AppendTable(motifs[i], &text);
        break;
    }
  }
  return text;
}

absl::Status WriteMotifs(const std::string& path, std::span<const MotifRecord> motifs, MotifFormat format, bool dna) {
  RB_ASSIGN_OR_RETURN(const std::string text, FormatMotifs(motifs, format, dna));
  return WriteFile(path, text);
}

}  // namespace rb
