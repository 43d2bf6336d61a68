// The bookkeeping of training on the CPU (kernels/model_slot.h): a few values a model; only the copy of the best
// parameters is worth a task.
#include <algorithm>

#include "kernels/model_slot.h"

namespace rb::cpu {
namespace {

// Slots for which f(slot) holds first, in order, then the others.
template <class F>
void Partition(const SlotList& list, const F& f) {
  int next = 0;
  for (const bool taken : {true, false}) {
    for (int i = 0; i < list.num_slots; ++i) {
      if (f(i) == taken) list.live[next++] = i;
    }
  }
}

}  // namespace

template <>
void BeginEpoch<float>(const BeginEpochArgs<float>& a, Parallel&) {
  *a.tick = 0;
  for (int i = 0; i < a.list.num_slots; ++i) {
    ModelSlot& slot = a.list.slots[i];
    slot.loss_sum = 0;
    slot.finite = true;
    slot.saved = false;
  }
}

template <>
void BeginStep<float>(const BeginStepArgs<float>& a, Parallel&) {
  for (int i = 0; i < a.list.num_slots; ++i) a.states[i] = StepOf(a.list.slots[i], *a.tick, a.batch);
  Partition(a.list, [&](int i) { return a.states[i].rows > 0; });
}

template <>
void EndStep<float>(const EndStepArgs<float>& a, Parallel&) {
  for (int i = 0; i < a.list.num_slots; ++i) {
    if (a.states[i].rows == 0) continue;
    double loss = 0;
    for (int chunk = 0; chunk < kBatchChunks; ++chunk) loss += a.losses[i][chunk];
    FinishStep(a.list.slots[i], a.states[i].rows, loss);
  }
  ++*a.tick;
}

template <>
void BeginValidation<float>(const BeginValidationArgs<float>& a, Parallel&) {
  for (int i = 0; i < a.list.num_slots; ++i) {
    const ModelSlot& slot = a.list.slots[i];
    a.rows[i] = slot.active && slot.finite ? slot.valid_rows : 0;
  }
  Partition(a.list, [&](int i) { return a.rows[i] > 0; });
}

template <>
void EndEpoch<float>(const EndEpochArgs<float>& a, Parallel& parallel) {
  parallel.Run(a.list.num_slots, [&](int64_t i, int) {
    ModelSlot& slot = a.list.slots[i];
    FinishEpoch(slot, a.metrics[i]);
    if (slot.saved) std::copy_n(a.parameters[i], a.count, a.best[i]);
  });
}

}  // namespace rb::cpu
