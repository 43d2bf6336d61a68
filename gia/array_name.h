// Names of arrays for archives (gia/npz_writer.h).
#ifndef RB_GIA_ARRAY_NAME_H_
#define RB_GIA_ARRAY_NAME_H_

#include <cctype>
#include <string>

namespace rb {

// A name for an array: `text` with other characters than letters, digits, '_' and '-' as '_' and what is long cut;
// number 2 and more make others of the same, for texts that would have one name.
inline std::string ArrayName(const std::string& text, int number = 1) {
  constexpr size_t kMost = 120;
  std::string name = text.substr(0, kMost);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-') c = '_';
  }
  return number > 1 ? name + "_" + std::to_string(number) : name;
}

}  // namespace rb

#endif  // RB_GIA_ARRAY_NAME_H_
