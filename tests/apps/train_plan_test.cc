// Grids and replicates: which models, with which settings, in which folders; and what is refused.
#include "apps/train/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "apps/command.h"
#include "tests/support/comparisons.h"

namespace rb::apps {
namespace {

using test::ExpectEqual;
using ::testing::HasSubstr;

std::vector<PlannedModel> Plan(const TrainFlags& flags, const std::vector<std::string>& experiments) {
  const auto config = MakeConfig(flags);
  EXPECT_TRUE(config.ok()) << config.status();
  const auto models = PlanModels(flags, *config, experiments);
  EXPECT_TRUE(models.ok()) << models.status();
  return models.ok() ? *models : std::vector<PlannedModel>();
}

TEST(TrainPlan, OneModelAnExperiment) {
  TrainFlags flags;
  flags.replicate = 5;
  const auto models = Plan(flags, {"B", "A"});
  ASSERT_EQ(models.size(), 2u);
  ExpectEqual(models[0].experiment, std::string("B"));
  ExpectEqual(models[0].folder, std::string("B"));
  ExpectEqual(models[1].folder, std::string("A"));
  ExpectEqual(models[1].config.replicate, uint64_t{5});
}

TEST(TrainPlan, OrderAndFolders) {
  TrainFlags flags;
  flags.replicate = 2;
  flags.replicates = 2;
  flags.grid = {"learning-rate=1e-3,0.0030", "filters=64,96"};
  const auto models = Plan(flags, {"A", "B"});
  ASSERT_EQ(models.size(), 16u);
  const char* folders[] = {
      "A/learning-rate=0.001,filters=64/replicate-2", "A/learning-rate=0.001,filters=64/replicate-3",
      "A/learning-rate=0.001,filters=96/replicate-2", "A/learning-rate=0.001,filters=96/replicate-3",
      "A/learning-rate=0.003,filters=64/replicate-2"};
  for (size_t i = 0; i < std::size(folders); ++i) ExpectEqual(models[i].folder, std::string(folders[i]));
  ExpectEqual(models[8].folder, std::string("B/learning-rate=0.001,filters=64/replicate-2"));
  for (size_t i = 0; i < models.size(); ++i) {
    ExpectEqual(models[i].experiment, std::string(i < 8 ? "A" : "B"));
    ExpectEqual(models[i].config.replicate, uint64_t{2 + i % 2});
    ExpectEqual(models[i].config.schedule.learning_rate, i % 8 < 4 ? 0.001 : 0.003);
    ExpectEqual(models[i].config.shape.filters, i % 4 < 2 ? 64 : 96);
  }
}

// A part of the folder's name only where there are several.
TEST(TrainPlan, OnePointOrOneReplicate) {
  TrainFlags flags;
  flags.grid = {"hidden=64"};
  ExpectEqual(Plan(flags, {"A"})[0].folder, std::string("A"));
  ExpectEqual(Plan(flags, {"A"})[0].config.shape.hidden, 64);
  flags.replicates = 2;
  ExpectEqual(Plan(flags, {"A"})[1].folder, std::string("A/replicate-1"));
  flags = {};
  flags.grid = {"pool=5,10"};
  ExpectEqual(Plan(flags, {"A"})[1].folder, std::string("A/pool=10"));
}

TEST(TrainPlan, EveryName) {
  const struct {
    const char* grid;
    std::function<double(const TrainConfig&)> value;
    double expected;
  } cases[] = {{"learning-rate=0.5", [](const TrainConfig& c) { return c.schedule.learning_rate; }, 0.5},
               {"decay=0.5", [](const TrainConfig& c) { return c.schedule.decay; }, 0.5},
               {"decay-patience=9", [](const TrainConfig& c) { return c.schedule.decay_patience; }, 9},
               {"stop-patience=9", [](const TrainConfig& c) { return c.schedule.stop_patience; }, 9},
               {"epochs=9", [](const TrainConfig& c) { return c.schedule.max_epochs; }, 9},
               {"batch=9", [](const TrainConfig& c) { return c.batch; }, 9},
               {"filters=32", [](const TrainConfig& c) { return c.shape.filters; }, 32},
               {"first-width=9", [](const TrainConfig& c) { return c.shape.first_width; }, 9},
               {"width=5", [](const TrainConfig& c) { return c.shape.width; }, 5},
               {"residual-layers=2", [](const TrainConfig& c) { return c.shape.residual_layers; }, 2},
               {"residual-layers=4", [](const TrainConfig& c) { return c.shape.dilations[3]; }, 8},
               {"pool=9", [](const TrainConfig& c) { return c.shape.pool; }, 9},
               {"hidden=32", [](const TrainConfig& c) { return c.shape.hidden; }, 32},
               {"dropout-first=0.5", [](const TrainConfig& c) { return c.shape.dropout_first; }, 0.5},
               {"dropout-inner=0.5", [](const TrainConfig& c) { return c.shape.dropout_inner; }, 0.5},
               {"dropout-before-pool=0.5", [](const TrainConfig& c) { return c.shape.dropout_before_pool; }, 0.5},
               {"dropout-after-pool=0.5", [](const TrainConfig& c) { return c.shape.dropout_after_pool; }, 0.5},
               {"dropout-dense=0.25", [](const TrainConfig& c) { return c.shape.dropout_dense; }, 0.25},
               {"dropout=0.25", [](const TrainConfig& c) { return c.shape.dropout_first; }, 0.25},
               {"dropout=0.25", [](const TrainConfig& c) { return c.shape.dropout_inner; }, 0.25},
               {"dropout=0.25", [](const TrainConfig& c) { return c.shape.dropout_before_pool; }, 0.25},
               {"dropout=0.25", [](const TrainConfig& c) { return c.shape.dropout_after_pool; }, 0.25},
               {"dropout=0", [](const TrainConfig& c) { return c.shape.dropout_dense; }, 0},
               {"structure=pu", [](const TrainConfig& c) { return c.shape.structure; }, 2},
               {"structure=phime", [](const TrainConfig& c) { return c.shape.structure; }, 5}};
  for (const auto& test_case : cases) {
    TrainFlags flags;
    flags.grid = {test_case.grid};
    ExpectEqual(test_case.value(Plan(flags, {"A"})[0].config), test_case.expected, test_case.grid);
  }
}

// What the data and the machine decided stays.
TEST(TrainPlan, TheBaseIsKept) {
  TrainFlags flags;
  flags.grid = {"hidden=32,64"};
  TrainConfig base = *MakeConfig(flags);
  base.shape.structure = 5;
  base.transform = TransformKind::kNone;
  base.precision = Precision::kTf32;
  const auto models = PlanModels(flags, base, {"A"});
  ASSERT_TRUE(models.ok()) << models.status();
  for (const PlannedModel& model : *models) {
    TrainConfig expected = base;
    expected.shape.hidden = model.config.shape.hidden;
    ExpectEqual(SettingsOf(model.config), SettingsOf(expected));
  }
}

// Data get the tracks of which all networks' can be made.
TEST(TrainPlan, Structure) {
  TrainFlags flags;
  ExpectEqual(StructureOfAll(flags)->structure, std::string());
  flags.structure.structure = "pu";
  ExpectEqual(StructureOfAll(flags)->structure, std::string("pu"));
  flags.structure = {"", "p.txt"};
  flags.grid = {"structure=pu,none"};
  ExpectEqual(StructureOfAll(flags)->structure, std::string("pu"));
  ExpectEqual(StructureOfAll(flags)->profiles, std::string("p.txt"));
  flags.grid = {"structure=none,phime,pu", "hidden=32,64"};
  ExpectEqual(StructureOfAll(flags)->structure, std::string("phime"));
  TrainConfig base = *MakeConfig(flags);
  base.shape.structure = 5;
  const auto models = PlanModels(flags, base, {"A"});
  ASSERT_TRUE(models.ok()) << models.status();
  const int tracks[] = {0, 0, 5, 5, 2, 2};
  ASSERT_EQ(models->size(), std::size(tracks));
  for (size_t i = 0; i < models->size(); ++i) ExpectEqual((*models)[i].config.shape.structure, tracks[i]);
  ExpectEqual((*models)[0].folder, std::string("A/structure=none,hidden=32"));
  flags.grid = {"structure=none"};
  ExpectEqual(StructureOfAll(flags)->structure, std::string("none"));
  ExpectEqual((*PlanModels(flags, base, {"A"}))[0].config.shape.structure, 0);
}

TEST(TrainPlan, Refusals) {
  const struct {
    std::function<void(TrainFlags&)> change;
    const char* part;
  } cases[] = {
      {[](TrainFlags& f) { f.grid = {"rate=1"}; }, "learning-rate, decay, decay-patience"},
      {[](TrainFlags& f) { f.grid = {"seed=1,2"}; }, "'seed' is nothing"},
      {[](TrainFlags& f) { f.grid = {"length=41"}; }, "'length' is nothing"},
      {[](TrainFlags& f) { f.grid = {"filters"}; }, "no values"},
      {[](TrainFlags& f) { f.grid = {"filters="}; }, "'' is no filters"},
      {[](TrainFlags& f) { f.grid = {"filters=32,x"}; }, "'x' is no filters; expected a whole number"},
      {[](TrainFlags& f) { f.grid = {"filters=32.5"}; }, "'32.5'"},
      {[](TrainFlags& f) { f.grid = {"filters=33"}; }, "multiple of 32"},
      {[](TrainFlags& f) { f.grid = {"dropout=0.99"}; }, "from 0 to 0.95"},
      {[](TrainFlags& f) { f.grid = {"dropout=nan"}; }, "'nan'"},
      {[](TrainFlags& f) { f.grid = {"decay=2"}; }, "from 1e-06 to 1"},
      {[](TrainFlags& f) { f.grid = {"structure=none,2"}; }, "'2' is no structure; expected one of none, pu, phime"},
      {[](TrainFlags& f) { f.grid = {"structure=none,pu"}, f.structure.structure = "pu"; }, "exclude each other"},
      {[](TrainFlags& f) { f.grid = {"learning-rate=-1"}; }, "'-1'"},
      {[](TrainFlags& f) { f.grid = {"learning-rate=0.001,1e-3"}; }, "named twice"},
      {[](TrainFlags& f) {
         f.grid = {"filters=32", "filters=64"};
       },
       "filters twice"},
      {[](TrainFlags& f) {
         f.grid = {"dropout=0.1,0.2", "dropout-dense=0.5"};
       },
       "without the single ones"},
      {[](TrainFlags& f) { f.grid = {"filters=32,64"}, f.filters = 96; }, "--filters exclude each other"},
      {[](TrainFlags& f) { f.grid = {"dropout=0.1"}, f.dropout_inner = 0.5f; }, "exclude each other"},
      {[](TrainFlags& f) {
         f.grid = {"residual-layers=2,3"}, f.dilations = {1, 2};
       },
       "--dilations"},
      {[](TrainFlags& f) { f.grid = {"epochs=1,2"}, f.replicates = 60000; }, "at most 100000"}};
  for (const auto& test_case : cases) {
    TrainFlags flags;
    test_case.change(flags);
    const auto models = PlanModels(flags, PresetConfig(Preset::kPaper), {"A"});
    ExpectEqual(models.ok(), false, test_case.part);
    ExpectEqual(ExitCode(models.status()), 2, test_case.part);
    EXPECT_THAT(std::string(models.status().message()), HasSubstr(test_case.part));
  }
}

TEST(TrainPlan, FoldersOfPlans) {
  for (const char* name : {"replicate-0", "filters=96", "learning-rate=0.001,filters=96"}) {
    ExpectEqual(IsPlannedFolder(name), true, name);
  }
  for (const char* name : {"RNCMPT00001", "old", "replicates", ".cache"})
    ExpectEqual(IsPlannedFolder(name), false, name);
}

}  // namespace
}  // namespace rb::apps
