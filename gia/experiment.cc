#include "gia/experiment.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "gia/controls.h"
#include "gia/iupac.h"
#include "gia/pattern.h"

namespace rb {
namespace {

// Positions of the experiments, 0-based starts in 41 positions.
struct Places {
  std::vector<int> sites;  // one, two and three sites
  std::vector<std::pair<int, int>> spacing = {{17, 17}, {16, 20}, {15, 21}, {13, 22}};
  std::vector<int> scan = {3, 10, 16, 22, 28, 34};
  int gc_left = 2, gc_right = 34;
  int loop = 17, stem = 9;
  const char* hairpin = "";   // the stem under a motif
  const char* baseline = "";  // the null's own stem; empty: the same
};

Places PlacesOf(Preset preset) {
  Places p;
  p.sites = preset == Preset::kPublished ? std::vector<int>{4, 12, 20} : std::vector<int>{4, 11, 18};
  p.hairpin = preset == Preset::kPublished ? "stem@8-16:24-32" : "stem@6-16:23-33";
  // The authors' code draws another stem for the null than for the pattern.
  if (preset == Preset::kPublished) p.baseline = "stem@7-15:23-31";
  return p;
}
constexpr double kNoX = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kGcStretch = "GCGCGC";

std::string At(const std::string& letters, int position) { return absl::StrCat(letters, "@", position); }

int Size(const std::string& motif) { return static_cast<int>(motif.size()); }

// Scrambled and matched-GC controls at the motif's place.
absl::Status AddControls(const ExperimentSettings& s, int position, Experiment& e) {
  if (s.controls == 0) return absl::OkStatus();
  // A motif of one letter repeated has no other order, one with ambiguous letters no GC content.
  if (const auto scrambled = ScrambledControls(s.motif, s.controls, s.key); scrambled.ok()) {
    for (size_t i = 0; i < scrambled->size(); ++i) {
      e.questions.push_back({absl::StrCat("scrambled ", i + 1), At((*scrambled)[i], position), "", kNoX, true});
    }
  }
  if (const auto matched = MatchedGcControls(s.motif, s.controls, s.key); matched.ok()) {
    for (size_t i = 0; i < matched->size(); ++i) {
      e.questions.push_back({absl::StrCat("same GC ", i + 1), At((*matched)[i], position), "", kNoX, true});
    }
  }
  return absl::OkStatus();
}

// The motif and each change of one letter.
absl::Status Mutate(const ExperimentSettings& s, const Places&, Experiment& e) {
  e.questions.push_back({s.motif, At(s.motif, s.position), "", kNoX});
  for (int i = 0; i < Size(s.motif); ++i) {
    const int mask = IupacMask(s.motif[i]);
    if ((mask & (mask - 1)) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("mutate: letter ", i + 1, " of ", s.motif, " stands for several bases; expected A, C, G or U"));
    }
    for (const char letter : std::string("ACGU")) {
      if (IupacMask(letter) == mask) continue;
      std::string mutant = s.motif;
      mutant[i] = letter;
      e.questions.push_back({mutant, At(mutant, s.position), "", static_cast<double>(s.position + i)});
    }
  }
  return AddControls(s, s.position, e);
}

absl::Status Position(const ExperimentSettings& s, const Places& p, Experiment& e) {
  for (const int at : p.scan) {
    if (at + Size(s.motif) > s.length) continue;
    e.questions.push_back({absl::StrCat("position ", at), At(s.motif, at), "", static_cast<double>(at)});
  }
  return AddControls(s, s.position, e);
}

absl::Status Sites(const ExperimentSettings& s, const Places& p, Experiment& e) {
  std::string pattern;
  for (size_t i = 0; i < p.sites.size(); ++i) {
    absl::StrAppend(&pattern, i == 0 ? "" : "+", At(s.motif, p.sites[i]));
    e.questions.push_back({absl::StrCat(i + 1, i == 0 ? " site" : " sites"), pattern, "", static_cast<double>(i + 1)});
  }
  e.lines.push_back({"effect over sites", 0, static_cast<int>(p.sites.size())});
  // What the sites give one by one, against what they give together.
  const int all = static_cast<int>(p.sites.size()) - 1;
  Contrast additivity = {"non-additivity", "all sites - sum of single sites", {{all, 1}, {0, -1}}};
  for (size_t i = 1; i < p.sites.size(); ++i) {
    e.questions.push_back({absl::StrCat("site at ", p.sites[i]), At(s.motif, p.sites[i]), "", kNoX});
  }
  for (int i = all + 1; i < static_cast<int>(e.questions.size()); ++i) {
    additivity.terms.push_back({i, -1});
  }
  e.contrasts.push_back(additivity);
  return AddControls(s, s.position, e);
}

// The paper's pairs, then two sites at every distance that fits, the first at the first pair's left-most place.
absl::Status Spacing(const ExperimentSettings& s, const Places& p, Experiment& e) {
  for (const auto& [a, b] : p.spacing) {
    const std::string both = a == b ? At(s.motif, a) : absl::StrCat(At(s.motif, a), "+", At(s.motif, b));
    e.questions.push_back({absl::StrCat("at ", a, " and ", b), both, "", static_cast<double>(b - a)});
  }
  const int first = p.sites[0];
  for (int distance = Size(s.motif); first + distance + Size(s.motif) <= s.length; ++distance) {
    e.questions.push_back({absl::StrCat("distance ", distance),
                           absl::StrCat(At(s.motif, first), "+", At(s.motif, first + distance)), "",
                           static_cast<double>(distance)});
  }
  return AddControls(s, s.position, e);
}

absl::Status Gc(const ExperimentSettings& s, const Places& p, Experiment& e) {
  const std::string motif = At(s.motif, s.position), left = At(kGcStretch, p.gc_left),
                    right = At(kGcStretch, p.gc_right);
  enum { kMotif, kRight, kLeft, kMotifRight, kMotifLeft };
  e.questions = {{"motif", motif, "", kNoX},
                 {"GC right", right, "", kNoX},
                 {"GC left", left, "", kNoX},
                 {"motif + GC right", absl::StrCat(motif, "+", right), "", kNoX},
                 {"motif + GC left", absl::StrCat(motif, "+", left), "", kNoX}};
  e.ratios = {
      {"right", "(motif - [motif + GC right]) / motif", {{kMotif, 1}, {kMotifRight, -1}}, kMotif},
      {"left", "(motif - [motif + GC left]) / motif", {{kMotif, 1}, {kMotifLeft, -1}}, kMotif},
      {"difference", "([motif + GC right] - [motif + GC left]) / motif", {{kMotifRight, 1}, {kMotifLeft, -1}}, kMotif}};
  e.contrasts = {
      {"right - left", "[motif + GC right] - [motif + GC left]", {{kMotifRight, 1}, {kMotifLeft, -1}}},
      {"interaction right", "[motif + GC right] - motif - GC right", {{kMotifRight, 1}, {kMotif, -1}, {kRight, -1}}},
      {"interaction left", "[motif + GC left] - motif - GC left", {{kMotifLeft, 1}, {kMotif, -1}, {kLeft, -1}}}};
  return AddControls(s, s.position, e);
}

absl::Status Hairpin(const ExperimentSettings& s, const Places& p, Experiment& e) {
  const auto within = [&](int at) { return absl::StrCat(p.hairpin, "+", At(s.motif, at)); };
  enum { kLoop, kStem, kCentre, kLeft };
  e.questions = {{"loop", within(p.loop), p.baseline, kNoX},
                 {"stem", within(p.stem), p.baseline, kNoX},
                 {"centre", At(s.motif, p.loop), "", kNoX},
                 {"left", At(s.motif, p.stem), "", kNoX}};
  e.contrasts = {{"loop - stem", "loop - stem", {{kLoop, 1}, {kStem, -1}}},
                 {"loop - centre", "loop - centre", {{kLoop, 1}, {kCentre, -1}}},
                 {"stem - left", "stem - left", {{kStem, 1}, {kLeft, -1}}}};
  return AddControls(s, p.loop, e);
}

absl::Status Pair(const ExperimentSettings& s, const Places&, Experiment& e) {
  if (s.second.empty()) return absl::InvalidArgumentError("pair: no second motif; expected two motifs");
  const std::string a = At(s.motif, s.position), b = At(s.second, s.second_position);
  e.questions = {{absl::StrCat("first ", s.motif), a, "", kNoX},
                 {absl::StrCat("second ", s.second), b, "", kNoX},
                 {"both", absl::StrCat(a, "+", b), "", kNoX}};
  e.contrasts = {{"interaction", "both - first - second", {{2, 1}, {0, -1}, {1, -1}}}};
  return AddControls(s, s.position, e);
}

// An embedding for each combination of the bases that its elements' letters stand for; stems and PWMs stay.
absl::StatusOr<std::vector<std::string>> EnumerateEmbedding(const std::string& text) {
  std::vector<std::string> all;
  for (const ElementText& element : SplitEmbedding(text)) {
    std::vector<std::string> ways = {element.text};
    if (element.text.find('@') != std::string::npos && !element.text.starts_with("stem@") && element.file.empty()) {
      const auto letters = Enumerate(element.letters, kMostEnumerated);
      if (!letters.ok()) return absl::InvalidArgumentError(absl::StrCat(text, ": ", letters.status().message()));
      ways = *letters;
      for (std::string& way : ways) way += element.text.substr(element.letters.size());
    }
    if (all.empty()) {
      all = std::move(ways);
      continue;
    }
    if (std::ssize(all) * std::ssize(ways) > kMostEnumerated) {
      return absl::InvalidArgumentError(
          absl::StrCat(text, " stands for more than ", kMostEnumerated, " sequences; expected at most that"));
    }
    std::vector<std::string> longer;
    for (const std::string& start : all) {
      for (const std::string& way : ways) longer.push_back(absl::StrCat(start, "+", way));
    }
    all = std::move(longer);
  }
  return all;
}

absl::Status Custom(const ExperimentSettings& s, const Places&, Experiment& e) {
  if (s.embed.empty()) return absl::InvalidArgumentError("custom: nothing to embed; expected at least one embedding");
  for (const std::string& text : s.embed) {
    std::vector<std::string> texts = {text};
    if (s.enumerate) {
      auto all = EnumerateEmbedding(text);
      if (!all.ok()) return absl::InvalidArgumentError(absl::StrCat("custom: ", all.status().message()));
      texts = *std::move(all);
    }
    for (const std::string& one : texts) e.questions.push_back({one, one, "", kNoX});
  }
  return absl::OkStatus();
}

using Maker = absl::Status (*)(const ExperimentSettings&, const Places&, Experiment&);
const std::map<std::string, Maker, std::less<>>& Makers() {
  static const auto& makers = *new std::map<std::string, Maker, std::less<>>{
      {"mutate", Mutate}, {"position", Position}, {"sites", Sites}, {"spacing", Spacing},
      {"gc", Gc},         {"hairpin", Hairpin},   {"pair", Pair},   {"custom", Custom}};
  return makers;
}

// Upper case, U for T.
std::string RnaLetters(std::string letters) {
  for (char& c : letters) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'T') c = 'U';
  }
  return letters;
}

absl::Status CheckMotif(const std::string& name, const std::string& motif) {
  if (name == "custom") return absl::OkStatus();
  if (motif.empty()) return absl::InvalidArgumentError(absl::StrCat(name, ": no motif; expected IUPAC letters"));
  for (const char letter : motif) {
    if (IupacMask(letter) != 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(name, ": '", std::string(1, letter), "' in motif ", motif,
                                                   " is no letter; expected ", std::string(kIupacExpected)));
  }
  return absl::OkStatus();
}

// Every embedding must fit the model; two questions of one name cannot be told apart.
absl::Status CheckQuestions(const Experiment& e, int length) {
  std::set<std::string> labels;
  for (const Question& q : e.questions) {
    if (!labels.insert(q.label).second) {
      return absl::InvalidArgumentError(absl::StrCat(e.name, ": '", q.label, "' is asked twice; expected it once"));
    }
    if (e.name == "custom") continue;  // parsed with the caller's motif files
    for (const std::string& text : {q.pattern, q.baseline}) {
      if (text.empty()) continue;
      const auto parsed = ParseEmbedding(text, length);
      if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat(e.name, ": ", parsed.status().message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<std::string>& ExperimentNames() {
  static const auto& names =
      *new std::vector<std::string>{"mutate", "position", "sites", "spacing", "gc", "hairpin", "pair", "custom"};
  return names;
}

const std::vector<std::string>& MotifExperiments() {
  static const auto& names = *new std::vector<std::string>(ExperimentNames().begin(), ExperimentNames().end() - 2);
  return names;
}

absl::StatusOr<Experiment> MakeExperiment(std::string_view name, const ExperimentSettings& settings) {
  const auto maker = Makers().find(name);
  if (maker == Makers().end())
    return absl::InvalidArgumentError(absl::StrCat("'", std::string(name), "' is no experiment"));
  RB_RETURN_IF_ERROR(CheckMotif(std::string(name), settings.motif));
  if (name == "pair" && !settings.second.empty()) RB_RETURN_IF_ERROR(CheckMotif(std::string(name), settings.second));
  Experiment experiment;
  experiment.name = std::string(name);
  ExperimentSettings in_rna = settings;
  in_rna.motif = RnaLetters(settings.motif);
  in_rna.second = RnaLetters(settings.second);
  RB_RETURN_IF_ERROR(maker->second(in_rna, PlacesOf(settings.preset), experiment));
  RB_RETURN_IF_ERROR(CheckQuestions(experiment, settings.length));
  return experiment;
}

}  // namespace rb
