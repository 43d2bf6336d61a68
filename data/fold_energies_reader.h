// Energy parameters of RNA structures as text (kernels/fold_energies.h).
//
// A line a table, separated by blanks: name, number of dimensions, each dimension, the values in row-major order, in
// 0.01 kcal/mol. Dimensions of pair types have 8 entries: none, C-G, G-C, G-U, U-G, A-U, U-A, other (the first and the
// last are not used); of bases 5: unknown, A, C, G, U; of lengths 31. 1000000 is forbidden. Two lines differ:
// tetraloop_bonus, the count, then as often six letters and their bonus; and lxc37, one number. '#' starts a line of
// comment.
#ifndef RB_DATA_FOLD_ENERGIES_READER_H_
#define RB_DATA_FOLD_ENERGIES_READER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/fold_energies.h"

namespace rb {

// Plain, .gz or .xz. NotFound without the file; InvalidArgument "FILE:LINE:COLUMN: found X; expected Y" for anything
// else than each table once.
absl::StatusOr<std::unique_ptr<FoldEnergies>> ReadFoldEnergies(const std::string& path);
// The factors of its energies; of Turner 1999 for an empty path.
absl::StatusOr<std::unique_ptr<FoldFactors>> ReadFoldFactors(const std::string& path);

}  // namespace rb

#endif  // RB_DATA_FOLD_ENERGIES_READER_H_
