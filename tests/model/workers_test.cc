// Runs of many models on several machines: the same bits as each model alone, in any company, stopped or not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <set>
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
using ::testing::HasSubstr;

// Two experiments, two learning rates, two replicates, in one group; and a wider network, in another.
std::vector<PlannedModel> Grid(int epochs) {
  std::vector<PlannedModel> models;
  TrainConfig config = test::ToyConfig();
  config.schedule.max_epochs = epochs;
  config.schedule.stop_patience = 2;
  config.schedule.decay_patience = 1;
  for (const std::string name : {"EXP1", "EXP2"}) {
    for (const double rate : {1e-3, 4e-3}) {
      for (const uint64_t replicate : {0, 1}) {
        config.schedule.learning_rate = rate;
        config.replicate = replicate;
        models.push_back({config, name, name + (rate < 2e-3 ? "/slow/" : "/fast/") + std::to_string(replicate)});
      }
    }
  }
  // Other schedules in the same group.
  models[3].config.schedule.max_epochs = 1;
  models[4].config.schedule.decay = 0.9;
  models[5].config.schedule.stop_patience = 1;
  config.shape.filters = 64;
  models.push_back({config, "EXP1", "EXP1/wide"});
  models.push_back({config, "EXP2", "EXP2/wide"});
  return models;
}

class Machines {
 public:
  Machines(int count, bool emulated) {
    for (int i = 0; i < count; ++i) {
      pools_.push_back(std::make_unique<ThreadPool>(1));
      machines_.push_back(emulated ? MakeEmulatedMachine(Precision::kFp32) : MakeCpuBackend<float>(*pools_.back()));
      pointers_.push_back(machines_.back().get());
    }
  }
  std::span<Machine* const> all() const { return pointers_; }

 private:
  std::vector<std::unique_ptr<ThreadPool>> pools_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<Machine*> pointers_;
};

// Asks the run to stop at the given call. Fails when two calls overlap.
class Watcher : public TrainObserver {
 public:
  explicit Watcher(int stop_at = -1) : stop_at_(stop_at) {}
  bool ShouldStop() override {
    const Alone alone(*this);
    return ++ticks_ == stop_at_;
  }
  void OnProgress(const TrainProgress& p) override {
    const Alone alone(*this);
    EXPECT_LE(p.sequences_done, p.sequences_in_epoch);
  }
  void OnEpoch(const EpochReport& report) override {
    const Alone alone(*this);
    ++epochs_of[report.model];
  }
  void OnRound(std::span<const ModelStanding> standings) override {
    const Alone alone(*this);
    ++rounds;
    last.assign(standings.begin(), standings.end());
  }
  void OnMessage(const std::string& message) override {
    const Alone alone(*this);
    messages += message + "\n";
  }
  int ticks() const { return ticks_; }
  std::map<int, int> epochs_of;
  std::vector<ModelStanding> last;
  std::string messages;
  int rounds = 0;

 private:
  struct Alone {
    explicit Alone(Watcher& w) : watcher(w) { EXPECT_EQ(watcher.inside_++, 0); }
    ~Alone() { --watcher.inside_; }
    Watcher& watcher;
  };
  std::atomic<int> inside_ = 0;
  int stop_at_, ticks_ = 0;
};

absl::StatusOr<std::vector<TrainResult>> TrainOn(const TrainOptions& options, const Dataset& dataset, int machines,
                                                 TrainObserver* observer = nullptr, bool emulated = false) {
  const auto split = MakeSplit(dataset, options.models[0].config.seed, options.models[0].config.valid_fraction);
  if (!split.ok()) return split.status();
  return Train(options, dataset, *split, Machines(machines, emulated).all(), observer);
}

TrainOptions Options(std::vector<PlannedModel> models, const std::string& output) {
  TrainOptions options;
  options.models = std::move(models);
  options.output = output;
  return options;
}

// The files of all models, byte for byte.
void ExpectSameFiles(const std::vector<PlannedModel>& models, const std::string& a, const std::string& b,
                     const std::string& what) {
  for (const PlannedModel& model : models) {
    const std::string bytes = test::ReadBytes(ModelPath(a, model.folder));
    ExpectEqual(bytes.empty(), false, what + model.folder);
    ExpectEqual(bytes == test::ReadBytes(ModelPath(b, model.folder)), true, what + model.folder);
    ExpectEqual(test::ReadBytes(HistoryPath(a, model.folder)) == test::ReadBytes(HistoryPath(b, model.folder)), true,
                what + model.folder + " history");
  }
}

TEST(Workers, GridsAndReplicatesEqualSingleRuns) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 2);
  const std::vector<PlannedModel> models = Grid(4);
  ExpectEqual(GroupModels(models).size(), size_t{2});
  Watcher watcher;
  const auto together = TrainOn(Options(models, folder.path("together")), d, 1, &watcher);
  ASSERT_TRUE(together.ok()) << together.status();
  std::set<std::vector<float>> different;
  for (size_t i = 0; i < models.size(); ++i) {
    const auto alone = TrainOn(Options({models[i]}, folder.path("alone")), d, 1);
    ASSERT_TRUE(alone.ok()) << alone.status();
    test::ExpectSameBits<float>(together->at(i).model.parameters, alone->at(0).model.parameters, models[i].folder);
    ExpectEqual(together->at(i).model.config.replicate, models[i].config.replicate);
    ExpectEqual(together->at(i).history.size(), static_cast<size_t>(watcher.epochs_of[static_cast<int>(i)]));
    different.insert(together->at(i).model.parameters);
  }
  ExpectEqual(different.size(), models.size(), "no two models are the same");
  ExpectEqual(together->at(3).history.size(), size_t{1}, "an epoch of its own schedule");
  ExpectSameFiles(models, folder.path("together"), folder.path("alone"), "alone ");
}

TEST(Workers, NumberOfMachinesAndSlotsDoesNotMatter) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 2);
  const std::vector<PlannedModel> models = Grid(4);
  ASSERT_TRUE(TrainOn(Options(models, folder.path("1")), d, 1).ok());
  for (const int machines : {2, 3, 12}) {
    for (const int slots : {0, 1, 2}) {
      const std::string name = std::to_string(machines) + "_" + std::to_string(slots);
      TrainOptions options = Options(models, folder.path(name));
      options.models_at_once = slots;
      Watcher watcher;
      const auto results = TrainOn(options, d, machines, &watcher);
      ASSERT_TRUE(results.ok()) << results.status();
      ExpectSameFiles(models, folder.path("1"), options.output, name + " ");
      ExpectEqual(test::ReadBytes(ProgressPath(folder.path("1"))) == test::ReadBytes(ProgressPath(options.output)),
                  true, name + " progress.tsv");
      ASSERT_EQ(watcher.last.size(), models.size());
      for (size_t i = 0; i < models.size(); ++i) {
        ExpectEqual(watcher.last[i].state == ModelStanding::State::kStopped, true, name);
        ExpectEqual(watcher.last[i].epoch, static_cast<int>(results->at(i).history.size()));
        ExpectEqual(watcher.last[i].best_epoch, results->at(i).model.best_epoch);
      }
    }
  }
}

TEST(Workers, EmulatedDevices) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(46, 3);
  TrainConfig config = test::ToyConfig();
  config.batch = 8;
  config.valid_fraction = 0.25;
  config.schedule.max_epochs = 2;
  const std::vector<PlannedModel> models = OneModelEach(config, d.experiments);
  ASSERT_TRUE(TrainOn(Options(models, folder.path("1")), d, 1, nullptr, true).ok());
  const auto two = TrainOn(Options(models, folder.path("2")), d, 2, nullptr, true);
  ASSERT_TRUE(two.ok()) << two.status();
  ExpectSameFiles(models, folder.path("1"), folder.path("2"), "emulated ");
}

// Memory runs out in one thread, wherever that is: the run ends with a status, and so do the other threads.
TEST(Workers, AnExceptionInAThreadEndsTheRun) {
  class Thrower : public Watcher {
   public:
    explicit Thrower(int at) : left_(at) {}
    void OnEpoch(const EpochReport& report) override {
      Watcher::OnEpoch(report);
      if (--left_ == 0) throw std::bad_alloc();
    }

   private:
    int left_;
  };
  const Dataset d = test::ToyDataset(130, 2);
  for (const int machines : {1, 3}) {
    for (const int at : {1, 2, 3}) {
      const test::TemporaryFolder folder;
      Thrower thrower(at);
      const auto results = TrainOn(Options(Grid(4), folder.path("out")), d, machines, &thrower);
      ExpectEqual(results.status().ToString(),
                  std::string("RESOURCE_EXHAUSTED: out of memory; expected more free memory"));
    }
  }
}

TEST(Workers, StoppedAndGoneOnWith) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 2);
  const std::vector<PlannedModel> models = Grid(4);
  Watcher count;
  ASSERT_TRUE(TrainOn(Options(models, folder.path("whole")), d, 2, &count).ok());
  for (int stop = 1; stop <= count.ticks(); stop += 4) {
    TrainOptions options = Options(models, folder.path("cut" + std::to_string(stop)));
    options.models_at_once = 1 + stop % 3;
    options.checkpoint_every = 1 + stop % 2;
    Watcher first(stop);
    const auto cut = TrainOn(options, d, 1 + stop / 4 % 3, &first);
    ASSERT_EQ(cut.status().code(), absl::StatusCode::kCancelled) << cut.status();
    options.resume = true;
    options.models_at_once = stop % 2 == 0 ? 0 : 3;
    Watcher second;
    const auto resumed = TrainOn(options, d, 1 + stop / 4 % 2, &second);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    ExpectSameFiles(models, folder.path("whole"), options.output, "stopped at " + std::to_string(stop) + " ");
    // Models with a checkpoint did not begin anew.
    if (first.epochs_of.size() > 0 && options.checkpoint_every == 1) {
      EXPECT_THAT(second.messages, HasSubstr("going on"));
      const auto [model, epochs] = *first.epochs_of.begin();
      ExpectEqual(second.epochs_of[model] + epochs, count.epochs_of[model]);
    }
  }
}

// More models than a run had before: the old ones are taken as they are, the others start.
TEST(Workers, ResumedWithMoreModels) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 2);
  const std::vector<PlannedModel> models = Grid(3);
  ASSERT_TRUE(TrainOn(Options(models, folder.path("whole")), d, 1).ok());
  const std::vector<PlannedModel> some(models.begin(), models.begin() + 3);
  ASSERT_TRUE(TrainOn(Options(some, folder.path("more")), d, 2).ok());
  TrainOptions options = Options(models, folder.path("more"));
  options.resume = true;
  Watcher watcher;
  const auto more = TrainOn(options, d, 2, &watcher);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_THAT(watcher.messages, HasSubstr("3 of 10 models finished, 7 without a checkpoint"));
  ExpectEqual(watcher.epochs_of.count(0), size_t{0});
  ExpectSameFiles(models, folder.path("whole"), folder.path("more"), "more ");
}

// A fresh run in an old folder leaves no checkpoints of another run for a resumed one to find.
TEST(Workers, AFreshRunForgetsOldCheckpoints) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 2);
  std::vector<PlannedModel> models = Grid(2);
  ASSERT_TRUE(TrainOn(Options(models, folder.path()), d, 1).ok());
  Watcher stop(1);
  ExpectEqual(TrainOn(Options(models, folder.path()), d, 2, &stop).status().code(), absl::StatusCode::kCancelled);
  for (const PlannedModel& model : models) {
    ExpectEqual(FileExists(CheckpointPath(folder.path(), model.folder)), false);
    ExpectEqual(FileExists(PreviousCheckpointPath(folder.path(), model.folder)), false);
  }
}

// One machine that fails ends the run on all of them with its reason.
TEST(Workers, AFailureEndsTheRun) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 2);
  const std::vector<PlannedModel> models = Grid(50);
  // A folder where a file is to be written.
  std::filesystem::create_directories(HistoryPath(folder.path(), models[7].folder) + "/x");
  const auto results = TrainOn(Options(models, folder.path()), d, 3);
  ExpectEqual(results.ok(), false);
  ExpectEqual(absl::IsCancelled(results.status()), false, std::string(results.status().message()));
  EXPECT_THAT(std::string(results.status().message()), HasSubstr(HistoryPath(folder.path(), models[7].folder)));
}

TEST(Workers, OneRunAtATimeInAFolder) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(130, 2);
  const std::vector<PlannedModel> models = Grid(2);
  class Second : public Watcher {
   public:
    Second(const TrainOptions& options, const Dataset& dataset) : options_(options), dataset_(dataset) {}
    void OnRound(std::span<const ModelStanding>) override { status = TrainOn(options_, dataset_, 1).status(); }
    absl::Status status;

   private:
    const TrainOptions& options_;
    const Dataset& dataset_;
  };
  const TrainOptions options = Options(models, folder.path());
  Second second(options, d);
  const auto results = TrainOn(options, d, 1, &second);
  ASSERT_TRUE(results.ok()) << results.status();
  ExpectEqual(second.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status.message()), HasSubstr("in use by process " + std::to_string(getpid())));
  ExpectEqual(FileExists(folder.path(".lock")), false);
  ExpectEqual(TrainOn(options, d, 1).ok(), true);
}

}  // namespace
}  // namespace rb
