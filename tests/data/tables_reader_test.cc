// sequences.tsv and targets.tsv: values, choices, and the place and wording of every complaint.
#include <cmath>
#include <limits>
#include <string>

#include "data/alphabet.h"
#include "data/readers.h"
#include "data/text.h"
#include "data/text_value.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;
using test::ThreadParallel;

constexpr char kSequences[] = "Fold ID\tseq\nA\tACGU\nB\tacgtnGG\nA\tUUUUU\n";
constexpr char kTargets[] = "RNC1\tRNC2\tRNC3\n1.5\t\t-2\n2\tnan\t1e-3\nNA\t7\t+4\n";

// Reads these two texts from files named sequences.tsv and targets.tsv.
absl::StatusOr<Dataset> Read(const std::string& sequences, const std::string& targets, ReadOptions options = {},
                             int threads = 3) {
  const TemporaryFolder folder;
  folder.Write("sequences.tsv", sequences);
  folder.Write("targets.tsv", targets);
  ThreadParallel parallel(threads);
  return ReadDataset(folder.string(), options, parallel);
}

std::string BasesOf(const Dataset& dataset, int64_t i) {
  std::string text;
  for (int p = 0; p < dataset.sequences.length; ++p) {
    text += kBaseLetters[BaseAt(dataset.sequences.packed(i), dataset.sequences.length, p)];
  }
  return text;
}

TEST(TablesReader, ReadsValuesFoldsAndBases) {
  ReadOptions options;
  options.length = 9;
  const Dataset dataset = Read(kSequences, kTargets, options).value();
  ExpectEqual(dataset.num_probes(), int64_t{3});
  ExpectEqual(dataset.experiments, std::vector<std::string>({"RNC1", "RNC2", "RNC3"}));
  ExpectEqual(dataset.transformed, false);
  ExpectEqual(dataset.folds, std::vector<Fold>({Fold::kA, Fold::kB, Fold::kA}));
  ExpectEqual(dataset.sequences.widths, std::vector<uint16_t>({4, 7, 5}));
  ExpectEqual(BasesOf(dataset, 0), std::string("NNACGUNNN"));
  ExpectEqual(BasesOf(dataset, 1), std::string("NACGUNGGN"));
  ExpectEqual(BasesOf(dataset, 2), std::string("NNUUUUUNN"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float expected[] = {1.5f, 2, nan, nan, nan, 7, -2, 1e-3f, 4};
  for (int i = 0; i < 9; ++i) {
    if (std::isnan(expected[i])) {
      ExpectEqual(std::isnan(dataset.targets[i]), true);
    } else {
      ExpectEqual(dataset.targets[i], expected[i]);
    }
  }
  ExpectEqual(dataset.Find("RNC2"), int64_t{1});
  ExpectEqual(dataset.Find("RNC9"), int64_t{-1});
  ExpectEqual(dataset.target(2)[0], -2.0f);
}

TEST(TablesReader, LoadsOnlyTheExperimentsAskedForInThatOrder) {
  ReadOptions options;
  options.experiments = {"RNC3", "RNC1", "RNC3"};
  const Dataset dataset = Read(kSequences, kTargets, options).value();
  ExpectEqual(dataset.experiments, std::vector<std::string>({"RNC3", "RNC1"}));
  ExpectEqual(dataset.targets.size(), size_t{6});
  ExpectEqual(dataset.target(0)[2], 4.0f);
  ExpectEqual(dataset.target(1)[0], 1.5f);
  options.experiments = {"RNC"};
  ExpectError(Read(kSequences, kTargets, options), StatusCode::kNotFound,
              {"targets.tsv", "'RNC'", "one of 3", "nearest are RNC1, RNC2, RNC3"});
}

TEST(TablesReader, AcceptsIdsCrlfCompressionAndOneColumn) {
  const Dataset ids = Read("id\tsequence\tset\r\np1\tAC\tA\r\np2\tGU\tB\r\n", "E\r\n1\r\n2\r\n").value();
  ExpectEqual(ids.sequences.ids, std::vector<std::string>({"p1", "p2"}));
  ExpectEqual(ids.folds[1], Fold::kB);
  ExpectEqual(ids.target(0)[1], 2.0f);
  // In a table of one column an empty line is a missing value.
  const Dataset one = Read("Fold ID\tseq\nA\tAC\nA\tAG\nB\tAU", "E\n1\n\n3").value();
  ExpectEqual(std::isnan(one.target(0)[1]), true);
  ExpectEqual(one.target(0)[2], 3.0f);
  const TemporaryFolder folder;
  folder.Write("sequences.tsv.gz", test::Gzip(kSequences));
  folder.Write("targets.tsv.xz", test::Xz(kTargets));
  ThreadParallel parallel(2);
  ExpectEqual(ReadDataset(folder.string(), {}, parallel).value().target(1)[2], 7.0f);
}

TEST(TablesReader, RefusesBadSequenceTables) {
  const auto bad = [](const std::string& sequences, const std::string& place, const std::string& what,
                      int length = 41) {
    ReadOptions options;
    options.length = length;
    ExpectError(Read(sequences, kTargets, options), StatusCode::kInvalidArgument,
                {"sequences.tsv:" + place + ": found ", what, "; expected "});
  };
  bad("", "1:1", "an empty file");
  bad("A\tACGU\n", "1:1", "'A\\tACGU'");                          // no header
  bad("Fold ID\tseq\tfoo\n", "1:13", "unknown column 'foo'");     // unknown column
  bad("Fold ID\tseq\tseq\n", "1:13", "'seq' a second time");      // column twice
  bad("Fold ID\n", "1:8", "no column seq");                       // column absent
  bad("Fold ID\tseq\n", "2:1", "the end of the file");            // no rows
  bad("Fold ID\tseq\nA\n", "2:2", "a row of 1");                  // short row
  bad("Fold ID\tseq\nA\tAC\nB\tAC\tx\n", "3:6", "a row of 3");    // long row
  bad("Fold ID\tseq\nA\tAC\n\nA\tAC\n", "3:1", "a row of 1");     // blank row
  bad("Fold ID\tseq\nA\tACXGU\n", "2:5", "the letter 'X'");       // bad letter
  bad("Fold ID\tseq\nA\tAC GU\n", "2:5", "the letter ' '");       // blank in a sequence
  bad("Fold ID\tseq\nC\tACGU\n", "2:1", "probe set 'C'");         // bad fold
  bad("Fold ID\tseq\nAB\tACGU\n", "2:1", "probe set 'AB'");       // bad fold
  bad("Fold ID\tseq\nA\t\n", "2:3", "an empty sequence");         // empty probe
  bad("Fold ID\tseq\nA\tACGUACGUA\n", "2:3", "9 letters", 8);     // long probe
  bad(std::string("Fold ID\tseq\nA\tA\0C\n", 18), "2:4", "NUL");  // embedded NUL
  bad("Fold ID\tseq\nA\tAC\xff\n", "2:5", "'\\xff'");             // junk byte
  bad("Fold ID\tseq\tid\nA\tAC\tp\nA\tAC\tp\n", "3:6", "the id 'p'");
  ReadOptions options;
  options.length = 0;
  ExpectError(Read(kSequences, kTargets, options), StatusCode::kInvalidArgument, {"length 0", "expected 1 to"});
  options.length = 41;
  options.dna_alphabet = true;
  ExpectError(Read("Fold ID\tseq\nA\tAX\n", kTargets, options), StatusCode::kInvalidArgument, {"A, C, G, T or N"});
}

TEST(TablesReader, RefusesBadTargetTables) {
  const auto bad = [](const std::string& targets, const std::string& place, const std::string& what) {
    for (const int threads : {1, 4}) {
      ExpectError(Read(kSequences, targets, {}, threads), StatusCode::kInvalidArgument,
                  {"targets.tsv:" + place + ": found ", what, "; expected "});
    }
  };
  bad("", "1:1", "an empty file");
  bad("1.5\t2\t3\n1\t2\t3\n", "1:1", "the value '1.5'");                    // no header
  bad("a\tb\ta\n1\t2\t3\n", "1:5", "experiment 'a' a second time");         // twice
  bad("a\t\tc\n1\t2\t3\n", "1:3", "an empty experiment name");              // no name
  bad("a\tb\n1\t2\n3\n4\t5\n", "3:2", "a row of 1");                        // short row
  bad("a\tb\n1\t2\n3\t4\t5\n4\t5\n", "3:5", "a row of 3");                  // long row
  bad("a\tb\n1\t2\n\n4\t5\n", "3:1", "a row of 1");                         // blank row
  bad("a\tb\n1\t2\n3\tx4\n4\t5\n", "3:3", "'x4' in column b");              // no number
  bad("a\tb\n1\t2\n3\t4 5\n4\t5\n", "3:3", "'4 5' in column b");            // two numbers
  bad("a\tb\n1\t2\ninf\t4\n4\t5\n", "3:1", "'inf' in column a");            // infinity
  bad("a\tb\n1\t2\n3\t-Infinity\n4\t5\n", "3:3", "'-Infinity'");            // infinity
  bad("a\tb\n1\t2\n3\t1e999\n4\t5\n", "3:3", "'1e999'");                    // beyond double
  bad("a\tb\n1\t2\n3\t1e39\n4\t5\n", "3:3", "'1e39'");                      // beyond float
  bad("a\tb\n1\t2\n3\t0x10\n4\t5\n", "3:3", "'0x10'");                      // hexadecimal
  bad("a\tb\n1\t\n3\tNA\n4\tnan\n", "1:3", "experiment b without any");     // empty experiment
  bad("a\tb\n1\t2\n3\t4\n", "4:1", "the end of the table after 2 rows");    // too few rows
  bad("a\tb\n", "2:1", "the end of the table after 0 rows");                // none
  bad("a\tb\n1\t2\n3\t4\n5\t6\n7\t8\n", "5:1", "one row more");             // too many
  bad(std::string("a\tb\n1\t2\n3\t\0004\n4\t5\n", 17), "3:3", "NUL byte");  // embedded NUL
  bad("a\tb\n1\t2\n3\t\xff\xfe\n4\t5\n", "3:3", "'\\xff\\xfe'");            // junk
  // Of several bad lines the first is named, whatever thread meets which.
  bad("a\tb\n1\t2\n3\tp\n4\tq\n", "3:3", "'p'");
}

TEST(TablesReader, RefusesIncompleteOrAmbiguousFolders) {
  const TemporaryFolder folder;
  ThreadParallel parallel(2);
  ExpectError(ReadDataset(folder.string(), {}, parallel), StatusCode::kNotFound, {"no sequences.tsv", "expected"});
  folder.Write("sequences.tsv", kSequences);
  ExpectError(ReadDataset(folder.string(), {}, parallel), StatusCode::kNotFound, {"no targets.tsv", "expected"});
  folder.Write("targets.tsv", kTargets);
  folder.Write("targets.tsv.gz", test::Gzip(kTargets));
  ExpectError(ReadDataset(folder.string(), {}, parallel), StatusCode::kInvalidArgument,
              {"found both", "targets.tsv.gz"});
  ExpectError(ReadDataset(folder / "absent", {}, parallel), StatusCode::kNotFound,
              {"absent", "expected a readable file"});
}

TEST(TablesReader, TruncatedArchivesAreErrorsAtEveryCut) {
  const TemporaryFolder folder;
  folder.Write("sequences.tsv", kSequences);
  const std::string archive = test::Gzip(kTargets);
  ThreadParallel parallel(2);
  for (size_t cut = 2; cut < archive.size(); ++cut) {
    folder.Write("targets.tsv", std::string_view(archive).substr(0, cut));
    ExpectError(ReadDataset(folder.string(), {}, parallel), StatusCode::kInvalidArgument,
                {"targets.tsv:", "gzip archive"});
  }
}

// Several blocks of several pieces: every value lands in its place, for any number of threads.
TEST(TablesReader, ParallelParsingPlacesEveryValue) {
  constexpr int kRows = 60000, kExperiments = 12;
  const auto cell = [](int row, int experiment) { return Concat(row, ".", experiment * 5); };
  std::string sequences = "Fold ID\tseq\n", targets;
  for (int e = 0; e < kExperiments; ++e) Append(&targets, e ? "\tX" : "X", e);
  targets += '\n';
  for (int i = 0; i < kRows; ++i) {
    sequences += i % 2 ? "B\tACGUA\n" : "A\tGGUUC\n";
    for (int e = 0; e < kExperiments; ++e) Append(&targets, e ? "\t" : "", cell(i, e));
    targets += '\n';
  }
  for (const int threads : {1, 2, 5}) {
    const Dataset dataset = Read(sequences, targets, {}, threads).value();
    int64_t wrong = 0;
    for (int e = 0; e < kExperiments; ++e) {
      for (int i = 0; i < kRows; ++i) {
        const float expected = std::stof(cell(i, e));
        wrong += dataset.target(e)[i] != expected;
      }
    }
    test::CountComparisons(int64_t{kRows} * kExperiments);
    ExpectEqual(wrong, int64_t{0});
  }
  const size_t deep = targets.find("\n55555.0");
  targets[deep + 3] = 'q';
  ExpectError(Read(sequences, targets, {}, 4), StatusCode::kInvalidArgument, {"targets.tsv:55557:1: found '55q55.0'"});
}

TEST(TablesReader, ParseScoreKnowsItsEdges) {
  float value = 0;
  for (const char* text : {"", " ", "NA", "na", "nan", "NaN", "-nan", "+NaN"}) {
    ExpectEqual(ParseScore(text, &value) && std::isnan(value), true, text);
  }
  for (const char* text :
       {"inf", "-inf", "1e999", "-1e39", "nan(1)", "1,5", "1e", ".", "-", "+", "+-1", "--1", "N/A", "1x"}) {
    ExpectEqual(ParseScore(text, &value), false, text);
  }
  const std::pair<const char*, float> good[] = {{"1e-60", 0.0f},
                                                {"-1e-400", 0.0f},
                                                {".5", 0.5f},
                                                {"+3", 3.0f},
                                                {" 2.5 ", 2.5f},
                                                {"-7e2", -700.0f},
                                                {"3.4028235e38", 3.4028235e38f}};
  for (const auto& [text, expected] : good) {
    ExpectEqual(ParseScore(text, &value), true, text);
    ExpectEqual(value, expected, text);
  }
}

TEST(TablesReader, RealMeasurements) {
  const std::string shared = test::SharedData();
  if (shared.empty()) GTEST_SKIP() << "no real data: set RB_SHARED_DATA or put ../shared/data beside the source folder";
  ThreadParallel parallel(2);
  ReadOptions options;
  options.experiments = {"RNCMPT00168"};
  const Dataset dataset = ReadDataset(shared + "/rnacompete2013", options, parallel).value();
  ExpectEqual(dataset.num_probes(), int64_t{241357});
  ExpectEqual(std::count(dataset.folds.begin(), dataset.folds.end(), Fold::kA), ptrdiff_t{120326});
  ExpectEqual(BasesOf(dataset, 0), std::string("NAGAAAAAAAAAGUCCGGAUAGUGGUGAGGUACUCUCAANN"));
  ExpectEqual(dataset.target(0)[0], 3.5267f);
  ExpectEqual(dataset.target(0)[1], 3.3623f);
}

}  // namespace
}  // namespace rb
