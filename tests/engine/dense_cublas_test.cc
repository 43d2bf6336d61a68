// engine/dense_cublas.h against plain loops, on a device; where there is none, that it says so.
#include "engine/dense_cublas.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/backend.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_memory.h"

namespace rb::test {
namespace {

constexpr int kSlots = 4, kBatch = 9, kIn = 96, kOut = 64;

// Small whole numbers: every product and sum is exact in every precision.
DeviceVector<float> Whole(int64_t count, int salt) {
  DeviceVector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>((i * 7 + i / 5 + salt) % 5 - 2);
  return values;
}

struct Case {
  DeviceVector<int32_t> live = {3, 0, 1};
  DeviceVector<StepState> state = DeviceVector<StepState>(kSlots);
  DeviceVector<float> x = Whole(int64_t{kSlots} * kBatch * kIn, 1), w = Whole(int64_t{kSlots} * kIn * kOut, 2),
                      dh = Whole(int64_t{kSlots} * kBatch * kOut, 3);
  DeviceVector<float> z = DeviceVector<float>(dh.size()), dx = DeviceVector<float>(x.size()),
                      dw = DeviceVector<float>(w.size());
  Models models;

  Case() {
    const int rows[kSlots] = {kBatch, 5, kBatch, 1};
    for (int i = 0; i < kSlots; ++i) state[i].rows = rows[i];
    models = {state.data(), live.data(), static_cast<int>(live.size())};
  }
  template <class V>
  static PerModel<V> Of(V* values, int64_t count) {
    return {values, count};
  }
  DenseForwardArgs<float> forward() {
    DenseForwardArgs<float> a;
    a.models = models, a.in = kIn, a.out = kOut, a.batch = kBatch;
    a.x = Of(x.data(), kBatch * kIn), a.w = Of(w.data(), kIn * kOut), a.z = Of(z.data(), kBatch * kOut);
    return a;
  }
  DenseBackwardArgs<float> backward() {
    DenseBackwardArgs<float> a;
    a.models = models, a.in = kIn, a.out = kOut, a.batch = kBatch;
    a.dh = Of(dh.data(), kBatch * kOut);
    a.x = Of(x.data(), kBatch * kIn), a.w = Of(w.data(), kIn * kOut);
    a.dx = Of(dx.data(), kBatch * kIn), a.dw = Of(dw.data(), kIn * kOut);
    return a;
  }
};

// sum over i of a(i) * b(i).
template <class A, class B>
float Sum(int count, const A& a, const B& b) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += static_cast<double>(a(i)) * b(i);
  return static_cast<float>(sum);
}

void CheckForward(const Case& c) {
  for (const int m : c.live) {
    const float *x = &c.x[m * kBatch * kIn], *w = &c.w[m * kIn * kOut], *z = &c.z[m * kBatch * kOut];
    for (int n = 0; n < c.state[m].rows; ++n) {
      for (int o = 0; o < kOut; ++o) {
        const float right = Sum(
            kIn, [&](int k) { return x[n * kIn + k]; }, [&](int k) { return w[k * kOut + o]; });
        ExpectEqual(z[n * kOut + o], right, "z");
      }
    }
  }
}

void CheckBackward(const Case& c, const DeviceVector<float>& gradient) {
  for (const int m : c.live) {
    const float *x = &c.x[m * kBatch * kIn], *w = &c.w[m * kIn * kOut], *dz = &gradient[m * kBatch * kOut];
    const int rows = c.state[m].rows;
    for (int k = 0; k < kIn; ++k) {
      for (int n = 0; n < rows; ++n) {
        const float right = Sum(
            kOut, [&](int o) { return dz[n * kOut + o]; }, [&](int o) { return w[k * kOut + o]; });
        ExpectEqual(c.dx[(m * kBatch + n) * kIn + k], right, "dx");
      }
      for (int o = 0; o < kOut; ++o) {
        const float right = Sum(
            rows, [&](int n) { return x[n * kIn + k]; }, [&](int n) { return dz[n * kOut + o]; });
        ExpectEqual(c.dw[(m * kIn + k) * kOut + o], right, "dw");
      }
    }
  }
}

TEST(CublasDenseTest, MultipliesWhatIsLiveOrSaysWhyItCannot) {
  DeviceVector<void*> pointers(CublasDense::kPointers * kSlots);
  DeviceVector<char> workspace(CublasDense::kWorkspaceBytes);
  std::string error;
  const auto dense = CublasDense::Create(kSlots, {pointers.data(), workspace.data()}, &error);
  if (!HasDevice()) {
    ExpectEqual(dense == nullptr, true);
    ExpectEqual(error.empty(), false);
    return;
  }
  ASSERT_NE(dense, nullptr) << error;
  for (const Precision precision : {Precision::kFp32, Precision::kTf32, Precision::kBf16}) {
    Case c;
    const DeviceVector<float> gradient = c.dh;
    DeviceRun run;
    run.precision = precision;
    ASSERT_FALSE(dense->Forward(c.forward(), run));
    ASSERT_FALSE(dense->Backward(c.backward(), run));
    ASSERT_FALSE(cuda::Synchronize());
    CheckForward(c);
    CheckBackward(c, gradient);
    for (const float value : c.z) ASSERT_EQ(value, value);
    // Slot 2 is not live: nothing of it is written.
    const auto untouched = [](const DeviceVector<float>& v, int64_t stride) {
      return std::all_of(v.begin() + 2 * stride, v.begin() + 3 * stride, [](float value) { return value == 0; });
    };
    ExpectEqual(untouched(c.z, kBatch * kOut) && untouched(c.dx, kBatch * kIn) && untouched(c.dw, kIn * kOut), true);
  }
}

TEST(CublasDenseTest, MachineOrReason) {
  const auto machine = MakeCudaMachine(0, Precision::kTf32, DenseProducts::kCublas);
  ExpectEqual(machine.ok(), HasDevice());
  if (machine.ok()) {
    ExpectEqual((*machine)->Describe().find("cuBLAS") != std::string::npos, true, (*machine)->Describe());
  } else {
    ExpectEqual(machine.status().message().find("CUDA") != std::string::npos ||
                    machine.status().message().find("driver") != std::string::npos,
                true, std::string(machine.status().message()));
  }
}

}  // namespace
}  // namespace rb::test
