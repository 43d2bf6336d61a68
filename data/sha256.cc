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

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr);
}

Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256::Add(std::string_view bytes) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size());
}

std::string Sha256::Hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest, &size);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
}

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (file == nullptr) {
    return absl::Status(absl::ErrnoToStatusCode(errno),
                        Concat(path, ": cannot be opened (", std::strerror(errno), "); expected a readable file"));
  }
  Sha256 hasher;
  std::vector<char> buffer(size_t{1} << 20);
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get()))
    hasher.Add(std::string_view(buffer.data(), got));
  if (std::ferror(file.get())) {
    return absl::UnavailableError(
        Concat(path, ": reading failed (", std::strerror(errno), "); expected a readable file"));
  }
  return hasher.Hex();
}

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hasher;
  hasher.Add(bytes);
  return hasher.Hex();
}

}  // namespace rb
