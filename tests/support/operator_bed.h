// A bed on which operators are tested: guarded and poisoned tensors with a model axis, sets of models, and the checks
// that hold for every operator (values against an oracle, nothing else touched, threads, companions and vector targets
// do not matter).
//
// A test describes its operator as a `Case` class template over the float type:
//   Case(shape, models, fill)      draws the inputs of every slot from the slot's id, so a model keeps them in any
//   company Prepare()                      poisons the outputs, restores what is changed in place Run(machine) calls
//   the operator outputs()                      what Run may write: a vector of Output Check(slot) compares one slot
//   with the oracle
#ifndef RB_TESTS_SUPPORT_OPERATOR_BED_H_
#define RB_TESTS_SUPPORT_OPERATOR_BED_H_

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/common.h"
#include "kernels/philox.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_memory.h"
#include "tests/support/machines.h"
#include "tests/support/test_parallel.h"

namespace rb::test {

inline constexpr uint32_t kPoisonMask = 0xDEADBEEFu;

// What outputs hold before a run: NaN, or a bit pattern no mask has by chance.
template <class T>
T Poison() {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return BFloat16(std::numeric_limits<float>::quiet_NaN());
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::numeric_limits<T>::quiet_NaN();
  } else {
    return static_cast<T>(kPoisonMask);
  }
}

// slots x count values, 128-byte aligned per slot, with at least 32 guard values before and after every slot.
template <class T>
class Tensor {
 public:
  static constexpr int64_t kGuard = 32;
  Tensor() = default;
  Tensor(int slots, int64_t count)
      : slots_(slots), count_(count), stride_((count + 31) / 32 * 32 + kGuard), size_(slots * stride_ + kGuard) {
    void* const memory = AllocateForAll(static_cast<size_t>(size_) * sizeof(T));
    if (memory == nullptr) std::abort();
    memory_ = std::shared_ptr<T>(static_cast<T*>(memory), FreeForAll);
    std::fill_n(memory_.get(), size_, Poison<T>());
  }
  explicit operator bool() const { return memory_ != nullptr; }
  std::span<T> operator[](int slot) const {
    return {memory_.get() + kGuard + slot * stride_, static_cast<size_t>(count_)};
  }
  PerModel<T> view() const { return {memory_ ? memory_.get() + kGuard : nullptr, stride_}; }
  operator PerModel<T>() const { return view(); }
  operator PerModel<const T>() const { return view(); }

  int64_t count() const { return count_; }
  std::span<const T> all() const { return {memory_.get(), static_cast<size_t>(size_)}; }
  int64_t offset(int slot) const { return kGuard + slot * stride_; }
  void Fill(T value) { std::fill_n(memory_.get(), size_, value); }
  void CopyFrom(const Tensor& other) { std::copy_n(other.memory_.get(), size_, memory_.get()); }

 private:
  int slots_ = 0;
  int64_t count_ = 0, stride_ = 0, size_ = 0;
  std::shared_ptr<T> memory_;
};

// Models side by side. `id` names a model's data wherever its slot is.
class ModelSet {
 public:
  ModelSet(std::vector<int> rows, const std::vector<int32_t>& live) : live_(live.begin(), live.end()) {
    for (size_t i = 0; i < rows.size(); ++i) Add(static_cast<int>(i), rows[i]);
  }
  // The model of one slot, alone.
  ModelSet Only(int slot) const {
    ModelSet alone({}, {0});
    alone.Add(ids_[slot], state_[slot].rows);
    alone.batch_ = batch_;
    return alone;
  }
  Models models() const { return {state_.data(), live_.data(), static_cast<int>(live_.size())}; }
  const StepState& state(int slot) const { return state_[slot]; }
  StepState& state(int slot) { return state_[slot]; }
  const DeviceVector<int32_t>& live() const { return live_; }
  int slots() const { return static_cast<int>(state_.size()); }
  int id(int slot) const { return ids_[slot]; }
  int rows(int slot) const { return state_[slot].rows; }
  int batch() const { return batch_; }
  bool Active(int slot) const { return rows(slot) > 0 && std::find(live_.begin(), live_.end(), slot) != live_.end(); }

 private:
  void Add(int id, int rows) {
    StepState state;
    state.dropout_key = DeriveKey(7, Purpose::kDropout, id);
    state.epoch_key = DeriveKey(7, Purpose::kEpochOrder, id);
    state.step = (uint64_t{0x1F} << 32 | 0x12345) + id;  // both halves of the counter in use
    state.rows = rows;
    state_.push_back(state);
    ids_.push_back(id);
    batch_ = std::max(batch_, rows);
  }
  DeviceVector<StepState> state_;
  DeviceVector<int32_t> live_;
  std::vector<int> ids_;
  int batch_ = 1;
};

// One model; fewer rows than chunks; a slot left out, an order of its own, a model that sits the step out.
inline ModelSet OneModel(int rows) { return ModelSet({rows}, {0}); }
inline ModelSet ThreeModels() { return ModelSet({9, 5, 7, 1}, {3, 0, 2}); }
inline ModelSet IdleModel() { return ModelSet({8, 0, 3, 8}, {2, 1, 3}); }

// kRounded: uniform values rounded to bf16, which tf32 holds too: products of inputs are then exact in every precision.
enum class Fill { kInteger, kRandom, kRounded };

// Draws that depend on (model id, tag) only. Uniform values are floats in either precision, so that float and double
// see the same inputs.
class Draws {
 public:
  Draws(int id, uint64_t tag) : stream_(DeriveKey(99, Purpose::kSimulate, id), tag) {}
  int Integer(int low, int high) { return low + static_cast<int>(stream_.Below(high - low + 1)); }
  double Uniform(double low, double high) { return static_cast<float>(low + (high - low) * stream_.Uniform()); }
  // Integers in [-reach, reach], or uniform in [-1, 1).
  double Value(Fill fill, int reach = 2) {
    if (fill == Fill::kInteger) return Integer(-reach, reach);
    const double value = Uniform(-1, 1);
    return fill == Fill::kRounded ? Bf16ToFloat(FloatToBf16(static_cast<float>(value))) : value;
  }

 private:
  PhiloxStream stream_;
};

// Fills a tensor slot by slot: f(draws) -> value.
template <class T, class F>
Tensor<T> Drawn(const ModelSet& models, int64_t count, uint64_t tag, const F& f) {
  Tensor<T> tensor(models.slots(), count);
  for (int slot = 0; slot < models.slots(); ++slot) {
    Draws draws(models.id(slot), tag);
    for (T& value : tensor[slot]) {
      const double drawn = f(draws);
      if constexpr (std::is_same_v<T, BFloat16>) {
        value = BFloat16(static_cast<float>(drawn));
      } else {
        value = static_cast<T>(drawn);
      }
    }
  }
  return tensor;
}
template <class T>
Tensor<T> DrawnValues(const ModelSet& models, int64_t count, uint64_t tag, Fill fill, int reach = 2) {
  return Drawn<T>(models, count, tag, [&](Draws& draws) { return draws.Value(fill, reach); });
}

// One output tensor: Run writes the first per_row * rows + per_model values of an active slot, nothing else.
struct Output {
  std::string name;
  int64_t per_row = 0, per_model = 0;
  size_t value_size = 0;
  const unsigned char* memory = nullptr;
  int64_t bytes = 0;
  std::vector<int64_t> offsets;  // by slot, in bytes

  int64_t WrittenBytes(const ModelSet& models, int slot) const {
    return models.Active(slot) ? (per_row * models.rows(slot) + per_model) * static_cast<int64_t>(value_size) : 0;
  }
};
template <class T>
Output OutputOf(std::string name, const Tensor<T>& tensor, const ModelSet& models, int64_t per_row, int64_t per_model) {
  Output out;
  out.name = std::move(name);
  out.per_row = per_row;
  out.per_model = per_model;
  out.value_size = sizeof(T);
  out.memory = reinterpret_cast<const unsigned char*>(tensor.all().data());
  out.bytes = static_cast<int64_t>(tensor.all().size_bytes());
  for (int slot = 0; slot < models.slots(); ++slot) out.offsets.push_back(tensor.offset(slot) * sizeof(T));
  return out;
}

// Everything outside the written ranges must be as it was before the run: guards, rows beyond the batch, idle models.
inline void ExpectUntouched(const Output& out, const std::vector<unsigned char>& before, const ModelSet& models) {
  int64_t bad = 0, at = 0;
  const auto compare_up_to = [&](int64_t end) {
    if (std::memcmp(out.memory + at, before.data() + at, end - at) != 0) ++bad;
    CountComparisons();
  };
  for (int slot = 0; slot < models.slots(); ++slot) {
    compare_up_to(out.offsets[slot]);
    at = out.offsets[slot] + out.WrittenBytes(models, slot);
  }
  compare_up_to(out.bytes);
  EXPECT_EQ(bad, 0) << out.name << ": memory beside the output was written";
}

// Runs a case and checks every slot's values and everything that must stay untouched.
template <class Case>
void RunAndCheck(Case& c, const TestMachine& machine, bool values = true) {
  c.Prepare();
  std::vector<std::vector<unsigned char>> before;
  const std::vector<Output> outputs = c.outputs();
  for (const Output& out : outputs) before.emplace_back(out.memory, out.memory + out.bytes);
  c.Run(machine);
  for (size_t i = 0; i < outputs.size(); ++i) ExpectUntouched(outputs[i], before[i], c.models());
  for (int slot = 0; slot < c.models().slots(); ++slot) {
    if (values && c.models().Active(slot)) c.Check(slot);
  }
}

// The written values of one slot, byte for byte, against another case's slot.
template <class Case>
void ExpectSameOutputs(Case& a, int slot_a, Case& b, int slot_b, const std::string& what) {
  const std::vector<Output> left = a.outputs(), right = b.outputs();
  for (size_t i = 0; i < left.size(); ++i) {
    const int64_t bytes = left[i].WrittenBytes(a.models(), slot_a);
    ASSERT_EQ(bytes, right[i].WrittenBytes(b.models(), slot_b)) << what;
    CountComparisons(bytes / static_cast<int64_t>(left[i].value_size));
    EXPECT_EQ(std::memcmp(left[i].memory + left[i].offsets[slot_a], right[i].memory + right[i].offsets[slot_b], bytes),
              0)
        << what << ": bits of " << left[i].name << " differ";
  }
}

// One thread against three, and each model in company against the same model alone: bitwise.
template <class Case, class... Args>
void ExpectSameInAnyCompany(const ModelSet& models, const Args&... args) {
  TestParallel one(1), three(3, true);
  Case serial(models, args...), threaded(models, args...);
  RunAndCheck(serial, one, false);
  RunAndCheck(threaded, three, false);
  for (int slot = 0; slot < models.slots(); ++slot) {
    if (!models.Active(slot)) continue;
    ExpectSameOutputs(serial, slot, threaded, slot, "three threads");
    Case alone(models.Only(slot), args...);
    RunAndCheck(alone, one, false);
    ExpectSameOutputs(serial, slot, alone, 0, "alone");
  }
}

// The same of the device: three orders of blocks and threads, and each model alone.
template <class Case, class... Args>
void ExpectSameOnDevice(const ModelSet& models, Precision precision, const Args&... args) {
  const std::vector<TestMachine> machines = EmulatedMachines(precision);
  Case first(models, args...);
  RunAndCheck(first, machines[0], false);
  for (size_t i = 1; i < machines.size(); ++i) {
    Case other(models, args...);
    RunAndCheck(other, machines[i], false);
    for (int slot = 0; slot < models.slots(); ++slot) {
      if (models.Active(slot)) ExpectSameOutputs(first, slot, other, slot, machines[i].name());
    }
  }
  for (int slot = 0; slot < models.slots(); ++slot) {
    if (!models.Active(slot)) continue;
    Case alone(models.Only(slot), args...);
    RunAndCheck(alone, machines[0], false);
    ExpectSameOutputs(first, slot, alone, 0, machines[0].name() + ", alone");
  }
}

// Calls f once per vector target that was compiled and that this processor has.
template <class F>
void ForEachTarget(const F& f) {
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  for (const int64_t target : targets) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    f();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_OPERATOR_BED_H_
