// Checksums over what a data set holds, for files whose format has none of its own.
#ifndef RB_DATA_DATASET_CHECKSUMS_H_
#define RB_DATA_DATASET_CHECKSUMS_H_

#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/split.h"

namespace rb {

// SHA-256 in hexadecimal, rows in the order training, validation, test: first of the sequences, their tracks, the split
// and `transformed`; then of each experiment's name and targets. Names of probes do not count.
std::vector<std::string> DatasetChecksums(const Dataset& dataset, const Split& split);

}  // namespace rb

#endif  // RB_DATA_DATASET_CHECKSUMS_H_
