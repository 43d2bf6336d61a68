// What all figures of `reproduce` share: flags, models, data, the questions put to models, and what is to be written.
#ifndef RB_APPS_REPRODUCE_STAGE_H_
#define RB_APPS_REPRODUCE_STAGE_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/flags.h"
#include "apps/common/outputs.h"
#include "apps/common/reporter.h"
#include "apps/gia/tables.h"
#include "apps/plot/pictures.h"
#include "apps/reproduce/anchors.h"
#include "data/dataset.h"
#include "data/split.h"
#include "gia/alignment_motif.h"
#include "model/predictor.h"

namespace rb::apps {

struct ReproduceFlags {
  CommonFlags common;
  std::string figure, data, out, published, motifs, experiment, motif;
  std::vector<std::string> models, formats;
  int64_t null_n = 1000;
};

// A part of an experiment's measurements, with what a model says of it.
struct TestPart {
  std::vector<int32_t> rows;  // of the test set, with a score
  Scored scored;
};

class Stage {
 public:
  Stage(const ReproduceFlags& flags, std::vector<LoadedModel> models, OpenedMachine machine);

  const ReproduceFlags& flags() const { return flags_; }
  const std::vector<LoadedModel>& models() const { return models_; }
  OpenedMachine& machine() { return machine_; }
  Reporter& reporter() { return reporter_; }
  const Dataset& dataset() const { return *dataset_; }
  bool published() const { return flags_.common.preset == "published"; }
  plot::Style Titled(const std::string& title) const;

  // Reads --data: these experiments, in positions of the models. NotFound says which models would be wanted.
  absl::Status ReadData(const std::vector<std::string>& experiments);
  // Structure for the models that take it.
  absl::Status AddTracks();
  // The model of an experiment that looks at letters only, if there is one, of several the first. NotFound with the
  // command that trains it.
  absl::StatusOr<const LoadedModel*> ModelOf(const std::string& experiment) const;
  // The first such model of every experiment, in the models' order.
  std::vector<const LoadedModel*> OneOfEach() const;
  absl::StatusOr<Predictor> Open(const LoadedModel& model) {
    return OpenPredictor(model.file, flags_.common, machine_);
  }
  // The probes of the test set and their scores, measured and predicted, in the transformed scale.
  absl::StatusOr<TestPart> Test(const LoadedModel& model, const Predictor& predictor) const;

  // gia's answers to these experiments; the motif is the strongest 6-mer where it is empty, for custom it is embeddings
  // that are asked. One model's answers to several calls are one under the same `name`.
  absl::StatusOr<GiaAnswers> Ask(const LoadedModel& model, const std::vector<std::string>& experiments,
                                 const std::string& motif, const std::vector<std::string>& embed = {});
  // gia's tables of these answers stand beside the pictures, in the folder gia.
  void Tell(GiaAnswers answers);

  // A picture, or "no picture" with its reason when there was nothing to draw.
  absl::Status Show(const std::string& name, const absl::StatusOr<plot::Drawing>& drawing);
  void Keep(const std::string& file, std::string content);
  // What was found for an anchor. `reason`: why it is not to be compared.
  void Find(const std::string& key, Finding finding) { findings_[key] = std::move(finding); }
  // The same for a number of one model, which must be of that experiment and motif.
  void FindOf(const LoadedModel& model, const std::string& key, double value);

  // Everything, run.json aside; --overwrite is needed for what is there.
  absl::Status Write();
  std::string Verdicts() const { return AnchorsText(flags_.figure, findings_, missing_); }
  // What is said of anchors for which nothing was found.
  void SetMissing(const std::string& reason) { missing_ = reason; }
  // Anchors of one experiment do not hold for questions about another motif.
  void SetOtherMotif(const std::string& reason) { other_motif_ = reason; }

 private:
  const ReproduceFlags& flags_;
  std::vector<LoadedModel> models_;
  OpenedMachine machine_;
  Reporter reporter_;
  std::optional<Dataset> dataset_;
  std::map<std::string, Finding> findings_;
  std::vector<std::pair<std::string, std::string>> files_;  // name in --out, content
  std::vector<GiaPart> parts_;
  std::string missing_ = "not found in this run", other_motif_;
};

// "trained 100 epochs with log": what a found number depends on.
std::string TrainingNote(const ModelFile& model);
// The command that trains a model of an experiment, into a folder of its own, so that it replaces nothing.
std::string TrainCommand(const ReproduceFlags& flags, const std::string& experiment);
// `log sequence`, `clip PU`: which of the paper's runs a model belongs to.
std::string RunName(const ModelFile& model);
inline bool IsSequenceOnly(const LoadedModel& model) { return model.file.config.shape.structure == 0; }

// A question's effect as pictures want it; `values`: with the local effects behind it.
plot::Estimate EstimateOf(const ExperimentResult& result, size_t question, bool values);
std::vector<float> LocalEffects(const ExperimentResult& result, size_t question);
// The experiment of that name among the answers; RB_CHECKed.
const ExperimentResult& ResultOf(const GiaAnswers& answers, const std::string& experiment);
// The alignment motif of a scan.
absl::StatusOr<AlignmentMotif> AlignedMotif(const GiaAnswers& answers, bool published, const std::string& name);
// The motif's place among all k-mers of its length, 1 the strongest; 0 where none of them was scanned.
int64_t RankOf(const GiaAnswers& answers, const std::string& motif);

// The figures: each asks, draws and keeps.
absl::Status ReproduceFigure1(Stage& stage);
absl::Status ReproduceFigure2(Stage& stage);
absl::Status ReproduceFigure3(Stage& stage);
absl::Status ReproduceFigure4(Stage& stage);
absl::Status ReproduceTableS1(Stage& stage);

}  // namespace rb::apps

#endif  // RB_APPS_REPRODUCE_STAGE_H_
