#include "apps/train/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "data/writers.h"
#include "engine/check.h"
#include "model/protobuf_writer.h"

namespace rb::apps {
namespace {

// Field numbers of Event, Summary and Summary.Value.
enum EventField { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5 };
enum SummaryField { kValue = 1, kTag = 1, kSimpleValue = 2 };
constexpr char kVersion[] = "brain.Event:2";

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    table[byte] = crc;
  }
  return table;
}();

template <class T>
std::string LittleEndian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

std::string Record(const ProtobufMessage& event) {
  const std::string length = LittleEndian(static_cast<uint64_t>(event.bytes().size()));
  return absl::StrCat(length, LittleEndian(MaskedCrc32c(length)), event.bytes(),
                      LittleEndian(MaskedCrc32c(event.bytes())));
}

std::string VersionRecord(double seconds) {
  ProtobufMessage event;
  event.Double(kWallTime, seconds);
  event.Bytes(kFileVersion, kVersion);
  return Record(event);
}

// Where the record at `start` ends, or npos when there is no whole, undamaged one.
size_t RecordEnd(std::string_view bytes, size_t start) {
  constexpr size_t kHead = 12, kTail = 4;
  if (bytes.size() - start < kHead + kTail) return std::string_view::npos;
  const std::string_view length = bytes.substr(start, 8);
  uint64_t size = 0;
  for (size_t i = 8; i-- > 0;) size = size << 8 | static_cast<uint8_t>(length[i]);
  if (size > bytes.size() - start - kHead - kTail) return std::string_view::npos;
  const std::string_view data = bytes.substr(start + kHead, size);
  if (bytes.substr(start + 8, 4) != LittleEndian(MaskedCrc32c(length)) ||
      bytes.substr(start + kHead + size, kTail) != LittleEndian(MaskedCrc32c(data))) {
    return std::string_view::npos;
  }
  return start + kHead + size + kTail;
}

absl::Status Fault(const std::string& path, const char* what, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error), absl::StrCat(path, ": ", what, " failed (", std::strerror(error),
                                                                   "); expected a writable place with room"));
}

// Appends all of `bytes` or nothing.
absl::Status AppendWhole(const std::string& path, std::string_view bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return Fault(path, "opening", errno);
  const off_t before = ::lseek(fd, 0, SEEK_END);
  int error = 0;
  for (size_t done = 0; done < bytes.size() && error == 0;) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno != EINTR) error = errno;
    if (n > 0) done += static_cast<size_t>(n);
  }
  if (error != 0 && before >= 0 && ::ftruncate(fd, before) != 0) error = errno;
  if (::close(fd) != 0 && error == 0) error = errno;
  return error == 0 ? absl::OkStatus() : Fault(path, "writing", error);
}

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ crc >> 8;
  return ~crc;
}

uint32_t MaskedCrc32c(std::string_view bytes) {
  const uint32_t crc = Crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

absl::Status EventFile::Begin(int steps, double seconds) {
  std::ostringstream content;
  content << std::ifstream(path_, std::ios::binary).rdbuf();  // nothing where nothing can be read
  const std::string bytes = content.str();
  size_t end = RecordEnd(bytes, 0);
  steps_ = 0;
  if (end == std::string::npos || bytes.substr(0, end).find(kVersion) == std::string::npos) {
    return WriteFile(path_, VersionRecord(seconds));
  }
  for (size_t next = 0; steps_ < steps; ++steps_, end = next) {
    next = RecordEnd(bytes, end);
    if (next == std::string::npos) break;
  }
  if (end == bytes.size()) return absl::OkStatus();
  return ::truncate(path_.c_str(), static_cast<off_t>(end)) == 0 ? absl::OkStatus() : Fault(path_, "truncating", errno);
}

absl::Status EventFile::Append(double seconds, const Scalars& scalars) {
  ProtobufMessage event, summary;
  for (const auto& [tag, number] : scalars) {
    ProtobufMessage value;
    value.Bytes(kTag, tag);
    value.Float(kSimpleValue, static_cast<float>(number));
    summary.Message(kValue, value);
  }
  event.Double(kWallTime, seconds);
  event.Int(kStep, steps_ + 1);
  event.Message(kSummary, summary);
  RB_RETURN_IF_ERROR(AppendWhole(path_, Record(event)));
  ++steps_;
  return absl::OkStatus();
}

}  // namespace rb::apps
