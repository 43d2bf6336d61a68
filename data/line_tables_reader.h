// Tables in one file, and the choice between them by their first line.
#ifndef RB_DATA_LINE_TABLES_READER_H_
#define RB_DATA_LINE_TABLES_READER_H_

#include <string>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/readers.h"

namespace rb {

// A table of many experiments (data/wide_table_reader.h), a 2009 per-protein table or "score sequence" lines, told by
// the first line; reads the input once, so that "-" works.
absl::StatusOr<Dataset> ReadLineTable(const std::string& path, const ReadOptions& options);

}  // namespace rb

#endif  // RB_DATA_LINE_TABLES_READER_H_
