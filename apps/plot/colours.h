// Colours of letters, series and scales.
#ifndef RB_APPS_PLOT_COLOURS_H_
#define RB_APPS_PLOT_COLOURS_H_

#include <algorithm>
#include <cmath>
#include <span>

#include "apps/plot/drawing.h"

namespace rb::plot {

inline constexpr Colour kInk = {34, 34, 34}, kGrey = {119, 119, 119}, kPale = {214, 214, 214}, kFaint = {236, 236, 236};

// What a reader chooses.
struct Style {
  std::string title;
  bool colour_blind = false;  // colours of Okabe and Ito for letters
  bool dna = false;           // T for U
};

// Of A, C, G and U by code. The usual ones of RNA logos, or four of Okabe and Ito's.
inline Colour LetterColour(int code, const Style& style) {
  constexpr Colour usual[] = {{16, 150, 72}, {37, 92, 153}, {247, 179, 43}, {214, 40, 57}};
  constexpr Colour safe[] = {{0, 158, 115}, {0, 114, 178}, {230, 159, 0}, {204, 121, 167}};
  return style.colour_blind ? safe[code] : usual[code];
}
inline char LetterOf(int code, const Style& style) { return style.dna ? "ACGT"[code] : "ACGU"[code]; }

// The i-th of several series, after Okabe and Ito 2008; they repeat after seven.
inline Colour SeriesColour(size_t i) {
  constexpr Colour colours[] = {{0, 114, 178},  {213, 94, 0},  {0, 158, 115}, {204, 121, 167},
                                {86, 180, 233}, {230, 159, 0}, {90, 90, 90}};
  return colours[i % 7];
}

inline Colour Faded(Colour c, double share) {  // 0: white, 1: the colour
  const auto mix = [&](uint8_t v) { return static_cast<uint8_t>(std::lround(255 + share * (v - 255.0))); };
  return {mix(c.red), mix(c.green), mix(c.blue)};
}

// Through evenly spaced colours, share in [0, 1].
inline Colour Along(std::span<const Colour> stops, double share) {
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(stops.size() - 1);
  const size_t i = std::min(static_cast<size_t>(at), stops.size() - 2);
  const double f = at - static_cast<double>(i);
  const auto mix = [&](uint8_t a, uint8_t b) { return static_cast<uint8_t>(std::lround(a + f * (b - a))); };
  const Colour &a = stops[i], &b = stops[i + 1];
  return {mix(a.red, b.red), mix(a.green, b.green), mix(a.blue, b.blue)};
}

// Blue, white, red for -1, 0, 1.
inline Colour Diverging(double value) {
  constexpr Colour stops[] = {{5, 80, 150}, {107, 166, 209}, {247, 247, 247}, {236, 141, 106}, {165, 15, 40}};
  return Along(stops, (value + 1) / 2);
}

// Pale to dark blue for 0 to 1.
inline Colour Sequential(double value) {
  constexpr Colour stops[] = {{222, 235, 247}, {133, 188, 219}, {49, 130, 189}, {8, 69, 148}, {6, 30, 80}};
  return Along(stops, value);
}

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_COLOURS_H_
