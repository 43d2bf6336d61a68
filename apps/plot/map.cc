// Maps of substitutions or gradients, and structure profiles.
#include <algorithm>
#include <cmath>

#include "apps/plot/pieces.h"
#include "data/alphabet.h"

namespace rb::plot {
namespace {

constexpr double kBarSpace = 62;  // points to the right, for the bar of colours

double PageWidth(size_t positions) {
  return std::clamp(60 + kBarSpace + 13.0 * static_cast<double>(positions), 260.0, 1200.0);
}

std::vector<std::array<double, 4>> Stacks(const MapData& data) {
  const std::vector<double> heights = MapHeights(data);
  std::vector<std::array<double, 4>> stacks(heights.size(), {0, 0, 0, 0});
  for (size_t i = 0; i < heights.size(); ++i) {
    if (const int code = BaseCode(data.letters[i]); code < 4) stacks[i][code] = heights[i];
  }
  return stacks;
}

double LargestOf(const MapData& data) {
  double largest = 0;
  for (const auto& column : data.effects) {
    for (const double v : column) largest = std::isfinite(v) ? std::max(largest, std::abs(v)) : largest;
  }
  return largest > 0 ? largest : 1;
}

// The four letters by positions; the sequence's own are marked.
void AddHeat(Panel& panel, const MapData& data, double largest) {
  const size_t n = data.letters.size();
  std::vector<Colour> colours(4 * n, Colour{0, 0, 0, 0});
  for (size_t i = 0; i < n; ++i) {
    for (int code = 0; code < 4; ++code) {
      const double v = data.effects[i][code];
      const bool own = BaseCode(data.letters[i]) == code && !data.gradient;
      if (std::isfinite(v) || own) colours[code * n + i] = Diverging(own ? 0 : v / largest);
    }
  }
  panel.drawing().AddCells(Role::kMark, panel.area(), 4, static_cast<int>(n), std::move(colours));
  for (size_t i = 0; i < n; ++i) {
    const int code = BaseCode(data.letters[i]);
    if (code >= 4) continue;
    const Point at = panel.At(data.first + static_cast<double>(i), 3 - code);
    const double radius = std::min(1.3, 0.25 * panel.area().width() / static_cast<double>(n));
    panel.drawing().AddDot(Role::kGuide, at, radius, kInk);
  }
}

}  // namespace

std::vector<double> MapHeights(const MapData& data) {
  std::vector<double> heights;
  for (size_t i = 0; i < data.effects.size(); ++i) {
    const int own = BaseCode(data.letters[i]);
    double squares = 0, sum = 0, others = 0;
    for (int code = 0; code < 4; ++code) {
      const double v = data.effects[i][code];
      if (!std::isfinite(v)) continue;
      squares += v * v;
      if (code != own) sum += v, others += 1;
    }
    if (!data.contributions)
      heights.push_back(std::sqrt(squares));
    else if (data.gradient)
      heights.push_back(own < 4 && std::isfinite(data.effects[i][own]) ? data.effects[i][own] : 0);
    else
      heights.push_back(others > 0 ? -sum / others : 0);
  }
  return heights;
}

absl::StatusOr<Drawing> DrawMap(const MapData& data, const Style& style) {
  const size_t n = data.letters.size();
  if (n == 0 || data.effects.size() != n) return NothingToDraw("the effects of a sequence of at least one letter");
  const bool any = std::any_of(data.effects.begin(), data.effects.end(), [](const std::array<double, 4>& at) {
    return std::any_of(at.begin(), at.end(), [](double effect) { return std::isfinite(effect); });
  });
  if (!any) return NothingToDraw("at least one effect");
  const bool track = data.structure.size() == n;
  Drawing drawing(PageWidth(n), 210 + (style.title.empty() ? 0 : 18) + (track ? 92 : 0));
  Box rest = AddTitle(drawing, style.title);
  const std::vector<std::array<double, 4>> stacks = Stacks(data);
  Axis hidden = PositionAxis("", data.first, n), shown = PositionAxis("position (from 0)", data.first, n);
  hidden.hidden = true;
  if (data.first == 1) shown.title = "position";
  const Axis heights = NumberAxis(data.contributions ? "contribution" : "L2 norm", StackRange(stacks));
  const double left = rest.left + AxisWidth(heights, 92), right = rest.right - kBarSpace;
  Panel logo(drawing, {rest.left, rest.top, right, rest.top + 92}, hidden, heights, left);
  for (size_t i = 0; i < n; ++i) {
    const double at = data.first + static_cast<double>(i), from = logo.X(at - 0.5), to = logo.X(at + 0.5);
    AddStack(logo, from + 0.03 * (to - from), to - 0.03 * (to - from), stacks[i], style);
  }
  if (heights.range.low < 0) logo.Level(0, {kInk, 0.6});
  AddSequence(logo, data.letters, data.first, logo.area().bottom + 5, logo.area().bottom + 14, style);
  const double top = logo.area().bottom + 19;
  Axis rows = CategoryAxis("", {style.dna ? "T" : "U", "G", "C", "A"});
  // The panel keeps 8 points for the last label; the columns stay below the logo's.
  Panel heat(drawing, {rest.left, top, right + 8, top + 82}, shown, rows, left);
  const double largest = LargestOf(data);
  AddHeat(heat, data, largest);
  AddColourBar(drawing, {right + 10, heat.area().top, right + 18, heat.area().bottom}, {-largest, largest}, data.title,
               true);
  if (track) {
    rest.top = top + 88;
    rest = AddLegend(drawing, {left, rest.top, rest.right, rest.bottom}, ProfileLegend(data.structure[0].size()));
    Panel profile(drawing, {10, rest.top, right, rest.bottom}, hidden, NumberAxis("probability", {0, 1}), left);
    AddProfiles(profile, data.structure, data.first);
  }
  return drawing;
}

absl::StatusOr<Drawing> DrawFold(const FoldData& data, const Style& style) {
  const size_t n = data.letters.size();
  if (n == 0 || data.profiles.size() != n) return NothingToDraw("the profile of a sequence of at least one letter");
  Drawing drawing(std::clamp(60 + 11.0 * static_cast<double>(n), 420.0, 1400.0), style.title.empty() ? 172 : 190);
  Box rest = AddTitle(drawing, style.title);
  rest = AddLegend(drawing, rest, ProfileLegend(data.profiles[0].size()));
  Panel panel(drawing, {rest.left, rest.top, rest.right, rest.bottom}, PositionAxis("position", 1, n),
              NumberAxis("probability", {0, 1.12}));
  AddProfiles(panel, data.profiles, 1);
  AddSequence(panel, data.letters, 1, panel.area().top, panel.Y(1) - 2, style);
  return drawing;
}

}  // namespace rb::plot
