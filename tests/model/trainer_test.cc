// Training: what it reaches, what it reports, what it refuses, and that its bits depend on nothing they should not.
#include "model/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/lockstep.h"
#include "model/predictor.h"
#include "model/run_files.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectSameBits;
using test::ExpectWithin;
using ::testing::HasSubstr;

TrainOptions Options(const TrainConfig& config, const std::vector<std::string>& experiments,
                     const std::string& output) {
  TrainOptions options;
  options.models = OneModelEach(config, experiments);
  options.output = output;
  return options;
}

absl::StatusOr<std::vector<TrainResult>> TrainOn(const TrainOptions& options, const Dataset& dataset, int threads = 1,
                                                 TrainObserver* observer = nullptr) {
  ThreadPool pool(threads);
  const auto backend = MakeCpuBackend<float>(pool);
  const TrainConfig config = options.models.empty() ? TrainConfig() : options.models[0].config;
  const auto split = MakeSplit(dataset, config.seed, config.valid_fraction);
  if (!split.ok()) return split.status();
  Machine* const machines[] = {backend.get()};
  return Train(options, dataset, *split, machines, observer);
}

void ExpectSameResult(const TrainResult& a, const TrainResult& b, const std::string& what) {
  ExpectSameBits<float>(a.model.parameters, b.model.parameters, what);
  ExpectSameBits<float>(a.model.profile, b.model.profile, what);
  ASSERT_EQ(a.history.size(), b.history.size()) << what;
  for (size_t e = 0; e < a.history.size(); ++e) {
    ExpectEqual(a.history[e].train_loss, b.history[e].train_loss, what);
    ExpectEqual(a.history[e].valid_loss, b.history[e].valid_loss, what);
    ExpectEqual(a.history[e].valid_metric, b.history[e].valid_metric, what);
  }
}

void ExpectSameFiles(const std::string& a, const std::string& b, const std::string& experiment) {
  const std::string model = test::ReadBytes(ModelPath(a, experiment));
  ExpectEqual(model.empty(), false, experiment);
  ExpectEqual(model == test::ReadBytes(ModelPath(b, experiment)), true, experiment + " model");
  ExpectEqual(test::ReadBytes(HistoryPath(a, experiment)) == test::ReadBytes(HistoryPath(b, experiment)), true,
              experiment + " history");
}

// A run's machines when there is one.
std::array<Machine*, 1> One(Machine& machine) { return {&machine}; }

TEST(AdamAlpha, FirstAndLaterSteps) {
  const auto alpha = [](uint64_t step) {
    ModelSlot slot;
    slot.schedule.learning_rate = 1e-3;
    slot.beta1_power = PowerOfSteps(kAdamBeta1, step);
    slot.beta2_power = PowerOfSteps(kAdamBeta2, step);
    return AdamAlpha(slot);
  };
  ExpectWithin(alpha(0), 1e-3 * std::sqrt(1 - 0.999) / (1 - 0.9), 1e-18);
  ExpectWithin(alpha(9), 1e-3 * std::sqrt(1 - std::pow(0.999, 10)) / (1 - std::pow(0.9, 10)), 1e-18);
  ExpectWithin(alpha(10'000'000), 1e-3, 1e-18);
}

TEST(Keys, DifferByModelEpochAndPurpose) {
  const auto key = [](uint64_t seed, Purpose purpose, const char* name) {
    return DeriveKey(seed, purpose, StableId(name));
  };
  const uint64_t dropout = key(1, Purpose::kDropout, "A"), order = key(1, Purpose::kEpochOrder, "A");
  ExpectEqual(dropout == key(1, Purpose::kDropout, "B"), false);
  ExpectEqual(dropout == key(2, Purpose::kDropout, "A"), false);
  ExpectEqual(EpochKey(order, 0) == EpochKey(order, 1), false);
  ExpectEqual(EpochKey(order, 0) == EpochKey(key(1, Purpose::kEpochOrder, "B"), 0), false);
  ExpectEqual(EpochKey(order, 0) == dropout, false);
}

// Three experiments of different row counts (none a multiple of the batch), side by side, alone, and by twos.
TEST(Trainer, ModelsDoNotDependOnEachOther) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(260, 3);
  TrainConfig config = test::ToyConfig();
  config.schedule.max_epochs = 3;
  const std::vector<std::string> names = {"EXP1", "EXP2", "EXP3"};
  const auto together = TrainOn(Options(config, names, folder.path("together")), d);
  ASSERT_TRUE(together.ok()) << together.status();
  EXPECT_NE(together->at(0).train_rows, together->at(2).train_rows);
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_NE(together->at(i).train_rows % config.batch, 0);
    const std::string output = folder.path("alone" + names[i]);
    const auto alone = TrainOn(Options(config, {names[i]}, output), d);
    ASSERT_TRUE(alone.ok()) << alone.status();
    ExpectSameResult(together->at(i), alone->at(0), names[i]);
    ExpectSameFiles(folder.path("together"), output, names[i]);
  }
  // Two slots for three models: the third takes over a slot whose memory another model has used.
  TrainOptions by_twos = Options(config, {"EXP3", "EXP1", "EXP2"}, folder.path("twos"));
  by_twos.models_at_once = 2;
  const auto twos = TrainOn(by_twos, d);
  ASSERT_TRUE(twos.ok()) << twos.status();
  ExpectSameResult(together->at(2), twos->at(0), "by twos");
  ExpectSameResult(together->at(0), twos->at(1), "by twos");
  ExpectSameResult(together->at(1), twos->at(2), "by twos");
}

TEST(Trainer, ThreadsAndRunsDoNotMatter) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(200, 2, 41, 2);
  TrainConfig config = test::ToyConfig(41, 2);
  config.schedule.max_epochs = 2;
  std::vector<absl::StatusOr<std::vector<TrainResult>>> runs;
  int run = 0;
  for (const int threads : {1, 1, 3}) {
    runs.push_back(TrainOn(Options(config, {"EXP1", "EXP2"}, folder.path(std::to_string(run++))), d, threads));
    ASSERT_TRUE(runs.back().ok()) << runs.back().status();
  }
  for (int i = 0; i < 2; ++i) {
    ExpectSameResult(runs[0]->at(i), runs[1]->at(i), "again");
    ExpectSameResult(runs[0]->at(i), runs[2]->at(i), "three threads");
    ExpectSameFiles(folder.path("0"), folder.path("1"), "EXP" + std::to_string(i + 1));
    ExpectSameFiles(folder.path("0"), folder.path("2"), "EXP" + std::to_string(i + 1));
  }
}

TEST(Trainer, SeedAndReplicateMatter) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(100, 1);
  TrainConfig config = test::ToyConfig();
  config.schedule.max_epochs = 1;
  const auto first = TrainOn(Options(config, {"EXP1"}, folder.path("a")), d);
  config.replicate = 1;
  const auto replicate = TrainOn(Options(config, {"EXP1"}, folder.path("b")), d);
  config.replicate = 0;
  config.seed = 8;
  const auto seed = TrainOn(Options(config, {"EXP1"}, folder.path("c")), d);
  ASSERT_TRUE(first.ok() && replicate.ok() && seed.ok());
  ExpectEqual(first->at(0).model.parameters == replicate->at(0).model.parameters, false);
  ExpectEqual(first->at(0).model.parameters == seed->at(0).model.parameters, false);
}

TEST(Trainer, LearnsAndReports) {
  struct Observer : TrainObserver {
    void OnProgress(const TrainProgress& p) override {
      EXPECT_LE(p.sequences_done, p.sequences_in_epoch);
      EXPECT_GE(p.live_models, 1);
      ++progress;
    }
    void OnEpoch(const EpochReport& r) override { epochs.push_back(r); }
    int progress = 0;
    std::vector<EpochReport> epochs;
  } observer;
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(500, 1);
  TrainConfig config = test::ToyConfig();
  config.schedule.max_epochs = 25;
  const auto results = TrainOn(Options(config, {"EXP1"}, folder.path()), d, 2, &observer);
  ASSERT_TRUE(results.ok()) << results.status();
  const TrainResult& r = results->at(0);
  ExpectEqual(r.status.ok(), true);
  ExpectEqual(observer.epochs.size(), r.history.size());
  ExpectEqual(observer.progress >= 25, true);
  ExpectEqual(r.history.size(), size_t{25});
  ExpectEqual(r.history.back().stopped, true);
  // The targets are z-scored: a model that has learnt nothing has a loss of 1.
  EXPECT_LT(r.history.back().train_loss, 0.6 * r.history.front().train_loss);
  EXPECT_GT(r.model.best_metric, 0.8);
  test::CountComparisons(2);
  double best = -2;
  int best_epoch = 0;
  for (const EpochReport& e : r.history) {
    ExpectEqual(e.best, e.valid_metric > best);
    if (e.best) best = e.valid_metric, best_epoch = e.epoch;
  }
  ExpectEqual(r.model.best_metric, best);
  ExpectEqual(r.model.best_epoch, best_epoch);
  ExpectEqual(r.model.epochs, 25);
  ExpectEqual(r.train_rows + r.valid_rows < 400, true);
}

// The saved model, read back, evaluates to exactly what the trainer said.
TEST(Trainer, SavedModelEvaluatesToTheSamePearson) {
  ThreadPool pool(2);
  const auto backend = MakeCpuBackend<float>(pool);
  const Dataset d = test::ToyDataset(300, 2);
  for (const Preset preset : {Preset::kPaper, Preset::kPublished}) {
    for (const TransformKind kind : {TransformKind::kLog, TransformKind::kClip, TransformKind::kNone}) {
      const test::TemporaryFolder folder;
      TrainConfig config = test::ToyConfig();
      config.preset = preset;
      config.transform = kind;
      config.schedule.max_epochs = 3;
      const Split split = MakeSplit(d, config.seed, config.valid_fraction).value();
      const auto results = Train(Options(config, {"EXP1", "EXP2"}, folder.path()), d, split, One(*backend), nullptr);
      ASSERT_TRUE(results.ok()) << results.status();
      for (const TrainResult& r : *results) {
        const auto model = ReadModel(ModelPath(folder.path(), r.model.experiment));
        ASSERT_TRUE(model.ok()) << model.status();
        ExpectSameBits<float>(r.model.parameters, model->parameters, "file");
        const auto predictor = Predictor::Create(*model, model->config.precision, *backend);
        const auto evaluation = Evaluate(*model, *predictor, d, split.valid);
        ASSERT_TRUE(evaluation.ok()) << evaluation.status();
        ExpectEqual(evaluation->pearson, model->best_metric);
        ExpectEqual(evaluation->mse, r.history[r.model.best_epoch - 1].valid_loss);
        ExpectEqual(evaluation->n, r.valid_rows);
      }
    }
  }
}

TEST(Trainer, BatchLargerThanTheDataAndLastBatchOfOne) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(120, 2);
  for (const int extra : {0, 1}) {
    TrainConfig config = test::ToyConfig();
    config.schedule.max_epochs = 2;
    const auto probe = TrainOn(Options(config, {"EXP1", "EXP2"}, folder.path("probe")), d);
    ASSERT_TRUE(probe.ok());
    config.batch = extra == 0 ? 1000 : static_cast<int>(probe->at(0).train_rows) - 1;
    const auto both = TrainOn(Options(config, {"EXP1", "EXP2"}, folder.path("both")), d, 2);
    const auto alone = TrainOn(Options(config, {"EXP2"}, folder.path("alone")), d);
    ASSERT_TRUE(both.ok()) << both.status();
    ASSERT_TRUE(alone.ok()) << alone.status();
    ExpectSameResult(both->at(1), alone->at(0), "batch " + std::to_string(config.batch));
    ExpectEqual(std::isfinite(both->at(0).history.back().train_loss), true);
  }
}

TEST(Trainer, Classification) {
  const test::TemporaryFolder folder;
  ThreadPool pool(2);
  const auto backend = MakeCpuBackend<float>(pool);
  const Dataset d = test::ToyDataset(600, 1, 20, 0, /*labels=*/true);
  TrainConfig config = test::ToyConfig();
  config.shape.classification = true;
  config.schedule.max_epochs = 25;
  const Split split = MakeSplit(d, config.seed, config.valid_fraction).value();
  const auto results = Train(Options(config, {"EXP1"}, folder.path()), d, split, One(*backend), nullptr);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_GT(results->at(0).model.best_metric, 0.9);
  EXPECT_LT(results->at(0).history.back().valid_loss, std::log(2.0));
  const auto model = ReadModel(ModelPath(folder.path(), "EXP1"));
  ASSERT_TRUE(model.ok()) << model.status();
  ExpectEqual(model->transform.kind, TransformKind::kNone);
  const auto predictor = Predictor::Create(*model, Precision::kFp32, *backend);
  const auto evaluation = Evaluate(*model, *predictor, d, split.valid);
  ASSERT_TRUE(evaluation.ok());
  ExpectEqual(evaluation->auroc, model->best_metric);
  ExpectEqual(evaluation->aupr > 0.5, true);
  EXPECT_THAT(test::ReadBytes(HistoryPath(folder.path(), "EXP1")), HasSubstr("valid_auroc"));
}

// Models that stop at different epochs: what goes on does not notice that its neighbour is gone.
TEST(Trainer, EarlyStopLeavesTheOthersTraining) {
  const test::TemporaryFolder folder;
  Dataset d = test::ToyDataset(200, 2);
  PhiloxStream random(3);
  for (int i = 0; i < 200; ++i) d.targets[200 + i] = static_cast<float>(1 + random.Uniform());  // nothing to learn
  TrainConfig config = test::ToyConfig();
  config.schedule.max_epochs = 12;
  config.schedule.stop_patience = 3;
  const auto both = TrainOn(Options(config, {"EXP1", "EXP2"}, folder.path("both")), d);
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_NE(both->at(0).history.size(), both->at(1).history.size());
  for (int i = 0; i < 2; ++i) {
    const std::string name = "EXP" + std::to_string(i + 1);
    ExpectEqual(both->at(i).history.size() < 12, true, "stops before the last epoch");
    const auto alone = TrainOn(Options(config, {name}, folder.path(name)), d);
    ASSERT_TRUE(alone.ok()) << alone.status();
    ExpectSameResult(both->at(i), alone->at(0), name);
  }
}

// No epoch beats a best that starts out of reach: the last epoch's parameters are kept, and the file says best epoch 0.
TEST(Trainer, NoEpochGoodEnough) {
  const test::TemporaryFolder folder;
  TrainConfig config = test::ToyConfig();
  config.schedule.first_best = 2;
  config.schedule.max_epochs = 2;
  const auto results = TrainOn(Options(config, {"EXP1"}, folder.path()), test::ToyDataset(100, 1));
  ASSERT_TRUE(results.ok()) << results.status();
  ExpectEqual(results->at(0).model.best_epoch, 0);
  const auto model = ReadModel(ModelPath(folder.path(), "EXP1"));
  ASSERT_TRUE(model.ok()) << model.status();
  ExpectEqual(std::isnan(model->best_metric), true);
  ExpectSameBits<float>(model->parameters, results->at(0).model.parameters, "last");
}

// Scores near the end of float's range: squares and their gradients leave it. The model stops, its neighbour does not.
TEST(Trainer, LossThatIsNotFiniteStopsOneModel) {
  struct Observer : TrainObserver {
    void OnMessage(const std::string& m) override { messages += m; }
    std::string messages;
  } observer;
  const test::TemporaryFolder folder;
  Dataset d = test::ToyDataset(200, 2);
  d.transformed = true;
  for (int i = 0; i < 200; ++i) d.targets[i] = i % 2 == 0 ? 3e38f : -3e38f;
  const TrainConfig config = test::ToyConfig();
  const auto both = TrainOn(Options(config, {"EXP1", "EXP2"}, folder.path("both")), d, 2, &observer);
  ASSERT_TRUE(both.ok()) << both.status();
  ExpectEqual(both->at(0).status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(both->at(0).status.message()), HasSubstr("EXP1"));
  EXPECT_THAT(observer.messages, HasSubstr("not finite in epoch 1"));
  ExpectEqual(FileExists(ModelPath(folder.path("both"), "EXP1")), false);
  ExpectEqual(both->at(0).history.size(), size_t{1});
  ExpectEqual(both->at(1).status.ok(), true);
  const auto alone = TrainOn(Options(config, {"EXP2"}, folder.path("alone")), d);
  ASSERT_TRUE(alone.ok());
  ExpectSameResult(both->at(1), alone->at(0), "neighbour");
}

TEST(Trainer, Refusals) {
  const test::TemporaryFolder folder;
  const Dataset good = test::ToyDataset(100, 2);
  const struct {
    std::function<void(TrainOptions&, Dataset&)> change;
    const char* part;
  } cases[] = {{[](TrainOptions& o, Dataset&) { o.models[0].experiment = "EXP9"; }, "'EXP9'"},
               {[](TrainOptions& o, Dataset&) { o.models[1] = o.models[0]; }, "named twice"},
               {[](TrainOptions& o, Dataset&) { o.models.clear(); }, "no experiment"},
               {[](TrainOptions& o, Dataset&) { o.output = ""; }, "no output"},
               {[](TrainOptions& o, Dataset&) { o.models[1].config.batch = 0; }, "batch"},
               {[](TrainOptions& o, Dataset&) { o.models[1].config.shape.length = 41; }, "positions"},
               {[](TrainOptions& o, Dataset&) { o.models[1].config.shape.structure = 2; }, "structure"},
               {[](TrainOptions& o, Dataset&) { o.checkpoint_every = -1; }, "checkpoint_every"},
               {[](TrainOptions& o, Dataset& d) { d.experiments[0] = o.models[0].experiment = "../up"; }, "folder"},
               {[](TrainOptions& o, Dataset& d) { d.experiments[0] = o.models[0].experiment = "\xff"; }, "UTF-8"},
               {[](TrainOptions&, Dataset& d) { std::fill_n(d.targets.begin(), 100, NAN); }, "'EXP1'"},
               {[](TrainOptions&, Dataset& d) { std::fill_n(d.targets.begin(), 100, 1.0f); }, "'EXP1'"},
               {[](TrainOptions&, Dataset& d) { d.targets[3] = d.targets[4] = INFINITY; }, "'EXP1'"},
               {[](TrainOptions& o, Dataset&) { o.models[0].config.shape.classification = true; }, "expected 0 or 1"},
               {[](TrainOptions& o, Dataset&) { o.models[0].folder = "../EXP1"; }, "no folder"},
               {[](TrainOptions& o, Dataset&) { o.models[0].folder = "/EXP1"; }, "no folder"},
               {[](TrainOptions& o, Dataset&) { o.models[0].folder = ""; }, "no folder"},
               {[](TrainOptions& o, Dataset&) { o.models[1].config.seed = 1; }, "share the split"},
               {[](TrainOptions& o, Dataset&) { o.models[1].config.valid_fraction = 0.5; }, "share the split"},
               {[](TrainOptions& o, Dataset& d) {
                  o.models[0].config.shape.classification = true;
                  std::fill(d.targets.begin(), d.targets.end(), 1.0f);
                },
                "one class"}};
  for (const auto& test_case : cases) {
    Dataset d = good;
    TrainOptions options = Options(test::ToyConfig(), {"EXP1", "EXP2"}, folder.path("out"));
    test_case.change(options, d);
    const auto results = TrainOn(options, d);
    ExpectEqual(results.ok(), false, test_case.part);
    EXPECT_THAT(std::string(results.status().message()), HasSubstr(test_case.part));
    ExpectEqual(FileExists(folder.path("out")), false, test_case.part);
  }
}

}  // namespace
}  // namespace rb
