// A data set in memory: sequences once, targets as (experiments, probes).
#ifndef RB_DATA_DATASET_H_
#define RB_DATA_DATASET_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rb {

enum class Fold : uint8_t { kA = 0, kB = 1 };  // RNAcompete's two probe sets: A trains, B tests

// Fixed split given by a file (the authors' HDF5); absent for tables, where data/split.h draws it.
enum class Part : uint8_t { kTrain = 0, kValid = 1, kTest = 2 };

// Unknown positions before a sequence of `width` bases that is centred in `length` positions [Koo 2021, Methods:
// RNAcompete data]; the odd one goes to the right.
constexpr int LeftPadding(int length, int width) { return (length - width) / 2; }

// Where structure tracks come from, when not folded by an energy set of a known name (data/fold_energies_reader.h).
inline constexpr char kGivenProfiles[] = "given";

// Packed probes (kernels/packed_bases.h), each centred in `length` positions, and optional structure tracks.
struct Sequences {
  int length = 41;               // L, positions after padding
  int structure_channels = 0;    // S: 0, 2 (paired, unpaired) or 5 (paired, hairpin, internal, multi, external)
  std::vector<uint32_t> bases;   // [size][PackedWords(length)]
  std::vector<float> tracks;     // [size][length][S]; zero at padded positions; empty when S == 0
  std::string structure_source;  // the energy set's name that folded them, or kGivenProfiles; empty when S == 0
  std::vector<uint16_t> widths;  // [size], bases before padding, 1..length
  std::vector<std::string> ids;  // [size], or empty when the file names none

  int64_t size() const { return static_cast<int64_t>(widths.size()); }
  const uint32_t* packed(int64_t i) const;
  // structure_source, or kGivenProfiles for tracks of which nobody said where they come from.
  std::string TrackSource() const;
  // Appends a copy of packed bases of this length, without tracks or name. Returns the copy, there until the next one.
  uint32_t* Append(const uint32_t* packed, uint16_t width);
  // Appends letters (A C G U N, 1 to L of them), centred.
  void AppendCentred(const std::string& letters);
  void DropTracks();
};

struct Dataset {
  Sequences sequences;
  std::vector<std::string> experiments;  // unique names, RNCMPT00168 for instance
  std::vector<float> targets;            // [experiment][probe]; NaN = missing
  std::vector<Fold> folds;               // [probe]; empty when `parts` is given
  std::vector<Part> parts;               // [probe]; empty unless the file fixes the split
  // True when targets are already transformed (authors' HDF5): train then applies no transform of its own by default.
  bool transformed = false;

  int64_t num_probes() const { return sequences.size(); }
  std::span<const float> target(int64_t experiment) const;
  // Index of an experiment by name, or -1.
  int64_t Find(const std::string& experiment) const;
};

}  // namespace rb

#endif  // RB_DATA_DATASET_H_
