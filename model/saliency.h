// Gradient saliency: the derivative of a prediction by its one-hot input, by the operators that train.
//
// In inference mode: batch norm is the fixed map of its running statistics, nothing is dropped. So the derivative is
// that of the function that Predictor computes, and a sequence's does not depend on those beside it.
#ifndef RB_MODEL_SALIENCY_H_
#define RB_MODEL_SALIENCY_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "engine/machine.h"
#include "model/model_file.h"
#include "model/residualbind.h"

namespace rb {

class Saliency {
 public:
  // block: most sequences that go through the network at once; 0 takes as many as the bound on memory allows, and no
  // other number takes more. Results do not depend on it. `machine` must outlive the object.
  static absl::StatusOr<std::unique_ptr<Saliency>> Create(const ModelFile& model, Machine& machine, int block = 0);

  // [N][L][4+S]: d prediction / d input channel, in the scale of Predictor (probabilities when classification). Also at
  // padded and unknown positions, whose one-hot column is zero: there it says what a letter would begin to do.
  absl::StatusOr<std::vector<float>> Gradients(const Sequences& sequences);

 private:
  Saliency(const Shape& shape, Machine& machine, int block)
      : shape_(shape), machine_(machine), arena_(machine.NewArena()), block_(block) {}
  absl::Status Prepare(const std::vector<float>& parameters);
  // Of the sequences first .. first+count-1, count at most block_.
  absl::Status RunBlock(const Sequences& sequences, const std::vector<float>& tracks, int64_t first, int count,
                        float* gradients);

  Shape shape_;  // without dropout
  Machine& machine_;
  std::unique_ptr<Arena> arena_;
  int block_;
  std::unique_ptr<Network<float>> net_;

  // On the machine.
  uint32_t* bases_ = nullptr;
  float* tracks_ = nullptr;
  StepState* state_ = nullptr;
  int32_t* live_ = nullptr;
  PerModel<float> dx_;
};

}  // namespace rb

#endif  // RB_MODEL_SALIENCY_H_
