// SHA-256 against the standard's own examples [FIPS 180-4].
#include "data/sha256.h"

#include <string>

#include "tests/data/data_test_support.h"

namespace rb {
namespace {

using test::ExpectEqual;

TEST(Sha256, KnownDigests) {
  const std::pair<std::string, std::string> known[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  const test::TemporaryFolder folder;
  for (const auto& [text, digest] : known) {
    ExpectEqual(Sha256Hex(text), digest);
    ExpectEqual(Sha256OfFile(folder.Write("f", text)).value(), digest);
  }
}

TEST(Sha256, SaysWhatCannotBeRead) {
  const test::TemporaryFolder folder;
  test::ExpectError(Sha256OfFile(folder / "absent"), absl::StatusCode::kNotFound,
                    {"absent", "expected a readable file"});
  ExpectEqual(Sha256OfFile(folder.string()).ok(), false);
}

}  // namespace
}  // namespace rb
