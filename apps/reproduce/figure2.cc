// Figure 2: what a model of RBFOX1 has learned.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"
#include "apps/reproduce/pieces.h"
#include "apps/reproduce/stage.h"
#include "data/alphabet.h"
#include "data/sequence_letters.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

constexpr char kRbfox1[] = "RNCMPT00168", kCanonical[] = "UGCAUG", kImportance[] = "global importance (z-score)";
constexpr size_t kTopKmers = 10;
constexpr int kPosition = 17;  // of a single motif, with both presets

// What panels share.
struct Protein {
  const LoadedModel* model;
  std::string name, motif;
};

absl::Status Kmers(Stage& stage, const Protein& protein, const GiaAnswers& answers) {
  std::vector<plot::Estimate> top;
  for (size_t i = 0; i < std::min(kTopKmers, answers.kmers.size()); ++i) {
    const KmerEffect& kmer = answers.kmers[i];
    plot::Estimate bar;
    bar.label = InAlphabet(kmer.kmer, stage.flags().common.dna());
    bar.mean = kmer.effect, bar.low = kmer.effect - 1.96 * kmer.se, bar.high = kmer.effect + 1.96 * kmer.se;
    top.push_back(bar);
  }
  RB_RETURN_IF_ERROR(stage.Show("figure2e_kmers", DrawKmers(top, stage.Titled(protein.name + ": strongest 6-mers"))));
  RB_ASSIGN_OR_RETURN(const AlignmentMotif motif, AlignedMotif(answers, stage.published(), protein.name));
  RB_RETURN_IF_ERROR(stage.Show("figure2e_motif",
                                DrawLogo(plot::CoverageLogo(motif), stage.Titled(protein.name + ": 6-mers aligned"))));
  stage.FindOf(*protein.model, "rank", static_cast<double>(RankOf(answers, protein.motif)));
  return absl::OkStatus();
}

// The probes with the highest predictions: with the motif, and with one that differs in exactly two letters.
absl::Status Maps(Stage& stage, const Protein& protein) {
  RB_ASSIGN_OR_RETURN(const Predictor predictor, stage.Open(*protein.model));
  RB_ASSIGN_OR_RETURN(const TestPart part, stage.Test(*protein.model, predictor));
  std::vector<size_t> order(part.rows.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto& predicted = part.scored.predictions;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return predicted[a] > predicted[b]; });
  const std::pair<int, const char*> panels[] = {{0, "figure2a_match"}, {2, "figure2a_two_mismatches"}};
  for (const auto& [mismatches, name] : panels) {
    const auto it = std::find_if(order.begin(), order.end(), [&, wanted = mismatches](size_t i) {
      return FewestMismatches(LettersOf(stage.dataset().sequences, part.rows[i]), protein.motif) == wanted;
    });
    if (it == order.end()) {
      stage.reporter().Say("picture", absl::StrCat(name, ": no picture, no test probe whose best match to ",
                                                   protein.motif, " has ", mismatches, " mismatches"));
      continue;
    }
    RB_ASSIGN_OR_RETURN(const plot::MapData map, MapOfProbe(stage, predictor, part.rows[*it], false));
    RB_RETURN_IF_ERROR(stage.Show(name, DrawMap(map, stage.Titled(ProbeTitle(protein.name, part, *it)))));
  }
  return absl::OkStatus();
}

Series SitesSeries(const ExperimentResult& sites, const std::string& name) {
  Series series = {name, {}, true, sites.lines[0].line};
  for (size_t i = 0; i < static_cast<size_t>(sites.lines[0].line.n); ++i) {
    series.points.push_back(EstimateOf(sites, i, false));
  }
  return series;
}

void FindSites(Stage& stage, const Protein& protein, const ExperimentResult& sites, const std::string& key) {
  for (size_t i = 0; i < 3; ++i) {
    stage.FindOf(*protein.model, absl::StrCat(key, " ", i + 1), sites.effects[i].summary.mean);
  }
  stage.FindOf(*protein.model, key + " r2", sites.lines[0].line.r_squared);
}

absl::Status Additivity(Stage& stage, const Protein& protein, const GiaAnswers& strong, const GiaAnswers& weak,
                        const std::string& weaker) {
  const ExperimentResult &a = ResultOf(strong, "sites"), &b = ResultOf(weak, "sites");
  const bool dna = stage.flags().common.dna();
  SeriesPlot plot = {"sites",
                     kImportance,
                     {SitesSeries(a, InAlphabet(protein.motif, dna)), SitesSeries(b, InAlphabet(weaker, dna))},
                     true,
                     false};
  FindSites(stage, protein, a, "sites");
  FindSites(stage, protein, b, "weak");
  return stage.Show("figure2c_additivity", DrawSeries(plot, stage.Titled(protein.name + ": sites add up")));
}

absl::Status Spacing(Stage& stage, const Protein& protein, const GiaAnswers& answers) {
  const ExperimentResult& spacing = ResultOf(answers, "spacing");
  plot::EffectsData data;
  for (size_t i = 0; i < 4; ++i) {  // the paper's pairs come first (gia/experiment.cc)
    data.effects.push_back(EstimateOf(spacing, i, true));
    if (i == 0) data.effects[0].label = "one site";  // twice at one place
    stage.FindOf(*protein.model, absl::StrCat("spacing ", i + 1), spacing.effects[i].summary.mean);
  }
  return stage.Show("figure2d_spacing",
                    DrawEffects(data, stage.Titled(protein.name + ": two sites, nearer and farther")));
}

absl::Status Mutants(Stage& stage, const Protein& protein, const GiaAnswers& answers) {
  const plot::MapData map = MutantsMap(ResultOf(answers, "mutate"), protein.motif, kPosition);
  return stage.Show("figure2e_mutagenesis", DrawMap(map, stage.Titled(protein.name + ": mutants of the motif")));
}

absl::Status Affinities(Stage& stage, const Protein& protein) {
  if (protein.motif != kCanonical) return absl::OkStatus();
  std::vector<std::string> embed;
  for (const Affinity& one : RbfoxAffinities()) embed.push_back(absl::StrCat(one.kmer, "@", kPosition));
  RB_ASSIGN_OR_RETURN(GiaAnswers answers, stage.Ask(*protein.model, {"custom"}, "", embed));
  const ExperimentResult& effects = ResultOf(answers, "custom");
  Series series;
  std::vector<double> x, y;
  for (size_t i = 0; i < embed.size(); ++i) {
    plot::Estimate e = EstimateOf(effects, i, false);
    e.label = RbfoxAffinities()[i].kmer;
    e.x = std::log(RbfoxAffinities()[i].nanomolar);
    x.push_back(e.x), y.push_back(e.mean);
    series.points.push_back(e);
  }
  const Correlation r = PearsonTest(x, y);
  stage.FindOf(*protein.model, "kd r", r.r);
  stage.FindOf(*protein.model, "kd p", r.p);
  answers.model += "-affinities";
  stage.Tell(std::move(answers));
  return stage.Show("figure2f_affinities", DrawSeries({"ln Kd (nM)", kImportance, {series}, false, true},
                                                      stage.Titled(protein.name + ": effect and affinity")));
}

// Each experiment's strongest 6-mer at one, two and three sites.
absl::Status AllSites(Stage& stage, const Protein& protein) {
  std::vector<double> squares;
  std::string table = "experiment\ttop_kmer\teffect_1\teffect_2\teffect_3\tslope\tr_squared\n";
  for (const LoadedModel* model : stage.OneOfEach()) {
    RB_ASSIGN_OR_RETURN(const GiaAnswers answers, stage.Ask(*model, {"sites"}, ""));
    const ExperimentResult& sites = ResultOf(answers, "sites");
    const StraightLine& line = sites.lines[0].line;
    if (std::isfinite(line.r_squared)) squares.push_back(line.r_squared);
    absl::StrAppend(&table, model->file.experiment, "\t",
                    InAlphabet(answers.kmers[0].kmer, stage.flags().common.dna()));
    for (size_t i = 0; i < 3; ++i) absl::StrAppend(&table, "\t", Shortest(sites.effects[i].summary.mean));
    absl::StrAppend(&table, "\t", Shortest(line.slope), "\t", Shortest(line.r_squared), "\n");
    if (model == protein.model) RB_RETURN_IF_ERROR(Kmers(stage, protein, answers));
  }
  stage.Keep("figure2g_r_squared.tsv", table);
  stage.Find("additive", {Median(squares), std::ssize(squares), "", ""});
  return stage.Show("figure2g_r_squared", DrawHistogram(squares, "R\u00B2 of effect over sites", "experiments",
                                                        stage.Titled("Each experiment's strongest 6-mer")));
}

}  // namespace

absl::Status ReproduceFigure2(Stage& stage) {
  Protein protein;
  protein.name = stage.flags().experiment.empty() ? kRbfox1 : stage.flags().experiment;
  RB_ASSIGN_OR_RETURN(protein.model, stage.ModelOf(protein.name));
  protein.motif = stage.flags().motif;
  if (protein.motif.empty() && protein.name == kRbfox1) protein.motif = kCanonical;
  if (protein.motif.empty()) {
    RB_ASSIGN_OR_RETURN(const GiaAnswers scan, stage.Ask(*protein.model, {"kmer"}, ""));
    protein.motif = scan.kmers[0].kmer;
  }
  if (protein.motif != kCanonical) stage.SetOtherMotif(absl::StrCat("about ", protein.motif, ", not ", kCanonical));
  RB_RETURN_IF_ERROR(stage.ReadData({protein.name}));
  RB_RETURN_IF_ERROR(Maps(stage, protein));
  const std::string weaker = WeakerMotif(protein.motif);
  RB_ASSIGN_OR_RETURN(GiaAnswers strong, stage.Ask(*protein.model, {"sites", "spacing", "mutate"}, protein.motif));
  RB_ASSIGN_OR_RETURN(GiaAnswers weak, stage.Ask(*protein.model, {"sites"}, weaker));
  RB_RETURN_IF_ERROR(Additivity(stage, protein, strong, weak, weaker));
  RB_RETURN_IF_ERROR(Spacing(stage, protein, strong));
  RB_RETURN_IF_ERROR(Mutants(stage, protein, strong));
  stage.Tell(std::move(strong));
  stage.Tell(std::move(weak));
  RB_RETURN_IF_ERROR(Affinities(stage, protein));
  return AllSites(stage, protein);
}

}  // namespace rb::apps
