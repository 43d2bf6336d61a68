// NumPy files: parsed again byte by byte, and by Python's zipfile (and NumPy where it is installed).
#include "gia/npz_writer.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <zlib.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "kernels/philox.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

uint64_t Number(std::string_view bytes, size_t at, int size) {
  uint64_t value = 0;
  for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

std::string Inflate(std::string_view packed, size_t size) {
  std::string out(size + 1, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, -15), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

// What 32 bits say, or the next 8 bytes of the zip64 field when they are all ones.
uint64_t Wide(std::string_view file, uint64_t narrow, size_t* zip64) {
  if (narrow != 0xFFFFFFFF) return narrow;
  *zip64 += 8;
  return Number(file, *zip64 - 8, 8);
}

// Members of an archive, by the directory at its end; checks it against the local headers and the sums.
std::map<std::string, std::string> Unzip(const std::string& file, bool zip64, bool deflated) {
  std::map<std::string, std::string> members;
  const size_t end = file.size() - 22;
  EXPECT_EQ(file.substr(end, 4), "PK\x05\x06");
  uint64_t count = Number(file, end + 10, 2), at = Number(file, end + 16, 4), bytes = Number(file, end + 12, 4);
  if (zip64) {
    EXPECT_EQ(file.substr(end - 20, 4), "PK\x06\x07");
    const size_t record = Number(file, end - 12, 8);
    EXPECT_EQ(record, end - 76);
    EXPECT_EQ(file.substr(record, 4), "PK\x06\x06");
    count = Number(file, record + 32, 8), bytes = Number(file, record + 40, 8), at = Number(file, record + 48, 8);
  }
  EXPECT_EQ(at + bytes, zip64 ? end - 76 : end);
  uint64_t local = 0;  // members lie one behind the other
  for (uint64_t i = 0; i < count; ++i) {
    EXPECT_EQ(file.substr(at, 4), "PK\x01\x02");
    const size_t name = Number(file, at + 28, 2), extra = Number(file, at + 30, 2);
    size_t field = at + 46 + name + 4;
    const uint64_t raw = Wide(file, Number(file, at + 24, 4), &field);
    const uint64_t packed = Wide(file, Number(file, at + 20, 4), &field);
    EXPECT_EQ(Wide(file, Number(file, at + 42, 4), &field), local);
    EXPECT_EQ(field, extra == 0 ? at + 46 + name + 4 : at + 46 + name + extra);
    EXPECT_EQ(file.substr(local, 4), "PK\x03\x04");
    EXPECT_EQ(file.substr(local + 8, 10), file.substr(at + 10, 10));  // method, time, sum
    EXPECT_EQ(file.substr(local + 30, name), file.substr(at + 46, name));
    const size_t local_extra = Number(file, local + 28, 2);
    EXPECT_EQ(local_extra, zip64 ? 20u : 0u);
    size_t local_field = local + 30 + name + 4;
    EXPECT_EQ(Wide(file, Number(file, local + 22, 4), &local_field), raw);
    EXPECT_EQ(Wide(file, Number(file, local + 18, 4), &local_field), packed);
    const std::string body = file.substr(local + 30 + name + local_extra, packed);
    const std::string content = deflated ? Inflate(body, raw) : body;
    EXPECT_EQ(Number(file, at + 10, 2), deflated ? 8u : 0u);
    EXPECT_EQ(content.size(), raw);
    EXPECT_EQ(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()), Number(file, at + 16, 4));
    members[file.substr(at + 46, name)] = content;
    local += 30 + name + local_extra + packed;
    at += 46 + name + extra;
  }
  test::CountComparisons(static_cast<int64_t>(count) * 12);
  return members;
}

// The values of a .npy; its header must be that.
template <class T>
std::vector<T> Values(const std::string& file, const std::string& header) {
  const size_t size = Number(file, 8, 2);
  ExpectEqual((10 + size) % 64, size_t{0});
  std::string text = file.substr(10, size);
  ExpectEqual(text.back(), '\n');
  text.pop_back();
  ExpectEqual(text.substr(0, text.find_last_not_of(' ') + 1), header);
  std::vector<T> values((file.size() - 10 - size) / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), file.data() + 10 + size, values.size() * sizeof(T));
  return values;
}

struct Example {
  std::vector<float> floats;
  std::vector<int64_t> integers = {INT64_MIN, -1, 0, INT64_MAX};
  std::vector<std::string> names = {"RNCMPT00168", "", "\xc3\xa9\xe2\x82\xac\xf0\x9f\xa7\xac", "x"};
  std::vector<float> one = {2.5f}, none;
  std::vector<NamedArray> arrays;
  Example() {
    PhiloxStream random(4);
    for (int i = 0; i < 50 * 4 * 700; ++i)
      floats.push_back(random.Below(4) == 0 ? static_cast<float>(random.Uniform()) : 0);
    floats[1] = -INFINITY;
    floats[2] = -0.0f;
    arrays = {{"effects", {50, 4, 700}, std::span<const float>(floats)},
              {"rows", {4}, std::span<const int64_t>(integers)},
              {"names.x-1", {2, 2}, std::span<const std::string>(names)},
              {"scalar", {}, std::span<const float>(one)},
              {"empty", {0, 4}, std::span<const float>(none)}};
  }
};

TEST(NpzWriter, ReadsBackByteByByte) {
  const TemporaryFolder folder;
  const Example example;
  for (const bool deflate : {true, false}) {
    for (const bool zip64 : {false, true}) {
      NpzOptions options;
      options.deflate = deflate;
      if (zip64) options.zip64_from = 0;
      const std::string path = folder / "a.npz";
      ASSERT_TRUE(WriteNpz(path, example.arrays, options).ok());
      const std::string file = test::ReadAll(path);
      auto members = Unzip(file, zip64, deflate);
      ExpectEqual(members.size(), size_t{5});
      const auto header = [](const std::string& type, const std::string& shape) {
        return "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
      };
      test::ExpectSameBits<float>(Values<float>(members["effects.npy"], header("<f4", "(50, 4, 700)")), example.floats,
                                  "effects");
      test::ExpectSameBits<int64_t>(Values<int64_t>(members["rows.npy"], header("<i8", "(4,)")), example.integers,
                                    "rows");
      ExpectEqual(Values<float>(members["scalar.npy"], header("<f4", "()")) == example.one, true);
      ExpectEqual(Values<float>(members["empty.npy"], header("<f4", "(0, 4)")).size(), size_t{0});
      const auto points = Values<char32_t>(members["names.x-1.npy"], header("<U11", "(2, 2)"));
      std::u32string expected = U"RNCMPT00168";
      expected.resize(22);
      expected += U"\u00e9\u20ac\U0001F9EC";
      expected.resize(33);
      expected += U"x";
      expected.resize(44);
      ExpectEqual(std::u32string(points.begin(), points.end()) == expected, true);
      // The same bytes again; half the size when deflated (three quarters of the values are zero).
      ASSERT_TRUE(WriteNpz(path, example.arrays, options).ok());
      ExpectEqual(test::ReadAll(path) == file, true);
      ExpectEqual(file.size() < example.floats.size() * 2, deflate);
    }
  }
  ExpectEqual(folder.Entries().size(), size_t{1});
}

TEST(NpzWriter, Zip64FromTheSizeOn) {
  // An archive where only the second array and the directory lie beyond the limit.
  const TemporaryFolder folder;
  const Example example;
  NpzOptions options;
  options.deflate = false;
  options.zip64_from = 3000;
  const std::vector<NamedArray> small = {example.arrays[1], example.arrays[3]};
  ASSERT_TRUE(WriteNpz(folder / "small.npz", small, options).ok());
  ExpectEqual(Unzip(test::ReadAll(folder / "small.npz"), false, false).size(), size_t{2});
  const std::vector<NamedArray> mixed = {example.arrays[0], example.arrays[1]};
  ASSERT_TRUE(WriteNpz(folder / "mixed.npz", mixed, options).ok());
  const std::string file = test::ReadAll(folder / "mixed.npz");
  ExpectEqual(file.substr(file.size() - 42, 4), std::string("PK\x06\x07"));
  ExpectEqual(Number(file, 28, 2), uint64_t{20});  // the first local header is large,
  ExpectEqual(Number(file, 18, 4), uint64_t{0xFFFFFFFF});
  const size_t second = 30 + 11 + 20 + 128 + example.floats.size() * 4;
  ExpectEqual(file.substr(second, 4), std::string("PK\x03\x04"));
  ExpectEqual(Number(file, second + 28, 2), uint64_t{0});  // the second is not
}

TEST(NpzWriter, PythonReadsIt) {
  const TemporaryFolder folder;
  const Example example;
  NpzOptions plain, large;
  plain.deflate = false;
  large.zip64_from = 0;
  ASSERT_TRUE(WriteNpz(folder / "deflated.npz", example.arrays).ok());
  ASSERT_TRUE(WriteNpz(folder / "plain.npz", example.arrays, plain).ok());
  ASSERT_TRUE(WriteNpz(folder / "large.npz", example.arrays, large).ok());
  NpzOptions mixed;
  mixed.zip64_from = 3000;
  ASSERT_TRUE(WriteNpz(folder / "mixed.npz", example.arrays, mixed).ok());
  ASSERT_TRUE(WriteNpy(folder / "rows.npy", example.arrays[1]).ok());
  const auto python = [](const std::string& path) {
    const std::string command = "python3 tests/gia/read_npz.py '" + path + "' 2>&1";
    std::FILE* pipe = popen(command.c_str(), "r");
    std::string output;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
    EXPECT_EQ(pclose(pipe), 0) << output;
    return output;
  };
  const std::string expected =
      "rows|<i8|(4,)|(-9223372036854775808, -1, 0, 9223372036854775807)|4\n"
      "names.x-1|<U11|(2, 2)|('RNCMPT00168', '', '\\xe9\\u20ac\\U0001f9ec', 'x')|4\n"
      "scalar|<f4|()|(2.5,)|1\nempty|<f4|(0, 4)|()|0\n";
  for (const char* name : {"deflated.npz", "plain.npz", "large.npz", "mixed.npz"}) {
    const std::string output = python(folder / name);
    ExpectEqual(output.substr(0, 26), std::string("effects|<f4|(50, 4, 700)|("));
    ExpectEqual(output.find("-inf, -0.0") != std::string::npos, true);
    ExpectEqual(output.substr(output.find('\n') + 1), expected, name);
  }
  ExpectEqual(python(folder / "rows.npy"), "|" + expected.substr(5, expected.find('\n') - 4));
}

TEST(NpzWriter, Refusals) {
  const TemporaryFolder folder;
  const std::vector<float> values(6);
  const std::span<const float> six(values);
  const auto expect = [&](std::vector<NamedArray> arrays, std::string part) {
    ExpectError(WriteNpz(folder / "x.npz", arrays), StatusCode::kInvalidArgument, {part, "expected"});
  };
  expect({}, "no arrays");
  expect({{"", {6}, six}}, "the name ''");
  expect({{"a/b", {6}, six}}, "the name 'a/b'");
  expect({{"a b", {6}, six}}, "the name 'a b'");
  expect({{std::string(201, 'a'), {6}, six}}, "1 to 200");
  expect({{"a", {6}, six}, {"a", {6}, six}}, "two arrays");
  expect({{"a", {5}, six}}, "6 values and the shape (5,)");
  expect({{"a", {2, 4}, six}}, "the shape (2, 4)");
  expect({{"a", {-2, -3}, six}}, "the shape (-2, -3)");
  expect({{"a", {}, six}}, "the shape ()");
  expect({{"a", {int64_t{1} << 32, int64_t{1} << 32}, six}}, "4294967296");
  expect({{"a", {0, int64_t{1} << 62}, six}}, "6 values");
  for (const char* bad :
       {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x28\xa1", "\xf0\x80\x80\x80", "\x80"}) {
    const std::vector<std::string> texts = {"fine", bad};
    expect({{"t", {2}, std::span<const std::string>(texts)}}, "UTF-8");
    ExpectError(WriteNpy(folder / "x.npy", {"t", {2}, std::span<const std::string>(texts)}),
                StatusCode::kInvalidArgument, {"UTF-8"});
    ExpectEqual(IsArrayText(bad), false);
  }
  ExpectEqual(IsArrayText("caf\xc3\xa9"), true);
  ExpectEqual(IsArrayText(std::string_view("a\0b", 3)), false);
  const std::vector<std::string> zero = {std::string("a\0b", 3)};
  expect({{"t", {1}, std::span<const std::string>(zero)}}, "zero bytes");
  ExpectEqual(folder.Entries().size(), size_t{0});
  const std::vector<NamedArray> good = {{"a", {6}, six}};
  ExpectError(WriteNpz(folder / "no/such/x.npz", good), StatusCode::kNotFound, {"no/such/x.npz"});
  std::filesystem::create_directory(folder / "taken.npz");
  ExpectEqual(WriteNpz(folder / "taken.npz", good).ok(), false);
  ExpectEqual(folder.Entries().size(), size_t{1});
}

}  // namespace
}  // namespace rb
