// The fused scorer in bf16 (kernels/device/scorer_fused.cuh).
#include "kernels/device/scorer_launch.cuh"

namespace rb::RB_MACHINE {

DeviceError ScoreInBf16(const ScoreSequencesArgs<float>& args, const DeviceRun& run) {
  return device::scorer::Score<Precision::kBf16>(args, run);
}

}  // namespace rb::RB_MACHINE
