// The device on which whole runs are tested.
#ifndef RB_TESTS_SUPPORT_DEVICE_MACHINE_H_
#define RB_TESTS_SUPPORT_DEVICE_MACHINE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "engine/backend.h"

namespace rb::test {

// The emulated device, or a real one where RB_TEST_DEVICE asks for it.
inline std::unique_ptr<Machine> DeviceMachine(Precision precision) {
  if (std::getenv("RB_TEST_DEVICE") == nullptr) return MakeEmulatedMachine(precision);
  auto machine = MakeCudaMachine(0, precision);
  EXPECT_TRUE(machine.ok()) << machine.status();
  return machine.ok() ? *std::move(machine) : nullptr;
}

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_DEVICE_MACHINE_H_
