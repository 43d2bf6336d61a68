// The text of embeddings: what is read, what is warned of, what is refused.
#include "gia/pattern.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gia/iupac.h"
#include "tests/gia/gia_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;
using test::ExpectRefused;

Embedding Parse(const std::string& text, const PwmReader& reader = {}) {
  const auto embedding = ParseEmbedding(text, 41, reader);
  EXPECT_TRUE(embedding.ok()) << text << ": " << embedding.status();
  return embedding.ok() ? *embedding : Embedding{};
}

TEST(Iupac, EveryLetterStandsForItsSet) {
  const std::pair<char, const char*> sets[] = {{'A', "A"},   {'C', "C"},   {'G', "G"},   {'U', "U"},   {'R', "AG"},
                                               {'Y', "CU"},  {'S', "CG"},  {'W', "AU"},  {'K', "GU"},  {'M', "AC"},
                                               {'B', "CGU"}, {'D', "AGU"}, {'H', "ACU"}, {'V', "ACG"}, {'N', "ACGU"}};
  for (const auto& [letter, set] : sets) {
    uint8_t mask = 0;
    for (const char* base = set; *base; ++base) mask |= static_cast<uint8_t>(1 << BaseCode(*base));
    ExpectEqual(IupacMask(letter), mask, std::string(1, letter));
    ExpectEqual(IupacMask(static_cast<char>(letter - 'A' + 'a')), mask, std::string(1, letter));
    ExpectEqual(kIupacLetters[mask - 1u], letter);
  }
  int known = 0;
  for (int c = 0; c < 256; ++c) known += IupacMask(static_cast<char>(c)) != 0;
  ExpectEqual(known, 32);  // fifteen and T, in two cases
}

TEST(ParseEmbedding, Letters) {
  const Embedding embedding = Parse("UGCAUG@17+GCGCGC@34");
  ExpectEqual(embedding.text, std::string("UGCAUG@17+GCGCGC@34"));
  ExpectEqual(embedding.elements.size(), size_t{2});
  ExpectEqual(embedding.elements[0].position, 17);
  ExpectEqual(embedding.elements[0].end(), 23);
  ExpectEqual(embedding.elements[1].position, 34);
  ExpectEqual(embedding.first, 17);
  ExpectEqual(embedding.last, 39);
  ExpectEqual(embedding.warning, std::string());
  const std::array<double, 4> u = {0, 0, 0, 1}, g = {0, 0, 1, 0};
  ExpectEqual(embedding.elements[0].columns[0], u);
  ExpectEqual(embedding.elements[0].columns[1], g);
  const Embedding other = Parse("  tgYn@0 + acgu@37 ");
  ExpectEqual(other.text, std::string("UGYN@0+ACGU@37"));
  ExpectEqual(other.elements[0].letters, std::string("UGYN"));
  const std::array<double, 4> y = {0, 1, 0, 1}, n = {1, 1, 1, 1};
  ExpectEqual(other.elements[0].columns[2], y);
  ExpectEqual(other.elements[0].columns[3], n);
  ExpectEqual(other.first, 0);
  ExpectEqual(other.last, 40);
}

TEST(ParseEmbedding, MotifsOfFiles) {
  std::vector<std::string> asked;
  const PwmReader reader = [&](const std::string& file, const std::string& name) -> absl::StatusOr<Pwm> {
    asked.push_back(file + "|" + name);
    if (name == "absent") return absl::NotFoundError("x.meme: no motif absent");
    if (name == "empty") return Pwm{name, {}};
    if (name == "zero") return Pwm{name, {{1, 0, 0, 0}, {0, 0, 0, 0}}};
    if (name == "negative") return Pwm{name, {{1.5, -0.5, 0, 0}}};
    if (name == "nan") return Pwm{name, {{NAN, 1, 0, 0}}};
    return Pwm{name, {{0.5, 0.5, 0, 0}, {0.1, 0.2, 0.3, 0.4}}};
  };
  const Embedding embedding = Parse("dir/a.meme:RBFOX1@17+c:x.meme:b@39", reader);
  ExpectEqual(asked, std::vector<std::string>({"dir/a.meme|RBFOX1", "c:x.meme|b"}));
  ExpectEqual(embedding.elements[0].columns[1][2], 0.3);
  ExpectEqual(embedding.elements[0].letters, std::string());
  ExpectEqual(embedding.elements[0].text, std::string("dir/a.meme:RBFOX1@17"));
  ExpectEqual(embedding.last, 40);
  const auto refused = [&](const std::string& text) { return ParseEmbedding(text, 41, reader).status(); };
  ExpectRefused(refused("x.meme:absent@1"), "no motif absent", absl::StatusCode::kNotFound);
  ExpectRefused(refused("x.meme:empty@1"), "no columns");
  ExpectRefused(refused("x.meme:zero@1"), "column 2 of the motif zero is no distribution");
  ExpectRefused(refused("x.meme:negative@1"), "column 1 of the motif negative");
  ExpectRefused(refused("x.meme:nan@1"), "column 1 of the motif nan");
  ExpectRefused(refused("x.meme:@1"), "expected FILE:NAME");
  ExpectRefused(refused(":name@1"), "expected FILE:NAME");
  ExpectRefused(refused("x.meme:b@40"), "x.meme:b@40 covers positions 40 to 41; expected 0 to 40");
  ExpectRefused(ParseEmbedding("x.meme:b@4", 41).status(), "no motif files are read here");
}

TEST(ParseEmbedding, Stems) {
  const Embedding embedding = Parse("UGCAUG@17+stem@6-16:23-33");
  ExpectEqual(embedding.stems.size(), size_t{1});
  const Stem& stem = embedding.stems[0];
  ExpectEqual(stem.left, 6);
  ExpectEqual(stem.right, 33);
  ExpectEqual(stem.size, 11);
  ExpectEqual(stem.wobble || stem.drawn, false);
  ExpectEqual(embedding.first, 6);
  ExpectEqual(embedding.last, 33);
  ExpectEqual(embedding.warning, std::string());
  ExpectEqual(embedding.text, std::string("stem@6-16:23-33+UGCAUG@17"));
  const Embedding flags = Parse("STEM@0-0:4-4:drawn:wobble+stem@5-7:11-13:wobble");
  ExpectEqual(flags.stems[0].wobble && flags.stems[0].drawn, true);
  ExpectEqual(flags.stems[1].wobble, true);
  ExpectEqual(flags.stems[1].drawn, false);
  ExpectEqual(flags.stems[0].text, std::string("stem@0-0:4-4:wobble:drawn"));
  const Embedding nested = Parse("stem@0-3:30-33+stem@5-9:20-24");  // one within the other's loop
  ExpectEqual(nested.stems.size(), size_t{2});
}

TEST(ParseEmbedding, StemsOfKeepsTheStemsAlone) {
  const Embedding embedding = Parse("ACGU@3+stem@6-16:23-33:wobble+UGCAUG@28+UG@29");
  ExpectEqual(embedding.warning.empty(), false);
  ExpectEqual(embedding.stems[0].mirrors[5], true);  // 11 with 28
  const Embedding stems = StemsOf(embedding);
  ExpectEqual(stems.text, std::string("stem@6-16:23-33:wobble"));
  ExpectEqual(stems.elements.size(), size_t{0});
  ExpectEqual(stems.stems[0].mirrors, std::vector<bool>(11, false));
  ExpectEqual(stems.warning, std::string());
  ExpectEqual(stems.first, 6);
  ExpectEqual(stems.last, 33);
  ExpectEqual(StemsOf(Parse("ACGU@3")).last, -1);
}

TEST(ParseEmbedding, WarnsOfPositionsWrittenTwice) {
  ExpectEqual(Parse("UGCAUG@17+GCGC@20").warning,
              std::string("UGCAUG@17 and GCGC@20 overlap at positions 20-22, the later one is kept"));
  ExpectEqual(Parse("UGCAUG@17+GCGC@22").warning,
              std::string("UGCAUG@17 and GCGC@22 overlap at position 22, the later one is kept"));
  ExpectEqual(Parse("UGCAUG@17+GCGC@23").warning, std::string());
  ExpectEqual(Parse("GCGC@23+UGCAUG@17").warning, std::string());
  ExpectEqual(Parse("AAA@0+CCC@1+GGG@2").warning,
              std::string("AAA@0 and CCC@1 overlap at positions 1-2, the later one is kept; AAA@0 and GGG@2 overlap at "
                          "position 2, the later one is kept; CCC@1 and GGG@2 overlap at positions 2-3, the later one "
                          "is kept"));
  ExpectEqual(Parse("stem@6-16:23-33+ACG@9+UU@29").warning,
              std::string("both positions of the pairs 9-30, 10-29 of stem@6-16:23-33 are written, the later element's "
                          "base is kept (in one element the 5' one)"));
  ExpectEqual(Parse("stem@6-16:23-33+ACG@9").warning, std::string());
}

TEST(ParseEmbedding, Refusals) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "the embedding is empty; expected LETTERS@POSITION"},
      {"   ", "the embedding is empty"},
      {"+", "column 1: an empty pattern"},
      {"UGC@1+", "column 7: an empty pattern"},
      {"UGC@1++AC@8", "column 7: an empty pattern"},
      {"@17", "column 1: an empty pattern"},
      {"UGXAUG@17", "column 3: found 'X'; expected an IUPAC letter"},
      {"UGCAUG@17+GC!C@34", "column 13: found '!'"},
      {"UG CA@17", "column 3: found ' '"},
      {"UG\nCA@17", "column 3: found '\\n'"},
      {"E@17", "column 1: found 'E'"},
      {"UGCAUG", "column 1: found 'UGCAUG'; expected LETTERS@POSITION"},
      {"GCGC+UGC@3", "column 1: found 'GCGC'"},
      {"UGCAUG@", "column 8: found ''; expected a position"},
      {"UGCAUG@-1", "column 8: found '-1'"},
      {"UGCAUG@1.5", "column 8: found '1.5'"},
      {"UGCAUG@+1", "column 8: found ''"},
      {"UGCAUG@99999999999", "column 8: found '99999999999'"},
      {"UGCAUG@36", "column 1: UGCAUG@36 covers positions 36 to 41; expected 0 to 40"},
      {"A@40+A@41", "column 6: A@41 covers positions 41 to 41; expected 0 to 40"},
      {"stem@6-16", "one side only; expected stem@A-B:C-D"},
      {"stem@6:33", "column 6: found '6'; expected a side of the stem"},
      {"stem@6-16:23", "column 11: found '23'; expected a side"},
      {"stem@6-x:23-33", "column 8: found 'x'"},
      {"stem@16-6:23-33", "column 6: the side 16-6 is empty"},
      {"stem@6-16:24-33", "sides of 11 and 10 positions; expected sides of one length"},
      {"stem@6-16:19-29", "the loop between 16 and 19 has 2 positions; expected the 5' side first and at least 3"},
      {"stem@23-33:6-16", "the loop between 33 and 6 has -28 positions"},
      {"stem@6-16:33-43", "the stem reaches position 43; expected 0 to 40"},
      {"stem@6-16:23-33:wobbly", "column 17: found 'wobbly'; expected wobble or drawn"},
      {"stem@6-16:23-33:", "column 17: found ''; expected wobble or drawn"},
      {"stem@6-8:20-22+stem@8-10:30-32", "column 16: position 8 is in stem@6-8:20-22 already"},
      {"stem@6-8:20-22+stem@0-2:18-20", "position 20 is in stem@6-8:20-22 already"},
      {"stem@6-8:20-22+stem@22-24:30-32", "position 22 is in"},
  };
  for (const auto& [text, part] : cases) ExpectRefused(ParseEmbedding(text, 41).status(), part);
  // What touches is apart, and the shortest loop is allowed.
  Parse("stem@6-8:20-22+stem@9-11:17-19");
  Parse("stem@6-16:20-30");
}

TEST(Enumerate, ListsTheProductInOrder) {
  ExpectEqual(Enumerate("ry", 4).value(), std::vector<std::string>({"AC", "AU", "GC", "GU"}));
  ExpectEqual(Enumerate("TGC", 1).value(), std::vector<std::string>({"UGC"}));
  ExpectEqual(Enumerate("ANB", 12).value().size(), size_t{12});
  for (uint64_t round = 0; round < 50; ++round) {
    PhiloxStream stream(8, round);
    std::string pattern(1 + stream.Below(5), ' ');
    size_t total = 1;
    for (char& letter : pattern) {
      letter = kIupacLetters[stream.Below(15)];
      total *= static_cast<size_t>(__builtin_popcount(IupacMask(letter)));
    }
    const auto all = Enumerate(pattern, 1024).value();
    ExpectEqual(all.size(), total, pattern);
    ExpectEqual(std::is_sorted(all.begin(), all.end()), true);
    ExpectEqual(std::adjacent_find(all.begin(), all.end()) == all.end(), true);
    for (const std::string& text : all) {
      ASSERT_EQ(text.size(), pattern.size());
      for (size_t i = 0; i < text.size(); ++i) {
        ExpectEqual((IupacMask(pattern[i]) & IupacMask(text[i])) == IupacMask(text[i]), true, pattern + " " + text);
      }
    }
    if (total > 1) ExpectRefused(Enumerate(pattern, static_cast<int64_t>(total) - 1).status(), "more than");
  }
  ExpectRefused(Enumerate("NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN", 1000).status(), "more than 1000 sequences");
  ExpectRefused(Enumerate("", 10).status(), "an empty pattern");
  ExpectRefused(Enumerate("AC-G", 10).status(), "column 3: found '-'");
}

}  // namespace
}  // namespace rb
