#include "gia/kmer_scan.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "data/alphabet.h"
#include "engine/check.h"
#include "kernels/packed_bases.h"

namespace rb {
namespace {

// The sequences without padding at positions [begin, end).
Sequences WithBasesAt(const Sequences& nulls, int begin, int end) {
  Sequences kept;
  kept.length = nulls.length;
  for (int64_t i = 0; i < nulls.size(); ++i) {
    const int width = nulls.widths[i], left = LeftPadding(nulls.length, width);
    if (begin >= left && end <= left + width) kept.Append(nulls.packed(i), nulls.widths[i]);
  }
  return kept;
}

}  // namespace

int64_t KmerNumber(std::string_view kmer) {
  int64_t number = 0;
  for (const char letter : kmer) number = 4 * number + BaseCode(letter);
  return number;
}

std::string KmerLetters(int64_t number, int k) {
  std::string kmer;
  for (int i = 0; i < k; ++i) kmer += kBaseLetters[KmerCode(number, k, i)];
  return kmer;
}

absl::StatusOr<std::vector<KmerEffect>> ScanKmers(const Predictor& predictor, const Sequences& all_nulls,
                                                  const KmerScanOptions& options) {
  RB_RETURN_IF_ERROR(CheckKmer(options.k, options.position, predictor.geometry().length));
  const Sequences nulls = WithBasesAt(all_nulls, options.position, options.position + options.k);
  const int64_t n = nulls.size(), kmers = int64_t{1} << (2 * options.k);
  if (n == 0) {
    return absl::InvalidArgumentError(absl::StrCat("no null sequence has bases at positions ", options.position, " to ",
                                                   options.position + options.k - 1, "; expected longer sequences"));
  }
  // Draws have bases everywhere.
  RB_CHECK(options.drawn == nullptr || n == all_nulls.size());
  RB_ASSIGN_OR_RETURN(const KmerScan found,
                      predictor.ScanKmers(nulls, options.k, options.position, options.drawn, options.progress));
  std::vector<KmerEffect> effects(static_cast<size_t>(kmers));
  for (int64_t rank = 0; rank < kmers; ++rank) {
    const int32_t m = found.order[rank];
    KmerEffect& effect = effects[rank];
    effect.kmer = KmerLetters(m, options.k);
    effect.effect = found.effects[m].mean;
    effect.n = n;
    const double count = static_cast<double>(n);
    effect.se = std::sqrt(found.effects[m].squares / (count - 1) / count);  // 0 / 0 with one sequence: NaN
  }
  return effects;
}

}  // namespace rb
