// Writers. Every file is written to a temporary name beside it, fsynced and renamed; a failure leaves nothing behind.
// Links are followed: they stay, and what they lead to is written. What is no file (a device, a pipe, /dev/stdout) is
// never replaced but written straight away.
#ifndef RB_DATA_WRITERS_H_
#define RB_DATA_WRITERS_H_

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "data/dataset.h"
#include "data/split.h"

namespace rb {

// Writes `content` to `path` atomically. The status code follows errno
// (ResourceExhausted when the disk is full).
absl::Status WriteFile(const std::string& path, std::string_view content);

// The same, but the file that stood there before, if there was one, is kept as `previous`, whose own old content goes.
// Killed at any moment, one of the two is whole: in between `path` may be missing while `previous` holds its content. A
// link at `path` is kept as `previous` like a file; what it leads to is not touched.
absl::Status WriteFileKeepingLast(const std::string& path, std::string_view content, const std::string& previous);

// The same as WriteFile of many pieces, one after the other as piece(i) makes them, i in [0, pieces): memory is that of
// one.
absl::Status WritePieces(const std::string& path, int64_t pieces, const std::function<std::string(int64_t)>& piece);

// The same of what write(stream) puts into a stream that is only written forward.
absl::Status WriteStream(const std::string& path, const std::function<absl::Status(std::FILE*)>& write);

// For writers that need a file (NumPy archives go back in theirs): calls `write(temporary)`; renames on success,
// deletes on failure. What is no file gets the finished bytes.
absl::Status WriteAtomically(const std::string& path, const std::function<absl::Status(const std::string&)>& write);

// sequences.tsv (Fold ID, seq, and id where there are ids) and targets.tsv in `folder` (created when missing). Values
// read back bit for bit. Structure tracks are not written; of `parts` only test (B) or not (A) is kept.
absl::Status WriteTables(const Dataset& dataset, const std::string& folder);

// The authors' layout: X_train, Y_train, X_valid, Y_valid, X_test, Y_test, experiment; X channels first (n, 4+S, L)
// float32; Y (n, E) float32 with NaN for missing. `targets` are written as they are, and dataset.transformed with them,
// as an attribute of the file (a file without it, the authors', counts as transformed). The compressed file is made in
// memory.
absl::Status WriteHdf5(const Dataset& dataset, const Split& split, const std::string& path);

}  // namespace rb

#endif  // RB_DATA_WRITERS_H_
