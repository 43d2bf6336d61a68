// One model: what is known of it in words, and its pictures.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/common/text.h"
#include "apps/predict/metrics_table.h"
#include "apps/report/page.h"
#include "apps/report/sections.h"
#include "data/alphabet.h"

namespace rb::apps {
namespace {

using plot::Estimate;

std::string EstimateText(const Estimate& e, bool dna) {
  return absl::StrCat(InAlphabet(e.label, dna), " ", HtmlNumber(e.mean, 2), " (", HtmlNumber(e.low, 2), " to ",
                      HtmlNumber(e.high, 2), ")");
}

void AddAnswerFacts(const ReportAnswers& answers, bool dna, ReportFacts* facts) {
  if (!answers.kmers.empty()) {
    std::string text;
    for (size_t i = 0; i < std::min<size_t>(3, answers.kmers.size()); ++i)
      absl::StrAppend(&text, i > 0 ? ", " : "", EstimateText(answers.kmers[i], dna));
    facts->emplace_back("strongest k-mers", text);
  }
  if (answers.motif.has_value()) facts->emplace_back("motif", InAlphabet(answers.consensus, dna));
  const auto number = [&](const char* label, double value, int decimals, const char* what) {
    if (std::isfinite(value)) facts->emplace_back(label, absl::StrCat(HtmlNumber(value, decimals), what));
  };
  number("additivity of sites", answers.r_squared, 4, ", R\u00B2 of the line of effect over sites");
  number("GC difference", answers.gc_difference, 3, ", GC to the right \u2212 to the left, by the motif\u2019s effect");
  number("loop \u2212 stem", answers.loop_stem, 3, ", the motif in a hairpin\u2019s loop against in its stem");
}

ReportFacts FactsOf(const ReportModel& model, const ReportData& data, const ReportOptions& options) {
  ReportFacts facts;
  if (model.file.experiment != model.name) facts.emplace_back("experiment", model.file.experiment);
  if (!model.settings.empty()) facts.emplace_back("settings", model.settings);
  std::string test;
  const auto metrics = MetricColumns(data.classification);
  for (size_t c = 0; c < metrics.size(); ++c) {
    if (!std::isfinite(model.metrics[c])) continue;
    absl::StrAppend(&test, test.empty() ? "" : ", ", MetricLabel(metrics[c].name), " ",
                    HtmlNumber(model.metrics[c], 4));
  }
  if (!test.empty()) {
    if (std::abs(model.n) < 1e15) absl::StrAppend(&test, ", ", Grouped(static_cast<int64_t>(model.n)), " probes");
    facts.emplace_back("test", test);
  }
  const std::string validation =
      absl::StrCat("validation ", MainMetric(data.classification), " ", HtmlNumber(model.file.best_metric, 4));
  if (!IsNetwork(model.file)) {
    facts.emplace_back("model", absl::StrCat(BaselineText(model.file.baseline), "; ", validation));
  } else if (model.file.epochs > 0) {  // imported weights do not say
    facts.emplace_back("training", absl::StrCat(Counted(model.file.epochs, "epoch"), ", best ", model.file.best_epoch,
                                                ", ", validation));
  }
  if (model.answers.has_value()) AddAnswerFacts(*model.answers, options.style.dna, &facts);
  return facts;
}

std::string Pictures(const ReportModel& model, const std::string& id, const ReportOptions& options) {
  const plot::Style style = {"", options.style.colour_blind, options.style.dna};
  std::string text;
  const auto add = [&](const absl::StatusOr<plot::Drawing>& drawing, const char* name, const char* caption) {
    absl::StrAppend(&text, ReportFigure(drawing, absl::StrCat(id, "-", name), caption, model.name));
  };
  if (model.history.has_value()) add(DrawHistory({*model.history}, style), "history", "Learning curve");
  const auto scatter = options.scatters.find(model.name);
  if (scatter != options.scatters.end()) add(scatter->second, "scatter", "Test probes");
  if (!model.answers.has_value()) return text;
  const ReportAnswers& a = *model.answers;
  if (a.motif.has_value()) add(DrawLogo(*a.motif, style), "logo", "Motif of the strongest k-mers");
  if (!a.kmers.empty()) {
    const size_t shown = std::min<size_t>(a.kmers.size(), 10);
    add(DrawKmers({a.kmers.begin(), a.kmers.begin() + static_cast<ptrdiff_t>(shown)}, style), "kmers",
        "Strongest k-mers");
  }
  if (a.mutants.has_value()) add(DrawMap(*a.mutants, style), "mutate", "Mutants of the motif");
  if (a.sites.has_value()) add(DrawCurve(*a.sites, style), "sites", "Effect over the number of sites");
  if (a.spacing.has_value()) add(DrawCurve(*a.spacing, style), "spacing", "Effect over the distance of two sites");
  if (a.position.has_value()) add(DrawCurve(*a.position, style), "position", "Effect over the motif\u2019s position");
  if (a.gc.has_value()) add(DrawGc(*a.gc, style), "gc", "GC content beside the motif");
  if (a.hairpin.has_value()) add(DrawEffects(*a.hairpin, style), "hairpin", "The motif in a hairpin");
  return text;
}

// What stands beside the name while the section is closed.
std::string Gist(const ReportModel& model, const ReportData& data, const ReportOptions& options) {
  std::string text;
  const double metric = model.metrics[MainMetricIndex(data.classification)];
  if (std::isfinite(metric)) text = absl::StrCat(MainMetric(data.classification), " ", HtmlNumber(metric, 4));
  if (model.answers.has_value() && !model.answers->kmers.empty()) {
    absl::StrAppend(&text, text.empty() ? "" : " \u00B7 ",
                    Html(InAlphabet(model.answers->kmers[0].label, options.style.dna)));
  }
  return text;
}

}  // namespace

std::string ReportSection(const ReportModel& model, size_t index, const ReportData& data,
                          const ReportOptions& options) {
  const std::string id = absl::StrCat("m", index + 1), pictures = Pictures(model, id, options);
  std::string text = absl::StrCat("<details class=\"model\" id=\"", id, "\"", data.models.size() == 1 ? " open" : "",
                                  "><summary><h3>", Html(model.name), "</h3><span>", Gist(model, data, options),
                                  "</span></summary>\n<div>\n", ReportList(FactsOf(model, data, options)));
  if (!pictures.empty()) {
    absl::StrAppend(&text, "<div class=\"pictures\"><noscript>\n", pictures, "</noscript></div>\n");
  }
  return text + "</div></details>\n";
}

}  // namespace rb::apps
