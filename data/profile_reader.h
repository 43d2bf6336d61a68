// Structure profiles that other programs made, as text: what RNAcontext calls annotations, and what is put together
// from the modified RNAplfold programs [Kazan 2010, PLoS Comput Biol 6:e1000832].
//
// A record a sequence: ">" and its name, then rows of one probability a base, separated by blanks. Five rows are P H I
// M E (paired, hairpin, internal, multi, external); four are RNAcontext's P L M U (paired, hairpin, internal and multi,
// external), of which paired and unpaired can be had; two are paired and unpaired.
#ifndef RB_DATA_PROFILE_READER_H_
#define RB_DATA_PROFILE_READER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/dataset.h"

namespace rb {

// What is known of the sequences that profiles are for.
struct ProfileTargets {
  int64_t count = 0;
  std::function<int64_t(int64_t i)> width;        // bases
  std::function<std::string(int64_t i)> name;     // empty when it has none
  std::function<std::string(int64_t i)> letters;  // A C G U N
};

// Reads the records in the sequences' order and gives each to store(i, values), values[width(i)][channels]. channels: 2
// (paired, unpaired) or 5; 0 takes what the file has. Returns the channels. Plain, .gz or .xz, "-" is stdin.
// InvalidArgument "FILE:LINE:COLUMN: found X; expected Y": other numbers of records, rows or values; values outside
// [0, 1] (by more than 0.001) or that do not add up to 1 (by more than 0.01); a name that is not the sequence's, where
// it has one, unless it is the sequence's letters; letters that are not the sequence's.
absl::StatusOr<int> ReadProfiles(const std::string& path, int channels, const ProfileTargets& targets,
                                 const std::function<void(int64_t i, std::span<const float> values)>& store);

// As tracks of all sequences, in their order; those that were there are replaced. channels as above.
absl::Status AddGivenTracks(const std::string& path, int channels, Sequences& sequences);

}  // namespace rb

#endif  // RB_DATA_PROFILE_READER_H_
