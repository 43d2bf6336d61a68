// Learning curves.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/plot/pieces.h"

namespace rb::plot {
namespace {

// Pieces between the values that are missing.
void AddCurve(Panel& panel, const std::vector<double>& x, const std::vector<double>& y, const Stroke& stroke) {
  std::vector<Point> path;
  for (size_t i = 0; i <= x.size(); ++i) {
    if (i < x.size() && std::isfinite(x[i]) && std::isfinite(y[i])) {
      path.push_back(panel.At(x[i], y[i]));
      continue;
    }
    if (path.size() == 1) panel.drawing().AddDot(Role::kMark, path[0], 1.5, stroke.colour);
    if (path.size() > 1) panel.drawing().AddPath(Role::kMark, path, stroke);
    path.clear();
  }
}

int BestOf(const HistoryData& model) {
  int best = -1;
  for (size_t i = 0; i < model.metrics.size(); ++i) {
    if (std::isfinite(model.metrics[i]) && std::isfinite(model.epochs[i]) &&
        (best < 0 || model.metrics[i] > model.metrics[best]))
      best = static_cast<int>(i);
  }
  return best;
}

// Where the learning rate changes, with the new one.
void AddRateSteps(Panel& panel, const HistoryData& model) {
  double last = -1e9;
  for (size_t i = 1; i < model.rates.size(); ++i) {
    if (!std::isfinite(model.rates[i]) || model.rates[i] == model.rates[i - 1] || !std::isfinite(model.epochs[i]))
      continue;
    const double x = panel.X(model.epochs[i] - 0.5), top = panel.area().top;
    panel.drawing().AddLine(Role::kGuide, {x, top}, {x, panel.area().bottom}, {kGrey, 0.6, 2});
    const std::string text = Short(model.rates[i], 2);
    const double width = TextWidth(text, 7);
    if (x + 2 < last || x + 2 + width > panel.area().right + 8) continue;
    panel.drawing().AddText(Role::kNote, text, {x + 2, top + 6}, {7, Align::kStart, false, false, kGrey});
    last = x + 2 + width + 3;
  }
}

}  // namespace

absl::StatusOr<Drawing> DrawHistory(const std::vector<HistoryData>& models, const Style& style) {
  std::vector<double> epochs, losses, metrics;
  for (const HistoryData& m : models) {
    epochs.insert(epochs.end(), m.epochs.begin(), m.epochs.end());
    losses.insert(losses.end(), m.valid_losses.begin(), m.valid_losses.end());
    if (models.size() == 1) losses.insert(losses.end(), m.train_losses.begin(), m.train_losses.end());
    metrics.insert(metrics.end(), m.metrics.begin(), m.metrics.end());
  }
  if (Finite(epochs).empty()) return NothingToDraw("at least one epoch");
  const bool one = models.size() == 1;
  Drawing drawing(380,
                  330 + (models.size() > 6 ? 13.0 * static_cast<double>(std::min<size_t>(models.size(), 14) / 3) : 0));
  Box rest = AddTitle(drawing, style.title);
  std::vector<LegendEntry> legend;
  if (one) {
    legend = {{"training", SeriesColour(1), true}, {"validation", SeriesColour(0), true}};
    if (const int best = BestOf(models[0]); best >= 0) {
      legend.push_back(
          {absl::StrFormat("best %.4f, epoch %.0f", models[0].metrics[best], models[0].epochs[best]), SeriesColour(0)});
    }
  } else {
    for (size_t i = 0; i < std::min<size_t>(models.size(), 14); ++i)
      legend.push_back({models[i].name, SeriesColour(i), true});
    if (models.size() > 14)
      legend.push_back({absl::StrCat("and ", models.size() - 14, " more"), {255, 255, 255}, true});
  }
  rest = AddLegend(drawing, rest, legend);
  Axis hidden = NumberAxis("", RangeOf(epochs, false, 0.03)), shown = NumberAxis("epoch", hidden.range);
  hidden.hidden = shown.whole = true;
  const std::string& name = models[0].metric;
  Axis loss = NumberAxis(one ? "loss" : "validation loss", RangeOf(losses)),
       metric = NumberAxis("validation " + name, RangeOf(metrics));
  const double middle = rest.top + (rest.height() - 24) / 2;
  const double left = rest.left + std::max(AxisWidth(loss, middle - rest.top), AxisWidth(metric, middle - rest.top));
  Panel above(drawing, {rest.left, rest.top, rest.right - 8, middle - 6}, hidden, loss, left);
  Panel below(drawing, {rest.left, middle + 6, rest.right, rest.bottom}, shown, metric, left);
  for (size_t i = 0; i < models.size(); ++i) {
    const HistoryData& m = models[i];
    const Colour colour = SeriesColour(i);
    if (one) AddCurve(above, m.epochs, m.train_losses, {SeriesColour(1), 1.3});
    AddCurve(above, m.epochs, m.valid_losses, {colour, 1.3});
    AddCurve(below, m.epochs, m.metrics, {colour, 1.3});
    if (one) AddRateSteps(above, m);
    if (const int best = BestOf(m); best >= 0) {
      drawing.AddDot(Role::kGuide, below.At(m.epochs[best], m.metrics[best]), 3, colour);
    }
  }
  return drawing;
}

}  // namespace rb::plot
