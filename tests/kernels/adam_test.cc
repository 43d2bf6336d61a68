// kernels/adam.h against the same recurrence in double.
#include "kernels/adam.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "tests/support/operator_bed.h"
#include "tests/support/oracle.h"
#include "tests/support/tolerance.h"

namespace rb::test {
namespace {

struct AdamCase {
  DeviceVector<GradientSegment> segments;
  int64_t parameters = 0, gradients = 0;
  int steps = 1;
};
// (size, chunks) of every tensor.
AdamCase SegmentsOf(const std::vector<std::pair<int64_t, int>>& tensors, int steps) {
  AdamCase out;
  out.steps = steps;
  for (const auto& [size, chunks] : tensors) {
    const int64_t padded = (size + 31) / 32 * 32;  // storage is in units of 128 bytes
    out.segments.push_back({out.parameters, size, out.gradients, padded + 32, chunks});
    out.parameters += padded;
    out.gradients += chunks * (padded + 32);
  }
  return out;
}
// Tensors whose sizes are no multiple of a vector, one longer than a task's run, with one, eight and three chunks.
AdamCase Segments(int steps) { return SegmentsOf({{257, 8}, {32, 1}, {20001, 3}, {1, 8}, {8192, 2}, {97, 1}}, steps); }

template <class T>
class AdamSteps {
 public:
  AdamSteps(const ModelSet& models, const AdamCase& shape, Fill fill) : models_(models), shape_(shape), fill_(fill) {
    for (int step = 0; step < shape.steps; ++step) gradients_.push_back(DrawnGradients(step));
    start_ = DrawnValues<T>(models, shape.parameters, 1, fill);
    if (fill == Fill::kInteger) beta1_ = T(0.5), beta2_ = T(0.75), epsilon_ = T(0);
  }
  const ModelSet& models() const { return models_; }
  void Prepare() {
    p_ = Tensor<T>(models_.slots(), shape_.parameters);
    m_ = Tensor<T>(models_.slots(), shape_.parameters);
    v_ = Tensor<T>(models_.slots(), shape_.parameters);
    p_.CopyFrom(start_);
    for (int slot = 0; slot < models_.slots(); ++slot) {
      std::fill(m_[slot].begin(), m_[slot].end(), T(0));
      std::fill(v_[slot].begin(), v_[slot].end(), T(0));
    }
  }
  void Run(const TestMachine& machine) {
    for (int step = 0; step < shape_.steps; ++step) {
      for (int slot = 0; slot < models_.slots(); ++slot) models_.state(slot).adam_alpha = Alpha(step);
      AdamArgs<T> args;
      args.models = models_.models();
      args.segments = shape_.segments.data();
      args.num_segments = static_cast<int>(shape_.segments.size());
      args.beta1 = beta1_, args.beta2 = beta2_, args.epsilon = epsilon_;
      args.gradients = gradients_[step];
      args.parameters = p_, args.m = m_, args.v = v_;
      RB_RUN(machine, Adam, args);
    }
  }
  std::vector<Output> outputs() const {
    return {OutputOf("parameters", p_, models_, 0, shape_.parameters), OutputOf("m", m_, models_, 0, shape_.parameters),
            OutputOf("v", v_, models_, 0, shape_.parameters)};
  }
  void Check(int slot) {
    for (const GradientSegment& segment : shape_.segments) {
      for (int64_t i = 0; i < segment.size; ++i) CheckValue(slot, segment, i);
      for (int64_t i = segment.offset + segment.size; i % 32 != 0; ++i) {  // the padding
        if (fill_ == Fill::kInteger) break;                                // epsilon 0 makes it 0/0 there
        ExpectEqual(p_[slot][i], start_[slot][i], "padding of parameters");
        ExpectEqual(m_[slot][i], T(0), "padding of m");
        ExpectEqual(v_[slot][i], T(0), "padding of v");
      }
    }
  }

 private:
  float Alpha(int step) const {
    if (fill_ == Fill::kInteger) return 0.25f;
    return static_cast<float>(1e-3 * std::sqrt(1 - std::pow(0.999, step + 1)) / (1 - std::pow(0.9, step + 1)));
  }
  // Gradient chunks with NaN between them and zero in the padding; in integer cases the sum is never zero.
  Tensor<T> DrawnGradients(int step) const {
    Tensor<T> out(models_.slots(), shape_.gradients);
    for (int slot = 0; slot < models_.slots(); ++slot) {
      Draws draws(models_.id(slot), 100 + step);
      for (const GradientSegment& s : shape_.segments) {
        for (int chunk = 0; chunk < s.chunks; ++chunk) {
          T* to = &out[slot][s.gradient_offset + chunk * s.chunk_stride];
          for (int64_t i = 0; i < (s.size + 31) / 32 * 32; ++i) to[i] = T(0);
          for (int64_t i = 0; i < s.size; ++i) {
            to[i] = static_cast<T>(fill_ == Fill::kRandom ? draws.Uniform(-1, 1)
                                   : chunk == 0           ? 101
                                                          : draws.Integer(-9, 9));
          }
          if (fill_ == Fill::kInteger && chunk == 0 && s.size > 3) to[2] = T(-101);
        }
      }
    }
    return out;
  }
  // The recurrence with a running bound on the operator's error, first order in u.
  void CheckValue(int slot, const GradientSegment& segment, int64_t i) {
    const double b1 = beta1_, b2 = beta2_;
    double m = 0, v = 0, p = start_[slot][segment.offset + i], m_abs = 0, p_error = 0;
    for (int step = 0; step < shape_.steps; ++step) {
      double g = 0, g_abs = 0;
      for (int chunk = 0; chunk < segment.chunks; ++chunk) {
        const double part = gradients_[step][slot][segment.gradient_offset + chunk * segment.chunk_stride + i];
        g += part;
        g_abs += std::abs(part);
      }
      const double v_error = SumBound<T>(4 + segment.chunks, v) + 2 * SumBound<T>(segment.chunks, std::abs(g) * g_abs);
      m = b1 * m + (1 - b1) * g;
      v = b2 * v + (1 - b2) * g * g;
      m_abs = b1 * m_abs + (1 - b1) * g_abs;
      v_relative_ = v > 0 ? (v_error + b2 * v_relative_ * v) / v : 0;
      const double alpha = Alpha(step), denominator = std::sqrt(v) + static_cast<double>(epsilon_),
                   update = alpha * m / denominator;
      p -= update;
      const double m_error = SumBound<T>(segment.chunks + 2.0 * (step + 1), m_abs);
      p_error += alpha * m_error / denominator + std::abs(update) * v_relative_ +
                 SumBound<T>(6, std::abs(update) + std::abs(p));
    }
    const int64_t at = segment.offset + i;
    const bool exact = fill_ == Fill::kInteger;
    const double depth = segment.chunks + 2.0 * shape_.steps;
    ExpectWithin(m_[slot][at], m, exact ? 0 : SumBound<T>(depth, m_abs), "m");
    ExpectWithin(v_[slot][at], v, exact ? 0 : v * v_relative_, "v");
    ExpectWithin(p_[slot][at], p, exact ? 0 : p_error, "p");
    v_relative_ = 0;
  }

  ModelSet models_;
  AdamCase shape_;
  Fill fill_;
  T beta1_ = T(0.9), beta2_ = T(0.999), epsilon_ = T(1e-7);
  std::vector<Tensor<T>> gradients_;
  Tensor<T> start_, p_, m_, v_;
  double v_relative_ = 0;
};

void CheckAll(const ModelSet& models, int steps, Fill fill) {
  TestParallel parallel;
  AdamSteps<float> in_float(models, Segments(steps), fill);
  RunAndCheck(in_float, parallel);
  AdamSteps<double> in_double(models, Segments(steps), fill);
  RunAndCheck(in_double, parallel);
}

TEST(Adam, FollowsTheRecurrence) {
  CheckAll(OneModel(5), 50, Fill::kRandom);
  CheckAll(ThreeModels(), 3, Fill::kRandom);
  CheckAll(IdleModel(), 2, Fill::kRandom);
}

// One step with powers of two: m = g/2, v = g^2/4, so the parameter moves by alpha exactly.
TEST(Adam, ExactStep) { CheckAll(ThreeModels(), 1, Fill::kInteger); }

TEST(Adam, SameBitsInAnyCompany) {
  for (const ModelSet& models : {ThreeModels(), IdleModel()}) {
    ExpectSameInAnyCompany<AdamSteps<float>>(models, Segments(3), Fill::kRandom);
    ExpectSameInAnyCompany<AdamSteps<double>>(models, Segments(3), Fill::kRandom);
  }
}

TEST(Adam, EveryVectorTarget) {
  ForEachTarget([] {
    CheckAll(ThreeModels(), 4, Fill::kRandom);
    CheckAll(ThreeModels(), 1, Fill::kInteger);
  });
}

TEST(AdamOnDevice, FollowsTheRecurrence) {
  for (const TestMachine& machine : EmulatedMachines()) {
    for (const ModelSet& models : {OneModel(5), ThreeModels(), IdleModel()}) {
      AdamSteps<float> steps(models, Segments(3), Fill::kRandom), exact(models, Segments(1), Fill::kInteger);
      RunAndCheck(steps, machine);
      RunAndCheck(exact, machine);
    }
  }
}

TEST(AdamOnDevice, TinyTensors) {
  AdamSteps<float> steps(IdleModel(), SegmentsOf({{5, 2}, {33, 11}}, 1), Fill::kRandom);
  RunAndCheck(steps, TestMachine::Emulated());
}

// More tensors than a warp has lanes, and more chunks than are loaded at once.
TEST(AdamOnDevice, ManyTensors) {
  std::vector<std::pair<int64_t, int>> tensors(70, {3, 1});
  tensors[40] = {3000, 11};
  for (const TestMachine& machine : EmulatedMachines()) {
    AdamSteps<float> steps(OneModel(3), SegmentsOf(tensors, 1), Fill::kRandom);
    RunAndCheck(steps, machine);
  }
}

TEST(AdamOnDevice, SameBitsInAnyCompany) {
  ExpectSameOnDevice<AdamSteps<float>>(ThreeModels(), Precision::kFp32, Segments(2), Fill::kRandom);
}

}  // namespace
}  // namespace rb::test
