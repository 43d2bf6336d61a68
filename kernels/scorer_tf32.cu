// The fused scorer in tf32 (kernels/device/scorer_fused.cuh).
#include "kernels/device/scorer_launch.cuh"

namespace rb::RB_MACHINE {

DeviceError ScoreInTf32(const ScoreSequencesArgs<float>& args, const DeviceRun& run) {
  return device::scorer::Score<Precision::kTf32>(args, run);
}

}  // namespace rb::RB_MACHINE
