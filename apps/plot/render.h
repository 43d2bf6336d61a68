// Drawings as SVG, PNG and PDF. Equal drawings give equal bytes on one machine: no file carries a time.
//
// PNG and PDF are cairo's. SVG is written here from the drawing's items: cairo's holds text as outlines of glyphs, so
// that it could neither be found nor read aloud, and its ids cannot be given a prefix.
#ifndef RB_APPS_PLOT_RENDER_H_
#define RB_APPS_PLOT_RENDER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/plot/drawing.h"

namespace rb::plot {

enum class Format { kSvg, kPng, kPdf };

// By the extension of a file's name, in either case. InvalidArgument for any other.
absl::StatusOr<Format> FormatOf(const std::string& path);

struct RenderOptions {
  double pixels_per_point = 2;  // PNG: 144 dots an inch
};

// The file's bytes. ResourceExhausted for a PNG of more than 32,000 pixels in one direction or 256 million in all.
absl::StatusOr<std::string> Render(const Drawing& drawing, Format format, const RenderOptions& options = {});

// Render by the extension, written atomically (data/writers.h).
absl::Status WriteDrawing(const Drawing& drawing, const std::string& path, const RenderOptions& options = {});

// An <svg> element for a page of HTML. Ids and references to them begin with `id_prefix` (a letter, then letters,
// digits, '-' and '_'; RB_CHECKed), one for each picture of a page. Where `alone`, as a file of its own: with XML
// header and a white ground.
std::string SvgText(const Drawing& drawing, std::string_view id_prefix, bool alone = false);
inline std::string SvgInline(const Drawing& drawing, std::string_view id_prefix) { return SvgText(drawing, id_prefix); }

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_RENDER_H_
