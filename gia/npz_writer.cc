#include "gia/npz_writer.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string_view>

#include "data/line_reader.h"
#include "data/text.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

constexpr size_t kPieceBytes = size_t{1} << 18;
constexpr uint32_t kEscape = 0xFFFFFFFF;  // "look into the zip64 field"
constexpr int kDeflateLevel = 6;

using Sink = std::function<absl::Status(std::string_view)>;

// `bytes` lowest bytes of a number, the lowest first.
void AppendNumber(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>(value >> (8 * i) & 0xFF);
}

// --- Arrays ----------------------------------------------------------------------------------------------------------

// The code points of UTF-8 text; false for anything else (overlong forms, surrogates) or a zero.
bool DecodeUtf8(std::string_view text, std::u32string* points) {
  points->clear();
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i + k])); };
    const uint32_t first = byte(0);
    const int more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : -1;
    if (more < 0 || i + more >= text.size()) return false;
    uint32_t point = more == 0 ? first : first & (0x3Fu >> more);
    for (int k = 1; k <= more; ++k) {
      if (byte(k) >> 6 != 2) return false;
      point = point << 6 | (byte(k) & 0x3F);
    }
    constexpr uint32_t kLeast[] = {1, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
    points->push_back(point);
    i += more + 1;
  }
  return true;
}

// What the header says and how many bytes follow it.
struct Layout {
  std::string header;
  uint64_t item_bytes = 0, data_bytes = 0;
  uint64_t bytes() const { return header.size() + data_bytes; }
};

absl::StatusOr<std::string> TypeName(const NamedArray& array, uint64_t* item_bytes) {
  const auto* texts = std::get_if<std::span<const std::string>>(&array.values);
  if (texts == nullptr) {
    const bool floats = std::holds_alternative<std::span<const float>>(array.values);
    *item_bytes = floats ? 4 : 8;
    return std::string(floats ? "<f4" : "<i8");
  }
  size_t longest = 1;
  std::u32string points;
  for (const std::string& text : *texts) {
    if (!DecodeUtf8(text, &points)) {
      return absl::InvalidArgumentError(
          Concat("array ", Quoted(array.name), " has the text ", Quoted(text), "; expected UTF-8 without zero bytes"));
    }
    longest = std::max(longest, points.size());
  }
  *item_bytes = 4 * longest;
  return Concat("<U", longest);
}

absl::StatusOr<Layout> LayOut(const NamedArray& array) {
  Layout layout;
  RB_ASSIGN_OR_RETURN(const std::string type, TypeName(array, &layout.item_bytes));
  const uint64_t values = std::visit([](const auto& v) { return static_cast<uint64_t>(v.size()); }, array.values);
  std::string shape;
  uint64_t product = 1;
  bool fits = array.shape.size() <= 32;  // NumPy's limit
  for (const int64_t size : array.shape) {
    Append(&shape, shape.empty() ? "" : " ", size, ",");
    fits = fits && size >= 0;
    if (fits && size > 0 && product > std::numeric_limits<int64_t>::max() / static_cast<uint64_t>(size)) fits = false;
    product *= static_cast<uint64_t>(size);
  }
  if (array.shape.size() > 1) shape.pop_back();  // (3,) but (3, 4)
  if (!fits || product != values) {
    return absl::InvalidArgumentError(Concat("array ", Quoted(array.name), " has ", values, " values and the shape (",
                                             shape, "); expected a shape of as many"));
  }
  layout.data_bytes = values * layout.item_bytes;
  std::string text = Concat("{'descr': '", type, "', 'fortran_order': False, 'shape': (", shape, "), }");
  constexpr size_t kFront = 10, kAlign = 64;  // the data begins at a multiple of 64
  text.append(kAlign - 1 - (kFront + text.size()) % kAlign, ' ');
  text += '\n';
  layout.header = std::string("\x93NUMPY\x01\x00", 8);
  AppendNumber(text.size(), 2, &layout.header);
  layout.header += text;
  return layout;
}

absl::Status WriteStrings(std::span<const std::string> values, const Layout& layout, const Sink& sink) {
  std::string piece;
  std::u32string points;
  for (const std::string& text : values) {
    RB_CHECK(DecodeUtf8(text, &points));  // checked by LayOut
    points.resize(layout.item_bytes / 4, U'\0');
    piece.append(reinterpret_cast<const char*>(points.data()), layout.item_bytes);
    if (piece.size() < kPieceBytes) continue;
    RB_RETURN_IF_ERROR(sink(piece));
    piece.clear();
  }
  return sink(piece);
}

// Header and data, piece by piece.
absl::Status WriteArray(const NamedArray& array, const Layout& layout, const Sink& sink) {
  RB_RETURN_IF_ERROR(sink(layout.header));
  if (const auto* texts = std::get_if<std::span<const std::string>>(&array.values)) {
    return WriteStrings(*texts, layout, sink);
  }
  const auto* floats = std::get_if<std::span<const float>>(&array.values);
  const char* data = floats != nullptr
                         ? reinterpret_cast<const char*>(floats->data())
                         : reinterpret_cast<const char*>(std::get<std::span<const int64_t>>(array.values).data());
  for (uint64_t at = 0; at < layout.data_bytes; at += kPieceBytes) {
    RB_RETURN_IF_ERROR(sink({data + at, static_cast<size_t>(std::min<uint64_t>(kPieceBytes, layout.data_bytes - at))}));
  }
  return absl::OkStatus();
}

// --- Files -----------------------------------------------------------------------------------------------------------

// A file that is written front to back, but for headers whose numbers are known later.
class OutputFile {
 public:
  // `shown` is the name for messages.
  static absl::StatusOr<OutputFile> Open(const std::string& path, const std::string& shown) {
    OutputFile file(shown);
    file.file_.reset(std::fopen(path.c_str(), "wb"));
    if (file.file_ == nullptr) return file.Failed("opening");
    return file;
  }
  absl::Status Write(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) return Failed("writing");
    position_ += bytes.size();
    return absl::OkStatus();
  }
  // Overwrites what was written at `place`.
  absl::Status Patch(uint64_t place, std::string_view bytes) {
    const uint64_t end = position_;
    if (::fseeko(file_.get(), static_cast<off_t>(place), SEEK_SET) != 0) return Failed("seeking");
    RB_RETURN_IF_ERROR(Write(bytes));
    if (::fseeko(file_.get(), static_cast<off_t>(end), SEEK_SET) != 0) return Failed("seeking");
    position_ = end;
    return absl::OkStatus();
  }
  absl::Status Close() { return std::fclose(file_.release()) == 0 ? absl::OkStatus() : Failed("closing"); }
  uint64_t position() const { return position_; }

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit OutputFile(std::string shown) : shown_(std::move(shown)) {}
  absl::Status Failed(std::string_view what) const {
    const int error = errno;
    return absl::Status(absl::ErrnoToStatusCode(error), Concat(shown_, ": ", what, " failed (", std::strerror(error),
                                                               "); expected a writable place with room"));
  }
  std::string shown_;
  std::unique_ptr<std::FILE, Closer> file_;
  uint64_t position_ = 0;
};

// Writes deflated (or plain) bytes to a file, and keeps the sum and the sizes.
class Packer {
 public:
  Packer(OutputFile* file, bool deflate) : file_(*file), deflate_(deflate), buffer_(kPieceBytes, '\0') {
    if (deflate_) RB_CHECK(deflateInit2(&stream_, kDeflateLevel, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  Packer(const Packer&) = delete;
  ~Packer() {
    if (deflate_) deflateEnd(&stream_);
  }
  // `piece` of at most 4 GiB.
  absl::Status Add(std::string_view piece) {
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
    return deflate_ ? Run(piece, Z_NO_FLUSH) : Out(piece);
  }
  absl::Status Finish() { return deflate_ ? Run("", Z_FINISH) : absl::OkStatus(); }
  uint32_t crc() const { return static_cast<uint32_t>(crc_); }
  uint64_t packed() const { return packed_; }

 private:
  absl::Status Out(std::string_view bytes) {
    packed_ += bytes.size();
    return file_.Write(bytes);
  }
  absl::Status Run(std::string_view piece, int flush) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      RB_CHECK(deflate(&stream_, flush) != Z_STREAM_ERROR);
      RB_RETURN_IF_ERROR(Out(std::string_view(buffer_).substr(0, buffer_.size() - stream_.avail_out)));
    } while (stream_.avail_out == 0);
    return absl::OkStatus();
  }

  OutputFile& file_;
  bool deflate_;
  std::string buffer_;
  z_stream stream_{};
  uLong crc_ = 0;
  uint64_t packed_ = 0;
};

// --- The archive [PKWARE, APPNOTE.TXT 6.3] ---------------------------------------------------------------------------

struct Entry {
  std::string file_name;
  uint32_t crc = 0;
  uint64_t raw = 0, packed = 0, place = 0;
  bool large = false;  // its local header has the zip64 field
};

class Archive {
 public:
  Archive(OutputFile* file, const NpzOptions& options) : file_(*file), options_(options) {}

  absl::Status Add(const NamedArray& array, const Layout& layout) {
    Entry entry;
    entry.file_name = array.name + ".npy";
    entry.raw = layout.bytes();
    entry.place = file_.position();
    // Deflate makes nothing larger by more than a thousandth.
    entry.large = entry.raw + entry.raw / 1000 + 64 >= options_.zip64_from;
    RB_RETURN_IF_ERROR(file_.Write(LocalHeader(entry)));
    Packer packer(&file_, options_.deflate);
    RB_RETURN_IF_ERROR(WriteArray(array, layout, [&](std::string_view piece) { return packer.Add(piece); }));
    RB_RETURN_IF_ERROR(packer.Finish());
    entry.crc = packer.crc();
    entry.packed = packer.packed();
    RB_RETURN_IF_ERROR(file_.Patch(entry.place, LocalHeader(entry)));
    entries_.push_back(std::move(entry));
    return absl::OkStatus();
  }

  absl::Status Finish() {
    const uint64_t begin = file_.position();
    for (const Entry& entry : entries_) RB_RETURN_IF_ERROR(file_.Write(CentralHeader(entry)));
    return file_.Write(EndOfDirectory(begin, file_.position() - begin, file_.position()));
  }

 private:
  bool Escaped(uint64_t value) const { return value >= options_.zip64_from; }
  uint32_t Narrow(uint64_t value) const { return Escaped(value) ? kEscape : static_cast<uint32_t>(value); }

  // Version to extract with .. uncompressed size, which both kinds of header share.
  void AppendCommon(const Entry& entry, bool large, uint32_t packed, uint32_t raw, std::string* out) const {
    AppendNumber(large ? 45 : 20, 2, out);
    AppendNumber(0, 2, out);                         // flags
    AppendNumber(options_.deflate ? 8 : 0, 2, out);  // method
    AppendNumber(0, 2, out);                         // 00:00
    AppendNumber(0x21, 2, out);                      // 1980-01-01
    AppendNumber(entry.crc, 4, out);
    AppendNumber(packed, 4, out);
    AppendNumber(raw, 4, out);
    AppendNumber(entry.file_name.size(), 2, out);
  }

  std::string LocalHeader(const Entry& entry) const {
    std::string out = "PK\x03\x04";
    AppendCommon(entry, entry.large, entry.large ? kEscape : static_cast<uint32_t>(entry.packed),
                 entry.large ? kEscape : static_cast<uint32_t>(entry.raw), &out);
    AppendNumber(entry.large ? 20 : 0, 2, &out);
    out += entry.file_name;
    if (!entry.large) return out;
    AppendNumber(1, 2, &out);
    AppendNumber(16, 2, &out);
    AppendNumber(entry.raw, 8, &out);
    AppendNumber(entry.packed, 8, &out);
    return out;
  }

  std::string CentralHeader(const Entry& entry) const {
    std::string extra;
    for (const uint64_t value : {entry.raw, entry.packed, entry.place}) {
      if (Escaped(value)) AppendNumber(value, 8, &extra);
    }
    const bool large = entry.large || !extra.empty();
    std::string out = "PK\x01\x02";
    AppendNumber(3 << 8 | 45, 2, &out);  // made by Unix
    AppendCommon(entry, large, Narrow(entry.packed), Narrow(entry.raw), &out);
    AppendNumber(extra.empty() ? 0 : extra.size() + 4, 2, &out);
    AppendNumber(0, 6, &out);                        // no comment, disk 0, internal attributes
    AppendNumber(uint64_t{0100644} << 16, 4, &out);  // a file that its owner may write
    AppendNumber(Narrow(entry.place), 4, &out);
    out += entry.file_name;
    if (extra.empty()) return out;
    AppendNumber(1, 2, &out);
    AppendNumber(extra.size(), 2, &out);
    return out + extra;
  }

  std::string EndOfDirectory(uint64_t begin, uint64_t bytes, uint64_t end) const {
    std::string out;
    const uint64_t count = entries_.size();
    const bool large = count >= 0xFFFF || Escaped(begin) || Escaped(bytes);
    if (large) {
      out += "PK\x06\x06";
      AppendNumber(44, 8, &out);  // of the rest of this record
      AppendNumber(45, 2, &out);
      AppendNumber(45, 2, &out);
      AppendNumber(0, 8, &out);  // disks
      for (const uint64_t value : {count, count, bytes, begin}) AppendNumber(value, 8, &out);
      out += "PK\x06\x07";
      AppendNumber(0, 4, &out);
      AppendNumber(end, 8, &out);
      AppendNumber(1, 4, &out);
    }
    out += "PK\x05\x06";
    AppendNumber(0, 4, &out);  // disks
    for (int i = 0; i < 2; ++i) AppendNumber(count >= 0xFFFF ? 0xFFFF : count, 2, &out);
    AppendNumber(Narrow(bytes), 4, &out);
    AppendNumber(Narrow(begin), 4, &out);
    AppendNumber(0, 2, &out);  // no comment
    return out;
  }

  OutputFile& file_;
  const NpzOptions& options_;
  std::vector<Entry> entries_;
};

absl::Status CheckNames(std::span<const NamedArray> arrays) {
  if (arrays.empty()) return absl::InvalidArgumentError("no arrays to write; expected at least one");
  std::set<std::string> seen;
  for (const NamedArray& array : arrays) {
    constexpr const char* kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.";
    const bool valid = array.name.find_first_not_of(kLetters) == std::string::npos;
    if (!valid || array.name.empty() || array.name.size() > 200) {
      return absl::InvalidArgumentError(Concat("an array has the name ", Quoted(array.name),
                                               "; expected 1 to 200 letters, digits, '_', '-' and '.'"));
    }
    if (!seen.insert(array.name).second) {
      return absl::InvalidArgumentError(Concat("two arrays have the name ", Quoted(array.name), "; expected one"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool IsArrayText(std::string_view text) {
  std::u32string points;
  return DecodeUtf8(text, &points);
}

absl::Status WriteNpz(const std::string& path, std::span<const NamedArray> arrays, const NpzOptions& options) {
  RB_RETURN_IF_ERROR(CheckNames(arrays));
  std::vector<Layout> layouts;
  for (const NamedArray& array : arrays) {
    RB_ASSIGN_OR_RETURN(layouts.emplace_back(), LayOut(array));
  }
  return WriteAtomically(path, [&](const std::string& temporary) -> absl::Status {
    RB_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Open(temporary, path));
    Archive archive(&file, options);
    for (size_t i = 0; i < arrays.size(); ++i) RB_RETURN_IF_ERROR(archive.Add(arrays[i], layouts[i]));
    RB_RETURN_IF_ERROR(archive.Finish());
    return file.Close();
  });
}

absl::Status WriteNpy(const std::string& path, const NamedArray& array) {
  RB_ASSIGN_OR_RETURN(const Layout layout, LayOut(array));
  return WriteAtomically(path, [&](const std::string& temporary) -> absl::Status {
    RB_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Open(temporary, path));
    RB_RETURN_IF_ERROR(WriteArray(array, layout, [&](std::string_view piece) { return file.Write(piece); }));
    return file.Close();
  });
}

}  // namespace rb
