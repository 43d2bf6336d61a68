#include "engine/rank_effects.h"

#include <algorithm>
#include <numeric>

namespace rb {

void cpu::RankEffects(const RankEffectsArgs<float>& args) {
  std::iota(args.order, args.order + args.count, 0);
  std::stable_sort(args.order, args.order + args.count, StrongerEffect{args.effects});
}

DeviceError emu::RankEffects(const RankEffectsArgs<float>& args, const DeviceRun& /*run*/) {
  cpu::RankEffects(args);
  return {};
}

}  // namespace rb
