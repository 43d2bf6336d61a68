// --structure, --profiles, --energy: the structure tracks of a data set.
#ifndef RB_APPS_COMMON_STRUCTURE_FLAGS_H_
#define RB_APPS_COMMON_STRUCTURE_FLAGS_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"
#include "apps/common/flags.h"
#include "apps/common/reporter.h"
#include "data/dataset.h"

namespace rb::apps {

struct StructureFlags {
  std::string structure, profiles;
};

// The tracks of a --structure: 0 for none (or nothing), 2 for pu, 5 for phime.
int TracksNamed(const std::string& structure);

// --energy is one of the common flags.
void AddStructureFlags(CLI::App& app, StructureFlags& flags);

// Tracks as the flags ask for: those of the data (five of which make two), else those of --profiles, else folded.
// `path` is the data's, for messages.
absl::Status AddStructure(const StructureFlags& flags, const CommonFlags& common, const std::string& path,
                          Machine& machine, Reporter& reporter, Sequences& sequences);

// ", structure: 5 tracks (turner1999)", or nothing without.
std::string StructureText(const Sequences& sequences);

}  // namespace rb::apps

#endif  // RB_APPS_COMMON_STRUCTURE_FLAGS_H_
