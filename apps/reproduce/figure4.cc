// Figure 4: GC content to the right of a motif.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"
#include "apps/plot/axes.h"
#include "apps/reproduce/pieces.h"
#include "apps/reproduce/stage.h"
#include "data/alphabet.h"
#include "data/sequence_letters.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

constexpr char kExample[] = "RNCMPT00112", kExampleMotif[] = "UUAUUU";

// Asked for, or the notebook's, or else the first there is.
absl::StatusOr<const LoadedModel*> ExampleOf(Stage& stage) {
  const std::string& asked = stage.flags().experiment;
  const auto example = stage.ModelOf(asked.empty() ? kExample : asked);
  if (example.ok() || !asked.empty()) return example;
  const std::vector<const LoadedModel*> all = stage.OneOfEach();
  if (all.empty()) return example;
  stage.reporter().Say("example",
                       absl::StrCat("no model of ", kExample, ", the notebook's example: ", all[0]->file.experiment,
                                    " stands for it; to train it: ", TrainCommand(stage.flags(), kExample)));
  return all[0];
}

absl::Status Example(Stage& stage, const LoadedModel& model, GiaAnswers answers) {
  const ExperimentResult& gc = ResultOf(answers, "gc");
  const std::string& name = model.file.experiment;
  const std::string& pattern = gc.effects[0].pattern;
  const std::string motif = pattern.substr(0, pattern.find('@'));
  if (motif != kExampleMotif) stage.SetOtherMotif(absl::StrCat("about ", motif, ", not ", kExampleMotif));
  const char* keys[] = {"motif", "right", "", "motif right", "motif left"};
  plot::GcData data;
  for (size_t i = 0; i < 5; ++i) {
    data.effects.push_back(EstimateOf(gc, i, true));
    if (*keys[i] != '\0') stage.FindOf(model, keys[i], Median(data.effects.back().values));
  }
  for (const RatioValue& ratio : gc.ratios) {
    data.notes.push_back(absl::StrCat(ratio.label, ": ", plot::Short(ratio.value), " of the motif's effect"));
  }
  const std::string shown = InAlphabet(motif, stage.flags().common.dna());
  RB_RETURN_IF_ERROR(stage.Show("figure4c_effects", DrawGc(data, stage.Titled(absl::StrCat(name, ": ", shown)))));
  RB_RETURN_IF_ERROR(stage.ReadData({name}));
  RB_ASSIGN_OR_RETURN(const Predictor predictor, stage.Open(model));
  RB_ASSIGN_OR_RETURN(const TestPart part, stage.Test(model, predictor));
  std::vector<size_t> order;
  for (size_t i = 0; i < part.rows.size(); ++i) {
    if (FewestMismatches(LettersOf(stage.dataset().sequences, part.rows[i]), motif) == 0) order.push_back(i);
  }
  const auto& predicted = part.scored.predictions;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return predicted[a] > predicted[b]; });
  for (size_t i = 0; i < std::min<size_t>(2, order.size()); ++i) {
    RB_ASSIGN_OR_RETURN(const plot::MapData map, MapOfProbe(stage, predictor, part.rows[order[i]], false));
    RB_RETURN_IF_ERROR(
        stage.Show(absl::StrCat("figure4a_ism_", i + 1), DrawMap(map, stage.Titled(ProbeTitle(name, part, order[i])))));
  }
  stage.Tell(std::move(answers));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReproduceFigure4(Stage& stage) {
  RB_ASSIGN_OR_RETURN(const LoadedModel* example, ExampleOf(stage));
  std::vector<double> differences;
  std::string table = "experiment\tmotif\teffect\tright\tleft\tdifference\n";
  for (const LoadedModel* model : stage.OneOfEach()) {
    const std::string motif = model == example ? stage.flags().motif : "";
    RB_ASSIGN_OR_RETURN(GiaAnswers answers, stage.Ask(*model, {"gc"}, motif));
    const ExperimentResult& gc = ResultOf(answers, "gc");
    const std::string& pattern = gc.effects[0].pattern;
    absl::StrAppend(&table, model->file.experiment, "\t",
                    InAlphabet(pattern.substr(0, pattern.find('@')), stage.flags().common.dna()), "\t",
                    Shortest(gc.effects[0].summary.mean));
    for (const RatioValue& ratio : gc.ratios) absl::StrAppend(&table, "\t", Shortest(ratio.value));
    table += '\n';
    if (const double value = gc.ratios.back().value; std::isfinite(value)) differences.push_back(value);
    if (model == example) RB_RETURN_IF_ERROR(Example(stage, *model, std::move(answers)));
  }
  stage.Keep("figure4e_effect_sizes.tsv", table);
  const auto right = std::count_if(differences.begin(), differences.end(), [](double d) { return d > 0; });
  const double n = static_cast<double>(differences.size());
  stage.Find("share", {differences.empty() ? kNoNumber : static_cast<double>(right) / n, std::ssize(differences), "",
                       absl::StrCat(right, " of the ", Counted(std::ssize(differences), "experiment"), " present")});
  return stage.Show("figure4e_effect_sizes",
                    DrawHistogram(differences, "GC right - GC left, of the motif's effect", "experiments",
                                  stage.Titled("GC to the right of the strongest 6-mer")));
}

}  // namespace rb::apps
