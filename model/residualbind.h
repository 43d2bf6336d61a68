// ResidualBind for M models at once: parameters, activations and gradients on one machine, Forward and Backward reading
// like the paper's list of layers.
#ifndef RB_MODEL_RESIDUALBIND_H_
#define RB_MODEL_RESIDUALBIND_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/backend.h"
#include "model/parameter_table.h"
#include "model/shape.h"

namespace rb {

// Sequences on the machine: bases [sequences][PackedWords(L)], tracks [sequences][L][S] (null when S == 0).
struct NetworkInput {
  const uint32_t* bases = nullptr;
  const float* tracks = nullptr;
};

// Where mini-batches come from, on the machine, by slot (kernels/gather.h).
struct BatchSource {
  PerModel<const int32_t> training_rows;
  const int32_t* num_rows = nullptr;
  const float* const* targets = nullptr;
};

// What a training loop needs of ResidualBind, whatever its activations are stored as, and then saliency.
template <class T>
class Network {
 public:
  virtual ~Network() = default;
  // Gathers the mini-batch of every live model and trains on it.
  virtual absl::Status Train(const Models& models, const BatchSource& source) = 0;
  // Ends the training of a network of one model. Batch norm becomes the fixed map of the running statistics that the
  // parameters hold now: no statistics of a batch, and no gradient through them.
  virtual absl::Status FreezeBatchNorm() = 0;
  // After it, over the mini-batch in rows(): predictions() and each one's derivative by its own input channels,
  // dx[N][L][4+S], before any sigmoid. The shape's dropout rates must be 0.
  virtual absl::Status Differentiate(const Models& models, PerModel<T> dx) = 0;
  virtual const ParameterTable& table() const = 0;
  virtual PerModel<T> parameters() = 0;  // table().storage() values a model
  virtual PerModel<T> adam_m() = 0;
  virtual PerModel<T> adam_v() = 0;
  virtual PerModel<int32_t> rows() = 0;   // [batch] sequences of the mini-batch
  virtual PerModel<T> predictions() = 0;  // [batch], outputs before any sigmoid
  virtual PerModel<double> losses() = 0;  // [kBatchChunks]; their sum is the batch's mean loss
  virtual size_t allocated() const = 0;   // bytes of the machine's memory
};

// The network of a machine that trains in float: a Backend<float> or a Backend<float, BFloat16>.
absl::StatusOr<std::unique_ptr<Network<float>>> NewNetwork(const Shape& shape, int models, int batch,
                                                           const NetworkInput& input, Machine& machine);

template <class T, class A = T>
class ResidualBind : public Network<T> {
 public:
  using Input = NetworkInput;

  // batch: most rows of a mini-batch. Allocates everything; nothing is allocated later.
  static absl::StatusOr<std::unique_ptr<ResidualBind>> Create(const Shape& shape, int models, int batch,
                                                              const Input& input, Backend<T, A>& backend);

  // models: how many slots; activations and gradients are one workspace that passes share when the backend wants one
  // model a pass, so that a further model costs its parameters and Adam's moments only.
  int models_per_pass() const { return models_per_pass_; }

  // One training pass, of at most models_per_pass() models, over the mini-batch in rows() / targets() of every live
  // model: Forward ends with loss, predictions and the head's gradients; Backward fills all gradients; Update applies
  // Adam.
  absl::Status Forward(const Models& models);
  absl::Status Backward(const Models& models);
  absl::Status Update(const Models& models);
  // All three for every live model, in passes of models_per_pass().
  absl::Status Step(const Models& models);
  absl::Status Train(const Models& models, const BatchSource& source) override;
  absl::Status FreezeBatchNorm() override;
  absl::Status Differentiate(const Models& models, PerModel<T> dx) override;
  // After Forward and Backward: gradient with respect to the input channels, dx[N][L][4+S].
  absl::Status InputGradient(const Models& models, PerModel<T> dx);

  // Forward then makes the gradient of the prediction itself instead of the loss.
  void set_output_gradient(bool on) { output_gradient_ = on; }

  const Shape& shape() const { return shape_; }
  const ParameterTable& table() const override { return table_; }
  int batch() const { return batch_; }
  PerModel<T> parameters() override { return parameters_; }
  PerModel<T> adam_m() override { return m_; }
  PerModel<T> adam_v() override { return v_; }
  PerModel<T> gradients() { return gradients_; }  // table().gradient_storage() values a model
  PerModel<int32_t> rows() override { return rows_; }
  PerModel<T> targets() { return targets_; }  // [batch]
  PerModel<T> predictions() override { return out_; }
  PerModel<double> losses() override { return loss_; }
  size_t allocated() const override { return arena_->allocated(); }

 private:
  ResidualBind(const Shape& shape, int batch, const Input& input, Backend<T, A>& backend);
  absl::Status Allocate(int models);
  struct Norm;  // one batch norm: its parameters, statistics and sums
  Norm NormOf(int layer) const;
  std::string LayerName(int layer) const;  // "embed", "conv1", .., "dense"
  Prologue<T> PrologueOf(int layer) const;
  EmbedConvGeometry EmbedGeometry() const;
  DilatedConvGeometry ConvGeometry(int layer) const;
  EmbedConvBackwardArgs<T, A> EmbedBackward(const Models& models) const;
  PerModel<T> Parameter(const std::string& name) const;
  PerModel<T> Gradient(const std::string& name) const;
  // Null when batch norm is frozen: only the data's gradient is wanted then.
  PerModel<T> WeightGradient(const std::string& name) const { return frozen_ ? PerModel<T>{} : Gradient(name); }
  absl::Status FinalizeNorm(const Models& models, int layer, int channels, int positions);
  absl::Status FinalizeNormGrad(const Models& models, int layer, int channels);

  Shape shape_;
  ParameterTable table_;
  std::vector<GradientSegment> segments_;
  const GradientSegment* machine_segments_ = nullptr;
  int batch_;
  int models_ = 1, models_per_pass_ = 1;
  Input input_;
  Backend<T, A>& backend_;
  std::unique_ptr<Arena> arena_;
  bool output_gradient_ = false, frozen_ = false;

  PerModel<T> parameters_, m_, v_, gradients_;
  PerModel<int32_t> rows_;
  PerModel<T> targets_, out_;
  PerModel<double> loss_;
  std::vector<PerModel<A>> y_;            // raw outputs of layer 1 and of each residual convolution, [N][L][C]
  std::vector<PerModel<uint32_t>> mask_;  // ReLU-and-kept bits of layer 1 and the inner convolutions
  PerModel<uint32_t> pool_in_mask_, pool_out_mask_;
  PerModel<A> dz_[2];  // by layer % 2; one memory where the machine convolves in place
  PerModel<T> p_, dp_, z_, dh_;
  PerModel<T> moments_, chunk_sums_, statistics_;
  PerModel<T> packed_;
  int64_t norm_stride_ = 0;
};

}  // namespace rb

#endif  // RB_MODEL_RESIDUALBIND_H_
