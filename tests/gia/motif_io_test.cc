// Motif files: round trips, files as other programs write them, errors with their places, damaged files.
#include "gia/motif_io.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gia/alignment_motif.h"
#include "kernels/philox.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::ExpectWithin;
using test::TemporaryFolder;

constexpr MotifFormat kReadable[] = {MotifFormat::kMeme, MotifFormat::kJaspar, MotifFormat::kTransfac};

MotifRecord RandomMotif(const std::string& name, int columns, PhiloxStream* random) {
  MotifRecord motif;
  motif.pwm.name = name;
  motif.sites = 1 + random->Below(500);
  motif.e_value = random->Uniform() * 1e-30;
  for (int p = 0; p < columns; ++p) {
    std::array<double, 4> column{};
    double sum = 0;
    for (double& x : column) sum += x = random->Below(4) == 0 ? 0 : random->Uniform();
    for (double& x : column) x = sum > 0 ? x / sum : 0.25;
    motif.pwm.columns.push_back(column);
  }
  return motif;
}

std::vector<MotifRecord> RandomMotifs() {
  PhiloxStream random(3);
  std::vector<MotifRecord> motifs;
  for (const int columns : {1, 7, 12, 120}) {
    motifs.push_back(RandomMotif("RNCMPT" + std::to_string(columns), columns, &random));
  }
  motifs[1].description = "RBFOX1";
  return motifs;
}

TEST(MotifRoundTrip, AllFormatsAndAlphabets) {
  const TemporaryFolder folder;
  const std::vector<MotifRecord> motifs = RandomMotifs();
  for (const MotifFormat format : kReadable) {
    for (const bool dna : {false, true}) {
      const std::string path = folder / "motifs";
      ASSERT_TRUE(WriteMotifs(path, motifs, format, dna).ok());
      ExpectEqual(test::ReadAll(path).find('U') == std::string::npos, dna);
      const auto read = ReadMotifs(path);
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_EQ(read->size(), motifs.size());
      for (size_t i = 0; i < motifs.size(); ++i) {
        const MotifRecord &a = motifs[i], &b = read->at(i);
        ExpectEqual(b.pwm.name, a.pwm.name);
        ExpectEqual(b.description, a.description);
        ASSERT_EQ(b.pwm.columns.size(), a.pwm.columns.size());
        const bool exact = format == MotifFormat::kMeme;
        ExpectWithin(b.sites, a.sites, exact ? 0 : 1e-12 * a.sites);
        ExpectEqual(b.e_value, exact ? a.e_value : 0.0);
        for (size_t p = 0; p < a.pwm.columns.size(); ++p) {
          // Counts are rounded products, and their sum is rounded too: at most four units in the last place of 1.
          for (int x = 0; x < 4; ++x) {
            ExpectWithin(b.pwm.columns[p][x], a.pwm.columns[p][x], exact ? 0 : 8.9e-16);
          }
        }
      }
    }
  }
}

TEST(MotifRoundTrip, WholeCountsStayWhole) {
  const TemporaryFolder folder;
  std::string jaspar = ">M\n";
  const int columns[][4] = {{1, 2, 0, 3}, {0, 0, 6, 0}, {1, 1, 1, 3}, {5, 1, 0, 0}};
  for (int b = 0; b < 4; ++b) {
    jaspar += std::string(1, "ACGU"[b]) + " [";
    for (const auto& column : columns) jaspar += " " + std::to_string(column[b]);
    jaspar += " ]\n";
  }
  const auto read = ReadMotifs(folder.Write("m", jaspar));
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(FormatMotifs(*read, MotifFormat::kJaspar).value(), jaspar);
  ExpectEqual(FormatMotifs(*read, MotifFormat::kTransfac).value(),
              std::string("ID M\nXX\nP0\tA\tC\tG\tU\n01\t1\t2\t0\t3\n02\t0\t0\t6\t0\n03\t1\t1\t1\t3\n04\t5\t1\t0\t0\n"
                          "XX\n//\n"));
  // 1 / 49 * 49 is not 1 in double: every share of every small number of sites comes out whole all the same.
  for (int sites = 1; sites <= 200; ++sites) {
    MotifRecord motif;
    motif.pwm.name = "M";
    motif.sites = sites;
    std::string expected = ">M\n", rows[2];
    for (int count = 0; count <= sites; ++count) {
      motif.pwm.columns.push_back(
          {static_cast<double>(count) / sites, static_cast<double>(sites - count) / sites, 0, 0});
      rows[0] += " " + std::to_string(count);
      rows[1] += " " + std::to_string(sites - count);
    }
    const std::vector<MotifRecord> motifs = {motif};
    const std::string text = FormatMotifs(motifs, MotifFormat::kJaspar).value();
    expected += "A [" + rows[0] + " ]\nC [" + rows[1] + " ]\n";
    ExpectEqual(text.substr(0, expected.size()), expected);
  }
}

TEST(MotifFiles, TextOfAMemeFileAndATable) {
  MotifRecord motif;
  motif.pwm = {"M1", {{0.5, 0.25, 0.25, 0}, {0, 0, 0, 1}}};
  motif.description = "alt";
  motif.sites = 12;
  motif.e_value = 1e-9;
  const std::vector<MotifRecord> motifs = {motif};
  ExpectEqual(FormatMotifs(motifs, MotifFormat::kMeme).value(),
              std::string("MEME version 4\n\nALPHABET= ACGU\n\nstrands: +\n\nBackground letter frequencies\n"
                          "A 0.25 C 0.25 G 0.25 U 0.25\n\nMOTIF M1 alt\n"
                          "letter-probability matrix: alength= 4 w= 2 nsites= 12 E= 1e-09\n"
                          " 0.5 0.25 0.25 0\n 0 0 0 1\n"));
  ExpectEqual(FormatMotifs(motifs, MotifFormat::kTsv).value(),
              std::string("motif\tposition\tA\tC\tG\tU\tbits\nM1\t0\t0.5\t0.25\t0.25\t0\t0.5\nM1\t1\t0\t0\t0\t1\t2\n"));
  ExpectEqual(FormatMotifs(motifs, MotifFormat::kTsv, true).value().substr(0, 28),
              std::string("motif\tposition\tA\tC\tG\tT\tbits\n").substr(0, 28));
}

TEST(MotifFiles, MemeAsOthersWriteIt) {
  const TemporaryFolder folder;
  const auto read = ReadMotifs(folder.Write("full.meme", "\xef\xbb\xbf\r\n*** title\r\n"));
  ExpectEqual(read.ok(), false);
  const std::string text =
      "MEME version 5.0.1 (Release date: some day)\r\n\r\nALPHABET \"DNA\" DNA-LIKE\r\nA \"Adenine\" CC0000 ~ T "
      "\"Thymine\" 008000\r\nEND ALPHABET\r\n\r\nstrands: + -\r\n\r\nMOTIF  GCAUG MEME-1 width = 2 sites = 3\r\n"
      "log-odds matrix: alength= 4 w= 2 n= 10 bayes= 1 E= 1e-2\r\n -10 20 -30 1\r\n 1 2 3 4\r\n"
      "letter-probability matrix: alength=4 w=2 nsites=3 E=4.1e-009 \r\n\r\n";
  ExpectError(ReadMotifs(folder.Write("blank.meme", text)), StatusCode::kInvalidArgument,
              {"blank.meme:14:1", "0 fields", "row 1 of 2 of motif 'GCAUG'"});
  const std::string rows = "+1.0 0 0e5 .0\r\n\t0.25\t0.25  0.25\t0.25  \r\n";
  const std::string more =
      "URL http://x\r\nMOTIF second\r\n\r\nletter-probability matrix:\r\n 0 1 0 0\r\n 0 0.5 0.5 0\r\nMOTIF 3 width = "
      "1\r\n"
      "letter-probability matrix: w= 1 E= 1e-999\r\n0.4 0.3 0.2 0.1";
  const auto all = ReadMotifs(folder.Write("ok.meme", text.substr(0, text.size() - 2) + rows + more));
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), size_t{3});
  const MotifRecord &first = all->at(0), &second = all->at(1), &third = all->at(2);
  ExpectEqual(first.pwm.name, std::string("GCAUG"));
  ExpectEqual(first.description, std::string("MEME-1"));
  ExpectEqual(first.sites, 3.0);
  ExpectEqual(first.e_value, 4.1e-9);
  ExpectEqual(first.pwm.columns[0] == std::array<double, 4>{1, 0, 0, 0}, true);
  ExpectEqual(second.sites, 20.0);
  ExpectEqual(second.e_value, 0.0);
  ExpectEqual(second.pwm.columns.size(), size_t{2});
  ExpectEqual(second.pwm.columns[1] == std::array<double, 4>{0, 0.5, 0.5, 0}, true);
  ExpectEqual(third.pwm.name + third.description, std::string("3"));
  ExpectEqual(third.e_value, 0.0);
  ExpectEqual(third.pwm.columns.size(), size_t{1});
}

TEST(MotifFiles, JasparAndTransfacAsOthersWriteThem) {
  const TemporaryFolder folder;
  // Brackets that touch, rows in another order and lower case; a raw matrix; blank lines; no newline at the end.
  const auto jaspar = ReadMotifs(folder.Write(
      "j", "\n> MA1 RBFOX1 extra\nt [3 0]\nG  [ 1 0 ]\nC [0 0 ]\nA [0\t4]\n\n>raw\n1 0\n0 1\n\n1.5 0\n0 0"));
  ASSERT_TRUE(jaspar.ok()) << jaspar.status();
  ExpectEqual(jaspar->at(0).pwm.name + "/" + jaspar->at(0).description, std::string("MA1/RBFOX1"));
  ExpectEqual(jaspar->at(0).pwm.columns[0] == std::array<double, 4>{0, 0, 0.25, 0.75}, true);
  ExpectEqual(jaspar->at(0).pwm.columns[1] == std::array<double, 4>{1, 0, 0, 0}, true);
  ExpectEqual(jaspar->at(0).sites, 4.0);
  ExpectEqual(jaspar->at(1).sites, 2.5);
  ExpectEqual(jaspar->at(1).pwm.columns[0] == std::array<double, 4>{0.4, 0, 0.6, 0}, true);
  const auto transfac = ReadMotifs(
      folder.Write("t",
                   "VV  TRANSFAC MATRIX TABLE\nXX\n//\nAC  M1\nXX\nID  V$X\nXX\nNA  Xfac\nDE  text\nPO  G A T C\n"
                   "01  1 2 3 4  N\n2 0 0 5 0 T\nXX\nCC  note\n//\nAC M2\nP0 A C G U\n1 1 1 1 1\n//\nNA only\nP0 A C G "
                   "T\n1 0 1 0 0\n//"));
  ASSERT_TRUE(transfac.ok()) << transfac.status();
  ASSERT_EQ(transfac->size(), size_t{3});
  ExpectEqual(transfac->at(0).pwm.name + "/" + transfac->at(0).description, std::string("V$X/Xfac"));
  ExpectEqual(transfac->at(0).pwm.columns[0] == std::array<double, 4>{0.2, 0.4, 0.1, 0.3}, true);
  ExpectEqual(transfac->at(0).pwm.columns[1] == std::array<double, 4>{0, 0, 0, 1}, true);
  ExpectEqual(transfac->at(0).sites, 10.0);
  ExpectEqual(transfac->at(1).pwm.name, std::string("M2"));
  ExpectEqual(transfac->at(2).pwm.name + transfac->at(2).description, std::string("only"));
  // Compressed files too.
  const auto zipped = ReadMotifs(folder.Write("z", test::Gzip(">a\n1\n0\n0\n0\n")));
  ExpectEqual(zipped->at(0).pwm.columns[0][0], 1.0);
}

// A file up to the numbers in the heading of its first matrix.
const std::string kMatrix = "MEME version 4\nMOTIF a\nletter-probability matrix: ";

// Files, and what the refusal says.
const struct {
  std::string text;
  std::vector<std::string> parts;
} kBadFiles[] = {
    {"", {":1:1: found the end of the file", "MEME version 4"}},
    {"\n\n", {":3:1: found the end of the file"}},
    {"  hello\n", {":1:3: found 'hello'", "expected a MEME, JASPAR or TRANSFAC file"}},
    {"MEME version 3.0\n", {":1:1: found 'MEME version 3.0'", "'MEME version 4' or later"}},
    {"MEME version\n", {"'MEME version 4' or later"}},
    {"MEME version x4\n", {"'MEME version 4' or later"}},
    {"MEME version 4\n", {":2:1: found the end of the file", "at least one MOTIF"}},
    {"MEME version 4\nALPHABET= ACDEFGHIKLMNPQRSTVWY\n", {":2:11: found 'ACDEF", "ACGU or ACGT"}},
    {"MEME version 4\nALPHABET \"X\" PROTEIN-LIKE\n", {":2:1:", "ACGU or ACGT"}},
    {"MEME version 4\nALPHABET \"X\" RNA-LIKE\nA\n", {":4:1: found the end", "END ALPHABET"}},
    {"MEME version 4\nMOTIF\n", {":2:1: found 'MOTIF'", "a name"}},
    {"MEME version 4\nMOTIF a\nMOTIF b\n", {":3:1: found 'MOTIF b'", "matrix of motif 'a'"}},
    {"MEME version 4\nMOTIF a\n", {":3:1: found the end", "matrix of motif 'a'"}},
    {"MEME version 4\nletter-probability matrix: w= 1\n", {":2:1:", "a line MOTIF before"}},
    {kMatrix + "alength= 20 w= 1\n", {":3:37: found '20'", "4 letters"}},
    {kMatrix + "w= 0\n", {":3:31: found '0'", "1 to 10000"}},
    {kMatrix + "w= 1.5\n", {"found '1.5'", "1 to 10000"}},
    {kMatrix + "w= 99999999999\n", {"found '99999999999'", "1 to 10000"}},
    {kMatrix + "w= 1e999\n", {"found '1e999'", "a number of 0 or more"}},
    {kMatrix + "w= \n", {":3:28: found 'w'", "pairs"}},
    {kMatrix + "w= 2\n1 0 0 0\n", {":5:1: found the end of the file", "row 2 of 2 of motif 'a'"}},
    {kMatrix + "w= 1\n1 0 0\n", {":4:1: found 3 fields", "row 1 of 1"}},
    {kMatrix + "w= 1\n1 0 0 0 0\n", {":4:1: found 5 fields"}},
    {kMatrix + "w= 1\n0.5 0.6 0 0\n", {":4:1: found a row that adds up to 1.1"}},
    {kMatrix + "w= 1\n0 0 0 0\n", {"adds up to 0"}},
    {kMatrix + "w= 1\n1 0 x 0\n", {":4:5: found 'x'", "a number of 0 or more"}},
    {kMatrix + "w= 1\n1 -0.1 0.1 0\n", {":4:3: found '-0.1'"}},
    {kMatrix + "w= 1\n1 nan 0 0\n", {":4:3: found 'nan'"}},
    {kMatrix + "w= 1\ninf 0 0 0\n", {":4:1: found 'inf'"}},
    {kMatrix + "w= 1\n0x1 0 0 0\n", {":4:1: found '0x1'"}},
    {kMatrix + "\nMOTIF b\n", {":4:1: found 2 fields", "row 1 of motif 'a'"}},
    {kMatrix + "w= 1\n1 0 0 0\nMOTIF b\n", {":6:1: found the end", "motif 'b'"}},
    {">\n", {":1:1: found '>'", "a motif's name"}},
    {">a\n1 2\n1 2\n1 2\n", {":5:1: found the end", "four rows of counts"}},
    {">a\n1 2\n1 2 3\n", {":3:1: found a row of 3 counts", "2 as in the first row"}},
    {">a\nA [1 2]\nC [1 2]\nC [1 2]\n", {":4:1: found 'C'", "once"}},
    {">a\nA [1]\nT [1]\nu [1]\n", {":4:1: found 'u'", "once"}},
    {">a\nA [1]\n1\n", {":3:1: found '1'", "begins with its letter"}},
    {">a\n1\nA [1]\n", {":3:1: found 'A [1]'", "without a letter"}},
    {">a\nA [1 2\n", {":2:6: found '2'", "']'"}},
    {">a\nA [1] 2\n", {":2:7: found '2'", "']'"}},
    {">a\nA []\n", {":2:1: found a row of 0 counts"}},
    {">a\nA [\n", {"']'"}},
    {">a\nN [1]\n", {":2:1: found 'N'"}},
    {">a\n1 0\n1 0\n1 0\n1 0\n", {":5:1: found no usable counts at position 2 of motif 'a'", "a positive sum"}},
    {">a\n1e308\n1e308\n1e308\n1\n", {"no usable counts at position 1"}},
    {">a\n-1\n", {":2:1: found '-1'"}},
    {">a\n1\n0\n0\n0\n5\n", {":6:1: found '5'", "'>'"}},
    {"ID a\nP0 A C G T\n1 1 1 1 1\n", {":4:1: found the end", "or '//'"}},
    {"ID a\nP0 A C G T\n1 1 1 1 1\nXX\n", {":5:1: found the end", "'//' behind the last record"}},
    {"ID a\nXX\n//\n", {":3:1: found no matrix in 'a'"}},
    {"P0 A C G T\n1 1 1 1 1\n//\n", {":3:1: found a record without a name"}},
    {"ID a\nP0 A C G\n", {":2:1: found 'P0 A C G'", "the letters"}},
    {"ID a\nP0 A C G G\n", {":2:1:", "the letters"}},
    {"ID a\nP0 A C G N\n", {":2:1:", "the letters"}},
    {"ID a\nP0 A C G TT\n", {":2:1:", "the letters"}},
    {"ID a\nP0 A C G T\nXX\n", {":3:1: found 'XX'", "row 1 of the matrix"}},
    {"ID a\nP0 A C G T\n1 1 1 1\n", {":3:1: found 4 fields"}},
    {"ID a\nP0 A C G T\n1 1 1 z 1\n", {":3:7: found 'z'"}},
    {"ID a\nP0 A C G T\n1 0 0 0 0\n//\n", {"no usable counts at position 1"}},
    {"ID a\nP0 A C G T\n1 1 0 0 0\nP0 A C G T\n1 1 0 0 0\n", {":4:1: found 'P0'", "one matrix a record"}},
    {"VV x\n//\n", {":3:1: found the end", "at least one record"}},
    {std::string(">a\n\0 1\n", 7), {":2:"}},
};

TEST(MotifErrors, EachWithItsPlace) {
  const TemporaryFolder folder;
  for (const auto& row : kBadFiles) {
    const std::string path = folder.Write("bad", row.text);
    const auto read = ReadMotifs(path);
    ExpectError(read, StatusCode::kInvalidArgument, {path + ":"});
    for (const std::string& part : row.parts) {
      test::CountComparisons();
      EXPECT_NE(std::string(read.status().message()).find(part), std::string::npos)
          << "'" << part << "' is not in: " << read.status();
    }
  }
  ExpectError(ReadMotifs(folder / "none"), StatusCode::kNotFound, {"none"});
  std::string wide = ">a\n";
  for (int i = 0; i <= kMaxMotifColumns; ++i) wide += "1 ";
  ExpectError(ReadMotifs(folder.Write("wide", wide)), StatusCode::kInvalidArgument, {"1 to 10000"});
  std::string tall = kMatrix + "\n", transfac = "ID a\nP0 A C G T\n";
  for (int i = 0; i <= kMaxMotifColumns; ++i) tall += "1 0 0 0\n", transfac += "1 1 0 0 0\n";
  ExpectError(ReadMotifs(folder.Write("tall", tall)), StatusCode::kInvalidArgument, {"at most 10000 columns"});
  ExpectError(ReadMotifs(folder.Write("tall", transfac)), StatusCode::kInvalidArgument, {"at most 10000 columns"});
}

// Every cut and many random changes: an error with a place, or motifs that can be written again.
TEST(MotifErrors, DamagedFiles) {
  const TemporaryFolder folder;
  PhiloxStream random(11);
  std::vector<MotifRecord> motifs = {RandomMotif("one", 2, &random), RandomMotif("two", 1, &random)};
  int refused = 0;
  const auto check = [&](const std::string& text) {
    const std::string path = folder.Write("damaged", text);
    const auto read = ReadMotifs(path);
    test::CountComparisons();
    if (read.ok()) {
      for (const MotifRecord& motif : *read) EXPECT_FALSE(motif.pwm.columns.empty());
    } else {
      ++refused;
      EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument) << read.status();
      EXPECT_EQ(std::string(read.status().message()).rfind(path + ":", 0), size_t{0}) << read.status();
    }
    return read.ok() ? static_cast<int>(read->size()) : 0;
  };
  for (const MotifFormat format : kReadable) {
    const std::string text = FormatMotifs(motifs, format).value();
    refused = 0;
    for (size_t cut = 0; cut < text.size(); ++cut) {
      // Two motifs only when nothing but the end of the last number or line is missing.
      const int read = check(text.substr(0, cut));
      if (cut + 25 < text.size()) ExpectEqual(read <= 1, true, text.substr(0, cut));
    }
    for (int i = 0; i < 200; ++i) {
      std::string changed = text;
      for (uint32_t n = 0; n <= random.Below(3); ++n) {
        changed[random.Below(static_cast<uint32_t>(changed.size()))] = static_cast<char>(random.Below(256));
      }
      check(changed);
    }
    ExpectEqual(refused > 150, true, std::to_string(refused));
  }
}

TEST(MotifErrors, WhatIsNotWritten) {
  const TemporaryFolder folder;
  PhiloxStream random(1);
  const MotifRecord good = RandomMotif("good", 3, &random);
  const auto expect = [&](const std::function<void(MotifRecord*)>& damage, std::string part) {
    std::vector<MotifRecord> motifs = {good, good};
    damage(&motifs[1]);
    ExpectError(WriteMotifs(folder / "out", motifs, MotifFormat::kMeme), StatusCode::kInvalidArgument,
                {"motif 2 (", part, "expected"});
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect([](auto* m) { m->pwm.name = ""; }, "a name that no file can hold");
  expect([](auto* m) { m->pwm.name = "a b"; }, "'a b'");
  expect([](auto* m) { m->pwm.name = "a\nMOTIF"; }, "a\\nMOTIF");
  expect([](auto* m) { m->description = "x\ty"; }, "second name 'x\\ty'");
  expect([](auto* m) { m->pwm.columns.clear(); }, "0 columns");
  expect([](auto* m) { m->pwm.columns.resize(10001); }, "10001 columns");
  expect([](auto* m) { m->pwm.columns[2] = {0.5, 0, 0, 0.6}; }, "no probabilities at position 2");
  expect([](auto* m) { m->pwm.columns[1] = {1.2, -0.2, 0, 0}; }, "no probabilities at position 1");
  expect([&](auto* m) { m->pwm.columns[0][0] = nan; }, "no probabilities at position 0");
  expect([](auto* m) { m->sites = 0; }, "0 sites");
  expect([&](auto* m) { m->sites = nan; }, "nan sites");
  expect([](auto* m) { m->e_value = -1; }, "E value -1");
  ExpectError(FormatMotifs({}, MotifFormat::kMeme), StatusCode::kInvalidArgument, {"no motif to write"});
  ExpectEqual(folder.Entries().size(), size_t{0});
  ExpectEqual(ParseMotifFormat("jaspar").value() == MotifFormat::kJaspar, true);
  ExpectEqual(ParseMotifFormat("meme").value() == MotifFormat::kMeme, true);
  ExpectEqual(ParseMotifFormat("transfac").value() == MotifFormat::kTransfac, true);
  ExpectEqual(ParseMotifFormat("tsv").value() == MotifFormat::kTsv, true);
  ExpectError(ParseMotifFormat("pfm"), StatusCode::kInvalidArgument, {"'pfm'", "expected meme"});
}

}  // namespace
}  // namespace rb
