// Access to a data set in memory.
#include "data/dataset.h"

#include <algorithm>

#include "data/readers.h"
#include "kernels/packed_bases.h"

namespace rb {

const uint32_t* Sequences::packed(int64_t i) const {
  return bases.data() + static_cast<size_t>(i) * static_cast<size_t>(PackedWords(length));
}

uint32_t* Sequences::Append(const uint32_t* packed, uint16_t width) {
  const size_t at = bases.size(), words = static_cast<size_t>(PackedWords(length));
  bases.insert(bases.end(), packed, packed + words);
  widths.push_back(width);
  return bases.data() + at;
}

void Sequences::AppendCentred(const std::string& letters) {
  const size_t at = bases.size();
  bases.resize(at + static_cast<size_t>(PackedWords(length)));
  PackCentred(letters, length, bases.data() + at);
  widths.push_back(static_cast<uint16_t>(letters.size()));
}

std::string Sequences::TrackSource() const {
  return structure_channels > 0 && structure_source.empty() ? kGivenProfiles : structure_source;
}

void Sequences::DropTracks() {
  structure_channels = 0;
  structure_source.clear();
  tracks = {};
}

std::span<const float> Dataset::target(int64_t experiment) const {
  const size_t probes = static_cast<size_t>(num_probes());
  return {targets.data() + static_cast<size_t>(experiment) * probes, probes};
}

int64_t Dataset::Find(const std::string& experiment) const {
  const auto at = std::find(experiments.begin(), experiments.end(), experiment);
  return at == experiments.end() ? -1 : at - experiments.begin();
}

}  // namespace rb
