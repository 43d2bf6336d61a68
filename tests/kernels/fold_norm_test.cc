// kernels/fold_norm.h: the CPU against the formula in extended precision, the device against the CPU bit for bit.
#include "kernels/fold_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/operator_bed.h"

namespace rb::test {
namespace {

struct Layer {
  int rows = 1, channels = 32;  // channels 0: `rows` values are copied
};

// Parameters of one model as the parameter table lays them out, and the folded values behind each other.
template <class T>
class Fold {
 public:
  Fold(const ModelSet& models, const std::vector<Layer>& shape) : models_(models) {
    int64_t parameters = 0, folded = 0;
    const auto take = [](int64_t& at, int64_t values) {
      const int64_t from = at;
      at += (values + 31) / 32 * 32;
      return from;
    };
    for (const Layer& of : shape) {
      FoldNormLayer layer;
      layer.channels = of.channels;
      layer.weights = of.channels == 0 ? of.rows : int64_t{of.rows} * of.channels;
      layer.weight = take(parameters, layer.weights);
      layer.folded_weight = take(folded, layer.weights);
      if (of.channels > 0) {
        layer.gamma = take(parameters, of.channels), layer.beta = take(parameters, of.channels);
        layer.mean = take(parameters, of.channels), layer.variance = take(parameters, of.channels);
        layer.folded_bias = take(folded, of.channels);
      }
      layers_.push_back(layer);
    }
    parameters_ = DrawnValues<T>(models, parameters, 1, Fill::kRandom);
    for (int slot = 0; slot < models.slots(); ++slot) {
      for (const FoldNormLayer& layer : layers_) {
        for (int o = 0; o < layer.channels; ++o) {
          T& variance = parameters_[slot][layer.variance + o];
          variance = std::abs(variance) * (o % 3 == 0 ? T(1e-6) : T(9));
        }
      }
    }
    folded_ = Tensor<T>(models.slots(), folded);
  }
  const ModelSet& models() const { return models_; }
  void Prepare() { folded_.Fill(Poison<T>()); }
  void Run(const TestMachine& machine) {
    const Models models = models_.models();
    const FoldNormArgs<T> args = {models.live, models.count, layers_.data(), static_cast<int>(layers_.size()),
                                  T(kEpsilon), parameters_,  folded_};
    RB_RUN(machine, FoldNorm, args);
  }
  std::vector<Output> outputs() const { return {OutputOf("folded", folded_, models_, 0, folded_.count())}; }
  void Check(int slot) {
    const auto p = parameters_[slot];
    const auto folded = folded_[slot];
    int64_t end = 0;
    for (const FoldNormLayer& layer : layers_) {
      for (; end < layer.folded_weight; ++end) ExpectEqual(std::isnan(folded[end]), true, "between tensors");
      for (int64_t i = 0; i < layer.weights; ++i) {
        const long double want = p[layer.weight + i] * (layer.channels ? Scale(slot, layer, i % layer.channels) : 1);
        // One rounding to float; those in double are 2^-29 of it each.
        ExpectWithin(folded[layer.folded_weight + i], static_cast<double>(want),
                     static_cast<double>(std::abs(want)) * kHalfUlp, "weight");
      }
      end = layer.folded_weight + layer.weights;
      if (layer.channels == 0) continue;
      for (; end < layer.folded_bias; ++end) ExpectEqual(std::isnan(folded[end]), true, "between tensors");
      for (int o = 0; o < layer.channels; ++o) {
        const long double shift = p[layer.mean + o] * Scale(slot, layer, o), beta = p[layer.beta + o];
        const double bound = static_cast<double>(std::abs(beta - shift)) * kHalfUlp +
                             static_cast<double>(std::abs(beta) + std::abs(shift)) * std::ldexp(1.0, -50);
        ExpectWithin(folded[layer.folded_bias + o], static_cast<double>(beta - shift), bound, "bias");
      }
      end = layer.folded_bias + layer.channels;
    }
  }

 private:
  static constexpr float kEpsilon = 1e-3f;
  static constexpr double kHalfUlp = 0x1.00001p-24;
  long double Scale(int slot, const FoldNormLayer& layer, int64_t o) const {
    const auto p = parameters_[slot];
    return p[layer.gamma + o] / std::sqrt(static_cast<long double>(p[layer.variance + o]) + kEpsilon);
  }

  ModelSet models_;
  DeviceVector<FoldNormLayer> layers_;
  Tensor<T> parameters_, folded_;
};

// A first layer, convolutions, a dense layer and the head's copy; more channels than a block has threads.
const std::vector<Layer> kSmall = {{3, 32}, {257, 0}}, kNetwork = {{44, 96}, {288, 96}, {100, 256}, {257, 0}},
                         kWide = {{5, 1024}, {2, 9216}, {1, 0}};

TEST(FoldNorm, EqualsTheFormula) {
  TestParallel parallel(2);
  for (const auto& shape : {kSmall, kNetwork, kWide}) {
    Fold<float> c(ThreeModels(), shape);
    RunAndCheck(c, parallel);
  }
}

TEST(FoldNormOnDevice, TinyAndSmallHaveTheBitsOfTheCpu) {
  TestParallel parallel;
  for (const auto& shape : {kSmall, kNetwork, kWide}) {
    const ModelSet models = ThreeModels();
    Fold<float> on_cpu(models, shape);
    RunAndCheck(on_cpu, parallel);
    for (const TestMachine& machine : EmulatedMachines()) {
      Fold<float> on_device(models, shape);
      RunAndCheck(on_device, machine);
      for (int slot = 0; slot < models.slots(); ++slot) {
        if (models.Active(slot)) ExpectSameOutputs(on_cpu, slot, on_device, slot, machine.name());
      }
    }
  }
}

TEST(FoldNormOnDevice, SameBitsInAnyCompany) {
  ExpectSameOnDevice<Fold<float>>(ThreeModels(), Precision::kFp32, kNetwork);
}

}  // namespace
}  // namespace rb::test
