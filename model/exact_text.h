// Numbers as text that reads back to the same bits, for metadata and tables.
#ifndef RB_MODEL_EXACT_TEXT_H_
#define RB_MODEL_EXACT_TEXT_H_

#include <charconv>
#include <string>
#include <string_view>
#include <type_traits>

namespace rb {

// The shortest text that reads back to `value` ("0.001", "nan", "-1e+300").
template <class T>
std::string ExactText(T value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

// Reads the whole of `text`, locale or blanks do not matter; false when it is not a number of that type.
template <class T>
bool ParseExact(std::string_view text, T* value) {
  static_assert(std::is_arithmetic_v<T>);
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace rb

#endif  // RB_MODEL_EXACT_TEXT_H_
