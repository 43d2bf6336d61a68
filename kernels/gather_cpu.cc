// Mini-batch by index on the CPU (kernels/gather.h): one task a model, some 20 ns a row.
#include "kernels/gather.h"

#include "kernels/feistel.h"

namespace rb::cpu {
namespace {

template <class T>
void GatherImpl(const GatherArgs<T>& a, Parallel& parallel) {
  parallel.Run(a.models.count, [&](int64_t i, int) {
    const int slot = a.models.live[i];
    const StepState& state = a.models.state[slot];
    if (state.rows == 0) return;
    const FeistelPermutation order(static_cast<uint32_t>(a.num_rows[slot]), state.epoch_key);
    for (int n = 0; n < state.rows; ++n) {
      const int32_t row = a.training_rows[slot][order(static_cast<uint32_t>(state.first + n))];
      a.rows[slot][n] = row;
      a.batch_targets[slot][n] = static_cast<T>(a.targets[slot][row]);
    }
  });
}

}  // namespace

template <>
void Gather<float>(const GatherArgs<float>& args, Parallel& parallel) {
  GatherImpl(args, parallel);
}
template <>
void Gather<double>(const GatherArgs<double>& args, Parallel& parallel) {
  GatherImpl(args, parallel);
}

}  // namespace rb::cpu
