// A model's place on the machine that trains it, and the small operators that move it on: which rows the next step
// takes, what a step did to the loss, how an epoch ends. They run on the machine, so that nothing waits for the host
// inside an epoch.
#ifndef RB_KERNELS_MODEL_SLOT_H_
#define RB_KERNELS_MODEL_SLOT_H_

#include <cmath>

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"
#include "kernels/philox.h"
#include "kernels/schedule.h"

namespace rb {

struct ModelSlot {
  // The model.
  uint64_t dropout_key = 0;  // DeriveKey(seed, Purpose::kDropout, model id)
  uint64_t order_key = 0;    // DeriveKey(seed, Purpose::kEpochOrder, model id); EpochKey makes an epoch's from it
  ScheduleConfig plan;       // by which `schedule` advances
  int32_t train_rows = 0, valid_rows = 0;
  bool active = false;  // a model is here and has not stopped
  // Where it stands.
  uint64_t step = 0;                        // optimiser steps taken
  double beta1_power = 1, beta2_power = 1;  // 0.9^step and 0.999^step, by repeated multiplication
  ScheduleState schedule;
  // This epoch so far.
  double loss_sum = 0;  // over its rows
  bool finite = true;   // false: a batch's loss was not; the model leaves the epoch there
  bool saved = false;   // set by EndEpoch: its parameters are the best so far
};

inline constexpr double kAdamBeta1 = 0.9, kAdamBeta2 = 0.999;

// Key of the order of training rows in epoch number `epoch` (0-based).
RB_HOST_DEVICE constexpr uint64_t EpochKey(uint64_t order_key, int epoch) {
  return DeriveKey(order_key, Purpose::kEpochOrder, static_cast<uint64_t>(epoch));
}

// base^step as `step` multiplications make it.
inline double PowerOfSteps(double base, uint64_t step) {
  double power = 1;
  for (uint64_t i = 0; i < step && power != 0; ++i) power *= base;
  return power;
}

// lr * sqrt(1 - beta2^t) / (1 - beta1^t), t = step + 1.
RB_HOST_DEVICE inline double AdamAlpha(const ModelSlot& slot) {
  const double power1 = slot.beta1_power * kAdamBeta1, power2 = slot.beta2_power * kAdamBeta2;
  return slot.schedule.learning_rate * sqrt(1 - power2) / (1 - power1);
}

// The slot's part in batch number `tick` of its epoch; rows 0: none.
RB_HOST_DEVICE inline StepState StepOf(const ModelSlot& slot, int64_t tick, int batch) {
  StepState state;
  const int64_t first = tick * batch, rest = slot.train_rows - first;
  if (!slot.active || !slot.finite || rest <= 0) return state;
  state.dropout_key = slot.dropout_key;
  state.epoch_key = EpochKey(slot.order_key, slot.schedule.epoch);
  state.step = slot.step;
  state.first = first;
  state.rows = static_cast<int32_t>(rest < batch ? rest : batch);
  state.adam_alpha = static_cast<float>(AdamAlpha(slot));
  return state;
}

// After a step over `rows` rows of mean loss `loss`.
RB_HOST_DEVICE inline void FinishStep(ModelSlot& slot, int rows, double loss) {
  slot.loss_sum += loss * rows;
  slot.finite = loss - loss == 0;
  ++slot.step;
  slot.beta1_power *= kAdamBeta1;
  slot.beta2_power *= kAdamBeta2;
}

// After the epoch: a model whose loss was not finite ends, the others go by their schedules.
RB_HOST_DEVICE inline void FinishEpoch(ModelSlot& slot, double metric) {
  if (!slot.active) return;
  if (slot.finite) {
    const ScheduleStep next = AdvanceSchedule(slot.plan, slot.schedule, metric);
    slot.schedule = next.state;
    slot.saved = next.save;
  } else {
    ++slot.schedule.epoch;
    slot.schedule.stopped = true;
  }
  slot.active = !slot.schedule.stopped;
}

// What the operators share: num_slots slots; live[0 .. num_slots) gets the slots that take part, in order, and behind
// them those that do not.
struct SlotList {
  ModelSlot* slots = nullptr;
  int num_slots = 0;
  int32_t* live = nullptr;
};

// tick = 0; every slot's epoch starts.
template <class T>
struct BeginEpochArgs {
  SlotList list;
  int64_t* tick = nullptr;
};
// states[slot] = StepOf(slot, *tick, batch), and the live list.
template <class T>
struct BeginStepArgs {
  SlotList list;
  int batch = 0;
  const int64_t* tick = nullptr;
  StepState* states = nullptr;
};
// FinishStep for every slot with rows, its loss the sum of its chunks in index order; then ++*tick.
template <class T>
struct EndStepArgs {
  SlotList list;
  int64_t* tick = nullptr;
  const StepState* states = nullptr;
  PerModel<const double> losses;  // [kBatchChunks]
};
// rows[slot] = validation rows of the slots that finished their epoch, 0 of the others, and the live list.
template <class T>
struct BeginValidationArgs {
  SlotList list;
  int32_t* rows = nullptr;
};
// FinishEpoch with metrics[slot]; parameters that are the best so far are copied.
template <class T>
struct EndEpochArgs {
  SlotList list;
  const double* metrics = nullptr;
  int64_t count = 0;  // values a model
  PerModel<const T> parameters;
  PerModel<T> best;
};

namespace cpu {
template <class T>
void BeginEpoch(const BeginEpochArgs<T>& args, Parallel& parallel);
template <class T>
void BeginStep(const BeginStepArgs<T>& args, Parallel& parallel);
template <class T>
void EndStep(const EndStepArgs<T>& args, Parallel& parallel);
template <class T>
void BeginValidation(const BeginValidationArgs<T>& args, Parallel& parallel);
template <class T>
void EndEpoch(const EndEpochArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_OPERATOR(BeginEpoch, BeginEpochArgs)
RB_DEVICE_OPERATOR(BeginStep, BeginStepArgs)
RB_DEVICE_OPERATOR(EndStep, EndStepArgs)
RB_DEVICE_OPERATOR(BeginValidation, BeginValidationArgs)
RB_DEVICE_OPERATOR(EndEpoch, EndEpochArgs)

}  // namespace rb

#endif  // RB_KERNELS_MODEL_SLOT_H_
