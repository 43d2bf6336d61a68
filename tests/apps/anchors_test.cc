// Verdicts at, above and below each tolerance; the table of anchors itself; the choices that figures make of probes.
#include "apps/reproduce/anchors.h"

#include <cmath>
#include <set>
#include <string>

#include "apps/reproduce/pieces.h"
#include "tests/support/comparisons.h"

namespace rb::apps {
namespace {

using test::ExpectEqual;

void ExpectTrue(bool found) { ExpectEqual(found, true); }

Anchor Of(Rule rule, double expected, int64_t of = 0) {
  return {"figure2", "key", "quantity", expected, rule, "text", "", of};
}
std::string Verdict(Rule rule, double expected, double found) { return Judge(Of(rule, expected), {found, 1, "", ""}); }

TEST(AnchorsTest, AtAboveAndBelow) {
  struct Case {
    Rule rule;
    double expected, low, high;  // still within
  };
  const Case cases[] = {{Rule::kPearson, 0.689, 0.679, 0.699},     {Rule::kEffect, 4.4, 3.3, 5.5},
                        {Rule::kEffect, -2, -2.5, -1.5},           {Rule::kRSquared, 0.997, 0.987, 1.007},
                        {Rule::kCorrelation, -0.94, -0.99, -0.89}, {Rule::kRank, 1, 1, 1}};
  for (const Case& c : cases) {
    const double less = 1e-6;
    ExpectEqual(Verdict(c.rule, c.expected, c.expected), std::string("agrees"));
    ExpectEqual(Verdict(c.rule, c.expected, c.low), std::string("agrees"));
    ExpectEqual(Verdict(c.rule, c.expected, c.high), std::string("agrees"));
    ExpectEqual(Verdict(c.rule, c.expected, c.low - less), std::string("differs"));
    ExpectEqual(Verdict(c.rule, c.expected, c.high + less), std::string("differs"));
  }
  ExpectEqual(Verdict(Rule::kLevel, 0.01, 0.0099), std::string("agrees"));
  ExpectEqual(Verdict(Rule::kLevel, 0.01, 0.01), std::string("differs"));
  ExpectEqual(Verdict(Rule::kLevel, 0.01, 1), std::string("differs"));
  ExpectEqual(Verdict(Rule::kRank, 1, 2), std::string("differs"));
}

TEST(AnchorsTest, WhatIsNotComparable) {
  const double nan = std::nan("");
  ExpectEqual(Verdict(Rule::kEffect, 4.4, nan), std::string("not comparable (no value)"));
  ExpectEqual(Verdict(Rule::kEffect, 4.4, HUGE_VAL), std::string("not comparable (no value)"));
  ExpectEqual(Verdict(Rule::kLevel, 0.01, nan), std::string("not comparable (no value)"));
  ExpectEqual(Verdict(Rule::kEffect, nan, 4.4), std::string("not comparable (the source says no number)"));
  ExpectEqual(Judge(Of(Rule::kPearson, 0.689, 244), {0.689, 40, "", ""}), std::string("not comparable (n=40 of 244)"));
  ExpectEqual(Judge(Of(Rule::kPearson, 0.689, 244), {0.689, 245, "", ""}),
              std::string("not comparable (n=245 of 244)"));
  ExpectEqual(Judge(Of(Rule::kPearson, 0.689, 244), {0.689, 244, "", ""}), std::string("agrees"));
  ExpectEqual(Judge(Of(Rule::kPearson, 0.689, 244), {0.6, 244, "", ""}), std::string("differs"));
  ExpectEqual(Judge(Of(Rule::kEffect, 4.4), {4.4, 1, "SIM00001, not RNCMPT00168", ""}),
              std::string("not comparable (SIM00001, not RNCMPT00168)"));
}

TEST(AnchorsTest, TableIsWhole) {
  std::set<std::string> figures, rows;
  for (const Anchor& anchor : Anchors()) {
    figures.insert(anchor.figure);
    ExpectTrue(rows.insert(std::string(anchor.figure) + "|" + anchor.quantity + "|" + anchor.source).second);
    ExpectTrue(*anchor.key != '\0' && *anchor.source != '\0');
    ExpectTrue(ToleranceOf(anchor.rule).rule == anchor.rule);
  }
  ExpectEqual(figures.size(), size_t{5});
  for (const Tolerance& tolerance : Tolerances()) ExpectTrue(std::string(tolerance.why).size() > 10);
  ExpectEqual(RbfoxAffinities().size(), size_t{7});
}

TEST(AnchorsTest, RowsAreThere) {
  const std::string text = AnchorsTsv("figure3", {{"loop", {2.5, 1, "", "trained 2 epochs"}}}, "nothing asked");
  ExpectTrue(text.find("GCUGG in the loop\t2.6\tnotebook\t2.5\t25 %\tagrees\ttrained 2 epochs\n") != std::string::npos);
  ExpectTrue(text.find("GCUGG in the stem\t1.15\tnotebook\t\t25 %\tnot comparable (nothing asked)\t\n") !=
             std::string::npos);
  ExpectTrue(text.find("UGCAUG") == std::string::npos);  // of another figure
  ExpectTrue(AnchorsText("figure3", {}, "nothing asked").find("not comparable (nothing asked)") != std::string::npos);
}

TEST(PiecesTest, ChoicesOfProbesAndMotifs) {
  ExpectEqual(FewestMismatches("AAUGCAUGAA", "UGCAUG"), 0);
  ExpectEqual(FewestMismatches("CCAGAAUGCC", "UGCAUG"), 2);
  ExpectEqual(FewestMismatches("NNNNNN", "UGCAUG"), 6);
  ExpectEqual(FewestMismatches("UGC", "UGCAUG"), 6);
  ExpectEqual(WeakerMotif("UGCAUG"), std::string("AGAAUG"));
  ExpectEqual(WeakerMotif("AAAAAA"), std::string("UAUAAA"));
  ExpectEqual(Median({3, 1, 2}), 2.0);
  ExpectEqual(Median({4, 1, 2, 3}), 2.5);
  ExpectTrue(std::isnan(Median({})));
}

TEST(PiecesTest, LogoShowsHowMuchWeightCoversAColumn) {
  AlignmentMotif motif;
  motif.pwm.columns = {{1, 0, 0, 0}, {0, 0, 1, 0}, {0.5, 0.5, 0, 0}};
  motif.sums = {{1, 0, 0, 0}, {0, 0, 4, 0}, {1, 1, 0, 0}};
  const plot::LogoData logo = plot::CoverageLogo(motif);
  ExpectEqual(logo.heights[0][0], 0.5);   // two bits, a quarter of the weight
  ExpectEqual(logo.heights[1][2], 2.0);   // all of it
  ExpectEqual(logo.heights[2][1], 0.25);  // one bit, half of it for each letter, half of the weight
  ExpectEqual(logo.top, 2.0);
}

}  // namespace
}  // namespace rb::apps
