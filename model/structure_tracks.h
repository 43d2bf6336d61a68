// Structure as input of a network: tracks of every probe, folded by a machine.
#ifndef RB_MODEL_STRUCTURE_TRACKS_H_
#define RB_MODEL_STRUCTURE_TRACKS_H_

#include "absl/status/status.h"
#include "data/dataset.h"
#include "engine/machine.h"

namespace rb {

// Gives all sequences tracks [size][L][channels]: 2, paired and unpaired; or 5, paired and unpaired in a hairpin, an
// internal loop, a multiloop or outside all pairs (kernels/fold.h). 0 at padded positions. What tracks there were are
// replaced. InvalidArgument: other channels, a sequence of more than kMaxFoldLength bases; the machine's errors.
// folder: for the sequences' positions.
absl::Status AddStructureTracks(int channels, Folder& folder, Sequences& sequences);

}  // namespace rb

#endif  // RB_MODEL_STRUCTURE_TRACKS_H_
