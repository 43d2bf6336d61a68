// Plain, gzip (zlib) and xz (liblzma) sources behind one interface.
#include "data/byte_source.h"

#include <fcntl.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "data/text.h"

namespace rb {
namespace {

constexpr std::string_view kXzMagic("\xfd\x37zXZ\0", 6);
constexpr size_t kInputBytes = size_t{256} << 10;
// xz -9 needs 65 MiB to decode; more than eight times that is a damaged header, not an archive.
constexpr uint64_t kXzMemoryLimit = uint64_t{512} << 20;

// The compressed (or plain) side: a buffered file descriptor.
class RawInput {
 public:
  explicit RawInput(int fd, bool owned) : buffer_(kInputBytes), fd_(fd), owned_(owned) {}
  ~RawInput() {
    if (owned_) ::close(fd_);
  }
  RawInput(const RawInput&) = delete;
  RawInput& operator=(const RawInput&) = delete;

  // Makes at least `wanted` bytes available unless the input ends before.
  absl::Status Fill(size_t wanted) {
    if (available() >= wanted) return absl::OkStatus();
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, available());
      end_ -= begin_;
      begin_ = 0;
    }
    while (available() < wanted && !ended_) {
      const ssize_t got = ::read(fd_, buffer_.data() + end_, buffer_.size() - end_);
      if (got < 0) {
        if (errno == EINTR) continue;
        return absl::UnavailableError(Concat("reading failed: ", std::strerror(errno), "; expected readable data"));
      }
      ended_ = got == 0;
      end_ += static_cast<size_t>(got);
      total_ += static_cast<int64_t>(got);
    }
    return absl::OkStatus();
  }
  std::string_view view() const { return {buffer_.data() + begin_, available()}; }
  size_t available() const { return end_ - begin_; }
  bool at_end() const { return ended_ && available() == 0; }
  void Consume(size_t n) { begin_ += n; }
  int64_t offset() const { return total_ - static_cast<int64_t>(available()); }

 private:
  std::vector<char> buffer_;
  int fd_;
  bool owned_;
  size_t begin_ = 0, end_ = 0;
  bool ended_ = false;
  int64_t total_ = 0;
};

absl::Status Damaged(std::string_view format, std::string_view problem, int64_t offset) {
  return absl::InvalidArgumentError(Concat("found ", problem, " at byte ", offset, " of the ", format,
                                           " archive; expected a complete, undamaged archive"));
}

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(std::unique_ptr<RawInput> input) : input_(std::move(input)) {}
  absl::StatusOr<size_t> Read(char* out, size_t n) override {
    if (absl::Status status = input_->Fill(1); !status.ok()) return status;
    const size_t size = std::min(n, input_->available());
    std::memcpy(out, input_->view().data(), size);
    input_->Consume(size);
    return size;
  }

 private:
  std::unique_ptr<RawInput> input_;
};

// One or more gzip members, optionally followed by zero padding.
class GzipSource : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<RawInput> input) : input_(std::move(input)) {
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;  // largest window, gzip wrapper
  }
  ~GzipSource() override {
    if (ready_) inflateEnd(&stream_);
  }

  absl::StatusOr<size_t> Read(char* out, size_t n) override {
    if (!ready_) return absl::ResourceExhaustedError("zlib could not start; expected memory for its window");
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(n, 1u << 30));
    const uInt room = stream_.avail_out;
    while (stream_.avail_out == room) {
      if (absl::Status status = input_->Fill(1); !status.ok()) return status;
      if (between_members_) {
        absl::StatusOr<bool> more = NextMember();
        if (!more.ok()) return more.status();
        if (!*more) return size_t{0};
      }
      if (input_->at_end()) return Damaged("gzip", "a truncated stream", input_->offset());
      if (absl::Status status = Inflate(); !status.ok()) return status;
    }
    return room - stream_.avail_out;
  }

 private:
  absl::Status Inflate() {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_->view().data()));
    stream_.avail_in = static_cast<uInt>(input_->available());
    const int code = inflate(&stream_, Z_NO_FLUSH);
    input_->Consume(input_->available() - stream_.avail_in);
    if (code == Z_STREAM_END) {
      between_members_ = true;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      const char* reason = stream_.msg ? stream_.msg : "bad data";
      return Damaged("gzip", Concat("damage (", reason, ")"), input_->offset());
    }
    return absl::OkStatus();
  }

  // False at the end of the archive; true when another member follows.
  absl::StatusOr<bool> NextMember() {
    while (!input_->at_end()) {
      if (input_->available() == 0) {
        if (absl::Status status = input_->Fill(1); !status.ok()) return status;
        continue;
      }
      const char first = input_->view().front();
      if (first == '\x1f') {
        inflateReset(&stream_);
        between_members_ = false;
        return true;
      }
      if (first != '\0') return Damaged("gzip", "other data after the end", input_->offset());
      input_->Consume(1);
    }
    return false;
  }

  std::unique_ptr<RawInput> input_;
  z_stream stream_{};
  bool ready_ = false, between_members_ = false;
};

std::string_view XzProblem(lzma_ret code) {
  switch (code) {
    case LZMA_BUF_ERROR:
      return "a truncated stream";
    case LZMA_FORMAT_ERROR:
      return "data that is not xz";
    case LZMA_MEMLIMIT_ERROR:
      return "a dictionary of more than 512 MiB";
    case LZMA_OPTIONS_ERROR:
      return "unsupported options";
    default:
      return "damage";
  }
}

// One or more xz streams, optionally followed by stream padding.
class XzSource : public ByteSource {
 public:
  explicit XzSource(std::unique_ptr<RawInput> input) : input_(std::move(input)) {
    ready_ = lzma_stream_decoder(&stream_, kXzMemoryLimit, LZMA_CONCATENATED) == LZMA_OK;
  }
  ~XzSource() override { lzma_end(&stream_); }

  absl::StatusOr<size_t> Read(char* out, size_t n) override {
    if (!ready_) return absl::ResourceExhaustedError("liblzma could not start; expected memory for its decoder");
    stream_.next_out = reinterpret_cast<uint8_t*>(out);
    stream_.avail_out = n;
    while (stream_.avail_out == n && !done_) {
      if (absl::Status status = input_->Fill(1); !status.ok()) return status;
      stream_.next_in = reinterpret_cast<const uint8_t*>(input_->view().data());
      stream_.avail_in = input_->available();
      const lzma_ret code = lzma_code(&stream_, input_->at_end() ? LZMA_FINISH : LZMA_RUN);
      input_->Consume(input_->available() - stream_.avail_in);
      if (code == LZMA_STREAM_END) {
        done_ = true;
      } else if (code == LZMA_MEM_ERROR) {
        return absl::ResourceExhaustedError("found too little memory for the xz dictionary; expected more free memory");
      } else if (code != LZMA_OK) {
        return Damaged("xz", XzProblem(code), input_->offset());
      }
    }
    return n - stream_.avail_out;
  }

 private:
  std::unique_ptr<RawInput> input_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false, done_ = false;
};

// The name of a format that is recognised only to be refused, or an empty view.
std::string_view RefusedFormat(std::string_view head) {
  if (head.starts_with("BZh") && head.size() >= 10 && head.substr(4, 6) == "1AY&SY") return "a bzip2 archive";
  if (head.starts_with("\x28\xb5\x2f\xfd")) return "a zstd archive";
  if (head.starts_with("PK\x03\x04")) return "a zip archive";
  if (head.starts_with("\x89HDF\r\n\x1a\n")) return "an HDF5 file";
  return {};
}

}  // namespace

std::string DisplayName(const std::string& path) { return path == "-" ? "stdin" : path; }

absl::StatusOr<std::unique_ptr<ByteSource>> OpenBytes(const std::string& path) {
  int fd = STDIN_FILENO;
  if (path != "-") {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      const std::string message =
          Concat(path, ": cannot be opened (", std::strerror(errno), "); expected a readable file");
      return errno == ENOENT ? absl::NotFoundError(message) : absl::PermissionDeniedError(message);
    }
  }
  auto input = std::make_unique<RawInput>(fd, path != "-");
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(Concat(path, ": found a folder; expected a file"));
  }
  if (absl::Status status = input->Fill(16); !status.ok()) {
    return absl::Status(status.code(), Concat(DisplayName(path), ":1:1: ", status.message()));
  }
  const std::string_view head = input->view();
  if (const std::string_view refused = RefusedFormat(head); !refused.empty()) {
    return absl::InvalidArgumentError(
        Concat(DisplayName(path), ":1:1: found ", refused, "; expected text, plain or compressed with gzip or xz"));
  }
  std::unique_ptr<ByteSource> source;
  if (head.starts_with("\x1f\x8b")) {
    source = std::make_unique<GzipSource>(std::move(input));
  } else if (head.starts_with(kXzMagic)) {
    source = std::make_unique<XzSource>(std::move(input));
  } else {
    source = std::make_unique<PlainSource>(std::move(input));
  }
  return source;
}

}  // namespace rb
