// Safetensors and model files: exact round trips, and hostile bytes.
#include "model/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/philox.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using ::testing::HasSubstr;

SafeTensors SmallContent() {
  SafeTensors content;
  content.metadata = {{"who", "a test"}, {"odd", "\"quotes\", \xCE\xB2 and\nlines"}};
  content.tensors.push_back(TensorF32("b", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, NAN}));
  content.tensors.push_back(TensorF64("a", {1}, std::vector<double>{-1e300}));
  content.tensors.push_back({"empty", "I32", {0, 4}, ""});
  content.tensors.push_back({"byte", "U8", {3}, "xyz"});
  return content;
}

void ExpectSameContent(const SafeTensors& a, const SafeTensors& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& t : a.tensors) {
    const NamedTensor* u = b.Find(t.name);
    ASSERT_NE(u, nullptr) << t.name;
    ExpectEqual(t.dtype, u->dtype);
    ExpectEqual(t.shape == u->shape, true);
    ExpectEqual(t.bytes == u->bytes, true, t.name);
  }
}

// A file from a header as text, for headers that the writer would not write.
std::string FileOf(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

ModelFile SmallModel() {
  ModelFile model;
  model.config = test::ToyConfig(16);
  model.config.shape.pool = 16;
  model.config.schedule.learning_rate = 1.0 / 3;
  model.config.seed = 99;
  model.experiment = "RNCMPT00168";
  model.transform = {TransformKind::kLog, -1.0 / 7, 0, 2.0 / 3, 1.0 / 9};
  const ParameterTable table(model.config.shape);
  model.parameters.resize(static_cast<size_t>(table.storage()));
  InitializeParameters(table, 5, 6, model.parameters.data());
  for (int i = 0; i < 16 * 4; ++i) model.profile.push_back(0.25f + 0.001f * static_cast<float>(i % 4));
  model.epochs = 31;
  model.best_epoch = 6;
  model.best_metric = 0.1 + 0.2;
  model.max_probes = 400;
  model.extra = {{"note", "kept"}};
  return model;
}

bool Same(const ModelFile& a, const ModelFile& b) {
  return SettingsOf(a.config) == SettingsOf(b.config) && a.experiment == b.experiment &&
         a.transform.kind == b.transform.kind && a.transform.minimum == b.transform.minimum &&
         a.transform.clip == b.transform.clip && a.transform.mean == b.transform.mean &&
         a.transform.sd == b.transform.sd && a.profile == b.profile && a.parameters == b.parameters &&
         a.epochs == b.epochs && a.best_epoch == b.best_epoch && a.best_metric == b.best_metric &&
         a.max_probes == b.max_probes && a.extra == b.extra;
}

TEST(SafeTensors, RoundTrip) {
  const test::TemporaryFolder folder;
  const SafeTensors content = SmallContent();
  ASSERT_TRUE(WriteSafeTensors(content, folder.path("x.safetensors")).ok());
  const auto read = ReadSafeTensors(folder.path("x.safetensors"));
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectSameContent(content, *read);
  ExpectEqual(read->metadata.at("odd"), content.metadata.at("odd"));
  ExpectEqual(read->metadata.contains("checksum"), true);
  ExpectEqual(ValuesF64(*read->Find("a"))[0], -1e300);
  ExpectEqual(ValuesF32(*read->Find("a")).empty(), true);  // wrong type: nothing
  ExpectEqual(read->Find("absent") == nullptr, true);
}

TEST(SafeTensors, FollowsTheFormat) {
  const auto bytes = SerializeSafeTensors(SmallContent());
  ASSERT_TRUE(bytes.ok());
  uint64_t length = 0;
  std::memcpy(&length, bytes->data(), 8);
  ExpectEqual(length % 8, uint64_t{0});
  const auto header = nlohmann::json::parse(bytes->substr(8, length));
  ExpectEqual(header["b"]["dtype"].get<std::string>(), std::string("F32"));
  ExpectEqual(header["b"]["shape"].dump(), std::string("[2,3]"));
  ExpectEqual(header["b"]["data_offsets"].dump(), std::string("[0,24]"));
  ExpectEqual(header["a"]["data_offsets"].dump(), std::string("[24,32]"));
  ExpectEqual(header["__metadata__"]["who"].get<std::string>(), std::string("a test"));
  ExpectEqual(bytes->size(), 8 + length + 24 + 8 + 3);
}

TEST(SafeTensors, ForeignFilesWithoutChecksumsRead) {
  const auto read =
      ParseSafeTensors(FileOf(R"({"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )", "abcd"), "f");
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(read->tensors.size(), size_t{1});
  ExpectEqual(read->tensors[0].bytes, std::string("abcd"));
}

TEST(SafeTensors, HostileHeaders) {
  const char* headers[] = {
      "",
      "[]",
      "null",
      "{",
      R"({"w":1})",
      R"({"w":{"dtype":"F32","shape":[1]}})",
      R"({"w":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":"1","data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})",
      R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})",
      R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
      R"({"w":{"dtype":"U8","shape":[9223372036854775807,2],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})",
      R"({"__metadata__":{"a":1},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"__metadata__":[],"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"__metadata__":{"checksum":"00"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"__metadata__":{"header_checksum":"00"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      "{\"\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
  };
  for (const char* header : headers) {
    const auto read = ParseSafeTensors(FileOf(header, "abcd"), "name.safetensors");
    ExpectEqual(read.status().code(), absl::StatusCode::kInvalidArgument, header);
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("name.safetensors: "));
    EXPECT_EQ(read.status().message().find('\n'), std::string::npos);
  }
  const std::string deep = "{\"w\":" + std::string(200000, '[') + std::string(200000, ']') + "}";
  ExpectEqual(ParseSafeTensors(FileOf(deep, ""), "deep").ok(), false);
  std::string giant(16, ' ');
  const uint64_t lengths[] = {100'000'001, ~uint64_t{0}, ~uint64_t{0} - 7, 9};
  for (const uint64_t length : lengths) {
    std::memcpy(giant.data(), &length, 8);
    ExpectEqual(ParseSafeTensors(giant, "giant").ok(), false);
  }
}

TEST(SafeTensors, WriterRefusesWhatCannotBeRead) {
  SafeTensors twice = SmallContent();
  twice.tensors.push_back(twice.tensors[0]);
  ExpectEqual(SerializeSafeTensors(twice).ok(), false);
  SafeTensors wrong = SmallContent();
  wrong.tensors[0].shape = {7};
  ExpectEqual(SerializeSafeTensors(wrong).ok(), false);
  SafeTensors latin = SmallContent();
  latin.metadata["who"] = "\xff";
  ExpectEqual(SerializeSafeTensors(latin).ok(), false);
}

TEST(SafeTensors, EveryTruncationFails) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("cut.safetensors"), bytes = SerializeSafeTensors(SmallContent()).value();
  for (size_t n = 0; n < bytes.size(); ++n) {
    test::WriteBytes(path, bytes.substr(0, n));
    const auto read = ReadSafeTensors(path);
    ExpectEqual(read.ok(), false, std::to_string(n));
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(path));
  }
  test::WriteBytes(path, bytes + "x");
  ExpectEqual(ReadSafeTensors(path).ok(), false);
  ExpectEqual(ReadSafeTensors(folder.path("absent")).status().code(), absl::StatusCode::kNotFound);
  ExpectEqual(ReadSafeTensors(folder.path()).ok(), false);  // a folder
}

TEST(ModelFile, RoundTrip) {
  const test::TemporaryFolder folder;
  const ModelFile model = SmallModel();
  ASSERT_TRUE(WriteModel(model, folder.path("m.safetensors")).ok());
  const auto read = ReadModel(folder.path("m.safetensors"));
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(Same(model, *read), true);
  test::ExpectSameBits<float>(model.parameters, read->parameters, "parameters");
  // Writing what was read gives the same bytes: nothing is lost, and nothing depends on the time.
  ASSERT_TRUE(WriteModel(*read, folder.path("again.safetensors")).ok());
  ExpectEqual(test::ReadBytes(folder.path("m.safetensors")) == test::ReadBytes(folder.path("again.safetensors")), true);
}

// Models of all training probes have the bytes that they had before the number was recorded.
TEST(ModelFile, AllTrainingProbesAreNotRecorded) {
  ModelFile model = SmallModel();
  model.max_probes = 0;
  const SafeTensors content = ModelToSafeTensors(model);
  ExpectEqual(content.metadata.contains("max_probes"), false);
  const auto read = ModelFromSafeTensors(ParseSafeTensors(*SerializeSafeTensors(content), "m").value(), "m");
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(read->max_probes, int64_t{0});
}

TEST(ModelFile, HeadIsTwoTensors) {
  const SafeTensors content = ModelToSafeTensors(SmallModel());
  ASSERT_NE(content.Find("head.weight"), nullptr);
  ExpectEqual(content.Find("head.weight")->shape == std::vector<int64_t>{32, 1}, true);
  ExpectEqual(content.Find("head.bias")->shape == std::vector<int64_t>{1}, true);
  ExpectEqual(content.Find("embed.weight")->shape == std::vector<int64_t>{5, 4, 32}, true);
  ExpectEqual(content.metadata.at("task"), std::string("regression"));
  ExpectEqual(content.metadata.at("target.kind"), std::string("log"));
}

TEST(ModelFile, UndefinedMetricAndMissingProfile) {
  ModelFile model = SmallModel();
  model.best_metric = NAN;
  model.profile.clear();
  const auto bytes = SerializeSafeTensors(ModelToSafeTensors(model));
  const auto read = ModelFromSafeTensors(ParseSafeTensors(*bytes, "m").value(), "m");
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(std::isnan(read->best_metric), true);
  ExpectEqual(read->profile.empty(), true);
}

// One change at a time, checksums made anew: the reader must see it by itself.
TEST(ModelFile, InconsistentContentIsRefused) {
  const auto expect_refused = [](const SafeTensors& content, const char* what, const char* part) {
    const auto again = ParseSafeTensors(SerializeSafeTensors(content).value(), "m.safetensors");
    ASSERT_TRUE(again.ok()) << again.status();
    const auto read = ModelFromSafeTensors(*again, "m.safetensors");
    ExpectEqual(read.status().code(), absl::StatusCode::kInvalidArgument, what);
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(part)) << what;
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("m.safetensors: ")) << what;
  };
  const SafeTensors good = ModelToSafeTensors(SmallModel());
  for (const auto& [key, value] : good.metadata) {
    if (key == "note" || key == "task" || key == "version" || key == "max_probes") continue;
    SafeTensors missing = good;
    missing.metadata.erase(key);
    expect_refused(missing, key.c_str(), "");
  }
  for (size_t i = 0; i < good.tensors.size(); ++i) {
    if (good.tensors[i].name == "profile") continue;
    SafeTensors missing = good;
    missing.tensors.erase(missing.tensors.begin() + static_cast<std::ptrdiff_t>(i));
    expect_refused(missing, "missing tensor", good.tensors[i].name.c_str());
    SafeTensors flat = good;
    flat.tensors[i].shape.push_back(1);
    expect_refused(flat, "other shape", good.tensors[i].name.c_str());
    SafeTensors integers = good;
    integers.tensors[i].dtype = "I32";
    expect_refused(integers, "other type", good.tensors[i].name.c_str());
    SafeTensors nan = good;
    const float bad = NAN;
    std::memcpy(nan.tensors[i].bytes.data(), &bad, sizeof(bad));
    expect_refused(nan, "not finite", good.tensors[i].name.c_str());
  }
  SafeTensors extra = good;
  extra.tensors.push_back(TensorF32("more", {1}, std::vector<float>{1}));
  expect_refused(extra, "unknown tensor", "no part");
  SafeTensors variance = good;
  const float negative = -1;
  for (NamedTensor& t : variance.tensors) {
    if (t.name == "embed.norm.variance") std::memcpy(t.bytes.data(), &negative, sizeof(negative));
  }
  expect_refused(variance, "negative variance", "embed.norm.variance");
  for (const auto& [key, value] : std::multimap<std::string, std::string>{{"shape.filters", "64"},
                                                                          {"shape.length", "512"},
                                                                          {"shape.residual_layers", "2"},
                                                                          {"shape.hidden", "4096"},
                                                                          {"target.sd", "0"},
                                                                          {"target.mean", "nan"},
                                                                          {"target.kind", "cube"},
                                                                          {"epochs", "1.5"},
                                                                          {"max_probes", "0"},
                                                                          {"max_probes", "many"},
                                                                          {"format", "other"},
                                                                          {"format_version", "2"}}) {
    SafeTensors changed = good;
    changed.metadata[key] = value;
    expect_refused(changed, key.c_str(), "");
  }
}

TEST(ModelFile, FilesWithoutChecksumsAreNotModels) {
  SafeTensors content = ModelToSafeTensors(SmallModel());
  ExpectEqual(ModelFromSafeTensors(content, "m").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ModelFile, EveryTruncationOfTheHeaderFails) {
  const std::string bytes = SerializeSafeTensors(ModelToSafeTensors(SmallModel())).value();
  // Every length through the header, then every 97th.
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  for (size_t n = 0; n < bytes.size(); n += n < header + 40 ? 1 : 97) {
    ExpectEqual(ParseSafeTensors(std::string_view(bytes).substr(0, n), "cut").ok(), false);
  }
}

// A flipped bit anywhere either fails or changes nothing that a reader sees.
TEST(ModelFile, BitFlips) {
  const ModelFile model = SmallModel();
  const std::string bytes = SerializeSafeTensors(ModelToSafeTensors(model)).value();
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  PhiloxStream random(2024);
  int unchanged = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = bytes;
    // Half of them in the header, where the structure is.
    const uint32_t at = random.Below(static_cast<uint32_t>(i % 2 == 0 ? header + 8 : bytes.size()));
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.Below(8)));
    const auto content = ParseSafeTensors(damaged, "flipped");
    if (!content.ok()) {
      test::CountComparisons();
      continue;
    }
    const auto read = ModelFromSafeTensors(*content, "flipped");
    ExpectEqual(!read.ok() || Same(model, *read), true, "byte " + std::to_string(at));
    unchanged += read.ok();
  }
  EXPECT_LT(unchanged, 20);  // blanks of the padding at most
}

}  // namespace
}  // namespace rb
