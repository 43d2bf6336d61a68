// Models trained and scored on random sequences, for timing: what a step or a prediction takes does not depend on the
// sequences. The operators, their order and the memory are those of a real run (model/lockstep.h).
#ifndef RB_APPS_TRAIN_SYNTHETIC_H_
#define RB_APPS_TRAIN_SYNTHETIC_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/machine.h"
#include "model/folding.h"
#include "model/residualbind.h"
#include "model/shape.h"

namespace rb::apps {

struct SyntheticOptions {
  Shape shape;
  int models = 1, batch = 100;
  int64_t sequences = 241'357;  // probes of the 2013 set
  int train_rows = 108'000;     // about what an experiment of it trains on
  int group = 0;                // models that one launch covers; 0: as many as the machine wants
};

struct FoldedModels {
  FoldedOffsets offsets;
  PerModel<float> values;
};

class SyntheticTraining {
 public:
  static absl::StatusOr<std::unique_ptr<SyntheticTraining>> Create(const SyntheticOptions& options, Machine& machine);

  // One training step of all models, at most steps_per_epoch() of them between two Rewinds.
  absl::Status Step();
  absl::StatusOr<std::unique_ptr<Program>> NewStep();
  int64_t steps_per_epoch() const { return options_.train_rows / options_.batch; }
  // Back to the first batch of an epoch.
  absl::Status Rewind();
  // Waits for all that was started, then: the first model's mean loss since Rewind.
  absl::StatusOr<double> Wait();

  // All models with batch norm folded into their weights.
  absl::StatusOr<FoldedModels> Fold();
  // Scoring of `rows` sequences by every model, batch norm folded once here.
  absl::StatusOr<std::unique_ptr<Program>> NewScoring(Precision precision, int rows);

  const NetworkInput& input() const { return input_; }
  const int32_t* live() const { return list_.live; }

 private:
  SyntheticTraining(const SyntheticOptions& options, Machine& machine) : options_(options), machine_(machine) {}
  absl::Status UploadSequences();
  absl::Status UploadSlots();

  SyntheticOptions options_;
  Machine& machine_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<Network<float>> net_;
  std::unique_ptr<ModelsScorer> scorer_;
  NetworkInput input_;
  BatchSource source_;
  SlotList list_;
  StepState* states_ = nullptr;
  int64_t* tick_ = nullptr;
  int32_t* num_rows_ = nullptr;  // to score
};

}  // namespace rb::apps

#endif  // RB_APPS_TRAIN_SYNTHETIC_H_
