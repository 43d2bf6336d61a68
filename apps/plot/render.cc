#include "apps/plot/render.h"

#include <cairo-pdf.h>
#include <cairo.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <new>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "apps/plot/fonts.h"
#include "apps/plot/letters.h"
#include "data/writers.h"
#include "engine/check.h"

namespace rb::plot {
namespace {

constexpr double kMostPixels = 32'000, kMostPixelsInAll = 256e6;

void SetColour(cairo_t* c, Colour colour) {
  cairo_set_source_rgba(c, colour.red / 255.0, colour.green / 255.0, colour.blue / 255.0, colour.alpha / 255.0);
}

void Paint(cairo_t* c, const Box&, const Shape& shape) {
  cairo_new_path(c);
  for (const Point& p : shape.points) cairo_line_to(c, p.x, p.y);
  if (shape.closed) cairo_close_path(c);
  if (shape.fill.alpha > 0) {
    SetColour(c, shape.fill);
    cairo_fill_preserve(c);
  }
  if (shape.stroke.width > 0) {
    SetColour(c, shape.stroke.colour);
    cairo_set_line_width(c, shape.stroke.width);
    cairo_set_dash(c, &shape.stroke.dash, shape.stroke.dash > 0 ? 1 : 0, 0);
    cairo_stroke_preserve(c);
  }
  cairo_new_path(c);
}

void Paint(cairo_t* c, const Box&, const Dot& dot) {
  SetColour(c, dot.colour);
  cairo_new_path(c);
  cairo_arc(c, dot.centre.x, dot.centre.y, dot.radius, 0, 2 * std::acos(-1.0));
  cairo_fill(c);
}

void Paint(cairo_t* c, const Box& box, const Letter& letter) {
  const auto at = [&](const Point& p) {
    const double y = letter.upside_down ? 1 - p.y : p.y;
    return Point{box.left + p.x * box.width(), box.top + y * box.height()};
  };
  cairo_new_path(c);
  for (const Segment& s : LetterOutline(letter.letter)) {
    const Point a = at(s.points[0]), b = at(s.points[1]), end = at(s.points[2]);
    if (s.kind == 'M') cairo_move_to(c, a.x, a.y);
    if (s.kind == 'L') cairo_line_to(c, a.x, a.y);
    if (s.kind == 'C') cairo_curve_to(c, a.x, a.y, b.x, b.y, end.x, end.y);
    if (s.kind == 'Z') cairo_close_path(c);
  }
  SetColour(c, letter.colour);
  cairo_fill(c);
}

void Paint(cairo_t* c, const Box&, const Text& text) {
  if (FontFace(text.style.bold) == nullptr) return;
  cairo_set_font_face(c, FontFace(text.style.bold));
  cairo_set_font_size(c, text.style.size);
  cairo_set_font_options(c, FontOptions());
  const double width = TextWidth(text.text, text.style.size, text.style.bold);
  const double shift = text.style.align == Align::kStart ? 0 : text.style.align == Align::kEnd ? -width : -width / 2;
  cairo_save(c);
  cairo_translate(c, text.at.x, text.at.y);
  if (text.style.upwards) cairo_rotate(c, -std::acos(-1.0) / 2);
  cairo_move_to(c, shift, 0);
  SetColour(c, text.style.colour);
  cairo_show_text(c, text.text.c_str());
  cairo_restore(c);
}

void Paint(cairo_t* c, const Box& box, const Cells& cells) {
  const double width = box.width() / cells.columns, height = box.height() / cells.rows;
  cairo_save(c);
  cairo_set_antialias(c, CAIRO_ANTIALIAS_NONE);  // no seams between neighbours
  for (int i = 0; i < cells.rows * cells.columns; ++i) {
    if (cells.colours[i].alpha == 0) continue;
    SetColour(c, cells.colours[i]);
    cairo_rectangle(c, box.left + i % cells.columns * width, box.top + i / cells.columns * height, width, height);
    cairo_fill(c);
  }
  cairo_restore(c);
}

void PaintAll(cairo_t* c, const Drawing& drawing) {
  cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
  for (const Item& item : drawing.items()) {
    std::visit([&](const auto& what) { Paint(c, item.box, what); }, item.what);
  }
}

cairo_status_t Collect(void* text, const unsigned char* bytes, unsigned int size) {
  try {
    static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(bytes), size);
  } catch (const std::bad_alloc&) {  // not through cairo's frames
    return CAIRO_STATUS_NO_MEMORY;
  }
  return CAIRO_STATUS_SUCCESS;
}

struct Destroy {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};
using Surface = std::unique_ptr<cairo_surface_t, Destroy>;
using Context = std::unique_ptr<cairo_t, Destroy>;

absl::Status Checked(cairo_status_t status) {
  if (status == CAIRO_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cairo: ", cairo_status_to_string(status), "; expected a picture"));
}

absl::StatusOr<std::string> RenderPng(const Drawing& drawing, const RenderOptions& options) {
  const double scale = options.pixels_per_point, width = std::ceil(drawing.width() * scale),
               height = std::ceil(drawing.height() * scale);
  if (!(width >= 1 && height >= 1 && width <= kMostPixels && height <= kMostPixels &&
        width * height <= kMostPixelsInAll)) {
    return absl::ResourceExhaustedError(absl::StrCat("a PNG of ", width, " x ", height, " pixels; expected at most ",
                                                     kMostPixels, " in one direction and ", kMostPixelsInAll / 1e6,
                                                     " million in all: a smaller one, or SVG or PDF"));
  }
  const Surface surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(width), static_cast<int>(height)));
  RB_RETURN_IF_ERROR(Checked(cairo_surface_status(surface.get())));
  const Context context(cairo_create(surface.get()));
  cairo_set_source_rgb(context.get(), 1, 1, 1);
  cairo_paint(context.get());
  cairo_scale(context.get(), scale, scale);
  PaintAll(context.get(), drawing);
  RB_RETURN_IF_ERROR(Checked(cairo_status(context.get())));
  std::string bytes;
  RB_RETURN_IF_ERROR(Checked(cairo_surface_write_to_png_stream(surface.get(), Collect, &bytes)));
  return bytes;
}

absl::StatusOr<std::string> RenderPdf(const Drawing& drawing) {
  std::string bytes;
  const Surface surface(cairo_pdf_surface_create_for_stream(Collect, &bytes, drawing.width(), drawing.height()));
  RB_RETURN_IF_ERROR(Checked(cairo_surface_status(surface.get())));
  // A date that never changes: equal pictures are equal bytes.
  cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_CREATE_DATE, "1980-01-01T00:00:00Z");
  {
    const Context context(cairo_create(surface.get()));
    PaintAll(context.get(), drawing);
    cairo_show_page(context.get());
    RB_RETURN_IF_ERROR(Checked(cairo_status(context.get())));
  }
  cairo_surface_finish(surface.get());
  RB_RETURN_IF_ERROR(Checked(cairo_surface_status(surface.get())));
  return bytes;
}

}  // namespace

absl::StatusOr<Format> FormatOf(const std::string& path) {
  const std::string extension = absl::AsciiStrToLower(std::filesystem::path(path).extension().string());
  if (extension == ".svg") return Format::kSvg;
  if (extension == ".png") return Format::kPng;
  if (extension == ".pdf") return Format::kPdf;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": its extension names no kind of picture; expected .svg, .png or .pdf"));
}

absl::StatusOr<std::string> Render(const Drawing& drawing, Format format, const RenderOptions& options) {
  if (format == Format::kSvg) return SvgText(drawing, "p", /*alone=*/true);
  return format == Format::kPng ? RenderPng(drawing, options) : RenderPdf(drawing);
}

absl::Status WriteDrawing(const Drawing& drawing, const std::string& path, const RenderOptions& options) {
  RB_ASSIGN_OR_RETURN(const Format format, FormatOf(path));
  const absl::StatusOr<std::string> bytes = Render(drawing, format, options);
  if (!bytes.ok()) return absl::Status(bytes.status().code(), absl::StrCat(path, ": ", bytes.status().message()));
  return WriteFile(path, *bytes);
}

}  // namespace rb::plot
