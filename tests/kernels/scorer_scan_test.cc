// Scans: sequences that the device's scorer draws and writes patterns over, and the moments that it keeps of them.
// Everything is compared with sequences written out by the host and scored as stored ones.
#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "kernels/device_scorer.h"
#include "kernels/packed_bases.h"
#include "tests/kernels/scorer_case.h"
#include "tests/kernels/scorer_networks.h"
#include "tests/support/comparisons.h"
#include "tests/support/machines.h"
#include "tests/support/operator_bed.h"

namespace rb {
namespace {

using test::DeviceVector;
using test::ExpectEqual;
using test::ExpectSameBits;
using test::ExpectWithin;
using test::Tensor;
using test::TestMachine;
using test::scorer::Bed;
using test::scorer::Case;
using test::scorer::Geometry;
using test::scorer::Lists;
using test::scorer::Networks;
using test::scorer::SmoothBeds;

constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32, Precision::kBf16};

// A pattern that writes nothing, one of a few bases here and there, one over every position.
DeviceVector<uint32_t> Patterns(int length, int count) {
  DeviceVector<uint32_t> patterns(static_cast<size_t>(count) * PackedWords(length));
  PhiloxStream random(7);
  std::vector<uint8_t> codes(static_cast<size_t>(length));
  for (int p = 0; p < count; ++p) {
    for (uint8_t& code : codes) {
      const bool written = p > 0 && (p == 2 || random.Below(4) == 0);
      const uint32_t base = random.Below(4);
      code = written ? static_cast<uint8_t>(base) : kUnknownBase;
    }
    PackBases(codes.data(), length, &patterns[static_cast<size_t>(p) * PackedWords(length)]);
  }
  return patterns;
}

// `bed` with sequences `of`, [n][L].
Bed WithSequences(Bed bed, const std::vector<uint8_t>& of) {
  bed.n = static_cast<int>(of.size()) / bed.g.length;
  bed.codes = of;
  bed.words.resize(static_cast<size_t>(bed.n) * PackedWords(bed.g.length));
  for (int i = 0; i < bed.n; ++i) {
    PackBases(&of[static_cast<size_t>(i) * bed.g.length], bed.g.length,
              &bed.words[static_cast<size_t>(i) * PackedWords(bed.g.length)]);
  }
  return bed;
}

std::vector<uint8_t> WrittenOver(const std::vector<uint8_t>& codes, const uint32_t* pattern, int length) {
  std::vector<uint8_t> written = codes;
  for (size_t i = 0; i < codes.size(); ++i) {
    const int base = BaseAt(pattern, length, static_cast<int>(i % length));
    if (base != kUnknownBase) written[i] = static_cast<uint8_t>(base);
  }
  return written;
}

EffectMoments MomentsOf(std::span<const float> with, std::span<const float> without) {
  EffectMoments m;
  const double n = static_cast<double>(with.size());
  for (size_t i = 0; i < with.size(); ++i) m.mean += (static_cast<double>(with[i]) - without[i]) / n;
  for (size_t i = 0; i < with.size(); ++i) {
    const double d = static_cast<double>(with[i]) - without[i] - m.mean;
    m.squares += d * d;
  }
  return m;
}

// Two models with different numbers of sequences beside an idle one; three patterns.
void ExpectScanIsAsWrittenOut(const Case& c, Precision precision) {
  constexpr int kPatterns = 3;
  const std::vector<Bed> beds = SmoothBeds(c, 3);
  const Networks networks(beds);
  const int length = c.g.length;
  const DeviceVector<uint32_t> patterns = Patterns(length, kPatterns);
  const int counts[] = {c.sequences, 0, c.sequences / 2 + 1};
  const std::string where = c.name + ", " + TestMachine::Emulated(precision).name();

  // predictions[slot][pattern][sequence] of sequences written out.
  std::vector<std::vector<std::vector<float>>> expected(3);
  for (int p = 0; p < kPatterns; ++p) {
    std::vector<Bed> written = beds;
    written[0] = WithSequences(beds[0], WrittenOver(beds[0].codes, &patterns[p * PackedWords(length)], length));
    const Tensor<float> y = Networks(written).Score(TestMachine::Emulated(precision),
                                                    {{0, 1, 2}, {}, {counts[0], counts[1], counts[2]}, 3, false, true});
    for (int slot = 0; slot < 3; ++slot) expected[slot].emplace_back(y[slot].begin(), y[slot].begin() + counts[slot]);
  }
  Tensor<float> without(3, c.sequences);
  for (const int slot : {0, 2}) std::copy(expected[slot][0].begin(), expected[slot][0].end(), without[slot].begin());

  const int group = ScorerGroup(c.g), groups = ScorerGroups(c.g, c.sequences);
  std::vector<double> first;
  for (const unsigned seed : {0u, 1u, 2u}) {
    const TestMachine machine = TestMachine::Emulated(precision, seed);
    Lists lists = {{0, 1, 2}, {}, {counts[0], counts[1], counts[2]}};
    lists.blocks = seed == 0 ? 1 : seed == 1 ? 3 : 40;
    lists.keep_predictions = seed != 1;
    Tensor<double> moments(3, 2 * kPatterns * groups), effects(3, 2 * kPatterns);
    const auto as_moments = [](const Tensor<double>& t) {
      return PerModel<EffectMoments>{reinterpret_cast<EffectMoments*>(t.view().base), t.view().stride / 2};
    };
    ScoreSequencesArgs<float> scan;
    scan.scan = {patterns.data(), kPatterns, without, as_moments(moments)};
    const Tensor<float> y = networks.Score(machine, lists, scan);
    MergeEffectsArgs<float> merge;
    merge.live = lists.live.data(), merge.count = 3, merge.num_rows = lists.num_rows.data();
    merge.group = group, merge.num_patterns = kPatterns;
    merge.moments = {scan.scan.moments.base, scan.scan.moments.stride};
    merge.effects = as_moments(effects);
    RB_SCORER_RUN(MergeEffects, merge);
    for (int slot = 0; slot < 3; ++slot) {
      for (int p = 0; p < kPatterns; ++p) {
        const std::vector<float>& want = expected[slot][p];
        if (lists.keep_predictions) {
          ExpectSameBits(std::span<const float>(y[slot]).subspan(p * want.size(), want.size()),
                         std::span<const float>(want), where + ", predictions");
        }
        if (want.empty()) continue;
        const EffectMoments exact = MomentsOf(want, expected[slot][0]);
        ExpectWithin(effects[slot][2 * p], exact.mean, 1e-13, where + ", mean");
        ExpectWithin(effects[slot][2 * p + 1], exact.squares, 1e-13 * (1 + exact.squares), where + ", squares");
      }
    }
    ExpectEqual(std::isnan(effects[1][0]), true);                 // the idle model
    ExpectEqual(effects[0][0] == 0 && effects[0][1] == 0, true);  // of the pattern that writes nothing
    ExpectEqual(effects[0][2] != 0 && effects[2][5] != 0, true);
    std::vector<double> found(effects[0].begin(), effects[0].end());
    found.insert(found.end(), effects[2].begin(), effects[2].end());
    if (first.empty()) first = found;
    ExpectSameBits(std::span<const double>(found), std::span<const double>(first), where + ", any grid");
  }
}

TEST(ScorerScan, IsAsWrittenOut) {
  for (const Precision precision : kPrecisions) {
    ExpectScanIsAsWrittenOut({"small, two tracks", Geometry(20, 2, 32, 64, 5, {1, 2}), 101}, precision);
    ExpectScanIsAsWrittenOut({"by layers", Geometry(130, 0, 32, 32, 10, {2}), 11}, precision);
  }
  ExpectScanIsAsWrittenOut({"paper", Geometry(41, 0, 96, 256, 10, {1, 2, 4}), 50}, Precision::kBf16);
}

TEST(ScorerScan, TinyIsAsWrittenOut) {
  ExpectScanIsAsWrittenOut({"tiny", Geometry(16, 0, 32, 32, 8, {1}), 50}, Precision::kFp32);
  ExpectScanIsAsWrittenOut({"tiny by layers", Geometry(130, 0, 32, 32, 8, {1}), 9}, Precision::kTf32);
  ExpectScanIsAsWrittenOut({"tiny resident", Geometry(41, 0, 96, 32, 8, {1}), 4}, Precision::kBf16);
}

// Drawn sequences under each model's own profile and key, against the same ones drawn by the host.
void ExpectDrawnAsByHost(const Case& c, Precision precision) {
  const int n = c.sequences, length = c.g.length;
  const std::vector<Bed> beds = SmoothBeds(c, 2);
  Tensor<uint64_t> thresholds(2, length * kProfileThresholds);
  const DeviceVector<uint64_t> keys = {0x1234567890ABCDEFull, 3};
  const uint64_t first = (uint64_t{1} << 33) + 5;
  std::vector<std::vector<float>> expected;
  for (int slot = 0; slot < 2; ++slot) {
    PhiloxStream random(11 + slot);
    for (int p = 0; p < length; ++p) {
      uint64_t at = 0;
      for (int b = 0; b < kProfileThresholds; ++b) {
        at += static_cast<uint64_t>(random.Uniform() * (kProfileUnit - at));
        thresholds[slot][p * kProfileThresholds + b] = at;
      }
    }
    std::vector<uint8_t> codes;
    for (int i = 0; i < n; ++i) {
      PhiloxStream stream(keys[slot], first + i);
      for (int p = 0; p < length; ++p) {
        const double u = stream.Uniform();
        uint8_t base = 0;
        while (base < 3 && u * static_cast<double>(kProfileUnit) >= thresholds[slot][p * kProfileThresholds + base]) {
          ++base;
        }
        codes.push_back(base);
      }
    }
    std::vector<Bed> drawn = beds;
    drawn[0] = WithSequences(beds[0], codes);
    const Tensor<float> y =
        Networks(drawn).Score(TestMachine::Emulated(precision), {{slot}, {}, {n, n}, 3, false, true});
    expected.emplace_back(y[slot].begin(), y[slot].begin() + n);
  }
  ExpectEqual(expected[0] != expected[1], true);
  const Networks networks(beds);
  for (const unsigned seed : {0u, 1u, 2u}) {
    ScoreSequencesArgs<float> more;
    more.draws = {{thresholds.view().base, thresholds.view().stride}, keys.data(), first};
    const Tensor<float> y =
        networks.Score(TestMachine::Emulated(precision, seed), {{1, 0}, {}, {n, n}, 3, false, true}, more);
    for (int slot = 0; slot < 2; ++slot) {
      ExpectSameBits(std::span<const float>(y[slot]).first(n), std::span<const float>(expected[slot]),
                     c.name + ", slot " + std::to_string(slot));
    }
  }
}

TEST(ScorerScan, TinyDrawsAreTheHosts) {
  ExpectDrawnAsByHost({"tiny", Geometry(16, 0, 32, 32, 8, {1}), 53}, Precision::kFp32);
  ExpectDrawnAsByHost({"tiny by layers", Geometry(130, 0, 32, 32, 8, {1}), 9}, Precision::kTf32);
  ExpectDrawnAsByHost({"tiny resident", Geometry(41, 0, 96, 32, 8, {1}), 7}, Precision::kBf16);
}

}  // namespace
}  // namespace rb
