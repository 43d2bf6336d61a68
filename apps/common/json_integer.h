// Whole numbers of JSON files. nlohmann's get<int> converts whatever number is there: 1e300 to an int, which is
// undefined, and -1 to a size of 2^64 - 1.
#ifndef RB_APPS_COMMON_JSON_INTEGER_H_
#define RB_APPS_COMMON_JSON_INTEGER_H_

#include <cstdint>
#include <limits>

namespace rb::apps {

// Whether object[name] is an integer from `low` to `high`; then it is stored.
template <class Json, class T>
bool GetInteger(const Json& object, const char* name, int64_t low, int64_t high, T* value) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return false;
  if (found->is_number_unsigned() && found->template get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return false;
  const auto number = found->template get<int64_t>();
  if (number < low || number > high) return false;
  *value = static_cast<T>(number);
  return true;
}

// As large as its type can hold.
template <class Json, class T>
bool GetInteger(const Json& object, const char* name, int64_t low, T* value) {
  return GetInteger(object, name, low, int64_t{std::numeric_limits<T>::max()}, value);
}

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_JSON_INTEGER_H_
