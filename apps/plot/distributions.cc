// Experiments side by side, and against each other.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/plot/pieces.h"
#include "gia/statistics.h"

namespace rb::plot {
namespace {

std::vector<double> ValuesOf(const NamedValues& column) {
  std::vector<double> values;
  for (const auto& [name, value] : column.values) {
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

// a - b of the experiments that both have.
std::vector<double> SharedDifferences(const NamedValues& a, const NamedValues& b) {
  std::vector<double> differences;
  for (const auto& [name, value] : a.values) {
    const auto it = b.values.find(name);
    if (it != b.values.end() && std::isfinite(value) && std::isfinite(it->second))
      differences.push_back(value - it->second);
  }
  return differences;
}

// Density by a Gaussian kernel of Silverman's width, 1 where it is highest; 0 everywhere where values do not differ.
class Density {
 public:
  explicit Density(std::vector<double> values) : values_(std::move(values)) {
    width_ = 0.9 * SampleSd(values_) * std::pow(static_cast<double>(values_.size()), -0.2);
    for (const double v : values_) most_ = std::max(most_, At(v));
  }
  double operator()(double v) const { return most_ > 0 ? At(v) / most_ : 0; }

 private:
  double At(double v) const {
    if (!(width_ > 0)) return 0;
    double sum = 0;
    for (const double x : values_) sum += std::exp(-0.5 * (v - x) * (v - x) / (width_ * width_));
    return sum;
  }
  std::vector<double> values_;
  double width_ = 0, most_ = 0;
};

void AddViolin(Panel& panel, double x, double half, const std::vector<double>& values, Colour colour) {
  const Density density(values);
  const double at = panel.X(x);
  if (values.size() > 2) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    constexpr int kSteps = 48;
    std::vector<Point> left, outline;
    for (int i = 0; i <= kSteps; ++i) {
      const double v = *least + (*most - *least) * i / kSteps, wide = half * density(v);
      outline.push_back({at + wide, panel.Y(v)});
      left.push_back({at - wide, panel.Y(v)});
    }
    outline.insert(outline.end(), left.rbegin(), left.rend());
    panel.drawing().AddPolygon(Role::kGuide, outline, Faded(colour, 0.3));
  }
  // Points stand aside by the golden ratio's multiples, within the outline.
  Colour pale = colour;
  pale.alpha = 150;
  for (size_t i = 0; i < values.size(); ++i) {
    const double turn = std::fmod(0.61803398875 * static_cast<double>(i + 1), 1.0) - 0.5;
    const double wide = half * std::max(0.12, density(values[i]));
    panel.drawing().AddDot(Role::kMark, {at + 1.5 * turn * wide, panel.Y(values[i])}, 1.3, pale);
  }
  AddBox(panel, x, std::min(5.0, half / 4), values, {255, 255, 255});
}

std::string TestText(const std::vector<double>& differences) {
  const Wilcoxon test = WilcoxonSignedRank(differences);
  return absl::StrCat(ProbabilityText("p", test.p), ", n = ", differences.size());
}

}  // namespace

absl::StatusOr<Drawing> DrawExperiments(const std::vector<NamedValues>& columns, const std::string& metric,
                                        const Style& style) {
  std::vector<double> all;
  std::vector<std::string> names;
  for (const NamedValues& column : columns) {
    const std::vector<double> values = ValuesOf(column);
    all.insert(all.end(), values.begin(), values.end());
    names.push_back(column.name);
  }
  if (all.empty()) return NothingToDraw("at least one experiment with a value");
  const double n = static_cast<double>(columns.size());
  Drawing drawing(std::clamp(90 + 84 * n, 240.0, 1200.0), style.title.empty() ? 310 : 330);
  Box rest = AddTitle(drawing, style.title);
  rest.top += 8 + 11 + (columns.size() > 1 ? kBracketHeight : 0) + (columns.size() > 2 ? kBracketHeight : 0);
  Panel panel(drawing, rest, CategoryAxis("", names), NumberAxis(metric, RangeOf(all)));
  const double step = panel.X(1) - panel.X(0);
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::vector<double> values = ValuesOf(columns[i]);
    if (values.empty()) continue;
    const double x = static_cast<double>(i);
    AddViolin(panel, x, std::min(34.0, 0.4 * step), values, SeriesColour(i));
    const std::string mean = FitText(absl::StrFormat("mean %.3f", Mean(values)), step - 2, 7);
    drawing.AddText(Role::kNote, mean, {panel.X(x), panel.area().top - 4}, {7, Align::kMiddle});
    const std::vector<double> differences =
        i == 0 ? std::vector<double>() : SharedDifferences(columns[i], columns[i - 1]);
    if (differences.empty()) continue;
    const double y = panel.area().top - 16 - kBracketHeight * (i % 2 == 0 ? 1 : 0);
    AddBracket(drawing, panel.X(x - 1), panel.X(x), y, FitText(TestText(differences), 1.9 * step, 7));
  }
  return drawing;
}

absl::StatusOr<Drawing> DrawCompare(const NamedValues& ours, const NamedValues& theirs, const std::string& metric,
                                    const Style& style) {
  std::vector<double> x, y;
  for (const auto& [name, value] : ours.values) {
    const auto it = theirs.values.find(name);
    if (it == theirs.values.end() || !std::isfinite(value) || !std::isfinite(it->second)) continue;
    x.push_back(it->second), y.push_back(value);
  }
  if (x.empty()) return NothingToDraw("at least one experiment that both tables have");
  Drawing drawing(600, style.title.empty() ? 300 : 318);
  const Box rest = AddTitle(drawing, style.title);
  std::vector<double> both = x;
  both.insert(both.end(), y.begin(), y.end());
  const Range range = RangeOf(both);
  Panel paired(drawing, {rest.left, rest.top, rest.left + 285, rest.bottom},
               NumberAxis(absl::StrCat(metric, ", ", theirs.name), range),
               NumberAxis(absl::StrCat(metric, ", ", ours.name), range));
  drawing.AddLine(Role::kGuide, paired.At(range.low, range.low), paired.At(range.high, range.high), {kGrey, 0.7, 3});
  Colour colour = SeriesColour(0);
  colour.alpha = 190;
  size_t better = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    drawing.AddDot(Role::kMark, paired.At(x[i], y[i]), 2, colour);
    better += y[i] > x[i];
  }
  const std::vector<double> differences = SharedDifferences(ours, theirs);
  Panel histogram = AddHistogram(drawing, {rest.left + 305, rest.top + 28, rest.right, rest.bottom}, differences,
                                 "difference", "experiments", Faded(SeriesColour(0), 0.75));
  const Range shown = RangeOf(differences, false, 0.02);
  for (const auto& [at, of, dash] :
       {std::tuple(0.0, kGrey, 2.0), std::tuple(Mean(differences), SeriesColour(1), 3.0)}) {
    if (at < shown.low || at > shown.high) continue;
    drawing.AddLine(Role::kGuide, {histogram.X(at), histogram.area().top}, {histogram.X(at), histogram.area().bottom},
                    {of, 1, dash});
  }
  const std::string lines[] = {
      absl::StrFormat("mean %+.4f; better in %d of %d", Mean(differences), better, x.size()),
      absl::StrCat("Wilcoxon signed rank ", ProbabilityText("p", WilcoxonSignedRank(differences).p))};
  for (int i = 0; i < 2; ++i) {
    drawing.AddText(Role::kNote, FitText(lines[i], histogram.area().width(), 8),
                    {histogram.area().left, rest.top + 8 + 12 * i}, {8});
  }
  return drawing;
}

}  // namespace rb::plot
