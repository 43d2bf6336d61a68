// The order of patterns by their effects: sorting is left to Thrust on a device and to the standard library elsewhere.
#ifndef RB_ENGINE_RANK_EFFECTS_H_
#define RB_ENGINE_RANK_EFFECTS_H_

#include <cstdint>

#include "kernels/device.h"
#include "kernels/effect_moments.h"

namespace rb {

// order[0 .. count) = the patterns, largest mean first, equal ones in their own order, those that are no number last.
template <class T>
struct RankEffectsArgs {
  const EffectMoments* effects = nullptr;  // [count]
  int32_t count = 0;
  int32_t* order = nullptr;
};

// Whether pattern a comes before pattern b; for a stable sort.
struct StrongerEffect {
  const EffectMoments* effects;
  RB_HOST_DEVICE bool operator()(int32_t a, int32_t b) const {
    const double x = effects[a].mean, y = effects[b].mean;
    return x > y || (y != y && x == x);
  }
};

namespace cpu {
void RankEffects(const RankEffectsArgs<float>& args);
}
RB_DEVICE_OPERATOR(RankEffects, RankEffectsArgs)

}  // namespace rb

#endif  // RB_ENGINE_RANK_EFFECTS_H_
