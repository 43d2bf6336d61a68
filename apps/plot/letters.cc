#include "apps/plot/letters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "engine/check.h"

namespace rb::plot {
namespace {

class Pen {
 public:
  Pen& Move(double x, double y) { return Add({'M', {{x, y}}}); }
  Pen& Line(double x, double y) { return Add({'L', {{x, y}}}); }
  Pen& Close() { return Add({'Z', {}}); }
  // Along an ellipse between two angles in degrees, 0 to the right, 90 above; the pen stands at its beginning.
  Pen& Arc(Point centre, double rx, double ry, double from, double to) {
    const int pieces = static_cast<int>(std::ceil(std::abs(to - from) / 90));
    const double step = (to - from) / pieces * std::numbers::pi / 180, k = 4.0 / 3 * std::tan(step / 4);
    for (int i = 0; i < pieces; ++i) {
      const double a = from * std::numbers::pi / 180 + step * i, b = a + step;
      const auto at = [&](double u, double v) { return Point{centre.x + rx * u, centre.y - ry * v}; };
      Add({'C',
           {at(std::cos(a) - k * std::sin(a), std::sin(a) + k * std::cos(a)),
            at(std::cos(b) + k * std::sin(b), std::sin(b) - k * std::cos(b)), at(std::cos(b), std::sin(b))}});
    }
    return *this;
  }

  // Scaled so that the ink fills the unit box.
  std::vector<Segment> Unit() const {
    const Box ink = OutlineExtent(segments_);
    std::vector<Segment> unit = segments_;
    for (Segment& segment : unit) {
      for (Point& p : segment.points) p = {(p.x - ink.left) / ink.width(), (p.y - ink.top) / ink.height()};
    }
    return unit;
  }

 private:
  Pen& Add(const Segment& segment) {
    segments_.push_back(segment);
    return *this;
  }
  std::vector<Segment> segments_;
};

Point OnEllipse(Point centre, double rx, double ry, double degrees) {
  const double a = degrees * std::numbers::pi / 180;
  return {centre.x + rx * std::cos(a), centre.y - ry * std::sin(a)};
}

// Drawn in a box of about 0.75 x 1 with strokes of 0.2.
constexpr double kStem = 0.2, kBar = 0.16, kRx = 0.38, kRy = 0.5;
constexpr Point kCentre = {0.38, 0.5};

std::vector<Segment> DrawA() {
  return Pen()
      .Move(0, 1)
      .Line(0.28, 0)
      .Line(0.5, 0)
      .Line(0.78, 1)
      .Line(0.57, 1)
      .Line(0.51, 0.77)
      .Line(0.27, 0.77)
      .Line(0.21, 1)
      .Close()
      .Move(0.31, 0.61)
      .Line(0.47, 0.61)
      .Line(0.39, 0.25)
      .Close()  // the other way round: a hole
      .Unit();
}

std::vector<Segment> DrawC() {
  const double irx = kRx - kStem, iry = kRy - kBar, from = 38, to = 322, inner_from = 44, inner_to = 316;
  const Point start = OnEllipse(kCentre, kRx, kRy, from), end = OnEllipse(kCentre, irx, iry, inner_to);
  return Pen()
      .Move(start.x, start.y)
      .Arc(kCentre, kRx, kRy, from, to)
      .Line(end.x, end.y)
      .Arc(kCentre, irx, iry, inner_to, inner_from)
      .Close()
      .Unit();
}

std::vector<Segment> DrawG() {
  const double irx = kRx - kStem, iry = kRy - kBar, from = 38, to = 315, inner_from = 44, inner_to = 300;
  const Point start = OnEllipse(kCentre, kRx, kRy, from), low = OnEllipse(kCentre, kRx, kRy, to),
              end = OnEllipse(kCentre, irx, iry, inner_to);
  const double right = low.x + 0.06, left = right - kStem + 0.01;
  return Pen()
      .Move(start.x, start.y)
      .Arc(kCentre, kRx, kRy, from, to)
      .Line(right, low.y - 0.03)
      .Line(right, 0.47)
      .Line(0.38, 0.47)
      .Line(0.38, 0.61)
      .Line(left, 0.61)
      .Line(left, end.y - 0.02)
      .Line(end.x, end.y)
      .Arc(kCentre, irx, iry, inner_to, inner_from)
      .Close()
      .Unit();
}

std::vector<Segment> DrawU() {
  const double right = 0.72, bend = 0.64;
  const Point centre = {right / 2, bend};
  return Pen()
      .Move(0, 0)
      .Line(kStem, 0)
      .Line(kStem, bend)
      .Arc(centre, right / 2 - kStem, 1 - bend - kBar, 180, 360)
      .Line(right - kStem, 0)
      .Line(right, 0)
      .Line(right, bend)
      .Arc(centre, right / 2, 1 - bend, 360, 180)
      .Close()
      .Unit();
}

std::vector<Segment> DrawT() {
  return Pen()
      .Move(0, 0)
      .Line(0.74, 0)
      .Line(0.74, kBar)
      .Line(0.475, kBar)
      .Line(0.475, 1)
      .Line(0.265, 1)
      .Line(0.265, kBar)
      .Line(0, kBar)
      .Close()
      .Unit();
}

// The least and greatest value of a cubic in one coordinate.
void WidenByCurve(double p0, double p1, double p2, double p3, double* low, double* high) {
  const double a = -p0 + 3 * p1 - 3 * p2 + p3, b = 2 * (p0 - 2 * p1 + p2), c = p1 - p0;
  std::array<double, 3> times = {1, 1, 1};
  if (std::abs(a) < 1e-12) {
    if (b != 0) times[1] = -c / b;
  } else if (const double root = b * b - 4 * a * c; root >= 0) {
    times[1] = (-b + std::sqrt(root)) / (2 * a);
    times[2] = (-b - std::sqrt(root)) / (2 * a);
  }
  for (const double t : times) {
    if (!(t >= 0 && t <= 1)) continue;
    const double s = 1 - t, at = s * s * s * p0 + 3 * s * s * t * p1 + 3 * s * t * t * p2 + t * t * t * p3;
    *low = std::min(*low, at), *high = std::max(*high, at);
  }
}

}  // namespace

Box OutlineExtent(const std::vector<Segment>& outline) {
  Box box = {outline[0].points[0].x, outline[0].points[0].y, outline[0].points[0].x, outline[0].points[0].y};
  Point at;
  for (const Segment& segment : outline) {
    if (segment.kind == 'Z') continue;
    const Point* p = segment.points;
    if (segment.kind == 'C') {
      WidenByCurve(at.x, p[0].x, p[1].x, p[2].x, &box.left, &box.right);
      WidenByCurve(at.y, p[0].y, p[1].y, p[2].y, &box.top, &box.bottom);
    }
    at = segment.kind == 'C' ? p[2] : p[0];
    box = {std::min(box.left, at.x), std::min(box.top, at.y), std::max(box.right, at.x), std::max(box.bottom, at.y)};
  }
  return box;
}

const std::vector<Segment>& LetterOutline(char letter) {
  static const auto& a = *new std::vector<Segment>(DrawA());
  static const auto& c = *new std::vector<Segment>(DrawC());
  static const auto& g = *new std::vector<Segment>(DrawG());
  static const auto& u = *new std::vector<Segment>(DrawU());
  static const auto& t = *new std::vector<Segment>(DrawT());
  switch (letter) {
    case 'A':
      return a;
    case 'C':
      return c;
    case 'G':
      return g;
    case 'U':
      return u;
    case 'T':
      return t;
  }
  RB_CHECK(!"a letter of A, C, G, U, T");
  return a;
}

}  // namespace rb::plot
