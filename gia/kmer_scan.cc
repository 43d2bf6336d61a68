#include "gia/kmer_scan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

// Null sequences scored at once under all k-mers: at most 8 MB of predictions. Effects add up in chunks of as many, in
// order, whatever the threads.
constexpr int64_t kChunkSequences = 32;

absl::Status CheckOptions(const ScorerGeometry& g, const KmerScanOptions& o) {
  if (g.structure != 0) {
    return absl::InvalidArgumentError(
        "the k-mer scan needs a model of sequence alone: structure tracks of null sequences are not made yet");
  }
  if (o.k < 1 || o.k > kMaxKmer) {
    return absl::InvalidArgumentError(absl::StrCat("k is ", o.k, "; expected 1 to ", kMaxKmer));
  }
  if (o.position < 0 || o.position > g.length - o.k) {
    return absl::InvalidArgumentError(absl::StrCat("a ", o.k, "-mer at position ", o.position, " does not fit ",
                                                   g.length, " positions; expected 0 to ", g.length - o.k));
  }
  return absl::OkStatus();
}

// The sequences without padding at positions [begin, end).
Sequences WithBasesAt(const Sequences& nulls, int begin, int end) {
  Sequences kept;
  kept.length = nulls.length;
  const int words = PackedWords(nulls.length);
  for (int64_t i = 0; i < nulls.size(); ++i) {
    const int width = nulls.widths[i], left = LeftPadding(nulls.length, width);
    if (begin < left || end > left + width) continue;
    kept.widths.push_back(nulls.widths[i]);
    kept.bases.insert(kept.bases.end(), nulls.packed(i), nulls.packed(i) + words);
  }
  return kept;
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

absl::StatusOr<std::vector<KmerEffect>> ScanKmers(const Predictor& predictor, const Sequences& all_nulls,
                                                  const KmerScanOptions& options) {
  RB_RETURN_IF_ERROR(CheckOptions(predictor.geometry(), options));
  const Sequences nulls = WithBasesAt(all_nulls, options.position, options.position + options.k);
  const int64_t n = nulls.size(), kmers = int64_t{1} << (2 * options.k);
  if (n == 0) {
    return absl::InvalidArgumentError(absl::StrCat("no null sequence has bases at positions ", options.position, " to ",
                                                   options.position + options.k - 1, "; expected longer sequences"));
  }
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
    effect.n = n;
    const double count = static_cast<double>(n);
    effect.se = std::sqrt(moments[m].m2 / (count - 1) / count);  // 0 / 0 with one sequence: NaN
  }
  // k-mers come in alphabetical order, which a stable sort keeps among equals.
  std::stable_sort(effects.begin(), effects.end(),
                   [](const KmerEffect& a, const KmerEffect& b) { return a.effect > b.effect; });
  return effects;
}

}  // namespace rb
