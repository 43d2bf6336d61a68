#include "apps/report/sections.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/common/text.h"
#include "apps/plot/pieces.h"
#include "apps/plot/render.h"
#include "apps/predict/metrics_table.h"
#include "apps/report/page.h"
#include "gia/statistics.h"

namespace rb::apps {
namespace {

using plot::Drawing;

std::vector<double> Collected(const ReportData& data, double (*value)(const ReportModel&)) {
  std::vector<double> values;
  for (const ReportModel& model : data.models) values.push_back(value(model));
  return plot::Finite(values);
}

std::vector<double> MainMetrics(const ReportData& data) {
  return data.classification ? Collected(data, [](const ReportModel& m) { return m.metrics[MainMetricIndex(true)]; })
                             : Collected(data, [](const ReportModel& m) { return m.metrics[MainMetricIndex(false)]; });
}

template <double ReportAnswers::*member>
std::vector<double> AnswerValues(const ReportData& data) {
  return Collected(data,
                   [](const ReportModel& m) { return m.answers.has_value() ? (*m.answers).*member : plot::kNone; });
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n == 0 ? plot::kNone : (values[(n - 1) / 2] + values[n / 2]) / 2;
}

size_t Experiments(const ReportData& data) {
  std::set<std::string> names;
  for (const ReportModel& model : data.models) names.insert(model.file.experiment);
  return names.size();
}

std::string Tile(const std::string& label, const std::string& value, const std::string& beside = "") {
  return absl::StrCat("<div><dt>", label, "</dt><dd>", value,
                      beside.empty() ? "" : absl::StrCat(" <small>", beside, "</small>"), "</dd></div>\n");
}

std::string MeanAndSd(const std::vector<double>& values, int decimals) {
  return values.size() < 2 ? "" : absl::StrCat("\u00B1 ", HtmlNumber(PopulationSd(values), decimals));
}

std::string Tiles(const ReportData& data) {
  const std::vector<double> metrics = MainMetrics(data), squares = AnswerValues<&ReportAnswers::r_squared>(data),
                            gc = AnswerValues<&ReportAnswers::gc_difference>(data);
  const std::string name = MainMetric(data.classification);
  std::string text = "<dl class=\"tiles\">\n";
  absl::StrAppend(&text, Tile("models", Grouped(std::ssize(data.models))));
  if (!metrics.empty()) {
    const bool several = metrics.size() > 1;
    absl::StrAppend(&text, Tile(absl::StrCat(several ? "mean " : "", "test ", name), HtmlNumber(Mean(metrics), 3),
                                MeanAndSd(metrics, 3)));
    if (several) {
      const auto [least, most] = std::minmax_element(metrics.begin(), metrics.end());
      absl::StrAppend(&text, Tile("median", HtmlNumber(Median(metrics), 3)),
                      Tile("range", absl::StrCat(HtmlNumber(*least, 3), " \u2013 ", HtmlNumber(*most, 3))));
    }
  }
  if (!squares.empty())
    absl::StrAppend(&text, Tile(squares.size() > 1 ? "median additivity R\u00B2" : "additivity R\u00B2",
                                HtmlNumber(Median(squares), 4)));
  if (!gc.empty()) {
    absl::StrAppend(
        &text, Tile(gc.size() > 1 ? "mean GC difference" : "GC difference", HtmlNumber(Mean(gc), 3), MeanAndSd(gc, 3)));
  }
  return text + "</dl>\n";
}

// Of at least five models: fewer are numbers in the table.
absl::StatusOr<Drawing> Histogram(const std::vector<double>& values, const std::string& title) {
  if (values.size() < 5) return plot::NothingToDraw("at least five models");
  Drawing drawing(300, 240);
  plot::Box rest = plot::AddTitle(drawing, "");
  rest.top += 14;
  plot::Panel panel =
      plot::AddHistogram(drawing, rest, values, title, "models", plot::Faded(plot::SeriesColour(0), 0.75));
  const double median = panel.X(Median(values));
  drawing.AddLine(plot::Role::kGuide, {median, panel.area().top}, {median, panel.area().bottom},
                  {plot::SeriesColour(1), 1.2, 3});
  drawing.AddText(plot::Role::kNote, absl::StrFormat("median %.4f, %d models", Median(values), values.size()),
                  {panel.area().right, panel.area().top - 3}, {8, plot::Align::kEnd});
  return drawing;
}

std::string SummaryPictures(const ReportData& data, const ReportOptions& options) {
  const plot::Style style = {"", options.style.colour_blind, options.style.dna};
  const std::string name = MainMetric(data.classification);
  plot::NamedValues metrics = {"test", {}};
  for (const ReportModel& m : data.models) metrics.values[m.name] = m.metrics[MainMetricIndex(data.classification)];
  std::string text;
  if (MainMetrics(data).size() > 1) {
    text = ReportFigure(DrawExperiments({metrics}, name, style), "all-metrics",
                        absl::StrCat("Test ", name, " of all models"), "");
  }
  absl::StrAppend(&text,
                  ReportFigure(Histogram(AnswerValues<&ReportAnswers::r_squared>(data), "R\u00B2 of effect over sites"),
                               "all-sites", "Additivity of sites", ""),
                  ReportFigure(Histogram(AnswerValues<&ReportAnswers::gc_difference>(data),
                                         "GC to the right \u2212 to the left, of the motif\u2019s effect"),
                               "all-gc", "GC content beside the motif", ""));
  return text.empty() ? text : absl::StrCat("<div class=\"pictures\">\n", text, "</div>\n");
}

std::string Provenance(const ReportData& data) {
  std::string text = "<h2>How it was made</h2>\n";
  if (data.run.empty()) absl::StrAppend(&text, "<p>There is no run.json beside the models.</p>\n");
  absl::StrAppend(&text, ReportList(data.run));
  if (!data.gia.empty()) absl::StrAppend(&text, "<p>Motifs and effects:</p>\n", ReportList(data.gia));
  return text;
}

}  // namespace

std::string MetricLabel(const std::string& name) {
  if (name == "pearson") return "Pearson";
  if (name == "spearman") return "Spearman";
  return absl::AsciiStrToUpper(name);
}

std::string MainMetric(bool classification) { return classification ? "AUROC" : "Pearson"; }

size_t MainMetricIndex(bool classification) {
  const auto metrics = MetricColumns(classification);
  const std::string wanted = classification ? "auroc" : "pearson";
  return std::find_if(metrics.begin(), metrics.end(), [&](const MetricColumn& c) { return wanted == c.name; }) -
         metrics.begin();
}

std::string ReportList(const ReportFacts& facts) {
  if (facts.empty()) return "";
  std::string text = "<dl class=\"facts\">\n";
  for (const auto& [label, value] : facts) {
    const bool fixed = label == "command" || label == "data";
    absl::StrAppend(&text, "<dt>", Html(label), "</dt><dd>", fixed ? "<code>" : "", Html(value), fixed ? "</code>" : "",
                    "</dd>\n");
  }
  return text + "</dl>\n";
}

std::string ReportFigure(const absl::StatusOr<Drawing>& drawing, const std::string& id, const std::string& caption,
                         const std::string& of) {
  if (!drawing.ok()) return "";
  return absl::StrCat(drawing->width() > 400 ? "<figure class=\"wide\">" : "<figure>", "<figcaption>", Html(caption),
                      "</figcaption><div class=\"picture\" role=\"img\" aria-label=\"",
                      Html(of.empty() ? caption : absl::StrCat(of, ": ", caption)), "\">",
                      plot::SvgInline(*drawing, id), "</div></figure>\n");
}

std::string ReportTitle(const ReportData& data, const ReportOptions& options) {
  if (!options.title.empty()) return options.title;
  const size_t n = Experiments(data);
  return n == 1 ? data.models[0].file.experiment
                : absl::StrCat("Binding models of ", Counted(static_cast<int64_t>(n), "experiment"));
}

// "ResidualBind model" when all are, "model" when baselines are among them.
static const char* KindOfAll(const ReportData& data) {
  const bool all = std::all_of(data.models.begin(), data.models.end(),
                               [](const ReportModel& model) { return IsNetwork(model.file); });
  return all ? "ResidualBind model" : "model";
}

std::string ReportBody(const ReportData& data, const ReportOptions& options) {
  std::string text =
      absl::StrCat("<header>\n<h1>", Html(ReportTitle(data, options)), "</h1>\n<p class=\"lead\">",
                   Counted(std::ssize(data.models), KindOfAll(data)), " of ",
                   Counted(static_cast<int64_t>(Experiments(data)), "experiment"), "</p>\n</header>\n<main>\n");
  absl::StrAppend(&text, Tiles(data));
  for (const std::string& remark : data.remarks) absl::StrAppend(&text, "<p class=\"note\">", Html(remark), "</p>\n");
  if (MainMetrics(data).empty()) {
    absl::StrAppend(&text,
                    "<p class=\"note\">There are no test metrics: metrics.tsv does not stand beside the models, or "
                    "has no value. --data scores test probes.</p>\n");
  }
  if (!data.with_gia) {
    absl::StrAppend(
        &text, "<p class=\"note\">Motifs, k-mers, sites, spacing, GC and hairpins are added by --gia, after <code>",
        Html(options.hint), "</code></p>\n");
  }
  absl::StrAppend(
      &text, SummaryPictures(data, options), "<h2>All models</h2>\n", ReportTable(data, options),
      "<h2>Model by model</h2>\n<div class=\"tools\" hidden><button type=\"button\" id=\"open-all\">Open all</button>"
      "<button type=\"button\" id=\"close-all\">Close all</button></div>\n");
  for (size_t i = 0; i < data.models.size(); ++i) {
    absl::StrAppend(&text, ReportSection(data.models[i], i, data, options));
  }
  absl::StrAppend(&text, Provenance(data), "</main>\n<footer>Made by residualbind ", RB_VERSION, ".</footer>\n");
  return text;
}

}  // namespace rb::apps
