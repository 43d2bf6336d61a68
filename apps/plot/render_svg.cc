// The SVG writer: text as text, a letter's outline once; lines, dots and cells of one paint as one path.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "apps/plot/letters.h"
#include "apps/plot/render.h"
#include "engine/check.h"

namespace rb::plot {
namespace {

// Fewest characters for `decimals` digits behind the point: "12", "0.5" as ".5".
std::string Number(double value, int decimals = 2) {
  std::string text = absl::StrFormat("%.*f", decimals, value);
  if (text.find('.') != std::string::npos) {
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  if (text == "-0") return "0";
  if (text.size() > 2 && text[0] == '0') return text.substr(1);
  if (text.size() > 3 && text.compare(0, 2, "-0") == 0) return "-" + text.substr(2);
  return text;
}

std::string Pair(double x, double y, int decimals = 2) {
  return absl::StrCat(Number(x, decimals), " ", Number(y, decimals));
}

// Moves of a path's pen on a grid of `parts` a point, each told from where the one before it ended.
class Steps {
 public:
  explicit Steps(int parts) : parts_(parts) {}

  std::string To(double x, double y) {
    const int64_t to_x = std::llround(x * parts_), to_y = std::llround(y * parts_);
    const std::string dx = Tell(to_x - x_), dy = Tell(to_y - y_);
    x_ = to_x, y_ = to_y;
    return absl::StrCat("m", dx, dy[0] == '-' ? "" : " ", dy);
  }
  void Moved(int64_t dx) { x_ += dx * parts_; }  // the pen, by a line

 private:
  std::string Tell(int64_t step) const { return Number(static_cast<double>(step) / parts_); }

  int parts_;
  int64_t x_ = 0, y_ = 0;
};

std::string Paint(const char* attribute, Colour c) {
  std::string text = absl::StrFormat(" %s=\"#%02x%02x%02x\"", attribute, c.red, c.green, c.blue);
  if (c.alpha < 255) absl::StrAppend(&text, " ", attribute, "-opacity=\"", Number(c.alpha / 255.0), "\"");
  return text;
}

std::string StrokePaint(const Stroke& stroke) {
  std::string text = absl::StrCat(Paint("stroke", stroke.colour), " stroke-width=\"", Number(stroke.width), "\"");
  if (stroke.dash > 0) absl::StrAppend(&text, " stroke-dasharray=\"", Number(stroke.dash), "\"");
  return text;
}

std::string Escaped(std::string_view text) {
  return absl::StrReplaceAll(std::string(text), {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string OutlinePath(const std::vector<Segment>& outline) {
  std::string path;
  for (const Segment& s : outline) {
    path += s.kind;
    const int points = s.kind == 'C' ? 3 : s.kind == 'Z' ? 0 : 1;
    for (int i = 0; i < points; ++i) {
      absl::StrAppend(&path, i > 0 ? " " : "", Pair(100 * s.points[i].x, 100 * s.points[i].y));
    }
  }
  return path;
}

std::string LinePath(const std::vector<Point>& points) {
  std::string path, last_x, last_y;
  for (size_t i = 0; i < points.size(); ++i) {
    const std::string x = Number(points[i].x), y = Number(points[i].y);
    if (i > 0 && y == last_y) {
      absl::StrAppend(&path, "H", x);
    } else if (i > 0 && x == last_x) {
      absl::StrAppend(&path, "V", y);
    } else {
      absl::StrAppend(&path, i == 0 ? "M" : "L", x, " ", y);
    }
    last_x = x, last_y = y;
  }
  return path;
}

class SvgWriter {
 public:
  SvgWriter(const Drawing& drawing, std::string_view prefix, bool alone)
      : drawing_(drawing), prefix_(prefix), alone_(alone) {}

  std::string Write() {
    const char* unit = alone_ ? "" : "pt";  // a page of HTML shows text at its size
    std::string text =
        absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", Number(drawing_.width()), unit,
                     "\" height=\"", Number(drawing_.height()), unit, "\" viewBox=\"0 0 ",
                     Pair(drawing_.width(), drawing_.height()), "\" role=\"img\"", Paint("fill", TextStyle().colour),
                     " font-family=\"", "'DejaVu Sans',Verdana,'Bitstream Vera Sans',Arial,sans-serif\">\n");
    for (const Item& item : drawing_.items()) {  // what a screen reader says
      if (item.role != Role::kTitle) continue;
      absl::StrAppend(&text, "<title>", Escaped(std::get<Text>(item.what).text), "</title>\n");
      break;
    }
    if (alone_) absl::StrAppend(&text, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");  // for dark pages
    absl::StrAppend(&text, Definitions());
    const std::vector<Item>& items = drawing_.items();
    for (size_t i = 0; i < items.size();) i = WriteFrom(items, i, &text);
    return text + "</svg>\n";
  }

 private:
  std::string Definitions() const {
    std::set<char> letters;
    for (const Item& item : drawing_.items()) {
      if (const auto* letter = std::get_if<Letter>(&item.what)) letters.insert(letter->letter);
    }
    std::string text;
    for (const char letter : letters) {
      absl::StrAppend(&text, "<path id=\"", prefix_, "-", std::string(1, letter), "\" d=\"",
                      OutlinePath(LetterOutline(letter)), "\"/>\n");
    }
    return text.empty() ? text : absl::StrCat("<defs>\n", text, "</defs>\n");
  }

  // Writes items[i] and those after it that share its element; returns the next.
  size_t WriteFrom(const std::vector<Item>& items, size_t i, std::string* text) {
    const Item& item = items[i];
    if (const auto* dot = std::get_if<Dot>(&item.what)) return WriteDots(items, i, *dot, text);
    if (const auto* shape = std::get_if<Shape>(&item.what)) return WriteShapes(items, i, *shape, text);
    if (const auto* letter = std::get_if<Letter>(&item.what)) WriteLetter(item.box, *letter, text);
    if (const auto* cells = std::get_if<Cells>(&item.what)) WriteCells(item.box, *cells, text);
    if (const auto* words = std::get_if<Text>(&item.what)) WriteText(*words, text);
    return i + 1;
  }

  // Dots of one paint: lines of no length with round ends, each from the one before it, in tenths of a point.
  size_t WriteDots(const std::vector<Item>& items, size_t i, const Dot& first, std::string* text) {
    absl::StrAppend(text, "<path fill=\"none\" stroke-linecap=\"round\"", StrokePaint({first.colour, 2 * first.radius}),
                    " d=\"");
    Steps steps(10);
    for (; i < items.size(); ++i) {
      const auto* dot = std::get_if<Dot>(&items[i].what);
      if (dot == nullptr || dot->radius != first.radius || !(dot->colour == first.colour)) break;
      absl::StrAppend(text, steps.To(dot->centre.x, dot->centre.y), "h0");
    }
    absl::StrAppend(text, "\"/>\n");
    return i;
  }

  // A shape, and the lines behind it that are painted as it is.
  size_t WriteShapes(const std::vector<Item>& items, size_t i, const Shape& first, std::string* text) {
    absl::StrAppend(text, "<path d=\"");
    const bool line = first.fill.alpha == 0 && first.stroke.colour.alpha == 255 && first.stroke.dash == 0;
    for (size_t from = i; i < items.size() && (i == from || line); ++i) {
      const auto* shape = std::get_if<Shape>(&items[i].what);
      if (shape == nullptr || !(shape->fill == first.fill) || !(shape->stroke == first.stroke)) break;
      absl::StrAppend(text, LinePath(shape->points), shape->closed ? "Z" : "");
    }
    absl::StrAppend(text, "\"", first.fill.alpha > 0 ? Paint("fill", first.fill) : std::string(" fill=\"none\""));
    if (first.stroke.width > 0) absl::StrAppend(text, StrokePaint(first.stroke));
    absl::StrAppend(text, "/>\n");
    return i;
  }

  void WriteLetter(const Box& box, const Letter& letter, std::string* text) {
    const double sy = box.height() / 100 * (letter.upside_down ? -1 : 1);
    absl::StrAppend(text, "<use href=\"#", prefix_, "-", std::string(1, letter.letter), "\" transform=\"matrix(",
                    Number(box.width() / 100, 5), " 0 0 ", Number(sy, 5), " ", Number(box.left, 3), " ",
                    Number(letter.upside_down ? box.bottom : box.top, 3), ")\"", Paint("fill", letter.colour), "/>\n");
  }

  // A cell is a unit of the grid's own space; neighbours of one colour are one stroke along their middle.
  void WriteCells(const Box& box, const Cells& cells, std::string* text) {
    struct Path {
      Steps steps{1};
      std::string data;
    };
    std::map<uint32_t, Path> paths;  // by colour
    for (int r = 0; r < cells.rows; ++r) {
      const Colour* row = &cells.colours[static_cast<size_t>(r) * cells.columns];
      for (int c = 0, end = 0; c < cells.columns; c = end) {
        for (end = c + 1; end < cells.columns && row[end] == row[c];) ++end;
        if (row[c].alpha == 0) continue;
        const uint32_t key = row[c].red << 24 | row[c].green << 16 | row[c].blue << 8 | row[c].alpha;
        Path& path = paths[key];
        absl::StrAppend(&path.data, path.steps.To(c, r), "h", end - c);
        path.steps.Moved(end - c);
      }
    }
    absl::StrAppend(text, "<g fill=\"none\" shape-rendering=\"crispEdges\" transform=\"matrix(",
                    Number(box.width() / cells.columns, 5), " 0 0 ", Number(box.height() / cells.rows, 5), " ",
                    Number(box.left, 3), " ", Number(box.top + box.height() / cells.rows / 2, 3), ")\">\n");
    for (const auto& [key, path] : paths) {
      const Colour colour = {static_cast<uint8_t>(key >> 24), static_cast<uint8_t>(key >> 16 & 255),
                             static_cast<uint8_t>(key >> 8 & 255), static_cast<uint8_t>(key & 255)};
      absl::StrAppend(text, "<path", Paint("stroke", colour), " d=\"", path.data, "\"/>\n");
    }
    absl::StrAppend(text, "</g>\n");
  }

  void WriteText(const Text& words, std::string* text) {
    const TextStyle& style = words.style;
    absl::StrAppend(text, "<text font-size=\"", Number(style.size), "\"");
    if (!(style.colour == TextStyle().colour)) absl::StrAppend(text, Paint("fill", style.colour));
    if (style.bold) absl::StrAppend(text, " font-weight=\"bold\"");
    if (style.align == Align::kMiddle) absl::StrAppend(text, " text-anchor=\"middle\"");
    if (style.align == Align::kEnd) absl::StrAppend(text, " text-anchor=\"end\"");
    if (style.upwards) {
      absl::StrAppend(text, " transform=\"translate(", Pair(words.at.x, words.at.y), ")rotate(-90)\">");
    } else {
      absl::StrAppend(text, " x=\"", Number(words.at.x), "\" y=\"", Number(words.at.y), "\">");
    }
    absl::StrAppend(text, Escaped(words.text), "</text>\n");
  }

  const Drawing& drawing_;
  const std::string prefix_;
  const bool alone_;
};

}  // namespace

std::string SvgText(const Drawing& drawing, std::string_view id_prefix, bool alone) {
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_'; };
  RB_CHECK(!id_prefix.empty() && std::isalpha(static_cast<unsigned char>(id_prefix[0])) &&
           std::all_of(id_prefix.begin(), id_prefix.end(), fits));
  const std::string svg = SvgWriter(drawing, id_prefix, alone).Write();
  return alone ? "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + svg : svg;
}

}  // namespace rb::plot
