// Learning-rate decay, early stop and the kept epoch, on sequences of metrics made by hand.
#include "kernels/schedule.h"

#include "model/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/comparisons.h"

namespace rb {
namespace {

using test::ExpectEqual;

std::vector<ScheduleStep> RunSchedule(const ScheduleConfig& config, const std::vector<double>& metrics) {
  std::vector<ScheduleStep> steps;
  ScheduleState state = StartSchedule(config);
  for (const double metric : metrics) {
    steps.push_back(AdvanceSchedule(config, state, metric));
    state = steps.back().state;
  }
  return steps;
}

TEST(Schedule, StartsFromTheConfig) {
  ScheduleConfig config = PresetConfig(Preset::kPublished).schedule;
  config.learning_rate = 0.5;
  const ScheduleState s = StartSchedule(config);
  ExpectEqual(s.learning_rate, 0.5);
  ExpectEqual(s.best, 0.0);
  ExpectEqual(s.epoch, 0);
  ExpectEqual(s.stopped, false);
}

// "strictly highest": an equal metric is no improvement.
TEST(Schedule, KeepsTheStrictlyHighest) {
  const auto steps = RunSchedule({}, {0.1, 0.1, 0.3, 0.2, 0.3, 0.31});
  const bool expected[] = {true, false, true, false, false, true};
  const int best[] = {1, 1, 3, 3, 3, 6};
  for (size_t i = 0; i < steps.size(); ++i) {
    ExpectEqual(steps[i].save, expected[i]);
    ExpectEqual(steps[i].state.best_epoch, best[i]);
    ExpectEqual(steps[i].state.epoch, static_cast<int>(i) + 1);
  }
  ExpectEqual(steps.back().state.best, 0.31);
}

TEST(Schedule, DecaysEverySevenEpochsWithoutABetterOne) {
  const auto steps = RunSchedule({}, std::vector<double>(22, 0.5));  // epoch 1 is the best
  for (int epoch = 1; epoch <= 22; ++epoch) {
    const int decays = (epoch - 1) / 7;
    double rate = 1e-3;
    for (int i = 0; i < decays; ++i) rate *= 0.3;
    ExpectEqual(steps[epoch - 1].state.learning_rate, rate, "epoch " + std::to_string(epoch));
  }
}

TEST(Schedule, ABetterEpochRestartsBothCounters) {
  std::vector<double> metrics(7, 0.5);  // best at 1, six without
  metrics.push_back(0.6);               // 8: better just before the decay
  metrics.insert(metrics.end(), 7, 0.6);
  const auto steps = RunSchedule({}, metrics);
  ExpectEqual(steps[7].state.learning_rate, 1e-3);
  ExpectEqual(steps[7].state.since_best, 0);
  ExpectEqual(steps[7].state.since_decay, 0);
  ExpectEqual(steps[13].state.learning_rate, 1e-3);
  ExpectEqual(steps[14].state.learning_rate, 1e-3 * 0.3);
  ExpectEqual(steps[14].state.since_best, 7);
  ExpectEqual(steps[14].state.since_decay, 0);
}

TEST(Schedule, RateStopsAtTheFloor) {
  ScheduleConfig config;
  config.stop_patience = 1000;
  const auto steps = RunSchedule(config, std::vector<double>(100, 0.5));
  ExpectEqual(steps.back().state.learning_rate, 1e-6);
  config.learning_rate = 1e-7;  // below the floor from the start: stays
  ExpectEqual(RunSchedule(config, std::vector<double>(20, 0.5)).back().state.learning_rate, 1e-7);
}

TEST(Schedule, StopsAfterThePatience) {
  for (const Preset preset : {Preset::kPaper, Preset::kPublished}) {
    const ScheduleConfig config = PresetConfig(preset).schedule;
    const int patience = preset == Preset::kPaper ? 25 : 20;
    std::vector<double> metrics = {0.1, 0.2, 0.5};
    metrics.resize(3 + static_cast<size_t>(patience), 0.4);
    const auto steps = RunSchedule(config, metrics);
    for (size_t i = 0; i < steps.size(); ++i) ExpectEqual(steps[i].state.stopped, i + 1 == steps.size());
    ExpectEqual(steps.back().state.best_epoch, 3);
    // A stopped model does not go on.
    const ScheduleStep after = AdvanceSchedule(config, steps.back().state, 0.9);
    ExpectEqual(after.state == steps.back().state, true);
    ExpectEqual(after.save, false);
  }
}

TEST(Schedule, StopsAtTheLastEpoch) {
  ScheduleConfig config;
  config.max_epochs = 3;
  const auto steps = RunSchedule(config, {0.1, 0.2, 0.3});
  ExpectEqual(steps[1].state.stopped, false);
  ExpectEqual(steps[2].state.stopped, true);
  ExpectEqual(steps[2].save, true);
}

// `published`: best starts at 0, so a Pearson of 0 or below never saves and counts against both patiences.
TEST(Schedule, PublishedNeverSavesAtOrBelowZero) {
  const auto steps = RunSchedule(PresetConfig(Preset::kPublished).schedule, {-0.5, 0.0, -0.1, 0.01});
  ExpectEqual(steps[0].save || steps[1].save || steps[2].save, false);
  ExpectEqual(steps[2].state.since_best, 3);
  ExpectEqual(steps[2].state.best_epoch, 0);
  ExpectEqual(steps[3].save, true);
  ExpectEqual(RunSchedule(PresetConfig(Preset::kPaper).schedule, {-0.5})[0].save, true);
}

TEST(Schedule, NanIsNoImprovement) {
  const auto steps = RunSchedule({}, {NAN, 0.2, NAN});
  ExpectEqual(steps[0].save, false);
  ExpectEqual(steps[0].state.since_best, 1);
  ExpectEqual(steps[1].save, true);
  ExpectEqual(steps[2].state.best, 0.2);
  ExpectEqual(steps[2].state.since_decay, 1);
}

}  // namespace
}  // namespace rb
