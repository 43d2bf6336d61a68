// Where an operator test runs: the CPU, the emulated device, or a real one. Tensors of the tests live in host memory;
// a real device reaches them because the tests' allocator pins them.
#ifndef RB_TESTS_SUPPORT_MACHINES_H_
#define RB_TESTS_SUPPORT_MACHINES_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/emulated/emulator.h"
#include "kernels/parallel.h"

namespace rb::test {

class TestMachine {
 public:
  TestMachine(Parallel& parallel) : parallel_(&parallel) {}  // NOLINT: implicit, the CPU is the usual case
  // The emulated device; with RB_TEST_DEVICE set in the environment a real one in its place, so that the same tests are
  // the device's (tests/device_rung.sh).
  static TestMachine Emulated(Precision precision = Precision::kFp32, unsigned seed = 0) {
    TestMachine machine;
    machine.precision_ = precision;
    machine.seed_ = seed;
    machine.real_ = std::getenv("RB_TEST_DEVICE") != nullptr;
    return machine;
  }

  bool is_cpu() const { return parallel_ != nullptr; }
  bool is_real() const { return real_; }
  Precision precision() const { return precision_; }
  std::string name() const {
    if (is_cpu()) return "cpu";
    const char* const names[] = {"fp32", "tf32", "bf16"};
    const std::string precision = names[static_cast<int>(precision_)];
    return real_ ? "device " + precision : "emulated " + precision + ", seed " + std::to_string(seed_);
  }

  // One of the three runs; use RB_RUN.
  template <class OnCpu, class OnEmulation, class OnDevice>
  void Run(const OnCpu& on_cpu, const OnEmulation& on_emulation, [[maybe_unused]] const OnDevice& on_device) const {
    if (is_cpu()) return on_cpu(*parallel_);
    DeviceRun run;
    run.precision = precision_;
    if (real_) {
#if defined(RB_HAVE_CUDA)
      DeviceError error = on_device(run);
      if (!error) error = cuda::Synchronize();
      ASSERT_FALSE(error) << name() << ": " << cuda::DeviceErrorText(error);
#else
      FAIL() << "this build has no CUDA";
#endif
      return;
    }
    emu::options().seed = seed_;
    const DeviceError error = on_emulation(run);
    ASSERT_FALSE(error) << name() << ": " << emu::DeviceErrorText(error);
  }

 private:
  TestMachine() = default;
  Parallel* parallel_ = nullptr;
  Precision precision_ = Precision::kFp32;
  unsigned seed_ = 0;
  bool real_ = false;
};

// The emulated device under three orders of blocks and threads.
inline std::vector<TestMachine> EmulatedMachines(Precision precision = Precision::kFp32) {
  return {TestMachine::Emulated(precision, 0), TestMachine::Emulated(precision, 1),
          TestMachine::Emulated(precision, 2)};
}

// Runs operator Name with `args` on a TestMachine; combinations that do not exist (double on a device, BFloat16 on the
// CPU) fail the test.
#define RB_RUN(machine, Name, args)                                    \
  (machine).Run(                                                       \
      [&](Parallel& parallel) {                                        \
        if constexpr (requires { ::rb::cpu::Name(args, parallel); }) { \
          ::rb::cpu::Name(args, parallel);                             \
        } else {                                                       \
          ADD_FAILURE() << "no such operator on the CPU";              \
        }                                                              \
      },                                                               \
      [&](const DeviceRun& run) -> DeviceError {                       \
        if constexpr (requires { ::rb::emu::Name(args, run); }) {      \
          return ::rb::emu::Name(args, run);                           \
        } else {                                                       \
          return {-1};                                                 \
        }                                                              \
      },                                                               \
      [&](const DeviceRun& run) -> DeviceError { return RB_RUN_ON_DEVICE(Name, args); })

#if defined(RB_HAVE_CUDA)
#define RB_RUN_ON_DEVICE(Name, args)                           \
  [&]() -> DeviceError {                                       \
    if constexpr (requires { ::rb::cuda::Name(args, run); }) { \
      return ::rb::cuda::Name(args, run);                      \
    } else {                                                   \
      return {-1};                                             \
    }                                                          \
  }()
#else
#define RB_RUN_ON_DEVICE(Name, args) ((void)run, DeviceError{-1})
#endif

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_MACHINES_H_
