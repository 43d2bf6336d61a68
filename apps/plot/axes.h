// Axes: ranges, ticks, and panels with labels that do not overlap.
#ifndef RB_APPS_PLOT_AXES_H_
#define RB_APPS_PLOT_AXES_H_

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "apps/plot/colours.h"
#include "apps/plot/drawing.h"

namespace rb::plot {

// low < high, both finite; both positive when log.
struct Range {
  double low = 0, high = 1;
  bool log = false;
  // 0 at low, 1 at high; values are brought into the range first, so that what a log scale has no place for stands at
  // its end.
  double Share(double value) const;
};

// The finite values' range, widened by `pad` of itself at both ends; one that is all the same or empty is made wide
// enough to have ticks. with_zero: zero belongs to it and an end at zero stays there. log: values that are not positive
// do not count.
Range RangeOf(std::span<const double> values, bool with_zero = false, double pad = 0.05, bool log = false);

// At least two numbers within the range, increasing, and not many more than `most` (2 or more): 1, 2, 5 times powers of
// ten; on a log scale powers of ten, with 2 and 5 times them when there are few, or else the ends.
std::vector<double> TicksOf(const Range& range, int most);
// Their labels, with equally many decimals, or as 1e-5 where they are very small or large.
std::vector<std::string> TickLabels(const std::vector<double>& ticks, bool log = false);

struct Axis {
  std::string title;
  Range range;
  // Categories instead of numbers: category i stands at i, the range is [-0.5, n - 0.5].
  std::vector<std::string> categories;
  // Counts and positions: no ticks between whole numbers.
  bool whole = false;
  bool hidden = false;  // neither ticks nor labels
};
Axis NumberAxis(std::string title, const Range& range);
Axis CategoryAxis(std::string title, std::vector<std::string> categories);

// A plot's area with its two axes drawn below and to the left of it.
class Panel {
 public:
  // Fits the axes with ticks, labels and titles into `outer`. `left`: where the area begins at least, for panels that
  // stand below each other.
  Panel(Drawing& drawing, const Box& outer, Axis x, Axis y, double left = 0);

  const Box& area() const { return area_; }
  double X(double value) const { return area_.left + x_.range.Share(value) * area_.width(); }
  double Y(double value) const { return area_.bottom - y_.range.Share(value) * area_.height(); }
  Point At(double x, double y) const { return {X(x), Y(y)}; }
  // From `low` to `high` at x with caps, in points wide.
  void Interval(double x, double low, double high, double cap, const Stroke& stroke);
  // A level line across the area.
  void Level(double y, const Stroke& stroke);
  // Dashed lines, the first k texts from the upper left corner (or right) downwards.
  void Notes(const std::vector<std::string>& lines, bool right = false);
  Drawing& drawing() { return drawing_; }

 private:
  void DrawX();
  void DrawY();

  Drawing& drawing_;
  Box area_;
  Axis x_, y_;
  std::vector<std::string> x_labels_;
  bool x_upwards_ = false;
};

// Points that Panel takes from its outer box on the left for this axis.
double AxisWidth(const Axis& y, double height);

// What stands above a picture; returns what is left of the page below it, inside its margins.
Box AddTitle(Drawing& drawing, const std::string& title);

struct LegendEntry {
  std::string name;
  Colour colour;
  bool line = false;  // a stroke, not a square
  double dash = 0;    // of the stroke
};
// In rows from the upper left of `area`; returns what is left of it.
Box AddLegend(Drawing& drawing, const Box& area, const std::vector<LegendEntry>& entries);

// A bar of colours with its range, in `box`; labels to its right.
void AddColourBar(Drawing& drawing, const Box& box, const Range& range, const std::string& title, bool diverging);

// "0.123", "1.2e-05", "12,000": about `digits` significant ones.
std::string Short(double value, int digits = 3);

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_AXES_H_
