// Interrupted runs: stopped between any two epochs, killed at any moment, and gone on with to the same bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/checkpoint.h"
#include "model/run_files.h"
#include "model/trainer.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectSameBits;
using ::testing::HasSubstr;

constexpr int kEpochs = 5;
const std::vector<std::string>& Names() {
  static const auto& names = *new std::vector<std::string>{"EXP1", "EXP2", "EXP3"};
  return names;
}

TrainOptions Options(const std::string& output) {
  TrainOptions options;
  TrainConfig config = test::ToyConfig();
  config.schedule.max_epochs = kEpochs;
  // Small patiences: decays and early stops fall into the interruptions too.
  config.schedule.decay_patience = 1;
  config.schedule.stop_patience = 2;
  options.models = OneModelEach(config, Names());
  options.output = output;
  return options;
}

// Asks the run to stop at the given call, and collects messages.
class StopAt : public TrainObserver {
 public:
  explicit StopAt(int tick) : tick_(tick) {}
  bool ShouldStop() override { return ++ticks_ == tick_; }
  void OnMessage(const std::string& message) override { messages += message + "\n"; }
  void OnEpoch(const EpochReport& report) override {
    ++epochs;
    heard[report.model].push_back(report.epoch);
  }
  void OnResumed(std::span<const EpochReport> history) override {
    for (const EpochReport& report : history) heard[report.model].push_back(report.epoch);
  }
  int ticks() const { return ticks_; }
  std::string messages;
  int epochs = 0;
  std::map<int, std::vector<int>> heard;  // epochs by model, in the order in which they were told

 private:
  int tick_, ticks_ = 0;
};

absl::StatusOr<std::vector<TrainResult>> TrainOn(const TrainOptions& options, const Dataset& dataset,
                                                 TrainObserver* observer, int threads = 1) {
  ThreadPool pool(threads);
  const auto backend = MakeCpuBackend<float>(pool);
  const TrainConfig config = options.models.empty() ? TrainConfig() : options.models[0].config;
  const auto split = MakeSplit(dataset, config.seed, config.valid_fraction);
  if (!split.ok()) return split.status();
  Machine* const machines[] = {backend.get()};
  return Train(options, dataset, *split, machines, observer);
}

// Final files and results equal those of a run that nobody disturbed.
void ExpectSameRun(const std::string& whole, const std::vector<TrainResult>& expected, const std::string& other,
                   const std::vector<TrainResult>& found, const std::string& what) {
  ASSERT_EQ(expected.size(), found.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string& name = Names()[i];
    ExpectSameBits<float>(expected[i].model.parameters, found[i].model.parameters, what + name);
    ExpectEqual(expected[i].history.size(), found[i].history.size(), what + name);
    ExpectEqual(test::ReadBytes(ModelPath(whole, name)).empty(), false);
    ExpectEqual(test::ReadBytes(ModelPath(whole, name)) == test::ReadBytes(ModelPath(other, name)), true, what + name);
    ExpectEqual(test::ReadBytes(HistoryPath(whole, name)) == test::ReadBytes(HistoryPath(other, name)), true,
                what + name);
  }
}

// A run that begins anew and ends before its first epoch: what stood there before must not pass for its own.
TEST(Resume, ANewRunLeavesNothingOfTheFormerOne) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 3);
  TrainOptions options = Options(folder.path("run"));
  const auto whole = TrainOn(options, d, nullptr);
  ASSERT_TRUE(whole.ok()) << whole.status();
  test::WriteBytes(MetricsPath(options.output), "of the former run");
  test::WriteBytes(RecordPath(options.output), "of the former run");
  test::WriteBytes(PreviousCheckpointPath(options.output, Names()[0]), "of the former run");
  // Models that are not of the new run stay, and so does everything when the former run is gone on with.
  options.models.pop_back();
  for (const bool resume : {true, false}) {
    options.resume = resume;
    StopAt stop(1);
    const auto cut = TrainOn(options, d, &stop);
    if (!resume) ExpectEqual(cut.status().code(), absl::StatusCode::kCancelled);
    for (const std::string& path : {MetricsPath(options.output), RecordPath(options.output)}) {
      ExpectEqual(FileExists(path), resume, path);
    }
    for (const std::string& name : Names()) {
      const bool kept = resume || name == Names().back();
      for (const auto path_of : {ModelPath, HistoryPath, CheckpointPath}) {
        ExpectEqual(FileExists(path_of(options.output, name)), kept, path_of(options.output, name));
      }
    }
    ExpectEqual(FileExists(PreviousCheckpointPath(options.output, Names()[0])), resume);
  }
}

TEST(Resume, FromEveryEpoch) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 3);
  StopAt count(-1);
  const auto whole = TrainOn(Options(folder.path("whole")), d, &count);
  ASSERT_TRUE(whole.ok()) << whole.status();
  for (const int slots : {0, 2}) {
    for (int tick = 1; tick <= count.ticks(); tick += 2) {
      const std::string output = folder.path("cut" + std::to_string(slots) + "_" + std::to_string(tick));
      TrainOptions options = Options(output);
      options.models_at_once = slots;
      options.checkpoint_every = 1 + tick % 2;
      StopAt stop(tick);
      const auto cut = TrainOn(options, d, &stop);
      ExpectEqual(cut.status().code(), absl::StatusCode::kCancelled);
      options.resume = true;
      StopAt watch(-1);
      const auto resumed = TrainOn(options, d, &watch, 2);
      ASSERT_TRUE(resumed.ok()) << resumed.status();
      ExpectSameRun(folder.path("whole"), *whole, output, *resumed, "tick " + std::to_string(tick) + " ");
      ExpectEqual(watch.heard, count.heard, "every epoch once, those before included");
    }
  }
}

TEST(Resume, CancelledRunWritesNothingNew) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 3);
  StopAt first(2);  // in the first epoch
  ExpectEqual(TrainOn(Options(folder.path()), d, &first).status().code(), absl::StatusCode::kCancelled);
  ExpectEqual(FileExists(CheckpointPath(folder.path(), "EXP2")), false);
  StopAt second(6);
  ExpectEqual(TrainOn(Options(folder.path()), d, &second).status().code(), absl::StatusCode::kCancelled);
  const std::string before = test::ReadBytes(CheckpointPath(folder.path(), "EXP2"));
  ExpectEqual(before.empty(), false);
  TrainOptions options = Options(folder.path());
  options.resume = true;
  StopAt third(1);
  ExpectEqual(TrainOn(options, d, &third).status().code(), absl::StatusCode::kCancelled);
  ExpectEqual(test::ReadBytes(CheckpointPath(folder.path(), "EXP2")) == before, true);
  EXPECT_THAT(third.messages, HasSubstr("going on after epoch 1"));
}

TEST(Resume, FinishedRunSaysSoAndReturnsItsResults) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 3);
  const auto whole = TrainOn(Options(folder.path("whole")), d, nullptr);
  ASSERT_TRUE(whole.ok()) << whole.status();
  const auto again = TrainOn(Options(folder.path("again")), d, nullptr);
  ASSERT_TRUE(again.ok()) << again.status();
  std::filesystem::remove(ModelPath(folder.path("again"), "EXP2"));  // comes back
  TrainOptions options = Options(folder.path("again"));
  options.resume = true;
  StopAt watch(-1);
  const auto resumed = TrainOn(options, d, &watch);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  ExpectEqual(watch.ticks(), 0);
  ExpectEqual(watch.epochs, 0);
  EXPECT_THAT(watch.messages, HasSubstr("finished"));
  ExpectSameRun(folder.path("whole"), *whole, folder.path("again"), *resumed, "");
}

TEST(Resume, WithoutACheckpointStartsAnew) {
  const test::TemporaryFolder folder;
  TrainOptions options = Options(folder.path());
  options.resume = true;
  StopAt stop(1);
  ExpectEqual(TrainOn(options, test::ToyDataset(130, 3), &stop).status().code(), absl::StatusCode::kCancelled);
  ExpectEqual(stop.messages, std::string());
  options.checkpoint_every = 0;
  ASSERT_TRUE(TrainOn(options, test::ToyDataset(130, 3), nullptr).ok());
  ExpectEqual(FileExists(CheckpointPath(folder.path(), "EXP2")), false);
}

TEST(Resume, OtherSettingsOrDataAreRefused) {
  const test::TemporaryFolder folder;
  const Dataset good = test::ToyDataset(130, 3);
  ASSERT_TRUE(TrainOn(Options(folder.path()), good, nullptr).ok());
  const std::string checkpoint = test::ReadBytes(CheckpointPath(folder.path(), "EXP2"));
  const struct {
    std::function<void(TrainOptions&, Dataset&)> change;
    const char* part;
  } cases[] = {
      {[](TrainOptions& o, Dataset&) { o.models[1].config.batch = 31; }, "batch is 32, this run's is 31"},
      {[](TrainOptions& o, Dataset&) {
         for (PlannedModel& m : o.models) m.config.seed = 1;
       },
       "seed"},
      {[](TrainOptions& o, Dataset&) { o.models[1].config.schedule.learning_rate = 0.002; }, "schedule.learning_rate"},
      {[](TrainOptions& o, Dataset&) { std::swap(o.models[0].folder, o.models[1].folder); }, "experiment is"},
      {[](TrainOptions&, Dataset& d) { d.targets[131] += 0.5f; }, "other data"},
      {[](TrainOptions&, Dataset& d) { d.sequences.bases[0] ^= 1; }, "other data"},
      {[](TrainOptions&, Dataset& d) { d.transformed = true; }, "other data"}};
  for (const auto& test_case : cases) {
    Dataset d = good;
    TrainOptions options = Options(folder.path());
    options.resume = true;
    test_case.change(options, d);
    const auto results = TrainOn(options, d, nullptr);
    ExpectEqual(results.status().code(), absl::StatusCode::kFailedPrecondition, test_case.part);
    EXPECT_THAT(std::string(results.status().message()), HasSubstr(test_case.part));
    ExpectEqual(test::ReadBytes(CheckpointPath(folder.path(), "EXP2")) == checkpoint, true);
  }
}

// A torn, a flipped, a foreign and an older checkpoint: named, and the one before is used, to the same bytes in the
// end. Without a usable one before it nothing is trained and nothing changes.
TEST(Resume, DamagedCheckpoints) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 3);
  const auto whole = TrainOn(Options(folder.path("whole")), d, nullptr);
  ASSERT_TRUE(whole.ok()) << whole.status();
  const std::string output = folder.path("cut");
  StopAt stop(10);
  ExpectEqual(TrainOn(Options(output), d, &stop).status().code(), absl::StatusCode::kCancelled);
  const std::string path = CheckpointPath(output, "EXP2"), previous = PreviousCheckpointPath(output, "EXP2");
  const std::string good = test::ReadBytes(path), before = test::ReadBytes(previous);
  ASSERT_FALSE(good.empty());
  ASSERT_FALSE(before.empty());
  TrainOptions options = Options(output);
  options.resume = true;

  std::string flipped = good, older = good;
  flipped[flipped.size() - 9] ^= 1;
  const size_t version = older.find("\"format_version\":\"2\"");
  ASSERT_NE(version, std::string::npos);
  older[version + 18] = '1';
  const struct {
    std::string bytes, part;
  } cases[] = {{good.substr(0, good.size() / 2), "truncated"},
               {"", "too short"},
               {flipped, "checksum"},
               {older, ""},
               {std::string(1000, 'x'), "safetensors"}};
  int number = 0;
  for (const auto& test_case : cases) {
    test::WriteBytes(path, test_case.bytes);
    test::WriteBytes(previous, good.substr(0, 100 + number));
    const absl::Status both = TrainOn(options, d, nullptr).status();
    ExpectEqual(both.code(), absl::StatusCode::kInvalidArgument, test_case.part);
    EXPECT_THAT(std::string(both.message()), HasSubstr(path));
    EXPECT_THAT(std::string(both.message()), HasSubstr(previous));
    EXPECT_THAT(std::string(both.message()), HasSubstr(test_case.part));
    ExpectEqual(test::ReadBytes(path) == test_case.bytes, true, "nothing has changed");
    std::filesystem::remove(previous);
    ExpectEqual(TrainOn(options, d, nullptr).status().code(), absl::StatusCode::kInvalidArgument, "none before it");

    const std::string copy = folder.path("copy" + std::to_string(number++));
    std::filesystem::copy(output, copy, std::filesystem::copy_options::recursive);
    test::WriteBytes(PreviousCheckpointPath(copy, "EXP2"), before);
    TrainOptions again = Options(copy);
    again.resume = true;
    StopAt first(1);  // before the next checkpoint: the damaged file must not have become the previous one
    ExpectEqual(TrainOn(again, d, &first).status().code(), absl::StatusCode::kCancelled);
    EXPECT_THAT(first.messages, HasSubstr(CheckpointPath(copy, "EXP2")));
    EXPECT_THAT(first.messages, HasSubstr(test_case.part));
    EXPECT_THAT(first.messages, HasSubstr("going on from " + PreviousCheckpointPath(copy, "EXP2")));
    ExpectEqual(FileExists(CheckpointPath(copy, "EXP2")), false);
    StopAt watch(-1);
    const auto resumed = TrainOn(again, d, &watch);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    ExpectSameRun(folder.path("whole"), *whole, copy, *resumed, "damaged ");
  }
}

// What a kill between the two renames of a checkpoint leaves: the older name alone.
TEST(Resume, OnlyThePreviousCheckpoint) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 3);
  const auto whole = TrainOn(Options(folder.path("whole")), d, nullptr);
  ASSERT_TRUE(whole.ok()) << whole.status();
  TrainOptions options = Options(folder.path("cut"));
  StopAt stop(10);
  ExpectEqual(TrainOn(options, d, &stop).status().code(), absl::StatusCode::kCancelled);
  for (const std::string& name : Names()) {
    std::filesystem::rename(CheckpointPath(options.output, name), PreviousCheckpointPath(options.output, name));
  }
  options.resume = true;
  StopAt watch(-1);
  const auto resumed = TrainOn(options, d, &watch);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_THAT(watch.messages, HasSubstr("going on after epoch"));
  ExpectSameRun(folder.path("whole"), *whole, options.output, *resumed, "renamed ");
}

// SIGKILL at random moments, until a child gets through. Whatever a kill leaves must be a whole checkpoint or none.
TEST(Resume, KilledAtRandomMoments) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 3);
  const auto whole = TrainOn(Options(folder.path("whole")), d, nullptr);
  ASSERT_TRUE(whole.ok()) << whole.status();
  TrainOptions options = Options(folder.path("killed"));
  options.resume = true;
  PhiloxStream random(77);
  int kills = 0;
  for (int attempt = 0; attempt < 30; ++attempt) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto result = TrainOn(options, d, nullptr);
      _exit(result.ok() ? 0 : 1);
    }
    usleep(2000 + random.Below(attempt < 25 ? 60'000 : 5'000'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    for (const std::string& name : Names()) {
      for (const std::string& path :
           {CheckpointPath(options.output, name), PreviousCheckpointPath(options.output, name)}) {
        if (FileExists(path)) ExpectEqual(ReadCheckpoint(path).ok(), true, path);
      }
    }
    if (WIFEXITED(status)) {
      ExpectEqual(WEXITSTATUS(status), 0);
      break;
    }
    ++kills;
  }
  EXPECT_GT(kills, 0);
  const auto last = TrainOn(options, d, nullptr);
  ASSERT_TRUE(last.ok()) << last.status();
  ExpectSameRun(folder.path("whole"), *whole, options.output, *last, "killed ");
}

}  // namespace
}  // namespace rb
