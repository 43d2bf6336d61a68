// Damaged files: truncations and bit flips of models, checkpoints, HDF5 files and Keras' weights. Each must be refused
// with the file's name, or read exactly as the whole one (a flip in bytes that say nothing). Keras' weights have no
// checksums: a flip in a value is another value.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>

#include "data/readers.h"
#include "data/writers.h"
#include "engine/thread_pool.h"
#include "model/checkpoint.h"
#include "model/keras_config.h"
#include "model/keras_import.h"
#include "model/model_file.h"
#include "tests/model/keras_writer.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;

enum class Outcome { kRefused, kSame, kDifferent };

// A file, and what reading a copy of it comes to.
struct Subject {
  std::string name;
  std::string path;
  std::function<absl::StatusOr<bool>(const std::string& path)> reads_the_same;
  bool checked = true;  // by checksums
};

template <class T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

bool Same(const Dataset& a, const Dataset& b) {
  const Sequences &s = a.sequences, &t = b.sequences;
  return s.length == t.length && s.structure_channels == t.structure_channels &&
         s.structure_source == t.structure_source && s.bases == t.bases && s.widths == t.widths &&
         SameBits(s.tracks, t.tracks) && SameBits(a.targets, b.targets) && a.experiments == b.experiments &&
         a.parts == b.parts && a.transformed == b.transformed;
}

Outcome Try(const Subject& subject, const std::string& bytes, const std::string& path) {
  test::WriteBytes(path, bytes);
  const absl::StatusOr<bool> read = subject.reads_the_same(path);
  if (read.ok()) return *read ? Outcome::kSame : Outcome::kDifferent;
  EXPECT_THAT(std::string(read.status().message()), ::testing::HasSubstr(path)) << subject.name;
  return Outcome::kRefused;
}

void Damage(const Subject& subject, int trials) {
  const std::string whole = test::ReadBytes(subject.path), damaged = subject.path + ".damaged";
  ASSERT_GT(whole.size(), 100u);
  ExpectEqual(Try(subject, whole, damaged) == Outcome::kSame, true, subject.name);
  std::mt19937_64 random(7);
  int counts[2][3] = {};
  for (int trial = 0; trial < trials; ++trial) {
    std::string bytes = whole;
    const bool flip = trial % 2 == 1;
    if (flip) {
      // Every second flip in the first 4 KiB: headers are small beside tensors.
      const size_t end = trial % 4 == 1 ? std::min<size_t>(4096, bytes.size()) : bytes.size();
      bytes[random() % end] ^= static_cast<char>(1 << random() % 8);
    } else {
      bytes.resize(random() % bytes.size());
    }
    const Outcome outcome = Try(subject, bytes, damaged);
    ++counts[flip][static_cast<int>(outcome)];
    if (flip && !subject.checked) continue;
    ExpectEqual(outcome == Outcome::kDifferent, false, subject.name + ", trial " + std::to_string(trial));
    if (!flip) ExpectEqual(outcome == Outcome::kRefused, true, subject.name + " cut, trial " + std::to_string(trial));
  }
  for (const int flip : {0, 1}) {
    std::printf("%s, %s: %d refused, %d read the same, %d read otherwise\n", subject.name.c_str(),
                flip ? "bit flips" : "truncations", counts[flip][0], counts[flip][1], counts[flip][2]);
  }
}

ModelFile SomeModel() {
  ModelFile model;
  model.config = test::ToyConfig(16, 2);
  model.config.shape.pool = 16;
  model.experiment = "EXP1";
  model.structure_source = "turner1999";
  model.transform.kind = TransformKind::kLog;
  model.parameters = std::vector<float>(static_cast<size_t>(ParameterTable(model.config.shape).storage()));
  for (size_t i = 0; i < model.parameters.size(); ++i) model.parameters[i] = 0.25f + static_cast<float>(i % 97) / 97;
  model.profile.assign(16 * 4, 0.25f);
  model.epochs = 3;
  model.best_epoch = 2;
  return model;
}

TEST(Damage, Models) {
  const test::TemporaryFolder folder;
  const ModelFile model = SomeModel();
  const std::string path = folder.path("m.safetensors");
  ASSERT_TRUE(WriteModel(model, path).ok());
  Damage({"models", path,
          [&](const std::string& copy) -> absl::StatusOr<bool> {
            const auto read = ReadModel(copy);
            if (!read.ok()) return read.status();
            const absl::Status again = WriteModel(*read, folder.path("again.safetensors"));
            return again.ok() && test::ReadBytes(folder.path("again.safetensors")) == test::ReadBytes(path);
          }},
         4000);
}

TEST(Damage, Checkpoints) {
  const test::TemporaryFolder folder;
  Checkpoint checkpoint;
  checkpoint.config = test::ToyConfig(16);
  checkpoint.config.shape.pool = 16;
  checkpoint.experiment = "EXP1";
  checkpoint.fingerprint = "f00d";
  TrainState& state = checkpoint.state;
  state.schedule = {1, 1.0 / 3, 0.1 + 0.2, 1, 0, 0, false};
  state.step = 12345;
  const size_t n = static_cast<size_t>(ParameterTable(checkpoint.config.shape).storage());
  for (std::vector<float>* values : {&state.parameters, &state.adam_m, &state.adam_v, &state.best}) {
    for (size_t i = 0; i < n; ++i) values->push_back(static_cast<float>(i % 89) / 89);
  }
  state.history = {{"EXP1", 1, 0.5, 0.25, 0.125, 1e-3, true, false, 1.5, 0}};
  const std::string path = folder.path("c.safetensors");
  ASSERT_TRUE(WriteCheckpoint(checkpoint, path, folder.path("p.safetensors")).ok());
  Damage({"checkpoints", path,
          [&](const std::string& copy) -> absl::StatusOr<bool> {
            const auto read = ReadCheckpoint(copy);
            if (!read.ok()) return read.status();
            const TrainState& found = read->state;
            return SettingsOf(read->config) == SettingsOf(checkpoint.config) && read->experiment == "EXP1" &&
                   read->fingerprint == "f00d" && found.schedule == state.schedule && found.step == state.step &&
                   SameBits(found.parameters, state.parameters) && SameBits(found.adam_m, state.adam_m) &&
                   SameBits(found.adam_v, state.adam_v) && SameBits(found.best, state.best) &&
                   found.history.size() == 1 && found.history[0].valid_metric == 0.125;
          }},
         3000);
}

TEST(Damage, Hdf5) {
  const test::TemporaryFolder folder;
  Dataset dataset = test::ToyDataset(600, 2, 20, 2);
  dataset.sequences.structure_source = "turner1999";
  const std::string path = folder.path("d.h5");
  ASSERT_TRUE(WriteHdf5(dataset, *MakeSplit(dataset, 3), path).ok());
  ThreadPool parallel(1);
  ReadOptions options;
  options.length = 20;
  const Dataset whole = ReadDataset(path, options, parallel).value();
  Damage({"HDF5 files", path,
          [&](const std::string& copy) -> absl::StatusOr<bool> {
            const auto read = ReadDataset(copy, options, parallel);
            if (!read.ok()) return read.status();
            return Same(*read, whole);
          }},
         3000);
}

// Reads Keras' weights, and tells whether they make the network that `model` is.
std::function<absl::StatusOr<bool>(const std::string&)> ReadsAsNetwork(const ModelFile& model) {
  return [expected = KerasWeightsFile(model).value()](const std::string& copy) -> absl::StatusOr<bool> {
    const auto layers = ReadKerasWeights(copy);
    if (!layers.ok()) return layers.status();
    KerasChoices choices;
    choices.length = 16;
    choices.experiment = "EXP1";
    const absl::Status described = ReadKerasConfig(copy, choices);
    if (!described.ok()) return described;
    const auto read = ModelFromKeras(*layers, choices, copy);
    if (!read.ok()) return read.status();
    return *KerasWeightsFile(*read) == expected;
  };
}

ModelFile SomeKerasModel() {
  ModelFile model = SomeModel();
  model.config.shape.pool = 10;
  model.parameters.resize(static_cast<size_t>(ParameterTable(model.config.shape).storage()), 0.5f);
  return model;
}

TEST(Damage, KerasWeights) {
  const test::TemporaryFolder folder;
  const ModelFile model = SomeKerasModel();
  const std::string path = folder.path("w.h5");
  test::WriteBytes(path, KerasWeightsFile(model).value());
  Damage({"Keras' weights", path, ReadsAsNetwork(model), /*checked=*/false}, 3000);
}

// As h5py writes them: names and description of variable length, in a global heap, which HDF5 does not check.
TEST(Damage, KerasWeightsWithVariableStrings) {
  const test::TemporaryFolder folder;
  ModelFile model = SomeKerasModel();
  const std::string path = folder.path("w.h5");
  {
    test::KerasWriter writer(path, {.variable = true});
    writer.Write(test::LayersOf(model));
    writer.Names(writer.id(), "model_config", {R"({"class_name": "Functional", "config": {"layers": []}})"});
  }
  const Subject subject = {"Keras' weights by h5py", path, ReadsAsNetwork(model), /*checked=*/false};
  testing::internal::CaptureStderr();
  Damage(subject, 400);
  // Where it hurts: in the heap's blocks, sizes before all.
  const std::string whole = test::ReadBytes(path), damaged = path + ".damaged";
  std::mt19937_64 random(11);
  int refused = 0, heaps = 0;
  for (size_t heap = whole.find("GCOL"); heap != std::string::npos; heap = whole.find("GCOL", heap + 1)) {
    ++heaps;
    for (int trial = 0; trial < 150; ++trial) {
      std::string bytes = whole;
      const size_t at = heap + 8 + random() % 300;
      if (at >= bytes.size()) continue;
      bytes[at] ^= static_cast<char>(1 << random() % 8);
      if (trial % 3 == 0) bytes[at] = static_cast<char>(0xff);
      refused += Try(subject, bytes, damaged) == Outcome::kRefused;
    }
  }
  ExpectEqual(testing::internal::GetCapturedStderr(), std::string(), "nothing is said but by the status");
  ExpectEqual(heaps > 0, true);
  ExpectEqual(refused > 0, true);
  std::printf("Keras' weights by h5py, %d heaps: %d refused\n", heaps, refused);
}

}  // namespace
}  // namespace rb
