// Tables with a header line, read as text and numbers.
#ifndef RB_APPS_PLOT_TABLE_H_
#define RB_APPS_PLOT_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rb::plot {

class Table {
 public:
  static constexpr size_t kMostRows = 2'000'000;

  // Tab-separated, plain, .gz or .xz. InvalidArgument "FILE:LINE:COLUMN: found ..; expected ..": an empty file, a
  // column name twice, a row of another length; ResourceExhausted for more than kMostRows.
  static absl::StatusOr<Table> Read(const std::string& path);

  size_t rows() const { return lines_.size(); }
  const std::string& path() const { return path_; }
  const std::vector<std::string>& names() const { return names_; }
  bool Has(const std::string& column) const;
  // The column of a name. NotFound, with the names there are.
  absl::StatusOr<int> Find(const std::string& column) const;
  const std::string& Cell(size_t row, int column) const {
    return cells_[row * names_.size() + static_cast<size_t>(column)];
  }
  // Numbers of a column; NaN where there is none (empty, NA, nan). inf is NaN too. InvalidArgument for anything else.
  absl::StatusOr<std::vector<double>> Numbers(const std::string& column) const;
  absl::StatusOr<std::vector<std::string>> Texts(const std::string& column) const;
  // The rows whose `column` is `name`; when `name` is empty those of the one name that there is. NotFound for another
  // name, InvalidArgument where there are several to choose from with the flag --COLUMN.
  absl::StatusOr<Table> Of(const std::string& column, std::string name) const;
  // Without the rows for which `keep` is false.
  Table Only(const std::vector<bool>& keep) const;

 private:
  std::string path_;
  std::vector<std::string> names_, cells_;
  std::vector<int64_t> lines_;  // of each row in its file
};

}  // namespace rb::plot

#endif  // RB_APPS_PLOT_TABLE_H_
