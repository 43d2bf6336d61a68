// Strings for messages. Distributions build Abseil with a string_view of its own; these take the standard one as well.
#ifndef RB_DATA_TEXT_H_
#define RB_DATA_TEXT_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace rb {

inline absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }

namespace internal {
// A piece of text as absl::string_view; a number, absl::Hex or the like as it is.
template <class T>
decltype(auto) AbslPiece(const T& piece) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return AbslView(piece);
  } else {
    return (piece);
  }
}
}  // namespace internal

template <class... Pieces>
std::string Concat(const Pieces&... pieces) {
  return absl::StrCat(internal::AbslPiece(pieces)...);
}

template <class... Pieces>
void Append(std::string* text, const Pieces&... pieces) {
  absl::StrAppend(text, internal::AbslPiece(pieces)...);
}

// Without blanks (space, tab, carriage return and the like) at its end, or at both ends.
inline std::string_view StripTrailingBlanks(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t\r\v\f\n") + 1);
}
inline std::string_view StripBlanks(std::string_view text) {
  text = StripTrailingBlanks(text);
  return text.substr(std::min(text.find_first_not_of(" \t\r\v\f\n"), text.size()));
}

}  // namespace rb

#endif  // RB_DATA_TEXT_H_
