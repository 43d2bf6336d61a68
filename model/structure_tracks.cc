#include "model/structure_tracks.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "kernels/fold.h"

namespace rb {
namespace {

constexpr int64_t kBlock = 16384;  // sequences folded at a time

// One base's probabilities as `channels` tracks.
void StoreTracks(const float* folded, int channels, float* to) {
  if (channels == kFoldTracks) {
    std::copy_n(folded, kFoldTracks, to);
  } else {
    to[0] = folded[0];
    to[1] = folded[1] + folded[2] + folded[3] + folded[4];
  }
}

}  // namespace

absl::Status AddStructureTracks(int channels, Folder& folder, const std::string& source, Sequences& sequences) {
  if (channels != 2 && channels != kFoldTracks) {
    return absl::InvalidArgumentError(absl::StrCat(channels, " structure tracks; expected 2 or ", kFoldTracks));
  }
  const auto longest = std::max_element(sequences.widths.begin(), sequences.widths.end());
  if (longest != sequences.widths.end() && *longest > kMaxFoldLength) {
    return absl::InvalidArgumentError(absl::StrCat("sequence ", longest - sequences.widths.begin() + 1, " has ",
                                                   *longest, " bases; expected at most ", kMaxFoldLength, " to fold"));
  }
  const int64_t size = sequences.size(), positions = sequences.length;
  sequences.structure_channels = channels;
  sequences.structure_source = source;
  sequences.tracks.assign(static_cast<size_t>(size * positions * channels), 0.0f);
  std::vector<float> folded(static_cast<size_t>(std::min(kBlock, size) * positions * kFoldTracks));
  for (int64_t first = 0; first < size; first += kBlock) {
    const int64_t count = std::min(kBlock, size - first);
    RB_RETURN_IF_ERROR(
        folder.Fold(sequences.packed(first), sequences.widths.data() + first, count, folded.data(), nullptr));
    float* const to = sequences.tracks.data() + first * positions * channels;
    for (int64_t i = 0; i < count * positions; ++i) {
      StoreTracks(folded.data() + i * kFoldTracks, channels, to + i * channels);
    }
  }
  return absl::OkStatus();
}

void PairedAndUnpaired(Sequences& sequences) {
  RB_CHECK(sequences.structure_channels == kFoldTracks);
  std::vector<float> two;
  TracksFor(2, sequences, two);
  sequences.tracks = std::move(two);
  sequences.structure_channels = 2;
}

const std::vector<float>& TracksFor(int wanted, const Sequences& sequences, std::vector<float>& made) {
  RB_CHECK(TracksServe(sequences.structure_channels, wanted));
  if (wanted == sequences.structure_channels) return sequences.tracks;
  made.clear();
  if (wanted == 0) return made;
  const size_t bases = sequences.tracks.size() / kFoldTracks;
  made.resize(2 * bases);
  for (size_t i = 0; i < bases; ++i) StoreTracks(&sequences.tracks[i * kFoldTracks], wanted, &made[2 * i]);
  return made;
}

absl::StatusOr<const EnergySet*> EnergiesOf(const ModelFile& model, const EnergySet* chosen) {
  static const EnergySet* const turner = new EnergySet(*ReadEnergySet(kTurner1999));  // built in: cannot fail
  const std::string& source = model.structure_source;
  const bool given = source == kGivenProfiles;
  if (chosen != nullptr && (given || chosen->name == source)) return chosen;
  if (chosen == nullptr && source == kTurner1999) return turner;
  const std::string& name = model.experiment;
  if (chosen != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model of ", name, " was trained on structure folded with ", source, ", not ", chosen->name,
                     "; expected --energy with that parameter set, or none if it is ", kTurner1999));
  }
  if (given) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model of ", name, " was trained on structure profiles that came with its data; expected ",
                     "sequences with such profiles, or --energy ", kTurner1999, " (or a FILE) to fold them with that"));
  }
  return absl::FailedPreconditionError(absl::StrCat("the model of ", name, " was trained on structure folded with ",
                                                    source, "; expected --energy FILE with that parameter set"));
}

}  // namespace rb
