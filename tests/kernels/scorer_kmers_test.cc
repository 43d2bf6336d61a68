// All k-mers at one place of a sequence against the same sequences written out: the same bits.
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/packed_bases.h"
#include "kernels/scorer.h"
#include "tests/kernels/scorer_case.h"
#include "tests/support/comparisons.h"
#include "tests/support/test_parallel.h"

namespace rb {
namespace {

using test::ExpectSameBits;
using test::TestParallel;
using test::scorer::Bed;
using test::scorer::Case;
using test::scorer::Cases;
using test::scorer::Smooth;

// Sequences [0, n) of the bed under every k-mer, each written out.
std::vector<uint32_t> Written(const Bed& bed, int64_t n, int k, int position) {
  const int length = bed.g.length, words = PackedWords(length);
  const int64_t kmers = int64_t{1} << (2 * k);
  std::vector<uint32_t> written;
  std::vector<uint8_t> codes(length);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t m = 0; m < kmers; ++m) {
      UnpackBases(bed.words.data() + i * words, length, codes.data());
      int64_t rest = m;
      for (int j = k - 1; j >= 0; --j, rest /= 4) codes[position + j] = static_cast<uint8_t>(rest % 4);
      written.resize(written.size() + words);
      PackBases(codes.data(), length, written.data() + written.size() - words);
    }
  }
  return written;
}

void Check(const Bed& bed, Precision precision, int64_t n, int k, int position, const std::string& name) {
  const cpu::CpuScorer scorer(bed.g, bed.w, precision);
  TestParallel parallel(2);
  const std::vector<uint32_t> written = Written(bed, n, k, position);
  const int64_t all = n << (2 * k);
  std::vector<float> expected(all);
  scorer.Score(written.data(), nullptr, nullptr, all, expected.data(), parallel);
  for (const KmerSharing sharing : {KmerSharing::kBackground, KmerSharing::kLetters}) {
    std::vector<float> found(all, std::numeric_limits<float>::quiet_NaN());
    scorer.ScoreKmers(bed.words.data(), n, k, position, found.data(), parallel, sharing);
    ExpectSameBits(std::span<const float>(found), std::span<const float>(expected),
                   name + ", k " + std::to_string(k) + " at " + std::to_string(position) +
                       (sharing == KmerSharing::kLetters ? ", letters shared" : ""));
  }
}

std::vector<Precision> Precisions() {
  if (cpu::HasBf16()) return {Precision::kFp32, Precision::kBf16};
  return {Precision::kFp32};
}

TEST(ScoreKmers, EveryGeometryAndPlace) {
  for (const Case& c : Cases(10)) {
    if (c.g.structure != 0) continue;
    const Bed bed(c, Smooth);
    for (const Precision precision : Precisions()) {
      for (const int k : {1, 2, 3}) {
        for (const int position : {0, 1, c.g.length / 2 - 3, c.g.length - k - 1, c.g.length - k}) {
          Check(bed, precision, std::min(bed.n, 3), k, position, c.name);  // one plain, one padded, one unknown
        }
      }
    }
  }
}

// More letters than rows are kept for.
TEST(ScoreKmers, LongKmers) {
  for (const Case& c : Cases(10)) {
    if (c.g.structure != 0 || c.g.filters > 32 || c.g.length > 41) continue;
    const Bed bed(c, Smooth);
    for (const Precision precision : Precisions()) Check(bed, precision, 1, 7, 4, c.name);
  }
}

// The paper's network, its 6-mers at its place, on each vector target.
TEST(ScoreKmers, PaperOnEveryTarget) {
  const Bed bed(Cases(10)[0], Smooth);
  for (const int64_t target : {int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, int64_t{HWY_BASELINE_SCALAR}}) {
    if ((hwy::SupportedTargets() & HWY_TARGETS & target) == 0) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    Check(bed, Precision::kFp32, 1, target == HWY_BASELINE_SCALAR ? 4 : 6, 17, hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  for (const Precision precision : Precisions()) Check(bed, precision, 1, 6, 17, "paper");
}

}  // namespace
}  // namespace rb
