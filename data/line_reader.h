// Text by lines or by blocks of whole lines, with the place of every complaint. Blocks let a parser run on all threads
// while the next block is being decompressed, and bound the memory whatever the file's size.
#ifndef RB_DATA_LINE_READER_H_
#define RB_DATA_LINE_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/byte_source.h"

namespace rb {

// InvalidArgument "FILE:LINE:COLUMN: found FOUND; expected EXPECTED". Line and column count from 1; the column is that
// of the byte in its (decompressed) line, as editors count.
absl::Status TextError(std::string_view file, int64_t line, int64_t column, std::string_view found,
                       std::string_view expected);

// A piece of input made fit for a one-line message: quoted, escaped, at most 40 bytes.
std::string Quoted(std::string_view text);

// `line` without the carriage return of a CRLF ending.
inline std::string_view StripCarriageReturn(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

struct LineBlock {
  std::string text;        // whole lines, each ended by '\n' (added to a last line that lacks it)
  int64_t first_line = 1;  // 1-based number of the first of them
  int64_t num_lines = 0;
};

struct Line {
  std::string_view text;  // without its end; valid until the reader's next call
  int64_t number = 0;     // 1-based
};

class LineReader {
 public:
  static constexpr size_t kBlockBytes = size_t{2} << 20;

  // Errors of OpenBytes. A UTF-8 byte order mark is skipped. `block_bytes` is for tests.
  static absl::StatusOr<LineReader> Open(const std::string& path, size_t block_bytes = kBlockBytes);

  // False at the end. InvalidArgument, with the place, for a damaged archive, a NUL byte (binary data) or a line of
  // more than 256 MiB.
  absl::StatusOr<bool> NextBlock(LineBlock* block);
  absl::StatusOr<bool> NextLine(Line* line);
  // Makes the next NextLine return the current line again.
  void PutBack() { position_ = line_begin_, --line_number_; }

  const std::string& name() const { return name_; }
  int64_t line_number() const { return line_number_; }  // of the line that NextLine returned last
  absl::Status Error(int64_t line, int64_t column, std::string_view found, std::string_view expected) const {
    return TextError(name_, line, column, found, expected);
  }

 private:
  LineReader(std::string name, std::unique_ptr<ByteSource> source, size_t block_bytes)
      : name_(std::move(name)), source_(std::move(source)), block_bytes_(block_bytes) {}
  // Appends up to block_bytes_ to `text`; sets ended_ at the end of the input.
  absl::Status Append(std::string* text);
  // `status` with the place just behind `text`, which starts at next_line_.
  absl::Status Located(const absl::Status& status, std::string_view text) const;

  std::string name_;
  std::unique_ptr<ByteSource> source_;
  size_t block_bytes_;
  std::string carry_;      // begin of a line whose end has not been read
  int64_t next_line_ = 1;  // number of the first line of the next block
  bool started_ = false, ended_ = false;
  LineBlock current_;  // for NextLine
  size_t position_ = 0, line_begin_ = 0;
  int64_t line_number_ = 0;
};

}  // namespace rb

#endif  // RB_DATA_LINE_READER_H_
