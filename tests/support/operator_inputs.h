// Inputs that several operators share: a batch norm, a prologue, a pooled gradient; each with its reading for the
// oracle.
#ifndef RB_TESTS_SUPPORT_OPERATOR_INPUTS_H_
#define RB_TESTS_SUPPORT_OPERATOR_INPUTS_H_

#include <algorithm>
#include <bit>

#include "kernels/batch_norm.h"
#include "kernels/residual_pool.h"
#include "tests/support/operator_bed.h"
#include "tests/support/oracle.h"

namespace rb::test {

// Weights of an integer case: three of four are zero, so that sums over hundreds of channels stay exact in float.
template <class T>
Tensor<T> DrawnWeights(const ModelSet& models, int64_t count, uint64_t tag, Fill fill) {
  return Drawn<T>(models, count, tag, [&](Draws& draws) {
    if (fill != Fill::kInteger) return draws.Value(fill);
    const int value = draws.Integer(0, 7);
    return value == 0 ? 1.0 : value == 1 ? -1.0 : 0.0;
  });
}

// Mean, rstd, gamma, beta and the backward sums of a batch norm of `channels` channels over rows * positions values.
template <class T>
struct NormInputs {
  NormInputs() = default;
  NormInputs(const ModelSet& models, int channels, int positions, uint64_t tag, Fill fill) {
    const bool exact = fill == Fill::kInteger;
    mean = DrawnValues<T>(models, channels, tag, fill, 1);
    rstd = Drawn<T>(models, channels, tag + 1, [&](Draws& d) { return exact ? d.Integer(1, 2) : d.Uniform(0.5, 2); });
    gamma = DrawnValues<T>(models, channels, tag + 2, fill, 1);
    beta = DrawnValues<T>(models, channels, tag + 3, fill, 1);
    sums = DrawnValues<T>(models, 2 * channels, tag + 4, fill, 1);
    // Divided by the count again: exact where that is a power of two.
    for (int slot = 0; slot < models.slots(); ++slot) {
      const unsigned count = static_cast<unsigned>(models.rows(slot) * positions);
      for (T& value : sums[slot]) value *= !exact ? T(4) : std::has_single_bit(count) ? static_cast<T>(count) : T(0);
    }
  }
  // A batch norm that leaves every value positive: what is dropped is the dropout's choice alone.
  void MakeAlwaysPositive() {
    gamma.Fill(0);
    beta.Fill(1);
  }
  explicit operator bool() const { return static_cast<bool>(mean); }
  oracle::Norm norm(int slot) const {
    return {oracle::Doubles(mean[slot]), oracle::Doubles(rstd[slot]), oracle::Doubles(gamma[slot]),
            oracle::Doubles(beta[slot])};
  }
  NormGrad<T> grad() const { return {mean, rstd, gamma, sums}; }

  Tensor<T> mean, rstd, gamma, beta, sums;
};

// A prologue over [N][positions][channels] with its mask.
template <class T>
struct PrologueInputs {
  PrologueInputs() = default;
  PrologueInputs(const ModelSet& models, int channels, int positions, float rate, uint32_t layer, uint64_t tag,
                 Fill fill)
      : norm(models, channels, positions, tag, fill),
        mask(models.slots(), static_cast<int64_t>(models.batch()) * positions * channels / 32),
        rate(rate),
        layer(layer) {}
  explicit operator bool() const { return static_cast<bool>(norm); }
  Prologue<T> view() const { return {norm.mean, norm.rstd, norm.gamma, norm.beta, rate, layer, mask}; }
  // The activation of a model's x (whole rows).
  oracle::Activation Activate(const oracle::Values& x, const StepState& state, int slot) const {
    return oracle::Activate(oracle::Normalise(x, norm.norm(slot)), state, layer, rate);
  }
  // The mask as an input of a backward operator.
  void WriteMask(const oracle::Activation& activation, int slot) {
    const auto words = mask[slot];
    std::fill(words.begin(), words.end(), 0u);
    for (size_t i = 0; i < activation.kept.size(); ++i)
      words[i / 32] |= static_cast<uint32_t>(activation.on(i)) << (i % 32);
  }

  NormInputs<T> norm;
  Tensor<uint32_t> mask;
  float rate = 0;
  uint32_t layer = 0;
};

// A gradient behind a pooling of `pool` positions, its mask random.
template <class T>
struct PoolGradInputs {
  PoolGradInputs() = default;
  PoolGradInputs(const ModelSet& models, int length, int channels, int pool, uint64_t tag, Fill fill)
      : length(length), channels(channels), pool(pool) {
    dp = DrawnValues<T>(models, static_cast<int64_t>(models.batch()) * (length / pool) * channels, tag, fill);
    mask = Drawn<uint32_t>(models, static_cast<int64_t>(models.batch()) * length * channels / 32, tag + 1,
                           [](Draws& d) { return d.Integer(0, 0xFFFF) * 65536.0 + d.Integer(0, 0xFFFF); });
  }
  explicit operator bool() const { return static_cast<bool>(dp); }
  PoolGrad<T> view() const { return {dp, mask, pool}; }
  oracle::Field Expand(int rows, int slot) const {
    const auto words = mask[slot];
    return oracle::ExpandPool(oracle::Field(oracle::Doubles(dp[slot])), rows, length, channels, pool,
                              [&](size_t i) { return oracle::BitOf(words, i); });
  }

  Tensor<T> dp;
  Tensor<uint32_t> mask;
  int length = 0, channels = 0, pool = 0;
};

// The first rows of a model's tensor as the oracle wants them.
template <class T>
oracle::Values RowsOf(const Tensor<T>& tensor, int slot, int64_t values) {
  return oracle::Doubles(tensor[slot].first(static_cast<size_t>(values)));
}

}  // namespace rb::test

#endif  // RB_TESTS_SUPPORT_OPERATOR_INPUTS_H_
