// Outlines of the letters of logos. They are our own, so that pictures do not depend on installed fonts.
#ifndef RB_APPS_PLOT_LETTERS_H_
#define RB_APPS_PLOT_LETTERS_H_

#include <vector>

#include "apps/plot/drawing.h"

namespace rb::plot {

// 'M' to points[0], 'L' to points[0], 'C' by two control points to points[2], 'Z' back to the contour's start.
struct Segment {
  char kind = 'M';
  Point points[3];
};

// The ink of A, C, G, U or T fills [0, 1] x [0, 1], y downwards; RB_CHECKs any other letter. Contours fill by the
// non-zero winding rule.
const std::vector<Segment>& LetterOutline(char letter);

// The exact extent of an outline: ends, and the extremes of its curves.
Box OutlineExtent(const std::vector<Segment>& outline);

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_LETTERS_H_
