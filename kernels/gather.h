// Fills a mini-batch by index, on the machine: no shuffled copy of the data exists.
#ifndef RB_KERNELS_GATHER_H_
#define RB_KERNELS_GATHER_H_

#include "kernels/common.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace rb {

// Batch row i of a model is training row perm(state.first + i), perm = FeistelPermutation(num_rows, epoch_key); its
// sequence is training_rows[perm], its target targets[that sequence]. Fills state.rows entries.
template <class T>
struct GatherArgs {
  Models models;
  PerModel<const int32_t> training_rows;  // [num_rows] sequences with a target
  const int32_t* num_rows = nullptr;      // by slot
  const float* const* targets = nullptr;  // by slot: transformed targets of all sequences
  PerModel<int32_t> rows;                 // [N]
  PerModel<T> batch_targets;              // [N]
};

namespace cpu {
template <class T>
void Gather(const GatherArgs<T>& args, Parallel& parallel);
}  // namespace cpu

RB_DEVICE_OPERATOR(Gather, GatherArgs)

}  // namespace rb

#endif  // RB_KERNELS_GATHER_H_
