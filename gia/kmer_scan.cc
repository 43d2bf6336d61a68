#include "gia/kmer_scan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "gia/null_profile.h"
#include "kernels/packed_bases.h"
#include "kernels/philox.h"

namespace rb {
namespace {

// Null sequences scored at once under all k-mers: at most 8 MB of predictions. Effects add up in chunks of as many, in
// order, whatever the threads.
constexpr int64_t kChunkSequences = 32;

absl::Status CheckOptions(const ModelFile& model, const KmerScanOptions& o) {
  const Shape& shape = model.config.shape;
  if (shape.structure != 0) {
    return absl::InvalidArgumentError(
        "the k-mer scan needs a model of sequence alone: structure tracks of null sequences are not made yet");
  }
  if (o.k < 1 || o.k > 8) return absl::InvalidArgumentError(absl::StrCat("k is ", o.k, "; expected 1 to 8"));
  if (o.position < 0 || o.position > shape.length - o.k) {
    return absl::InvalidArgumentError(absl::StrCat("a ", o.k, "-mer at position ", o.position, " does not fit ",
                                                   shape.length, " positions; expected 0 to ", shape.length - o.k));
  }
  if (o.null_sequences < 1 || o.null_sequences > 1'000'000) {
    return absl::InvalidArgumentError(absl::StrCat(o.null_sequences, " null sequences; expected 1 to 1000000"));
  }
  return absl::OkStatus();
}

// Count, mean and sum of squared deviations of a k-mer's local effects, chunk by chunk [Chan et al. 1979].
struct Moments {
  double n = 0, mean = 0, m2 = 0;

  // Local effects f(with) - f(without) of one chunk: with[i * stride], without[i].
  void Add(const float* with, int64_t stride, const float* without, int64_t count) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(with[i * stride]) - without[i];
    const double chunk = static_cast<double>(count), chunk_mean = sum / chunk;
    for (int64_t i = 0; i < count; ++i) {
      const double d = static_cast<double>(with[i * stride]) - without[i] - chunk_mean;
      squares += d * d;
    }
    const double delta = chunk_mean - mean, all = n + chunk;
    m2 += squares + delta * delta * n * chunk / all;
    mean += delta * chunk / all;
    n = all;
  }
};

}  // namespace

absl::StatusOr<std::vector<KmerEffect>> ScanKmers(const ModelFile& model, const Predictor& predictor,
                                                  const KmerScanOptions& options) {
  RB_RETURN_IF_ERROR(CheckOptions(model, options));
  const int length = model.config.shape.length;
  const int64_t n = options.null_sequences, kmers = int64_t{1} << (2 * options.k);
  const uint64_t id = StableId(model.experiment, model.config.replicate);
  RB_ASSIGN_OR_RETURN(const Sequences nulls,
                      DrawProfileNulls(model.profile, length, n, DeriveKey(options.seed, Purpose::kNullModel, id)));
  RB_ASSIGN_OR_RETURN(const std::vector<float> without, predictor.Predict(nulls));

  std::vector<Moments> moments(static_cast<size_t>(kmers));
  for (int64_t first = 0; first < n; first += kChunkSequences) {
    const int64_t count = std::min(kChunkSequences, n - first);
    RB_ASSIGN_OR_RETURN(const std::vector<float> with,
                        predictor.PredictKmers(nulls, first, count, options.k, options.position));
    for (int64_t m = 0; m < kmers; ++m) moments[m].Add(with.data() + m, kmers, without.data() + first, count);
  }
  std::vector<KmerEffect> effects(static_cast<size_t>(kmers));
  for (int64_t m = 0; m < kmers; ++m) {
    KmerEffect& effect = effects[m];
    for (int i = 0; i < options.k; ++i) effect.kmer += "ACGU"[KmerCode(m, options.k, i)];
    effect.effect = moments[m].mean;
    const double nulls_used = moments[m].n;
    effect.se = std::sqrt(moments[m].m2 / (nulls_used - 1) / nulls_used);  // 0 / 0 with one sequence: NaN
  }
  // k-mers come in alphabetical order, which a stable sort keeps among equals.
  std::stable_sort(effects.begin(), effects.end(),
                   [](const KmerEffect& a, const KmerEffect& b) { return a.effect > b.effect; });
  return effects;
}

}  // namespace rb
