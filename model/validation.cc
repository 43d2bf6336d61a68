#include "model/validation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/check.h"
#include "model/upload.h"

namespace rb {
namespace {

// Mean of -[t log p + (1 - t) log(1 - p)]; probabilities are kept 1e-7 from 0 and 1, as Keras does.
double MeanCrossEntropy(const std::vector<float>& p, const std::vector<float>& t) {
  double sum = 0;
  for (size_t i = 0; i < t.size(); ++i) {
    const double q = std::clamp(static_cast<double>(p[i]), 1e-7, 1 - 1e-7);
    sum -= t[i] * std::log(q) + (1 - static_cast<double>(t[i])) * std::log(1 - q);
  }
  return sum / static_cast<double>(t.size());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Validation>> Validation::Create(const TrainConfig& config, const NetworkInput& input,
                                                               int slots, int64_t max_rows,
                                                               PerModel<const float> parameters, Machine& machine) {
  std::unique_ptr<Validation> validation(new Validation(config, machine));
  validation->input_ = input;
  validation->parameters_ = parameters;
  validation->folding_ = FoldingOf(config.shape);
  RB_RETURN_IF_ERROR(validation->Allocate(slots, max_rows));
  return validation;
}

absl::Status Validation::Allocate(int slots, int64_t max_rows) {
  arena_ = machine_.NewArena();
  max_rows_ = static_cast<int>(max_rows);
  loss_.resize(static_cast<size_t>(slots));
  metric_.resize(loss_.size());
  targets_.resize(loss_.size());
  RB_ASSIGN_OR_RETURN(machine_layers_, UploadNew(machine_, *arena_, folding_.layers, "folding table"));
  RB_ASSIGN_OR_RETURN(machine_folded_, arena_->AllocatePerModel<float>(slots, folding_.size, "folded weights"));
  RB_ASSIGN_OR_RETURN(machine_rows_, arena_->AllocatePerModel<int32_t>(slots, max_rows, "validation rows"));
  RB_ASSIGN_OR_RETURN(machine_targets_, arena_->AllocatePerModel<float>(slots, max_rows, "validation targets"));
  RB_ASSIGN_OR_RETURN(machine_predictions_, arena_->AllocatePerModel<float>(slots, max_rows, "validation predictions"));
  RB_ASSIGN_OR_RETURN(machine_num_rows_, arena_->Allocate<int32_t>(slots, "numbers of validation rows"));
  RB_ASSIGN_OR_RETURN(machine_losses_, arena_->Allocate<double>(slots, "validation losses"));
  RB_ASSIGN_OR_RETURN(machine_metrics_, arena_->Allocate<double>(slots, "validation metrics"));
  RB_ASSIGN_OR_RETURN(scorer_, machine_.NewModelsScorer(GeometryOf(config_.shape), folding_.offsets, config_.precision,
                                                        slots, max_rows));
  return absl::OkStatus();
}

absl::Status Validation::Load(int slot, const TrainJob& job) {
  RB_CHECK(static_cast<int>(job.valid_rows.size()) <= max_rows_);
  if (config_.shape.classification) targets_[slot] = job.valid_targets;
  RB_RETURN_IF_ERROR(UploadAll(machine_, machine_rows_[slot], job.valid_rows));
  return UploadAll(machine_, machine_targets_[slot], job.valid_targets);
}

absl::Status Validation::Run(const SlotList& list) {
  RB_RETURN_IF_ERROR(machine_.BeginValidation({list, machine_num_rows_}));
  const int count = list.num_slots;
  RB_RETURN_IF_ERROR(machine_.FoldNorm({list.live, count, machine_layers_, static_cast<int>(folding_.layers.size()),
                                        kBatchNormEpsilon, parameters_, machine_folded_}));
  RB_RETURN_IF_ERROR(scorer_->Score({list.live, count, machine_folded_, input_.bases, input_.tracks, machine_rows_,
                                     machine_num_rows_, max_rows_, machine_predictions_}));
  if (config_.shape.classification) return CompareOnHost();
  return machine_.PairMetrics(
      {list.live, count, machine_num_rows_, machine_predictions_, machine_targets_, machine_metrics_, machine_losses_});
}

absl::Status Validation::CompareOnHost() {
  std::vector<int32_t> num_rows(loss_.size());
  RB_RETURN_IF_ERROR(machine_.Download(num_rows.data(), machine_num_rows_, num_rows.size() * sizeof(int32_t)));
  for (size_t slot = 0; slot < loss_.size(); ++slot) {
    loss_[slot] = metric_[slot] = std::numeric_limits<double>::quiet_NaN();
    if (num_rows[slot] == 0) continue;
    const std::vector<float>& targets = targets_[slot];
    std::vector<float> predictions(targets.size());
    RB_RETURN_IF_ERROR(machine_.Download(predictions.data(), machine_predictions_[static_cast<int64_t>(slot)],
                                         predictions.size() * sizeof(float)));
    metric_[slot] = cpu::AreaUnderRoc(predictions.data(), targets.data(), static_cast<int64_t>(targets.size()));
    loss_[slot] = MeanCrossEntropy(predictions, targets);
  }
  RB_RETURN_IF_ERROR(UploadAll(machine_, machine_losses_, loss_));
  return UploadAll(machine_, machine_metrics_, metric_);
}

absl::Status Validation::Read() {
  RB_RETURN_IF_ERROR(machine_.Download(loss_.data(), machine_losses_, loss_.size() * sizeof(double)));
  return machine_.Download(metric_.data(), machine_metrics_, metric_.size() * sizeof(double));
}

}  // namespace rb
