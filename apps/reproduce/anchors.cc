#include "apps/reproduce/anchors.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"
#include "engine/check.h"

namespace rb::apps {
namespace {

// One for all quantities of a kind.
constexpr Tolerance kTolerances[] = {
    {Rule::kPearson, 0.01, false, "0.01",
     "the paper's text and its notebooks differ by up to 0.006 about the same means, for other random starts and "
     "splits"},
    {Rule::kEffect, 0.25, true, "25 %",
     "an effect is in units of a model's own predictions: another training run of the same data moves it that much"},
    {Rule::kRSquared, 0.01, false, "0.01",
     "of a line through three means: the middle one may stand off it by 9 % of the whole rise"},
    {Rule::kCorrelation, 0.05, false, "0.05",
     "of these seven points: where each effect moves by up to 25 %, at random, r moves by less in four cases of five"},
    {Rule::kRank, 0, false, "exact", "a rank has no error"},
    {Rule::kLevel, 0, false, "below", "the text gives a level that p values are below"},
};

constexpr char kText[] = "text", kNotebook[] = "notebook", kFig1d[] = "text, Fig. 1d", kFig1ef[] = "text, Fig. 1e f";
constexpr char kFig2[] = "text, Fig. 2", kFig3[] = "text, Fig. 3", kFig4[] = "text, Fig. 4";
constexpr char kRbfox1[] = "RNCMPT00168", kVts1[] = "VTS1", kGcExample[] = "RNCMPT00112";
constexpr int64_t kAll2013 = 244, kAll2009 = 9;

constexpr Anchor kAnchors[] = {
    {"figure1", "mean clip sequence", "mean Pearson, clip, sequence", 0.689, Rule::kPearson, kText, "", kAll2013},
    {"figure1", "mean clip sequence", "mean Pearson, clip, sequence", 0.6886, Rule::kPearson, kNotebook, "", kAll2013},
    {"figure1", "sd clip sequence", "sd of Pearsons, clip, sequence", 0.170, Rule::kPearson, kText, "", kAll2013},
    {"figure1", "mean clip PU", "mean Pearson, clip, sequence + PU", 0.6900, Rule::kPearson, kNotebook, "", kAll2013},
    {"figure1", "sd clip PU", "sd of Pearsons, clip, sequence + PU", 0.1705, Rule::kPearson, kNotebook, "", kAll2013},
    {"figure1", "mean clip PHIME", "mean Pearson, clip, sequence + PHIME", 0.6886, Rule::kPearson, kNotebook, "",
     kAll2013},
    {"figure1", "sd clip PHIME", "sd of Pearsons, clip, sequence + PHIME", 0.1710, Rule::kPearson, kNotebook, "",
     kAll2013},
    {"figure1", "mean log sequence", "mean Pearson, log, sequence", 0.685, Rule::kPearson, kFig1d, "", kAll2013},
    {"figure1", "mean log sequence", "mean Pearson, log, sequence", 0.683, Rule::kPearson, kFig1ef, "", kAll2013},
    {"figure1", "mean log sequence", "mean Pearson, log, sequence", 0.6863, Rule::kPearson, kNotebook, "", kAll2013},
    {"figure1", "sd log sequence", "sd of Pearsons, log, sequence", 0.172, Rule::kPearson, kFig1d, "", kAll2013},
    {"figure1", "sd log sequence", "sd of Pearsons, log, sequence", 0.182, Rule::kPearson, kFig1ef, "", kAll2013},
    {"figure1", "mean log PU", "mean Pearson, log, sequence + PU", 0.684, Rule::kPearson, kFig1ef, "", kAll2013},
    {"figure1", "mean log PU", "mean Pearson, log, sequence + PU", 0.6837, Rule::kPearson, kNotebook, "", kAll2013},
    {"figure1", "sd log PU", "sd of Pearsons, log, sequence + PU", 0.183, Rule::kPearson, kFig1ef, "", kAll2013},
    {"figure1", "mean log PHIME", "mean Pearson, log, sequence + PHIME", 0.682, Rule::kPearson, kFig1ef, "", kAll2013},
    {"figure1", "mean log PHIME", "mean Pearson, log, sequence + PHIME", 0.6828, Rule::kPearson, kNotebook, "",
     kAll2013},
    {"figure1", "sd log PHIME", "sd of Pearsons, log, sequence + PHIME", 0.183, Rule::kPearson, kFig1ef, "", kAll2013},
    {"figure1", "table MATRIXReduce", "mean Pearson of the table's MATRIXReduce", 0.353, Rule::kPearson, kText, "",
     kAll2013},
    {"figure1", "table RNAcontext", "mean Pearson of the table's RNAcontext", 0.434, Rule::kPearson, kText, "",
     kAll2013},
    {"figure1", "table DeepBind", "mean Pearson of the table's DeepBind", 0.409, Rule::kPearson, kText, "", kAll2013},
    {"figure1", "table RCK", "mean Pearson of the table's RCK", 0.460, Rule::kPearson, kText, "", kAll2013},
    {"figure1", "table cDeepbind", "mean Pearson of the table's cDeepbind", 0.582, Rule::kPearson, kText, "", kAll2013},
    {"figure1", "table DLPRB", "mean Pearson of the table's DLPRB", 0.628, Rule::kPearson, kText, "", kAll2013},
    {"figure1", "table ThermoNet", "mean Pearson of the table's ThermoNet", 0.671, Rule::kPearson, kText, "", kAll2013},
    {"figure1", "p", "largest Wilcoxon p against the table's methods", 0.01, Rule::kLevel, kText, "", kAll2013},
    {"figure1", "2009 sequence", "2009 set: mean Pearson, sequence", 0.711, Rule::kPearson, kText, "", kAll2009},
    {"figure1", "2009 PU", "2009 set: mean Pearson, sequence + PU", 0.721, Rule::kPearson, kText, "", kAll2009},
    {"figure1", "VTS1 sequence", "VTS1: Pearson, sequence", 0.6981, Rule::kPearson, kText, kVts1, 0},
    {"figure1", "VTS1 PU", "VTS1: Pearson, sequence + PU", 0.7073, Rule::kPearson, kText, kVts1, 0},

    {"figure2", "rank", "rank of UGCAUG among 6-mers", 1, Rule::kRank, kFig2, kRbfox1, 0},
    {"figure2", "sites 1", "UGCAUG at one site", 4.4, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "sites 2", "UGCAUG at two sites", 7.9, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "sites 3", "UGCAUG at three sites", 11.1, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "sites r2", "R2 over sites, UGCAUG", 0.999, Rule::kRSquared, kNotebook, kRbfox1, 0},
    {"figure2", "weak 1", "AGAAUG at one site", 1.5, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "weak 2", "AGAAUG at two sites", 3.6, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "weak 3", "AGAAUG at three sites", 5.3, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "weak r2", "R2 over sites, AGAAUG", 0.997, Rule::kRSquared, kNotebook, kRbfox1, 0},
    {"figure2", "spacing 1", "UGCAUG at 17", 4.4, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "spacing 2", "UGCAUG at 16 and 20", 6.6, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "spacing 3", "UGCAUG at 15 and 21", 7.0, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "spacing 4", "UGCAUG at 13 and 22", 7.8, Rule::kEffect, kNotebook, kRbfox1, 0},
    {"figure2", "kd r", "r of effect and ln K_D, seven 7-mers", -0.94, Rule::kCorrelation, kNotebook, kRbfox1, 0},
    {"figure2", "kd p", "its p", 0.01, Rule::kLevel, "text: 0.0015", kRbfox1, 0},
    {"figure2", "additive", "median R2 over sites, each experiment's top 6-mer", kNoNumber, Rule::kRSquared,
     "text, Fig. 2g: predominantly additive", "", kAll2013},

    {"figure3", "loop", "GCUGG in the loop", 2.6, Rule::kEffect, kNotebook, kVts1, 0},
    {"figure3", "stem", "GCUGG in the stem", 1.15, Rule::kEffect, kNotebook, kVts1, 0},
    {"figure3", "centre", "GCUGG in the centre, no hairpin", 1.5, Rule::kEffect, kNotebook, kVts1, 0},
    {"figure3", "left", "GCUGG at the left, no hairpin", 1.2, Rule::kEffect, kNotebook, kVts1, 0},
    {"figure3", "rank", "rank of the loop among the four", 1, Rule::kRank, kFig3, kVts1, 0},
    {"figure3", "pearson", "Pearson, sequence", 0.6981, Rule::kPearson, kText, kVts1, 0},

    {"figure4", "motif", "the motif (UUAUUU), median", 0.7, Rule::kEffect, kNotebook, kGcExample, 0},
    {"figure4", "right", "GC right, median", 0.6, Rule::kEffect, kNotebook, kGcExample, 0},
    {"figure4", "motif right", "the motif + GC right, median", 4.4, Rule::kEffect, kNotebook, kGcExample, 0},
    {"figure4", "motif left", "the motif + GC left, median", 0.5, Rule::kEffect, kNotebook, kGcExample, 0},
    {"figure4", "share", "share of experiments with more effect of GC to the right than to the left", kNoNumber,
     Rule::kRank, "text, Fig. 4e: nearly all", "", kAll2013},

    {"table-s1", "rank", "rank of UGCAUG among 6-mers", 1, Rule::kRank, kText, kRbfox1, 0},
};

constexpr Affinity kAffinities[] = {{"UGCAUGU", 0.83}, {"AGCAUGU", 4.8}, {"CGCAUGU", 6.1}, {"UGUAUGU", 280},
                                    {"UACAUGU", 350},  {"UGCACGU", 4.9}, {"UGCAUAU", 1830}};

std::string Number(double value) { return std::isnan(value) ? "" : absl::StrCat(value); }

struct Row {
  const Anchor* anchor;
  Finding finding;
};

std::vector<Row> RowsOf(const std::string& figure, const std::map<std::string, Finding>& findings,
                        const std::string& missing) {
  std::vector<Row> rows;
  for (const Anchor& anchor : kAnchors) {
    if (figure != anchor.figure) continue;
    const auto it = findings.find(anchor.key);
    rows.push_back({&anchor, it != findings.end() ? it->second : Finding{kNoNumber, 0, missing, ""}});
  }
  return rows;
}

}  // namespace

std::span<const Tolerance> Tolerances() { return kTolerances; }

const Tolerance& ToleranceOf(Rule rule) {
  for (const Tolerance& tolerance : kTolerances) {
    if (tolerance.rule == rule) return tolerance;
  }
  RB_CHECK(false);
  return kTolerances[0];
}

std::span<const Anchor> Anchors() { return kAnchors; }
std::span<const Affinity> RbfoxAffinities() { return kAffinities; }

std::string Judge(const Anchor& anchor, const Finding& finding) {
  if (!finding.reason.empty()) return absl::StrCat("not comparable (", finding.reason, ")");
  if (anchor.of > 0 && finding.n != anchor.of) {
    return absl::StrCat("not comparable (n=", finding.n, " of ", anchor.of, ")");
  }
  if (!std::isfinite(finding.value)) return "not comparable (no value)";
  if (std::isnan(anchor.expected)) return "not comparable (the source says no number)";
  if (anchor.rule == Rule::kLevel) return finding.value < anchor.expected ? "agrees" : "differs";
  const Tolerance& tolerance = ToleranceOf(anchor.rule);
  const double allowed = tolerance.size * (tolerance.relative ? std::abs(anchor.expected) : 1);
  constexpr double kRounding = 1e-9;  // what decimals lose as binary numbers
  return std::abs(finding.value - anchor.expected) <= allowed + kRounding ? "agrees" : "differs";
}

std::string AnchorsTsv(const std::string& figure, const std::map<std::string, Finding>& findings,
                       const std::string& missing) {
  std::string text = "quantity\texpected\tsource\tfound\ttolerance\tverdict\tnote\n";
  for (const auto& [anchor, finding] : RowsOf(figure, findings, missing)) {
    const std::string found = std::isfinite(finding.value) ? Shortest(finding.value) : "";
    absl::StrAppend(&text, anchor->quantity, "\t", Number(anchor->expected), "\t", anchor->source, "\t", found, "\t",
                    ToleranceOf(anchor->rule).text, "\t", Judge(*anchor, finding), "\t", finding.note, "\n");
  }
  return text;
}

namespace {

std::string Found(double value) {
  if (!std::isfinite(value)) return "";
  return value == std::round(value) ? absl::StrCat(value) : Fixed(value, 3);  // ranks are whole
}

}  // namespace

std::string AnchorsText(const std::string& figure, const std::map<std::string, Finding>& findings,
                        const std::string& missing) {
  std::vector<std::vector<std::string>> table = {{"quantity", "expected", "found", "verdict"}};
  for (const auto& [anchor, finding] : RowsOf(figure, findings, missing)) {
    table.push_back({anchor->quantity, Number(anchor->expected), Found(finding.value), Judge(*anchor, finding)});
  }
  return AlignedTable(table);
}

}  // namespace rb::apps
