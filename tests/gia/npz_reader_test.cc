// NumPy archives read back: what WriteNpz wrote, bit for bit, and every damage an error.
#include "gia/npz_reader.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "gia/npz_writer.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::TemporaryFolder;

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Spill(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

const std::vector<float> kFloats = {1.5f, -0.0f, 3e38f, 1e-45f, 0.1f, 7};
const std::vector<std::string> kTexts = {"a", "", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "long enough"};

void Write(const std::string& path, bool deflate) {
  const std::vector<int64_t> whole = {1, 2};
  const std::vector<NamedArray> arrays = {{"whole", {2}, std::span<const int64_t>(whole)},
                                          {"values", {2, 3}, std::span<const float>(kFloats)},
                                          {"names", {4}, std::span<const std::string>(kTexts)},
                                          {"none", {0, 5}, std::span<const float>()}};
  ASSERT_TRUE(WriteNpz(path, arrays, {deflate}).ok());
}

TEST(NpzReaderTest, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.npz";
  for (const bool deflate : {false, true}) {
    Write(path, deflate);
    const auto values = ReadNpzArray(path, "values"), names = ReadNpzArray(path, "names"),
               none = ReadNpzArray(path, "none");
    ASSERT_TRUE(values.ok() && names.ok() && none.ok()) << values.status() << names.status() << none.status();
    ExpectEqual(values->shape, std::vector<int64_t>({2, 3}));
    test::ExpectSameBits<float>(values->floats, kFloats, "floats");
    ExpectEqual(names->texts, kTexts);
    ExpectEqual(none->shape, std::vector<int64_t>({0, 5}));
    ExpectEqual(none->floats.size(), size_t{0});
    ExpectEqual(ReadNpzArray(path, "value").status().code(), StatusCode::kNotFound, "no such array");
    ExpectEqual(ReadNpzArray(path, "whole").status().code(), StatusCode::kInvalidArgument, "whole numbers");
  }
  ExpectEqual(ReadNpzArray(folder / "b.npz", "a").status().code(), StatusCode::kNotFound, "no such file");
}

// CRC-32 of zip archives [PKWARE APPNOTE], bit by bit.
uint32_t Crc32(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

// An archive of one array without values, whose header says `header` instead; its checksum is right.
std::string WithHeader(const std::string& path, const std::string& header) {
  const std::vector<NamedArray> arrays = {{"a", {0}, std::span<const float>()}};
  EXPECT_TRUE(WriteNpz(path, arrays, {false}).ok());
  std::string bytes = Slurp(path);
  const size_t begin = bytes.find("\x93NUMPY"), central = bytes.rfind("PK\x01\x02");
  const size_t text = begin + 10, size = static_cast<unsigned char>(bytes[begin + 8]);  // of the header, below 256
  bytes.replace(text, size, header + std::string(size - header.size(), ' '));
  const uint32_t crc = Crc32(bytes.substr(begin, 10 + size));
  for (size_t i = 0; i < 4; ++i) bytes[central + 16 + i] = static_cast<char>(crc >> 8 * i);
  return bytes;
}

TEST(NpzReaderTest, SizesThatWrapAround) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.npz";
  const auto read = [&](const std::string& type, const std::string& shape) {
    Spill(path, WithHeader(path, "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }"));
    return ReadNpzArray(path, "a");
  };
  ExpectEqual(read("<f4", "0, 7").ok(), true, "a header like the writer's");
  for (const char* shape : {"4, 4611686018427387904", "4294967296, 4294967296", "0, 4611686018427387904", "2"}) {
    ExpectEqual(read("<f4", shape).status().code(), StatusCode::kInvalidArgument, shape);
  }
  ExpectEqual(read("<U1", "0").ok(), true, "texts");
  ExpectEqual(read("<U4611686018427387905", "0").status().code(), StatusCode::kInvalidArgument, "letters of a text");
}

TEST(NpzReaderTest, DamageIsAnErrorOrHarmless) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.npz", other = folder / "b.npz";
  Write(path, true);
  const std::string whole = Slurp(path);
  int noticed = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 0x41);
    Spill(other, broken);
    const auto values = ReadNpzArray(other, "values");
    noticed += !values.ok();
    if (values.ok()) test::ExpectSameBits<float>(values->floats, kFloats, "what is read is right");
    Spill(other, whole.substr(0, i));
    ExpectEqual(ReadNpzArray(other, "values").ok(), false, "cut at " + std::to_string(i));
  }
  ExpectEqual(noticed > 100, true, "places where damage is noticed: " + std::to_string(noticed));
}

}  // namespace
}  // namespace rb
