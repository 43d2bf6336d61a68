// Predicted against measured values.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/plot/pieces.h"
#include "gia/statistics.h"

namespace rb::plot {
namespace {

constexpr int kCells = 84;

// Cells by the logarithm of their number of points, in few steps: equal colours make small files.
void AddDensity(Panel& panel, const std::vector<Point>& points) {
  std::vector<int> counts(kCells * kCells, 0);
  int most = 1;
  const Box& area = panel.area();
  for (const Point& p : points) {
    const int column = std::min(kCells - 1, static_cast<int>((p.x - area.left) / area.width() * kCells));
    const int row = std::min(kCells - 1, static_cast<int>((p.y - area.top) / area.height() * kCells));
    most = std::max(most, ++counts[row * kCells + column]);
  }
  constexpr double kSteps = 14;
  std::vector<Colour> colours;
  for (const int count : counts) {
    const double share = most > 1 ? std::log(std::max(count, 1)) / std::log(most) : 1;
    colours.push_back(count == 0 ? Colour{0, 0, 0, 0} : Sequential(std::round(share * kSteps) / kSteps));
  }
  panel.drawing().AddCells(Role::kMark, area, kCells, kCells, std::move(colours));
}

void AddPoints(Panel& panel, const std::vector<Point>& points, Colour colour, double radius) {
  for (const Point& p : points) panel.drawing().AddDot(Role::kMark, p, radius, colour);
}

}  // namespace

absl::StatusOr<Drawing> DrawScatter(const ScatterData& data, const Style& style) {
  std::vector<double> x, y;
  std::vector<char> marked;
  for (size_t i = 0; i < std::min(data.x.size(), data.y.size()); ++i) {
    if (!std::isfinite(data.x[i]) || !std::isfinite(data.y[i])) continue;
    x.push_back(data.x[i]), y.push_back(data.y[i]);
    marked.push_back(data.marked.empty() ? 0 : data.marked[i]);
  }
  if (x.empty()) return NothingToDraw("at least one pair of numbers");
  Drawing drawing(340, style.title.empty() && data.marked_name.empty() ? 320 : 350);
  Box rest = AddTitle(drawing, style.title);
  const auto carriers = std::count(marked.begin(), marked.end(), 1);
  if (!data.marked_name.empty()) {
    rest = AddLegend(drawing, rest,
                     {{absl::StrCat(data.marked_name, " (", carriers, ")"), SeriesColour(1)},
                      {absl::StrCat("others (", x.size() - carriers, ")"), SeriesColour(0)}});
  }
  Panel panel(drawing, rest, NumberAxis(data.x_title, RangeOf(x)), NumberAxis(data.y_title, RangeOf(y)));
  std::vector<Point> plain, special;
  for (size_t i = 0; i < x.size(); ++i) (marked[i] ? special : plain).push_back(panel.At(x[i], y[i]));
  const double radius = x.size() < 300 ? 2.2 : 1.1;
  Colour blue = SeriesColour(0), red = SeriesColour(1);
  blue.alpha = red.alpha = 170;
  if (plain.size() > kMostDots)
    AddDensity(panel, plain);
  else
    AddPoints(panel, plain, blue, radius);
  if (special.size() > kMostDots) {  // a pattern that many carry: every so many of them, and the legend says how many
    std::vector<Point> some;
    const size_t every = (special.size() + kMostDots - 1) / kMostDots;
    for (size_t i = 0; i < special.size(); i += every) some.push_back(special[i]);
    special = std::move(some);
  }
  AddPoints(panel, special, red, radius);
  const Correlation r = PearsonTest(x, y);
  panel.Notes(
      {std::isnan(r.r) ? "Pearson undefined" : absl::StrFormat("Pearson %.3f", r.r), absl::StrCat("n = ", x.size())});
  return drawing;
}

}  // namespace rb::plot
