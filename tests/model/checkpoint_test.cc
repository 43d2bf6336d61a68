// Checkpoints: exact round trips, foreign and damaged files, other runs' files.
#include "model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
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

// One model that has not begun, one on its way, one stopped, one that failed.
Checkpoint SmallCheckpoint() {
  Checkpoint c;
  c.config = test::ToyConfig(16);
  c.config.shape.pool = 16;
  c.experiments = {"waiting", "running", "stopped", "failed"};
  c.fingerprint = "f00d";
  c.states.resize(4);
  const size_t n = static_cast<size_t>(ParameterTable(c.config.shape).storage());
  c.states[0].schedule = StartSchedule(c.config.schedule);
  c.states[1].schedule = {2, 1.0 / 3, 0.1 + 0.2, 1, 1, 1, false};
  c.states[1].step = 123456789012345;
  c.states[1].parameters = Values(n, 1);
  c.states[1].adam_m = Values(n, 2);
  c.states[1].adam_v = Values(n, 3);
  c.states[1].best = Values(n, 4);
  c.states[1].history = {{"running", 1, 0.5, 0.25, 0.125, 1e-3, true, false, 1.5},
                         {"running", 2, 1.0 / 7, NAN, -0.1, 1e-3, false, false, 2.5}};
  c.states[2].schedule = {1, 1e-3, -1e300, 0, 1, 1, true};
  c.states[2].best = Values(n, 5);
  c.states[2].history = {{"stopped", 1, 0.5, 0.25, NAN, 1e-3, false, true, 1.5}};
  c.states[3].schedule = {1, 1e-3, -1e300, 0, 0, 0, true};
  c.states[3].history = {{"failed", 1, NAN, NAN, NAN, 1e-3, false, true, 1.5}};
  c.states[3].failure = "it failed";
  return c;
}

bool SameNumber(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

TEST(Checkpoint, RoundTrip) {
  const test::TemporaryFolder folder;
  const std::string path = CheckpointPath(folder.path());
  const Checkpoint c = SmallCheckpoint();
  ASSERT_TRUE(WriteCheckpoint(c, path).ok());
  const auto read = ReadCheckpoint(path);
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(CheckSameRun(*read, c, path).ok(), true);
  ASSERT_EQ(read->states.size(), c.states.size());
  for (size_t i = 0; i < c.states.size(); ++i) {
    const TrainState &a = c.states[i], &b = read->states[i];
    ExpectEqual(a.schedule == b.schedule, true, c.experiments[i]);
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

TEST(Checkpoint, OtherRunsAreRefusedByName) {
  const Checkpoint c = SmallCheckpoint();
  const struct {
    std::function<void(Checkpoint&)> change;
    const char* part;
  } cases[] = {{[](Checkpoint& o) { o.config.batch = 64; }, "batch is 32, this run's is 64"},
               {[](Checkpoint& o) { o.config.seed = 8; }, "seed is 7, this run's is 8"},
               {[](Checkpoint& o) { o.config.schedule.max_epochs = 9; }, "schedule.max_epochs"},
               {[](Checkpoint& o) { o.config.shape.hidden = 64; }, "shape.hidden"},
               {[](Checkpoint& o) { o.config.transform = TransformKind::kClip; }, "transform is log"},
               {[](Checkpoint& o) { o.config.preset = Preset::kPublished; }, "preset is paper"},
               {[](Checkpoint& o) { o.experiments.pop_back(); }, "has 4 experiments, this run has 3"},
               {[](Checkpoint& o) { o.experiments[1] = "X"; }, "experiment 2 is 'running', this run's is 'X'"},
               {[](Checkpoint& o) { o.fingerprint = "beef"; }, "other data"}};
  for (const auto& test_case : cases) {
    Checkpoint other = c;
    test_case.change(other);
    const absl::Status status = CheckSameRun(c, other, "out/checkpoint.safetensors");
    ExpectEqual(status.code(), absl::StatusCode::kFailedPrecondition, test_case.part);
    EXPECT_THAT(std::string(status.message()), HasSubstr(test_case.part));
    EXPECT_THAT(std::string(status.message()), HasSubstr("out/checkpoint.safetensors"));
  }
}

// Content that a good checksum carries but that cannot be: refused, never a crash later.
TEST(Checkpoint, InconsistentStatesAreRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("c.safetensors");
  const std::function<void(Checkpoint&)> changes[] = {[](Checkpoint& c) { c.states[1].parameters.pop_back(); },
                                                      [](Checkpoint& c) { c.states[1].adam_m.clear(); },
                                                      [](Checkpoint& c) { c.states[1].adam_v.push_back(0); },
                                                      [](Checkpoint& c) { c.states[1].best.clear(); },
                                                      [](Checkpoint& c) { c.states[1].history.pop_back(); },
                                                      [](Checkpoint& c) { c.states[1].history[1].epoch = 7; },
                                                      [](Checkpoint& c) { c.states[1].schedule.epoch = -1; },
                                                      [](Checkpoint& c) { c.states[0].best = c.states[1].best; },
                                                      [](Checkpoint& c) { c.states[2].best.clear(); }};
  for (const auto& change : changes) {
    Checkpoint c = SmallCheckpoint();
    change(c);
    ASSERT_TRUE(WriteCheckpoint(c, path).ok());
    const auto read = ReadCheckpoint(path);
    ExpectEqual(read.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(path));
  }
}

TEST(Checkpoint, DamagedAndForeignFiles) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("c.safetensors");
  ASSERT_TRUE(WriteCheckpoint(SmallCheckpoint(), path).ok());
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
