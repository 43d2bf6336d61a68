// Motif files: MEME (minimal text format, version 4), JASPAR and TRANSFAC are read and written, tables (TSV) written.
// T reads as U.
#ifndef RB_GIA_MOTIF_IO_H_
#define RB_GIA_MOTIF_IO_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gia/pwm.h"

namespace rb {

// The most columns that a motif of a file may have.
inline constexpr int kMaxMotifColumns = 10'000;

struct MotifRecord {
  Pwm pwm;                  // its name is one word
  std::string description;  // a second name of one word, or empty
  double sites = 20;        // sequences that the motif was made of: a count is probability * sites
  double e_value = 0;       // MEME only
};

enum class MotifFormat { kMeme, kJaspar, kTransfac, kTsv };

// meme | jaspar | transfac | tsv
absl::StatusOr<MotifFormat> ParseMotifFormat(std::string_view name);

// All motifs of a file (plain, .gz or .xz), at least one. The format is told by the first line that is not blank.
//
// MEME: "MEME version 4" or later, alphabet ACGU or ACGT (named or RNA-LIKE, DNA-LIKE; RNA when absent), and of each
//   MOTIF its letter-probability matrix; w, nsites (20) and E (0) may be absent, rows add up to 1 within 0.01 and are
//   kept as they are. Everything else is skipped.
// JASPAR: ">name second", then a row of counts for A, C, G and T or U each, in any order, with or without brackets; or
//   four rows without letters, in that order.
// TRANSFAC: records that end with "//"; name from ID, or else AC, or else NA; the second name from NA. The line P0 (or
//   PO) gives the order of letters.
// Counts become probabilities by their column's sum; the largest sum is the number of sites.
//
// InvalidArgument "FILE:LINE:COLUMN: found X; expected Y" for anything else; errors of OpenBytes.
absl::StatusOr<std::vector<MotifRecord>> ReadMotifs(const std::string& path);

// The text of motifs in a format. dna: T instead of U. Numbers are the shortest that read back the same: MEME's
// probabilities, sites and E values bit for bit; counts that are whole numbers exactly, others within rounding.
// The table has one row a position: motif, position (0-based), A, C, G, U, bits (InformationContent).
// InvalidArgument: no motif, no columns or more than kMaxMotifColumns, a name that is not one printable word, columns
// that are not probabilities (each in 0..1, sum 1 within 0.01), sites that are not positive and finite, a negative E.
absl::StatusOr<std::string> FormatMotifs(std::span<const MotifRecord> motifs, MotifFormat format, bool dna = false);

// FormatMotifs into a file (data/writers.h).
absl::Status WriteMotifs(const std::string& path, std::span<const MotifRecord> motifs, MotifFormat format,
                         bool dna = false);

}  // namespace rb

#endif  // RB_GIA_MOTIF_IO_H_
