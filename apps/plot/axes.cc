#include "apps/plot/axes.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace rb::plot {
namespace {

constexpr double kMargin = 10, kTitleSize = 11, kAxisTitleSize = 9, kLabelSize = 8, kTick = 3, kGap = 3;
constexpr double kMostUpwards = 110;  // points for labels that stand upright
constexpr double kLine = 0.8;

// 1, 2, 5 times a power of ten, at least `least`.
double RoundStep(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::vector<double> LogTicks(const Range& range, int most) {
  const int first = static_cast<int>(std::floor(std::log10(range.low))),
            last = static_cast<int>(std::ceil(std::log10(range.high)));
  const auto inside = [&](double v) { return v >= range.low * (1 - 1e-9) && v <= range.high * (1 + 1e-9); };
  const auto collect = [&](std::initializer_list<double> factors, int step) {
    std::vector<double> ticks;
    for (int e = first; e <= last; ++e) {
      if ((e - first) % step != 0) continue;
      for (const double f : factors) {
        if (inside(f * std::pow(10.0, e))) ticks.push_back(f * std::pow(10.0, e));
      }
    }
    return ticks;
  };
  if (auto ticks = collect({1, 2, 5}, 1); static_cast<int>(ticks.size()) <= most && ticks.size() >= 2) return ticks;
  for (int step = 1; step <= last - first; ++step) {
    auto ticks = collect({1}, step);
    if (static_cast<int>(ticks.size()) <= most && ticks.size() >= 2) return ticks;
    if (ticks.size() < 2) break;
  }
  return {range.low, range.high};
}

double WidestOf(const std::vector<std::string>& labels) {
  double widest = 0;
  for (const std::string& label : labels) widest = std::max(widest, TextWidth(label, kLabelSize));
  return widest;
}

std::vector<double> AxisTicks(const Axis& axis, int most) {
  std::vector<double> ticks;
  if (!axis.categories.empty()) {
    for (size_t i = 0; i < axis.categories.size(); ++i) ticks.push_back(static_cast<double>(i));
    return ticks;
  }
  ticks = TicksOf(axis.range, most);
  if (axis.whole) std::erase_if(ticks, [](double t) { return t != std::round(t); });
  return ticks;
}

std::vector<std::string> AxisLabels(const Axis& axis, const std::vector<double>& ticks) {
  if (axis.categories.empty()) return TickLabels(ticks, axis.range.log);
  std::vector<std::string> labels;
  for (const std::string& name : axis.categories) labels.push_back(FitText(name, kMostUpwards, kLabelSize));
  return labels;
}

int MostTicks(double points, double each) { return std::max(2, static_cast<int>(points / each)); }

std::vector<double> YTicks(const Axis& y, double height) { return AxisTicks(y, MostTicks(height, 24)); }

// Positions and counts are short.
std::vector<double> XTicks(const Axis& x, double width) { return AxisTicks(x, MostTicks(width, x.whole ? 22 : 44)); }

}  // namespace

double Range::Share(double value) const {
  const double v = std::clamp(value, low, high);
  return log ? (std::log(v) - std::log(low)) / (std::log(high) - std::log(low)) : (v - low) / (high - low);
}

Range RangeOf(std::span<const double> values, bool with_zero, double pad, bool log) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double v : values) {
    if (!std::isfinite(v) || (log && v <= 0)) continue;
    low = std::min(low, v), high = std::max(high, v);
  }
  if (low > high) low = log ? 0.1 : 0, high = 1;
  if (log) {
    const double factor = high > low ? std::pow(high / low, pad) : 2;
    return {low / factor, high * factor, true};
  }
  if (with_zero) low = std::min(low, 0.0), high = std::max(high, 0.0);
  // Numbers so near each other that a tick could not tell them apart count as one.
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low <= 1e-9 * size || high - low < 1e-300) {
    const double half = size > 1e-290 ? size / 10 : 1;
    return with_zero ? Range{0, 1} : Range{low - half, high + half};
  }
  const double more = pad * (high - low);
  return {with_zero && low == 0 ? 0 : low - more, with_zero && high == 0 ? 0 : high + more};
}

std::vector<double> TicksOf(const Range& range, int most) {
  if (range.log) return LogTicks(range, most);
  const double span = range.high - range.low;
  std::vector<double> ticks = {range.low, range.high};
  for (double step = RoundStep(span / (4.0 * most)); step <= span; step = RoundStep(step * 1.5)) {
    const double first = std::ceil(range.low / step - 1e-9), last = std::floor(range.high / step + 1e-9);
    if (last - first < 1) break;  // those of the step before are a few more than `most`, but round
    ticks.clear();
    for (double i = first; i <= last; ++i) ticks.push_back(i == 0 ? 0.0 : i * step);
    if (static_cast<int>(ticks.size()) <= most) break;
  }
  return ticks;
}

std::vector<std::string> TickLabels(const std::vector<double>& ticks, bool log) {
  std::vector<std::string> labels;
  double largest = 0, step = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < ticks.size(); ++i) {
    largest = std::max(largest, std::abs(ticks[i]));
    if (i > 0) step = std::min(step, std::abs(ticks[i] - ticks[i - 1]));
  }
  const bool scientific = largest >= 1e6 || largest < 1e-3 || step < largest * 1e-6;
  const int decimals = std::isfinite(step) && step > 0 ? static_cast<int>(std::ceil(-std::log10(step) - 1e-9)) : 0;
  // As many digits as tell neighbours apart.
  const double ratio = std::isfinite(step) && step > 0 && largest > 0 ? largest / step : 1;
  const int digits = log ? 5 : std::clamp(static_cast<int>(std::ceil(std::log10(ratio) - 1e-9)) + 1, 1, 15);
  for (const double tick : ticks) {
    const bool number = !log && !scientific;
    labels.push_back(number ? absl::StrFormat("%.*f", std::clamp(decimals, 0, 9), tick)
                            : absl::StrFormat("%.*g", digits, tick));
  }
  return labels;
}

std::string Short(double value, int digits) { return std::isnan(value) ? "?" : absl::StrFormat("%.*g", digits, value); }

Axis NumberAxis(std::string title, const Range& range) { return {std::move(title), range, {}, false, false}; }

Axis CategoryAxis(std::string title, std::vector<std::string> categories) {
  const double n = static_cast<double>(std::max<size_t>(categories.size(), 1));
  return {std::move(title), {-0.5, n - 0.5}, std::move(categories), false, false};
}

double AxisWidth(const Axis& y, double height) {
  const double title = y.title.empty() ? 0 : kAxisTitleSize + 2 * kGap;
  return y.hidden ? title : WidestOf(AxisLabels(y, YTicks(y, height))) + kTick + kGap + title;
}

Panel::Panel(Drawing& drawing, const Box& outer, Axis x, Axis y, double left)
    : drawing_(drawing), x_(std::move(x)), y_(std::move(y)) {
  area_ = outer;
  area_.left = std::max(left, outer.left + AxisWidth(y_, outer.height()));
  // Whole labels below the area want to end within the page.
  if (!x_.hidden && x_.categories.empty()) area_.right -= 8;
  const std::vector<double> ticks = XTicks(x_, area_.width());
  x_labels_ = x_.hidden ? std::vector<std::string>() : AxisLabels(x_, ticks);
  const double step = area_.width() / static_cast<double>(std::max<size_t>(ticks.size(), 1)),
               widest = WidestOf(x_labels_);
  x_upwards_ = !x_.categories.empty() && widest + 4 > step;
  if (!x_labels_.empty()) area_.bottom -= kTick + kGap + (x_upwards_ ? widest : kLabelSize);
  if (!x_.title.empty()) area_.bottom -= kAxisTitleSize + kGap;
  area_.bottom = std::max(area_.bottom, area_.top + 10);
  DrawX();
  DrawY();
}

void Panel::DrawX() {
  const Stroke stroke = {kInk, kLine};
  if (!x_.hidden) {
    drawing_.AddLine(Role::kAxis, {area_.left, area_.bottom}, {area_.right, area_.bottom}, stroke);
    const std::vector<double> ticks = XTicks(x_, area_.width());
    // Every so many labels, so that neighbours keep apart.
    const double step = ticks.size() > 1 ? std::abs(X(ticks[1]) - X(ticks[0])) : area_.width();
    const double need = x_upwards_ ? kLabelSize + 1.5 : x_.categories.empty() ? 0 : WidestOf(x_labels_) + 4;
    const size_t every = std::max<size_t>(1, static_cast<size_t>(std::ceil(need / std::max(step, 1e-6) - 1e-9)));
    double last = -1e9;
    std::vector<std::pair<double, size_t>> shown;
    for (size_t i = 0; i < ticks.size(); i += every) {
      const double at = X(ticks[i]), half = TextWidth(x_labels_[i], kLabelSize) / 2;
      if (x_.categories.empty()) {
        if (at - half < last + 4) continue;
        last = at + half;
      }
      drawing_.AddLine(Role::kAxis, {at, area_.bottom}, {at, area_.bottom + kTick}, stroke);
      shown.emplace_back(x_upwards_ ? at + kLabelSize * 0.36
                                    : std::clamp(at, half + 1, std::max(half + 1, drawing_.width() - half - 1)),
                         i);
    }
    TextStyle style = {kLabelSize, x_upwards_ ? Align::kEnd : Align::kMiddle};
    style.upwards = x_upwards_;
    const double below = area_.bottom + kTick + kGap;
    for (const auto& [x, i] : shown) {
      drawing_.AddText(Role::kTickLabel, x_labels_[i], {x, x_upwards_ ? below : below + kLabelSize * 0.76}, style);
    }
  }
  if (x_.title.empty()) return;
  const double deep = x_labels_.empty() ? 0 : kTick + kGap + (x_upwards_ ? WidestOf(x_labels_) : kLabelSize);
  drawing_.AddText(Role::kAxisTitle, FitText(x_.title, area_.width(), kAxisTitleSize),
                   {area_.middle_x(), area_.bottom + deep + kGap + kAxisTitleSize * 0.78},
                   {kAxisTitleSize, Align::kMiddle});
}

void Panel::DrawY() {
  const Stroke stroke = {kInk, kLine};
  double left = area_.left;
  if (!y_.hidden) {
    drawing_.AddLine(Role::kAxis, {area_.left, area_.top}, {area_.left, area_.bottom}, stroke);
    const std::vector<double> ticks = YTicks(y_, area_.height());
    const std::vector<std::string> labels = AxisLabels(y_, ticks);
    double last = 1e9;
    std::vector<std::pair<double, size_t>> shown;
    for (size_t i = 0; i < ticks.size(); ++i) {
      const double at = Y(ticks[i]);
      if (at + kLabelSize * 0.5 > last) continue;
      last = at - kLabelSize * 0.5 - 1;
      drawing_.AddLine(Role::kAxis, {area_.left - kTick, at}, {area_.left, at}, stroke);
      shown.emplace_back(at, i);
    }
    for (const auto& [at, i] : shown) {
      drawing_.AddText(Role::kTickLabel, labels[i], {area_.left - kTick - kGap, at + kLabelSize * 0.36},
                       {kLabelSize, Align::kEnd});
    }
    left -= kTick + kGap + WidestOf(labels);
  }
  TextStyle style = {kAxisTitleSize, Align::kMiddle};
  style.upwards = true;
  drawing_.AddText(Role::kAxisTitle, FitText(y_.title, area_.height(), kAxisTitleSize),
                   {left - kGap - kAxisTitleSize * 0.25, area_.middle_y()}, style);
}

void Panel::Interval(double x, double low, double high, double cap, const Stroke& stroke) {
  if (!std::isfinite(low) || !std::isfinite(high)) return;
  const Point a = At(x, low), b = At(x, high);
  drawing_.AddPath(Role::kInterval, {{a.x - cap, a.y}, {a.x + cap, a.y}, a, b, {b.x - cap, b.y}, {b.x + cap, b.y}},
                   stroke);
}

void Panel::Level(double y, const Stroke& stroke) {
  if (!(y >= y_.range.low && y <= y_.range.high)) return;
  drawing_.AddLine(Role::kGuide, {area_.left, Y(y)}, {area_.right, Y(y)}, stroke);
}

void Panel::Notes(const std::vector<std::string>& lines, bool right) {
  double y = area_.top + kLabelSize;
  for (const std::string& line : lines) {
    drawing_.AddText(Role::kNote, FitText(line, area_.width() - 12, kLabelSize),
                     {right ? area_.right - 4 : area_.left + 6, y}, {kLabelSize, right ? Align::kEnd : Align::kStart});
    y += kLabelSize + 4;
  }
}

Box AddTitle(Drawing& drawing, const std::string& title) {
  Box rest = {kMargin, kMargin, drawing.width() - kMargin, drawing.height() - kMargin};
  const std::string text = FitText(title, rest.width(), kTitleSize, true);
  if (text.empty()) return rest;
  drawing.AddText(Role::kTitle, text, {rest.left, rest.top + kTitleSize * 0.8}, {kTitleSize, Align::kStart, true});
  rest.top += kTitleSize + 8;
  return rest;
}

Box AddLegend(Drawing& drawing, const Box& area, const std::vector<LegendEntry>& entries) {
  if (entries.empty()) return area;
  constexpr double kSwatch = 9, kRow = 13;
  double x = area.left, y = area.top;
  for (const LegendEntry& entry : entries) {
    const std::string name = FitText(entry.name, std::min(200.0, area.width() - kSwatch - 5), kLabelSize);
    const double width = kSwatch + 4 + TextWidth(name, kLabelSize) + 14;
    if (x > area.left && x + width - 14 > area.right) x = area.left, y += kRow;
    if (entry.line) {
      drawing.AddLine(Role::kLegend, {x, y + 4.5}, {x + kSwatch, y + 4.5}, {entry.colour, 2, entry.dash});
    } else {
      drawing.AddRectangle(Role::kLegend, {x, y + 0.5, x + 8, y + 8.5}, entry.colour);
    }
    drawing.AddText(Role::kLegend, name, {x + kSwatch + 4, y + 7.5}, {kLabelSize});
    x += width;
  }
  return {area.left, y + kRow + 4, area.right, area.bottom};
}

void AddColourBar(Drawing& drawing, const Box& box, const Range& range, const std::string& title, bool diverging) {
  constexpr int kSteps = 32;
  std::vector<Colour> colours;
  for (int i = 0; i < kSteps; ++i) {
    const double share = (kSteps - 0.5 - i) / kSteps;
    colours.push_back(diverging ? Diverging(2 * share - 1) : Sequential(share));
  }
  drawing.AddCells(Role::kLegend, box, kSteps, 1, std::move(colours));
  const std::vector<double> ticks = TicksOf(range, MostTicks(box.height(), 18));
  const std::vector<std::string> labels = TickLabels(ticks, range.log);
  for (size_t i = 0; i < ticks.size(); ++i) {
    const double y = box.bottom - range.Share(ticks[i]) * box.height();
    drawing.AddLine(Role::kLegend, {box.right, y}, {box.right + 2, y}, {kInk, 0.6});
    drawing.AddText(Role::kTickLabel, labels[i], {box.right + 4, y + kLabelSize * 0.36}, {kLabelSize});
  }
  TextStyle style = {kLabelSize, Align::kMiddle};
  style.upwards = true;
  const double x = box.right + 4 + WidestOf(labels) + kGap + kLabelSize * 0.76;
  drawing.AddText(Role::kAxisTitle, FitText(title, box.height() + 20, kLabelSize), {x, box.middle_y()}, style);
}

}  // namespace rb::plot
