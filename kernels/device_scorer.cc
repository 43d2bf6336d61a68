// Sizes of what the device's scorer works on.
#include "kernels/device_scorer.h"

#include "kernels/device/scorer_layout.h"

namespace rb {

size_t PackedScorerBytes(const ScorerGeometry& geometry, Precision precision) {
  return static_cast<size_t>(device::scorer::Layout(geometry, precision).bytes);
}

int ScorerGroup(const ScorerGeometry& geometry) {
  return device::scorer::FitsTile(geometry) ? device::scorer::GroupSequences(geometry)
                                            : device::scorer::LayeredSequences(geometry);
}

size_t ScorerWorkspaceBytes(const ScorerGeometry& geometry, Precision precision, int blocks) {
  return static_cast<size_t>(device::scorer::BlockWorkspace(geometry, precision)) * blocks;
}

}  // namespace rb
