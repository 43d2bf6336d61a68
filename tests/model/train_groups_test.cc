// Which models train side by side, and who takes which of them.
#include "model/train_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>

#include "engine/backend.h"
#include "engine/thread_pool.h"
#include "model/lockstep.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;
using Groups = std::vector<std::vector<int>>;

TEST(GroupModels, SettingsThatAModelBringsWithIt) {
  std::vector<PlannedModel> models(1, {test::ToyConfig(), "EXP1", "0"});
  const std::vector<std::function<void(TrainConfig&)>> same = {
      [](TrainConfig& c) { c.replicate = 3; },
      [](TrainConfig& c) { c.seed = 3; },
      [](TrainConfig& c) { c.transform = TransformKind::kClip; },
      [](TrainConfig& c) { c.schedule.learning_rate = 0.1; },
      [](TrainConfig& c) { c.schedule.decay = 0.1; },
      [](TrainConfig& c) { c.schedule.decay_patience = 2; },
      [](TrainConfig& c) { c.schedule.stop_patience = 2; },
      [](TrainConfig& c) { c.schedule.max_epochs = 2; },
      [](TrainConfig& c) { c.schedule.first_best = 0; }};
  const std::vector<std::function<void(TrainConfig&)>> other = {[](TrainConfig& c) { c.batch = 16; },
                                                                [](TrainConfig& c) { c.preset = Preset::kPublished; },
                                                                [](TrainConfig& c) { c.shape.filters = 64; },
                                                                [](TrainConfig& c) { c.shape.dilations[1] = 3; },
                                                                [](TrainConfig& c) { c.shape.dropout_dense = 0.25f; },
                                                                [](TrainConfig& c) { c.shape.classification = true; },
                                                                [](TrainConfig& c) { c.precision = Precision::kTf32; }};
  for (const auto& change : same) {
    models.push_back(models[0]);
    change(models.back().config);
  }
  ExpectEqual(GroupModels(models).size(), size_t{1});
  for (const auto& change : other) {
    models.push_back(models[0]);
    change(models.back().config);
  }
  models.push_back(models[other.size() + same.size()]);  // the last one's twin
  const Groups groups = GroupModels(models);
  ASSERT_EQ(groups.size(), 1 + other.size());
  ExpectEqual(groups[0].size(), 1 + same.size());
  for (size_t g = 1; g < groups.size(); ++g) {
    ExpectEqual(groups[g].front(), static_cast<int>(same.size() + g));
    ExpectEqual(groups[g].size(), g + 1 == groups.size() ? size_t{2} : size_t{1});
  }
}

// Everything that machines take, opening in turn and then one by one, is everything that waits.
void ExpectEverythingOnce(TrainQueue& queue, std::vector<TrainQueue::Opening> openings, std::vector<int> want) {
  std::vector<int> taken;
  for (const TrainQueue::Opening& opening : openings) {
    taken.insert(taken.end(), opening.models.begin(), opening.models.end());
  }
  while (true) {
    const TrainQueue::Opening opening = queue.Open(1);
    if (opening.group < 0) break;
    taken.insert(taken.end(), opening.models.begin(), opening.models.end());
    for (int next = queue.Next(opening.group); next >= 0; next = queue.Next(opening.group)) taken.push_back(next);
  }
  std::sort(taken.begin(), taken.end());
  ExpectEqual(taken, want);
}

TEST(TrainQueue, MachinesBeginWithEvenShares) {
  std::vector<int> ten(10);
  std::iota(ten.begin(), ten.end(), 0);
  TrainQueue queue({ten}, std::vector<bool>(10, true), 3);
  const TrainQueue::Opening a = queue.Open(0), b = queue.Open(0), c = queue.Open(0);
  ExpectEqual(a.models, std::vector<int>{0, 1, 2, 3});
  ExpectEqual(b.models, std::vector<int>{4, 5, 6});
  ExpectEqual(c.models, std::vector<int>{7, 8, 9});
  ExpectEqual(queue.Next(0), -1);
  ExpectEqual(queue.Open(0).group, -1);
  ExpectEverythingOnce(queue, {a, b, c}, ten);
}

TEST(TrainQueue, FewerModelsThanMachinesAndFewerSlotsThanModels) {
  TrainQueue two({{0, 1}}, {true, true}, 3);
  ExpectEqual(two.Open(0).models.size() + two.Open(0).models.size() + two.Open(0).models.size(), size_t{2});
  std::vector<int> nine(9);
  std::iota(nine.begin(), nine.end(), 0);
  TrainQueue queue({nine}, std::vector<bool>(9, true), 2);
  const TrainQueue::Opening a = queue.Open(2), b = queue.Open(2);
  ExpectEqual(a.models, std::vector<int>{0, 1});
  ExpectEqual(b.models, std::vector<int>{2, 3});
  ExpectEqual(queue.Next(0), 4);
  ExpectEverythingOnce(queue, {a, b, {0, {4}}}, nine);
}

// Groups follow each other; finished models are left out; later shares are those of all machines.
TEST(TrainQueue, GroupsInTurn) {
  std::vector<bool> waiting(12, true);
  waiting[0] = waiting[5] = false;
  TrainQueue queue({{0, 2, 4}, {1, 3, 5}, {6, 7, 8, 9, 10, 11}}, waiting, 2);
  const TrainQueue::Opening a = queue.Open(0), b = queue.Open(0), c = queue.Open(0);
  ExpectEqual(a.group, 0);
  ExpectEqual(a.models, std::vector<int>{2, 4});
  ExpectEqual(b.group, 1);
  ExpectEqual(b.models, std::vector<int>{1, 3});
  ExpectEqual(c.group, 2);
  ExpectEqual(c.models, std::vector<int>{6, 7, 8});
  ExpectEqual(queue.Next(0), -1);
  ExpectEqual(queue.Next(2), 9);
  ExpectEverythingOnce(queue, {a, b, c, {2, {9}}}, {1, 2, 3, 4, 6, 7, 8, 9, 10, 11});
}

TEST(MeasureTrainMemory, IsWhatManyModelsTake) {
  ThreadPool pool(1);
  const auto machine = MakeCpuBackend<float>(pool);
  const Dataset d = test::ToyDataset(200, 2);
  std::vector<PlannedModel> models = OneModelEach(test::ToyConfig(), d.experiments);
  const Split split = MakeSplit(d, 7, 0.1).value();
  const auto small = MeasureTrainMemory(models, d, split, *machine);
  ASSERT_TRUE(small.ok()) << small.status();
  const auto jobs = MakeTrainJobs(models, d, split);
  const auto lockstep = Lockstep::Create(models[0].config, d, 20, {&jobs->at(0), &jobs->at(1)}, *machine);
  ASSERT_TRUE(lockstep.ok());
  const double all = static_cast<double>((*lockstep)->allocated());
  test::ExpectWithin(small->shared + 20 * small->per_model, all, 0.1 * all);
  models.push_back(models[0]);
  models.back().folder = "wide";
  models.back().config.shape.filters = 96;
  const auto wide = MeasureTrainMemory(models, d, split, *machine);
  ASSERT_TRUE(wide.ok()) << wide.status();
  ExpectEqual(wide->per_model > 2 * small->per_model, true, "the larger group counts");
  models[0].experiment = "absent";
  ExpectEqual(MeasureTrainMemory(models, d, split, *machine).ok(), false);
}

}  // namespace
}  // namespace rb
