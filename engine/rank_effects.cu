#include "engine/rank_effects.h"

#include <thrust/execution_policy.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/system_error.h>

#include <new>

namespace rb {

DeviceError cuda::RankEffects(const RankEffectsArgs<float>& args, const DeviceRun& run) {
  const auto on_stream = thrust::cuda::par.on(static_cast<cudaStream_t>(run.stream));
  try {
    thrust::sequence(on_stream, args.order, args.order + args.count);
    thrust::stable_sort(on_stream, args.order, args.order + args.count, StrongerEffect{args.effects});
  } catch (const thrust::system_error& error) {
    return {error.code().value()};
  } catch (const std::bad_alloc&) {
    return {cudaErrorMemoryAllocation};
  }
  return {};
}

}  // namespace rb
