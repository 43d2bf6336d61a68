// Figure 3: a model of VTS1 knows hairpins from letters.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "apps/reproduce/pieces.h"
#include "apps/reproduce/stage.h"
#include "data/sequence_letters.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

constexpr char kVts1[] = "VTS1", kMotif[] = "GCUGG";
constexpr size_t kProbes = 2;  // at either end

absl::Status Hairpin(Stage& stage, const LoadedModel& model, const std::string& motif) {
  RB_ASSIGN_OR_RETURN(GiaAnswers answers, stage.Ask(model, {"hairpin"}, motif));
  const ExperimentResult& hairpin = ResultOf(answers, "hairpin");
  plot::EffectsData data;
  const char* keys[] = {"loop", "stem", "centre", "left"};
  double rank = 1;
  for (size_t i = 0; i < 4; ++i) {  // as gia/experiment.cc asks
    RB_CHECK(hairpin.effects[i].label == keys[i]);
    data.effects.push_back(EstimateOf(hairpin, i, true));
    const double mean = hairpin.effects[i].summary.mean;
    stage.FindOf(model, keys[i], mean);
    if (mean > hairpin.effects[0].summary.mean) ++rank;
  }
  stage.FindOf(model, "rank", rank);
  const std::pair<size_t, size_t> pairs[] = {{0, 1}, {0, 2}, {1, 3}};
  for (size_t i = 0; i < std::min<size_t>(3, hairpin.contrasts.size()); ++i) {
    data.comparisons.push_back({pairs[i].first, pairs[i].second, hairpin.contrasts[i].q});
  }
  const std::string title = absl::StrCat(model.file.experiment, ": ", motif, " within a hairpin and without");
  const absl::StatusOr<plot::Drawing> drawing = DrawEffects(data, stage.Titled(title));
  stage.Tell(std::move(answers));
  return stage.Show("figure3b_hairpin", drawing);
}

// Probes of the test set that carry the motif, by their measured score.
absl::Status Maps(Stage& stage, const LoadedModel& model, const std::string& motif) {
  RB_ASSIGN_OR_RETURN(const Predictor predictor, stage.Open(model));
  RB_ASSIGN_OR_RETURN(const TestPart part, stage.Test(model, predictor));
  stage.FindOf(model, "pearson", MetricsOf(model.file, part.scored).pearson);
  std::vector<size_t> carriers;
  for (size_t i = 0; i < part.rows.size(); ++i) {
    if (FewestMismatches(LettersOf(stage.dataset().sequences, part.rows[i]), motif) == 0) carriers.push_back(i);
  }
  const auto& measured = part.scored.targets;
  std::stable_sort(carriers.begin(), carriers.end(), [&](size_t a, size_t b) { return measured[a] > measured[b]; });
  stage.reporter().Say("carriers", absl::StrCat(carriers.size(), " test probes carry ", motif));
  const size_t each = std::min(kProbes, carriers.size() / 2);
  for (size_t i = 0; i < each; ++i) {
    for (const bool high : {true, false}) {
      const size_t at = high ? carriers[i] : carriers[carriers.size() - 1 - i];
      RB_ASSIGN_OR_RETURN(const plot::MapData map, MapOfProbe(stage, predictor, part.rows[at], true));
      RB_RETURN_IF_ERROR(stage.Show(absl::StrCat("figure3a_", high ? "high_" : "low_", i + 1),
                                    DrawMap(map, stage.Titled(ProbeTitle(model.file.experiment, part, at)))));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReproduceFigure3(Stage& stage) {
  const std::string& asked = stage.flags().experiment;
  const std::string name = asked.empty() ? kVts1 : asked;
  RB_ASSIGN_OR_RETURN(const LoadedModel* model, stage.ModelOf(name));
  std::string motif = stage.flags().motif;
  if (motif.empty() && name == kVts1) motif = kMotif;
  if (motif.empty()) {
    RB_ASSIGN_OR_RETURN(const GiaAnswers scan, stage.Ask(*model, {"kmer"}, ""));
    motif = scan.kmers[0].kmer;
  }
  if (motif != kMotif) stage.SetOtherMotif(absl::StrCat("about ", motif, ", not ", kMotif));
  RB_RETURN_IF_ERROR(stage.ReadData({name}));
  RB_RETURN_IF_ERROR(Maps(stage, *model, motif));
  return Hairpin(stage, *model, motif);
}

}  // namespace rb::apps
