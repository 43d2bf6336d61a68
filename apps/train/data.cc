#include "apps/train/data.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/command.h"
#include "data/readers.h"
#include "engine/check.h"
#include "kernels/feistel.h"
#include "kernels/philox.h"

namespace rb::apps {
namespace {

constexpr uint64_t kSubsetId = 1;  // of Purpose::kSplit; 0 is the split itself

// Keeps `n` of the rows, chosen by the seed, in their order.
std::vector<int32_t> Subset(const std::vector<int32_t>& rows, int64_t n, uint64_t seed) {
  const FeistelPermutation order(static_cast<uint32_t>(rows.size()), DeriveKey(seed, Purpose::kSplit, kSubsetId));
  std::vector<int32_t> kept;
  for (uint32_t i = 0; i < static_cast<uint32_t>(n); ++i) kept.push_back(rows[order(i)]);
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace

absl::StatusOr<Dataset> ReadTrainData(const TrainFlags& flags, const TrainConfig& config, Parallel& parallel) {
  const bool all = flags.experiments == std::vector<std::string>{"all"};
  const ReadOptions options{config.shape.length, all ? std::vector<std::string>() : flags.experiments,
                            flags.common.dna()};
  RB_ASSIGN_OR_RETURN(Dataset dataset, ReadDataset(flags.data, options, parallel));
  if (flags.experiments.empty() && dataset.experiments.size() > 1) {
    return UsageError(absl::StrCat("the data hold ", dataset.experiments.size(), " experiments (",
                                   dataset.experiments[0], ", ", dataset.experiments[1],
                                   dataset.experiments.size() > 2 ? ", .." : "",
                                   "); expected --experiment with some of their names, or --experiment all"));
  }
  return dataset;
}

absl::Status FitConfigToData(const TrainFlags& flags, const Dataset& dataset, TrainConfig& config) {
  config.shape.structure = dataset.sequences.structure_channels;
  if (!dataset.transformed) return absl::OkStatus();
  if (config.transform != TransformKind::kNone && flags.transform.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(flags.data,
                                                      ": its targets are transformed already; expected no "
                                                      "--transform, or --transform none"));
  }
  config.transform = TransformKind::kNone;
  return absl::OkStatus();
}

absl::StatusOr<Split> MakeTrainSplit(const Dataset& dataset, uint64_t seed, double valid_fraction, int64_t max_probes,
                                     size_t* all_train) {
  RB_ASSIGN_OR_RETURN(Split split, MakeSplit(dataset, seed, valid_fraction));
  if (all_train != nullptr) *all_train = split.train.size();
  if (max_probes > 0 && max_probes < static_cast<int64_t>(split.train.size())) {
    split.train = Subset(split.train, max_probes, seed);
    split.max_probes = max_probes;
  }
  return split;
}

}  // namespace rb::apps
