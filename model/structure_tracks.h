// Structure as input of a network: tracks of every probe, folded by a machine.
#ifndef RB_MODEL_STRUCTURE_TRACKS_H_
#define RB_MODEL_STRUCTURE_TRACKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/fold_energies_reader.h"
#include "engine/machine.h"
#include "kernels/fold.h"
#include "model/model_file.h"

namespace rb {

// Gives all sequences tracks [size][L][channels]: 2, paired and unpaired; or 5, paired and unpaired in a hairpin, an
// internal loop, a multiloop or outside all pairs (kernels/fold.h). 0 at padded positions. What tracks there were are
// replaced. InvalidArgument: other channels, a sequence of more than kMaxFoldLength bases; the machine's errors.
// folder: for the sequences' positions.
// source: the name of the folder's energies.
absl::Status AddStructureTracks(int channels, Folder& folder, const std::string& source, Sequences& sequences);

// Makes two tracks of five.
void PairedAndUnpaired(Sequences& sequences);

// Whether sequences with `have` tracks serve a network that takes `wanted`: as many, five of which two are made, or any
// for one that looks at none.
constexpr bool TracksServe(int have, int wanted) {
  return have == wanted || wanted == 0 || (wanted == 2 && have == kFoldTracks);
}
// The tracks for such a network, [size][L][wanted]: those of the sequences, or what is made of them in `made`.
const std::vector<float>& TracksFor(int wanted, const Sequences& sequences, std::vector<float>& made);

// The energies that structure for a model is to be made with: those it was trained on, or `chosen` by the user (may be
// null) where it was trained on profiles that came with its data. FailedPrecondition where these do not agree, or there
// is no choice. Valid as long as `chosen`.
absl::StatusOr<const EnergySet*> EnergiesOf(const ModelFile& model, const EnergySet* chosen);

}  // namespace rb

#endif  // RB_MODEL_STRUCTURE_TRACKS_H_
