#include "gia/npz_reader.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "data/line_reader.h"
#include "data/text.h"
#include "engine/check.h"

namespace rb {
namespace {

constexpr uint64_t kMostBytes = uint64_t{1} << 30, kMostDirectory = uint64_t{1} << 26;

// Little-endian, `bytes` long; the caller has looked that they are there.
uint64_t Number(std::string_view text, size_t at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(text[at + static_cast<size_t>(i)]);
  return value;
}

class Archive {
 public:
  static absl::StatusOr<Archive> Open(const std::string& path) {
    Archive archive(path);
    archive.file_.reset(std::fopen(path.c_str(), "rb"));
    if (archive.file_ == nullptr) return absl::NotFoundError(Concat(path, ": cannot be opened; expected an .npz file"));
    if (::fseeko(archive.file_.get(), 0, SEEK_END) != 0) return archive.Damaged("its end cannot be reached");
    archive.size_ = static_cast<uint64_t>(std::max<off_t>(0, ::ftello(archive.file_.get())));
    return archive;
  }

  absl::Status Damaged(std::string_view what) const {
    return absl::InvalidArgumentError(Concat(path_, ": ", what, "; expected an .npz archive that is whole"));
  }

  absl::StatusOr<std::string> Bytes(uint64_t place, uint64_t count) const {
    if (place > size_ || count > size_ - place) return Damaged("it ends too early");
    std::string bytes(count, '\0');
    if (::fseeko(file_.get(), static_cast<off_t>(place), SEEK_SET) != 0 ||
        std::fread(bytes.data(), 1, count, file_.get()) != count) {
      return Damaged("it cannot be read");
    }
    return bytes;
  }

  // What is stored as `name`, unpacked.
  absl::StatusOr<std::string> Member(const std::string& name) const {
    constexpr uint64_t kEnd = 22, kCentral = 46, kLocal = 30, kComment = 1 << 16;
    if (size_ < kEnd) return Damaged("it is too short for an archive");
    const uint64_t tail_bytes = std::min(size_, kEnd + kComment);
    RB_ASSIGN_OR_RETURN(const std::string tail, Bytes(size_ - tail_bytes, tail_bytes));
    const size_t end = tail.rfind("PK\x05\x06");
    if (end == std::string::npos || tail.size() - end < kEnd) return Damaged("it has no directory");
    const uint64_t bytes = Number(tail, end + 12, 4), place = Number(tail, end + 16, 4);
    if (place == 0xFFFFFFFF || bytes > kMostDirectory) {
      return absl::ResourceExhaustedError(Concat(path_, ": is 4 GiB or more; expected a smaller archive"));
    }
    RB_ASSIGN_OR_RETURN(const std::string directory, Bytes(place, bytes));
    for (size_t at = 0; at + kCentral <= directory.size();) {
      const uint64_t name_bytes = Number(directory, at + 28, 2);
      const uint64_t next = at + kCentral + name_bytes + Number(directory, at + 30, 2) + Number(directory, at + 32, 2);
      if (directory.compare(at, 4, "PK\x01\x02") != 0 || next > directory.size())
        return Damaged("its directory is broken");
      if (directory.compare(at + kCentral, name_bytes, name) == 0) {
        const uint64_t local = Number(directory, at + 42, 4);
        RB_ASSIGN_OR_RETURN(const std::string head, Bytes(local, kLocal));
        if (head.compare(0, 4, "PK\x03\x04") != 0) return Damaged("an array is not where its directory says");
        return Unpacked(std::string_view(directory).substr(at, kCentral),
                        local + kLocal + Number(head, 26, 2) + Number(head, 28, 2));
      }
      at = next;
    }
    return absl::NotFoundError(Concat(path_, ": holds no ", name, "; expected it"));
  }

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  explicit Archive(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<std::string> Unpacked(std::string_view entry, uint64_t place) const {
    const uint64_t method = Number(entry, 10, 2), crc = Number(entry, 16, 4), packed = Number(entry, 20, 4),
                   raw = Number(entry, 24, 4);
    if (raw > kMostBytes || packed > kMostBytes) {
      return absl::ResourceExhaustedError(Concat(path_, ": holds an array of more than 1 GiB; expected a smaller one"));
    }
    constexpr uint64_t kMostRatio = 1100;  // deflate packs nothing tighter
    if (!(method == 8 && raw <= packed * kMostRatio) && !(method == 0 && raw == packed))
      return Damaged("an array is packed in an unknown way");
    RB_ASSIGN_OR_RETURN(std::string bytes, Bytes(place, packed));
    if (method == 8) {
      std::string out(raw, '\0');
      z_stream stream = {};
      RB_CHECK(inflateInit2(&stream, -15) == Z_OK);
      stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
      stream.avail_in = static_cast<uInt>(bytes.size());
      stream.next_out = reinterpret_cast<Bytef*>(out.data());
      stream.avail_out = static_cast<uInt>(out.size());
      const int result = inflate(&stream, Z_FINISH);
      inflateEnd(&stream);
      if (result != Z_STREAM_END || stream.avail_out != 0) return Damaged("an array cannot be unpacked");
      bytes = std::move(out);
    }
    if (crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != crc) {
      return Damaged("an array's checksum is wrong");
    }
    return bytes;
  }

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  uint64_t size_ = 0;
};

void AppendUtf8(uint32_t point, std::string* text) {
  const auto add = [&](uint32_t byte) { *text += static_cast<char>(byte); };
  if (point < 0x80) {
    add(point);
  } else if (point < 0x800) {
    add(0xC0 | point >> 6), add(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    add(0xE0 | point >> 12), add(0x80 | (point >> 6 & 0x3F)), add(0x80 | (point & 0x3F));
  } else {
    add(0xF0 | (point >> 18 & 7)), add(0x80 | (point >> 12 & 0x3F)), add(0x80 | (point >> 6 & 0x3F));
    add(0x80 | (point & 0x3F));
  }
}

// The text between `open` and `close` behind `key`; empty when it is not there.
std::string_view Between(std::string_view text, std::string_view key, char open, char close) {
  const size_t at = text.find(key);
  if (at == std::string_view::npos) return "";
  const size_t begin = text.find(open, at + key.size()), end = text.find(close, begin + 1);
  return begin == std::string_view::npos || end == std::string_view::npos ? ""
                                                                          : text.substr(begin + 1, end - begin - 1);
}

// Sizes "3, 4" or "3,"; false for anything else, or when more values than fit into memory would be there.
bool ParseShape(std::string_view text, std::vector<int64_t>* shape, uint64_t* product) {
  *product = 1;
  while (!(text = StripBlanks(text)).empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view digits = StripBlanks(text.substr(0, comma));
    int64_t size = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc() || end != digits.data() + digits.size() || size < 0) return false;
    if (static_cast<uint64_t>(size) > kMostBytes) return false;  // before the product could wrap around
    shape->push_back(size);
    *product *= static_cast<uint64_t>(size);
    if (*product > kMostBytes) return false;
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return true;
}

}  // namespace

absl::StatusOr<LoadedArray> ReadNpzArray(const std::string& path, const std::string& name) {
  RB_ASSIGN_OR_RETURN(const Archive archive, Archive::Open(path));
  const absl::StatusOr<std::string> member = archive.Member(name + ".npy");
  if (!member.ok()) return member.status();
  const std::string& bytes = *member;
  constexpr size_t kFront = 10;
  if (bytes.size() < kFront || bytes.compare(0, 8, std::string("\x93NUMPY\x01\x00", 8)) != 0) {
    return archive.Damaged(Concat("its ", name, " is no array of NumPy's format 1.0"));
  }
  const size_t begin = kFront + Number(bytes, 8, 2);
  if (begin > bytes.size()) return archive.Damaged(Concat("its ", name, " ends too early"));
  const std::string_view header = std::string_view(bytes).substr(kFront, begin - kFront),
                         type = Between(header, "'descr':", '\'', '\'');
  LoadedArray array;
  uint64_t values = 0, item = 0;
  const bool floats = type == "<f4", texts = type.substr(0, 2) == "<U";
  if (floats) item = 4;
  if (texts) std::from_chars(type.data() + 2, type.data() + type.size(), item);
  if (texts && item <= kMostBytes) item *= 4;  // else refused below; the product could wrap around
  if (header.find("'fortran_order': False") == std::string_view::npos || item == 0 || item > kMostBytes ||
      !ParseShape(Between(header, "'shape':", '(', ')'), &array.shape, &values) ||
      values * item != bytes.size() - begin) {
    return archive.Damaged(Concat("its ", name, " has the header ", Quoted(header)));
  }
  if (floats) {
    array.floats.resize(values);
    if (values > 0) std::memcpy(array.floats.data(), bytes.data() + begin, values * item);
    return array;
  }
  for (uint64_t i = 0; i < values; ++i) {
    std::string& text = array.texts.emplace_back();
    for (uint64_t c = 0; c < item; c += 4) {
      const auto point = static_cast<uint32_t>(Number(bytes, begin + i * item + c, 4));
      if (point == 0) break;
      AppendUtf8(point, &text);
    }
  }
  return array;
}

}  // namespace rb
