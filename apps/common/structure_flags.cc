#include "apps/common/structure_flags.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "apps/common/text.h"
#include "data/profile_reader.h"
#include "engine/check.h"
#include "model/structure_tracks.h"

namespace rb::apps {
namespace {

absl::Status Fold(const CommonFlags& common, int channels, Machine& machine, Sequences& sequences) {
  RB_ASSIGN_OR_RETURN(const EnergySet energies, ReadEnergySet(common.energy));
  RB_ASSIGN_OR_RETURN(const std::unique_ptr<Folder> folder, machine.NewFolder(sequences.length, *energies.factors));
  return AddStructureTracks(channels, *folder, energies.name, sequences);
}

// Tracks that are there already.
absl::Status Keep(int channels, Sequences& sequences) {
  if (channels == kFoldTracks && sequences.structure_channels == 2) {
    return absl::FailedPreconditionError(
        "holds the tracks paired and unpaired; expected --structure pu or none, or data without tracks");
  }
  if (channels == 2 && sequences.structure_channels == kFoldTracks) PairedAndUnpaired(sequences);
  return absl::OkStatus();
}

}  // namespace

int TracksNamed(const std::string& structure) { return structure == "pu" ? 2 : structure == "phime" ? kFoldTracks : 0; }

void AddStructureFlags(CLI::App& app, StructureFlags& flags) {
  app.add_option(
         "--structure", flags.structure,
         "tracks beside the letters: pu (paired, unpaired), phime (paired, hairpin, internal, multi, external), "
         "folded here where the data have none; or none (default: as the data have it)")
      ->check(CLI::IsMember({"none", "pu", "phime"}))
      ->type_name("NAME");
  app.add_option("--profiles", flags.profiles,
                 "tracks made elsewhere, in the probes' order: \">name\" lines, each with 5 rows (P H I M E), 4 (P L M "
                 "U) or 2 (paired, unpaired) of probabilities")
      ->type_name("FILE");
}

absl::Status AddStructure(const StructureFlags& flags, const CommonFlags& common, const std::string& path,
                          Machine& machine, Reporter& reporter, Sequences& sequences) {
  if (!flags.profiles.empty() || (!flags.structure.empty() && flags.structure != "none")) {
    reporter.Busy(absl::StrCat("structure of ", Grouped(sequences.size()), " probes .."));
  }
  const int channels = TracksNamed(flags.structure);
  if (!flags.profiles.empty()) {
    if (flags.structure == "none") return UsageError("--structure none: takes no --profiles; expected pu or phime");
    if (!common.energy.empty()) return UsageError("--energy: --profiles are not folded; expected one of the two");
    return AddGivenTracks(flags.profiles, channels, sequences);
  }
  if (flags.structure == "none") {
    sequences.DropTracks();
    return absl::OkStatus();
  }
  if (channels == 0) return absl::OkStatus();
  const absl::Status status =
      sequences.structure_channels > 0 ? Keep(channels, sequences) : Fold(common, channels, machine, sequences);
  return status.ok() ? status : absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

std::string StructureText(const Sequences& sequences) {
  if (sequences.structure_channels == 0) return "";
  return absl::StrCat(", structure: ", sequences.structure_channels, " tracks (", sequences.TrackSource(), ")");
}

}  // namespace rb::apps
