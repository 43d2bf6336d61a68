// How the checking machine compares one tensor of both machines.
#ifndef RB_ENGINE_CHECK_COMPARER_H_
#define RB_ENGINE_CHECK_COMPARER_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "engine/machine.h"

namespace rb {

// How far one operator's results may be apart, as a part of the largest magnitude of the same tensor of the same model.
// Both machines round sums of up to 2^12 terms of like size at every addition: 2^-24 * 2^11 for fp32; operands rounded
// to 11 and 8 significant bits add their unit roundoff, amplified where a batch norm divides by a small deviation.
inline double CheckTolerance(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return std::ldexp(1.0, -13);
    case Precision::kTf32:
      return std::ldexp(1.0, -8);
    case Precision::kBf16:
      return std::ldexp(1.0, -4);
  }
  return 0;
}

// Compares one tensor of both machines; "" when they agree.
class Comparer {
 public:
  explicit Comparer(Precision precision) : tolerance_(CheckTolerance(precision)) {}

  // `values` values, `stride` of them a model (0: all one).
  template <class V>
  std::string Compare(const V* cpu, const V* device, int64_t values, int64_t stride) const {
    if (stride <= 0) stride = values;
    for (int64_t first = 0; first < values; first += stride) {
      const int64_t count = std::min(stride, values - first);
      const std::string text = CompareModel(cpu + first, device + first, count);
      if (!text.empty()) return absl::StrCat("model ", first / stride, ", ", text);
    }
    return "";
  }

 private:
  template <class V>
  std::string CompareModel(const V* cpu, const V* device, int64_t count) const {
    if constexpr (std::is_same_v<V, uint32_t>) {
      return CompareBits(cpu, device, count);
    } else if constexpr (std::is_same_v<V, ModelSlot>) {
      return CompareSlot(*cpu, *device);
    } else if constexpr (std::is_same_v<V, StepState>) {
      const bool same = cpu->step == device->step && cpu->rows == device->rows && cpu->first == device->first &&
                        cpu->dropout_key == device->dropout_key && cpu->epoch_key == device->epoch_key &&
                        std::abs(cpu->adam_alpha - device->adam_alpha) <= std::ldexp(cpu->adam_alpha, -23);
      return same ? "" : "the step's state differs";
    } else if constexpr (std::is_integral_v<V>) {
      for (int64_t i = 0; i < count; ++i) {
        if (cpu[i] != device[i]) return Difference(i, cpu[i], device[i], 0);
      }
      return "";
    } else {
      return CompareValues(cpu, device, count);
    }
  }
  template <class V>
  std::string CompareValues(const V* cpu, const V* device, int64_t count) const {
    double largest = 0;
    for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(static_cast<double>(cpu[i])));
    const double allowed = tolerance_ * largest;
    for (int64_t i = 0; i < count; ++i) {
      const double a = static_cast<double>(cpu[i]), b = static_cast<double>(device[i]);
      const bool same = std::abs(a - b) <= allowed || (std::isnan(a) && std::isnan(b));
      if (!same) return Difference(i, a, b, allowed);
    }
    return "";
  }
  // Bits of activations: rounding may flip those of values near zero, few of all.
  std::string CompareBits(const uint32_t* cpu, const uint32_t* device, int64_t count) const {
    int64_t different = 0;
    for (int64_t i = 0; i < count; ++i) different += std::popcount(cpu[i] ^ device[i]);
    const double allowed = 4 + tolerance_ * 32.0 * static_cast<double>(count);
    if (static_cast<double>(different) <= allowed) return "";
    return absl::StrCat(different, " of ", 32 * count, " bits differ; at most ", static_cast<int64_t>(allowed), " may");
  }
  std::string CompareSlot(const ModelSlot& cpu, const ModelSlot& device) const {
    const bool same = cpu.active == device.active && cpu.finite == device.finite && cpu.saved == device.saved &&
                      cpu.step == device.step && cpu.schedule.epoch == device.schedule.epoch &&
                      cpu.beta1_power == device.beta1_power && cpu.beta2_power == device.beta2_power &&
                      std::abs(cpu.loss_sum - device.loss_sum) <= tolerance_ * std::abs(cpu.loss_sum);
    return same || !cpu.finite ? "" : "the slot's state differs";
  }
  template <class V>
  static std::string Difference(int64_t i, V cpu, V device, double allowed) {
    return absl::StrCat("value ", i, ": ", cpu, " on the CPU, ", device, " on the device, allowed difference ",
                        allowed);
  }

  double tolerance_;
};

}  // namespace rb

#endif  // RB_ENGINE_CHECK_COMPARER_H_
