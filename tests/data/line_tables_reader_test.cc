// Per-protein tables, "score sequence" lines, and the choice between them.
#include "data/line_tables_reader.h"

#include <cmath>
#include <string>

#include "data/split.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

constexpr char kProtein[] = "set\tdesign\tscore\tsequence\nA\tstruct\t0.5\tACGU\nB\tweak\tnan\tGGT\n";

absl::StatusOr<Dataset> Read(const std::string& text, const std::string& name = "t.tsv",
                             const ReadOptions& options = {}) {
  const TemporaryFolder folder;
  test::ThreadParallel parallel(2);
  return ReadDataset(folder.Write(name, text), options, parallel);
}

TEST(LineTables, ReadsProteinTables) {
  for (const auto& [name, text] : {std::pair<std::string, std::string>{"RBM4_weak_only.tsv.xz", test::Xz(kProtein)},
                                   {"RBM4_weak_only.tsv", kProtein},
                                   {"RBM4_weak_only.txt.gz", test::Gzip(kProtein)}}) {
    const Dataset dataset = Read(text, name).value();
    ExpectEqual(dataset.experiments, std::vector<std::string>{"RBM4_weak_only"});
    ExpectEqual(dataset.folds, std::vector<Fold>({Fold::kA, Fold::kB}));
    ExpectEqual(dataset.target(0)[0], 0.5f);
    ExpectEqual(std::isnan(dataset.target(0)[1]), true);
    ExpectEqual(dataset.sequences.widths, std::vector<uint16_t>({4, 3}));
  }
  // Any order of columns, and no design.
  const Dataset other = Read("sequence\tscore\tset\nAC\t3\tB\n").value();
  ExpectEqual(other.folds[0], Fold::kB);
  ExpectEqual(other.target(0)[0], 3.0f);
}

TEST(LineTables, ReadsScoreLines) {
  const Dataset dataset = Read("1.5 ACGU\r\n\n  -2\tggt  \nNA AAAA\n", "mine.txt").value();
  ExpectEqual(dataset.experiments, std::vector<std::string>{"mine"});
  ExpectEqual(dataset.folds, std::vector<Fold>(3, Fold::kA));
  ExpectEqual(dataset.target(0)[1], -2.0f);
  ExpectEqual(std::isnan(dataset.target(0)[2]), true);
}

TEST(LineTables, ScoreLinesAreSplitInThree) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += std::to_string(i) + " ACGUACGU\n";
  const Split split = MakeSplit(Read(text).value(), 3).value();
  ExpectEqual(split.train.size(), size_t{80});
  ExpectEqual(split.valid.size(), size_t{10});
  ExpectEqual(split.test.size(), size_t{10});
}

TEST(LineTables, RefusesBadProteinTables) {
  const auto bad = [](const std::string& text, const std::string& place, const std::string& what) {
    const TemporaryFolder folder;
    const std::string path = folder.Write("t.tsv", text);
    ExpectError(ReadProteinTable(path, {}), StatusCode::kInvalidArgument,
                {"t.tsv:" + place + ": found ", what, "; expected "});
  };
  const std::string header = "set\tdesign\tscore\tsequence\n";
  bad("", "1:1", "an empty file");
  bad("A\tweak\t1\tACG\n", "1:1", "'A\\tweak\\t1\\tACG'");
  bad("set\tdesign\tscore\tsequence\tmore\n", "1:27", "unknown column 'more'");
  bad("set\tdesign\tscore\n", "1:17", "no column sequence");
  bad(header, "2:1", "the end of the file");
  bad(header + "A\tweak\t1\n", "2:9", "a row of 3");
  bad(header + "A\tweak\t1\tACG\t5\n", "2:14", "a row of 5");
  bad(header + "D\tweak\t1\tACG\n", "2:1", "probe set 'D'");
  bad(header + "A\tweak\tone\tACG\n", "2:8", "the score 'one'");
  bad(header + "A\tweak\tinf\tACG\n", "2:8", "the score 'inf'");
  bad(header + "A\tweak\t1\tAC-\n", "2:12", "the letter '-'");
  bad(header + "A\tweak\t1\t\n", "2:10", "an empty sequence");
  bad(header + "A\tweak\t1\t" + std::string(42, 'A') + "\n", "2:10", "42 letters");
  bad(header + "A\tweak\tnan\tACG\n", "2:1", "experiment t without any value");
}

TEST(LineTables, RefusesBadScoreLines) {
  const auto bad = [](const std::string& text, const std::string& place, const std::string& what) {
    const TemporaryFolder folder;
    const std::string path = folder.Write("t.txt", text);
    ExpectError(ReadScoreLines(path, {}), StatusCode::kInvalidArgument,
                {"t.txt:" + place + ": found ", what, "; expected "});
  };
  bad("", "1:1", "an empty file");
  bad("\n\n", "3:1", "the end of the file");
  bad("1 ACGU\n2\n", "2:2", "a line of 1 fields");
  bad("1 ACGU\n2 AC GU\n", "2:6", "a line of 3 fields");
  bad("x ACGU\n", "1:1", "the score 'x'");
  bad("1e999 ACGU\n", "1:1", "the score '1e999'");
  bad("1 ACZU\n", "1:5", "the letter 'Z'");
  bad("nan ACGU\n", "1:1", "without any value");
}

TEST(LineTables, TellsTheKindByTheFirstLine) {
  ExpectError(Read("hello world\n"), StatusCode::kInvalidArgument,
              {"t.tsv:1:1: found 'hello world'; expected", "set, design"});
  ExpectError(Read("ACGU\n"), StatusCode::kInvalidArgument, {"t.tsv:1:1"});
  ExpectError(Read(""), StatusCode::kInvalidArgument, {"t.tsv:1:1: found an empty file"});
  ExpectError(Read("set\tdesign\tscore\tsequence\tx\n"), StatusCode::kInvalidArgument, {"unknown column 'x'"});
  ReadOptions options;
  options.experiments = {"u"};
  ExpectError(Read(kProtein, "t.tsv", options), StatusCode::kNotFound, {"'u'", "nearest are t"});
}

TEST(LineTables, RealMeasurements) {
  const std::string shared = test::SharedData();
  if (shared.empty()) GTEST_SKIP() << "no real data: set RB_SHARED_DATA or put ../shared/data beside the source folder";
  test::ThreadParallel parallel(2);
  const Dataset vts1 = ReadDataset(shared + "/rnacompete2009/VTS1.tsv.xz", {}, parallel).value();
  ExpectEqual(vts1.num_probes(), int64_t{81930});
  ExpectEqual(vts1.experiments, std::vector<std::string>{"VTS1"});
  ExpectEqual(std::count(vts1.folds.begin(), vts1.folds.end(), Fold::kA), ptrdiff_t{12776 + 28542});
  ExpectEqual(vts1.target(0)[1], 1.38f);
}

}  // namespace
}  // namespace rb
