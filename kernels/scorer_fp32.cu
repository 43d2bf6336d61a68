// The fused scorer in fp32 (kernels/device/scorer_fused.cuh).
#include "kernels/device/scorer_launch.cuh"

namespace rb::RB_MACHINE {

DeviceError ScoreInFp32(const ScoreSequencesArgs<float>& args, const DeviceRun& run) {
  return device::scorer::Score<Precision::kFp32>(args, run);
}

}  // namespace rb::RB_MACHINE
