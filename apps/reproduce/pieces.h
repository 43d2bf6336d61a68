// Pictures and choices that only the paper's figures need.
#ifndef RB_APPS_REPRODUCE_PIECES_H_
#define RB_APPS_REPRODUCE_PIECES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/plot/pictures.h"
#include "apps/reproduce/stage.h"
#include "gia/statistics.h"

namespace rb::apps {

// Points with intervals, and a straight line through each series where `line` has one.
struct Series {
  std::string name;
  std::vector<plot::Estimate> points;  // by x
  bool has_line = false;
  StraightLine line;
};
struct SeriesPlot {
  std::string x_title, y_title;
  std::vector<Series> series;
  bool whole = false;     // x counts
  bool labelled = false;  // points carry their labels
};
absl::StatusOr<plot::Drawing> DrawSeries(const SeriesPlot& plot, const plot::Style& style);

// One histogram with its median and number; it counts `what`.
absl::StatusOr<plot::Drawing> DrawHistogram(const std::vector<double>& values, const std::string& x_title,
                                            const std::string& what, const plot::Style& style);

// The motif and its mutants as a logo over a heat map: gia's experiment mutate of a motif at `position`.
plot::MapData MutantsMap(const ExperimentResult& mutate, const std::string& motif, int position);

// Every substitution of one probe, positions count from 0 in the probe. `fold`: with the
// paired and unpaired tracks of its letters.
absl::StatusOr<plot::MapData> MapOfProbe(Stage& stage, const Predictor& predictor, int32_t row, bool fold);

// The fewest letters in which a place of `letters` (A C G U N) differs from the motif; the motif's size where it does
// not fit.
int FewestMismatches(const std::string& letters, const std::string& motif);

// Another letter at the first and third place (A, or U for A): what AGAAUG is to UGCAUG.
std::string WeakerMotif(const std::string& motif);

double Median(std::vector<double> values);  // NaN for none

// "RNCMPT00168, probe 12: predicted 5.10, measured 4.90"
std::string ProbeTitle(const std::string& experiment, const TestPart& part, size_t i);

}  // namespace rb::apps

#endif  // RB_APPS_REPRODUCE_PIECES_H_
