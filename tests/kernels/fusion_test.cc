// Fused equals unfused, bit for bit: batch norm, ReLU and dropout by themselves followed by the plain convolution give
// what the convolution with its prologue gives.
#include <gtest/gtest.h>

#include <span>
#include <type_traits>
#include <vector>

#include "kernels/batch_norm.h"
#include "kernels/dilated_conv.h"
#include "tests/support/comparisons.h"
#include "tests/support/operator_bed.h"
#include "tests/support/test_parallel.h"

namespace rb {
namespace {

template <class T>
struct alignas(128) Line {
  T values[128 / sizeof(T)];
};

// count values on a 128-byte boundary: from [-1, 1), or any bits.
template <class T>
class Tensor {
 public:
  Tensor(int64_t count, uint64_t seed) : count_(count), lines_(count * sizeof(T) / sizeof(Line<T>) + 1) {
    PhiloxStream random(seed);
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        data()[i] = static_cast<T>(2 * random.Uniform() - 1);
      } else {
        data()[i] = random.Next();
      }
    }
  }
  T* data() { return lines_[0].values; }
  PerModel<T> view() { return {data(), count_}; }
  std::span<const T> span() { return {data(), static_cast<size_t>(count_)}; }

 private:
  int64_t count_;
  std::vector<Line<T>> lines_;
};

template <class T>
void FusedEqualsUnfused() {
  constexpr int kRows = 11, kLength = 41, kChannels = 96;
  constexpr int64_t kSize = int64_t{kRows} * kLength * kChannels;
  const DilatedConvGeometry geometry = {kLength, kChannels, kChannels, 3, 4, kRows};
  Tensor<T> x(kSize, 1), a(kSize, 2), fused(kSize, 3), unfused(kSize, 4), w(geometry.weights(), 5);
  Tensor<T> packed(geometry.weights(), 6), mean(kChannels, 7), rstd(kChannels, 8), gamma(kChannels, 9),
      beta(kChannels, 10);
  Tensor<uint32_t> mask(kSize / kPanel, 11), mask_apart(kSize / kPanel, 12);
  const StepState state = {.dropout_key = 77, .step = 3, .rows = kRows};
  const int32_t live = 0;
  const Models models = {&state, &live, 1};
  Prologue<T> prologue = {mean.view(), rstd.view(), gamma.view(), beta.view(), 0.2f, 5, mask.view()};
  test::TestParallel parallel(3);
  cpu::DilatedConvForward<T>({models, geometry, x.view(), prologue, w.view(), packed.view(), fused.view(), {}},
                             parallel);
  prologue.mask = mask_apart.view();
  cpu::BatchNormApply<T>({models, kChannels, kLength, x.view(), prologue, a.view()}, parallel);
  cpu::DilatedConvForward<T>({models, geometry, a.view(), {}, w.view(), packed.view(), unfused.view(), {}}, parallel);
  test::ExpectSameBits(mask.span(), mask_apart.span(), "mask");
  test::ExpectSameBits(fused.span(), unfused.span(), "y");
}

TEST(Fusion, PrologueEqualsItsOwnPass) {
  test::ForEachTarget([] {
    FusedEqualsUnfused<float>();
    FusedEqualsUnfused<double>();
  });
}

}  // namespace
}  // namespace rb
