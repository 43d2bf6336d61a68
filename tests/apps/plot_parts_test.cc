// Parts of pictures: ranges, ticks, letters, text, tables of items, the three formats.
#include <cmath>
#include <limits>

#include "apps/plot/axes.h"
#include "apps/plot/letters.h"
#include "apps/plot/pieces.h"
#include "tests/apps/plot_checks.h"

namespace rb::plot {
namespace {

using test::ExpectEqual;
using test::ExpectWithin;

constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(RangeTest, IsNeverEmptyAndHoldsItsValues) {
  const std::vector<std::vector<double>> cases = {{},
                                                  {kNone},
                                                  {kInf, -kInf},
                                                  {5},
                                                  {5, 5, 5},
                                                  {0, 0},
                                                  {-3, 7},
                                                  {1e-30, 2e-30},
                                                  {-1e38, 1e38},
                                                  {1e9, 1e9 + 1e-9},
                                                  {kNone, 2, kInf, 3},
                                                  {3e38, 3e38},
                                                  {-2, -2},
                                                  {0, 1e-320}};
  for (const auto& values : cases) {
    for (const bool with_zero : {false, true}) {
      for (const bool log : {false, true}) {
        const Range range = RangeOf(values, with_zero, 0.05, log);
        ExpectEqual(std::isfinite(range.low) && std::isfinite(range.high) && range.low < range.high, true, "a range");
        if (log) ExpectEqual(range.low > 0, true, "a log range is positive");
        for (const double v : values) {
          if (!std::isfinite(v) || (log && v <= 0)) continue;
          const bool tiny = std::abs(v) < 1e-290;  // counts as zero
          ExpectEqual(tiny || (v >= range.low && v <= range.high), true, "holds " + std::to_string(v));
          ExpectEqual(range.Share(v) >= 0 && range.Share(v) <= 1, true, "a share");
        }
        const auto ticks = TicksOf(range, 5);
        ExpectEqual(ticks.size() >= 2 && ticks.size() <= 9, true, "ticks: " + std::to_string(ticks.size()));
        ExpectEqual(TickLabels(ticks, log).size(), ticks.size());
        for (size_t i = 1; i < ticks.size(); ++i) ExpectEqual(ticks[i] > ticks[i - 1], true, "increasing");
      }
    }
  }
  ExpectEqual(RangeOf(std::vector<double>{2, 8}, true).low, 0.0, "zero stays an end");
  ExpectEqual(Range{1, 100, true}.Share(10), 0.5, "the middle of a log scale");
  ExpectEqual(Range{1, 100, true}.Share(0), 0.0, "what a log scale has no place for");
}

TEST(TicksTest, AreRoundNumbers) {
  ExpectEqual(TicksOf({0, 1}, 5), std::vector<double>({0, 0.5, 1}));
  ExpectEqual(TickLabels(TicksOf({0, 1}, 6)), std::vector<std::string>({"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  ExpectEqual(TicksOf({-0.196, 0.147}, 3).size(), size_t{3});  // -0.1, 0, 0.1, and not the ends
  ExpectEqual(TickLabels(TicksOf({-0.196, 0.147}, 3)), std::vector<std::string>({"-0.1", "0.0", "0.1"}));
  ExpectEqual(TickLabels({0, 5000, 10000}), std::vector<std::string>({"0", "5000", "10000"}));
  ExpectEqual(TickLabels({0, 1e-7, 2e-7}), std::vector<std::string>({"0", "1e-07", "2e-07"}));
  ExpectEqual(TickLabels(TicksOf({0.5, 2000, true}, 5), true), std::vector<std::string>({"1", "10", "100", "1000"}));
}

TEST(LettersTest, InkFillsTheUnitBox) {
  for (const char letter : std::string("ACGUT")) {
    const Box ink = OutlineExtent(LetterOutline(letter));
    for (const auto& [found, expected] :
         {std::pair(ink.left, 0.0), std::pair(ink.top, 0.0), std::pair(ink.right, 1.0), std::pair(ink.bottom, 1.0)}) {
      ExpectWithin(found, expected, 1e-9, std::string("ink of ") + letter);
    }
  }
  // A curve's ink reaches farther than its ends: a half circle's top.
  const double k = 4.0 / 3 * std::tan(std::acos(-1.0) / 8);
  const std::vector<Segment> half = {
      {'M', {{-1, 0}}}, {'C', {{-1, -k}, {-k, -1}, {0, -1}}}, {'C', {{k, -1}, {1, -k}, {1, 0}}}, {'Z', {}}};
  ExpectWithin(OutlineExtent(half).top, -1, 1e-12);
  const std::vector<Segment> bulge = {{'M', {{0, 0}}}, {'C', {{0, 4}, {1, 4}, {1, 0}}}};
  ExpectWithin(OutlineExtent(bulge).bottom, 3, 1e-12, "three quarters of the control points' distance");
}

TEST(TextTest, IsCleanedMeasuredAndCut) {
  ExpectEqual(CleanText("a\tb\n\x01"), std::string("a b  "));
  ExpectEqual(CleanText("\xC3\xA9\xE2\x82\xAC"), std::string("\xC3\xA9\xE2\x82\xAC"), "UTF-8 stays");
  ExpectEqual(CleanText("x\xFF\xC3"), std::string("x\uFFFD\uFFFD"), "broken bytes");
  ExpectEqual(CleanText(std::string("a\0b", 3)), std::string("a b"), "a zero");
  ExpectEqual(CleanText("\xEF\xBF\xBF"), std::string("\uFFFD"), "no character of XML");
  const double one = TextWidth("word", 8), two = TextWidth("word", 16);
  ExpectEqual(one > 8, true, "a width");
  ExpectWithin(two, 2 * one, 1e-6 * two, "widths grow with the size");
  const std::string name(300, 'm');
  const std::string cut = FitText(name, 100, 8);
  ExpectEqual(TextWidth(cut, 8) <= 100 && TextWidth(cut, 8) > 85, true, "cut to its place: " + cut);
  ExpectEqual(FitText("short", 100, 8), std::string("short"));
  ExpectEqual(FitText("word", 1, 8), std::string(), "no place at all");
  ExpectEqual(FitText(std::string(5'000'000, 'x'), 50, 8).size() < 40, true, "very long text");
}

TEST(DrawingTest, TextBoxesFollowAlignmentAndDirection) {
  Drawing drawing(100, 100);
  for (const Align align : {Align::kStart, Align::kMiddle, Align::kEnd}) {
    drawing.AddText(Role::kNote, "Hxg", {50, 50}, {8, align});
    TextStyle upwards = {8, align};
    upwards.upwards = true;
    drawing.AddText(Role::kNote, "Hxg", {50, 50}, upwards);
  }
  drawing.AddText(Role::kNote, "  \t", {50, 50}, {});
  ExpectEqual(drawing.items().size(), size_t{6}, "blanks are nothing");
  const double width = TextWidth("Hxg", 8);
  const auto box = [&](size_t i) { return drawing.items()[i].box; };
  ExpectWithin(box(0).right, 50 + width, 1e-9);
  ExpectWithin(box(2).middle_x(), 50, 1e-9);
  ExpectWithin(box(4).left, 50 - width, 1e-9);
  ExpectWithin(box(1).top, 50 - width, 1e-9, "upwards from its start");
  ExpectWithin(box(5).bottom, 50 + width, 1e-9, "upwards to its end");
  ExpectEqual(box(0).top < 46 && box(0).bottom > 50, true, "above the baseline, and g below it");
  ExpectEqual(box(1).left < 46 && box(1).right > 50, true, "turned");
}

TEST(RenderTest, AllFormats) {
  Drawing drawing(90, 60);
  drawing.AddRectangle(Role::kMark, {10, 10, 30, 30}, {200, 0, 0});
  drawing.AddLetter(Role::kMark, 'G', {40, 10, 60, 30}, {0, 0, 200}, true);
  drawing.AddCells(Role::kMark, {10, 40, 30, 50}, 1, 3, {{1, 2, 3}, {0, 0, 0, 0}, {1, 2, 3, 100}});
  drawing.AddDot(Role::kMark, {70, 40}, 3, {9, 9, 9});
  drawing.AddPath(Role::kMark, {{5, 5}, {80, 5}}, {{1, 1, 1}, 1, 2});
  drawing.AddText(Role::kTitle, "<a & \"b\">", {5, 58}, {7});
  ExpectRenders(drawing, "one of each");
  const std::string png = *Render(drawing, Format::kPng, {3});
  const auto number = [&](size_t at) {
    return static_cast<unsigned char>(png[at + 2]) << 8 | static_cast<unsigned char>(png[at + 3]);
  };
  ExpectEqual(number(16), 270, "pixels to the right");
  ExpectEqual(number(20), 180, "pixels down");
  const std::string svg = SvgInline(drawing, "logo-7");
  ExpectEqual(svg.starts_with("<svg "), true, "no header");
  ExpectEqual(svg.find("id=\"logo-7-G\"") != std::string::npos, true, "the prefix of ids");
  ExpectEqual(svg.find("href=\"#logo-7-G\"") != std::string::npos, true, "the prefix of references");
  ExpectEqual(svg.find("&lt;a &amp; &quot;b&quot;&gt;") != std::string::npos, true, "escaped text");
  ExpectEqual(svg.find("nan") == std::string::npos, true, "numbers");
  ExpectEqual(FormatOf("x/y.SVG").ok() && FormatOf("a.b.png").ok() && !FormatOf("svg").ok() && !FormatOf("a.gif").ok(),
              true, "extensions");
  ExpectEqual(Render(Drawing(20000, 20000), Format::kPng, {2}).ok(), false, "too many pixels");
}

TEST(RenderTest, ALogoOfTenLettersIsSmall) {
  LogoData data = {{}, "bits", 2, 1};
  for (int i = 0; i < 10; ++i) data.heights.push_back({0.2, 0.9, 0.5, 0.3});
  const auto drawing = DrawLogo(data, {"motif"});
  ASSERT_TRUE(drawing.ok());
  const size_t bytes = SvgInline(*drawing, "a").size();
  ExpectEqual(bytes < 12'000, true, "bytes: " + std::to_string(bytes));
}

}  // namespace
}  // namespace rb::plot
