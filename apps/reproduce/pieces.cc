#include "apps/reproduce/pieces.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/common/text.h"
#include "apps/plot/pieces.h"
#include "data/alphabet.h"
#include "data/sequence_letters.h"
#include "engine/check.h"
#include "gia/ism.h"
#include "model/structure_tracks.h"

namespace rb::apps {

using plot::Estimate;
using plot::Panel;
using plot::Role;

absl::StatusOr<plot::Drawing> DrawSeries(const SeriesPlot& data, const plot::Style& style) {
  std::vector<double> xs, ys;
  std::vector<plot::LegendEntry> legend;
  for (const Series& series : data.series) {
    for (const Estimate& e : series.points) {
      xs.push_back(e.x);
      for (const double y : {e.mean, e.low, e.high}) ys.push_back(y);
    }
    const std::string line = series.has_line ? absl::StrFormat(", R\u00B2 %.4f", series.line.r_squared) : "";
    legend.push_back({series.name + line, plot::SeriesColour(legend.size())});
  }
  if (plot::Finite(xs).empty() || plot::Finite(ys).empty()) return plot::NothingToDraw("at least one effect");
  plot::Drawing drawing(340, style.title.empty() ? 270 : 288);
  plot::Box rest = plot::AddTitle(drawing, style.title);
  if (data.series.size() > 1 || data.series[0].has_line) rest = plot::AddLegend(drawing, rest, legend);
  plot::Axis x = plot::NumberAxis(data.x_title, plot::RangeOf(xs, false, 0.12));
  x.whole = data.whole;
  Panel panel(drawing, rest, x, plot::NumberAxis(data.y_title, plot::RangeOf(ys, true, 0.08)));
  panel.Level(0, {plot::kGrey, 0.6, 2});
  for (size_t s = 0; s < data.series.size(); ++s) {
    const Series& series = data.series[s];
    const plot::Colour colour = plot::SeriesColour(s);
    if (series.has_line && std::isfinite(series.line.slope)) {
      const plot::Range range = plot::RangeOf(xs, false, 0.02);
      const auto at = [&](double v) { return panel.At(v, series.line.intercept + series.line.slope * v); };
      drawing.AddLine(Role::kGuide, at(range.low), at(range.high), {plot::Faded(colour, 0.6), 1.2});
    }
    for (const Estimate& e : series.points) {
      if (!std::isfinite(e.mean) || !std::isfinite(e.x)) continue;
      panel.Interval(e.x, e.low, e.high, 2.5, {colour, 1});
      const plot::Point dot = panel.At(e.x, e.mean);
      drawing.AddDot(Role::kMark, dot, 2.6, colour);
      if (!data.labelled) continue;
      const bool left = dot.x > panel.area().middle_x();  // towards the middle, where there is room
      const double beside = e.mean < 0 ? 9 : -4;          // off the line at zero
      drawing.AddText(Role::kNote, InAlphabet(e.label, style.dna), {dot.x + (left ? -5 : 5), dot.y + beside},
                      {7, left ? plot::Align::kEnd : plot::Align::kStart});
    }
  }
  if (data.series.size() == 1 && !data.series[0].has_line) {
    std::vector<double> means;
    for (const Estimate& e : data.series[0].points) means.push_back(e.mean);
    const Correlation r = PearsonTest(xs, means);
    panel.Notes({absl::StrFormat("r %.3f, p %s", r.r, plot::Short(r.p, 2))}, true);
  }
  return drawing;
}

absl::StatusOr<plot::Drawing> DrawHistogram(const std::vector<double>& all, const std::string& x_title,
                                            const std::string& what, const plot::Style& style) {
  const std::vector<double> values = plot::Finite(all);
  if (values.empty()) return plot::NothingToDraw("at least one value");
  plot::Drawing drawing(320, style.title.empty() ? 240 : 258);
  plot::Box rest = plot::AddTitle(drawing, style.title);
  rest.top += 14;  // for what is said above it
  Panel panel = plot::AddHistogram(drawing, rest, values, x_title, what, plot::Faded(plot::SeriesColour(0), 0.75));
  const double median = Median(values);
  drawing.AddLine(Role::kGuide, {panel.X(median), panel.area().top}, {panel.X(median), panel.area().bottom},
                  {plot::SeriesColour(1), 1.2, 3});
  drawing.AddText(Role::kNote, absl::StrCat("median ", plot::Short(median), ", n = ", values.size()),
                  {panel.area().right, panel.area().top - 3}, {8, plot::Align::kEnd});
  return drawing;
}

plot::MapData MutantsMap(const ExperimentResult& mutate, const std::string& motif, int position) {
  plot::MapData data;
  data.letters = motif;
  data.title = "mutant - motif";
  data.first = position;
  data.effects.assign(motif.size(), {plot::kNone, plot::kNone, plot::kNone, plot::kNone});
  const double whole = mutate.effects[0].summary.mean;  // the first question is the motif itself
  for (const Effect& effect : mutate.effects) {
    if (effect.label.size() != motif.size()) continue;
    for (size_t i = 0; i < motif.size(); ++i) {
      if (effect.label[i] != motif[i]) data.effects[i][BaseCode(effect.label[i])] = effect.summary.mean - whole;
    }
  }
  return data;
}

absl::StatusOr<plot::MapData> MapOfProbe(Stage& stage, const Predictor& predictor, int32_t row, bool fold) {
  const Sequences& all = stage.dataset().sequences;
  Sequences one;
  one.length = all.length;
  one.Append(all.packed(row), all.widths[row]);
  RB_ASSIGN_OR_RETURN(const SingleMutants mutants,
                      MutateSingles(one, [&](const Sequences& s) { return predictor.Predict(s); }));
  plot::MapData data;
  data.letters = LettersOf(one, 0);
  data.title = "effect";
  const auto first = static_cast<size_t>(LeftPadding(one.length, one.widths[0]));
  for (size_t i = 0; i < data.letters.size(); ++i) {
    auto& effects = data.effects.emplace_back();
    for (size_t code = 0; code < 4; ++code) {
      const size_t at = (i + first) * 4 + code;
      effects[code] = BaseCode(data.letters[i]) == code ? plot::kNone : mutants.effects[at];
    }
  }
  if (!fold || one.length > kMaxFoldLength) return data;
  RB_ASSIGN_OR_RETURN(const EnergySet energies, ReadEnergySet(stage.flags().common.energy));
  RB_ASSIGN_OR_RETURN(const std::unique_ptr<Folder> folder,
                      stage.machine().backend->NewFolder(one.length, *energies.factors));
  RB_RETURN_IF_ERROR(AddStructureTracks(2, *folder, energies.name, one));
  for (size_t i = 0; i < data.letters.size(); ++i) {
    const float* at = one.tracks.data() + 2 * (i + first);
    data.structure.push_back({at[0], at[1]});
  }
  return data;
}

int FewestMismatches(const std::string& letters, const std::string& motif) {
  int fewest = static_cast<int>(motif.size());
  for (size_t at = 0; at + motif.size() <= letters.size(); ++at) {
    int differ = 0;
    for (size_t i = 0; i < motif.size(); ++i) differ += letters[at + i] != motif[i] ? 1 : 0;
    fewest = std::min(fewest, differ);
  }
  return fewest;
}

std::string WeakerMotif(const std::string& motif) {
  std::string weaker = motif;
  for (const size_t at : {size_t{0}, size_t{2}}) {
    if (at < weaker.size()) weaker[at] = weaker[at] == 'A' ? 'U' : 'A';
  }
  return weaker;
}

double Median(std::vector<double> values) {
  if (values.empty()) return kNoNumber;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string ProbeTitle(const std::string& experiment, const TestPart& part, size_t i) {
  return absl::StrCat(experiment, ", probe ", part.rows[i], ": predicted ", Fixed(part.scored.predictions[i], 2),
                      ", measured ", Fixed(part.scored.targets[i], 2));
}

}  // namespace rb::apps
