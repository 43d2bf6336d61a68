// Every picture with ordinary data and with the worst: soundness (plot_checks.h), and as many marks as data.
#include "apps/plot/pictures.h"

#include <cmath>
#include <functional>
#include <limits>

#include "apps/plot/letters.h"
#include "tests/apps/plot_checks.h"

namespace rb::plot {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

constexpr double kInf = std::numeric_limits<double>::infinity();
const char kNasty[] = "<\xC3\xA9&\"'>\xFF a name that is far too long for the place it has been given on any page";

// Pseudo-random in [-1, 1), the same everywhere.
double Noise(size_t i) { return std::fmod(0.754877666 * static_cast<double>(i * i + 3 * i + 1), 2.0) - 1; }

std::vector<double> Noises(size_t n, double scale = 1) {
  std::vector<double> values;
  for (size_t i = 0; i < n; ++i) values.push_back(scale * Noise(i));
  return values;
}

void ExpectPicture(const absl::StatusOr<Drawing>& drawing, const std::string& what, int64_t marks = -1) {
  ASSERT_TRUE(drawing.ok()) << what << ": " << drawing.status();
  ExpectSound(*drawing, what);
  if (marks >= 0) ExpectEqual(CountRole(*drawing, Role::kMark), marks, what + ": marks");
}

void ExpectNothing(const absl::StatusOr<Drawing>& drawing, const std::string& what) {
  ExpectEqual(drawing.ok(), false, what);
  ExpectEqual(drawing.status().message().find("expected") != std::string::npos, true, what);
}

Style Titled(const std::string& title = kNasty) { return {title, true, true}; }

TEST(LogoTest, LettersFillTheirBoxes) {
  const LogoData data = {{{1.5, 0.25, 0, -0.5}, {0, 0, kNone, 1}, {-1, -0.5, -0.25, 0}}, "bits", kNone, 1};
  const auto drawing = DrawLogo(data, {});
  ExpectPicture(drawing, "signed logo", 7);
  std::vector<const Item*> letters = ItemsOf<Letter>(*drawing);
  ASSERT_EQ(letters.size(), 7u);
  // The first column: C below A above the axis, U below it.
  const Box a = letters[1]->box, c = letters[0]->box, u = letters[2]->box;
  ExpectEqual(std::get<Letter>(letters[1]->what).letter, 'A');
  ExpectEqual(std::get<Letter>(letters[2]->what).upside_down, true);
  ExpectWithin(a.bottom, c.top, 1e-6, "stacked");
  ExpectWithin(u.top, c.bottom, 1e-6, "from the axis downwards");
  ExpectWithin(a.height() / c.height(), 6, 1e-6, "heights");
  ExpectWithin(u.height() / c.height(), 2, 1e-6, "heights below");
  for (const Item* item : letters) {  // the outline mapped to the item's box is its ink
    const Box unit = OutlineExtent(LetterOutline(std::get<Letter>(item->what).letter));
    ExpectWithin(item->box.left + unit.right * item->box.width(), item->box.right, 1e-6, "ink");
    ExpectWithin(item->box.top + unit.bottom * item->box.height(), item->box.bottom, 1e-6, "ink");
    ExpectWithin(unit.left, 0, 1e-6, "ink");
    ExpectWithin(unit.top, 0, 1e-6, "ink");
  }
  ExpectRenders(*drawing, "logo");
}

TEST(LogoTest, InformationContent) {
  const Pwm pwm = {"m", {{1, 0, 0, 0}, {0.25, 0.25, 0.25, 0.25}, {0.5, 0.5, 0, 0}}};
  const LogoData data = InformationLogo(pwm);
  ExpectWithin(data.heights[0][0], 2, 1e-12, "two bits");
  ExpectWithin(data.heights[1][2], 0, 1e-12, "none");
  ExpectWithin(data.heights[2][1], 0.5, 1e-12, "a half of one bit");
  ExpectPicture(DrawLogo(data, Titled()), "motif", 3);
}

TEST(LogoTest, NastyData) {
  ExpectNothing(DrawLogo({{}, "bits", 2, 1}, {}), "no columns");
  for (const size_t n : {1u, 2u, 41u, 3000u}) {
    ExpectPicture(DrawLogo({std::vector<std::array<double, 4>>(n, {0.1, 0.2, 0.3, 0.4}), kNasty, kNone, -5}, Titled()),
                  "columns: " + std::to_string(n));
  }
  ExpectPicture(DrawLogo({{{0, 0, 0, 0}, {0, 0, 0, 0}}, "bits", kNone, 1}, {}), "no heights", 0);
  ExpectPicture(DrawLogo({{{1e300, -1e300, kNone, 1}}, "bits", kNone, 1}, {}), "huge heights");
}

MapData Map(size_t n) {
  MapData data;
  for (size_t i = 0; i < n; ++i) {
    data.letters += "ACGUN"[i % 5];
    data.effects.push_back({Noise(4 * i), Noise(4 * i + 1), Noise(4 * i + 2), i % 5 == 4 ? kNone : Noise(4 * i + 3)});
  }
  data.title = kNasty;
  return data;
}

TEST(MapTest, OrdinaryAndNastyData) {
  for (const size_t n : {1u, 2u, 5u, 41u, 700u}) {
    MapData data = Map(n);
    for (const bool contributions : {false, true}) {
      for (const bool gradient : {false, true}) {
        data.contributions = contributions, data.gradient = gradient;
        ExpectPicture(DrawMap(data, Titled()), "map of " + std::to_string(n));
      }
    }
    data.structure.assign(n, {0.2, 0.3, 0.1, kNone, 5});
    ExpectPicture(DrawMap(data, {}), "map with structure of " + std::to_string(n));
  }
  MapData data = Map(10);
  const auto drawing = DrawMap(data, {});
  ExpectPicture(drawing, "ten", 8 + 1);  // two of ten letters are N; the map
  const auto& cells = std::get<Cells>(ItemsOf<Cells>(*drawing)[0]->what);
  ExpectEqual(cells.rows * cells.columns, 40, "cells");
  ExpectEqual(cells.colours[3 * 10 + 4].alpha, uint8_t{0}, "what was not measured is no cell");
  ExpectRenders(*drawing, "map");
  for (auto& column : data.effects) column = {0, 0, 0, 0};
  ExpectPicture(DrawMap(data, {}), "no effects", 1);
  for (auto& column : data.effects) column = {kNone, kNone, kNone, kNone};
  ExpectNothing(DrawMap(data, {}), "nothing measured");
  ExpectNothing(DrawMap({}, {}), "no letters");
}

TEST(MapTest, Heights) {
  MapData data;
  data.letters = "AC";
  data.effects = {{kNone, 3, 0, 4}, {-1, 2, -2, -6}};
  ExpectWithin(MapHeights(data)[0], 5, 1e-12, "L2 norm");
  data.contributions = true;
  ExpectWithin(MapHeights(data)[0], -7.0 / 3, 1e-12, "minus the mean of the others");
  ExpectWithin(MapHeights(data)[1], 3, 1e-12, "minus the mean of the others");
  data.gradient = true;
  ExpectWithin(MapHeights(data)[1], 2, 1e-12, "the own letter's gradient");
  ExpectWithin(MapHeights(data)[0], 0, 1e-12, "where there is none");
}

TEST(FoldTest, OrdinaryAndNastyData) {
  for (const size_t n : {1u, 41u, 200u, 1500u}) {
    FoldData data = {std::string(n, 'G'), std::vector<std::vector<double>>(n, {0.5, 0.1, 0.2, 0.1, 0.1})};
    ExpectPicture(DrawFold(data, Titled()), "fold", static_cast<int64_t>(5 * n));
    data.profiles.assign(n, {kNone, kInf});
    ExpectPicture(DrawFold(data, {}), "two tracks", static_cast<int64_t>(2 * n));
  }
  ExpectNothing(DrawFold({}, {}), "no letters");
}

std::vector<Estimate> Estimates(size_t n, double scale = 1, bool nasty = false) {
  std::vector<Estimate> all;
  for (size_t i = 0; i < n; ++i) {
    const double v = scale * Noise(i);
    all.push_back({nasty ? kNasty + std::to_string(i) : "n" + std::to_string(i),
                   v,
                   v - scale / 5,
                   v + scale / 5,
                   i % 4 == 3,
                   static_cast<double>(i),
                   {}});
  }
  return all;
}

TEST(EffectsTest, OrdinaryAndNastyData) {
  for (const size_t n : {1u, 2u, 9u, 20u, 244u}) {
    for (const double scale : {1.0, 1e-12, 1e37}) {
      for (const bool nasty : {false, true}) {
        const std::string what = std::to_string(n) + " of " + std::to_string(scale);
        const auto marks = static_cast<int64_t>(n);
        std::vector<Estimate> estimates = Estimates(n, scale, nasty);
        EffectsData data = {estimates, {}, {}};
        for (size_t i = 1; i < std::min<size_t>(n, 8); ++i) data.comparisons.push_back({i, (3 * i) % n, 0.01});
        if (nasty) data.notes = {kNasty, kNasty};
        ExpectPicture(DrawKmers(estimates, Titled()), "kmers " + what, marks);
        ExpectPicture(DrawEffects(data, Titled()), "effects " + what, marks);
        ExpectPicture(DrawGc({estimates, data.notes, {}}, Titled()), "gc " + what, marks);
        CurveData curve = {kNasty, estimates, {}, "", kNone, kNone, kNone, kNone, ""};
        ExpectPicture(DrawCurve(curve, Titled()), "curve " + what, marks);
        curve.intercept = 0, curve.slope = scale, curve.r_squared = kNone;
        curve.others = estimates, curve.others_name = kNasty;
        curve.level = scale, curve.level_name = kNasty;
        ExpectPicture(DrawCurve(curve, Titled()), "curves " + what, 2 * marks);
      }
    }
  }
}

TEST(EffectsTest, MissingAndEqualValues) {
  std::vector<Estimate> some = {
      {"a", 2, 2, 2, false, 1, {}}, {"b", kNone, kNone, kNone, false, kNone, {}}, {"c", 2, kNone, kInf, true, 2, {}}};
  ExpectPicture(DrawKmers(some, {}), "equal k-mers", 2);
  ExpectPicture(DrawEffects({some, {{0, 2, kNone}, {0, 1, 0}}, {}}, {}), "equal effects", 2);
  ExpectPicture(DrawCurve({"x", some, {}, "", kNone, kNone, kNone, kNone, ""}, {}), "equal points", 2);
  some[0].values = Noises(1000), some[2].values = {1, 2, kNone};
  const auto boxes = DrawEffects({some, {}, {}}, {});
  ExpectPicture(boxes, "boxes", 2);
  ExpectEqual(CountRole(*boxes, Role::kInterval) > CountRole(*DrawEffects({Estimates(1), {}, {}}, {}), Role::kInterval),
              true, "a box is drawn");
  ExpectNothing(DrawKmers({}, {}), "no k-mers");
  ExpectNothing(DrawEffects({{some[1]}, {}, {}}, {}), "no value");
  ExpectNothing(DrawCurve({"x", {some[1]}, {}, "", kNone, kNone, kNone, kNone, ""}, {}), "no point");
  ExpectNothing(DrawGc({}, {}), "no GC");
}

TEST(GcTest, Histogram) {
  const auto drawing = DrawGc({Estimates(5), {"note"}, Noises(244)}, Titled());
  ExpectPicture(drawing, "gc with histogram");
  ExpectEqual(CountRole(*drawing, Role::kMark) > 5 + 10, true, "bars");
  ExpectPicture(DrawGc({{}, {}, {1, 1, 1, 1}}, {}), "equal differences", 1);
  ExpectPicture(DrawGc({{}, {}, {kNone, 3}}, {}), "one difference", 1);
}

TEST(HistoryTest, OrdinaryAndNastyData) {
  HistoryData data = {kNasty, "Pearson", {}, {}, {}, {}, {}};
  ExpectNothing(DrawHistory({data}, {}), "no epochs");
  ExpectNothing(DrawHistory({}, {}), "no models");
  for (int epoch = 1; epoch <= 300; ++epoch) {
    data.epochs.push_back(epoch);
    data.rates.push_back(std::pow(0.3, epoch / 8));
    data.train_losses.push_back(1.0 / epoch);
    data.valid_losses.push_back(epoch == 7 ? kNone : epoch == 9 ? 1e30 : 2.0 / epoch);
    data.metrics.push_back(epoch == 5 ? kNone : 1 - 1.0 / epoch);
    if (epoch > 3 && epoch < 299) continue;
    ExpectPicture(DrawHistory({data}, Titled()), "epochs: " + std::to_string(epoch));
  }
  ExpectPicture(DrawHistory(std::vector<HistoryData>(3, data), {}), "three models",
                3 * (2 + 2));  // each curve has a gap
  ExpectPicture(DrawHistory(std::vector<HistoryData>(60, data), Titled()), "sixty models");
  for (auto* values : {&data.train_losses, &data.valid_losses, &data.metrics}) values->assign(300, kNone);
  ExpectPicture(DrawHistory({data}, {}), "no values", 0);
}

TEST(ScatterTest, OrdinaryAndNastyData) {
  ScatterData data = {kNasty, kNasty, Noises(500), Noises(500, 1e30), {}, ""};
  ExpectPicture(DrawScatter(data, Titled()), "points", 500);
  data.x[3] = kNone, data.y[4] = kInf;
  data.marked.assign(500, 0);
  for (size_t i = 0; i < 30; ++i) data.marked[i] = 1;
  data.marked_name = kNasty;
  ExpectPicture(DrawScatter(data, {}), "marked", 498);
  ScatterData many = {"x", "y", Noises(120'000), Noises(120'000), {}, ""};
  const auto dense = DrawScatter(many, {});
  ExpectPicture(dense, "dense", 1);
  int filled = 0;
  for (const Colour& c : std::get<Cells>(ItemsOf<Cells>(*dense)[0]->what).colours) filled += c.alpha > 0;
  ExpectEqual(filled > 20, true, "cells with points");
  ExpectEqual(Render(*dense, Format::kSvg)->size() < 200'000, true, "a small file");
  many.marked.assign(120'000, 1), many.marked_name = "all";
  ExpectPicture(DrawScatter(many, {}), "all marked");
  ExpectPicture(DrawScatter({"x", "y", {1}, {2}, {}, ""}, {}), "one point", 1);
  ExpectPicture(DrawScatter({"x", "y", {1, 1, 1}, {2, 2, 2}, {}, ""}, {}), "equal points", 3);
  ExpectNothing(DrawScatter({"x", "y", {kNone}, {2}, {}, ""}, {}), "no pair");
}

NamedValues Column(const std::string& name, size_t n, double shift) {
  NamedValues column = {name, {}};
  for (size_t i = 0; i < n; ++i) column.values["e" + std::to_string(i)] = 0.5 + 0.3 * Noise(i) + shift * Noise(7 * i);
  return column;
}

TEST(ExperimentsTest, OrdinaryAndNastyData) {
  for (const size_t n : {1u, 2u, 5u, 244u}) {
    for (const size_t columns : {1u, 2u, 3u, 5u, 30u}) {
      std::vector<NamedValues> all;
      for (size_t c = 0; c < columns; ++c) all.push_back(Column(kNasty, n, 0.01 * static_cast<double>(c)));
      ExpectPicture(DrawExperiments(all, kNasty, Titled()), std::to_string(n) + " in " + std::to_string(columns),
                    static_cast<int64_t>(n * columns));
    }
    const auto drawing = DrawCompare(Column(kNasty, n, 0.1), Column(kNasty, n + 3, 0), kNasty, Titled());
    ExpectPicture(drawing, "compare " + std::to_string(n));
    ExpectEqual(static_cast<size_t>(ItemsOf<Dot>(*drawing).size()), n, "a dot an experiment");
  }
  NamedValues equal = {"equal", {{"a", 1}, {"b", 1}, {"c", 1}, {"d", kNone}, {"e", 1}, {"f", 1}}};
  ExpectPicture(DrawExperiments({equal, {"none", {}}, equal}, "r", {}), "equal values", 10);
  ExpectPicture(DrawCompare(equal, equal, "r", {}), "no differences");
  ExpectNothing(DrawExperiments({}, "r", {}), "no columns");
  ExpectNothing(DrawExperiments({{"none", {}}}, "r", {}), "no values");
  ExpectNothing(DrawCompare(equal, {"other", {{"x", 1}}}, "r", {}), "none shared");
}

}  // namespace
}  // namespace rb::plot
