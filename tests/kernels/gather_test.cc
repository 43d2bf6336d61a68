// kernels/gather.h against its definition.
#include "kernels/gather.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "kernels/feistel.h"
#include "tests/support/operator_bed.h"

namespace rb::test {
namespace {

struct GatherCase {
  int first = 0;
};

constexpr int kSequences = 500;

template <class T>
class GatherBatch {
 public:
  GatherBatch(const ModelSet& models, const GatherCase& shape, Fill) : models_(models), shape_(shape) {
    training_rows_ = Tensor<int32_t>(models.slots(), kSequences);
    targets_ = Drawn<float>(models, kSequences, 2, [](Draws& draws) { return draws.Uniform(-3, 3); });
    for (int slot = 0; slot < models.slots(); ++slot) {
      models_.state(slot).first = shape.first;
      num_rows_.push_back(150 + 37 * models.id(slot));
      Draws draws(models.id(slot), 3);  // increasing sequences with gaps, as a list of those that have a target
      int sequence = draws.Integer(0, 1);
      for (int i = 0; i < num_rows_[slot]; ++i, sequence += draws.Integer(1, 2))
        training_rows_[slot][i] = sequence % kSequences;
      target_of_slot_.push_back(targets_[slot].data());
    }
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    rows_ = Tensor<int32_t>(models_.slots(), models_.batch());
    batch_targets_ = Tensor<T>(models_.slots(), models_.batch());
  }
  void Run(const TestMachine& machine) {
    const GatherArgs<T> args = {models_.models(),       training_rows_, num_rows_.data(),
                                target_of_slot_.data(), rows_,          batch_targets_};
    RB_RUN(machine, Gather, args);
  }
  std::vector<Output> outputs() const {
    return {OutputOf("rows", rows_, models_, 1, 0), OutputOf("batch_targets", batch_targets_, models_, 1, 0)};
  }
  void Check(int slot) {
    const FeistelPermutation order(num_rows_[slot], models_.state(slot).epoch_key);
    for (int n = 0; n < models_.rows(slot); ++n) {
      const int32_t sequence = training_rows_[slot][order(shape_.first + n)];
      ExpectEqual(rows_[slot][n], sequence, "row");
      ExpectEqual(batch_targets_[slot][n], static_cast<T>(targets_[slot][sequence]), "target");
    }
  }
  int num_rows(int slot) const { return num_rows_[slot]; }
  std::span<const int32_t> rows(int slot) const { return rows_[slot].first(models_.rows(slot)); }
  std::span<const int32_t> training_rows(int slot) const { return training_rows_[slot].first(num_rows_[slot]); }

 private:
  ModelSet models_;
  GatherCase shape_;
  DeviceVector<int32_t> num_rows_;
  Tensor<int32_t> training_rows_, rows_;
  Tensor<float> targets_;
  DeviceVector<const float*> target_of_slot_;
  Tensor<T> batch_targets_;
};

TEST(Gather, EqualsItsDefinition) {
  TestParallel parallel;
  for (const int first : {0, 50, 130}) {
    for (const ModelSet& models : {ThreeModels(), IdleModel(), OneModel(1), OneModel(20)}) {
      GatherBatch<float> in_float(models, {first}, Fill::kRandom);
      RunAndCheck(in_float, parallel);
      GatherBatch<double> in_double(models, {first}, Fill::kRandom);
      RunAndCheck(in_double, parallel);
    }
  }
}

// An epoch's batches hold every training row once.
TEST(Gather, AnEpochVisitsEveryRowOnce) {
  TestParallel parallel;
  constexpr int kBatch = 16;
  std::multiset<int32_t> seen, want;
  int total = 150;
  for (int first = 0; first < total; first += kBatch) {
    GatherBatch<float> batch(OneModel(std::min(kBatch, total - first)), {first}, Fill::kRandom);
    RunAndCheck(batch, parallel, false);
    total = batch.num_rows(0);
    seen.insert(batch.rows(0).begin(), batch.rows(0).end());
    if (first == 0) want.insert(batch.training_rows(0).begin(), batch.training_rows(0).end());
  }
  ExpectEqual(seen, want);
  ExpectEqual(seen.size(), static_cast<size_t>(total));
}

TEST(Gather, SameBitsInAnyCompany) {
  ExpectSameInAnyCompany<GatherBatch<float>>(ThreeModels(), GatherCase{10}, Fill::kRandom);
  ExpectSameInAnyCompany<GatherBatch<double>>(IdleModel(), GatherCase{0}, Fill::kRandom);
}

TEST(GatherOnDevice, TinyEqualsItsDefinition) {
  for (const TestMachine& machine : EmulatedMachines()) {
    for (const int first : {0, 50, 130}) {
      for (const ModelSet& models : {ThreeModels(), IdleModel(), OneModel(1), OneModel(20)}) {
        GatherBatch<float> batch(models, {first}, Fill::kRandom);
        RunAndCheck(batch, machine);
      }
    }
  }
}

// More rows than the block has threads.
TEST(GatherOnDevice, LargeBatch) {
  GatherBatch<float> batch(OneModel(150), {0}, Fill::kRandom);
  RunAndCheck(batch, TestMachine::Emulated());
}

TEST(GatherOnDevice, SameBitsInAnyCompany) {
  ExpectSameOnDevice<GatherBatch<float>>(ThreeModels(), Precision::kFp32, GatherCase{10}, Fill::kRandom);
}

}  // namespace
}  // namespace rb::test
