// Parts that several pictures share.
#ifndef RB_APPS_PLOT_PIECES_H_
#define RB_APPS_PLOT_PIECES_H_

#include <array>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "apps/plot/axes.h"
#include "apps/plot/pictures.h"

namespace rb::plot {

// One position's letters between two x, on the panel's heights.
void AddStack(Panel& panel, double left, double right, const std::array<double, 4>& heights, const Style& style);
// The range that stacks need.
Range StackRange(const std::vector<std::array<double, 4>>& heights);

// The sequence's letters as a row of boxes between two y of the panel's area; nothing where they would be too small.
void AddSequence(Panel& panel, const std::string& letters, double first, double top, double bottom, const Style& style);
// Stacked probabilities, one bar a position from `first` on.
void AddProfiles(Panel& panel, const std::vector<std::vector<double>>& profiles, double first);
std::vector<LegendEntry> ProfileLegend(size_t tracks);

struct BoxShape {
  double low = 0, middle = 0, high = 0;  // quartiles
  double least = 0, most = 0;            // the last values within 1.5 times the box
};
// Of at least one value.
BoxShape BoxShapeOf(std::vector<double> values);
// Quartiles as a box, the median as a line, whiskers; at x, `half` points
// to either side. Under kLeastOfBox values get none.
inline constexpr size_t kLeastOfBox = 5;
void AddBox(Panel& panel, double x, double half, std::vector<double> values, Colour colour);

// How often values fall into bins of one width: bars on a new panel in `outer`.
Panel AddHistogram(Drawing& drawing, const Box& outer, const std::vector<double>& values, const std::string& x_title,
                   const std::string& y_title, Colour colour);

// A bracket between two x with a text over it.
void AddBracket(Drawing& drawing, double from, double to, double y, const std::string& text);
inline constexpr double kBracketHeight = 14;

std::string ProbabilityText(const std::string& name, double p);  // "q = 0.012", "q < 0.001"

std::vector<double> Finite(std::span<const double> values);

// x range and width of n positions from `first` on.
Axis PositionAxis(std::string title, int first, size_t n);

absl::Status NothingToDraw(const std::string& expected);

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_PIECES_H_
