// The fonts of text, measured and drawn by cairo.
#ifndef RB_APPS_PLOT_FONTS_H_
#define RB_APPS_PLOT_FONTS_H_

#include <cairo.h>

namespace rb::plot {

// "DejaVu Sans", what stands in for it, or where there are no fonts at all cairo's own. Lives as long as the program.
cairo_font_face_t* FontFace(bool bold);

// Glyphs are placed alike at every resolution.
cairo_font_options_t* FontOptions();

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_FONTS_H_
