// Text of numbers and tables, command lines, exit codes.
#include "apps/common/text.h"

#include <cmath>
#include <string>
#include <vector>

#include "apps/command.h"
#include "tests/support/comparisons.h"

namespace rb::apps {
namespace {

using test::ExpectEqual;

TEST(TextTest, Numbers) {
  ExpectEqual(Grouped(0), std::string("0"));
  ExpectEqual(Grouped(999), std::string("999"));
  ExpectEqual(Grouped(1000), std::string("1,000"));
  ExpectEqual(Grouped(-1234567), std::string("-1,234,567"));
  ExpectEqual(Duration(0.84), std::string("0.8 s"));
  ExpectEqual(Duration(59.4), std::string("59 s"));
  ExpectEqual(Duration(200), std::string("3 min 20 s"));
  ExpectEqual(Duration(7500), std::string("2 h 5 min"));
  ExpectEqual(Duration(-1), std::string("?"));
  ExpectEqual(Bytes(1536), std::string("1.5 KiB"));
  ExpectEqual(Shortest(0.1f), std::string("0.1"));
  ExpectEqual(Shortest(std::nan("")), std::string("nan"));
  ExpectEqual(AlignedTable({{"a", "n"}, {"long", "12"}}), std::string("a      n\nlong  12\n"));
}

TEST(CommandTest, QuotedLineAndNearest) {
  const Invocation call{"train", {"residualbind", "train", "--out", "my run", "--note", "it's"}};
  ExpectEqual(call.Line(), std::string("residualbind train --out 'my run' --note 'it'\\''s'"));
  const std::vector<std::string> names = {"train", "predict"};
  ExpectEqual(Nearest("trian", names), std::string("train"));
  ExpectEqual(Nearest("xyz", names), std::string(""));
  ExpectEqual(ExitCode(UsageError("x")), 2);
  ExpectEqual(ExitCode(absl::InternalError("x")), 1);
  ExpectEqual(ExitCode(absl::OkStatus()), 0);
}

}  // namespace
}  // namespace rb::apps
