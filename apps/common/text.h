// Numbers as people and files want them, and plain text tables.
#ifndef RB_APPS_COMMON_TEXT_H_
#define RB_APPS_COMMON_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace rb::apps {

std::string Grouped(int64_t n);                   // 12,345,678
std::string Counted(int64_t n, const char* one);  // 1 model, 2,000 models
std::string Duration(double seconds);             // 0.8 s, 42 s, 3 min 20 s, 2 h 5 min
std::string Bytes(double bytes);                  // 1.5 GiB
std::string Shortest(float value);                // fewest digits that read back to the same float; nan, inf
std::string Shortest(double value);
std::string Fixed(double value, int digits);  // "nan" when not a number

// Columns padded with blanks; the first column is left-aligned, the others right-aligned. Ends with a newline.
std::string AlignedTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_TEXT_H_
