// Mini-batch by index on the device (kernels/gather.h): one block a model, one thread a row; some 60 bytes a row. A
// launch is all latency: two dependent loads behind about 200 integer operations of the permutation.
#include "kernels/gather.h"

#include "kernels/device/dialect.h"
#include "kernels/feistel.h"

namespace rb {
namespace {

inline constexpr int kThreads = 128;  // the usual batch of 100 in one round

__global__ void __launch_bounds__(kThreads) GatherRows(GatherArgs<float> a) {
  DependencyWait();
  DependencyTrigger();
  const int slot = a.models.live[blockIdx.x];
  const StepState state = a.models.state[slot];
  if (state.rows == 0) return;
  const FeistelPermutation order(static_cast<uint32_t>(a.num_rows[slot]), state.epoch_key);
  for (int n = static_cast<int>(threadIdx.x); n < state.rows; n += kThreads) {
    const int32_t row = a.training_rows[slot][order(static_cast<uint32_t>(state.first + n))];
    a.rows[slot][n] = row;
    a.batch_targets[slot][n] = a.targets[slot][row];
  }
}

}  // namespace

namespace RB_MACHINE {

DeviceError Gather(const GatherArgs<float>& args, const DeviceRun& run) {
  if (args.models.count == 0) return {};
  return Launch({dim3(static_cast<unsigned>(args.models.count)), dim3(kThreads), 0, run.stream}, GatherRows, args);
}

}  // namespace RB_MACHINE
}  // namespace rb
