// Global importance of every k-mer at one place [Koo 2021, Methods: Global importance analysis]: the mean change of the
// prediction when the k-mer is embedded in sequences of the null model.
#ifndef RB_GIA_KMER_SCAN_H_
#define RB_GIA_KMER_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model_file.h"
#include "model/predictor.h"

namespace rb {

struct KmerScanOptions {
  int k = 6;          // 1 to 8
  int position = 17;  // 0-based start
  int null_sequences = 100;
  uint64_t seed = 0;
};

struct KmerEffect {
  std::string kmer;   // RNA letters
  double effect = 0;  // mean over the null sequences of f(with) - f(without), in the predictions' scale
  double se = 0;      // its standard error: sd (n - 1) / sqrt(n); NaN with a single null sequence
};

// All 4^k k-mers, strongest first (ties by letters). Null sequences are drawn from the model's profile under
// DeriveKey(seed, kNullModel, StableId(experiment, replicate)). InvalidArgument: a pattern that does not fit the
// length, a model without a profile, or one that takes structure tracks, whose nulls need a folding model that this
// scan does not have.
absl::StatusOr<std::vector<KmerEffect>> ScanKmers(const ModelFile& model, const Predictor& predictor,
                                                  const KmerScanOptions& options);

}  // namespace rb

#endif  // RB_GIA_KMER_SCAN_H_
