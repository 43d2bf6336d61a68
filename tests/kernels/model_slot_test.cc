// kernels/model_slot.h: the bookkeeping of an epoch, replayed by hand, on the CPU and on devices.
#include "kernels/model_slot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/comparisons.h"
#include "tests/support/device_memory.h"
#include "tests/support/machines.h"
#include "tests/support/test_parallel.h"

namespace rb::test {
namespace {

constexpr int kBatch = 8;
constexpr int kFails = 4;  // the slot, of 29 rows, whose second batch has an infinite loss

// Slots as a run might have them: free, running, stopped, in different epochs, one with a single row.
DeviceVector<ModelSlot> SomeSlots(int count) {
  DeviceVector<ModelSlot> slots(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    ModelSlot& slot = slots[i];
    if (i % 5 == 3) continue;  // free
    slot.dropout_key = DeriveKey(1, Purpose::kDropout, static_cast<uint64_t>(i));
    slot.order_key = DeriveKey(1, Purpose::kEpochOrder, static_cast<uint64_t>(i));
    slot.train_rows = 1 + (i * 7) % 30;
    slot.valid_rows = 2 + i % 4;
    slot.active = i % 7 != 6;
    slot.step = static_cast<uint64_t>(i * 11);
    slot.beta1_power = PowerOfSteps(kAdamBeta1, slot.step);
    slot.beta2_power = PowerOfSteps(kAdamBeta2, slot.step);
    slot.schedule.epoch = i % 3;
    slot.plan.stop_patience = i % 5 == 1 ? 2 : 1;
    slot.plan.decay_patience = 1;
    slot.plan.decay = 1.0 / (1 << i % 4);
  }
  return slots;
}

// One machine's memory for a run over `count` slots.
struct Bed {
  explicit Bed(int count) : slots(SomeSlots(count)), live(count, -7), states(count), rows(count, -7), tick(1, 99) {
    parameters.resize(static_cast<size_t>(count) * 32);
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i] = static_cast<float>(i);
    best.assign(parameters.size(), std::numeric_limits<float>::quiet_NaN());
    losses.assign(static_cast<size_t>(count) * 16, 0.0);
    metrics.assign(static_cast<size_t>(count), 0.0);
  }
  int count() const { return static_cast<int>(slots.size()); }
  SlotList list() { return {slots.data(), count(), live.data()}; }

  void BeginEpoch(const TestMachine& machine) {
    const BeginEpochArgs<float> args{list(), tick.data()};
    RB_RUN(machine, BeginEpoch, args);
  }
  void BeginStep(const TestMachine& machine) {
    const BeginStepArgs<float> args{list(), kBatch, tick.data(), states.data()};
    RB_RUN(machine, BeginStep, args);
  }
  void EndStep(const TestMachine& machine) {
    const EndStepArgs<float> args{list(), tick.data(), states.data(), {losses.data(), 16}};
    RB_RUN(machine, EndStep, args);
  }
  void BeginValidation(const TestMachine& machine) {
    const BeginValidationArgs<float> args{list(), rows.data()};
    RB_RUN(machine, BeginValidation, args);
  }
  void EndEpoch(const TestMachine& machine) {
    const EndEpochArgs<float> args{list(), metrics.data(), 20, {parameters.data(), 32}, {best.data(), 32}};
    RB_RUN(machine, EndEpoch, args);
  }

  DeviceVector<ModelSlot> slots;
  DeviceVector<int32_t> live;
  DeviceVector<StepState> states;
  DeviceVector<int32_t> rows;
  DeviceVector<int64_t> tick;
  DeviceVector<float> parameters, best;
  DeviceVector<double> losses, metrics;
};

// Those for which taken(i) holds first, in order, then the others.
template <class Taken>
void ExpectPartition(const DeviceVector<int32_t>& live, const Taken& taken) {
  std::vector<int32_t> want(live.size());
  for (size_t i = 0; i < want.size(); ++i) want[i] = static_cast<int32_t>(i);
  std::stable_partition(want.begin(), want.end(), taken);
  for (size_t i = 0; i < want.size(); ++i) ExpectEqual(live[i], want[i], "live list");
}

std::vector<TestMachine> AllMachines(TestParallel& parallel) {
  std::vector<TestMachine> machines = EmulatedMachines();
  machines.push_back(parallel);
  return machines;
}

void CheckEpoch(const TestMachine& machine, int count) {
  SCOPED_TRACE(machine.name() + ", " + std::to_string(count) + " slots");
  Bed bed(count);
  const DeviceVector<ModelSlot> start = SomeSlots(count);
  bed.BeginEpoch(machine);
  ExpectEqual(bed.tick[0], int64_t{0});
  for (int64_t tick = 0; tick < 4; ++tick) {
    bed.BeginStep(machine);
    const auto rows_of = [&](int i) {
      const ModelSlot& slot = start[i];
      if (!slot.active || (i == kFails && tick > 1)) return int64_t{0};
      return std::clamp<int64_t>(slot.train_rows - tick * kBatch, 0, kBatch);
    };
    ExpectPartition(bed.live, [&](int i) { return rows_of(i) > 0; });
    for (int i = 0; i < count; ++i) {
      ExpectEqual(static_cast<int64_t>(bed.states[i].rows), rows_of(i), "rows");
      if (rows_of(i) == 0) continue;
      ExpectEqual(bed.states[i].first, tick * kBatch);
      ExpectEqual(bed.states[i].step, start[i].step + static_cast<uint64_t>(tick));
      ExpectEqual(bed.states[i].epoch_key, EpochKey(start[i].order_key, start[i].schedule.epoch));
      ExpectEqual(bed.states[i].dropout_key, start[i].dropout_key);
      for (int chunk = 0; chunk < kBatchChunks; ++chunk) bed.losses[i * 16 + chunk] = 0.125 * (i + 1);
    }
    if (tick == 1 && count > kFails) bed.losses[kFails * 16 + 3] = std::numeric_limits<double>::infinity();
    bed.EndStep(machine);
    ExpectEqual(bed.tick[0], tick + 1);
  }
  for (int i = 0; i < count; ++i) {
    if (!start[i].active) continue;
    ExpectEqual(bed.slots[i].finite, i != kFails);
    const uint64_t steps = i == kFails ? 2 : static_cast<uint64_t>((start[i].train_rows + kBatch - 1) / kBatch);
    ExpectEqual(bed.slots[i].step, start[i].step + steps);
    ExpectEqual(bed.slots[i].beta2_power, PowerOfSteps(kAdamBeta2, bed.slots[i].step));
    if (i != kFails) ExpectEqual(bed.slots[i].loss_sum, static_cast<double>(i + 1) * start[i].train_rows);
  }

  bed.BeginValidation(machine);
  const auto validated = [&](int i) { return start[i].active && i != kFails; };
  ExpectPartition(bed.live, validated);
  for (int i = 0; i < count; ++i) {
    ExpectEqual(bed.rows[i], validated(i) ? start[i].valid_rows : 0, "validation rows");
    bed.metrics[i] = i % 2 == 0 ? 0.5 : std::numeric_limits<double>::quiet_NaN();
  }
  bed.EndEpoch(machine);
  for (int i = 0; i < count; ++i) {
    const ModelSlot& slot = bed.slots[i];
    const bool saved = validated(i) && i % 2 == 0;
    ExpectEqual(slot.saved, saved, "saved");
    ExpectEqual(slot.schedule.epoch, start[i].schedule.epoch + (start[i].active ? 1 : 0), "epoch");
    // Of the others those of patience 2 go on; at patience 1, or after the infinite loss, a model stops.
    ExpectEqual(slot.active, saved || (validated(i) && i % 5 == 1), "active");
    const bool decayed = validated(i) && !saved;
    ExpectEqual(slot.schedule.learning_rate, decayed ? 1e-3 / (1 << i % 4) : 1e-3, "learning rate");
    for (int k = 0; k < 32; ++k) {
      const float value = bed.best[i * 32 + k];
      ExpectEqual(saved && k < 20 ? value == bed.parameters[i * 32 + k] : std::isnan(value), true, "best");
    }
  }
}

TEST(ModelSlot, AnEpochOnEveryMachineTiny) {
  TestParallel parallel(2);
  for (const TestMachine& machine : AllMachines(parallel)) {
    for (const int count : {1, 2, 7}) CheckEpoch(machine, count);
  }
}
// More slots than a block has threads.
TEST(ModelSlot, ManySlots) {
  TestParallel parallel(2);
  for (const TestMachine& machine : AllMachines(parallel)) CheckEpoch(machine, 300);
}

// Alpha and powers are the same bits everywhere.
TEST(ModelSlot, SameStepsOnEveryMachine) {
  TestParallel parallel;
  Bed cpu(40);
  cpu.BeginEpoch(parallel);
  cpu.BeginStep(parallel);
  for (const TestMachine& machine : AllMachines(parallel)) {
    Bed other(40);
    other.BeginEpoch(machine);
    other.BeginStep(machine);
    for (int i = 0; i < 40; ++i) ExpectEqual(cpu.states[i].adam_alpha, other.states[i].adam_alpha);
  }
}

}  // namespace
}  // namespace rb::test
