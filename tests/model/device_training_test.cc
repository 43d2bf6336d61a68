// Training through the real trainer on a device (emulated always, a real one when there is one), against the CPU: step
// by step to rounding, operator by operator through the checking machine, and bitwise against itself in any company.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.h"
#include "engine/check_machine.h"
#include "engine/thread_pool.h"
#include "kernels/emulated/emulator.h"
#include "model/run_files.h"
#include "model/trainer.h"
#include "tests/model/toy_data.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_machine.h"

namespace rb {
namespace {

using test::DeviceMachine;
using test::ExpectEqual;
using test::ExpectSameBits;
using test::ExpectWithin;

const std::vector<std::string>& Names() {
  static const auto& names = *new std::vector<std::string>{"EXP1", "EXP2", "EXP3"};
  return names;
}

// 3 models, batch 8, three or four steps an epoch, their last ones of different sizes.
TrainConfig SmallConfig(const Shape& shape, int epochs) {
  TrainConfig config;
  config.shape = shape;
  config.batch = 8;
  config.seed = 7;
  config.schedule.max_epochs = epochs;
  config.valid_fraction = 0.25;
  return config;
}

absl::StatusOr<std::vector<TrainResult>> TrainOn(Machine& machine, const TrainConfig& config, const Dataset& dataset,
                                                 const std::vector<std::string>& experiments, const std::string& output,
                                                 int models_at_once = 0) {
  TrainOptions options;
  options.models = OneModelEach(config, experiments);
  options.output = output;
  options.models_at_once = models_at_once;
  const auto split = MakeSplit(dataset, config.seed, config.valid_fraction);
  if (!split.ok()) return split.status();
  Machine* const machines[] = {&machine};
  return Train(options, dataset, *split, machines, nullptr);
}

// What rounding may do to a short run: losses move by it; Adam's steps are near learning_rate * sign(g), so that a
// gradient as small as its own rounding error may go either way: few in fp32, up to a tenth where operands have 8 bits.
// (The tight comparison is operator by operator, below.)
void ExpectSameToRounding(const std::vector<TrainResult>& cpu, const std::vector<TrainResult>& device, double tolerance,
                          double apart_part, int steps, double learning_rate) {
  ASSERT_EQ(cpu.size(), device.size());
  for (size_t i = 0; i < cpu.size(); ++i) {
    SCOPED_TRACE(cpu[i].model.experiment);
    ASSERT_EQ(cpu[i].history.size(), device[i].history.size());
    const EpochReport &a = cpu[i].history[0], &b = device[i].history[0];
    ExpectWithin(a.train_loss, b.train_loss, tolerance * a.train_loss);
    ExpectWithin(a.valid_loss, b.valid_loss, 10 * tolerance * a.valid_loss);
    const std::vector<float>&p = cpu[i].model.parameters, &q = device[i].model.parameters;
    ASSERT_EQ(p.size(), q.size());
    int64_t apart = 0;
    double most = 0;
    for (size_t k = 0; k < p.size(); ++k) {
      const double difference = std::abs(static_cast<double>(p[k]) - q[k]);
      apart += difference > 0.1 * learning_rate + tolerance * std::abs(p[k]);
      most = std::max(most, difference - tolerance * std::abs(p[k]));
    }
    EXPECT_LE(static_cast<double>(apart), apart_part * static_cast<double>(p.size())) << "of " << p.size();
    EXPECT_LE(most, 2.2 * learning_rate * steps);
    test::CountComparisons(static_cast<int64_t>(p.size()));
  }
}

void CompareWithCpu(const Shape& shape, Precision precision, double tolerance, double apart_part) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(46, 3, shape.length, shape.structure);
  const TrainConfig config = SmallConfig(shape, 1);
  ThreadPool pool(2);
  const auto cpu = TrainOn(*MakeCpuBackend<float>(pool), config, d, Names(), folder.path("cpu"));
  ASSERT_TRUE(cpu.ok()) << cpu.status();
  TrainConfig device_config = config;
  device_config.precision = precision;
  const std::unique_ptr<Machine> machine = DeviceMachine(precision);
  ASSERT_NE(machine, nullptr);
  const auto device = TrainOn(*machine, device_config, d, Names(), folder.path("device"));
  ASSERT_TRUE(device.ok()) << device.status();
  ExpectSameToRounding(*cpu, *device, tolerance, apart_part, 4, config.schedule.learning_rate);
}

TEST(DeviceTraining, PaperShapeEqualsTheCpuToRounding) { CompareWithCpu(kPaperShape, Precision::kFp32, 1e-5, 0.02); }
TEST(DeviceTraining, Tf32) { CompareWithCpu(test::ToyShape(), Precision::kTf32, 3e-3, 0.1); }
TEST(DeviceTraining, Bf16) { CompareWithCpu(test::ToyShape(), Precision::kBf16, 3e-2, 0.1); }
TEST(DeviceTraining, Structure) { CompareWithCpu(test::ToyShape(41, 5), Precision::kFp32, 1e-5, 0.02); }

// Every operator of a step, a validation and an epoch's end, compared one by one; three positions lie in no pool.
TEST(DeviceTraining, EveryOperatorAgreesWithTheCpu) {
  for (const Precision precision : {Precision::kFp32, Precision::kTf32, Precision::kBf16}) {
    const test::TemporaryFolder folder;
    const Dataset d = test::ToyDataset(46, 3, 23);
    TrainConfig config = SmallConfig(test::ToyShape(23), 1);
    config.precision = precision;
    ThreadPool pool(1);
    const auto machine = MakeCheckMachine(pool, DeviceMachine(precision), precision);
    const auto run = TrainOn(*machine, config, d, Names(), folder.path());
    EXPECT_TRUE(run.ok()) << run.status();
    test::CountComparisons();
  }
}

// Side by side, alone and by twos; blocks and threads in other orders; recorded steps of every capacity.
TEST(DeviceTraining, SameBitsInAnyCompanyAndOrder) {
  const test::TemporaryFolder folder;
  const Dataset d = test::ToyDataset(46, 3);
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    TrainConfig config = SmallConfig(test::ToyShape(), 2);
    config.precision = precision;
    const std::string name = precision == Precision::kFp32 ? "fp32" : "bf16";
    const auto together = TrainOn(*DeviceMachine(precision), config, d, Names(), folder.path(name));
    ASSERT_TRUE(together.ok()) << together.status();
    emu::options().seed = 1;
    const auto twos = TrainOn(*DeviceMachine(precision), config, d, Names(), folder.path(name + "twos"), 2);
    emu::options().seed = 0;
    ASSERT_TRUE(twos.ok()) << twos.status();
    const auto alone = TrainOn(*DeviceMachine(precision), config, d, {"EXP2"}, folder.path(name + "alone"));
    ASSERT_TRUE(alone.ok()) << alone.status();
    for (size_t i = 0; i < 3; ++i) {
      ExpectSameBits<float>(together->at(i).model.parameters, twos->at(i).model.parameters, "by twos");
    }
    ExpectSameBits<float>(together->at(1).model.parameters, alone->at(0).model.parameters, "alone");
    ExpectEqual(together->at(1).history[1].valid_loss, alone->at(0).history[1].valid_loss);
  }
}

TEST(CudaMachine, SaysWhatIsMissing) {
  const absl::Status available = CudaAvailable(0);
  if (available.ok()) GTEST_SKIP() << "there is a CUDA device";
  ExpectEqual(available.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(available.message()), testing::HasSubstr("no "));
  ExpectEqual(MakeCudaMachine(0, Precision::kFp32).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace rb
