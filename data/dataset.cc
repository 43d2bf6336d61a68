// Access to a data set in memory.
#include "data/dataset.h"

#include <algorithm>

#include "kernels/packed_bases.h"

namespace rb {

const uint32_t* Sequences::packed(int64_t i) const {
  return bases.data() + static_cast<size_t>(i) * static_cast<size_t>(PackedWords(length));
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
