#include "apps/plot/drawing.h"

#include <algorithm>
#include <cmath>

#include "apps/plot/fonts.h"
#include "engine/check.h"
#include "gia/npz_writer.h"

namespace rb::plot {
namespace {

constexpr char kEllipsis[] = "\u2026";
constexpr char kReplacement[] = "\uFFFD";

bool IsFinite(const Box& box) {
  return std::isfinite(box.left) && std::isfinite(box.top) && std::isfinite(box.right) && std::isfinite(box.bottom);
}

Box BoxOf(const std::vector<Point>& points) {
  Box box = {points[0].x, points[0].y, points[0].x, points[0].y};
  for (const Point& p : points) {
    RB_CHECK(std::isfinite(p.x) && std::isfinite(p.y));
    box = {std::min(box.left, p.x), std::min(box.top, p.y), std::max(box.right, p.x), std::max(box.bottom, p.y)};
  }
  return box;
}

// Bytes of the character that begins `text`; 0 when it is broken.
size_t CharacterBytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t bytes = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  return bytes > 0 && bytes <= text.size() && (first == 0 || IsArrayText(text.substr(0, bytes))) ? bytes : 0;
}

cairo_scaled_font_t* NewScaledFont(cairo_font_face_t* face, double size) {
  cairo_matrix_t scale, identity;
  cairo_matrix_init_scale(&scale, size, size);
  cairo_matrix_init_identity(&identity);
  return cairo_scaled_font_create(face, &scale, &identity, FontOptions());
}

cairo_font_face_t* NewFontFace(bool bold) {
  const cairo_font_weight_t weight = bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL;
  for (const char* family : {"DejaVu Sans", "@cairo:"}) {
    cairo_font_face_t* face = cairo_toy_font_face_create(family, CAIRO_FONT_SLANT_NORMAL, weight);
    cairo_scaled_font_t* font = NewScaledFont(face, 8);
    const bool works = cairo_scaled_font_status(font) == CAIRO_STATUS_SUCCESS;
    cairo_scaled_font_destroy(font);
    if (works) return face;
    cairo_font_face_destroy(face);
  }
  return nullptr;
}

cairo_text_extents_t Extents(std::string_view text, double size, bool bold) {
  cairo_text_extents_t extents = {};
  if (FontFace(bold) == nullptr) {  // memory ran out, or no font of any kind: an estimate
    extents.width = extents.x_advance = 0.62 * size * static_cast<double>(text.size());
    extents.height = -(extents.y_bearing = -0.75 * size);
    return extents;
  }
  cairo_scaled_font_t* font = NewScaledFont(FontFace(bold), size);
  cairo_scaled_font_text_extents(font, std::string(text).c_str(), &extents);
  cairo_scaled_font_destroy(font);
  return extents;
}

}  // namespace

cairo_font_face_t* FontFace(bool bold) {
  static cairo_font_face_t* const normal_face = NewFontFace(false);
  static cairo_font_face_t* const bold_face = NewFontFace(true);
  return bold ? bold_face : normal_face;
}

cairo_font_options_t* FontOptions() {
  static cairo_font_options_t* const options = [] {
    cairo_font_options_t* made = cairo_font_options_create();
    cairo_font_options_set_hint_metrics(made, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_hint_style(made, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_antialias(made, CAIRO_ANTIALIAS_GRAY);
    return made;
  }();
  return options;
}

void Drawing::Add(Role role, const Box& box, std::variant<Shape, Dot, Letter, Text, Cells> what) {
  RB_CHECK(IsFinite(box));
  items_.push_back({role, box, std::move(what)});
}

void Drawing::AddLine(Role role, Point from, Point to, const Stroke& stroke) { AddPath(role, {from, to}, stroke); }

void Drawing::AddPath(Role role, std::vector<Point> points, const Stroke& stroke) {
  if (points.empty()) return;
  const Box box = BoxOf(points);
  Add(role, box, Shape{std::move(points), false, {0, 0, 0, 0}, stroke});
}

void Drawing::AddRectangle(Role role, const Box& box, Colour fill) {
  AddPolygon(role, {{box.left, box.top}, {box.right, box.top}, {box.right, box.bottom}, {box.left, box.bottom}}, fill);
}

void Drawing::AddPolygon(Role role, std::vector<Point> points, Colour fill) {
  if (points.empty()) return;
  const Box box = BoxOf(points);
  Add(role, box, Shape{std::move(points), true, fill, {fill, 0, 0}});
}

void Drawing::AddDot(Role role, Point centre, double radius, Colour colour) {
  Add(role, {centre.x - radius, centre.y - radius, centre.x + radius, centre.y + radius}, Dot{centre, radius, colour});
}

void Drawing::AddLetter(Role role, char letter, const Box& box, Colour colour, bool upside_down) {
  Add(role, box, Letter{letter, upside_down, colour});
}

void Drawing::AddText(Role role, std::string_view text, Point at, const TextStyle& style) {
  std::string clean = CleanText(text);
  if (clean.find_first_not_of(' ') == std::string::npos) return;
  const Box ink = TextInk(clean, style.size, style.bold);
  const double shift = style.align == Align::kStart ? 0 : style.align == Align::kEnd ? -ink.right : -ink.right / 2;
  const Box flat = {ink.left + shift, ink.top, ink.right + shift, ink.bottom};
  const Box box = style.upwards ? Box{at.x + flat.top, at.y - flat.right, at.x + flat.bottom, at.y - flat.left}
                                : Box{at.x + flat.left, at.y + flat.top, at.x + flat.right, at.y + flat.bottom};
  Add(role, box, Text{std::move(clean), at, style});
}

void Drawing::AddCells(Role role, const Box& box, int rows, int columns, std::vector<Colour> colours) {
  RB_CHECK(colours.size() == static_cast<size_t>(rows) * static_cast<size_t>(columns));
  Add(role, box, Cells{rows, columns, std::move(colours)});
}

std::string CleanText(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    const std::string_view character = text.substr(0, bytes);
    if (bytes == 0 || character == "\uFFFE" || character == "\uFFFF") {  // the last two are no XML
      clean += kReplacement;
    } else if (bytes == 1 && (text[0] < 0x20 || text[0] == 0x7F)) {
      clean += ' ';
    } else if (bytes == 2 && text[0] == '\xC2' && static_cast<unsigned char>(text[1]) < 0xA0) {
      clean += ' ';  // controls of Latin 1
    } else {
      clean += character;
    }
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return clean;
}

double TextWidth(std::string_view text, double size, bool bold) { return TextInk(text, size, bold).right; }

Box TextInk(std::string_view text, double size, bool bold) {
  const cairo_text_extents_t e = Extents(text, size, bold);
  return {std::min(0.0, e.x_bearing), e.y_bearing, std::max(e.x_advance, e.x_bearing + e.width),
          e.y_bearing + e.height};
}

std::string FitText(std::string_view text, double width, double size, bool bold) {
  std::string clean = CleanText(text);
  constexpr size_t kMostBytes = 2000;  // what no page shows need not be measured
  if (clean.size() <= kMostBytes && TextWidth(clean, size, bold) <= width) return clean;
  std::vector<size_t> ends = {0};
  while (ends.back() < clean.size() && ends.back() < kMostBytes) {
    ends.push_back(ends.back() + std::max<size_t>(1, CharacterBytes(std::string_view(clean).substr(ends.back()))));
  }
  const auto cut = [&](size_t characters) { return clean.substr(0, ends[characters]) + kEllipsis; };
  size_t low = 0, high = ends.size() - 1;  // the most characters that fit, by halving
  while (low < high) {
    const size_t middle = (low + high + 1) / 2;
    if (TextWidth(cut(middle), size, bold) <= width)
      low = middle;
    else
      high = middle - 1;
  }
  return TextWidth(cut(low), size, bold) <= width ? cut(low) : "";
}

}  // namespace rb::plot
