// What the text readers share: appending a probe, choosing experiments, checking that experiments have values.
#ifndef RB_DATA_PROBES_H_
#define RB_DATA_PROBES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/readers.h"
#include "data/text_value.h"

namespace rb {

// InvalidArgument unless options.length is in 1..65535 (widths are 16 bits).
absl::Status CheckLength(const ReadOptions& options);

// Appends the probe in `field` of `line`, centred and packed. Errors, with the place: empty, longer than
// options.length, a letter that is no base.
absl::Status AppendProbe(std::string_view file, const Line& line, std::string_view field, const ReadOptions& options,
                         Sequences* sequences);

// Appends fold A or B. Errors, with the place: anything else.
absl::Status AppendFold(std::string_view file, const Line& line, std::string_view field, std::vector<Fold>* folds);

// Indices into `names` of the wanted experiments in the order asked for (repeats dropped), or of all when `wanted` is
// empty. NotFound, naming the nearest names, for one that is not there. `source` is the file, for messages.
absl::StatusOr<std::vector<int>> ChooseExperiments(std::string_view source, const std::vector<std::string>& names,
                                                   const std::vector<std::string>& wanted);

// Index of the first experiment without any value, or -1.
int64_t FindEmptyExperiment(const Dataset& dataset);

// "RBM4_weak_only" of "dir/RBM4_weak_only.tsv.xz"; "stdin" of "-".
std::string ExperimentName(const std::string& path);

}  // namespace rb

#endif  // RB_DATA_PROBES_H_
