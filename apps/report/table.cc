// The table of all models.
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/common/text.h"
#include "apps/plot/render.h"
#include "apps/predict/metrics_table.h"
#include "apps/report/page.h"
#include "apps/report/sections.h"
#include "data/alphabet.h"

namespace rb::apps {
namespace {

// A motif small enough for a line of text: letters only.
plot::Drawing Chip(const plot::LogoData& logo, const plot::Style& style) {
  constexpr double kWidth = 7, kHeight = 16;  // points, of a letter and of two bits
  plot::Drawing drawing(kWidth * static_cast<double>(logo.heights.size()), kHeight);
  for (size_t i = 0; i < logo.heights.size(); ++i) {
    const auto& column = logo.heights[i];
    int order[] = {0, 1, 2, 3};
    std::stable_sort(order, order + 4, [&](int a, int b) { return column[a] < column[b]; });
    double bottom = kHeight;
    for (const int code : order) {
      const double top = bottom - column[code] / 2 * kHeight, left = kWidth * static_cast<double>(i);
      if (bottom - top < 0.3) continue;  // not seen, and small ones stand below
      drawing.AddLetter(plot::Role::kMark, plot::LetterOf(code, style), {left + 0.2, top, left + kWidth - 0.2, bottom},
                        plot::LetterColour(code, style));
      bottom = top;
    }
  }
  return drawing;
}

struct Column {
  std::string title;
  bool number;
};

std::vector<Column> ColumnsOf(const ReportData& data) {
  std::vector<Column> columns = {{"model", false}};
  const auto metrics = MetricColumns(data.classification);
  for (size_t c = MainMetricIndex(data.classification), end = c + 2; c < end; ++c) {
    columns.push_back({MetricLabel(metrics[c].name), true});
  }
  for (const char* title : {"probes", "epochs", "best epoch"}) columns.push_back({title, true});
  if (!data.with_gia) return columns;
  columns.push_back({"top k-mer", false});
  columns.push_back({"its effect", true});
  columns.push_back({"motif", false});
  for (const char* title : {"additivity R\u00B2", "GC difference", "loop \u2212 stem"})
    columns.push_back({title, true});
  return columns;
}

// With the value that it is sorted by.
std::string NumberCell(double value, int decimals) {
  return absl::StrCat("<td class=\"n\" data-v=\"", std::isfinite(value) ? Shortest(static_cast<float>(value)) : "",
                      "\">", HtmlNumber(value, decimals), "</td>");
}

std::string CountCell(double value) {
  if (!(std::abs(value) < 1e15)) return NumberCell(plot::kNone, 0);
  const auto count = static_cast<int64_t>(value);
  return absl::StrCat("<td class=\"n\" data-v=\"", count, "\">", Grouped(count), "</td>");
}

std::string MotifCell(const ReportAnswers& answers, const std::string& id, const ReportOptions& options) {
  if (!answers.motif.has_value()) return "<td data-v=\"\"></td>";
  const std::string consensus = Html(InAlphabet(answers.consensus, options.style.dna));
  return absl::StrCat("<td data-v=\"", consensus, "\"><span class=\"chip\" role=\"img\" aria-label=\"motif ", consensus,
                      "\">", plot::SvgInline(Chip(*answers.motif, options.style), id + "-chip"), "</span></td>");
}

std::string AnswerCells(const ReportModel& model, const std::string& id, const ReportOptions& options) {
  const ReportAnswers none, &answers = model.answers.has_value() ? *model.answers : none;
  const bool kmer = !answers.kmers.empty();
  return absl::StrCat(
      "<td class=\"k\">", kmer ? Html(InAlphabet(answers.kmers[0].label, options.style.dna)) : std::string(), "</td>",
      NumberCell(kmer ? answers.kmers[0].mean : plot::kNone, 2), MotifCell(answers, id, options),
      NumberCell(answers.r_squared, 4), NumberCell(answers.gc_difference, 3), NumberCell(answers.loop_stem, 3));
}

std::string Row(const ReportModel& model, size_t index, const ReportData& data, const ReportOptions& options) {
  const std::string id = absl::StrCat("m", index + 1);
  std::string key = absl::StrCat(model.name, " ", model.file.experiment);
  if (model.answers.has_value()) {
    for (size_t i = 0; i < std::min<size_t>(1, model.answers->kmers.size()); ++i)
      absl::StrAppend(&key, " ", model.answers->kmers[i].label);
    absl::StrAppend(&key, " ", model.answers->consensus);
  }
  std::string row = absl::StrCat("<tr data-section=\"", id, "\" data-key=\"", Html(key),
                                 "\"><th scope=\"row\"><a href=\"#", id, "\">", Html(model.name), "</a></th>");
  for (size_t c = MainMetricIndex(data.classification), end = c + 2; c < end; ++c) {
    absl::StrAppend(&row, NumberCell(model.metrics[c], 4));
  }
  absl::StrAppend(&row, CountCell(model.n), CountCell(model.file.epochs), CountCell(model.file.best_epoch));
  if (data.with_gia) absl::StrAppend(&row, AnswerCells(model, id, options));
  return row + "</tr>\n";
}

}  // namespace

std::string ReportTable(const ReportData& data, const ReportOptions& options) {
  const std::string total =
      absl::StrCat(Grouped(std::ssize(data.models)), data.models.size() == 1 ? " model" : " models");
  std::string text = absl::StrCat(
      "<div class=\"tools\" hidden><label for=\"filter\">Filter by name or k-mer</label>"
      "<input type=\"search\" id=\"filter\" autocomplete=\"off\" spellcheck=\"false\">"
      "<output id=\"count\" for=\"filter\">",
      total, "</output></div>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of models\">\n",
      "<table id=\"models\">\n<thead><tr>");
  for (const Column& column : ColumnsOf(data)) {
    absl::StrAppend(&text, "<th scope=\"col\" aria-sort=\"none\"", column.number ? " class=\"n\"" : "",
                    "><button type=\"button\">", column.title, "</button></th>");
  }
  absl::StrAppend(&text, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < data.models.size(); ++i) absl::StrAppend(&text, Row(data.models[i], i, data, options));
  return text + "</tbody>\n</table>\n</div>\n";
}

}  // namespace rb::apps
