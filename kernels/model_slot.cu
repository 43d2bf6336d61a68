// The bookkeeping of training on the device (kernels/model_slot.h): one block over all slots, a thread a slot, so that
// the live list is made in slot order with ballots; one more launch copies the best parameters. Latency is all that
// matters: a step has two of these launches, a few hundred bytes a slot.
#include "kernels/model_slot.h"

#include "kernels/device/dialect.h"

namespace rb {
namespace {

constexpr int kThreads = 256;  // 244 experiments in one round
constexpr int kCopyBlocks = 8;
constexpr int kWarps = kThreads / kWarp;

// How many of the block's earlier threads are `taken`, and how many are in all.
struct Place {
  int before, total;
};
__device__ Place CountBefore(bool taken, int* warp_counts) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const unsigned votes = __ballot_sync(kAllLanes, taken);
  if (lane == 0) warp_counts[warp] = __popc(votes);
  __syncthreads();
  Place place = {__popc(votes & ((1u << lane) - 1)), 0};
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) place.before += warp_counts[w];
    place.total += warp_counts[w];
  }
  __syncthreads();
  return place;
}

// live: slots for which taken(slot) holds, in order, then the others. All threads of the block call it.
template <class Taken>
__device__ void Partition(const SlotList& list, const Taken& taken) {
  RB_SHARED(warp_counts, int[kWarps]);
  int all = 0;
  for (int first = 0; first < list.num_slots; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    all += CountBefore(i < list.num_slots && taken(i), warp_counts).total;
  }
  int in = 0, out = all;
  for (int first = 0; first < list.num_slots; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const bool inside = i < list.num_slots, mine = inside && taken(i);
    const Place place = CountBefore(mine, warp_counts);
    if (mine) list.live[in + place.before] = i;
    if (inside && !mine) list.live[out + static_cast<int>(threadIdx.x) - place.before] = i;
    in += place.total;
    out += kThreads - place.total;
  }
}

__global__ void __launch_bounds__(kThreads) BeginEpochKernel(BeginEpochArgs<float> a) {
  DependencyWait();
  if (threadIdx.x == 0) *a.tick = 0;
  for (int i = static_cast<int>(threadIdx.x); i < a.list.num_slots; i += kThreads) {
    ModelSlot& slot = a.list.slots[i];
    slot.loss_sum = 0;
    slot.finite = true;
    slot.saved = false;
  }
}

__global__ void __launch_bounds__(kThreads) BeginStepKernel(BeginStepArgs<float> a) {
  DependencyWait();
  const int64_t tick = *a.tick;
  for (int i = static_cast<int>(threadIdx.x); i < a.list.num_slots; i += kThreads) {
    a.states[i] = StepOf(a.list.slots[i], tick, a.batch);
  }
  // A thread asks about the slots it has just written.
  Partition(a.list, [&](int i) { return a.states[i].rows > 0; });
}

__global__ void __launch_bounds__(kThreads) EndStepKernel(EndStepArgs<float> a) {
  DependencyWait();
  for (int i = static_cast<int>(threadIdx.x); i < a.list.num_slots; i += kThreads) {
    const int rows = a.states[i].rows;
    if (rows == 0) continue;
    double loss = 0;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) loss += a.losses[i][chunk];
    FinishStep(a.list.slots[i], rows, loss);
  }
  if (threadIdx.x == 0) ++*a.tick;
}

__global__ void __launch_bounds__(kThreads) BeginValidationKernel(BeginValidationArgs<float> a) {
  DependencyWait();
  for (int i = static_cast<int>(threadIdx.x); i < a.list.num_slots; i += kThreads) {
    const ModelSlot& slot = a.list.slots[i];
    a.rows[i] = slot.active && slot.finite ? slot.valid_rows : 0;
  }
  Partition(a.list, [&](int i) { return a.rows[i] > 0; });
}

__global__ void __launch_bounds__(kThreads) EndEpochKernel(EndEpochArgs<float> a) {
  DependencyWait();
  for (int i = static_cast<int>(threadIdx.x); i < a.list.num_slots; i += kThreads) {
    FinishEpoch(a.list.slots[i], a.metrics[i]);
  }
}

// Block (part, slot).
__global__ void __launch_bounds__(kThreads) CopyBestKernel(EndEpochArgs<float> a) {
  DependencyWait();
  const int slot = static_cast<int>(blockIdx.y);
  if (!a.list.slots[slot].saved) return;
  const float* from = a.parameters[slot];
  float* to = a.best[slot];
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < a.count;
       i += kCopyBlocks * kThreads) {
    to[i] = from[i];
  }
}

}  // namespace

namespace RB_MACHINE {

DeviceError BeginEpoch(const BeginEpochArgs<float>& args, const DeviceRun& run) {
  return Launch({{1}, {kThreads}, 0, run.stream}, BeginEpochKernel, args);
}
DeviceError BeginStep(const BeginStepArgs<float>& args, const DeviceRun& run) {
  return Launch({{1}, {kThreads}, 0, run.stream}, BeginStepKernel, args);
}
DeviceError EndStep(const EndStepArgs<float>& args, const DeviceRun& run) {
  return Launch({{1}, {kThreads}, 0, run.stream}, EndStepKernel, args);
}
DeviceError BeginValidation(const BeginValidationArgs<float>& args, const DeviceRun& run) {
  return Launch({{1}, {kThreads}, 0, run.stream}, BeginValidationKernel, args);
}
DeviceError EndEpoch(const EndEpochArgs<float>& args, const DeviceRun& run) {
  if (const DeviceError error = Launch({{1}, {kThreads}, 0, run.stream}, EndEpochKernel, args)) return error;
  return Launch({{kCopyBlocks, static_cast<unsigned>(args.list.num_slots)}, {kThreads}, 0, run.stream}, CopyBestKernel,
                args);
}

}  // namespace RB_MACHINE
}  // namespace rb
