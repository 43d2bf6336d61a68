// Decompression, lines and blocks: round trips, places of errors, damaged archives at every cut.
#include "data/line_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

std::string RandomText(int lines, uint32_t seed) {
  std::mt19937 random(seed);
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text.append(random() % 60, static_cast<char>('a' + random() % 26));
    text += '\n';
  }
  return text;
}

// The whole text by NextLine, or the error.
absl::StatusOr<std::string> ByLines(const std::string& path, size_t block = LineReader::kBlockBytes) {
  auto reader = LineReader::Open(path, block);
  if (!reader.ok()) return reader.status();
  std::string text;
  Line line;
  for (int64_t number = 1;; ++number) {
    const auto more = reader->NextLine(&line);
    if (!more.ok()) return more.status();
    if (!*more) return text;
    EXPECT_EQ(line.number, number);
    text.append(line.text);
    text += '\n';
  }
}

// The same by NextBlock; checks the blocks' line numbers.
absl::StatusOr<std::string> ByBlocks(const std::string& path, size_t block_bytes) {
  auto reader = LineReader::Open(path, block_bytes);
  if (!reader.ok()) return reader.status();
  std::string text;
  LineBlock block;
  int64_t next = 1;
  while (true) {
    const auto more = reader->NextBlock(&block);
    if (!more.ok()) return more.status();
    if (!*more) return text;
    EXPECT_EQ(block.first_line, next);
    EXPECT_EQ(block.text.back(), '\n');
    next += block.num_lines;
    text += block.text;
  }
}

TEST(LineReader, ReadsPlainGzipAndXzAlikeWhateverTheBlock) {
  const TemporaryFolder folder;
  const std::string text = RandomText(2000, 1);
  // The name says nothing: the content does.
  for (const std::string& path : {folder.Write("plain.gz", text), folder.Write("zipped.txt", test::Gzip(text)),
                                  folder.Write("xzed.gz", test::Xz(text))}) {
    for (const size_t block : {8u, 61u, 4096u, 1u << 20}) {
      ExpectEqual(ByLines(path, block).value(), text);
      ExpectEqual(ByBlocks(path, block).value(), text);
    }
  }
}

TEST(LineReader, ReadsConcatenatedAndPaddedArchives) {
  const TemporaryFolder folder;
  const std::string a = RandomText(50, 2), b = RandomText(70, 3);
  ExpectEqual(ByLines(folder.Write("g", test::Gzip(a) + test::Gzip(b))).value(), a + b);
  ExpectEqual(ByLines(folder.Write("g0", test::Gzip(a) + std::string(512, '\0'))).value(), a);
  ExpectEqual(ByLines(folder.Write("x", test::Xz(a) + test::Xz(b) + std::string(8, '\0'))).value(), a + b);
  ExpectError(ByLines(folder.Write("gj", test::Gzip(a) + "junk")), StatusCode::kInvalidArgument,
              {"gj:", "other data after the end", "gzip"});
  ExpectError(ByLines(folder.Write("xj", test::Xz(a) + "junk")), StatusCode::kInvalidArgument, {"xj:", "xz"});
}

TEST(LineReader, AcceptsCrlfByteOrderMarkAndAMissingLastLineEnd) {
  const TemporaryFolder folder;
  ExpectEqual(ByLines(folder.Write("crlf", "a\tb\r\n\r\nc")).value(), std::string("a\tb\n\nc\n"));
  ExpectEqual(ByLines(folder.Write("bom", "\xef\xbb\xbfhead\nx\n")).value(), std::string("head\nx\n"));
  ExpectEqual(ByBlocks(folder.Write("end", "a\nb"), 8).value(), std::string("a\nb\n"));
  ExpectEqual(ByLines(folder.Write("empty", "")).value(), std::string());
  ExpectEqual(ByLines(folder.Write("emptygz", test::Gzip(""))).value(), std::string());
}

TEST(LineReader, PutBackAndSwitchToBlocks) {
  const TemporaryFolder folder;
  auto reader = LineReader::Open(folder.Write("f", "one\ntwo\nthree\nfour\n"), 10);
  ASSERT_TRUE(reader.ok());
  Line line;
  ASSERT_TRUE(reader->NextLine(&line).value());
  reader->PutBack();
  ASSERT_TRUE(reader->NextLine(&line).value());
  ExpectEqual(std::string(line.text), std::string("one"));
  ExpectEqual(line.number, int64_t{1});
  LineBlock block;
  std::string rest;
  int64_t next = 2;
  while (reader->NextBlock(&block).value()) {
    ExpectEqual(block.first_line, next);
    next += block.num_lines;
    rest += block.text;
  }
  ExpectEqual(rest, std::string("two\nthree\nfour\n"));
}

TEST(LineReader, NamesThePlaceOfBinaryData) {
  const TemporaryFolder folder;
  ExpectError(ByLines(folder.Write("nul", std::string("ab\ncd\0ef\n", 9))), StatusCode::kInvalidArgument,
              {"nul:2:3: found a NUL byte"});
  ExpectError(ByLines(folder.Write("nulgz", test::Gzip(std::string("ab\ncd\0ef\n", 9))), 8),
              StatusCode::kInvalidArgument, {"nulgz:2:3: found a NUL byte"});
  std::mt19937 random(5);
  std::string junk;
  for (int i = 0; i < 5000; ++i) junk += static_cast<char>(random());
  ExpectError(ByLines(folder.Write("junk", junk)), StatusCode::kInvalidArgument, {"junk:", "NUL"});
}

TEST(LineReader, RefusesWhatIsNoTextFile) {
  const TemporaryFolder folder;
  ExpectError(ByLines(folder / "absent"), StatusCode::kNotFound, {"absent", "expected a readable file"});
  ExpectError(ByLines(folder.string()), StatusCode::kInvalidArgument, {"found a folder"});
  ExpectError(ByLines(folder.Write("zip", "PK\x03\x04zzzzzzzzzzzzzzzz")), StatusCode::kInvalidArgument,
              {"zip:1:1", "zip archive"});
  ExpectError(ByLines(folder.Write("bz", "BZh91AY&SYzzzzzzzz")), StatusCode::kInvalidArgument, {"bz:1:1", "bzip2"});
  ExpectError(ByLines(folder.Write("zst", "\x28\xb5\x2f\xfdzzzzzzzz")), StatusCode::kInvalidArgument, {"zstd"});
  ExpectError(ByLines(folder.Write("h5", "\x89HDF\r\n\x1a\nzzzz")), StatusCode::kInvalidArgument, {"HDF5"});
}

// Every cut of an archive is an error with a place, never a crash and never a silently short text.
TEST(LineReader, TruncatedArchivesAreErrorsAtEveryCut) {
  const TemporaryFolder folder;
  const std::string text = RandomText(60, 7);
  for (const auto& [name, archive, magic] :
       {std::tuple{"cut.gz", test::Gzip(text), size_t{2}}, std::tuple{"cut.xz", test::Xz(text), size_t{6}}}) {
    for (size_t cut = magic; cut < archive.size(); ++cut) {
      const auto result = ByLines(folder.Write(name, std::string_view(archive).substr(0, cut)), 64);
      ExpectError(result, StatusCode::kInvalidArgument, {std::string(name) + ":", "archive"});
    }
  }
}

// A flipped byte is an error or (in a header field that carries no data, such as gzip's time) leaves the text as it
// was.
TEST(LineReader, DamagedArchivesNeverYieldOtherText) {
  const TemporaryFolder folder;
  const std::string text = RandomText(60, 8);
  for (const std::string& archive : {test::Gzip(text), test::Xz(text)}) {
    int refused = 0;
    for (size_t at = 6; at < archive.size(); ++at) {
      std::string bad = archive;
      bad[at] = static_cast<char>(bad[at] ^ 0x41);
      const auto result = ByLines(folder.Write("bad", bad), 64);
      if (result.ok()) {
        ExpectEqual(*result, text);
      } else {
        ++refused;
        ExpectError(result, StatusCode::kInvalidArgument, {"bad:"});
      }
    }
    ExpectEqual(refused * 10 > static_cast<int>(archive.size()) * 9, true, "most flips are refused");
  }
}

TEST(LineReader, ReadsStandardInput) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("in", test::Gzip("x\ny\n"));
  const int saved = ::dup(STDIN_FILENO);
  const int fd = ::open(path.c_str(), O_RDONLY);
  ::dup2(fd, STDIN_FILENO);
  ExpectEqual(ByLines("-").value(), std::string("x\ny\n"));
  ::dup2(saved, STDIN_FILENO);
  ::close(fd);
  ::close(saved);
  ExpectEqual(DisplayName("-"), std::string("stdin"));
}

}  // namespace
}  // namespace rb
