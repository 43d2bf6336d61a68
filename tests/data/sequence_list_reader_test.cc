// Sequences to score: FASTA, tables, plain lists.
#include <string>
#include <vector>

#include "data/readers.h"
#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using absl::StatusCode;
using test::ExpectEqual;
using test::ExpectError;
using test::TemporaryFolder;

absl::StatusOr<std::vector<NamedSequence>> Read(const std::string& text) {
  const TemporaryFolder folder;
  return ReadSequences(folder.Write("in.txt", text));
}

void ExpectSequences(const std::string& text, const std::vector<std::pair<std::string, std::string>>& expected) {
  const auto found = Read(text);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ExpectEqual((*found)[i].id, expected[i].first);
    ExpectEqual((*found)[i].bases, expected[i].second);
  }
}

TEST(SequenceList, ReadsFasta) {
  ExpectSequences(">a some words\nACGT\nnnGG\n\n>b\r\nuuu\r\n", {{"a", "ACGUNNGG"}, {"b", "UUU"}});
  ExpectSequences(test::Gzip("\n>long|x\n" + std::string(3000, 'c') + "\n"), {{"long|x", std::string(3000, 'C')}});
}

TEST(SequenceList, ReadsTables) {
  ExpectSequences("id\tseq\nx\tacg\ny\tUU\n", {{"x", "ACG"}, {"y", "UU"}});
  ExpectSequences("Fold ID\tseq\nA\tACG\nB\tUU\n", {{"seq1", "ACG"}, {"seq2", "UU"}});
  ExpectSequences("sequence\nACG\n", {{"seq1", "ACG"}});
}

TEST(SequenceList, ReadsOneSequenceALine) { ExpectSequences("ACG\n\n ttt \n", {{"seq1", "ACG"}, {"seq2", "UUU"}}); }

TEST(SequenceList, RefusesBadInput) {
  const auto bad = [](const std::string& text, const std::string& place, const std::string& what) {
    ExpectError(Read(text), StatusCode::kInvalidArgument, {"in.txt:" + place + ": found ", what, "; expected "});
  };
  bad("", "1:1", "no sequences");
  bad("\n \n", "1:1", "no sequences");
  bad(">a\nAC\n>b\nGG\n>a\nUU\n", "5:2", "the id 'a' a second time");
  bad(">a\n>b\nAC\n", "2:1", "no letters for sequence 'a'");
  bad(">a\nAC\n>b\n", "4:1", "no letters for sequence 'b'");
  bad("> x\nAC\n", "1:2", "a sequence without a name");
  bad(">a\nAC*G\n", "2:3", "the letter '*'");
  bad("id\tseq\nx\tAC\nx\tAG\n", "3:1", "the id 'x' a second time");
  bad("id\tseq\nx\tAC\ty\n", "2:6", "a row of 3");
  bad("id\tseq\nx\t\n", "2:1", "no letters for sequence 'x'");
  bad("id\tseq\n\tAC\n", "2:1", "a sequence without a name");
  bad("id\tseq\n", "2:1", "no sequences");
  bad("name\tletters\nx\tAC\n", "1:1", "'name\\tletters'");
  bad("ACG\nAXG\n", "2:2", "the letter 'X'");
  bad("ACG\nA CG\n", "2:2", "the letter ' '");
  bad(std::string("AC\0G\n", 5), "1:3", "a NUL byte");
}

}  // namespace
}  // namespace rb
