// Tables of many experiments with the sequences beside them.
#include "data/wide_table_reader.h"

#include <cmath>
#include <string>

#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

constexpr char kTable[] =
    "Probe_ID\tRNA_Seq\tProbe_Set\tRNCMPT00001\tcomment\tRNCMPT00010\n"
    "p1\tACGU\tSetA\t1.5\tfine\t NaN\n"
    "p2\tggtn\tSetB\t-2\t3\t0.25\n";

absl::StatusOr<Dataset> Read(const std::string& text, const ReadOptions& options = {}) {
  const TemporaryFolder folder;
  test::ThreadParallel parallel(2);
  return ReadDataset(folder.Write("norm_data.txt.gz", test::Gzip(text)), options, parallel);
}

TEST(WideTable, ReadsExperimentsBesideSequences) {
  const Dataset dataset = Read(kTable).value();
  ExpectEqual(dataset.experiments, std::vector<std::string>({"RNCMPT00001", "RNCMPT00010"}));
  ExpectEqual(dataset.folds, std::vector<Fold>({Fold::kA, Fold::kB}));
  ExpectEqual(dataset.sequences.widths, std::vector<uint16_t>({4, 4}));
  ExpectEqual(dataset.sequences.ids, std::vector<std::string>({"p1", "p2"}));
  ExpectEqual(dataset.target(0)[0], 1.5f);
  ExpectEqual(dataset.target(0)[1], -2.0f);
  ExpectEqual(std::isnan(dataset.target(1)[0]), true);
  ExpectEqual(dataset.target(1)[1], 0.25f);
}

TEST(WideTable, OnlyWantedExperimentsAreReadAndChecked) {
  const std::string text = "set\tsequence\tGOOD\tBAD\nA\tACGU\t1\t2\nB\tACG\t2\tx\n";
  ReadOptions options;
  options.experiments = {"GOOD"};
  const Dataset dataset = Read(text, options).value();
  ExpectEqual(dataset.experiments, std::vector<std::string>({"GOOD"}));
  ExpectEqual(dataset.sequences.ids.empty(), true);
  ExpectError(Read(text), StatusCode::kInvalidArgument, {":3:9: found 'x' in column BAD"});
  options.experiments = {"GOD"};
  ExpectError(Read(text, options), StatusCode::kNotFound, {"GOOD"});
}

TEST(WideTable, IsToldByItsHeader) {
  ExpectEqual(IsWideHeader("Probe_Set\tRNA_Seq\tX"), true);
  ExpectEqual(IsWideHeader("fold\tseq\tid\tX"), true);
  ExpectEqual(IsWideHeader("fold\tseq\tid"), false);
  ExpectEqual(IsWideHeader("set\tdesign\tsequence"), false);
  ExpectEqual(IsWideHeader("set\tdesign\tscore\tsequence"), false);
  ExpectEqual(IsWideHeader("RNA_Seq\tX"), false);
  ExpectEqual(IsWideHeader("1.5 ACGU"), false);
}

TEST(WideTable, Refusals) {
  const std::string header = "Probe_Set\tRNA_Seq\tX\tY\n";
  const struct {
    std::string text, part;
  } cases[] = {{header, "found the end of the file; expected at least one row"},
               {header + "SetA\tACGU\t1\n", "fields"},
               {header + "SetC\tACGU\t1\t2\n", ":2:4: found"},
               {header + "SetA\tACXU\t1\t2\n", "X"},
               {header + "SetA\t\t1\t2\n", ":2:"},
               {header + "SetA\tACGU\tword\tword\n", "a row without a score"},
               {header + "SetA\tACGU\t1\tinf\nSetA\tACGU\t1\t1\nSetA\tACGU\tinf\t1\n", ":4:11"},
               {header + "SetA\tACGU\tNaN\t1\n", "experiment X without any value"},
               {"Probe_Set\tRNA_Seq\tX\tX\nSetA\tACGU\t1\t2\n", "each once"},
               {"Probe_Set\tRNA_Seq\tX\tset\nSetA\tACGU\t1\t2\n", "a second time"}};
  for (const auto& c : cases) ExpectError(Read(c.text), StatusCode::kInvalidArgument, {c.part});
}

}  // namespace
}  // namespace rb
