// The validation of an epoch, for all models in their slots at once and on their machine: fold batch norm, score each
// model's validation rows, compare with their targets. The same scorer and metrics evaluate saved models.
#ifndef RB_MODEL_VALIDATION_H_
#define RB_MODEL_VALIDATION_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/machine.h"
#include "model/folding.h"
#include "model/residualbind.h"
#include "model/train_job.h"

namespace rb {

struct ValidationResult {
  double loss = 0;    // mean squared error, or cross-entropy
  double metric = 0;  // Pearson, or area under the ROC curve
};

class Validation {
 public:
  static absl::StatusOr<std::unique_ptr<Validation>> Create(const TrainConfig& config, const NetworkInput& input,
                                                            int slots, int64_t max_rows,
                                                            PerModel<const float> parameters, Machine& machine);

  absl::Status Load(int slot, const TrainJob& job);
  // Validates the models that are active and whose epoch was finite. Regression never waits for the machine;
  // classification's metrics need sorting, which the host does.
  absl::Status Run(const SlotList& list);
  const double* metrics() const { return machine_metrics_; }  // on the machine, by slot, valid after Run
  // Results of the last Run to the host.
  absl::Status Read();
  size_t allocated() const { return arena_->allocated(); }  // bytes of the machine's memory, but for the scorer's own
  ValidationResult Result(int slot) const { return {loss_[slot], metric_[slot]}; }  // NaN for a model that was left out

 private:
  Validation(const TrainConfig& config, Machine& machine) : config_(config), machine_(machine) {}
  absl::Status Allocate(int slots, int64_t max_rows);
  absl::Status CompareOnHost();

  TrainConfig config_;
  Machine& machine_;
  NetworkInput input_;
  PerModel<const float> parameters_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<ModelsScorer> scorer_;
  Folding folding_;
  int max_rows_ = 0;
  std::vector<std::vector<float>> targets_;  // classification only
  std::vector<double> loss_, metric_;

  // On the machine.
  const FoldNormLayer* machine_layers_ = nullptr;
  PerModel<float> machine_folded_;
  PerModel<int32_t> machine_rows_;
  PerModel<float> machine_targets_, machine_predictions_;
  int32_t* machine_num_rows_ = nullptr;
  double* machine_losses_ = nullptr;
  double* machine_metrics_ = nullptr;
};

}  // namespace rb

#endif  // RB_MODEL_VALIDATION_H_
