#include "apps/plot/pieces.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "data/alphabet.h"

namespace rb::plot {
namespace {

// The value below which `share` of the sorted values lie, between neighbours by a straight line.
double Quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(at);
  return i + 1 < sorted.size() ? sorted[i] + (at - static_cast<double>(i)) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

Colour ProfileColour(size_t track, size_t tracks) {
  constexpr Colour colours[] = {{68, 84, 106}, {213, 94, 0}, {86, 180, 233}, {0, 158, 115}, {222, 222, 222}};
  return tracks == 2 && track == 1 ? colours[4] : colours[std::min<size_t>(track, 4)];
}

}  // namespace

void AddStack(Panel& panel, double left, double right, const std::array<double, 4>& heights, const Style& style) {
  constexpr double kLeast = 0.02;  // points: what is thinner is not seen
  std::array<int, 4> order = {0, 1, 2, 3};
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return std::abs(std::isnan(heights[a]) ? 0 : heights[a]) < std::abs(std::isnan(heights[b]) ? 0 : heights[b]);
  });
  for (const bool below : {false, true}) {
    double at = 0;
    for (const int code : order) {
      const double height = heights[code];
      if (std::isnan(height) || (below ? height >= 0 : height <= 0)) continue;
      const double from = panel.Y(at), to = panel.Y(at += height);
      if (std::abs(from - to) < kLeast) continue;
      panel.drawing().AddLetter(Role::kMark, LetterOf(code, style),
                                {left, std::min(from, to), right, std::max(from, to)}, LetterColour(code, style),
                                below);
    }
  }
}

Range StackRange(const std::vector<std::array<double, 4>>& heights) {
  std::vector<double> ends = {0};
  for (const auto& column : heights) {
    double above = 0, below = 0;
    for (const double h : column) (h > 0 ? above : below) += std::isnan(h) ? 0 : h;
    ends.push_back(above);
    ends.push_back(below);
  }
  return RangeOf(ends, /*with_zero=*/true);
}

void AddSequence(Panel& panel, const std::string& letters, double first, double top, double bottom,
                 const Style& style) {
  for (size_t i = 0; i < letters.size(); ++i) {
    const double x = first + static_cast<double>(i), left = panel.X(x - 0.5), right = panel.X(x + 0.5);
    const int code = BaseCode(letters[i]);
    if (right - left < 3 || code >= 4) continue;
    const double half = std::min(0.42 * (right - left), 0.4 * (bottom - top)), middle = (left + right) / 2;
    panel.drawing().AddLetter(Role::kGuide, LetterOf(code, style), {middle - half, top, middle + half, bottom},
                              LetterColour(code, style));
  }
}

void AddProfiles(Panel& panel, const std::vector<std::vector<double>>& profiles, double first) {
  for (size_t i = 0; i < profiles.size(); ++i) {
    const double x = first + static_cast<double>(i), left = panel.X(x - 0.5), right = panel.X(x + 0.5);
    const double gap = right - left > 4 ? 0.5 : 0;
    double sum = 0;
    for (size_t t = 0; t < profiles[i].size(); ++t) {
      const double share = std::isfinite(profiles[i][t]) ? std::clamp(profiles[i][t], 0.0, 1.0) : 0;
      const double low = panel.Y(sum), high = panel.Y(sum += share);
      panel.drawing().AddRectangle(Role::kMark, {left + gap, high, right - gap, low},
                                   ProfileColour(t, profiles[i].size()));
    }
  }
}

std::vector<LegendEntry> ProfileLegend(size_t tracks) {
  if (tracks == 2) return {{"paired", ProfileColour(0, 2)}, {"unpaired", ProfileColour(1, 2)}};
  std::vector<LegendEntry> entries;
  for (const char* name : {"paired", "hairpin loop", "internal loop or bulge", "multiloop", "outside all pairs"}) {
    entries.push_back({name, ProfileColour(entries.size(), 5)});
  }
  return entries;
}

BoxShape BoxShapeOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  BoxShape box = {Quantile(values, 0.25), Quantile(values, 0.5), Quantile(values, 0.75), 0, 0};
  const double reach = 1.5 * (box.high - box.low);
  box.least = *std::lower_bound(values.begin(), values.end(), box.low - reach);
  box.most = *std::prev(std::upper_bound(values.begin(), values.end(), box.high + reach));
  return box;
}

void AddBox(Panel& panel, double x, double half, std::vector<double> values, Colour colour) {
  if (values.size() < kLeastOfBox) return;
  const auto [low, median, high, least, most] = BoxShapeOf(std::move(values));
  const double at = panel.X(x);
  Drawing& drawing = panel.drawing();
  const Stroke stroke = {kGrey, 0.8};
  drawing.AddLine(Role::kInterval, {at, panel.Y(least)}, {at, panel.Y(low)}, stroke);
  drawing.AddLine(Role::kInterval, {at, panel.Y(high)}, {at, panel.Y(most)}, stroke);
  drawing.AddRectangle(Role::kInterval, {at - half, panel.Y(high), at + half, panel.Y(low)}, colour);
  drawing.AddPath(Role::kInterval,
                  {{at - half, panel.Y(high)},
                   {at + half, panel.Y(high)},
                   {at + half, panel.Y(low)},
                   {at - half, panel.Y(low)},
                   {at - half, panel.Y(high)}},
                  stroke);
  const double middle = panel.Y(median);
  drawing.AddLine(Role::kInterval, {at - half, middle}, {at + half, middle}, {kInk, 1.4});
}

Panel AddHistogram(Drawing& drawing, const Box& outer, const std::vector<double>& values, const std::string& x_title,
                   const std::string& y_title, Colour colour) {
  Range range = RangeOf(values, false, 0.02);
  const int bins = std::clamp(static_cast<int>(2 * std::sqrt(static_cast<double>(values.size()))), 12, 40);
  std::vector<double> counts(bins, 0.0);
  for (const double v : values) counts[std::min(bins - 1, static_cast<int>(range.Share(v) * bins))] += 1;
  const double most = *std::max_element(counts.begin(), counts.end());
  Axis y = NumberAxis(y_title, {0, std::max(1.0, most * 1.05)});
  y.whole = true;
  Panel panel(drawing, outer, NumberAxis(x_title, range), y);
  const double width = (range.high - range.low) / bins;
  for (int i = 0; i < bins; ++i) {
    const double left = panel.X(range.low + i * width), right = panel.X(range.low + (i + 1) * width);
    if (counts[i] == 0) continue;
    drawing.AddRectangle(Role::kMark, {left + 0.4, panel.Y(counts[i]), right - 0.4, panel.Y(0)}, colour);
  }
  return panel;
}

void AddBracket(Drawing& drawing, double from, double to, double y, const std::string& text) {
  drawing.AddPath(Role::kGuide, {{from, y + 3}, {from, y}, {to, y}, {to, y + 3}}, {kInk, 0.7});
  const std::string shown = FitText(text, drawing.width() - 4, 7);
  const double half = TextWidth(shown, 7) / 2;
  drawing.AddText(Role::kNote, shown, {std::clamp((from + to) / 2, half + 2, drawing.width() - half - 2), y - 2.5},
                  {7, Align::kMiddle});
}

std::string ProbabilityText(const std::string& name, double p) {
  if (std::isnan(p)) return name + " = ?";
  return p < 0.001 ? absl::StrCat(name, " < 0.001") : absl::StrFormat("%s = %.*f", name, p < 0.1 ? 3 : 2, p);
}

std::vector<double> Finite(std::span<const double> values) {
  std::vector<double> finite;
  for (const double v : values) {
    if (std::isfinite(v)) finite.push_back(v);
  }
  return finite;
}

Axis PositionAxis(std::string title, int first, size_t n) {
  Axis axis = NumberAxis(std::move(title), {first - 0.5, first + static_cast<double>(n) - 0.5});
  axis.whole = true;
  return axis;
}

absl::Status NothingToDraw(const std::string& expected) {
  return absl::InvalidArgumentError(absl::StrCat("nothing to draw; expected ", expected));
}

}  // namespace rb::plot
