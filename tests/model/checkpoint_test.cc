// Checkpoints: exact round trips, foreign and damaged files, other runs' files.
#include "model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>

#include "kernels/philox.h"
#include "model/safetensors.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectSameBits;
using ::testing::HasSubstr;

std::vector<float> Values(size_t n, uint64_t seed) {
  PhiloxStream random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.Uniform() - 0.5);
  return values;
}

// A model that has not begun, one on its way, one stopped, one that failed.
std::vector<Checkpoint> SomeCheckpoints() {
  std::vector<Checkpoint> all(4);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].config = test::ToyConfig(16);
    all[i].config.shape.pool = 16;
    all[i].experiment = std::vector<std::string>{"waiting", "running", "stopped", "failed"}[i];
    all[i].fingerprint = "f00d";
    all[i].state.schedule = StartSchedule(all[i].config.schedule);
  }
  const size_t n = static_cast<size_t>(ParameterTable(all[0].config.shape).storage());
  TrainState& running = all[1].state;
  running.schedule = {2, 1.0 / 3, 0.1 + 0.2, 1, 1, 1, false};
  running.step = 123456789012345;
  running.parameters = Values(n, 1);
  running.adam_m = Values(n, 2);
  running.adam_v = Values(n, 3);
  running.best = Values(n, 4);
  running.history = {{"running", 1, 0.5, 0.25, 0.125, 1e-3, true, false, 1.5, 0},
                     {"running", 2, 1.0 / 7, NAN, -0.1, 1e-3, false, false, 2.5, 0}};
  all[2].state.schedule = {1, 1e-3, -1e300, 0, 1, 1, true};
  all[2].state.best = Values(n, 5);
  all[2].state.history = {{"stopped", 1, 0.5, 0.25, NAN, 1e-3, false, true, 1.5, 0}};
  all[3].state.schedule = {1, 1e-3, -1e300, 0, 0, 0, true};
  all[3].state.history = {{"failed", 1, NAN, NAN, NAN, 1e-3, false, true, 1.5, 0}};
  all[3].state.failure = "it failed";
  return all;
}

bool SameNumber(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

TEST(Checkpoint, RoundTrip) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("c.safetensors");
  for (const Checkpoint& c : SomeCheckpoints()) {
    ASSERT_TRUE(WriteCheckpoint(c, path, folder.path("p.safetensors")).ok());
    const auto read = ReadCheckpoint(path);
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectEqual(CheckSameModel(*read, c, path).ok(), true);
    const TrainState &a = c.state, &b = read->state;
    ExpectEqual(a.schedule == b.schedule, true, c.experiment);
    ExpectEqual(a.step, b.step);
    ExpectEqual(a.failure, b.failure);
    ExpectSameBits<float>(a.parameters, b.parameters, "parameters");
    ExpectSameBits<float>(a.adam_m, b.adam_m, "m");
    ExpectSameBits<float>(a.adam_v, b.adam_v, "v");
    ExpectSameBits<float>(a.best, b.best, "best");
    ASSERT_EQ(a.history.size(), b.history.size());
    for (size_t e = 0; e < a.history.size(); ++e) {
      const EpochReport &x = a.history[e], &y = b.history[e];
      ExpectEqual(x.experiment, y.experiment);
      ExpectEqual(x.epoch, y.epoch);
      ExpectEqual(x.best == y.best && x.stopped == y.stopped, true);
      ExpectEqual(SameNumber(x.train_loss, y.train_loss) && SameNumber(x.valid_loss, y.valid_loss) &&
                      SameNumber(x.valid_metric, y.valid_metric) && SameNumber(x.learning_rate, y.learning_rate) &&
                      SameNumber(x.seconds, y.seconds),
                  true);
    }
  }
}

// Two at most: the newest, and the one before it byte for byte.
TEST(Checkpoint, TheOneBeforeIsKept) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("c.safetensors"), previous = folder.path("p.safetensors");
  const std::vector<Checkpoint> all = SomeCheckpoints();
  ASSERT_TRUE(WriteCheckpoint(all[0], path, previous).ok());
  ExpectEqual(std::filesystem::exists(previous), false);
  for (size_t i = 1; i < all.size(); ++i) {
    const std::string before = test::ReadBytes(path);
    ASSERT_TRUE(WriteCheckpoint(all[i], path, previous).ok());
    ExpectEqual(test::ReadBytes(previous) == before, true);
    ExpectEqual(ReadCheckpoint(path)->experiment, all[i].experiment);
    ExpectEqual(std::distance(std::filesystem::directory_iterator(folder.path()), {}), std::ptrdiff_t{2});
  }
}

TEST(Checkpoint, OtherModelsAreRefusedByName) {
  const Checkpoint c = SomeCheckpoints()[1];
  const struct {
    std::function<void(Checkpoint&)> change;
    const char* part;
  } cases[] = {{[](Checkpoint& o) { o.config.batch = 64; }, "batch is 32, this run's is 64"},
               {[](Checkpoint& o) { o.config.seed = 8; }, "seed is 7, this run's is 8"},
               {[](Checkpoint& o) { o.config.schedule.max_epochs = 9; }, "schedule.max_epochs"},
               {[](Checkpoint& o) { o.config.shape.hidden = 64; }, "shape.hidden"},
               {[](Checkpoint& o) { o.config.transform = TransformKind::kClip; }, "transform is log"},
               {[](Checkpoint& o) { o.config.preset = Preset::kPublished; }, "preset is paper"},
               {[](Checkpoint& o) { o.experiment = "X"; }, "experiment is 'running', this run's is 'X'"},
               {[](Checkpoint& o) { o.fingerprint = "beef"; }, "other data"}};
  for (const auto& test_case : cases) {
    Checkpoint other = c;
    test_case.change(other);
    const absl::Status status = CheckSameModel(c, other, "out/checkpoint.safetensors");
    ExpectEqual(status.code(), absl::StatusCode::kFailedPrecondition, test_case.part);
    EXPECT_THAT(std::string(status.message()), HasSubstr(test_case.part));
    EXPECT_THAT(std::string(status.message()), HasSubstr("out/checkpoint.safetensors"));
  }
}

// Content that a good checksum carries but that cannot be: refused, never a crash later.
TEST(Checkpoint, InconsistentStatesAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("c.safetensors");
  const struct {
    size_t which;
    std::function<void(TrainState&)> change;
  } cases[] = {{1, [](TrainState& s) { s.parameters.pop_back(); }}, {1, [](TrainState& s) { s.adam_m.clear(); }},
               {1, [](TrainState& s) { s.adam_v.push_back(0); }},   {1, [](TrainState& s) { s.best.clear(); }},
               {1, [](TrainState& s) { s.history.pop_back(); }},    {1, [](TrainState& s) { s.history[1].epoch = 7; }},
               {1, [](TrainState& s) { s.schedule.epoch = -1; }},   {0, [](TrainState& s) { s.best = {1.0f}; }},
               {2, [](TrainState& s) { s.best.clear(); }}};
  for (const auto& test_case : cases) {
    Checkpoint c = SomeCheckpoints()[test_case.which];
    test_case.change(c.state);
    ASSERT_TRUE(WriteCheckpoint(c, path, folder.path("p")).ok());
    const auto read = ReadCheckpoint(path);
    ExpectEqual(read.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(path));
  }
}

TEST(Checkpoint, DamagedAndForeignFiles) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("c.safetensors");
  ASSERT_TRUE(WriteCheckpoint(SomeCheckpoints()[1], path, folder.path("p")).ok());
  const std::string bytes = test::ReadBytes(path);
  PhiloxStream random(5);
  for (int i = 0; i < 100; ++i) {
    std::string damaged = bytes;
    damaged[random.Below(static_cast<uint32_t>(bytes.size()))] ^= static_cast<char>(1 << random.Below(8));
    test::WriteBytes(path, i % 2 == 0 ? damaged : bytes.substr(0, random.Below(static_cast<uint32_t>(bytes.size()))));
    const auto read = ReadCheckpoint(path);
    // A flipped blank of the header's padding may pass; everything else is seen.
    ExpectEqual(!read.ok() || read->fingerprint == "f00d", true);
    if (i % 2 == 1) ExpectEqual(read.ok(), false);
  }
  SafeTensors foreign;
  ASSERT_TRUE(WriteSafeTensors(foreign, path).ok());
  EXPECT_THAT(std::string(ReadCheckpoint(path).status().message()), HasSubstr("no checkpoint"));
  ExpectEqual(ReadCheckpoint(folder.path("absent")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rb
