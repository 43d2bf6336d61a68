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

// Sequences scored at once: bounds the memory (a few MB) whatever k.
constexpr int64_t kBlockSequences = 1 << 16;

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

// Letters of k-mer number `index`, most significant first: number 0 is AAAA..
uint32_t CodeOf(int64_t index, int k, int i) { return static_cast<uint32_t>(index >> (2 * (k - 1 - i))) & 3u; }

void Embed(int64_t kmer, int k, int position, int length, uint32_t* words) {
  for (int i = 0; i < k; ++i) {
    const int p = position + i, shift = 2 * (p % 16);
    words[p / 16] = (words[p / 16] & ~(3u << shift)) | CodeOf(kmer, k, i) << shift;
    words[CodeWords(length) + p / 32] |= 1u << (p % 32);
  }
}

KmerEffect Summarize(int64_t kmer, int k, const float* with, const std::vector<float>& without) {
  KmerEffect result;
  for (int i = 0; i < k; ++i) result.kmer += "ACGU"[CodeOf(kmer, k, i)];
  const double n = static_cast<double>(without.size());
  double sum = 0, squares = 0;
  for (size_t i = 0; i < without.size(); ++i) sum += static_cast<double>(with[i]) - without[i];
  result.effect = sum / n;
  for (size_t i = 0; i < without.size(); ++i) {
    const double d = static_cast<double>(with[i]) - without[i] - result.effect;
    squares += d * d;
  }
  result.se = std::sqrt(squares / (n - 1) / n);  // 0 / 0 with one sequence: NaN
  return result;
}

}  // namespace

absl::StatusOr<std::vector<KmerEffect>> ScanKmers(const ModelFile& model, const Predictor& predictor,
                                                  const KmerScanOptions& options) {
  RB_RETURN_IF_ERROR(CheckOptions(model, options));
  const int length = model.config.shape.length, words = PackedWords(length);
  const int64_t n = options.null_sequences, kmers = int64_t{1} << (2 * options.k);
  const uint64_t id = StableId(model.experiment, model.config.replicate);
  RB_ASSIGN_OR_RETURN(const Sequences nulls,
                      DrawProfileNulls(model.profile, length, n, DeriveKey(options.seed, Purpose::kNullModel, id)));
  RB_ASSIGN_OR_RETURN(const std::vector<float> without, predictor.Predict(nulls));

  std::vector<KmerEffect> effects;
  const int64_t block = std::max<int64_t>(1, kBlockSequences / n);
  Sequences patterned = nulls;
  for (int64_t first = 0; first < kmers; first += block) {
    const int64_t count = std::min(block, kmers - first);
    patterned.widths.assign(static_cast<size_t>(count * n), static_cast<uint16_t>(length));
    patterned.bases.clear();
    for (int64_t j = 0; j < count; ++j) {
      patterned.bases.insert(patterned.bases.end(), nulls.bases.begin(), nulls.bases.end());
      uint32_t* own = patterned.bases.data() + j * n * words;
      for (int64_t i = 0; i < n; ++i) Embed(first + j, options.k, options.position, length, own + i * words);
    }
    RB_ASSIGN_OR_RETURN(const std::vector<float> with, predictor.Predict(patterned));
    for (int64_t j = 0; j < count; ++j)
      effects.push_back(Summarize(first + j, options.k, with.data() + j * n, without));
  }
  // k-mers come in alphabetical order, which a stable sort keeps among equals.
  std::stable_sort(effects.begin(), effects.end(),
                   [](const KmerEffect& a, const KmerEffect& b) { return a.effect > b.effect; });
  return effects;
}

}  // namespace rb
