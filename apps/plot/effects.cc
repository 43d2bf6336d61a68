// Effects of patterns: bars, points with intervals, curves, and the GC effect.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/plot/pieces.h"
#include "data/alphabet.h"

namespace rb::plot {
namespace {

constexpr size_t kLeastModels = 5;  // of a histogram beside one model's effects
constexpr char kEffectTitle[] = "global importance (z-score)";

std::vector<double> EndsOf(const std::vector<Estimate>& estimates, bool with_values = true) {
  std::vector<double> ends;
  for (const Estimate& e : estimates) {
    for (const double v : {e.mean, e.low, e.high}) ends.push_back(v);
    const std::vector<double> values = with_values ? Finite(e.values) : std::vector<double>();
    if (values.size() < kLeastOfBox) continue;
    const BoxShape box = BoxShapeOf(values);
    ends.push_back(box.least), ends.push_back(box.most);
  }
  return ends;
}

std::vector<Estimate> WithMeans(const std::vector<Estimate>& estimates) {
  std::vector<Estimate> kept;
  for (const Estimate& e : estimates) {
    if (std::isfinite(e.mean)) kept.push_back(e);
  }
  return kept;
}

// Labels that are sequences, in the style's alphabet; others as they are.
std::vector<std::string> Labels(const std::vector<Estimate>& estimates, const Style& style) {
  std::vector<std::string> labels;
  for (const Estimate& e : estimates) {
    std::string label = e.label;
    const bool bases = std::all_of(label.begin(), label.end(), [](char c) { return BaseCode(c) != kBadBase; });
    if (bases) std::replace(label.begin(), label.end(), style.dna ? 'U' : 'T', style.dna ? 'T' : 'U');
    labels.push_back(std::move(label));
  }
  return labels;
}

void AddEstimates(Panel& panel, const std::vector<Estimate>& estimates) {
  const double step = panel.X(1) - panel.X(0), half = std::min(9.0, 0.3 * step);
  for (size_t i = 0; i < estimates.size(); ++i) {
    const Estimate& e = estimates[i];
    const double x = static_cast<double>(i);
    const Colour colour = e.control ? kGrey : SeriesColour(0);
    AddBox(panel, x, half, Finite(e.values), Faded(colour, 0.25));
    if (!std::isfinite(e.mean)) continue;
    panel.Interval(x, e.low, e.high, std::min(3.0, half), {colour, 1.2});
    panel.drawing().AddDot(Role::kMark, panel.At(x, e.mean), std::clamp(0.25 * step, 0.6, e.values.empty() ? 2.6 : 1.8),
                           colour);
  }
}

void AddNoteLines(Drawing& drawing, Box* rest, const std::vector<std::string>& lines) {
  constexpr double kSize = 8, kRow = 12;
  for (const std::string& line : lines) {
    drawing.AddText(Role::kNote, FitText(line, rest->width(), kSize), {rest->left, rest->top + kSize}, {kSize});
    rest->top += kRow;
  }
  if (!lines.empty()) rest->top += 4;
}

// Brackets in rows so that none lies over another: each takes the lowest row in which its span, or that of its text, is
// free. `step`: points between two effects.
std::vector<int> BracketRows(const std::vector<Comparison>& comparisons, double step) {
  const double text = (TextWidth("q < 0.001", 7) + 6) / step;
  const auto span = [&](const Comparison& c) {
    const auto [low, high] = std::minmax(c.first, c.second);
    const double middle = static_cast<double>(low + high) / 2,
                 half = std::max(static_cast<double>(high - low), text) / 2;
    return std::pair(middle - half, middle + half);
  };
  std::vector<int> rows;
  for (size_t i = 0; i < comparisons.size(); ++i) {
    const auto [low, high] = span(comparisons[i]);
    int row = 0;
    for (bool free = false; !free; row += free ? 0 : 1) {
      free = true;
      for (size_t j = 0; j < i; ++j) {
        const auto [a, b] = span(comparisons[j]);
        if (rows[j] == row && low <= b && a <= high) free = false;
      }
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

absl::StatusOr<Drawing> DrawKmers(const std::vector<Estimate>& all, const Style& style) {
  std::vector<Estimate> kmers = WithMeans(all);
  if (kmers.empty()) return NothingToDraw("at least one k-mer with an effect");
  Drawing drawing(340, 56 + 14.0 * static_cast<double>(kmers.size()) + (style.title.empty() ? 0 : 18));
  const Box rest = AddTitle(drawing, style.title);
  std::reverse(kmers.begin(), kmers.end());  // categories count from below
  Panel panel(drawing, rest, NumberAxis(kEffectTitle, RangeOf(EndsOf(kmers), true)),
              CategoryAxis("", Labels(kmers, style)));
  for (size_t i = 0; i < kmers.size(); ++i) {
    const Estimate& e = kmers[i];
    const double middle = panel.Y(static_cast<double>(i)), zero = panel.X(0), end = panel.X(e.mean);
    drawing.AddRectangle(Role::kMark, {std::min(zero, end), middle - 4.5, std::max(zero, end), middle + 4.5},
                         Faded(SeriesColour(0), 0.75));
    if (!std::isfinite(e.low) || !std::isfinite(e.high)) continue;
    const double low = panel.X(e.low), high = panel.X(e.high);
    drawing.AddPath(Role::kInterval,
                    {{low, middle - 2.5},
                     {low, middle + 2.5},
                     {low, middle},
                     {high, middle},
                     {high, middle - 2.5},
                     {high, middle + 2.5}},
                    {kInk, 0.9});
  }
  return drawing;
}

absl::StatusOr<Drawing> DrawEffects(const EffectsData& data, const Style& style) {
  if (WithMeans(data.effects).empty()) return NothingToDraw("at least one effect");
  const double n = static_cast<double>(data.effects.size()), width = std::clamp(80 + 34 * n, 320.0, 1000.0);
  const std::vector<int> rows = BracketRows(data.comparisons, (width - 80) / n);
  const int levels = rows.empty() ? 0 : *std::max_element(rows.begin(), rows.end()) + 1;
  Drawing drawing(width, 280 + kBracketHeight * levels + 12 * static_cast<double>(data.notes.size()));
  Box rest = AddTitle(drawing, style.title);
  const bool controls =
      std::any_of(data.effects.begin(), data.effects.end(), [](const Estimate& e) { return e.control; });
  if (controls) rest = AddLegend(drawing, rest, {{"pattern", SeriesColour(0)}, {"control", kGrey}});
  AddNoteLines(drawing, &rest, data.notes);
  rest.top += kBracketHeight * levels;
  Panel panel(drawing, rest, CategoryAxis("", Labels(data.effects, style)),
              NumberAxis(kEffectTitle, RangeOf(EndsOf(data.effects), true)));
  panel.Level(0, {kGrey, 0.6, 2});
  AddEstimates(panel, data.effects);
  for (size_t i = 0; i < data.comparisons.size(); ++i) {
    const Comparison& c = data.comparisons[i];
    AddBracket(drawing, panel.X(static_cast<double>(c.first)), panel.X(static_cast<double>(c.second)),
               panel.area().top - 5 - kBracketHeight * rows[i], ProbabilityText("q", c.q));
  }
  return drawing;
}

absl::StatusOr<Drawing> DrawCurve(const CurveData& data, const Style& style) {
  std::vector<double> xs, ys = EndsOf(data.points, false);
  for (const Estimate& e : data.points) xs.push_back(std::isfinite(e.mean) ? e.x : kNone);
  for (const Estimate& e : data.others) xs.push_back(std::isfinite(e.mean) ? e.x : kNone);
  if (Finite(xs).empty()) return NothingToDraw("at least one effect with a place on the axis");
  const std::vector<double> more = EndsOf(data.others, false);
  ys.insert(ys.end(), more.begin(), more.end());
  ys.push_back(data.level);
  const bool line = std::isfinite(data.intercept) && std::isfinite(data.slope);
  Drawing drawing(340, 260);
  Box rest = AddTitle(drawing, style.title);
  std::vector<LegendEntry> legend;
  if (!data.others.empty())
    legend = {{data.points.empty() ? "" : data.points[0].label, SeriesColour(0)}, {data.others_name, SeriesColour(1)}};
  if (std::isfinite(data.level)) legend.push_back({data.level_name, kGrey, true, 3});
  if (line) {
    const bool known = std::isfinite(data.r_squared);
    legend.push_back({absl::StrCat(absl::StrFormat("slope %.3g", data.slope),
                                   known ? absl::StrFormat(", R\u00B2 %.4f", data.r_squared) : ""),
                      kGrey, true});
  }
  rest = AddLegend(drawing, rest, legend);
  Axis x = NumberAxis(data.x_title, RangeOf(xs, false, 0.08));
  x.whole = true;
  Panel panel(drawing, rest, x, NumberAxis(kEffectTitle, RangeOf(ys, true)));
  panel.Level(0, {kGrey, 0.6, 2});
  panel.Level(data.level, {kGrey, 1, 4});
  std::vector<Point> path;
  if (line) {
    // Only as far as the points' range shows it.
    for (const double at : {RangeOf(xs, false, 0).low, RangeOf(xs, false, 0).high}) {
      path.push_back(panel.At(at, data.intercept + data.slope * at));
    }
    drawing.AddPath(Role::kGuide, path, {kGrey, 1.2});
  } else {
    std::vector<Estimate> ordered = WithMeans(data.points);
    std::erase_if(ordered, [](const Estimate& e) { return !std::isfinite(e.x); });
    std::stable_sort(ordered.begin(), ordered.end(), [](const Estimate& a, const Estimate& b) { return a.x < b.x; });
    for (const Estimate& e : ordered) path.push_back(panel.At(e.x, e.mean));
    drawing.AddPath(Role::kGuide, path, {SeriesColour(0), 1});
  }
  for (const auto& [points, colour] :
       {std::pair(&data.points, SeriesColour(0)), std::pair(&data.others, SeriesColour(1))}) {
    std::vector<Estimate> shown = *points;
    std::erase_if(shown, [](const Estimate& e) { return !std::isfinite(e.mean) || !std::isfinite(e.x); });
    for (const Estimate& e : shown) panel.Interval(e.x, e.low, e.high, 2.5, {colour, 1});
    for (const Estimate& e : shown) drawing.AddDot(Role::kMark, panel.At(e.x, e.mean), 2.6, colour);
  }
  return drawing;
}

absl::StatusOr<Drawing> DrawGc(const GcData& data, const Style& style) {
  const std::vector<double> differences = Finite(data.differences);
  const bool effects = !WithMeans(data.effects).empty(), histogram = differences.size() >= kLeastModels;
  if (!effects && differences.empty()) return NothingToDraw("effects of the gc experiment, or its ratios");
  Drawing drawing(effects && histogram ? 560 : 300, 270 + 12 * static_cast<double>(data.notes.size()));
  Box rest = AddTitle(drawing, style.title);
  if (effects) {
    Box left = rest;
    if (histogram) left.right = rest.left + 260;
    AddNoteLines(drawing, &left, data.notes);
    Panel panel(drawing, left, CategoryAxis("", Labels(data.effects, style)),
                NumberAxis(kEffectTitle, RangeOf(EndsOf(data.effects), true)));
    panel.Level(0, {kGrey, 0.6, 2});
    AddEstimates(panel, data.effects);
    rest.left = left.right + 20;
  }
  if (histogram || !effects) {
    rest.top += 14;  // for what is said above it
    Panel panel = AddHistogram(drawing, rest, differences, "GC to the right - to the left, of the motif's effect",
                               "models", Faded(SeriesColour(0), 0.75));
    double sum = 0;
    for (const double d : differences) sum += d / static_cast<double>(differences.size());
    drawing.AddLine(Role::kGuide, {panel.X(sum), panel.area().top}, {panel.X(sum), panel.area().bottom},
                    {SeriesColour(1), 1.2, 3});
    drawing.AddText(Role::kNote, absl::StrFormat("mean %.3f, %d models", sum, differences.size()),
                    {panel.area().right, panel.area().top - 3}, {8, Align::kEnd});
  }
  return drawing;
}

}  // namespace rb::plot
