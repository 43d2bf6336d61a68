// SHA-256 through libcrypto's EVP interface.
#include "data/sha256.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/escaping.h"

#include "data/text.h"

namespace rb {
namespace {

class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
  void Add(const char* bytes, size_t n) { EVP_DigestUpdate(context_.get(), bytes, n); }
  std::string Hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (file == nullptr) {
    return absl::Status(absl::ErrnoToStatusCode(errno),
                        Concat(path, ": cannot be opened (", std::strerror(errno), "); expected a readable file"));
  }
  Hasher hasher;
  std::vector<char> buffer(size_t{1} << 20);
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get())) hasher.Add(buffer.data(), got);
  if (std::ferror(file.get())) {
    return absl::UnavailableError(
        Concat(path, ": reading failed (", std::strerror(errno), "); expected a readable file"));
  }
  return hasher.Hex();
}

std::string Sha256Hex(std::string_view bytes) {
  Hasher hasher;
  hasher.Add(bytes.data(), bytes.size());
  return hasher.Hex();
}

}  // namespace rb
