// kernels/fold.h against its definition: all structures of short sequences, counted one by one.
#include "kernels/fold.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/kernels/fold_oracle.h"
#include "tests/support/comparisons.h"
#include "tests/support/test_parallel.h"

namespace rb::test {
namespace {

// A sum of thousands of weights, each a product of some ten factors that are rounded exponentials: errors stay far
// below.
constexpr double kBound = 1e-10;

struct Parameters {
  explicit Parameters(const FoldEnergies& e) : energies(e), factors(MakeFoldFactors(e)) {}
  FoldEnergies energies;
  FoldFactors factors;
};

const Parameters& Turner() {
  static const auto* const parameters = new Parameters(Turner1999());
  return *parameters;
}

// Energies of the same kinds, every one drawn by itself: no symmetry hides a wrong index.
const Parameters& Drawn() {
  static const auto* const parameters = [] {
    auto e = std::make_unique<FoldEnergies>(Turner1999());
    std::mt19937 random(5);
    const auto draw = [&](auto& array, int low, int high) {
      auto* values = reinterpret_cast<int32_t*>(&array);
      for (size_t i = 0; i < sizeof array / sizeof *values; ++i) {
        values[i] = low + static_cast<int32_t>(random() % (high - low + 1));
      }
    };
    draw(e->stack, -300, 50), draw(e->hairpin, 0, 500), draw(e->bulge, 0, 400), draw(e->interior, 0, 400);
    draw(e->mismatch_interior, -150, 100), draw(e->mismatch_hairpin, -150, 100);
    draw(e->dangle5, -80, 20), draw(e->dangle3, -80, 20);
    draw(e->int11, -200, 200), draw(e->int21, -200, 300), draw(e->int22, -200, 300);
    e->multi_base = -25, e->multi_closing = 120, e->multi_stem = -60, e->terminal_au = 37;
    e->asymmetry = 23, e->max_asymmetry = 90, e->long_loop = 81;
    return new Parameters(*e);
  }();
  return *parameters;
}

struct Folded {
  std::vector<double> tracks;  // [N][L][5]
  std::vector<double> log_partition;
  int length = 0;
  double Track(int64_t n, int p, int track) const { return tracks[(n * length + p) * kFoldTracks + track]; }
};

std::vector<uint32_t> Pack(const std::vector<std::string>& letters, int length) {
  std::vector<uint32_t> bases(letters.size() * PackedWords(length));
  for (size_t n = 0; n < letters.size(); ++n) {
    std::vector<uint8_t> codes(length, kUnknownBase);
    const int first = (length - static_cast<int>(letters[n].size())) / 2;
    for (size_t p = 0; p < letters[n].size(); ++p) {
      const size_t code = std::string("ACGU").find(letters[n][p]);
      if (code < 4) codes[first + p] = static_cast<uint8_t>(code);
    }
    PackBases(codes.data(), length, &bases[n * PackedWords(length)]);
  }
  return bases;
}

// Sequences of any lengths up to L, centred.
template <class T>
std::vector<T> FoldTracks(const Parameters& parameters, const std::vector<std::string>& letters, int length,
                          Parallel& parallel, std::vector<double>* log_partition) {
  const std::vector<uint32_t> bases = Pack(letters, length);
  std::vector<uint16_t> widths;
  for (const std::string& sequence : letters) widths.push_back(static_cast<uint16_t>(sequence.size()));
  std::vector<T> tracks(letters.size() * length * kFoldTracks, NAN);
  log_partition->assign(letters.size(), NAN);
  cpu::Fold(FoldArgs<T>{&parameters.factors, bases.data(), widths.data(), static_cast<int64_t>(letters.size()), length,
                        tracks.data(), log_partition->data()},
            parallel);
  return tracks;
}

Folded Fold(const Parameters& parameters, const std::vector<std::string>& letters, int length) {
  TestParallel parallel;
  Folded folded;
  folded.length = length;
  folded.tracks = FoldTracks<double>(parameters, letters, length, parallel, &folded.log_partition);
  return folded;
}

std::string Letters(std::mt19937& random, int length, const char* alphabet) {
  std::string letters;
  for (int i = 0; i < length; ++i) letters += alphabet[random() % std::strlen(alphabet)];
  return letters;
}

// Returns how many structures there are.
int64_t ExpectDefinition(const Parameters& parameters, const std::string& letters) {
  const FoldedByDefinition want = FoldOracle(parameters.energies, letters).Run();
  const int length = static_cast<int>(letters.size());
  const Folded got = Fold(parameters, {letters}, length);
  ExpectWithin(got.log_partition[0], std::log(want.partition), kBound, letters + ": ln Z");
  for (int p = 0; p < length; ++p) {
    for (int track = 0; track < kFoldTracks; ++track) {
      ExpectWithin(got.Track(0, p, track), want.tracks[p][track], kBound,
                   letters + " base " + std::to_string(p) + " track " + "PHIME"[track]);
    }
  }
  return want.structures;
}

TEST(Fold, EqualsTheSumOverAllStructures) {
  std::mt19937 random(1);
  int64_t most = 0;
  for (const auto* parameters : {&Turner(), &Drawn()}) {
    for (int length = 1; length <= 16; ++length) {
      for (const char* alphabet : {"ACGU", "GC", "GU", "AU", "ACGUN", "GGGCN"}) {
        for (int repeat = 0; repeat < 4; ++repeat) {
          most = std::max(most, ExpectDefinition(*parameters, Letters(random, length, alphabet)));
        }
      }
    }
  }
  EXPECT_GT(most, 1000);
}

// Loops that 16 bases cannot hold: few letters that pair, so that structures stay few.
TEST(Fold, EqualsTheSumOverLongLoops) {
  const std::string a30(30, 'A'), a15(15, 'A');
  for (const auto* parameters : {&Turner(), &Drawn()}) {
    for (int more : {0, 1, 2, 9}) {
      const std::string a(more, 'A');
      ExpectDefinition(*parameters, "AG" + a30 + a + "CA");                             // hairpin
      ExpectDefinition(*parameters, "G" + a30 + a + "GAAAAC" + "C");                    // bulges
      ExpectDefinition(*parameters, "GG" + std::string("AAAAC") + a30 + a + "CA");      //
      ExpectDefinition(*parameters, "G" + a15 + a + "GAAAC" + a15 + "C");               // interior, alike
      ExpectDefinition(*parameters, "AGAA" + a + "GAAAC" + a15 + "AAAAAAAAAC");         // and not alike
      ExpectDefinition(*parameters, "G" + a15 + "CNAAG" + a + "GAAAAC" + a30 + "CUC");  // multiloop
    }
  }
}

// Tetraloops, and every small loop between given pairs.
TEST(Fold, EqualsTheSumOverSmallLoops) {
  std::mt19937 random(2);
  for (int t = 0; t < Turner().energies.num_tetraloops; ++t) {
    std::string word;
    for (const uint8_t code : Turner().energies.tetraloops[t].codes) word += "ACGU"[code];
    ExpectDefinition(Turner(), "A" + word + "G");
  }
  for (int repeat = 0; repeat < 60; ++repeat) {
    for (const int u1 : {0, 1, 2, 3}) {
      for (const int u2 : {0, 1, 2, 3}) {
        const char* const pairs[] = {"CG", "GC", "GU", "UG", "AU", "UA"};
        const char *outer = pairs[random() % 6], *inner = pairs[random() % 6];
        ExpectDefinition(Drawn(), std::string(1, outer[0]) + Letters(random, u1, "ACGUN") + inner[0] + "AAA" +
                                      inner[1] + Letters(random, u2, "ACGUN") + outer[1]);
      }
    }
  }
}

// The tracks of a sequence are probabilities that add up to 1; 0 outside of it.
void ExpectProbabilities(const Folded& folded, const std::vector<std::string>& letters) {
  for (size_t n = 0; n < letters.size(); ++n) {
    const int width = static_cast<int>(letters[n].size()), first = (folded.length - width) / 2;
    CountComparisons();
    EXPECT_TRUE(folded.log_partition[n] >= 0 && std::isfinite(folded.log_partition[n])) << letters[n];
    for (int p = 0; p < folded.length; ++p) {
      const bool inside = p >= first && p < first + width;
      double sum = 0;
      for (int track = 0; track < kFoldTracks; ++track) {
        const double value = folded.Track(n, p, track);
        sum += value;
        CountComparisons();
        EXPECT_TRUE(inside ? value >= 0 && value <= 1 : value == 0) << letters[n] << " base " << p << ": " << value;
        if (inside && letters[n][p - first] == 'N' && track == 0) ExpectEqual(value, 0.0, "N pairs with nothing");
      }
      ExpectWithin(sum, inside ? 1 : 0, kBound, letters[n]);
    }
  }
}

TEST(Fold, AnyLengthGivesProbabilities) {
  std::mt19937 random(3);
  for (int length = 1; length <= kMaxFoldLength; length += length < 50 ? 1 : 25) {
    const std::vector<std::string> letters = {Letters(random, length, "ACGU"), Letters(random, length, "GGCUN")};
    ExpectProbabilities(Fold(Turner(), letters, length), letters);
  }
  std::vector<std::string> letters;
  for (const char letter : std::string("ACGUN")) letters.emplace_back(kMaxFoldLength, letter);
  for (const char* pair : {"GC", "CG", "GU", "AU"}) {
    letters.push_back(std::string(98, pair[0]) + "AAAA" + std::string(98, pair[1]));  // as stable as can be
    letters.emplace_back();
    for (int i = 0; i < kMaxFoldLength / 2; ++i) letters.back() += pair;
  }
  const Folded folded = Fold(Turner(), letters, kMaxFoldLength);
  ExpectProbabilities(folded, letters);
  for (int n = 0; n < 5; ++n) {  // nothing pairs
    ExpectEqual(folded.log_partition[n], 0.0);
    for (int p = 0; p < kMaxFoldLength; ++p) ExpectEqual(folded.Track(n, p, 4), 1.0);
  }
  ExpectWithin(folded.Track(5, 40, 0), 1, 1e-3, "a long helix");
}

TEST(Fold, NoSequences) {
  TestParallel parallel;
  cpu::Fold(FoldArgs<float>{&Turner().factors, nullptr, nullptr, 0, 41, nullptr, nullptr}, parallel);
}

// Alone or among others, with any number of threads; padded or not; floats are the rounded doubles.
TEST(Fold, SameBitsInAnyCompany) {
  std::mt19937 random(4);
  constexpr int kLength = 45;
  std::vector<std::string> letters;
  for (int n = 0; n < 70; ++n) letters.push_back(Letters(random, 1 + random() % kLength, "ACGGUN"));
  const Folded folded = Fold(Turner(), letters, kLength);
  ExpectProbabilities(folded, letters);
  TestParallel three(3, /*reverse=*/true);
  std::vector<double> log_partition;
  const auto in_threads = FoldTracks<double>(Turner(), letters, kLength, three, &log_partition);
  ExpectSameBits<double>(in_threads, folded.tracks, "three threads");
  ExpectSameBits<double>(log_partition, folded.log_partition, "ln Z, three threads");
  const auto in_float = FoldTracks<float>(Turner(), letters, kLength, three, &log_partition);
  const std::vector<float> rounded(folded.tracks.begin(), folded.tracks.end());
  ExpectSameBits<float>(in_float, rounded, "float");
  for (size_t n = 0; n < letters.size(); ++n) {
    const int width = static_cast<int>(letters[n].size()), first = (kLength - width) / 2;
    const Folded alone = Fold(Turner(), {letters[n]}, width);
    const double* begin = &folded.tracks[(n * kLength + first) * kFoldTracks];
    ExpectSameBits<double>(alone.tracks, std::span(begin, alone.tracks.size()), letters[n] + " alone");
    ExpectEqual(alone.log_partition[0], folded.log_partition[n]);
  }
}

// Against the loops counted one by one.
TEST(Fold, LoopTerms) {
  for (const int n : {1, 6, 7, 9, 20, 41, 60}) {
    int64_t loops = 0;
    for (int i = 0; i < n; ++i) {
      for (int j = i + 4; j < n; ++j) {
        for (int k = i + 1; k < j; ++k) {
          for (int l = k + 4; l < j; ++l) {
            const int unpaired = k - i - 1 + j - l - 1;
            loops += unpaired >= 2 && unpaired <= kMaxLoop;
          }
        }
      }
    }
    ExpectEqual(FoldLoopTerms(n), loops, std::to_string(n));
  }
}

}  // namespace
}  // namespace rb::test
