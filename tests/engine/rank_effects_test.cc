#include "engine/rank_effects.h"

#include <gtest/gtest.h>

#include <limits>
#include <span>
#include <vector>

#include "kernels/philox.h"
#include "tests/support/comparisons.h"
#include "tests/support/device_memory.h"
#include "tests/support/machines.h"

namespace rb {
namespace {

using test::DeviceVector;
using test::ExpectSameBits;

// The order by the CPU and by the test's device.
void ExpectOrder(const DeviceVector<EffectMoments>& effects, const std::vector<int32_t>& expected) {
  for (const bool on_device : {false, true}) {
    DeviceVector<int32_t> order(effects.size(), -1);
    const RankEffectsArgs<float> args = {effects.data(), static_cast<int32_t>(effects.size()), order.data()};
    if (on_device) {
      test::TestMachine::Emulated().Run([](Parallel&) {},
                                        [&](const DeviceRun& run) { return emu::RankEffects(args, run); },
                                        [&](const DeviceRun& run) { return RB_RUN_ON_DEVICE(RankEffects, args); });
    } else {
      cpu::RankEffects(args);
    }
    ExpectSameBits(std::span<const int32_t>(order), std::span<const int32_t>(expected), on_device ? "device" : "cpu");
  }
}

TEST(RankEffects, StrongestFirstTiesInOrderNoNumbersLast) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  ExpectOrder({{0, 1}, {nan, 0}, {-inf, 0}, {2, 0}, {0, 5}, {inf, 0}, {nan, 1}, {2, 0}, {-0.0, 2}},
              {5, 3, 7, 0, 4, 8, 2, 1, 6});
  ExpectOrder({{1, 0}}, {0});
}

TEST(RankEffects, ManyWithFewValues) {
  PhiloxStream random(3);
  DeviceVector<EffectMoments> effects(70'000);
  std::vector<std::vector<int32_t>> by_value(9);
  for (size_t i = 0; i < effects.size(); ++i) {
    const uint32_t value = random.Below(9);
    effects[i].mean = static_cast<double>(value) - 4;
    by_value[value].push_back(static_cast<int32_t>(i));
  }
  std::vector<int32_t> expected;
  for (size_t value = by_value.size(); value-- > 0;) {
    expected.insert(expected.end(), by_value[value].begin(), by_value[value].end());
  }
  ExpectOrder(effects, expected);
}

}  // namespace
}  // namespace rb
