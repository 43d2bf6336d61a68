// A picture before it is a file: a page in points with a list of what stands on it.
//
// Every item knows its box and its role, so that a picture's geometry is tested without pixels and one list makes SVG,
// PNG and PDF (apps/plot/render.h). x runs to the right, y downwards, 72 points an inch. Coordinates are finite
// (RB_CHECK): pictures leave out what is not.
#ifndef RB_APPS_PLOT_DRAWING_H_
#define RB_APPS_PLOT_DRAWING_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rb::plot {

struct Point {
  double x = 0, y = 0;
};

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
  double middle_x() const { return (left + right) / 2; }
  double middle_y() const { return (top + bottom) / 2; }
};

struct Colour {
  uint8_t red = 0, green = 0, blue = 0;
  uint8_t alpha = 255;
  bool operator==(const Colour&) const = default;
};

// What an item is there for. Marks are the data; one datum is one mark, whatever else decorates it.
enum class Role { kMark, kInterval, kGuide, kAxis, kTickLabel, kAxisTitle, kTitle, kLegend, kNote };

struct Stroke {
  Colour colour;
  double width = 1;
  double dash = 0;  // length of dashes and gaps; 0: a full line
  bool operator==(const Stroke&) const = default;
};

// Straight lines through points; filled when `fill` is not transparent, stroked when the stroke has a width.
struct Shape {
  std::vector<Point> points;
  bool closed = false;
  Colour fill = {0, 0, 0, 0};
  Stroke stroke;
};

struct Dot {
  Point centre;
  double radius = 1;
  Colour colour;
};

// A, C, G, U or T (apps/plot/letters.h); its ink fills the item's box.
struct Letter {
  char letter = 'A';
  bool upside_down = false;
  Colour colour;
};

enum class Align { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = 8;
  Align align = Align::kStart;
  bool bold = false;
  bool upwards = false;  // turned to the left: read from below to above
  Colour colour = {34, 34, 34};
};

// One line at its baseline. UTF-8 without control characters.
struct Text {
  std::string text;
  Point at;
  TextStyle style;
};

// A grid of coloured cells that fills the item's box, row by row from above; transparent ones are not drawn.
struct Cells {
  int rows = 0, columns = 0;
  std::vector<Colour> colours;
};

struct Item {
  Role role = Role::kMark;
  Box box;  // of its ink, without the width of strokes
  std::variant<Shape, Dot, Letter, Text, Cells> what;
};

class Drawing {
 public:
  Drawing(double width, double height) : width_(width), height_(height) {}
  double width() const { return width_; }
  double height() const { return height_; }
  const std::vector<Item>& items() const { return items_; }
  Box page() const { return {0, 0, width_, height_}; }

  void AddLine(Role role, Point from, Point to, const Stroke& stroke);
  void AddPath(Role role, std::vector<Point> points, const Stroke& stroke);
  void AddRectangle(Role role, const Box& box, Colour fill);
  void AddPolygon(Role role, std::vector<Point> points, Colour fill);
  void AddDot(Role role, Point centre, double radius, Colour colour);
  void AddLetter(Role role, char letter, const Box& box, Colour colour, bool upside_down = false);
  // Text is cleaned first (CleanText); nothing is added when nothing is left.
  void AddText(Role role, std::string_view text, Point at, const TextStyle& style);
  void AddCells(Role role, const Box& box, int rows, int columns, std::vector<Colour> colours);

 private:
  void Add(Role role, const Box& box, std::variant<Shape, Dot, Letter, Text, Cells> what);

  double width_, height_;
  std::vector<Item> items_;
};

// UTF-8 in which broken bytes are U+FFFD and control characters blanks: fit for cairo and for XML.
std::string CleanText(std::string_view text);

// Width of clean text in points.
double TextWidth(std::string_view text, double size, bool bold = false);
// Its ink around the baseline's start (0, 0), made wide enough for its advance.
Box TextInk(std::string_view text, double size, bool bold = false);

// Clean text cut with an ellipsis so that it is at most `width` wide.
std::string FitText(std::string_view text, double width, double size, bool bold = false);

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_DRAWING_H_
