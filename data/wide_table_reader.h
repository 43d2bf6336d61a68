// Tables of many experiments with the sequences beside them, as the RNAcompete data are distributed [Ray 2013].
#ifndef RB_DATA_WIDE_TABLE_READER_H_
#define RB_DATA_WIDE_TABLE_READER_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/line_reader.h"
#include "data/readers.h"

namespace rb {

// Whether a table with this header is one: tab-separated columns Probe_Set (or fold, set) and RNA_Seq (or seq,
// sequence), others beside them, and none that is called score.
bool IsWideHeader(std::string_view header);

// From a reader that stands before the header. Folds are A, B, SetA or SetB. A column is an experiment when its cell in
// the first row is a score or missing; others (names of probes, remarks) are left alone. Peak memory beyond the result:
// the targets a second time.
absl::StatusOr<Dataset> ReadWideTable(LineReader reader, const ReadOptions& options);

}  // namespace rb

#endif  // RB_DATA_WIDE_TABLE_READER_H_
