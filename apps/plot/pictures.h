// The pictures, each a function of its data. Which tables the data come from is in apps/plot/sources.h.
//
// Numbers may be NaN where there are none: what has no value is left out. Nothing at all to draw is InvalidArgument,
// with what was expected.
#ifndef RB_APPS_PLOT_PICTURES_H_
#define RB_APPS_PLOT_PICTURES_H_

#include <array>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/plot/colours.h"
#include "apps/plot/drawing.h"
#include "gia/alignment_motif.h"
#include "gia/pwm.h"

namespace rb::plot {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// --- Letters ---------------------------------------------------------------------------------------------------------

// Heights of A, C, G, U by position: positive ones stand on the axis, the greatest on top; negative ones hang below it
// upside down, the most negative lowest.
struct LogoData {
  std::vector<std::array<double, 4>> heights;
  std::string title;   // of the axis of heights
  double top = kNone;  // where that axis ends; by the heights when NaN
  int first = 1;       // number of the first position
};
// Probabilities times their column's information content, in bits [Schneider & Stephens 1990].
LogoData InformationLogo(const Pwm& pwm);
// Bits of an alignment motif, each column as low as the share of the weight that covers it: at its ends stand single
// k-mers, which say little however sure they are.
LogoData CoverageLogo(const AlignmentMotif& motif);
absl::StatusOr<Drawing> DrawLogo(const LogoData& data, const Style& style);

// What each letter at each position of one sequence does: a logo of the sequence's letters over a map of all four.
struct MapData {
  std::string letters;                         // A C G U N
  std::vector<std::array<double, 4>> effects;  // by position, A C G U; NaN where nothing was measured
  bool gradient = false;                       // effects are gradients: the own letter has one too
  bool contributions = false;                  // heights: signed, instead of the L2 norm of a position's effects
  std::string title;                           // of the colours
  int first = 0;                               // number of the first position
  std::vector<std::vector<double>> structure;  // [position][5 or 2], or empty: a track below (FoldData)
};
// Logo heights by position: the L2 norm of its effects; with `contributions` the own letter's gradient, or minus the
// mean effect of the other letters. Positive where the letter is for binding.
std::vector<double> MapHeights(const MapData& data);
absl::StatusOr<Drawing> DrawMap(const MapData& data, const Style& style);

// Structure profiles: paired, hairpin, internal, multi, external (5), or paired, unpaired (2), stacked.
struct FoldData {
  std::string letters;
  std::vector<std::vector<double>> profiles;
};
absl::StatusOr<Drawing> DrawFold(const FoldData& data, const Style& style);

// --- Effects ---------------------------------------------------------------------------------------------------------

struct Estimate {
  std::string label;
  double mean = kNone, low = kNone, high = kNone;  // low, high: its 95 % interval
  bool control = false;
  double x = kNone;
  std::vector<double> values;  // what it is the mean of, where that is known
};

// Horizontal bars, the first on top.
absl::StatusOr<Drawing> DrawKmers(const std::vector<Estimate>& kmers, const Style& style);

struct Comparison {
  size_t first = 0, second = 0;  // of the effects
  double q = kNone;
};
struct EffectsData {
  std::vector<Estimate> effects;  // controls behind the others
  std::vector<Comparison> comparisons;
  std::vector<std::string> notes;  // a line each, above the plot
};
// Points with intervals, over boxes of the values where there are any.
absl::StatusOr<Drawing> DrawEffects(const EffectsData& data, const Style& style);

struct CurveData {
  std::string x_title;
  std::vector<Estimate> points;  // by x, joined unless there is a line
  std::vector<Estimate> others;  // more points beside them
  std::string others_name;
  double intercept = kNone, slope = kNone, r_squared = kNone;  // a straight line
  double level = kNone;                                        // what the points are to be compared with
  std::string level_name;
};
absl::StatusOr<Drawing> DrawCurve(const CurveData& data, const Style& style);

struct GcData {
  std::vector<Estimate> effects;    // of one model; or none
  std::vector<std::string> notes;   // its effect sizes
  std::vector<double> differences;  // of the models
};
absl::StatusOr<Drawing> DrawGc(const GcData& data, const Style& style);

// --- Training and evaluation -----------------------------------------------------------------------------------------

struct HistoryData {
  std::string name;
  std::string metric;  // "Pearson"
  std::vector<double> epochs, rates, train_losses, valid_losses, metrics;
};
absl::StatusOr<Drawing> DrawHistory(const std::vector<HistoryData>& models, const Style& style);

struct ScatterData {
  std::string x_title, y_title;
  std::vector<double> x, y;
  std::vector<char> marked;  // by point, or empty
  std::string marked_name;
};
// Points, or where they are many cells by their number.
inline constexpr size_t kMostDots = 4000;
absl::StatusOr<Drawing> DrawScatter(const ScatterData& data, const Style& style);

struct NamedValues {
  std::string name;
  std::map<std::string, double> values;  // by experiment
};
// Distributions side by side; neighbours that share experiments are tested against each other.
absl::StatusOr<Drawing> DrawExperiments(const std::vector<NamedValues>& columns, const std::string& metric,
                                        const Style& style);
// The experiments of both: paired points, and how often which difference occurs.
absl::StatusOr<Drawing> DrawCompare(const NamedValues& ours, const NamedValues& theirs, const std::string& metric,
                                    const Style& style);

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_PICTURES_H_
