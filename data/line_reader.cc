// Cuts a byte source into blocks of whole lines.
#include "data/line_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"

#include "data/text.h"

namespace rb {
namespace {

constexpr size_t kMaxLineBytes = size_t{256} << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

absl::Status TextError(std::string_view file, int64_t line, int64_t column, std::string_view found,
                       std::string_view expected) {
  return absl::InvalidArgumentError(Concat(file, ":", line, ":", column, ": found ", found, "; expected ", expected));
}

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 40;
  if (text.size() <= kShown) return Concat("'", absl::CHexEscape(AbslView(text)), "'");
  return Concat("'", absl::CHexEscape(AbslView(text.substr(0, kShown))), "...'");
}

absl::StatusOr<LineReader> LineReader::Open(const std::string& path, size_t block_bytes) {
  absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenBytes(path);
  if (!source.ok()) return source.status();
  return LineReader(DisplayName(path), *std::move(source), std::max<size_t>(block_bytes, 8));
}

absl::Status LineReader::Located(const absl::Status& status, std::string_view text) const {
  const int64_t line = next_line_ + std::count(text.begin(), text.end(), '\n');
  const size_t last = text.rfind('\n');
  const size_t column = last == std::string_view::npos ? text.size() + 1 : text.size() - last;
  return absl::Status(status.code(), Concat(name_, ":", line, ":", column, ": ", status.message()));
}

absl::Status LineReader::Append(std::string* text) {
  const size_t begin = text->size();
  text->resize(begin + block_bytes_);
  size_t end = begin;
  absl::Status status;
  while (end < text->size()) {
    const absl::StatusOr<size_t> got = source_->Read(text->data() + end, text->size() - end);
    if (!got.ok()) {
      status = got.status();
      break;
    }
    if (*got == 0) {
      ended_ = true;
      break;
    }
    end += *got;
  }
  text->resize(end);
  if (!started_ && text->compare(0, kByteOrderMark.size(), kByteOrderMark) == 0) text->erase(0, kByteOrderMark.size());
  started_ = true;
  const size_t from = std::min(begin, text->size());
  if (const void* nul = std::memchr(text->data() + from, '\0', text->size() - from); nul != nullptr) {
    text->resize(static_cast<size_t>(static_cast<const char*>(nul) - text->data()));
    return absl::InvalidArgumentError("found a NUL byte; expected text (plain, gzip or xz), not binary data");
  }
  return status;
}

absl::StatusOr<bool> LineReader::NextBlock(LineBlock* block) {
  if (position_ < current_.text.size()) {  // lines that NextLine read ahead
    block->text.assign(current_.text, position_);
    block->first_line = line_number_ + 1;
    block->num_lines = current_.first_line + current_.num_lines - block->first_line;
    current_.text.clear();
    position_ = 0;
    return true;
  }
  std::string& text = block->text;
  text.assign(carry_);
  carry_.clear();
  size_t whole = 0;  // bytes of `text` up to and with its last line end
  while (!ended_) {
    const size_t begin = text.size();
    if (absl::Status status = Append(&text); !status.ok()) return Located(status, text);
    const size_t last = std::string_view(text).substr(std::min(begin, text.size())).rfind('\n');
    if (last != std::string_view::npos) {
      whole = begin + last + 1;
      break;
    }
    if (text.size() > kMaxLineBytes) {
      return Error(next_line_, kMaxLineBytes, "a line of more than 256 MiB", "text in lines");
    }
  }
  if (ended_) {
    if (!text.empty() && text.back() != '\n') text.push_back('\n');
    whole = text.size();
  }
  carry_.assign(text, whole);
  text.resize(whole);
  block->first_line = next_line_;
  block->num_lines = std::count(text.begin(), text.end(), '\n');
  next_line_ += block->num_lines;
  return !text.empty();
}

absl::StatusOr<bool> LineReader::NextLine(Line* line) {
  if (position_ >= current_.text.size()) {
    current_.text.clear();
    position_ = 0;
    const absl::StatusOr<bool> more = NextBlock(&current_);
    if (!more.ok() || !*more) return more;
    line_number_ = current_.first_line - 1;
  }
  const size_t end = current_.text.find('\n', position_);
  line->text = StripCarriageReturn(std::string_view(current_.text).substr(position_, end - position_));
  line->number = ++line_number_;
  line_begin_ = position_;
  position_ = end + 1;
  return true;
}

}  // namespace rb
