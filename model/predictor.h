// Trained models in use: folding batch norm into weights, scoring, evaluation.
#ifndef RB_MODEL_PREDICTOR_H_
#define RB_MODEL_PREDICTOR_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/fold_energies_reader.h"
#include "engine/machine.h"
#include "model/folding.h"
#include "model/model_file.h"

namespace rb {

// A model's folded values, laid out as `folding` says; batch norm folded in double and rounded once.
std::vector<float> FoldBatchNorm(const Folding& folding, const std::vector<float>& parameters);

// InvalidArgument unless the sequences have the network's positions, and structure tracks that serve it (TracksServe).
absl::Status CheckSequences(const Sequences& sequences, const ScorerGeometry& geometry);

struct KmerScan {
  std::vector<EffectMoments> effects;  // [4^k], k-mers in alphabetical order: of f(with) - f(without)
  std::vector<int32_t> order;          // [4^k], the strongest first
};

// InvalidArgument for k-mers that no scan takes, or that do not fit.
absl::Status CheckKmer(int k, int position, int length);

class Predictor {
 public:
  // chosen: energies to fold with, as EnergiesOf takes them (model/structure_tracks.h).
  static absl::StatusOr<Predictor> Create(const ModelFile& model, Precision precision, Machine& machine,
                                          const EnergySet* chosen = nullptr);
  // Gives sequences without structure tracks those that the model takes, if it takes any. FailedPrecondition where
  // EnergiesOf says so; InvalidArgument for sequences that are too long to fold.
  absl::Status AddTracks(Sequences& sequences) const;
  // Predictions of sequences rows[0..n) (all when rows is empty), in the transformed scale (probabilities when
  // classification). The sequences' length must equal the model's, and their tracks must serve it, unless they have
  // none: then they are made first, a block at a time (AddTracks). Baselines take any.
  absl::StatusOr<std::vector<float>> Predict(const Sequences& sequences, std::span<const int32_t> rows = {}) const;
  // Local effects of every k-mer written at `position` over every sequence. drawn: what the sequences were drawn from,
  // if that is so. Models with structure take each sequence with each k-mer, folded. InvalidArgument when the k-mer
  // does not fit or there is no sequence.
  absl::StatusOr<KmerScan> ScanKmers(const Sequences& sequences, int k, int position,
                                     const DrawnSequences* drawn = nullptr,
                                     const std::function<void(double share)>& progress = {}) const;
  const ScorerGeometry& geometry() const { return geometry_; }

 private:
  // Whether structure is to be made for them.
  bool Folds(const Sequences& sequences) const {
    return geometry_.structure > 0 && sequences.structure_channels == 0 && sequences.length == geometry_.length;
  }
  // Whether they can be scored as they are, or folded and then scored.
  absl::Status Check(const Sequences& sequences) const;
  absl::StatusOr<std::vector<float>> PredictFolded(const Sequences& sequences, std::span<const int32_t> rows) const;
  absl::Status ScanFolded(const KmerScanArgs& args, const Sequences& sequences) const;

  ScorerGeometry geometry_;
  std::unique_ptr<Scorer> scorer_;
  bool letters_alone_ = false;  // a baseline: sequences may have tracks, which it does not read
  // Of a model with structure.
  absl::Status folds_;  // or why not
  std::string energies_;
  std::unique_ptr<Folder> folder_;
};

// Metrics of one experiment on the given rows (missing targets dropped). For `published` the targets of each split are
// transformed with that split's own constants, for `paper` with the model's.
struct Evaluation {
  std::string experiment;
  int64_t n = 0;
  double pearson = 0, spearman = 0, mse = 0;
  double auroc = 0, aupr = 0;  // classification only, else NaN
};
// Predictions and targets, in the transformed scale, of those rows that have a target.
struct Scored {
  std::vector<float> predictions, targets;
};
absl::StatusOr<Scored> ScorePresent(const ModelFile& model, const Predictor& predictor, const Dataset& dataset,
                                    const std::vector<int32_t>& rows);
Evaluation MetricsOf(const ModelFile& model, const Scored& scored);
// Both.
absl::StatusOr<Evaluation> Evaluate(const ModelFile& model, const Predictor& predictor, const Dataset& dataset,
                                    const std::vector<int32_t>& rows);

// The transformed targets training and evaluation see for these rows (NaN stays NaN); data sets that are transformed
// already are returned as they are.
absl::StatusOr<std::vector<float>> TransformedTargets(const ModelFile& model, const Dataset& dataset,
                                                      int64_t experiment, const std::vector<int32_t>& rows);

}  // namespace rb

#endif  // RB_MODEL_PREDICTOR_H_
