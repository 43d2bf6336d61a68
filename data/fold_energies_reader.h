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

inline constexpr char kTurner1999[] = "turner1999";

// A parameter set under the name by which data and models remember it: kTurner1999, or "energies-" and 16 hexadecimal
// digits of its values' SHA-256.
struct EnergySet {
  std::string name;
  std::unique_ptr<FoldFactors> factors;
};
// Whether a name is one of Sequences::structure_source: an energy set's or kGivenProfiles.
bool IsStructureSource(const std::string& name);
// Empty or kTurner1999: the built-in one; else that of a file. A file with Turner's values has Turner's name.
absl::StatusOr<EnergySet> ReadEnergySet(const std::string& path);

}  // namespace rb

#endif  // RB_DATA_FOLD_ENERGIES_READER_H_
