// Sequence logos.
#include <algorithm>
#include <cmath>

#include "apps/plot/pieces.h"

namespace rb::plot {

LogoData InformationLogo(const Pwm& pwm) {
  LogoData data;
  data.title = "bits";
  data.top = 2;
  for (const auto& column : pwm.columns) {
    const double bits = InformationContent(column);
    data.heights.push_back({bits * column[0], bits * column[1], bits * column[2], bits * column[3]});
  }
  return data;
}

LogoData CoverageLogo(const AlignmentMotif& motif) {
  LogoData logo = InformationLogo(motif.pwm);
  std::vector<double> weights;
  for (const auto& sums : motif.sums) weights.push_back(sums[0] + sums[1] + sums[2] + sums[3]);
  const double most = weights.empty() ? 0 : *std::max_element(weights.begin(), weights.end());
  for (size_t i = 0; i < std::min(weights.size(), logo.heights.size()); ++i) {
    for (double& height : logo.heights[i]) height *= most > 0 ? weights[i] / most : 1;
  }
  logo.title = "bits, by weight";
  return logo;
}

absl::StatusOr<Drawing> DrawLogo(const LogoData& data, const Style& style) {
  if (data.heights.empty()) return NothingToDraw("a motif of at least one position");
  const double n = static_cast<double>(data.heights.size());
  Drawing drawing(std::clamp(70 + 24 * n, 150.0, 1200.0), style.title.empty() ? 130 : 150);
  const Box rest = AddTitle(drawing, style.title);
  Range range = std::isnan(data.top) ? StackRange(data.heights) : Range{0, data.top};
  Axis x = PositionAxis("", data.first, data.heights.size());
  Panel panel(drawing, rest, x, NumberAxis(data.title, range));
  for (size_t i = 0; i < data.heights.size(); ++i) {
    const double at = data.first + static_cast<double>(i), left = panel.X(at - 0.5), right = panel.X(at + 0.5);
    AddStack(panel, left + 0.03 * (right - left), right - 0.03 * (right - left), data.heights[i], style);
  }
  if (range.low < 0) panel.Level(0, {kInk, 0.6});
  return drawing;
}

}  // namespace rb::plot
